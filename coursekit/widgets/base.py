"""One JavaScript module, two hosts.

``NAME.js`` exports ``render({model, el})``. Jupyter and Colab run it as an anywidget. On the static page
``book/_ext/widgets.js`` finds the ``div`` that ``Widget.html`` writes and calls the same ``render`` on its state.
"""

import html
import json
from pathlib import Path

import anywidget

FOLDER = Path(__file__).parent


def module(name):
    """Source of ``name``.js as the one self-contained module that anywidget takes: with ``dom.js`` for its import."""
    source = (FOLDER / f"{name}.js").read_text("utf-8")
    imported, rest = source.split("\n", 1)
    if not imported.endswith('from "./dom.js";'):
        raise ValueError(f'The first line of {name}.js must import from "./dom.js", and nothing else may be imported.')
    return (FOLDER / "dom.js").read_text("utf-8") + rest


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
