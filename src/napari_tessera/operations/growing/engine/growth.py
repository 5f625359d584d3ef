"""One growth in a window: the queue of a region, or of many that compete, and the pages it turns.

The rule is that of `criteria`. The result depends neither on the windows nor on how the work is cut.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.click_window import Frame, Window, first_box
from napari_tessera.operations.growing.engine.criteria import limits

Ended = Literal["whole", "size", "loaded"]

QUEUE = 2**15
"""Length of a queue at first: what waits in one is little beside what has joined, and stays in the cache."""


@dataclass
class Growth:
    """Pixels that join one region or several.

    Attributes
    ----------
    frame, steps
        What is grown in, and the steps to the neighbours, shape (neighbours, ndim).
    running
        Whether the mean follows the pixels that join.
    room, most_loaded
        How many pixels a region may have, and how many may be read.
    many
        Whether there are many regions.
    """

    frame: Frame
    steps: NDArray[np.int64]
    running: bool
    room: int
    most_loaded: int
    many: bool
    window: Window = field(init=False)
    ended: Ended | None = field(init=False, default=None)

    def open(self, points: NDArray[np.int64], box: Region | None = None) -> None:
        """Read the first window round the points, shape (n, ndim) with n ≥ 1; or the box given."""
        from napari_tessera.operations.growing.engine.click_kernels import LENGTH

        first = box or first_box(points.min(axis=0).tolist(), points.max(axis=0).tolist(), self.frame.shape)
        self.window = Window(self.frame, first, np.int32 if self._general else np.uint8, roomy=box is None)
        self._queue, self._cursor = np.empty(QUEUE, np.int32), np.zeros(LENGTH, np.int64)
        self._last = 0
        self._bounds = np.zeros((2, self.frame.ndim), np.int64)
        self._set_window()

    def plant(self, points: NDArray[np.int64], tolerances: NDArray[np.float64]) -> None:
        """Begin again from points, shape (n, ndim), all in the window: the n regions, or the pixels of the one.

        A pixel keeps its first region. All must be such as may be entered.
        """
        from napari_tessera.operations.growing.engine.click_kernels import HIGHEST, LOWEST

        count = len(points) if self.many else 1
        self._base = self._fresh_stamps(count)
        places = self.window.flat(points)
        # One region begins in raster order, as a region of labels does in `grower`.
        order = np.unique(places, return_index=True)[1]
        order = np.sort(order) if self.many else order
        places, owners = places[order], (order if self.many else np.zeros(len(order), np.int64))
        self._flat_stamps[places] = self._base + owners
        self._cursor[:] = 0
        self._cursor[[LOWEST, HIGHEST]] = places.min(), places.max()
        self._queue_up(places)
        self._dropped = self._bounded = 0
        self._count(places, owners, count, tolerances)
        self.ended = None

    def advance(self, budget: int) -> bool:
        """Go on for `budget` pixels, but turn no more than one page; return whether everything is at its end."""
        if self.ended is None and self._run(budget):
            self._turn_page()
        elif self.ended is None:
            from napari_tessera.operations.growing.engine import click_kernels

            full = bool(self._cursor[click_kernels.FULL])
            if self._cursor[0] == self._cursor[1] or (full and not self.many):
                self.ended = "size" if full else "whole"
        return self.ended is not None

    @property
    def _general(self) -> bool:
        """Whether the loop for many regions and channels is needed."""
        return self.many or self.frame.values_channels > 0

    @property
    def size(self) -> int:
        """How many pixels belong to any region."""
        return self._dropped + int(self._cursor[1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Shape (regions,), of many regions."""
        return self._sizes

    @property
    def bounds(self) -> Region:
        """The smallest box of the frame that holds every region."""
        low, high = self._window_bounds()
        shift = self.window.shift
        return regions.placed(low + shift, high + 1 - low)

    @property
    def regions(self) -> NDArray[Any]:
        """Shape of `bounds`: 0, and from 1 the number of the region."""
        stamps = self._bounded_stamps().astype(np.int64)
        stamps -= self._base - 1
        stamps[(stamps < 0) | (stamps > len(self._sizes))] = 0
        return stamps

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Shape of `bounds`: what belongs to the one region."""
        return np.asarray(self._bounded_stamps() == self._base)

    def look(self, box: Region) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the values that are grown over in a box of the frame, and what may not be entered there, if anything.

        What is in the window is not read again.
        """
        place = self.window.place_of(box)
        if place is not None:
            return self.window.values[place], self.window.stamps[place] == self.window.closed
        return self.frame.prepared(box), None if self.frame.blocked is None else self.frame.blocked(box)

    def _bounded_stamps(self) -> NDArray[Any]:
        low, high = self._window_bounds()
        return self.window.stamps[regions.placed(low, high + 1 - low)]

    def _window_bounds(self) -> NDArray[np.int64]:
        """Return the lowest and highest coordinates in the window with its shell, shape (2, ndim)."""
        if self._bounded < self.size:
            from napari_tessera.operations.growing.engine.click_kernels import HIGHEST, LOWEST, mark_seen

            # Along the first axis by the order of places; along the others by what is stamped between.
            self._bounds[:, 0] = self._cursor[[LOWEST, HIGHEST]] // self._strides[0]
            front, back = self._bounds[:, 0].tolist()
            inside = self.window.inside
            seen = np.zeros([part.stop - part.start for part in inside[1:]], np.bool_)
            corner = int(np.dot([front, *(part.start for part in inside[1:])], self._strides))
            low, unread = self.window.stamps.dtype.type([self._base, self.window.unread])
            lines = seen.reshape(-1, seen.shape[-1])
            mark_seen(lines, self._flat_stamps, low, unread, corner, back - front + 1, self._strides)
            for axis in range(1, self.frame.ndim):
                along = np.flatnonzero(np.moveaxis(seen, axis - 1, 0).reshape(seen.shape[axis - 1], -1).any(axis=1))
                self._bounds[:, axis] = along[[0, -1]] + inside[axis].start
            self._bounded = self.size
        return self._bounds

    def _set_window(self) -> None:
        """Take what is derived from the window."""
        window = self.window
        self._strides = window.strides
        self._flat_steps = self.steps @ self._strides
        channels = self.frame.values_channels
        self._flat_values = window.values.reshape((-1, channels or 1) if self._general else -1)
        self._flat_stamps = window.stamps.reshape(-1)

    def _fresh_stamps(self, count: int) -> int:
        """Return a number such that it and the next `count` stand nowhere yet, and all stamps of before below it."""
        if self._last + count >= self.window.unread:
            stamps = self.window.stamps[self.window.inside]
            stamps[stamps < self.window.unread] = 0
            self._last = 0
        base = self._last + 1
        self._last += count
        return base

    def _count(
        self, places: NDArray[np.int64], owners: NDArray[np.int64], count: int, tolerances: NDArray[np.float64]
    ) -> None:
        """Begin the means with the seeds."""
        values = self._flat_values[places]
        # Whole numbers add up exactly, as in `grower`; channels are held as floats.
        dtype = np.dtype(np.int64 if values.dtype.kind in "iu" and not self.frame.values_channels else np.float64)
        self._sizes = np.bincount(owners, minlength=count)
        if self.frame.edges:
            # The gradient itself is compared: its distance from 0.
            self._totals = np.zeros((count, *values.shape[1:]), dtype)
            self._counts = np.ones(count, dtype)
        else:
            self._totals = np.zeros((count, *values.shape[1:]), dtype)
            np.add.at(self._totals, owners, values)
            self._counts = self._sizes.astype(dtype)
        self._tolerances = limits(tolerances, running=self.running)

    def _run(self, budget: int) -> bool:
        """Go on for `budget` pixels; return whether a pixel was met that is not read yet."""
        from napari_tessera.operations.growing.engine.click_kernels import CROWDED, GOES_ON, UNREAD

        last, why = self._taken + budget, CROWDED
        while why == CROWDED:
            why = self._run_queue(last - self._taken)
            if why != GOES_ON:
                self._clear_queue()
        return why == UNREAD

    @property
    def _taken(self) -> int:
        """How many pixels have shown their neighbours."""
        return self._dropped + int(self._cursor[0])

    def _run_queue(self, budget: int) -> int:
        from napari_tessera.operations.growing.engine import click_kernels

        common = (
            self._flat_values,
            self._flat_stamps,
            self._base,
            self.window.unread,
            self._queue,
            self._cursor,
            self._flat_steps,
            self._totals,
            self._counts,
        )
        if self._general:
            return int(click_kernels.compete(*common, self._sizes, self.running, self._tolerances, self.room, budget))
        tolerance, room = float(self._tolerances[0]), self.room - self._dropped
        return int(click_kernels.flood(*common, self.running, tolerance, room, budget))

    def _clear_queue(self) -> None:
        """Drop what has been taken from the queue."""
        head, tail = self._cursor[:2].tolist()
        self._queue_up(self._queue[head:tail])
        self._dropped += head

    def _queue_up(self, places: NDArray[Any]) -> None:
        """Let nothing wait but `places`, and have room for more."""
        waiting = len(places)
        queue = self._queue if 2 * waiting <= len(self._queue) else np.empty(4 * waiting, np.int32)
        queue[:waiting] = places
        self._queue = queue
        self._cursor[:2] = (0, waiting)

    def _turn_page(self) -> None:
        """Make the window larger, and take the places of what waits to it if it has moved."""
        from napari_tessera.operations.growing.engine.click_kernels import HIGHEST, LOWEST

        low, high = self._window_bounds()
        shift, old_strides = self.window.shift, self._strides
        moved = self.window.grow((low + shift).tolist(), (high + shift).tolist(), self.most_loaded)
        if moved is None:
            self.ended = "loaded"
            return
        self._set_window()
        if not moved.any() and np.array_equal(self._strides, old_strides):
            return
        self._bounds += moved
        self._cursor[[LOWEST, HIGHEST]] = self._bounds[:, 0] * self._strides[0]
        waiting = self._queue[: int(self._cursor[1])]
        rest, places = waiting.astype(np.int64), np.zeros(len(waiting), np.int64)
        for axis, stride in enumerate(old_strides.tolist()):
            along, rest = np.divmod(rest, stride)
            places += (along + moved[axis]) * self._strides[axis]
        waiting[:] = places
