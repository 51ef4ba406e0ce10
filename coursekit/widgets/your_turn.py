"""The "your turn" panel: choose settings, press Run, and see one's own result over the recorded ones."""

import base64
import html
import sys
import threading
import time
from collections.abc import Sequence

import ipywidgets
from IPython.display import Image


class Interrupted(Exception):
    """Raised by ``progress`` inside a run whose Stop button was pressed."""


class YourTurn(ipywidgets.VBox):
    """A panel that trains with the reader's settings. It starts nothing by itself.

    In Jupyter the run has a thread of its own, because a busy kernel hears of no button. Colab does not show what a
    thread sends (googlecolab/colabtools#3373), so there the kernel does the work, and its "Interrupt execution" stops
    it.

    Args:
        run: function; ``run(progress=progress, **settings)`` trains and returns any result. It calls
            ``progress(fraction)`` between its steps, which moves the bar and raises ``Interrupted`` once Stop was
            pressed.
        draw: function; ``draw(runs)`` returns an image, as the functions of ``coursekit.plots`` do, of the recorded
            results and of ``runs``, a list of ``(settings, result)``, empty at first.
        **controls: each a control: the values to choose from, or an ipywidget that has a value.

    Raises:
        ValueError: for any other control, none, or a ``draw`` that returns no image.

    >>> from coursekit import plots
    >>> def run(progress, rate):
    ...     return [rate, 2 * rate]
    >>> def draw(runs):
    ...     yours = {f"yours, rate {settings['rate']}": result for settings, result in runs}
    ...     series = {"recorded": [0.1, 0.3]} | yours
    ...     return plots.curves([1, 2], series, alt="Rising.", xlabel="epochs", ylabel="accuracy")
    >>> YourTurn(run, draw, rate=(0.01, 0.1))
    YourTurn(rate)
    """

    def __init__(self, run, draw, **controls):
        if not controls:
            raise ValueError("The panel needs at least one control: its name, and the values to choose from.")
        self._run, self._draw = run, draw
        self._controls = {name: control(name, choices) for name, choices in controls.items()}
        self._runs = []
        self._stopped = threading.Event()
        self._in_colab = "google.colab" in sys.modules

        self._run_button = ipywidgets.Button(description="Run", icon="play", button_style="primary")
        self._run_button.on_click(self._start)
        self._stop_button = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self._stop_button.on_click(lambda _: self._stopped.set())
        self._bar = ipywidgets.IntProgress(layout={"visibility": "hidden"})
        self._status = ipywidgets.HTML()
        self._figure = ipywidgets.HTML()
        for each in self._controls.values():
            each.observe(self._ready, "value")
        buttons = [self._run_button] if self._in_colab else [self._run_button, self._stop_button]
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            [
                ipywidgets.HTML("<strong>Your turn</strong>"),
                ipywidgets.VBox([*self._controls.values()]),
                ipywidgets.Box([*buttons, self._bar, self._status], layout=wrap),
                self._figure,
            ]
        )
        self._show([])
        self._ready()

    def _settings(self):
        return {name: control.value for name, control in self._controls.items()}

    def _ready(self, _change=None):
        if not self._run_button.disabled:
            self._say(f"Ready to run with {words(self._settings())}.", role="status")

    def _start(self, _button):
        if self._run_button.disabled:
            return
        self._run_button.disabled, self._stop_button.disabled = True, False
        self._stopped.clear()
        self._bar.value, self._bar.layout.visibility = 0, "visible"
        self._say("Running. To stop: Runtime, Interrupt execution." if self._in_colab else "Running.")
        if self._in_colab:
            self._work(self._settings())
        else:
            threading.Thread(target=self._work, args=[self._settings()], daemon=True).start()

    def _work(self, settings):
        self._started = time.monotonic()
        try:
            result = self._run(progress=self._progress, **settings)
            self._show([*self._runs, (settings, result)])
        except (Interrupted, KeyboardInterrupt):
            self._say(f"Stopped at {self._bar.value} %; nothing was drawn.", role="alert")
        except Exception as error:
            self._say(f"The run failed: {type(error).__name__}: {error}".splitlines()[0], role="alert")
        else:
            self._say(f"Finished in {time.monotonic() - self._started:.0f} s.", role="alert")
        finally:
            self._bar.layout.visibility = "hidden"
            self._stop_button.disabled, self._run_button.disabled = True, False

    def _progress(self, fraction):
        if self._stopped.is_set():
            raise Interrupted
        percent = int(100 * fraction)
        if percent > self._bar.value:  # one message a percent, however many steps there are
            left = (time.monotonic() - self._started) * (1 - fraction) / fraction
            self._bar.value = percent
            self._say(f"{percent} %, about {left:.0f} s left.")

    def _show(self, runs):
        """Draws the runs, and keeps them only if that worked."""
        image = self._draw(runs)
        if not isinstance(image, Image):
            raise ValueError("draw must return an image, as the functions of coursekit.plots do.")
        source = f"data:image/png;base64,{base64.b64encode(image.data).decode()}"
        self._figure.value = f'<img style="max-width: 100%" alt="{html.escape(image.alt)}" src="{source}">'
        self._runs = runs

    def _say(self, text, role="none"):
        self._status.value = f'<span role="{role}">{html.escape(text)}</span>'

    def __repr__(self):
        return f"YourTurn({', '.join(self._controls)})"

    def _repr_mimebundle_(self, **kwargs):
        # ipywidgets 7 (Colab) displays without asking for this: there, only the live panel is stored.
        settings = html.escape(", ".join(self._controls).replace("_", " "))
        note = (
            '<div class="coursekit-widget" role="note"><p><strong>Your turn.</strong> Run this chapter in Jupyter, '
            f"Binder or Colab to use this panel: choose settings ({settings}), press Run, and see your result over the "
            "recorded ones.</p></div>"
        )
        return {**super()._repr_mimebundle_(**kwargs), "text/html": note}


def control(name, choices):
    """An ipywidget as it is, or one button a value: JupyterLab takes the arrow keys from a menu or a slider."""
    if isinstance(choices, ipywidgets.ValueWidget):
        return choices
    if not isinstance(choices, Sequence) or isinstance(choices, str) or len(choices) < 2:
        raise ValueError(f"The control {name!r} needs two or more values to choose from, or an ipywidget.")
    style = {"description_width": "initial", "button_width": "auto"}
    return ipywidgets.ToggleButtons(options=list(choices), description=name.replace("_", " "), style=style)


def words(settings):
    """``{"frozen_layers": 3, "labels": 5}`` as "frozen layers 3, labels 5"."""
    return ", ".join(f"{name} {value}" for name, value in settings.items()).replace("_", " ")
