"""A fork changes one file: what the others and the site then say, and that nothing of the old course is left."""

import os
import re
import shutil
import subprocess
import sys

import course
import logo
import pytest
import repository
import repository_address
from bs4 import BeautifulSoup
from conftest import ROOT

MINE = {"title": "Seeing Machines", "author": "Ada Example", "color": "#7a1f5c", "address": "ada/seeing-machines"}
# Where a format asks for what pyproject.toml says: file, the line, which of its values that is.
PLACES = [
    ("README.md", r"^# (.+)$", "title"),
    ("README.md", r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/", "address"),
    ("README.md", r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob", "address"),
    ("CITATION.cff", r'^title: "(.+)"$', "title"),
    ("CITATION.cff", r"^repository-code: https://github\.com/(.+)$", "address"),
    ("CITATION.cff", r"^  - name: (.+)$", "author"),
    ("book/_static/logo.svg", r'aria-label="([^"]+)"', "title"),
]


def test_what_stands_twice_says_what_pyproject_says():
    read = course.read()
    says = {"title": read.title, "author": read.authors[0]}
    says["address"] = repository.owner_and_name(repository_address.written())
    wrong = []
    for name, pattern, value in PLACES:
        text = (ROOT / name).read_text("utf-8")
        for match in [*re.finditer(pattern, text, re.MULTILINE)][:1] or [None]:
            line = text.count("\n", 0, match.start()) + 1 if match else "?"
            if not match or match[1] != says[value]:
                wrong.append(
                    f"{name}:{line} does not say {says[value]!r}, the {value} in pyproject.toml: make repository"
                )
    assert wrong == []
    assert (ROOT / "book/_static/logo.svg").read_text("utf-8") == logo.svg(read.title, read.color)


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """A copy of the repository whose `pyproject.toml` names another course, after `make repository`."""
    folder = tmp_path_factory.mktemp("fork") / "course"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in filter(lambda name: (ROOT / name).is_file(), listed.stdout.splitlines()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    old, pyproject = course.read(), folder / "pyproject.toml"
    changed = pyproject.read_text("utf-8").replace(f'title = "{old.title}"', f'title = "{MINE["title"]}"')
    changed = changed.replace(f'name = "{old.authors[0]}"', f'name = "{MINE["author"]}"').replace(
        old.color, MINE["color"]
    )
    changed = changed.replace(repository.owner_and_name(repository_address.written()), MINE["address"])
    pyproject.write_text(changed, "utf-8")
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"], [sys.executable, "tools/repository.py"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def of_old_course():
    read = course.read()
    address = repository.owner_and_name(repository_address.written())
    owner, name = address.split("/")
    return [read.title, *read.authors, address, f"{owner.lower()}.github.io/{name}"]


def test_no_file_names_the_old_course_but_to_give_credit(fork):
    wanted = [argument for text in of_old_course() for argument in ("-e", text)]
    found = subprocess.run(["git", "grep", "-nIF", *wanted], cwd=fork, capture_output=True, text=True).stdout
    names = {line.partition(":")[0] for line in found.splitlines() if ":adapted-from = " not in line}
    assert names - {"LICENSE"} == set(), found


def test_the_command_changes_nothing_the_second_time(fork):
    done = subprocess.run([sys.executable, "tools/repository.py"], cwd=fork, capture_output=True, text=True, check=True)
    assert done.stdout == "All files say what pyproject.toml says.\n"
    assert (fork / "pyproject.toml").read_text("utf-8").count("adapted-from") == 1


@pytest.mark.site
def test_a_forks_site_names_the_old_course_only_to_give_credit(fork):
    """Some pages of each kind. They lead to pages that are left out, so that the build complains, and goes on."""
    toc = "format: jb-book\nroot: index\nchapters:\n" + "".join(
        f"  - file: {name}\n"
        for name in ("claims", "running", "instructors", "source/gradients", "exercises/02-normalization")
    )
    (fork / "_toc.yml").write_text(toc)
    environment = os.environ | {"PYTHONPATH": str(fork), "GITHUB_REPOSITORY": MINE["address"]}
    done = subprocess.run(
        [sys.executable, "tools/book.py", fork], cwd=fork, env=environment, capture_output=True, text=True
    )
    pages = sorted((fork / "_build" / "html").rglob("*.html"))
    assert len(pages) > 70 and "Traceback" not in done.stderr, done.stderr
    for page in pages:
        soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
        for credit in soup.select(".extra_footer"):
            assert "Adapted from" in credit.get_text()
            credit.decompose()
        assert [text for text in of_old_course() if text in str(soup)] == [], page
    home = BeautifulSoup((fork / "_build" / "html" / "index.html").read_text("utf-8"), "html.parser")
    assert home.title.get_text() == MINE["title"] == home.h1.contents[0].get_text()
    assert MINE["color"] in str(home.head) and course.read().color not in str(home.head)
    assert any(MINE["author"] in footer.get_text() for footer in home.select("footer"))
    assert home.select_one("meta[property='og:url']")["content"] == "https://ada.github.io/seeing-machines/"


@pytest.mark.parametrize(
    "line, says",
    [
        ('title = ""', "no name"),
        ('title = "A \\"b\\""', "no name"),
        ('color = "red"', "six hexadecimal"),
        ('color = "#ffcc00"', "contrast of 1.5"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, monkeypatch, capsys, line, says):
    pyproject = tmp_path / "pyproject.toml"
    name = line.partition(" ")[0]
    text = re.sub(
        rf'^{name} = "[^"]*"', lambda _: line, (ROOT / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE
    )
    pyproject.write_text(text, "utf-8")
    monkeypatch.setattr(course, "PYPROJECT", pyproject)
    with pytest.raises(SystemExit) as exit_:
        repository.write()
    said = capsys.readouterr().err
    assert exit_.value.code == 2 and says in said and said.count("\n") == 1
