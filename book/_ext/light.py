"""Pages that come fast and do not jump: each loads what it uses, and its images keep their place before they are there.

All pages share one style sheet, since nothing is drawn before the last of them is there. Of the theme's style the site
uses a quarter, and of its icons about twenty: rules that can apply to nothing are left out, and the icons stay the
theme's own font, cut down to these. Of the elements of code every other one has the color of code: names, brackets and
spaces do without.
"""

import base64
import io
import logging
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
    "clipboard": "highlight",
    "copybutton": "highlight",
    "design-tabs": "sd-",
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
# Scripts that have nothing to do before there is a reader. In book/_templates/static/webpack-macros.html is one more.
LATER = ("clipboard.min.js", "copybutton.js")
SCRIPT = Path(__file__).with_name("light.js")

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
STYLE, BASIC = "styles/pydata-sphinx-theme.css", "basic.css"  # which the theme's begins with
SITE_STYLE = "site.css"  # what all pages load: book/_templates/static/webpack-macros.html
# Style sheets that are used to their last rule.
OURS = {"annotated.css", "cards.css", "custom.css", "maths.css", "widgets.css"}
CHARSET = '@charset "UTF-8";'
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
RULE = re.compile(r"([^{}]+)(\{[^{}]*\})")
EMPTY = re.compile(r"[^{};]+\{\s*\}")
# Commas outside of parentheses, which may have others in them; and what may hold of a selector, or need not.
SELECTORS = re.compile(r",(?![^()]*(?:\([^()]*\)[^()]*)*\))")
CONDITION = re.compile(r":(?:has|is|not|where)\((?:[^()]|\([^()]*\))*\)|\[[^]]*\]")
CLASS = re.compile(r"\.(-?[a-zA-Z_][\w-]*)")
QUOTED = """"[^"]*"|'[^']*'"""
VARIABLE = re.compile(
    rf"""(?<=[{{;\s])(--[\w-]+)\s*:(?:{QUOTED}|\((?:{QUOTED}|[^()"']|\([^()]*\))*\)|[^;{{}}"'(])*;?"""
)
# Of elements in the pages, and what Bootstrap gives a tooltip or a menu of the theme's. The rest of it is not used.
CLASSES = re.compile(r'class="?([^">]*)')
BOOTSTRAP = "bootstrap.js"
ADDED_BY_BOOTSTRAP = {"bs-tooltip-auto", "fade", "show", "tooltip", "tooltip-arrow", "tooltip-inner"}
ICON_FONT = re.compile(r"@font-face\{[^}]*vendor/fontawesome/webfonts/([\w-]+)\.woff2[^}]*\}")
ICON_CLASSES = {"fa-solid-900": {"fas", "fa-solid"}, "fa-brands-400": {"fab", "fa-brands"}, "fa-regular-400": {"far"}}
NOT_PUBLISHED = ("**/*.map", "scripts/fontawesome.js*", STYLE, "vendor/fontawesome/webfonts/*")


def leave_out(app, pagename, templatename, context, doctree):
    """Take off a page what nothing on it uses or shows, and let the scripts that are left not hold up its drawing."""
    body = DRAWN.sub(WITH_PROPORTIONS, PLAIN_CODE.sub(r"\1", context.get("body", "")))
    context["body"] = body
    context["script_files"] = [script for script in context["script_files"] if is_used(script, body)]
    context["css_files"] = []
    if templatename == "page.html":  # the page of the search has scripts of its own, which want the others first
        for script in context["script_files"]:
            name = Path(script.filename or "").name
            if name in LATER:
                script.attributes["type"] = "later"
            elif name and name not in AT_ONCE:
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


def write_style(app, error):
    """Write the style sheet of all pages: of others' rules, variables and icons those that the pages use."""
    if error:
        return
    static = Path(app.outdir) / "_static"
    for pattern in NOT_PUBLISHED:
        for file in static.glob(pattern):
            file.unlink()
    pages = [page.read_text("utf-8") for page in Path(app.outdir).rglob("*.html")]
    scripts = [script.read_text("utf-8") for script in static.rglob("*.js") if script.name != BOOTSTRAP]
    used = [sheet for sheet in app.builder.globalcontext["css_files"] if any(is_used(sheet, page) for page in pages)]
    files = [static / BASIC, THEME / STYLE, *(Path(app.outdir) / sheet.filename for sheet in used)]
    sheets = {file.name: COMMENT.sub("", file.read_text("utf-8").replace(CHARSET, "")) for file in files}

    shown = {name for page in pages for names in CLASSES.findall(page) for name in names.split()}
    known = shown | ADDED_BY_BOOTSTRAP | {word for script in scripts for word in re.findall(r"[\w-]+", script)}
    for name in sheets.keys() - OURS:
        sheets[name] = RULE.sub(lambda rule: applicable(*rule.groups(), known), sheets[name])
    style = with_icons("".join(sheets.values()), shown)
    style = without_unused(style, {name for text in (*pages, *scripts) for name in re.findall(r"--[\w-]+", text)})
    (static / SITE_STYLE).write_text(CHARSET + re.sub(r"\s*([{};])\s*|\s+", lambda gap: gap[1] or " ", style), "utf-8")


def applicable(selectors, declarations, known):
    """A rule with the selectors whose classes exist, conditions aside, or an empty text."""
    kept = [each for each in SELECTORS.split(selectors) if known.issuperset(CLASS.findall(CONDITION.sub("", each)))]
    return ",".join(kept) + declarations if kept else ""


def with_icons(style, shown):
    """The style with its icon fonts in it, cut down to what it draws, by its number or its character."""
    codes = {int(code, 16) for code in re.findall(r'"\\([0-9a-f]{4})"', style)}
    codes |= {ord(letter) for letter in style if not letter.isascii()}
    return ICON_FONT.sub(lambda face: font_face(face, codes) if shown & ICON_CLASSES[face[1]] else "", style)


def without_unused(style, known):
    """The style without variables that nothing reads, which some are by others alone, and without empty rules."""
    unused = set(VARIABLE.findall(style)) - known.union(re.findall(r"var\(\s*(--[\w-]+)", style))
    if not unused:
        return EMPTY.sub("", style)  # conditions that are about nothing any more
    style = VARIABLE.sub(lambda found: "" if found[1] in unused else found[0], style)
    return without_unused(EMPTY.sub("", style), known)


def font_face(face, codes):
    """A rule for a font, with the font of some characters in place of the address of all."""
    font = cut_font(THEME / "vendor" / "fontawesome" / "webfonts" / f"{face[1]}.ttf", codes)
    data = base64.b64encode(font).decode()
    return re.sub(r"src:[^;}]*", f'src:url(data:font/woff;base64,{data}) format("woff")', face[0])


def cut_font(file, codes):
    """The bytes of a font with some characters, their other forms and what it knows of laying them out, as WOFF."""
    logging.getLogger(subset.__name__).setLevel(logging.WARNING)  # or it tells of every table
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
    app.connect("build-finished", write_style, priority=900)  # when the theme has written the colors of code
    return {"parallel_read_safe": True, "parallel_write_safe": True}
