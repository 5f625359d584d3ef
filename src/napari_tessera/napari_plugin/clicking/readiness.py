"""Compiles what a click needs ahead of the first one: in the process that does so for all widgets, or in a thread."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.ahead import Ahead
from napari_tessera.napari_plugin.jobs.qt_objects import disconnect
from napari_tessera.napari_plugin.jobs.worker_thread import WorkerThread
from napari_tessera.pipeline.requests import CompileRequest

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickRule

_Key = tuple[int, str, bool, str, bool]

_warm: set[_Key] = set()
"""What has been compiled in this process, or loaded into it."""


class Readiness(QObject):
    """Knows which clicks need not wait for a compiler.

    Signals
    -------
    changed(bool)
        Something is being made ready (true), or nothing is any more.

    Parameters
    ----------
    ahead
        Whose process compiles; a thread then loads what it has made. None: the thread compiles.
    """

    changed = Signal(bool)

    def __init__(self, parent: QObject | None = None, ahead: Ahead | None = None) -> None:
        super().__init__(parent)
        self._ahead = ahead
        self._thread = WorkerThread("tessera-warm", self._finish)
        self._under_way: set[_Key] = set()
        self._waiting: dict[_Key, tuple[CompileRequest, Any]] = {}
        if ahead is not None:
            ahead.changed.connect(self._load_waiting)

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
            self._under_way.add(key)
            self._waiting[key] = self.compile_ahead(ndim, dtype, channels, rule), (ndim, dtype, channels, rule)
            self._load_waiting()
            self.changed.emit(True)
        return False

    def compile_ahead(self, ndim: int, dtype: np.dtype[Any], channels: int, rule: "ClickRule") -> CompileRequest:
        """Have the process compile what such a click needs, if there is one; return what it is asked for."""
        request = CompileRequest(
            criterion=rule.criterion,
            smoothing=rule.smoothing,
            fill_holes=rule.fill_holes,
            dtype=dtype.name,
            dimensions=ndim,
            channels=channels,
            notes=current_home().compiled,
        )
        if self._ahead is not None:
            self._ahead.want([request])
        return request

    def close(self) -> None:
        """Wait for nothing any more."""
        self._waiting.clear()
        if self._ahead is not None:
            disconnect(self._ahead.changed, self._load_waiting)
            self._ahead = None
        self._thread.close()

    def _load_waiting(self) -> None:
        """Load in a thread what the process has compiled, and compile there what it is not asked for or cannot do."""
        for key, (request, click) in list(self._waiting.items()):
            if self._ahead is not None and self._ahead.pending(request):
                continue
            del self._waiting[key]
            self._thread.submit(key, partial(_compile, key, *click))

    def _finish(self, key: _Key, _: object) -> None:
        self._under_way.discard(key)
        if not self.busy:
            self.changed.emit(False)


def _compile(key: _Key, ndim: int, dtype: np.dtype[Any], channels: int, rule: "ClickRule") -> None:
    from napari_tessera.operations.growing.clicking import warm_up

    warm_up(ndim, dtype, channels, rule)
    _warm.add(key)
