"""Qt objects that may have been deleted before whoever uses them: the one way to live with that.

Qt deletes what belongs to a closed window, and at the end of the application everything, in an order of its own. A
thread then has nobody to tell, and a Python object a timer that is none any more; both is no error.
"""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer


def unless_deleted(act: Callable[..., Any], *values: Any) -> bool:
    """Do something short with a Qt object, and return True; False if Qt has deleted it, and nobody waits for it.

    Even asking such an object for a signal fails: emitting is given as ``lambda: self.done.emit()``, or as a method.
    """
    try:
        act(*values)
    except RuntimeError:  # which all bindings raise for a deleted object
        return False
    return True


def disconnect(signal: Any, slot: Any) -> None:
    """Disconnect `slot`, which is a method of a Qt object that may have been deleted, and the connection with it."""
    try:
        unless_deleted(lambda: signal.disconnect(slot))
    except TypeError:  # not connected any more
        return


def stop_timers(*timers: QTimer) -> None:
    """Stop `timers`; those that Qt has deleted have stopped."""
    for timer in timers:
        unless_deleted(timer.stop)
