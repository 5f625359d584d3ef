"""Who hears the events of a job that a Python program runs."""

import warnings
from collections.abc import Callable

from napari_tessera.core.jobs import JobEvent, Warning


def listener(on_event: Callable[[JobEvent], None] | None) -> Callable[[JobEvent], None]:
    """Return `on_event`, or what makes Python's warnings of those of a job, so that they are seen in any case."""

    def warn(event: JobEvent) -> None:
        if isinstance(event, Warning):
            warnings.warn(event.text, stacklevel=4)

    return on_event or warn
