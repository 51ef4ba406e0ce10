"""Everything a page loads comes from the site itself, which may also be a folder on a disk: the widgets, too."""

import hashlib
import html
import json
import re
import shutil
from pathlib import Path

from coursekit.widgets import base

LOADER = Path(__file__).with_name("widgets.js")
SHOWN = re.compile(r'class="coursekit-widget" data-widget="(\w+)"')
# The weights of a network, for instance: they come in a file of their own, when the widget is drawn.
LONG_STATE = re.compile(r'data-state="([^"]{50000,})"')


def configure(app, config):
    config.html_js_files = [("widgets.js", {"defer": "defer"}), ("search.js", {"defer": "defer"})]


def publish(app, file):
    """Copy a script or a style sheet of ours to where the pages load it from by its name."""
    app.connect("config-inited", lambda app, config: config.html_static_path.append(str(file)))


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
    body = context.get("body", "")
    for name in sorted(set(SHOWN.findall(body))):
        app.add_js_file(f"widgets/{name}.js", defer="defer")
    for text in LONG_STATE.findall(body):
        name = f"state-{hashlib.sha256(text.encode()).hexdigest()[:12]}.js"
        script = f"(globalThis.STATES ??= {{}})[{json.dumps(name)}] = {html.unescape(text)};\n"
        Path(app.outdir, "_static", "widgets", name).write_text(script, "utf-8")
        context["body"] = context["body"].replace(f'data-state="{text}"', f'data-state-in="{name}"')


def setup(app):
    app.connect("config-inited", configure)
    app.connect("builder-inited", write_widgets)
    app.connect("html-page-context", add_widgets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
