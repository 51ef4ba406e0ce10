"""Everything a page loads comes from the site itself, which may also be a folder on a disk: the widgets, too."""

import json
import re
import shutil
from pathlib import Path

from coursekit.widgets import base

LOADER = Path(__file__).with_name("widgets.js")
SHOWN = re.compile(r'class="coursekit-widget" data-widget="(\w+)"')


def configure(app, config):
    config.html_js_files = [("widgets.js", {"defer": "defer"}), ("search.js", {"defer": "defer"})]


def widget_names():
    return [path.stem for path in sorted(base.FOLDER.glob("*.js")) if path.stem not in base.LIBRARIES]


def widget_script(name):
    """Return the script that knows a widget: its module, which Jupyter runs too, as text."""
    return f"(globalThis.WIDGETS ??= {{}}).{name} = {json.dumps(base.module(name))};\n"


def widgets_script():
    """Return all that a page without the site's other scripts needs to draw widgets."""
    return "".join(map(widget_script, widget_names())) + LOADER.read_text("utf-8")


def write_widgets(app):
    folder = Path(app.outdir) / "_static" / "widgets"
    folder.mkdir(parents=True, exist_ok=True)
    for name in widget_names():
        (folder / f"{name}.js").write_text(widget_script(name), "utf-8")
    shutil.copy(LOADER, folder.parent)


def add_widgets(app, pagename, templatename, context, doctree):
    """Give a page the scripts of the widgets that it shows, before the one that draws them."""
    for name in sorted(set(SHOWN.findall(context.get("body", "")))):
        app.add_js_file(f"widgets/{name}.js", defer="defer")


def setup(app):
    app.connect("config-inited", configure)
    app.connect("builder-inited", write_widgets)
    app.connect("html-page-context", add_widgets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
