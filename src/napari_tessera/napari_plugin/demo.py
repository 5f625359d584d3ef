"""The demo in napari's window: opens the sample, trains on its scribbles, predicts, and says how good it is.

It presses the buttons that a person would press. ``napari-tessera demo`` runs it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.opening import open_image
from napari_tessera.napari_plugin.predict_widget import PredictWidget
from napari_tessera.napari_plugin.runner import RunState
from napari_tessera.napari_plugin.session import HOME_VARIABLE
from napari_tessera.napari_plugin.train_widget import TrainWidget
from napari_tessera.pipeline.demo import SESSION_FOLDER, SETTINGS, TRAINING_SECONDS, check_demo_folder
from napari_tessera.pipeline.evaluation import evaluate
from napari_tessera.pipeline.samples import load_sample

if TYPE_CHECKING:
    from napari import Viewer

PLUGIN = "napari-tessera"


class Demo(QObject):
    """Leads one sample through the widgets Train and Predict.

    Parameters
    ----------
    viewer
        A viewer with a window.
    sample
        Name of the sample.
    seconds
        Limit of the training; None takes the demo's own.

    Signals
    -------
    finished(str)
        The prediction is there: a line that says how good it is.
    """

    finished = Signal(str)

    def __init__(self, viewer: "Viewer", sample: str = "nuclei", seconds: float | None = None) -> None:
        super().__init__()
        self.viewer = viewer
        self.sample = load_sample(sample)
        self.image = viewer.open_sample(PLUGIN, sample)[0]
        self.predict: PredictWidget = viewer.window.add_plugin_dock_widget(PLUGIN, "Predict")[1]
        self.train: TrainWidget = viewer.window.add_plugin_dock_widget(PLUGIN, "Train", tabify=True)[1]
        self.train.name.setText(self.train.session.free_model_name(f"demo {sample}"))
        controls: dict[str, Any] = dict(self.train.settings.controls)
        for name, value in {**SETTINGS, "max_seconds": seconds or TRAINING_SECONDS[sample]}.items():
            controls[name].setValue(value)
        self._next = self._predict
        self.train.runner.state_changed.connect(self._on_state)

    def start(self) -> None:
        """Press Train; the rest follows."""
        self.train.train_button.click()

    def _on_state(self, state: RunState) -> None:
        if state is RunState.DONE:
            QTimer.singleShot(0, self._next)  # after the widgets have taken note

    def _predict(self) -> None:
        self._next = self._score
        _raise(self.predict)
        self.predict.image.layer = self.image
        self.predict.predict_button.click()

    def _score(self) -> None:
        self.train.runner.state_changed.disconnect(self._on_state)
        labels = self.predict.prediction.layer
        line = "A real image without truth: see for yourself."
        if self.sample.truth is not None and isinstance(labels, Labels):
            unlabelled = self.sample.scribbles == 0  # what is 0 in both does not count
            predicted, truth = (open_image(array * unlabelled) for array in (labels.data, self.sample.truth))
            line = f"Dice on the pixels that were not painted: {evaluate(predicted, truth).dice:.3f}"
        self.predict.panel.say(line)
        self.finished.emit(line)


def _raise(widget: Any) -> None:
    """Bring the dock that holds `widget` to the front."""
    dock = widget.parentWidget()
    while dock is not None and not hasattr(dock, "toggleViewAction"):
        dock = dock.parentWidget()
    if dock is not None:
        dock.raise_()


def main(arguments: Sequence[str] | None = None) -> int:
    """Open napari, start the demo, and stay open; returns the exit status."""
    parser = argparse.ArgumentParser(description="The demo in napari's window.")
    parser.add_argument("--out", type=Path, default=Path("tessera-demo"), help="Folder for models and predictions.")
    out = parser.parse_args(arguments).out
    try:
        check_demo_folder(out)
    except TesseraError as error:
        sys.stderr.write(f"napari-tessera: error: {error}\n")
        return 1
    # Widgets and worker keep their files there, away from the person's own models.
    os.environ.setdefault(HOME_VARIABLE, str((out / SESSION_FOLDER).absolute()))

    import napari  # its window and event loop are wanted only here

    viewer = napari.Viewer(title="Tessera demo")
    demo = Demo(viewer)
    demo.finished.connect(lambda line: sys.stdout.write(f"{line}\n"))
    QTimer.singleShot(500, demo.start)  # once the window is drawn
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
