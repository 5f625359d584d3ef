"""How long the first opening of each widget takes, in a process of its own: ``python benchmarks/first_opening.py``.

A napari with one image is started; then the widget is opened from napari's menu. Reported is the time until the widget
is painted, the processor time that the window's thread took for it (which says more where the computer has other work),
and the longest stretch in which the window answered nothing, from the click until five seconds after. With the name of
a widget as its argument the program measures that one, in this process.
"""

import json
import subprocess
import sys
import tempfile
import time
from os import environ

from limits import reached

WIDGETS = ("filter", "click", "train", "predict", "sessions")
LIMIT_SECONDS = 1.5
WATCHED_SECONDS = 5.0


def measure(name: str) -> None:
    """Open the widget and print the two times as JSON."""
    import napari
    import numpy as np
    from napari._app_model import get_app_model
    from qtpy.QtCore import QEvent, QObject, QTimer
    from qtpy.QtWidgets import QApplication

    class Beats(QObject):
        """Notes when the window has answered, and when a widget was painted."""

        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []
            self.painted = 0.0
            self.timer = QTimer(self)
            self.timer.timeout.connect(lambda: self.times.append(time.perf_counter()))
            self.timer.start(0)

        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt calls it by this name
            if event.type() == QEvent.Type.Paint and not self.painted:
                self.painted = time.perf_counter()
            return False

    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    viewer.add_image(np.random.default_rng(0).integers(0, 4000, (512, 512), np.uint16))
    for _ in range(100):
        QApplication.processEvents()
        time.sleep(0.01)
    beats = Beats()
    start, before = time.perf_counter(), time.thread_time()
    beats.times.append(start)
    get_app_model().commands.execute_command(f"napari-tessera.{name}").result()
    widget = next(iter(viewer.window.dock_widgets.values()))
    widget.installEventFilter(beats)
    while not beats.painted:
        QApplication.processEvents()
    worked = time.thread_time() - before
    while time.perf_counter() < start + WATCHED_SECONDS:
        QApplication.processEvents()
    gaps = [after - before for before, after in zip(beats.times, beats.times[1:], strict=False)]
    print(json.dumps({"painted": beats.painted - start, "worked": worked, "blocked": max(gaps)}))
    viewer.close()


def main() -> int:
    """Measure each widget; return the exit status."""
    kept = True
    for name in WIDGETS:
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [sys.executable, __file__, name], stdout=subprocess.PIPE, text=True, check=True,
                env={**environ, "NAPARI_TESSERA_HOME": home},
            )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        kept &= reached(f"{name}: until it is painted", found["painted"], LIMIT_SECONDS, " s")
        print(f"{name}: processor time until then: {found['worked']:.2f} s")
        print(f"{name}: longest time without an answer: {found['blocked']:.2f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        sys.exit(main())
