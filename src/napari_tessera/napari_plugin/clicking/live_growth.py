"""A region that grows while the window stays alive: in slices of time, or in a thread for pixels on disk."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.jobs.worker_thread import WorkerThread
from napari_tessera.pipeline.failures import describe_error

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickFrame, ClickRegion

SLICE_SECONDS = 0.008
"""How long the GUI thread grows at a time."""
FIRST_SECONDS = 0.024
"""How long it grows when the button is pressed, before anything else is done."""
AHEAD_SLICE_SECONDS, AHEAD_SECONDS = 0.004, 0.3
"""How long it grows at a time, and at most, before the button has been pressed at all."""
STEP_PIXELS = 100_000
"""So many pixels grow between two looks at the clock."""
PATIENCE_SECONDS = 0.1
"""A region that has grown for longer is given up for a newer tolerance; a shorter one is finished and shown."""
PARTIAL_SECONDS = 0.06
"""After this time what has grown until then is shown, and again each time that it has passed."""


@dataclass(frozen=True)
class Grown:
    """What has grown.

    Attributes
    ----------
    tolerance
        With which.
    region
        Origin and mask in the frame, and how it ended.
    done
        Whether it has grown to its end.
    smoothing
        Sigma of the Gaussian that the image was smoothed with, in pixels; 0: none.
    """

    tolerance: float
    region: "ClickRegion"
    done: bool
    smoothing: float = 0.0


@dataclass
class _Click:
    """One click: where it grows, and whether it has begun to."""

    frame: "ClickFrame"
    seeds: NDArray[np.int64]
    threaded: bool
    started: bool = False


@dataclass(frozen=True, eq=False)
class _Wish:
    number: int
    click: _Click
    tolerance: float | None


class LiveGrowth(QObject):
    """Grows one region, again and again with other tolerances; the newest wish counts.

    Signals
    -------
    grown(Grown)
        There is more to show: for each wish whose turn came, its end, and parts on the way if it takes long.
    failed(str)
        It cannot be grown; the sentence says why.
    """

    grown = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._number = 0
        self._wanted: _Wish | None = None
        self._running: Iterator[Grown | None] | None = None
        self._since = 0.0
        self._ahead_until: float | None = None
        self._kept: Grown | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._tick)
        self._thread = WorkerThread("tessera-click", self._take)
        self._in_thread = 0
        self._last: _Wish | None = None

    @property
    def busy(self) -> bool:
        """Whether something that is waited for has not grown to its end yet."""
        under_way = self._wanted is not None or self._running is not None or self._in_thread > 0
        return under_way and self._ahead_until is None

    def begin(self, frame: "ClickFrame", seeds: NDArray[np.int64], tolerance: float | None, *, threaded: bool) -> None:
        """Grow a new region, and in memory do the first slice at once; without a tolerance it is estimated."""
        self.stop()
        self._want(_Wish(self._number, _Click(frame, seeds, threaded), tolerance))
        if not threaded:
            self._timer.stop()
            self._slice(FIRST_SECONDS)

    def prepare(self, frame: "ClickFrame", seeds: NDArray[np.int64], tolerance: float | None) -> None:
        """Grow a region in memory that may be asked for next; nothing is told of it before `begin_prepared`."""
        self.stop()
        self._ahead_until = time.perf_counter() + AHEAD_SECONDS
        self._want(_Wish(self._number, _Click(frame, seeds, threaded=False), tolerance))

    def begin_prepared(self) -> None:
        """Tell what has grown ahead, and go on with it as if it had begun just now."""
        kept, self._kept, self._ahead_until = self._kept, None, None
        if kept is not None and kept.done:
            self.grown.emit(kept)
        elif self._last is not None:
            self._timer.stop()
            self._slice(FIRST_SECONDS)

    def retune(self, tolerance: float) -> None:
        """Grow the same region with another tolerance, as soon as there is time."""
        if self._last is not None:
            self._want(_Wish(self._number, self._last.click, tolerance))

    def stop(self) -> None:
        """Give up; nothing of it is told any more."""
        self._number += 1
        self._wanted = self._running = self._last = self._kept = self._ahead_until = None
        self._in_thread = 0
        self._timer.stop()

    def close(self) -> None:
        """Stop and let the thread end; touches no Qt object but the timer."""
        self.stop()
        self._thread.close()

    def _want(self, wish: _Wish) -> None:
        self._last = wish
        if wish.click.threaded:
            self._submit(wish)
            return
        self._wanted = wish
        if not self._timer.isActive():
            self._timer.start()

    def _tick(self) -> None:
        if self._ahead_until is None:
            self._slice(SLICE_SECONDS)
        elif time.perf_counter() < self._ahead_until:
            self._slice(AHEAD_SLICE_SECONDS)

    def _slice(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        try:
            latest = self._advance(end)
        except (TesseraError, MemoryError, OSError) as error:
            self._give_up(error)
            return
        if self._running is not None or self._wanted is not None:
            self._timer.start()
        if self._ahead_until is not None:
            self._kept = latest or self._kept
        elif latest is not None:
            self.grown.emit(latest)

    def _give_up(self, error: Exception) -> None:
        """Tell why it cannot be grown; what only grows ahead fails once more, and is told of, when it is asked for."""
        if self._ahead_until is not None:
            self._running = self._wanted = None
            assert self._last is not None
            self._wanted, self._last.click.started = self._last, False
            return
        self.stop()
        self.failed.emit(describe_error(error))

    def _advance(self, end: float) -> Grown | None:
        now = time.perf_counter()
        if self._wanted is not None and (self._running is None or now - self._since > PATIENCE_SECONDS):
            self._running, self._wanted, self._since = _growing(self._wanted), None, now
        for state in self._running or ():
            if state is not None:
                if state.done:
                    self._running = None
                return state
            if time.perf_counter() > end:
                return None
        return None

    def _submit(self, wish: _Wish) -> None:
        self._in_thread += 1
        self._thread.submit(wish.number, partial(self._work, wish))

    def _work(self, wish: _Wish) -> None:
        """Grow in the thread until the end or until a newer wish waits."""
        since = time.perf_counter()
        for state in _growing(wish) if self._counts(wish) else ():
            if wish.number != self._number:
                return
            if state is not None:
                self._thread.tell(wish.number, state)
            if not self._counts(wish) and time.perf_counter() - since > PATIENCE_SECONDS:
                return

    def _counts(self, wish: _Wish) -> bool:
        return wish is self._last

    def _take(self, number: int, what: Grown | BaseException | None) -> None:
        """Take what the thread has sent: something that has grown, or how it ended."""
        if number != self._number:
            return
        if isinstance(what, Grown):
            self.grown.emit(what)
            return
        self._in_thread -= 1
        if what is not None:
            self.stop()
            self.failed.emit(describe_error(what, report="what you clicked"))


def _growing(wish: _Wish) -> Iterator[Grown | None]:
    """Grow step by step; yields None between steps, what there is now and then, and at last the whole."""
    click, frame, tolerance = wish.click, wish.click.frame, wish.tolerance
    if tolerance is None:
        tolerance = frame.estimate_tolerance(click.seeds[0])
    if click.started:
        frame.retune(tolerance)
    else:
        frame.start(click.seeds, tolerance)
        click.started = True
    shown = time.perf_counter()
    while not frame.step(STEP_PIXELS):
        now = time.perf_counter()
        if now - shown > PARTIAL_SECONDS:
            shown = now
            yield Grown(tolerance, frame.region, done=False, smoothing=frame.smoothing)
        else:
            yield None
    yield Grown(tolerance, frame.region, done=True, smoothing=frame.smoothing)
