"""The source of a module beside its prose: `.. annotated:: coursekit.gan`.

Left is what the file says in words, its docstrings and the comments above a block, and right the code without them, in
the file's order. Where a page names something of these modules in code, `gan.GAN` for instance, that leads here.
"""

import ast
import io
import re
import tokenize
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from types import SimpleNamespace

import offline
import repository_address
from docutils import nodes
from sphinx import addnodes
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docutils import SphinxDirective
from story import raw

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "book" / "source"
STYLE = Path(__file__).with_suffix(".css")
NAMED = re.compile(r"(?:coursekit\.)?(\w+)(?:\.([\w.]+))?(?:\(.*\))?")


class Annotated(SphinxDirective):
    """A module, part by part. Its page has no contents beside it, and the search finds its prose on the API page."""

    required_arguments = 1

    def run(self):
        file = source_file(self.arguments[0])
        self.env.note_dependency(str(file))
        self.env.metadata[self.env.docname] |= {"nosearch": True, "html_theme.sidebar_secondary.remove": True}
        first, *others = parts(file.read_text("utf-8"))
        names = [part.name for part in others if part.name and is_public(part.name) and "." not in part.name]
        rows = [self.row(first, [*self.parse_text_to_nodes(first.doc), self.overview(names)])]
        rows += [self.row(part, self.prose(part)) for part in others]
        return [nodes.container("", *rows, classes=["annotated"])]

    def row(self, part, prose):
        code = nodes.container("", *map(literal, part.code), classes=["code"])
        return nodes.container("", nodes.container("", *prose, classes=["prose"]), code, classes=["part"])

    def overview(self, names):
        """What the module has for its callers, and where else it can be read."""
        file = source_file(self.arguments[0])
        links = [nodes.reference("", "", nodes.literal("", name), refuri=f"#{name}", internal=True) for name in names]
        between = [node for link in links for node in (nodes.Text(" · "), link)]
        places = [api_link(self.arguments[0], "API"), nodes.Text(" · "), on_github(file, f"{file.name} on GitHub")]
        paragraphs = nodes.paragraph("", "", *between[1:]), nodes.paragraph("", "", *places, classes=["places"])
        return nodes.container("", *paragraphs)

    def prose(self, part):
        """What is said of a part: its name, which can be linked to, the comment above it, and its docstring."""
        said = []
        if part.name:
            level = 2 + part.name.count(".")
            link = f'<a class="headerlink" href="#{part.name}" title="Link to this heading">#</a>'
            said.append(raw(f'<h{level} id="{part.name}"><code>{part.name}</code>{link}</h{level}>'))
            said.append(self.places(part))
        if part.note:
            said.append(nodes.paragraph("", part.note, support_smartquotes=False))  # it may have code
        if part.doc:
            said += self.docstring(part.doc)
        return said

    def places(self, part):
        file = source_file(self.arguments[0])
        first, last = part.lines
        places = [on_github(file, f"lines {first} to {last}", f"#L{first}-L{last}")]
        if part.doc and is_public(part.name):
            places = [api_link(f"{self.arguments[0]}.{part.name}", "API"), nodes.Text(" · "), *places]
        return nodes.paragraph("", "", *places, classes=["places"])

    def docstring(self, text):
        """A docstring as the API page shows it."""
        lines = GoogleDocstring(text, self.config, what="function").lines()
        described = [".. py:function:: _()", "   :no-index:", "", *(f"   {line}" for line in lines)]
        (content,) = nodes.container("", *self.parse_text_to_nodes("\n".join(described))).findall(addnodes.desc_content)
        return content.children


