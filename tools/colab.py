"""Run every chapter as on Colab: `make colab`, or `make colab PYTHON=/path/to/python3.13`.

Colab has its own Python and packages, an older Keras among them, and none of this course: a chapter's first cell
installs it from the tag of its version. Here that tag holds the files as they are now, and git takes it from this
machine. What the cells claim is compared with the committed outputs, as `make replay` does it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import notebooks

import coursekit

ROOT = notebooks.ROOT
COLABS_PYTHON = "3.13"
VERSIONS = ROOT / ".github" / "colab.txt"
# An older Keras, as Colab has it, is what the first cell must replace; the others run the notebooks.
PACKAGES = ("tensorflow", "keras<3.15", "ipykernel", "pytest", "pytest-xdist", "nbval")


def suitable_python(given):
    """Return Colab's Python where this machine has it, else the one that is given."""
    for candidate in (given, f"python{COLABS_PYTHON}"):
        say = [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        if (
            shutil.which(candidate)
            and subprocess.run(say, capture_output=True, text=True).stdout.strip() == COLABS_PYTHON
        ):
            return candidate
    print(f"Python {COLABS_PYTHON}, which Colab has, is not here; {given} takes its place.", flush=True)
    return given


def own_packages():
    """What the course depends on and its first cell does not install, since Colab has it."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = [re.match(r"[\w-]+", dependency)[0] for dependency in dependencies]
    return [name for name in names if name not in notebooks.BOOTSTRAP]


def make_environment(folder, python):
    """Create an environment with Colab's versions; returns its Python."""
    # The Keras of that file is the one that the first cell brings.
    versions = [line for line in VERSIONS.read_text().splitlines() if not line.startswith(("#", "keras"))]
    subprocess.run([python, "-m", "venv", folder], check=True)
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", folder]
    subprocess.run([*uv, *PACKAGES, *own_packages(), *versions], check=True)
    return folder / "bin" / "python"


def publish(folder):
    """Commit the files of this checkout to a repository of their own, under the version's tag.

    Returns the variables that let git, and so pip, take it for the one whose address the notebooks have.
    """
    git = ["git", "--git-dir", folder, "--work-tree", ROOT, "-c", "user.name=colab", "-c", "user.email=colab@localhost"]
    subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
    subprocess.run([*git, "add", "--all"], cwd=ROOT, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "As it is now"], check=True)
    subprocess.run([*git, "tag", f"v{coursekit.__version__}"], check=True)
    address = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
    replaced = {"KEY": f"url.{folder.as_uri()}.insteadOf", "VALUE": address}
    return {"GIT_CONFIG_COUNT": "1"} | {f"GIT_CONFIG_{name}_0": value for name, value in replaced.items()}


def main(given):
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    with tempfile.TemporaryDirectory(prefix="colab-") as temporary:
        folder = Path(temporary)
        python = make_environment(folder / "environment", suitable_python(given))
        options = {"env": outside | publish(folder / "repository.git"), "cwd": folder / "book", "check": True}
        shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("exercises", "_*"))
        # Once for all chapters: IPython runs the first cell, which is the same in each.
        subprocess.run([python, "-m", "IPython", "-c", notebooks.bootstrap()], **options)
        replay = ["-m", "pytest", "-n", "2", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
        replayed = subprocess.run([python, *replay, "--dist=loadfile", "."], **options | {"check": False})
    sys.exit(replayed.returncode)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd[:4]))} … failed; the lines above say why.")
