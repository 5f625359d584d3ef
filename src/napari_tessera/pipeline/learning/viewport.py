"""What a person looks at while a job runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A part of one input image.

    Attributes
    ----------
    image
        Index of the image among the inputs of the job.
    region
        ``(start, stop)`` per dimension of the image's labels (its axes but ``c``).
    """

    image: int
    region: tuple[tuple[int, int], ...]


class Viewport:
    """Holds the current view: set from one thread at any time, read by the job between steps."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view
