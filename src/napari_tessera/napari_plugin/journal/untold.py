"""When to look for changes that nobody told, and how far a look has come."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.journal.scanning import ChangeScan, Expected, Step

FIRST_SECONDS = 2.0
"""A layer is looked at for the first time after so long."""
LEAST_SECONDS = 2.0
"""Between two looks lies at least so much …"""
REST = 20
"""… and at least so many times what the last one took."""
DISTURBED_SECONDS = 0.5
"""After a look that somebody painted into, the next one comes so soon."""


class UntoldChanges:
    """Looks at an array in slices of time, again and again; `found` are boxes and what is in them.

    Parameters
    ----------
    shape
        Of the array.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.found: list[tuple[Region, NDArray[Any]]] = []
        self.begin_anew(shape)

    def begin_anew(self, shape: tuple[int, ...]) -> None:
        """Forget what is known: there is another array of this shape."""
        self._scanner = ChangeScan(shape)
        self._scan: Iterator[Step] | None = None
        self._waits: int | None = None
        self._began = 0.0
        self._due = time.monotonic() + FIRST_SECONDS

    def touched(self, boxes: Iterable[Region]) -> None:
        """Note that something was told of these boxes."""
        self._scanner.touched(boxes)

    def suspect(self, seconds: float) -> None:
        """Look after so many seconds at the latest."""
        self._due = min(self._due, time.monotonic() + seconds)

    def look(
        self,
        array: NDArray[Any],
        expected: Callable[[], Expected | None],
        stop: Callable[[], bool],
        ask: Callable[[], int],
        passed: int,
    ) -> bool:
        """Go on with a look, or begin one if it is due; return whether there is more to look at.

        Parameters
        ----------
        array
            What is looked at.
        expected
            Returns what says what should be there.
        stop
            Asked after each chunk.
        ask
            Asks for a barrier and returns its number.
        passed
            Number of the last barrier.
        """
        if self._scan is None:
            if time.monotonic() < self._due:
                return False
            self._scan, self._began = self._scanner.scan(array, expected()), time.monotonic()
        if self._waits is not None:
            if passed < self._waits:
                return False
            self._waits = None
        for step in self._scan:
            if step is Step.BARRIER:
                self._waits = ask()
                return False
            if stop():
                return True
        self._end()
        return False

    def take_found(self) -> list[tuple[Region, NDArray[Any]]]:
        """Return what was found, once."""
        found, self.found = self.found, []
        return found

    def _end(self) -> None:
        now = time.monotonic()
        self._scan = None
        self.found, self._scanner.found = self._scanner.found, []
        rest = DISTURBED_SECONDS if self._scanner.disturbed else max(LEAST_SECONDS, REST * (now - self._began))
        self._due = now + rest
