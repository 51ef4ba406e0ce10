"""Everything a page loads comes from the site itself, which may also be a folder on a disk: MathJax and the widgets."""

import json
from importlib.util import find_spec
from pathlib import Path

from sphinx.util.fileutil import copy_asset

from coursekit.widgets import base

# The package brings every MathJax component, 24 MB; pages use the TeX reader, its extensions and the web fonts.
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
MATHJAX_USED = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "output/chtml/fonts/woff-v2",
    "a11y/assistive-mml.js",
)


def configure(app, config):
    config.mathjax_path = "mathjax/startup.js"
    config.html_js_files = [("widgets.js", {"defer": "defer"}), ("search.js", {"defer": "defer"})]


def widgets_script():
    """Return the script that draws the widgets of a page: libraries and widgets as text, then the loader."""
    libraries = {name: base.source(name) for name in base.LIBRARIES}
    widgets = [path.stem for path in sorted(base.FOLDER.glob("*.js")) if path.stem not in libraries]
    lines = [
        f"const LIBRARIES = {json.dumps(libraries)};",
        f"const WIDGETS = {json.dumps({name: base.parts(name) for name in widgets})};",
        Path(__file__).with_name("widgets.js").read_text("utf-8"),
    ]
    return "\n".join(lines)


def write_widgets(app):
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "widgets.js").write_text(widgets_script(), "utf-8")


def copy_mathjax(app, error):
    if error is None:
        for used in MATHJAX_USED:
            target = Path(app.outdir) / "_static" / "mathjax" / used
            source = MATHJAX / used
            copy_asset(source, target if source.is_dir() else target.parent)


def setup(app):
    app.connect("config-inited", configure)
    app.connect("builder-inited", write_widgets)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
