"""Regions that grow from seeds over pixels of like intensity, in an image in memory; for the rule see `criteria`."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.criteria import EVER, Criterion, limits
from napari_tessera.operations.growing.engine.physical import physical_steps
from napari_tessera.operations.reductions.histograms import flat_pixels

LONGEST = 2**20
RING = 2**14
"""Length of a new queue; a power of two."""


def grow(
    image: NDArray[Any],
    seeds: ArrayLike,
    criterion: Criterion,
    tolerance: float,
    connectivity: int = 1,
    max_size: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Grow a region from each seed.

    Parameters
    ----------
    image
        Shape (y, x) or (z, y, x); bool, integer or real. NaN and infinite pixels never join.
    seeds
        Integers: labels, if in the shape of the image; else points of shape (N, ndim) in pixels, with the ids 1 … N.
        Of points on the same pixel the first has it, and the others grow nothing.
    criterion
        ``"running_mean"`` or ``"fixed_range"``, see `criteria`.
    tolerance
        In grey levels; 0 or more.
    connectivity
        1: neighbours share a face; ndim: a corner is enough.
    max_size
        Largest number of pixels of a region; a seed that is larger stays as it is.
    out
        Where to write the labels: integers, in the shape of the image.

    Returns
    -------
    Labels in the shape of the image, 0 where nothing has grown: int32, or int64 if an id needs it; or `out`.

    Raises
    ------
    InvalidInputError
        If a seed lies outside the image or on a pixel that is not finite, or an argument is out of its range.

    References
    ----------
    R. Adams and L. Bischof, "Seeded region growing", IEEE Trans. Pattern Anal. Mach. Intell. 16 (1994), for the idea.
    """
    grower = Grower(image, connectivity)
    grower.start(seeds, criterion, tolerance, max_size)
    grower.step()
    return grower.labels(out)


