"""The tolerance of a first click, from what surrounds the clicked pixel.

1. The noise is estimated from the differences of neighbours (median of absolute values).
2. An outline is sought that may be that of the object: see `star_outlines`. It is closed and need not follow any grey
   level, so it keeps objects apart that touch. In a volume, one is sought in each of its three planes at the point.
3. Regions are let grow by the criterion with tolerances from low to high. The tolerance is taken whose region is most
   like what the outline encloses, and, of regions that are nearly as like it, has most contrast across its border.

Where there is no object, as in the middle of a wide plain, the tolerance is that which the noise stays within.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.click_window import Frame
from napari_tessera.operations.growing.engine.edges import noise_left, ridge_rounds, smooth
from napari_tessera.operations.growing.guess.star_outlines import Outline, star_outlines

HALF = {2: (64, 128), 3: (24, 32)}
"""How far the windows reach to each side, by the number of axes, in smallest sides of a pixel; the second is for what
is no object in the first."""
SCALE = 1.0
"""Sigma of the smoothing for the outlines, in smallest sides of a pixel."""
NOISE_LEFT = 1 / (2 * math.sqrt(math.pi) * SCALE)
"""What that leaves of the standard deviation of white noise, in a plane."""
LEAST_CONTRAST = 1.2
"""Of an outline, per side of a pixel, times the noise that is left: in noise alone, it is 0.6 to 1."""
FAINTEST = 1e-3
"""Of the greatest difference in the window: what is less is not seen beside it."""
HALF_KNOWN = 0.5
THINNEST = 3
"""Pixels across which there may be an outline."""
MOST_CUT_SHORT = 0.25
"""Which part of an outline may run as far away as the window reaches."""
LOUDNESS = 0.3
"""How much more an outline is worth if its contrast is e times that of another."""
LEAST_SIZE = 12
"""Pixels of an object in a plane."""
TRIED, TRIED_LARGE, LARGE = 24, 12, 4000
"""How many tolerances are tried, also if an object has more pixels in its planes than the last."""
SPAN, WIDEST = 20.0, 1.5
"""The highest tolerance over the lowest, and over what lies in an object."""
STRENGTHS = (30, 40, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 98, 100)
"""If edges stop the growth: which percentiles of the edge strengths in an object are tried."""
MOST_TOO_LARGE = 2
"""Times the size of the object: what grows larger is not like it, and need not be grown to its end."""
LEAST_LIKENESS = 0.1
WEIGHT_OF_CONTRAST = 0.2
"""Exponent of the contrast of a region beside its likeness."""
NOISE = 3.0
"""How many standard deviations a tolerance holds."""


Cut = tuple[slice | int, ...]


@dataclass(frozen=True)
class Place:
    """What surrounds a click.

    Attributes
    ----------
    frame, box
        Where it is.
    at
        The pixel in the box.
    pixels
        Shape of the box and channels: differences from that pixel, as a part of `unit`.
    unit
        In grey levels.
    known
        Shape of the box: what has a value and may be entered.
    noise
        Standard deviation, as a part of `unit`.
    """

    frame: Frame
    box: Region
    at: tuple[int, ...]
    pixels: NDArray[np.float32]
    unit: float
    known: NDArray[np.bool_]
    noise: float


@dataclass(frozen=True)
class Guess:
    """What a click may mean.

    Attributes
    ----------
    grey
        Shape of the box: one grey level per pixel, which rises across the border of the object.
    cuts
        Planes through the point, as indices into the box, and the outline of the object in each.
    """

    grey: NDArray[np.float32]
    cuts: list[tuple[Cut, Outline]]


def first_tolerance(frame: Frame, steps: NDArray[np.int64], point: NDArray[np.int64], *, running: bool) -> float:
    """Return the tolerance for a click.

    Parameters
    ----------
    frame
        Where.
    steps
        Shape (neighbours, ndim): to the neighbours of a pixel.
    point
        Shape (ndim,): the pixel.
    running
        Whether the mean follows the pixels that join.

    Returns
    -------
    Above 0; in grey levels, or in those per smallest side of a pixel if edges stop the growth.
    """
    faintest = noise = 0.0
    for half in HALF[frame.ndim]:
        place = _look_round(frame, point, half)
        noise = place.noise * place.unit * noise_left(frame.sides, frame.sigma)
        faintest = FAINTEST * place.unit * bool(place.pixels.any())
        guess = _guess(place, half)
        if guess is not None:
            found = _fit(place, guess, steps, running=running and not frame.edges)
            if found > 0:
                return found
            break
        if all(part.stop - part.start == n for part, n in zip(place.box, frame.shape, strict=True)):
            break
    return _from_noise(frame, point, noise, faintest)


def noise_of(pixels: NDArray[Any]) -> float:
    """Return the standard deviation of the noise of an image, shape (…, channels), over all channels together.

    The median of absolute differences of neighbours along the last axis is that of Gaussian noise, whatever the edges.
    """
    variance = 0.0
    for c in range(pixels.shape[-1]):
        plane = pixels[..., c]
        with np.errstate(invalid="ignore"):  # infinity less infinity
            steps = np.abs(np.diff(plane, axis=plane.ndim - 1)).ravel()
        steps = steps[np.isfinite(steps)]
        if steps.size:
            variance += (1.4826 * _median(steps)) ** 2 / 2
    return math.sqrt(variance)


def _median(numbers: NDArray[Any]) -> float:
    """Return the median of finite numbers: `numpy.median` takes twice as long, as it sorts out NaN too."""
    half = numbers.size // 2
    parted = np.partition(numbers, half)
    upper = parted[half]
    return float(upper if numbers.size % 2 else np.mean([parted[:half].max(), upper]))


def _look_round(frame: Frame, point: NDArray[np.int64], half: int) -> Place:
    box = _box_round(point, half, frame)
    at = tuple(int(p) - part.start for p, part in zip(point, box, strict=True))
    levels = _levels(frame, box)
    pixels, unit = _scaled(levels - levels[at])
    known = np.asarray(np.isfinite(pixels).all(axis=-1))
    if frame.blocked is not None:
        known &= ~frame.blocked(box)
    return Place(frame, box, at, pixels, unit, known, noise_of(pixels))


def _box_round(point: NDArray[np.int64], half: int, frame: Frame) -> Region:
    reach = [max(int(half / side), 2) for side in frame.sides]
    return regions.grown(regions.pixel(point), reach, frame.shape)


def _levels(frame: Frame, box: Region) -> NDArray[np.float64]:
    """Return the grey levels of a box as they are, with an axis of channels."""
    levels = replace(frame, edges=False, sigma=0.0).prepared(box).astype(np.float64)
    return levels if frame.channels else levels[..., None]


def _scaled(values: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
    """Return values as parts of the greatest, which short numbers hold whatever the image, and that."""
    greatest = float(np.abs(values, where=np.isfinite(values), out=np.zeros_like(values)).max())
    unit = greatest if 0 < greatest < math.inf else 1.0
    return (values / unit).astype(np.float32), unit


def _guess(place: Place, half: int) -> Guess | None:
    """Return the object round the point of a place, or None."""
    grey = _grey(place)
    cuts = _cuts(place)
    pairs = [_outlines(place, grey, cut, half) for cut in cuts]
    # the differences of what is smoothed fall with the square of sigma: there are fewer of them, and each is flatter
    left = NOISE_LEFT * (SCALE / max(SCALE, place.frame.sigma)) ** 2
    least = max(LEAST_CONTRAST * place.noise * left, FAINTEST)
    best, most = None, -math.inf
    for sign, outlines in zip((1, -1), zip(*pairs, strict=True), strict=False):
        n = len(outlines)
        sound = (
            sum(o.contrast for o in outlines) > least * n
            and sum(o.cut_short for o in outlines) <= MOST_CUT_SHORT * n
            and max(np.count_nonzero(o.mask) for o in outlines) >= LEAST_SIZE
        )
        worth = sum(o.worth + LOUDNESS * math.log(o.usual) for o in outlines)
        if sound and worth > most:
            best, most = Guess(grey * np.float32(sign), list(zip(cuts, outlines, strict=True))), worth
    return best


def _cuts(place: Place) -> list[Cut]:
    """Return the planes through the point, as indices into the box: one of a plane, three of a volume."""
    ndim, shape = len(place.at), place.known.shape
    return [
        tuple(slice(None) if axis in axes else place.at[axis] for axis in range(ndim))
        for axes in combinations(range(ndim), 2)
        if all(shape[axis] >= THINNEST for axis in axes)
    ]


def _outlines(place: Place, grey: NDArray[np.float32], cut: Cut, half: int) -> tuple[Outline, Outline]:
    first, second = (axis for axis, part in enumerate(cut) if isinstance(part, slice))
    sides = (place.frame.sides[first], place.frame.sides[second])
    sigma = max(SCALE, place.frame.sigma)
    sigmas = [sigma / side for side in sides]
    plane, known = grey[cut], place.known[cut]
    if known.all():
        smoothed = smooth(plane, sigmas)
    else:  # what is not known has no weight, and is taken from round it if most is known there
        weights = smooth(known.astype(np.float32), sigmas)
        smoothed = smooth(np.where(known, plane, np.float32(0)), sigmas) / np.maximum(weights, HALF_KNOWN)
        known = weights > HALF_KNOWN
    return star_outlines(smoothed, known, (place.at[first], place.at[second]), sides, half)


def _grey(place: Place) -> NDArray[np.float32]:
    """Return one grey level per pixel: of colours, that along their first principal axis."""
    pixels = place.pixels
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    _, axes = np.linalg.eigh(np.cov(pixels[place.known].T, bias=True))
    return np.asarray(pixels @ axes[:, -1].astype(np.float32))


def _fit(place: Place, guess: Guess, steps: NDArray[np.int64], *, running: bool) -> float:
    """Return the tolerance that gives the region most like the guess, within its window; 0 if none does."""
    from napari_tessera.operations.growing.guess.outline_kernels import CLOSED, INSIDE, SEEN, compare

    frame, known = place.frame, place.known
    values, unit = place.pixels, place.unit
    if frame.edges or frame.sigma:
        prepared = frame.prepared(place.box).astype(np.float64).reshape(*known.shape, -1)
        values, unit = _scaled(prepared if frame.edges else prepared - prepared[place.at])
    tolerances = _candidates(place, guess, values, running=running)
    marks = np.zeros(known.shape, np.uint8)
    for cut, _ in guess.cuts:
        marks[cut] = SEEN
    for cut, outline in guess.cuts:
        marks[cut][outline.mask] = SEEN | INSIDE
    marks[~(known & np.isfinite(values).all(axis=-1))] = CLOSED
    shell = [(1, 1)] * known.ndim
    marks = np.pad(marks, shell, constant_values=CLOSED)
    strides = np.array([math.prod(marks.shape[axis + 1 :]) for axis in range(marks.ndim)], np.int64)
    largest = max(np.count_nonzero(outline.mask) for _, outline in guess.cuts)
    table = compare(
        np.pad(values, [*shell, (0, 0)]).reshape(-1, values.shape[-1]),
        np.pad(guess.grey, shell).reshape(-1),
        marks.reshape(-1),
        int((np.array(place.at) + 1) @ strides),
        steps @ strides,
        ridge_rounds(steps, frame.sides, max(frame.sigma, 1.0)) if frame.edges else np.zeros(0, np.int64),
        running,
        tolerances,
        min(int(MOST_TOO_LARGE * largest ** (frame.ndim / 2)), marks.size),
    )
    if not len(table):
        return 0.0
    common, together, rise = table.T
    likeness = common / np.maximum(together, 1)
    score = np.where(likeness >= LEAST_LIKENESS, likeness * np.maximum(rise, 1e-9) ** WEIGHT_OF_CONTRAST, 0)
    best = int(score.argmax())
    return float(tolerances[best]) * unit if score[best] > 0 else 0.0


def _candidates(place: Place, guess: Guess, values: NDArray[np.float32], *, running: bool) -> NDArray[np.float64]:
    """Return tolerances from low to high, in the unit of `values`, between which that of the object lies."""
    inside = np.concatenate([values[cut][outline.mask] for cut, outline in guess.cuts])
    inside = inside[np.isfinite(inside).all(axis=-1)]
    if not len(inside):
        return np.zeros(0)
    large = len(inside) > LARGE
    if place.frame.edges:
        return np.unique(np.percentile(inside, STRENGTHS[large :: 1 + large]).astype(np.float64))
    centre = inside.mean(axis=0, dtype=np.float64) if running else np.zeros(values.shape[-1])
    highest = WIDEST * float(np.percentile(np.sqrt(((inside - centre) ** 2).sum(axis=-1)), 98))
    around = np.concatenate([values[cut][outline.around] for cut, outline in guess.cuts])
    around = around[np.isfinite(around).all(axis=-1)]
    if len(around):  # an object without any noise is all one grey level
        highest = max(highest, 0.75 * float(np.median(np.sqrt(((around - centre) ** 2).sum(axis=-1)))))
    return np.geomspace(highest / SPAN, highest, TRIED_LARGE if large else TRIED) if highest > 0 else np.zeros(0)


def _from_noise(frame: Frame, point: NDArray[np.int64], noise: float, faintest: float) -> float:
    """Return the tolerance of a plain: what its noise stays within, and never 0."""
    box = _box_round(point, 16, frame)
    if frame.edges:
        strengths = frame.prepared(box)
        strengths = strengths[np.isfinite(strengths)]
        noise = 1.4826 * float(np.median(strengths)) if strengths.size else 0.0
        faintest /= 2
    levels = _levels(frame, box)
    finite = np.abs(levels[np.isfinite(levels)])
    smallest = (
        0.5 if frame.dtype.kind in "biu" else float(finite.max() * 1e-6) if finite.size and finite.any() else 1e-6
    )
    return max(NOISE * noise, smallest, faintest)
