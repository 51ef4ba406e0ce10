"""Write whose course it is wherever a format asks for it again: `make repository`, after a change of pyproject.toml.

There stand title, authors, color and address. The README's title and badges, the notebooks' first cell, CITATION.cff
and the logo show them, too; what they show until then is what CITATION.cff says.
"""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import course  # noqa: E402
import logo  # noqa: E402
import repository_address  # noqa: E402

CITATION, LOGO = ROOT / "CITATION.cff", ROOT / "book" / "_static" / "logo.svg"
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
AUTHORS = re.compile(r"(?<=^authors:\n)(?:  .*\n)+", re.MULTILINE)
# The license keeps the names of those whose work it is.
KEPT = {"LICENSE", "pyproject.toml"}


def owner_and_name(url):
    """Return `owner/name` of a repository on GitHub, which is what Colab, Binder and Pages can use."""
    match = ADDRESS.fullmatch(url)
    if not match:
        stop(f"{url!r} is not the address of a repository; it looks like https://github.com/you/your-fork.")
    return match[1]


def stop(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(2)


def write():
    """Write title, authors, color and address of pyproject.toml into the other files. Returns those that changed."""
    try:
        new = course.read()
    except course.CourseError as error:
        stop(f"pyproject.toml: {error}")
    old = yaml.safe_load(CITATION.read_text("utf-8"))
    names = [
        " ".join(filter(None, map(person.get, ("given-names", "family-names", "name")))) for person in old["authors"]
    ]
    changed = {}
    if names != new.authors:
        credit(new, f"{old['title']} by {', '.join(names)}, {old['repository-code']}")
        lines = "".join(f"  - name: {author}\n" for author in new.authors)
        changed[CITATION] = AUTHORS.sub(lambda _: lines, CITATION.read_text("utf-8"))
    if (drawn := logo.svg(new.title, new.color)) != LOGO.read_text("utf-8"):
        changed[LOGO] = drawn
    for path, text in changed.items():
        path.write_text(text, "utf-8")
    address = owner_and_name(repository_address.written())
    mapping = {owner_and_name(old["repository-code"]): address, old["title"]: new.title}
    mapping |= {author: author for author in new.authors}  # which may have the title in it
    return sorted({*(str(path.relative_to(ROOT)) for path in changed), *replace_everywhere(mapping)})


def credit(new, source):
    """Note in pyproject.toml what a course by other authors is adapted from, which the site says below each page."""
    if not new.adapted_from:
        pyproject = repository_address.PYPROJECT
        text = re.sub(r"(\[tool\.course\]\n)", rf'\g<1>adapted-from = "{source}"\n', pyproject.read_text("utf-8"))
        pyproject.write_text(text, "utf-8")


def replace_everywhere(mapping):
    """Replace texts in all files of the repository, each where it stands whole. Returns the files that changed."""
    longest_first = sorted(mapping, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    wanted = [argument for text in mapping for argument in ("-e", text)]
    listed = subprocess.run(["git", "grep", "-lIF", *wanted], cwd=ROOT, capture_output=True, text=True).stdout
    for name in (name for name in listed.splitlines() if name not in KEPT):
        before = (ROOT / name).read_text("utf-8")
        after = pattern.sub(lambda match: mapping[match[0]], before)
        if after != before:
            (ROOT / name).write_text(after, "utf-8")
            yield name


if __name__ == "__main__":
    print("\n".join(write()) or "All files say what pyproject.toml says.")