class Grower:
    """Grows regions in one image again and again, each time in time proportional to the region.

    Nothing is cleared between runs: a pixel is taken if its stamp is one of this run's. Use it in one thread at a time.

    Parameters
    ----------
    image
        Shape (y, x) or (z, y, x); bool, integer or real. It is not copied if it is contiguous and of a
        usual dtype: uint8, uint16, int64 or a float.
    connectivity
        1: neighbours share a face; ndim: a corner is enough.

    Raises
    ------
    InvalidInputError
        If the image is not real, has another number of dimensions or a very long axis, or `connectivity` is not in its
        range.
    """

    def __init__(self, image: NDArray[Any], connectivity: int = 1) -> None:
        _check_image(image)
        self.shape = image.shape
        self._lead = 3 - image.ndim
        self._shape = tuple([1] * self._lead + list(image.shape))
        self._values, self._arithmetic = _values(image)
        steps = physical_steps((1.0,) * image.ndim, connectivity)
        self._offsets = np.pad(steps, ((0, 0), (self._lead, 0)))
        self._stamps = np.zeros(image.size, np.uint8)
        self._base, self._next = 1, 1
        self._queue = np.empty(RING, np.int64)
        self._cursor = np.array([0, 0] + [0, -1] * 3, np.int64)
        self._dirty: Region = ()
        self._ids = np.zeros(0, np.int64)
        self._totals = np.zeros(0, self._arithmetic)
        self._counts = np.zeros(0, self._arithmetic)
        self._sizes: NDArray[np.int64] | None = None
        self._tolerance, self._room = 0.0, EVER

    def start(self, seeds: ArrayLike, criterion: Criterion, tolerance: float, max_size: int | None = None) -> None:
        """Plant new seeds and forget what has grown before; parameters as for `grow`, and one point may stand alone.

        Raises
        ------
        InvalidInputError
            As for `grow`. Nothing has grown then.
        """
        if criterion not in {"running_mean", "fixed_range"}:
            raise InvalidInputError(f"Criterion {criterion!r} is not known: choose 'running_mean' or 'fixed_range'.")
        if not tolerance >= 0:
            raise InvalidInputError(f"Tolerance {tolerance} lets nothing join: choose 0 or more.")
        if max_size is not None and max_size < 1:
            raise InvalidInputError(f"A region of at most {max_size} pixels is none: choose 1 or more.")
        places, owners, ids = _read_seeds(seeds, self.shape)
        self._stop()
        self._renew_stamps(len(ids))
        if len(places) + len(self._offsets) > self._queue.size:
            self._queue = np.empty(1 << (len(places) + len(self._offsets)).bit_length(), np.int64)
        self._ids, self._room = ids, max_size or EVER
        self._totals, self._counts = np.zeros(len(ids), self._arithmetic), np.zeros(len(ids), self._arithmetic)
        self._plant(places, owners)
        running = criterion == "running_mean"
        self._sizes = None if running else self._counts.astype(np.int64)
        self._tolerance = float(limits(tolerance, running=running))

    def step(self, max_pixels: int | None = None) -> bool:
        """Go on for `max_pixels` pixels, or to the end; the result does not depend on how the work is cut.

        Returns
        -------
        Whether everything has grown to its end.
        """
        from napari_tessera.operations.growing.engine.queue_kernels import advance

        budget = EVER if max_pixels is None else max_pixels
        last = int(self._cursor[0]) + budget
        while self._cursor[0] < min(self._cursor[1], last):
            advance(
                self._values,
                self._shape,
                self._offsets,
                self._stamps,
                self._base,
                self._queue,
                self._cursor,
                self._totals,
                self._counts,
                self._sizes,
                self._tolerance,
                self._room,
                last - int(self._cursor[0]),
            )
            if self._cursor[0] < min(self._cursor[1], last):
                self._lengthen_queue()
        return self.done

    @property
    def done(self) -> bool:
        """Whether no pixel is left whose neighbours are to be tried."""
        return bool(self._cursor[0] == self._cursor[1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Shape (regions,): pixels of each region until now."""
        return (self._counts if self._sizes is None else self._sizes).astype(np.int64)

    @property
    def means(self) -> NDArray[np.float64]:
        """Shape (regions,): the mean that new pixels are compared with; NaN for a region without pixels."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._totals / self._counts, np.float64)

    @property
    def bounds(self) -> Region:
        """One slice per dimension that holds all that has grown: the smallest ones once everything has."""
        low, high = self._cursor[2::2].tolist(), self._cursor[3::2].tolist()
        if high[2] < 0:
            return (slice(0, 0),) * len(self.shape)
        # What still waits in the queue touches what has left it, or is a seed.
        wait = 0 if self.done else 1
        every = [slice(max(a - wait, 0), min(b + 1 + wait, n)) for a, b, n in zip(low, high, self._shape, strict=True)]
        return tuple(every[self._lead :])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Bool, in the shape of `bounds`: what belongs to any region."""
        return self._stamped[self.bounds] >= self._base

    def labels(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the labels of the whole image, with the ids of the seeds; see `grow`.

        Raises
        ------
        InvalidInputError
            If `out` has another shape than the image, or its dtype cannot hold the ids.
        """
        ids = np.concatenate([[0], self._ids])
        greatest = int(ids.max())
        if out is None:
            out = np.zeros(self.shape, np.int32 if greatest < 2**31 else np.int64)
        else:
            _check_out(out, self.shape, greatest)
            out[...] = 0
        here = self.bounds
        stamps = self._stamped[here]
        if self._base == 1 and greatest == len(self._ids):
            out[here] = stamps
        else:
            out[here] = ids[np.where(stamps >= self._base, stamps - (self._base - 1), 0)]
        return out

    @property
    def _stamped(self) -> NDArray[Any]:
        return self._stamps.reshape(self.shape)

    def _stop(self) -> None:
        """Remember where stamps have been written, and empty the queue."""
        here = self.bounds
        self._dirty = _around(self._dirty, here)
        self._cursor[:] = (0, 0, 0, -1, 0, -1, 0, -1)

    def _plant(self, places: NDArray[np.int64], owners: NDArray[np.int64]) -> None:
        from napari_tessera.operations.growing.engine.queue_kernels import plant

        bad = plant(
            self._values,
            self._shape,
            places,
            owners,
            self._stamps,
            self._base,
            self._queue,
            self._cursor,
            self._totals,
            self._counts,
        )
        if bad >= 0:
            where = tuple(places[bad, self._lead :].tolist())
            self._cursor[1] = self._cursor[0]
            raise InvalidInputError(f"The seed at {where} lies on NaN or infinity: move it to a pixel with a value.")

    def _renew_stamps(self, count: int) -> None:
        """Choose `count` stamps that no pixel has and that are greater than all before."""
        if count > np.iinfo(self._stamps.dtype).max:
            self._stamps = np.zeros(self._stamps.size, np.int32)
            self._dirty, self._next = (), 1
        if self._next + count - 1 > np.iinfo(self._stamps.dtype).max:
            self._stamped[self._dirty] = 0
            self._dirty, self._next = (), 1
        self._base, self._next = self._next, self._next + count

    def _lengthen_queue(self) -> None:
        head, tail = self._cursor[:2]
        old, new = self._queue, np.empty(2 * self._queue.size, np.int64)
        places = np.arange(head, tail)
        new[places & (new.size - 1)] = old[places & (old.size - 1)]
        self._queue = new


def _check_image(image: NDArray[Any]) -> None:
    if image.ndim not in {2, 3}:
        raise InvalidInputError(f"Regions grow in 2 or 3 dimensions, not in {image.ndim}: choose a plane or a volume.")
    if image.dtype.kind not in "biuf":
        raise InvalidInputError(f"Regions cannot grow in {image.dtype}: convert the image to integers or real numbers.")
    if max(image.shape) > LONGEST:
        raise InvalidInputError(f"An axis of {max(image.shape)} pixels is too long to grow in: crop to {LONGEST}.")


def _values(image: NDArray[Any]) -> tuple[NDArray[Any], type[np.int64] | type[np.float64]]:
    """Return the pixels in one dimension, and the type in which they are summed: whole numbers, if none overflows."""
    values = flat_pixels(image)
    if values.dtype.kind == "f" or values.size == 0:
        return values, np.float64
    if values.dtype.itemsize < 8:
        limits = np.iinfo(values.dtype)
        low, high = int(limits.min), int(limits.max)
    else:
        low, high = int(values.min()), int(values.max())
    if 2 * max(-low, high) * values.size < 2**63:
        return flat_pixels(values.astype(held_as(values.dtype), copy=False)), np.int64
    return flat_pixels(values.astype(np.float64)), np.float64


def held_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return in which type pixels of `dtype` are held: integers in one of few, so that few loops are compiled."""
    return dtype if dtype.kind == "f" or dtype in (np.bool_, np.uint8, np.uint16) else np.dtype(np.int64)


def _read_seeds(
    seeds: ArrayLike, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of each seed pixel (n, 3), the number of its region (n,), and the ids of the regions."""
    array = np.asarray(seeds)
    if array.size and array.dtype.kind not in "biu":
        raise InvalidInputError(f"Seeds of {array.dtype} are not pixels or labels: round them to integers first.")
    if array.shape == shape:
        where = np.flatnonzero(array)
        found, owners = np.unique(array.reshape(-1)[where], return_inverse=True)
        if found.size and (found[0] < 0 or int(found[-1]) >= 2**63):
            raise InvalidInputError("Ids of seeds must be from 1 to 2^63 − 1: relabel the seeds first.")
        order = np.argsort(owners, kind="stable")
        points = np.stack(np.unravel_index(where[order], shape), axis=1)
        owners, ids = owners[order].astype(np.int64), found.astype(np.int64)
    else:
        points = (
            array.reshape(1, -1)
            if array.shape == (len(shape),)
            else array.reshape(-1, len(shape))
            if array.size == 0
            else array
        )
        if points.ndim != 2 or points.shape[1] != len(shape):
            raise InvalidInputError(
                f"Seeds of shape {array.shape} fit no image of shape {shape}: give labels of that shape, or points of "
                f"shape (N, {len(shape)})."
            )
        outside = ((points < 0) | (points >= shape)).any(axis=1)
        if outside.any():
            first = tuple(points[outside.argmax()].tolist())
            raise InvalidInputError(f"The seed at {first} lies outside the image of shape {shape}: move or remove it.")
        owners = np.arange(len(points))
        ids = owners + 1
    places = np.zeros((len(points), 3), np.int64)
    places[:, 3 - len(shape) :] = points
    return places, owners, ids


def _check_out(out: NDArray[Any], shape: tuple[int, ...], greatest: int) -> None:
    if out.shape != shape:
        raise InvalidInputError(f"The output of shape {out.shape} must have the shape of the image, {shape}.")
    if out.dtype.kind not in "iu" or greatest > np.iinfo(out.dtype).max:
        raise InvalidInputError(f"Labels up to {greatest} do not fit into {out.dtype}: use int32 or wider.")


def _around(first: Region, second: Region) -> Region:
    """Return the smallest region around two, of which the second may be empty, or the first be none."""
    return second if not first else first if regions.is_empty(second) else regions.union(first, second)
