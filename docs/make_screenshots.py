"""Make the pictures of the documentation from the real program: ``make screenshots``.

The demo runs in napari as for a person; pictures are taken on the way: the sample, a training with its preview, the
prediction. Before it, the widget Filter & threshold with Otsu's thresholds. Names of files:
``docs/images/{filter,sample,train,predict}.png``; with ``--filter`` the first alone.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_tessera.core.jobs import Progress
from napari_tessera.napari_plugin.session import HOME_VARIABLE

IMAGES = Path(__file__).parent / "images"
SIZE = (1400, 860)
STEPS = 250
PATIENCE_SECONDS = 1500.0


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Keep the window alive until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("The program did not come to where a picture was to be taken.")
        QApplication.processEvents()
        time.sleep(0.01)


def wait(seconds: float) -> None:
    """Keep the window alive for a while."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end)


def take(viewer: napari.Viewer, name: str) -> None:
    """Write a picture of the whole window."""
    wait(0.5)
    path = IMAGES / f"{name}.png"
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    sys.stdout.write(f"{path}\n")


def picture_filter() -> None:
    """Take the picture of Filter & threshold."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    image, scribbles = viewer.open_sample("napari-tessera", "nuclei")
    viewer.layers.remove(scribbles)
    viewer.layers.selection.active = image
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", "Filter & threshold")
    wait(1)
    viewer.reset_view()
    widget.choose("otsu")
    widget.panel_of_operation.form.set_values({"classes": 3})
    wait_until(lambda: widget.preview.shown.there and len(widget.panel_of_operation.histogram.lines) == 2)
    wait(1)
    take(viewer, "filter")
    viewer.close()


def main() -> None:
    """Run the demo and take the pictures."""
    from napari_tessera.napari_plugin.demo import Demo

    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    demo = Demo(viewer, "nuclei", PATIENCE_SECONDS)
    demo.train.settings.controls["max_steps"].setValue(STEPS)
    lines: list[str] = []
    demo.finished.connect(lines.append)
    steps = [0]
    demo.train.runner.event_received.connect(
        lambda event: steps.append(event.done) if isinstance(event, Progress) and event.unit == "step" else None
    )
    wait(2)
    take(viewer, "sample")
    demo.start()
    wait_until(lambda: steps[-1] >= STEPS / 2)
    take(viewer, "train")
    wait_until(lambda: bool(lines))
    take(viewer, "predict")
    viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ[HOME_VARIABLE] = folder
        picture_filter()
        if "--filter" not in sys.argv:
            main()
