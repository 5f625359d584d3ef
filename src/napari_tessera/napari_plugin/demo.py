"""The demo in napari's window: opens the samples, trains on their scribbles, predicts, and says how good it is.

It presses the buttons that a person would press. ``napari-tessera demo`` runs it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QAbstractButton

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.opening import open_image
from napari_tessera.napari_plugin.home import HOME_VARIABLE
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.runner import RunState
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.samples import sample_layers
from napari_tessera.napari_plugin.training.train_widget import TrainWidget
from napari_tessera.pipeline.demo import SESSION_FOLDER, SETTINGS, TRAINING_SECONDS, check_demo_folder
from napari_tessera.pipeline.judging.evaluation import evaluate
from napari_tessera.pipeline.samples.samples import SAMPLES, Sample, load_sample

if TYPE_CHECKING:
    from napari import Viewer

PLUGIN = "napari-tessera"
DONE, FAILED, CANCELLED = 0, 1, 130
PAUSE_MS = 4000
"""How long a result can be looked at before the next sample takes its place."""


class Demo(QObject):
    """Leads samples, one after another, through the widgets Train and Predict.

    Parameters
    ----------
    viewer
        A viewer with a window.
    samples
        Names of the samples.
    seconds
        Limit of each training; None takes the demo's own.
    pause
        Milliseconds between one sample and the next.

    Attributes
    ----------
    status
        Exit status: done, failed, or cancelled, which it is until the last sample has been predicted.

    Signals
    -------
    said(str)
        A line on what has been reached, or why it goes no further.
    finished(int)
        It is over, with this `status`.
    """

    said = Signal(str)
    finished = Signal(int)

    def __init__(
        self,
        viewer: "Viewer",
        samples: Sequence[str] = tuple(SAMPLES),
        seconds: float | None = None,
        pause: int = PAUSE_MS,
    ) -> None:
        super().__init__()
        self.viewer = viewer
        self.status = CANCELLED
        self._waiting = list(samples)
        self._seconds = seconds
        self._pause = pause
        self._next: Callable[[], None] | None = None
        self.predict: PredictWidget = viewer.window.add_plugin_dock_widget(PLUGIN, "Predict")[1]
        self.train: TrainWidget = viewer.window.add_plugin_dock_widget(PLUGIN, "Train", tabify=True)[1]
        self.runner = self.train.runner
        self._open_sample()
        self.runner.state_changed.connect(self._on_state)

    def start(self) -> None:
        """Press Train; the rest follows."""
        self._press(self.train, self.train.train_button, self._predict)

    def _open_sample(self) -> None:
        """Open the next sample and choose it in Train, with the demo's settings."""
        name = self._waiting.pop(0)
        self.sample: Sample = load_sample(name)
        self.viewer.layers.clear()  # of the sample before, which may have another unit of length
        self.image, scribbles = self.viewer.open_sample(PLUGIN, name)
        row = self.train.pairs.rows[0]
        row.image.layer, row.annotation.layer = self.image, scribbles
        self.train.name.setText(self.train.home.free_model_name(f"demo {name}"))
        seconds = self._seconds or TRAINING_SECONDS[name]
        self.train.settings.set_values({**SETTINGS, "stop.max_seconds": seconds})

    def _press(self, widget: JobWidget, button: QAbstractButton, then: Callable[[], None]) -> None:
        """Press a button that starts a job, and go on with `then` once the job is done."""
        _raise(widget)
        self._next = then
        button.click()
        if not self.runner.state.busy:  # it could not be pressed, or what it began was refused at once
            self._end(FAILED, widget.panel.status.text() or button.toolTip())

    def _on_state(self, state: RunState) -> None:
        if state is RunState.DONE:
            step, self._next = self._next, None
            if step is not None:
                QTimer.singleShot(0, step)  # after the widgets have taken note
        elif not state.busy:  # there is nothing to go on with
            self._end(FAILED if state is RunState.FAILED else CANCELLED, self.runner.message or "Cancelled.")

    def _predict(self) -> None:
        self.predict.image.layer = self.image
        self._press(self.predict, self.predict.predict_button, self._score)

    def _score(self) -> None:
        if self.sample.truth is None:
            self._say("a real image without truth: see for yourself")
            self._go_on()
            return
        unlabelled = self.sample.scribbles == 0
        figures = _figures(self._predicted()[unlabelled][None], self.sample.truth[unlabelled][None])
        self._say(f"Dice on the pixels that were not painted: {figures}")
        self._predict_held_out()

    def _predict_held_out(self) -> None:
        """Open another image of the same kind, which the training has seen nothing of, and predict it."""
        assert self.sample.held_out is not None
        self._held_out = self.sample.held_out()
        data, settings, _ = sample_layers(self._held_out)[0]
        for other in self.viewer.layers:
            other.visible = False
        layer: Layer = self.viewer.add_layer(Image(data, **{**settings, "name": f"{self.sample.name}, held out"}))
        self.predict.image.layer = layer
        self._press(self.predict, self.predict.predict_button, self._score_held_out)

    def _score_held_out(self) -> None:
        assert self._held_out.truth is not None
        self._say(f"Dice on a held-out image: {_figures(self._predicted(), self._held_out.truth)}")
        self._go_on()

    def _predicted(self) -> NDArray[Any]:
        layer = self.predict.prediction.layer
        assert layer is not None
        return np.asarray(layer.data)

    def _go_on(self) -> None:
        if self._waiting:
            QTimer.singleShot(self._pause, self._begin_next)
        else:
            self._end(DONE, "")

    def _begin_next(self) -> None:
        self._open_sample()
        self.start()

    def _say(self, line: str) -> None:
        self.predict.panel.say(line[0].upper() + line[1:])
        self.said.emit(f"{self.sample.name}: {line}")

    def _end(self, status: int, line: str) -> None:
        """Let go of the widgets: what the person starts from now on is their own."""
        self._next = None
        self.runner.state_changed.disconnect(self._on_state)
        self.status = status
        if line:
            self.said.emit(f"{self.sample.name}: {line}")
        self.finished.emit(status)


