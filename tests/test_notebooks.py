"""Hygiene of the committed chapters: what a reader sees is what ran, in order, with nothing of the machine in it."""

import re

import breaks
import make_exercises
import nbformat
import notebooks
import pytest
from conftest import ROOT

import coursekit
from coursekit import claims
from coursekit.widgets import quiz

pytestmark = pytest.mark.only_on("tensorflow")  # no backend computes here

LONGEST_CELL = 40
MEASURED = re.compile(r"\d*\.\d+|\d+e[+-]?\d+|\d+ ?%|\bnan\b|\binf\b")

CHAPTERS = sorted(ROOT.glob(notebooks.CHAPTERS))
MASTERS = sorted(ROOT.glob(make_exercises.MASTERS))


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def cells_of_all_chapters():
    return [cell for path in CHAPTERS for cell in notebooks.code_cells(nbformat.read(path, as_version=4))]


def figures(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def test_every_cell_was_executed_in_order(notebook):
    # nbval passes a cell without a stored execution count, whatever the cell prints.
    counts = [cell.execution_count for cell in notebooks.code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_complained(notebook):
    for cell in notebooks.code_cells(notebook):
        assert all(output.output_type != "error" for output in cell.outputs), notebooks.head(cell)
        assert all(output.get("name") != "stderr" for output in cell.outputs), notebooks.head(cell)
        assert all("WARNING" not in output.get("text", "") for output in cell.outputs), notebooks.head(cell)


def test_it_is_normalized(notebook):
    again = nbformat.from_dict(notebook)
    notebooks.normalize(again, notebook.metadata.get("coursekit"))
    notebooks.fold(again)
    assert again == notebook, "run `make notebooks`"


def test_what_opens_in_jupyterlab_is_the_story_and_code_to_be_read(notebook):
    opened = [cell for cell in notebooks.code_cells(notebook) if not cell.metadata.get("jupyter")]
    assert 0 < sum(len(cell.source.splitlines()) for cell in opened) <= 400
    assert notebooks.code_cells(notebook)[0] not in opened


def test_no_widget_state_is_stored(notebook):
    assert "widgets" not in notebook.metadata
    assert notebooks.WIDGET_VIEW not in nbformat.writes(notebook)


def test_every_figure_has_its_own_text(notebook):
    for cell in notebooks.code_cells(notebook):
        assert len(figures(cell)) <= 1, f"two figures share one alt text after `{notebooks.head(cell)}`"
        if figures(cell):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 4, f"the figure of `{notebooks.head(cell)}` lacks an alt text"


def test_cells_fit_a_screen(notebook):
    for cell in notebooks.code_cells(notebook):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, notebooks.head(cell)


def test_it_starts_with_the_bootstrap_cell(notebook):
    first = notebooks.code_cells(notebook)[0]
    assert (first.id, first.source) == ("bootstrap", notebooks.bootstrap()), "run `make notebooks`"
    assert sum("pip install" in cell.source for cell in notebook.cells) == 1


@pytest.mark.parametrize("claim", breaks.load())
def test_what_breaks_a_claim_is_what_its_note_says(claim):
    """That the edits find their text; `tools/breaks.py` tries what comes of them."""
    edit, notebook = breaks.load()[claim], breaks.chapters()[claim]
    assert breaks.broken(notebook, claim, **edit)
    (checked,) = (index for index, cell in enumerate(notebook.cells) if claim in notebooks.claims_in(cell))
    note = next(cell.source for cell in notebook.cells[checked:] if "**Break it.**" in cell.source)
    assert f"*{edit['verdict']}*" in note[note.index("**Break it.**") :]


def test_every_check_can_be_broken():
    checked = [set(notebooks.claims_in(cell)) for cell in cells_of_all_chapters() if notebooks.claims_in(cell)]
    assert all(of_cell & breaks.load().keys() for of_cell in checked)


def test_every_quiz_is_asked_once():
    asked = re.findall(r'Quiz\("([\w-]+)"\)', "\n".join(cell.source for cell in cells_of_all_chapters()))
    assert sorted(asked) == sorted(quiz.load_quizzes())


def test_claims_are_compared(notebook):
    for cell in notebooks.code_cells(notebook):
        if notebooks.claims_in(cell):
            assert "nbval-check-output" in cell.metadata.get("tags", []), (
                f"`{notebooks.head(cell)}` lacks the tag nbval-check-output"
            )


@pytest.mark.parametrize("path", [*CHAPTERS, *MASTERS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_measured_number_is_compared(path):
    """Its last digits are another processor's or backend's. The numbers in a claim's statement are the lecture's."""
    statements = [claim.statement for claim in claims.load().values()]
    for cell in notebooks.code_cells(nbformat.read(path, as_version=4)):
        if "nbval-check-output" in cell.metadata.get("tags", []):
            assert all(output.output_type == "stream" for output in cell.outputs), notebooks.head(cell)
            text = "".join(output.text for output in cell.outputs)
            for statement in statements:
                text = text.replace(statement, "")
            assert not MEASURED.search(text), f"`{notebooks.head(cell)}` prints {MEASURED.search(text)[0]}"


def test_each_claim_is_checked_in_its_chapter():
    checked = {}
    for path in CHAPTERS:
        for cell in notebooks.code_cells(nbformat.read(path, as_version=4)):
            checked |= dict.fromkeys(notebooks.claims_in(cell), path.stem)
    assert checked.keys() == claims.load().keys()
    for claim_id, chapter in checked.items():
        assert chapter[3:].startswith(claims.load()[claim_id].chapter), f"{claim_id} is checked in {chapter}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_the_pages_know_the_chapter(chapter):
    topic = next(claim.chapter for claim in claims.load().values() if chapter.stem[3:].startswith(claim.chapter))
    assert f"automodule:: coursekit.{topic}\n" in (ROOT / "book" / "api.md").read_text("utf-8")
    assert f":::{{chapter}} {chapter.stem}\n" in (ROOT / "book" / "index.md").read_text("utf-8")


def test_the_citation_names_this_version():
    assert f"\nversion: {coursekit.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_a_chapter_opens_with_a_figure_to_play_with(notebook):
    """After the one that installs and the one that imports, which the site does not show."""
    title, *_ = notebook.cells
    opening = notebooks.code_cells(notebook)[2]
    assert "?" in title.source, "the title's cell asks no question"
    assert re.fullmatch(r"[A-Z]\w+\([^\n]*\)", opening.source)
    assert 'class="coursekit-widget"' in opening.outputs[0]["data"]["text/html"]


def test_a_chapter_ends_with_all_its_verdicts(notebook, request):
    topic = next(claim.chapter for claim in claims.load().values() if claim.chapter in request.node.callspec.id)
    (cell,) = [cell for cell in notebooks.code_cells(notebook) if cell.source == f'claims.verdicts("{topic}")']
    on_record = claims.verify()
    of_topic = [claim_id for claim_id, claim in claims.load().items() if claim.chapter == topic]
    lines = [f"{claims.judged(claim_id, on_record)[0]:18} {claim_id}\n" for claim_id in of_topic]
    assert cell.outputs[0]["text"] == "".join(lines)
