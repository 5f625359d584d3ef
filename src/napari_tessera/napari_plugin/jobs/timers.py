"""Timers at the end of the application, when Qt may have deleted them before whoever owns them."""

from qtpy.QtCore import QTimer


def stop_timers(*timers: QTimer) -> None:
    """Stop `timers`; those that Qt has deleted have stopped."""
    for timer in timers:
        try:
            timer.stop()
        except RuntimeError:  # deleted
            continue