def _figures(predicted: NDArray[Any], truth: NDArray[Any]) -> str:
    """Return Dice, that of the rarer class and the error in words; ``(y, x)`` each."""
    found = evaluate(open_image(predicted), open_image(truth))
    return f"{found.dice:.3f}, of the rarer class {found.minority_dice:.3f}, error {found.pixel_error:.1%}"


def _raise(widget: Any) -> None:
    """Bring the dock that holds `widget` to the front."""
    dock = widget.parentWidget()
    while dock is not None and not hasattr(dock, "toggleViewAction"):
        dock = dock.parentWidget()
    if dock is not None:
        dock.raise_()


def main(arguments: Sequence[str] | None = None) -> int:
    """Open napari, run the demo, and stay open until the person closes the window; returns the exit status."""
    parser = argparse.ArgumentParser(description="The demo in napari's window.")
    parser.add_argument("--out", type=Path, default=Path("tessera-demo"), help="Folder for models and predictions.")
    parser.add_argument("--sample", choices=tuple(SAMPLES), help="One sample only.")
    parser.add_argument("--close", action="store_true", help="Close the window when all is done.")
    options = parser.parse_args(arguments)
    try:
        check_demo_folder(options.out)
    except TesseraError as error:
        sys.stderr.write(f"napari-tessera: error: {error}\n")
        return FAILED
    # Widgets and worker keep their files there, away from the person's own models.
    os.environ.setdefault(HOME_VARIABLE, str((options.out / SESSION_FOLDER).absolute()))

    import napari  # its window and event loop are wanted only here

    viewer = napari.Viewer(title="Tessera demo")
    demo = Demo(viewer, (options.sample,) if options.sample else tuple(SAMPLES))
    demo.said.connect(_write_line)
    if options.close:
        demo.finished.connect(lambda _status: QTimer.singleShot(0, viewer.close))
    QTimer.singleShot(500, demo.start)  # once the window is drawn
    napari.run()
    return demo.status


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # now, not when the window is closed


if __name__ == "__main__":
    sys.exit(main())
