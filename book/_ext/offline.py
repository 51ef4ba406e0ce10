"""Everything a page loads comes from the site itself: MathJax is copied in, and widgets load as modules."""

from importlib.util import find_spec
from pathlib import Path

from sphinx.util.fileutil import copy_asset

# The package brings every MathJax component, 24 MB; pages use the TeX reader, its extensions and the web fonts.
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
MATHJAX_USED = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")

# Jupyter Book adds every .js file it finds as a plain script; ours are modules, and the loader imports the others.
SCRIPTS = [("widgets.js", {"type": "module"})]


def configure(app, config):
    config.mathjax_path = "mathjax/tex-chtml.js"
    config.html_js_files = SCRIPTS


def copy_mathjax(app, error):
    if error is None:
        for used in MATHJAX_USED:
            target = Path(app.outdir) / "_static" / "mathjax" / used
            source = MATHJAX / used
            copy_asset(source, target if source.is_dir() else target.parent)


def setup(app):
    app.connect("config-inited", configure)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
