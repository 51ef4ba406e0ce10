"""One JavaScript module, two hosts.

``NAME.js`` exports ``render({model, el})``. Jupyter and Colab run it as an anywidget. On the static page
``book/_ext/widgets.js`` finds the ``div`` that ``Widget.html`` writes and calls the same ``render`` on its state.
"""

import html
import itertools
import json
from pathlib import Path

import anywidget

FOLDER = Path(__file__).parent
LIBRARIES = ("dom", "nn")  # what the widgets' modules are made with: nodes of the page, networks that train in it


def source(name):
    """Text of ``name``.js."""
    return (FOLDER / f"{name}.js").read_text("utf-8")


def parts(name):
    """What the module ``name``.js is made of: the names of the libraries that it imports from, and the rest of it."""
    lines = source(name).splitlines(keepends=True)
    imports = [*itertools.takewhile(lambda line: line.startswith("import "), lines)]
    libraries = [library for library in LIBRARIES for line in imports if line.endswith(f' from "./{library}.js";\n')]
    if not imports or len(libraries) < len(imports):
        raise ValueError(
            f'The first lines of {name}.js must import from "./dom.js" or "./nn.js", and nothing else may be imported.'
        )
    return libraries, "".join(lines[len(imports) :])


def module(name):
    """Source of ``name``.js as the one module that anywidget takes: behind the libraries that it imports from."""
    libraries, rest = parts(name)
    return "".join(map(source, libraries)) + rest


class Widget(anywidget.AnyWidget):
    """Base of the widgets that compute in the browser.

    A subclass sets ``_name`` (of its JavaScript module) and ``_esm = module(_name)``, tags the traits that the module
    reads with ``sync=True, state=True``, and writes ``fallback()``: the HTML for readers without JavaScript.
    """

    _css = (FOLDER / "widgets.css").read_text("utf-8")

    def fallback(self):
        """The HTML for readers without JavaScript, a str."""
        raise NotImplementedError

    def html(self):
        """The ``div`` that the static page's loader turns into the widget; it holds the fallback until then."""
        state = {name: getattr(self, name) for name in sorted(self.traits(state=True))}
        text = html.escape(json.dumps(state, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        opening = f'<div class="coursekit-widget" data-widget="{self._name}" data-state="{text}">'
        return f"{opening}{self.fallback()}</div>"

    def _repr_mimebundle_(self, **kwargs):
        # ipywidgets 7 (Colab) displays without asking for this: there, only the live widget is stored.
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": self.html()}, metadata
