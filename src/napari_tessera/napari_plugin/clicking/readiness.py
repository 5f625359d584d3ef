"""Compiles what a click needs ahead of the first one, in a thread."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickRule

_Key = tuple[int, str, bool, str, bool]

_warm: set[_Key] = set()
"""What has been compiled in this process."""


class Readiness(QObject):
    """Knows which clicks need not wait for a compiler.

    Signals
    -------
    changed(bool)
        Something is being made ready (true), or nothing is any more.
    """

    changed = Signal(bool)
    _done = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: set[_Key] = set()
        self._done.connect(self._tell)

    @property
    def busy(self) -> bool:
        """Whether something is being made ready."""
        return bool(self._under_way)

    def ready(self, ndim: int, dtype: np.dtype[Any], channels: int, rule: "ClickRule") -> bool:
        """Return whether such a click is ready; if not, make it so."""
        key = (ndim, dtype.str, bool(channels), rule.criterion, bool(rule.smoothing) or rule.fill_holes)
        if key in _warm:
            return True
        if key not in self._under_way:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="tessera-warm")
            self._under_way.add(key)
            self._pool.submit(_compile, key, ndim, dtype, channels, rule).add_done_callback(lambda _: self._finish(key))
            self.changed.emit(True)
        return False

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _finish(self, key: _Key) -> None:
        self._under_way.discard(key)
        try:
            self._done.emit()
        except RuntimeError:  # Qt has deleted the object meanwhile: nobody waits for it
            return

    def _tell(self) -> None:
        if not self.busy:
            self.changed.emit(False)


def _compile(key: _Key, ndim: int, dtype: np.dtype[Any], channels: int, rule: "ClickRule") -> None:
    from napari_tessera.operations.growing.clicking import warm_up

    warm_up(ndim, dtype, channels, rule)
    _warm.add(key)
