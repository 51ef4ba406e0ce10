"""The reading view of a chapter: its code folded to bars of one line, and results that wait for a guess.

Code keeps its place behind a bar that says what the cell does and how long it is, but for the cells with the tag
``show-input``. What only serves the notebook, imports for instance, shows with the rest of the code or not at all. What
comes after a question, up to the next question or heading, waits until the reader has answered it or asks to see it.
Without JavaScript, and in print, nothing waits.
"""

import ast
import json
import math
import re
from functools import cache
from pathlib import Path

import ledger
import offline
import repository_address
from docutils import nodes

from coursekit import widgets

SCRIPT = Path(__file__).with_name("story.js")
QUIZ = re.compile(r"Quiz\(\"([\w-]+)\"\)$")
RECORDED = re.compile(r"^recorded · (\d+) runs.*\n?", re.MULTILINE)
# Read and unhurried: words a minute, and minutes for a figure or a question.
WORDS, MINUTES = 200, 0.5
# What serves the notebook: cells that begin so, or whose last line calls one of these.
SETUP = re.compile(r"try:\n    import coursekit\b|import ")
CALLS = {*widgets.__all__, "records.write", "claims.verdicts"}


SWITCHES = """
<div class="reading" role="group" aria-label="How to read this page">
<button type="button" data-read="story">Story</button><button type="button" data-read="code">Code</button>
{more}
</div>
"""
# Of a page that asks. An exercise says itself how long it takes, and hides no result; it is done elsewhere.
GUESSING = """<label><input type="checkbox"> Results wait for my guess</label>
<span>{minutes} minutes to read {progress}</span>"""
DOING = "<span>Do it in {places} or <a href='{running}'>on your computer</a></span>"
BAR = """
<p class="waits-bar" data-for="{keys}">What came out waits for your {guess}. <button type="button">Show it</button></p>
"""
GUESSES = '<section class="guesses" aria-label="Your guesses" hidden></section>'


def style(waiting):
    """Hides what waits from the first moment on, so that the page does not jump. The script writes the attributes."""
    hidden = [f'html[data-guess-first]:not([data-guessed~="{key}"])' for key in waiting]
    rules = [f".waits-{key} {{ display: none }}" for key in waiting]
    bars = [f'.waits-bar[data-for~="{key}"] {{ display: flex }}' for key in waiting]
    lines = [f"{where} {rule}" for where, *both in zip(hidden, rules, bars, strict=True) for rule in both]
    return "<style>@media screen {" + "\n".join(lines) + "}</style>"


def arrange(app, doctree):
    """Fold the code of a page made from a notebook, and let the results of its questions wait."""
    cells = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    if not cells:
        return
    for cell in cells:
        fold(cell)
    waiting = [key for section in list(doctree.findall(nodes.section)) for key in let_wait(section)]
    title = next(iter(doctree.findall(nodes.title)))
    read = read_cells(app.env.doc2path(app.env.docname))
    if questions(read):
        more = GUESSING.format(minutes=minutes(read), progress=progress(read))
    else:
        places = ", ".join(repository_address.links_to_run(app.config.html_theme_options, app.env.docname))
        more = DOING.format(places=places, running=app.builder.get_relative_uri(app.env.docname, "running"))
    title.parent.insert(1, raw(SWITCHES.format(more=more) + style(waiting)))
    for cell in cells:
        if ledger.ASKS_FOR_VERDICTS.match(source_of(cell)):
            cell.parent.insert(cell.parent.index(cell) + 1, raw(GUESSES))


@cache
def read_cells(path):
    """The cells of a notebook, as its file has them."""
    return json.loads(Path(path).read_text("utf-8"))["cells"]


def minutes(cells):
    """How long a chapter takes to read, in minutes, to five of them."""
    texts = ["".join(cell["source"]) for cell in cells]
    words = sum(len(text.split()) for text, cell in zip(texts, cells, strict=True) if cell["cell_type"] == "markdown")
    figures = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", ()))
    return 5 * math.ceil((words / WORDS + (figures + len(questions(cells))) * MINUTES) / 5)


def progress(cells):
    """Where the script says how many of a chapter's questions the reader has met."""
    return f'<span class="progress-of" data-for="{" ".join(questions(cells))}"></span>'


def questions(cells):
    return [match[1] for cell in cells if (match := QUIZ.match("".join(cell["source"])))]


def fold(cell):
    """Put a cell's code behind a bar, which myst-nb draws."""
    source = source_of(cell)
    if not source:
        return
    tree = parsed(source)
    block = next(iter(cell.children[0].findall(nodes.literal_block)))
    shown = without_alt_texts(source, tree)
    block.replace_self(nodes.literal_block(shown, shown, **block.attributes))
    if SETUP.match(source):
        cell["classes"].append("setup")
    elif is_plumbing(tree) or "step" in tags_of(cell):
        cell["classes"].append("plumbing")
    elif is_read(cell):
        return
    number = len(source.splitlines())
    bar = f"{what_it_does(tree)} · {number} {'line' if number == 1 else 'lines'}{taken_from_record(cell)}"
    cell.attributes.update(hide_mode="input", prompt_show=bar, prompt_hide=bar)


