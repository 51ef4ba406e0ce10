"""Give the repository another address, wherever it stands: `make repository URL=https://github.com/you/your-fork`.

It is written once, in pyproject.toml; the notebooks' first cell, the README's badges and CITATION.cff show it.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def owner_and_name(url):
    """Return `owner/name` of a repository on GitHub, which is what Colab, Binder and Pages can use."""
    match = ADDRESS.fullmatch(url)
    if not match:
        sys.exit(f"{url!r} is not the address of a repository; it looks like https://github.com/you/your-fork.")
    return match[1]


def replace_everywhere(old, new):
    listed = subprocess.run(["git", "grep", "-lIF", old], cwd=ROOT, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        path = ROOT / name
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
        print(name)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    replace_everywhere(owner_and_name(project["urls"]["Repository"]), owner_and_name(sys.argv[1]))
