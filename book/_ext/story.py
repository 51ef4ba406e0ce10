"""The reading view of a chapter: its code folded to bars of one line, and results that wait for a guess.

Code keeps its place behind a bar that says what the cell does and how long it is, but for the cells with the tag
``show-input``. What only serves the notebook, imports for instance, shows with the rest of the code or not at all. What
comes after a question, up to the next question or heading, waits until the reader has answered it or asks to see it.
Without JavaScript, and in print, nothing waits.
"""

import ast
import re
from pathlib import Path

from docutils import nodes

from coursekit import widgets

SCRIPT = Path(__file__).with_name("story.js")
QUIZ = re.compile(r"Quiz\(\"([\w-]+)\"\)$")
# What serves the notebook: cells that begin so, or whose last line calls one of these.
SETUP = re.compile(r"try:\n    import coursekit\b|import ")
CALLS = {*widgets.__all__, "records.write", "claims.table"}


SWITCHES = """
<div class="reading" role="group" aria-label="How to read this page">
<button type="button" data-read="story">Story</button><button type="button" data-read="code">Code</button>
<label><input type="checkbox"> Results wait for my guess</label>
</div>
"""
BAR = """
<p class="waits-bar" data-for="{keys}">What came out waits for your guess. <button type="button">Show it</button></p>
"""


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
    title.parent.insert(1, raw(SWITCHES + style(waiting)))
    if waiting:
        title.parent.append(raw('<section class="guesses" aria-label="Your guesses" hidden></section>'))


def fold(cell):
    """Put a cell's code behind a bar, which myst-nb draws."""
    source = source_of(cell)
    if not source:
        return
    block = next(iter(cell.children[0].findall(nodes.literal_block)))
    shown = without_alt_texts(source)
    block.replace_self(nodes.literal_block(shown, shown, **block.attributes))
    if SETUP.match(source):
        cell["classes"].append("setup")
    elif is_plumbing(source):
        cell["classes"].append("plumbing")
    elif "show-input" in cell["cell_metadata"].get("tags", ()):
        return
    number = len(source.splitlines())
    bar = f"{what_it_does(source)} · {number} {'line' if number == 1 else 'lines'}"
    cell.attributes.update(hide_mode="input", prompt_show=bar, prompt_hide=bar)


def source_of(cell):
    first = cell.children[0] if cell.children else None
    return first.astext() if first is not None and first.get("nb_element") == "cell_code_source" else ""


def parsed(source):
    """The statements of a cell; IPython's own lines are none."""
    return ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.MULTILINE))


def is_plumbing(source):
    *_, last = parsed(source).body
    return called(last) in CALLS or getattr(last, "name", "") == "your_run"


def called(statement):
    """The name of what a statement calls, if it does nothing else."""
    is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    return ast.unparse(statement.value.func) if is_call else ""


def what_it_does(source):
    """A cell in a few words: the experiment, the check, the figure, or the names that it defines."""
    calls = {ast.unparse(node.func): node for node in ast.walk(parsed(source)) if isinstance(node, ast.Call)}
    if sweep := next((call for name, call in calls.items() if name.endswith("sweep")), None):
        names = [word.value.value for word in sweep.keywords if word.arg == "name"]
        return f"Run the experiment {names[0]}"
    if "claims.check" in calls:
        return "Check the claim"
    if any(name.startswith("plots.") for name in calls):
        return "Draw the figure"
    if defined := [statement.name for statement in parsed(source).body if hasattr(statement, "name")]:
        return f"Define {', '.join(defined)}"
    return "Compute"


def without_alt_texts(source):
    """The source with alternative texts left out, which say what the reader sees below."""
    lines = source.splitlines(keepends=True)
    alts = [
        word.value
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "alt" and isinstance(word.value, (ast.Constant, ast.JoinedStr))
    ]
    for alt in sorted(alts, key=lambda value: value.lineno, reverse=True):
        first, last = alt.lineno - 1, alt.end_lineno - 1
        before = lines[first].encode()[: alt.col_offset].decode()
        after = lines[last].encode()[alt.end_col_offset :].decode()
        lines[first : last + 1] = [f'{before}"…"{after}']
    return "".join(lines)


def let_wait(section):
    """Wrap what follows the questions of a section, up to the next question or heading. Returns the questions."""
    asked, found, group = [], [], []

    def close():
        if group:
            place = section.index(group[0])
            for node in group:
                section.remove(node)
            section.insert(place, raw(BAR.format(keys=" ".join(asked))))
            waits = nodes.container("", *group, classes=["waits", *(f"waits-{key}" for key in asked)])
            section.insert(place + 1, waits)
            group.clear()
            asked.clear()

    for node in list(section.children):
        match = QUIZ.match(source_of(node)) if isinstance(node, nodes.container) else None
        if match:
            close()
            asked.append(match[1])
            found.append(match[1])
        elif isinstance(node, nodes.section):
            break
        elif asked:
            group.append(node)
    close()
    return found


def raw(html):
    return nodes.raw("", html, format="html")


def setup(app):
    app.connect("doctree-read", arrange)
    app.connect("config-inited", lambda app, config: config.html_static_path.append(str(SCRIPT)))
    app.add_js_file(SCRIPT.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