def taken_from_record(cell):
    """Take the lines about recorded runs out of a cell's output. Returns what its bar says instead."""
    runs = 0
    for block in list(cell.children[-1].findall(nodes.literal_block)):
        text = block.astext()
        if "output" in block["classes"] and (numbers := RECORDED.findall(text)):
            runs += sum(map(int, numbers))
            if rest := RECORDED.sub("", text).strip("\n"):
                block.replace_self(nodes.literal_block(rest, rest, **block.attributes))
            else:
                block.parent.remove(block)
    return f" · {runs} runs on record" if runs else ""


def source_of(cell):
    first = cell.children[0] if cell.children else None
    return first.astext() if first is not None and first.get("nb_element") == "cell_code_source" else ""


def parsed(source):
    """The statements of a cell; IPython's own lines are none."""
    return ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.MULTILINE))


def is_read(node):
    """Whether a node is a cell whose code is to be read."""
    return node.get("nb_element") == "cell_code" and "show-input" in tags_of(node)


def tags_of(cell):
    return cell["cell_metadata"].get("tags", ())


def is_plumbing(tree):
    """Whether a cell serves the notebook: its last statement calls a widget, for instance, or it is the reader's."""
    *_, last = tree.body
    is_call = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)
    return (is_call and ast.unparse(last.value.func) in CALLS) or getattr(last, "name", "") == "your_run"


def calls_in(tree):
    """The calls of a cell: pairs of the name that is called and the node."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def what_it_does(tree):
    """A cell in a few words: the experiments, the check, the figure, or the names that it defines."""
    names = [
        word.value.value
        for called, call in calls_in(tree)
        if called.endswith("sweep")
        for word in call.keywords
        if word.arg == "name"
    ]
    if names:
        return f"Run the experiment{'s' if len(names) > 1 else ''} {', '.join(names)}"
    called = [name for name, _ in calls_in(tree)]
    if "claims.check" in called:
        return "Check the claim"
    if "check" in called:
        return "Check the answer"
    if "check.report" in called:
        return "Count the points"
    if any(name.startswith("plots.") for name in called):
        return "Draw the figure"
    if defined := [statement.name for statement in tree.body if hasattr(statement, "name")]:
        return f"Define {', '.join(defined)}"
    return "Compute"


def without_alt_texts(source, tree):
    """The source with alternative texts left out, which say what the reader sees below."""
    lines = source.splitlines(keepends=True)
    alts = [
        word.value
        for _, call in calls_in(tree)
        for word in call.keywords
        if word.arg == "alt" and isinstance(word.value, (ast.Constant, ast.JoinedStr))
    ]
    for alt in sorted(alts, key=lambda value: value.lineno, reverse=True):
        first, last = alt.lineno - 1, alt.end_lineno - 1
        before = lines[first].encode()[: alt.col_offset].decode()
        after = lines[last].encode()[alt.end_col_offset :].decode()
        lines[first : last + 1] = [f'{before}"…"{after}']
    return "".join(lines)


def let_wait(section):
    """Wrap what follows the questions of a section, up to the next question or heading. Returns the questions.

    Code that is to be read can be read before the answer: of it, only the output waits. Nor does a paragraph wait that
    leads to a further question.
    """
    found, asked, group, begun = [], [], [], False

    def hide(some):
        nonlocal begun
        if not some:
            return
        parent, place = some[0].parent, some[0].parent.index(some[0])
        for node in some:
            parent.remove(node)
        parent.insert(place, nodes.container("", *some, classes=["waits", *(f"waits-{key}" for key in asked)]))
        if not begun:
            parent.insert(
                place, raw(BAR.format(keys=" ".join(asked), guess="guess" if len(asked) == 1 else "guesses above"))
            )
        begun = True

    for node in list(section.children):
        question = QUIZ.match(source_of(node)) if isinstance(node, nodes.container) else None
        heading = isinstance(node, nodes.section)
        if question or heading or is_read(node):
            lead_in = question and group and isinstance(group[-1], nodes.paragraph)
            hide(group[:-1] if lead_in else group)
            group = []
        if heading:
            break
        if question:
            asked, begun = ([], False) if begun else (asked, False)
            asked.append(question[1])
            found.append(question[1])
        elif asked and is_read(node):
            hide([child for child in node.children if child.get("nb_element") == "cell_code_output"])
        elif asked:
            group.append(node)
    hide(group)
    return found


def raw(html):
    return nodes.raw("", html, format="html")


def setup(app):
    app.connect("doctree-read", arrange)
    offline.publish(app, SCRIPT)
    app.add_js_file(SCRIPT.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
