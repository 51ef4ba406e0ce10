"""Pages that come fast and do not jump: each loads what it uses, and its images keep their place before they are there.

Of the theme's style the site uses a quarter, and of its icons about twenty: rules that can apply to nothing are left
out, and the icons stay the theme's own font, cut down to these, in its style sheet. Of the elements of code every other
one has the color of code: names, brackets and spaces do without.
"""

import base64
import io
import re
from pathlib import Path

import offline
import pydata_sphinx_theme
from docutils import nodes
from fontTools import subset
from PIL import Image
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator

# Assets by a part of their name or text, and what a page has that uses them.
USED_BY = {
    "cards.css": "verdict",
    "clipboard": "highlight",
    "copybutton": "highlight",
    "design-tabs": "sd-",
    "mystnb": 'class="cell',
    "maths.css": "<math",
    "sphinx-design": "sd-",
    "widgets.": "coursekit-widget",
}
# What Pygments marks as a name, a bracket or a space, which the styles of both themes give no color of its own.
PLAIN_CODE = re.compile(r'<span class="(?:n|nn|nx|p|w)">([^<]*)</span>')
# What a card draws. With its proportions it keeps its place before it is drawn, which is when it comes near the screen.
DRAWN = re.compile(r'<svg (viewBox="0 0 ([\d.]+) ([\d.]+)") (aria-hidden="true")>')
WITH_PROPORTIONS = r'<svg class="drawn-near" \1 style="aspect-ratio: \2 / \3" \4>'
# Scripts that others, or the first look of the page, cannot wait for.
AT_ONCE = ("documentation_options.js", "explorer.js", "light.js", "story.js")
SCRIPT = Path(__file__).with_name("light.js")

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
STYLE = "styles/pydata-sphinx-theme.css"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
RULE = re.compile(r"([^{}]+)(\{[^{}]*\})")
SELECTORS = re.compile(r",(?![^()]*\))")
CONDITION = re.compile(r":(?:has|is|not|where)\(.*?\)+")
# Of elements in the pages, and what scripts give theirs; the last is put together in the theme's script.
CLASSES = re.compile(r'class="?([^">]*)')
ADDED_BY_SCRIPTS = {"bs-tooltip-auto"}
ICON_FONT = re.compile(r"@font-face\{[^}]*vendor/fontawesome/webfonts/([\w-]+)\.woff2[^}]*\}")
ICON_CLASSES = {"fa-solid-900": {"fas", "fa-solid"}, "fa-brands-400": {"fab", "fa-brands"}, "fa-regular-400": {"far"}}
NOT_PUBLISHED = ("**/*.map", "scripts/fontawesome.js*", "vendor/fontawesome/webfonts/*")


def leave_out(app, pagename, templatename, context, doctree):
    """Take off a page what nothing on it uses or shows, and let the scripts that are left not hold up its drawing."""
    body = DRAWN.sub(WITH_PROPORTIONS, PLAIN_CODE.sub(r"\1", context.get("body", "")))
    context["body"] = body
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context[kind] if is_used(asset, body)]
    if templatename == "page.html":  # the page of the search has scripts of its own, which want the others first
        for script in context["script_files"]:
            if script.filename and Path(script.filename).name not in AT_ONCE:
                script.attributes["defer"] = "defer"


def is_used(asset, body):
    text = f"{asset.filename} {asset.attributes.get('body', '')}"
    return all(sign in body for name, sign in USED_BY.items() if name in text)


def compress(app, doctree):
    """Store a notebook's figures as WebP, without loss but for photographs, which that makes several times as large."""
    if not app.env.doc2path(app.env.docname).endswith(".ipynb"):
        return
    for node in doctree.findall(nodes.image):
        png = Path(app.env.relfn2path(node["uri"], app.env.docname)[1])
        if png.suffix == ".png":
            node["uri"] = node["uri"].removesuffix(".png") + ".webp"
            webp = png.with_suffix(".webp")
            if not webp.exists():
                webp.write_bytes(as_webp(Image.open(png)))


def as_webp(image):
    lossless, lossy = io.BytesIO(), io.BytesIO()
    image.save(lossless, "webp", lossless=True)
    image.save(lossy, "webp", quality=92)
    return min(lossless, lossy, key=lambda file: file.tell() * (3 if file is lossy else 1)).getvalue()


def visit_image(self, node):
    """An image with its size; all but the first of a page are loaded when they come near the screen."""
    size = get_image_size(Path(self.builder.srcdir) / node["uri"])
    HTML5Translator.visit_image(self, node)
    attributes = f'width="{size[0]}" height="{size[1]}" ' if size else ""
    if getattr(self, "has_image", False):
        attributes += 'loading="lazy" decoding="async" '
    self.has_image = True
    self.body[-1] = self.body[-1].replace("<img ", f"<img {attributes}", 1)


def cut_style(app, error):
    """Write the theme's style with the rules and icons that the pages use, and delete what no page asks for."""
    if error:
        return
    static = Path(app.outdir) / "_static"
    pages = [page.read_text("utf-8") for page in Path(app.outdir).rglob("*.html")]
    shown = {name for page in pages for names in CLASSES.findall(page) for name in names.split()}
    for pattern in NOT_PUBLISHED:
        for file in static.glob(pattern):
            file.unlink()
    scripts = [script.read_text("utf-8") for folder in (static, static / "scripts") for script in folder.glob("*.js")]
    known = shown | ADDED_BY_SCRIPTS | {word for script in scripts for word in re.findall(r"[\w-]+", script)}
    style = COMMENT.sub("", (THEME / STYLE).read_text("utf-8"))
    style = RULE.sub(lambda rule: applicable(*rule.groups(), known), style)
    # The theme's styles draw some icons by their number, and some by their character.
    others = (static / "styles" / "sphinx-book-theme.css").read_text("utf-8")
    codes = {int(code, 16) for code in re.findall(r'"\\([0-9a-f]{4})"', style + others)}
    codes |= {ord(letter) for letter in style if not letter.isascii()}
    style = ICON_FONT.sub(lambda face: font_face(face, codes) if shown & ICON_CLASSES[face[1]] else "", style)
    (static / STYLE).write_text(style, "utf-8")


def applicable(selectors, declarations, known):
    """A rule with the selectors whose classes exist, conditions aside, or an empty text."""
    kept = [
        selector
        for selector in SELECTORS.split(selectors)
        if known.issuperset(re.findall(r"\.([a-zA-Z_][\w-]*)", CONDITION.sub("", selector)))
    ]
    return ",".join(kept) + declarations if kept else ""


def font_face(face, codes):
    """A rule for a font, with the font of some characters in place of the address of all."""
    font = cut_font(THEME / "vendor" / "fontawesome" / "webfonts" / f"{face[1]}.ttf", codes)
    data = base64.b64encode(font).decode()
    return re.sub(r"src:[^;}]*", f'src:url(data:font/woff;base64,{data}) format("woff")', face[0])


def cut_font(file, codes):
    """The bytes of a font with some characters, their other forms and what it knows of laying them out, as WOFF."""
    font = subset.load_font(file, subset.Options())
    cutter = subset.Subsetter()
    cutter.populate(unicodes=codes)
    cutter.subset(font)
    font.flavor = "woff"
    cut = io.BytesIO()
    font.save(cut)
    return cut.getvalue()


def setup(app):
    offline.publish(app, SCRIPT)
    app.add_js_file(SCRIPT.name)
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
    app.connect("doctree-read", compress, priority=400)  # before Sphinx collects the images
    app.connect("html-page-context", leave_out, priority=900)  # when all extensions have added theirs
    app.connect("build-finished", cut_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
