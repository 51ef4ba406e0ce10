"""The maintainers' tools: what the notebook runner keeps and drops, and what each says where it cannot go on."""

import json

import environment
import nbformat
import notebooks
import pytest
import repository
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PLAIN = {"text/plain": "<Slider object at 0x7f0123456789>"}
VIEW = {notebooks.WIDGET_VIEW: {"model_id": "a1b2"}}
RUN = {"seconds": 5, "backend": "tensorflow", "device": "CPU", "versions": {}, "date": "2026-01-01"}


def normalized(*outputs, **metadata):
    cell = new_code_cell("x", outputs=list(outputs), metadata=metadata, execution_count=7)
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), cell], metadata={"widgets": {}, "colab": {}})
    notebooks.normalize(notebook, RUN)
    nbformat.validate(notebook)
    return notebook


def shown(data, **metadata):
    return new_output("display_data", data, metadata=metadata)


def test_cells_count_from_one_and_keep_only_what_means_something():
    notebook = normalized(tags=["nbval-check-output"], collapsed=True)
    assert notebook.cells[1].execution_count == 1
    assert notebook.cells[1].metadata == {"tags": ["nbval-check-output"]}
    assert notebook.metadata.keys() == {"kernelspec", "language_info", "coursekit"}


def test_of_a_widget_its_html_stays():
    (output,) = normalized(shown(PLAIN | VIEW | {"text/html": "<div></div>"})).cells[1].outputs
    assert output.data == {"text/plain": "<Slider object>", "text/html": "<div></div>"}


def test_a_widget_without_html_leaves_nothing():
    assert normalized(shown(PLAIN | VIEW)).cells[1].outputs == []


def test_alt_text_moves_to_where_the_site_looks_for_it():
    figure = shown({"image/png": "aGk="}, **{"image/png": {"alt": "A rising line.", "width": 5}})
    cell = normalized(figure).cells[1]
    assert cell.metadata.mystnb == {"image": {"alt": "A rising line."}}
    assert cell.outputs[0].metadata == {"image/png": {"alt": "A rising line."}}


def test_normalizing_twice_changes_nothing():
    notebook = normalized(shown(PLAIN), new_output("stream", text="confirmed\n"))
    again = nbformat.from_dict(notebook)
    notebooks.normalize(again, RUN)
    assert again == notebook


def test_a_path_of_this_machine_is_refused():
    with pytest.raises(notebooks.NotebookError, match="cell `x` prints a path"):
        normalized(new_output("stream", text=f"{notebooks.ROOT}/book"))


@pytest.mark.replay
def test_a_run_that_changes_nothing_leaves_the_file_and_one_that_fails_too(tmp_path):
    path = tmp_path / "01-small.ipynb"
    cells = [new_code_cell("import coursekit\ncoursekit.setup()"), new_code_cell("print(1)\nobject()", id="print")]
    nbformat.write(new_notebook(cells=cells), path)
    assert notebooks.refresh(path).startswith("written")
    first = path.read_bytes()
    assert nbformat.read(path, as_version=4).cells[0].id == "bootstrap"
    assert notebooks.refresh(path).startswith("unchanged")
    assert path.read_bytes() == first

    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = "value = 0\n1 / value"
    nbformat.write(notebook, path)
    broken = path.read_bytes()
    with pytest.raises(notebooks.NotebookError, match="cell `value = 0` fails with ZeroDivisionError"):
        notebooks.refresh(path)
    assert path.read_bytes() == broken


def test_what_is_no_chapter_is_refused(tmp_path):
    path = tmp_path / "x.ipynb"
    with pytest.raises(notebooks.NotebookError, match="there is no such file"):
        notebooks.refresh(path)
    path.write_text("no")
    with pytest.raises(notebooks.NotebookError, match="cannot be read as a notebook"):
        notebooks.refresh(path)
    # As Colab saves it: without ids.
    cell = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": 1}
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 0}))
    with pytest.raises(notebooks.NotebookError, match="first code cell must be the one that calls"):
        notebooks.refresh(path)


def test_a_python_that_does_not_fit_is_named_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(environment, "SUPPORTED", ((2, 0),))
    with pytest.raises(SystemExit) as exit_:
        environment.suitable_python()
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "needs Python 3.11, 3.12 or 3.13" in said


def test_a_package_that_cannot_be_fetched_is_one_sentence_after_the_cause(capsys):
    with pytest.raises(SystemExit):
        environment.run("A package could not be fetched.", "bash", "-c", "echo cause; exit 1")
    assert capsys.readouterr().err == "cause\nA package could not be fetched.\n"


@pytest.mark.parametrize(
    "url", ["https://github.com/me/fork", "https://github.com/me/fork.git", "https://github.com/me/fork/"]
)
def test_an_address_gives_owner_and_name(url):
    assert repository.owner_and_name(url) == "me/fork"


@pytest.mark.parametrize("url", ["", "me/fork", "https://github.com/me", "git@github.com:me/fork.git"])
def test_what_is_no_address_is_refused(url, capsys):
    with pytest.raises(SystemExit) as exit_:
        repository.owner_and_name(url)
    assert exit_.value.code == 2 and "looks like" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [notebooks.NotebookError, KeyboardInterrupt, None])
def test_records_of_a_run_that_failed_are_put_back(tmp_path, failure):
    folder = tmp_path / "records"
    (folder / "quick").mkdir(parents=True)
    (folder / "quick" / "old.json").write_text("old")
    try:
        with notebooks.kept_unless_done(folder):
            (folder / "quick" / "old.json").write_text("new")
            (folder / "full").mkdir()
            (folder / "full" / "other.json").write_text("new")
            (folder / "full" / "sweep.jsonl").write_text("a finished run")
            if failure:
                raise failure
    except (notebooks.NotebookError, KeyboardInterrupt):
        assert failure
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.json*")}
    assert found.pop("full/sweep.jsonl") == "a finished run"
    assert found == ({"quick/old.json": "old"} if failure else {"quick/old.json": "new", "full/other.json": "new"})