def parts(source):
    """Cut a module where something is defined, where that ends, and at each comment with lines of its own.

    Returns the parts in order, each with `name` and `lines` (first, last) of what it defines, or None; `doc`, its
    docstring; `note`, the comment above it; `code`, what is left, as runs of (number, line).
    """
    tree, lines = ast.parse(source), source.splitlines()
    defined = {first_line(node): (name, node) for name, node in definitions(tree)}
    notes = comments(source)
    documented = [tree, *(node for _, node in defined.values())]
    prose = {line for node in documented for line in lines_of_docstring(node)}
    prose |= {line for first, (last, _) in notes.items() for line in range(first, last + 1)}
    ends = {node.end_lineno + 1 for _, node in defined.values()}
    cuts = sorted({1, *defined, *notes, *ends} - {len(lines) + 1})
    found, note = [], ""
    for first, stop in pairwise([*cuts, len(lines) + 1]):
        name, node = defined.get(first, (None, tree if first == 1 else None))
        note = notes.get(first, (0, note))[1]
        code = runs({number: lines[number - 1] for number in range(first, stop) if number not in prose})
        if node is None and not code:
            continue  # what stands above a definition is said with it
        doc = ast.get_docstring(node) if node else None
        found.append(SimpleNamespace(name=name, lines=name and (first, node.end_lineno), doc=doc, note=note, code=code))
        note = ""
    return found


def definitions(node, within=""):
    """Functions and classes of a module, and the methods of these, each with its name."""
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield within + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from definitions(child, f"{within}{child.name}.")


def first_line(node):
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def lines_of_docstring(node):
    return range(node.body[0].lineno, node.body[0].end_lineno + 1) if ast.get_docstring(node) else ()


def comments(source):
    """Comments with lines of their own: their last line and their text, by their first line."""
    alone = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }
    return {run[0][0]: (run[-1][0], " ".join(text for _, text in run)) for run in consecutive(alone)}


def runs(numbered):
    """Consecutive lines, without empty ones before and after them."""
    filled = [[place for place, (_, line) in enumerate(run) if line.strip()] for run in consecutive(numbered)]
    return [run[at[0] : at[-1] + 1] for run, at in zip(consecutive(numbered), filled, strict=True) if at]


def consecutive(numbered):
    """Cut a dict by line number into lists of its items that follow each other."""
    groups = groupby(enumerate(sorted(numbered.items())), key=lambda item: item[1][0] - item[0])
    return [[item for _, item in group] for _, group in groups]


def literal(run):
    """Lines of code, each an element that has its number in the file."""
    text = "\n".join(line for _, line in run)
    numbers = {"linespans": "L", "linenostart": run[0][0]}
    return nodes.literal_block(text, text, language="python", highlight_args=numbers)


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def api_link(target, says):
    options = {"refdomain": "py", "reftype": "obj", "reftarget": target, "refexplicit": True}
    return addnodes.pending_xref("", nodes.inline("", says), **options)


def on_github(file, says, lines=""):
    address = f"{repository_address.address()}/blob/main/{file.relative_to(ROOT)}{lines}"
    return nodes.reference("", says, refuri=address)


def source_file(module):
    return ROOT / f"{module.replace('.', '/')}.py"


@cache
def names():
    """What can be linked to: the names that each annotated module defines, by the module's name."""
    return {
        page.stem: {
            name for name, _ in definitions(ast.parse(source_file(f"coursekit.{page.stem}").read_text("utf-8")))
        }
        for page in PAGES.glob("*.md")
    }


def address(module, name=""):
    """The place of a module, or of what it defines, in the site, or None."""
    module = module.removeprefix("coursekit.")
    if module not in names() or (name and name not in names()[module]):
        return None
    return f"source/{module}.html{name and f'#{name}'}"


def link_names(app, doctree, docname):
    """Let a name in the text lead to the lines that define it."""
    up = "../" * docname.count("/")
    for literal in list(doctree.findall(nodes.literal)):
        named = NAMED.fullmatch(literal.astext())
        place = named and (named[2] or "coursekit." in named[0]) and address(named[1], named[2] or "")
        if place and isinstance(literal.parent, nodes.TextElement) and not isinstance(literal.parent, nodes.reference):
            literal.replace_self(nodes.reference("", "", literal.deepcopy(), refuri=up + place, internal=True))


def setup(app):
    app.add_directive("annotated", Annotated)
    app.connect("doctree-resolved", link_names)
    offline.publish(app, STYLE)
    app.add_css_file(STYLE.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
