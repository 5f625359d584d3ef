"""The tolerance of a first click, from what surrounds the clicked pixel.

1. The noise is estimated from the differences of neighbours (median of absolute values).
2. The object is guessed in a window round the click. A region is let grow there by levels of the distance from the grey
   level at the click, all slightly smoothed, from the noise upwards. It is taken at the level where the distance rises
   most steeply across its outline: at its highest *peripheral contrast* (Hojjatoleslami and Kittler). The contrast is
   weighted by how compact the region is, since two objects that have run together are less so. What fills the window or
   leaves it on a broad front is no object.
3. The tolerance is taken with which the criterion gives the region most like that.

Where there is no object, as in the middle of a wide plain, the tolerance is that which the noise stays within.

References
----------
S. A. Hojjatoleslami and J. Kittler, "Region growing: a new approach", IEEE Trans. Image Processing 7 (1998).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.growing.click_window import Box, Frame
from napari_tessera.operations.growing.edges import smooth
from napari_tessera.operations.growing.growth import EVER, Growth
from napari_tessera.operations.growing.physical import physical_steps

HALF = {2: (64, 128), 3: (24, 32)}
"""How far the windows reach to each side, by the number of axes, in smallest sides of a pixel; the second is for what
is no object in the first."""
LEVELS = 128
SPAN = 1000.0
"""The greatest distance over the least that has a level of its own."""
SCALE = 1.0
"""Sigma of the smoothing for the guess, in smallest sides of a pixel."""
LEAST_SIZE = 20
LARGEST_PART = 0.25
"""Of a window: what is larger is no object."""
BROADEST_FRONT = 0.25
"""Of the outline of a window: what touches more of it is no object."""
WEIGHT_OF_SIZE = {2: 0.0, 3: 0.7}
"""Exponent of the size in the score: volumes have flat flanks, and grow by all of them."""
MOST_TOO_LARGE = 3
"""Times the size of the guess: what grows larger is not like it, and need not be grown to its end."""
NOISE = 3.0
"""How many standard deviations a tolerance holds."""


@dataclass(frozen=True)
class Guess:
    """What a click may mean.

    Attributes
    ----------
    mask
        Shape of the window: the object.
    distance
        How far from the grey level at the click it reaches.
    """

    mask: NDArray[np.bool_]
    distance: float


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
    noise = 0.0
    for half in HALF[frame.ndim]:
        box = _box_round(point, half, frame)
        pixels = _distances_input(frame, box)
        at = tuple(int(p) - part.start for p, part in zip(point, box, strict=True))
        noise = noise_of(pixels)
        guess = _guess(frame, box, pixels, at, noise)
        if guess is not None:
            return _fit(frame, steps, box, at, guess, running=running)
        if all(part.stop - part.start == n for part, n in zip(box, frame.shape, strict=True)):
            break
    return _from_noise(frame, point, noise)


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


def _box_round(point: NDArray[np.int64], half: int, frame: Frame) -> Box:
    reach = [max(int(half / side), 2) for side in frame.sides]
    return tuple(
        slice(max(int(p) - r, 0), min(int(p) + r + 1, n)) for p, r, n in zip(point, reach, frame.shape, strict=True)
    )


def _distances_input(frame: Frame, box: Box) -> NDArray[np.float32]:
    """Return the grey levels of a box as they are, with an axis of channels."""
    pixels = replace(frame, edges=False, sigma=0.0).prepared(box).astype(np.float32, order="C")
    return pixels if frame.channels else pixels[..., None]


def _guess(frame: Frame, box: Box, pixels: NDArray[np.float32], at: tuple[int, ...], noise: float) -> Guess | None:
    """Return the object round the pixel `at` of a box, or None."""
    sigma = max(SCALE, frame.sigma)
    sigmas = [sigma / side if n > 1 else 0.0 for side, n in zip(frame.sides, frame.shape, strict=True)]
    smoothed = np.stack([smooth(pixels[..., c], sigmas) for c in range(pixels.shape[-1])], axis=-1)
    distances = np.sqrt(((smoothed - smoothed[at]) ** 2).sum(axis=-1))
    known = np.isfinite(distances)
    if frame.blocked is not None:
        known &= ~frame.blocked(box)
    distances[~known] = 0
    greatest = float(distances.max())
    least = max(NOISE * noise * _left_by(sigmas), greatest / SPAN)
    if not greatest > least:
        return None
    growth = (greatest / least) ** (1 / (LEVELS - 2))
    with np.errstate(divide="ignore"):
        ranks = np.clip(np.ceil(np.log(distances / least) / math.log(growth)), 0, LEVELS - 1)
    ranks[~known] = LEVELS
    table, joined = _traced(frame, box, distances, ranks, at)
    level = _best_level(table, distances.shape)
    return None if level is None else Guess(joined <= level, least * growth**level)


def _left_by(sigmas: Iterable[float]) -> float:
    """Return what part of the standard deviation of white noise a Gaussian leaves."""
    return math.prod(min(1.0, (2 * math.sqrt(math.pi) * sigma) ** -0.5) for sigma in sigmas if sigma > 0)


def _traced(
    frame: Frame, box: Box, distances: NDArray[np.float32], ranks: NDArray[Any], at: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
    from napari_tessera.operations.growing.contrast_kernels import trace

    padded = np.pad(distances, 1)
    shell = np.full(padded.shape, LEVELS, np.uint16)
    for axis, (part, n) in enumerate(zip(box, frame.shape, strict=True)):
        ends = [end for end, beyond in ((0, part.start > 0), (-1, part.stop < n)) if beyond]
        shell[(slice(None),) * axis + (ends,)] = LEVELS + 1
    inner = (slice(1, -1),) * padded.ndim
    shell[inner] = ranks
    strides = np.array([math.prod(padded.shape[axis + 1 :]) for axis in range(padded.ndim)], np.int64)
    steps = physical_steps(frame.sides, 1) @ strides
    seed = np.array([(np.array(at) + 1) @ strides], np.int64)
    table, joined = trace(padded.reshape(-1), shell.reshape(-1), LEVELS, seed, steps)
    return table, joined.reshape(padded.shape)[inner]


def _best_level(table: NDArray[np.float64], shape: tuple[int, ...]) -> int | None:
    size, rise, pairs, border = table.T
    pixels, ndim = math.prod(shape), len(shape)
    outline = 2 * sum(pixels / n for n in shape if n > 1)
    sound = (pairs > 0) & (size >= LEAST_SIZE) & (size <= LARGEST_PART * pixels) & (border <= BROADEST_FRONT * outline)
    if not sound.any():
        return None
    pairs = np.maximum(pairs, 1)
    score = rise / pairs * size ** (WEIGHT_OF_SIZE[ndim] + (ndim - 1) / ndim) / pairs
    return int(np.where(sound, score, -np.inf).argmax())


def _fit(
    frame: Frame, steps: NDArray[np.int64], box: Box, at: tuple[int, ...], guess: Guess, *, running: bool
) -> float:
    """Return the tolerance that gives the region most like the guess, within its window."""

    def shifted(part: Box) -> Box:
        return tuple(slice(a.start + b.start, a.stop + b.start) for a, b in zip(part, box, strict=True))

    read, blocked = frame.read, frame.blocked
    cut = replace(
        frame,
        read=lambda part: read(shifted(part)),
        shape=guess.mask.shape,
        blocked=None if blocked is None else lambda part: blocked(shifted(part)),
    )
    wanted = int(guess.mask.sum())
    growth = Growth(cut, steps, running, MOST_TOO_LARGE * wanted, EVER, many=False)
    points, whole = np.array([at], np.int64), tuple(slice(0, n) for n in guess.mask.shape)
    growth.open(points, whole)
    best, best_likeness = guess.distance, -1.0
    for tolerance in _candidates(growth, frame, guess):
        growth.plant(points, np.array([tolerance]))
        while not growth.advance(EVER):
            pass
        common = np.count_nonzero(guess.mask[growth.bounds] & growth.mask)
        likeness = common / (wanted + growth.size - common)
        if likeness > best_likeness:
            best, best_likeness = tolerance, likeness
    return best


def _candidates(growth: Growth, frame: Frame, guess: Guess) -> list[float]:
    if not frame.edges:
        return [float(c) for c in guess.distance * np.geomspace(0.4, 2.5, 15)]
    strengths = growth.window.values[growth.window.inside][guess.mask]
    strengths = strengths[np.isfinite(strengths)]
    return [float(c) for c in np.unique(np.percentile(strengths, [30, 50, 60, 70, 80, 85, 90, 95, 100]))]


def _from_noise(frame: Frame, point: NDArray[np.int64], noise: float) -> float:
    """Return the tolerance of a plain: what its noise stays within, and never 0."""
    box = _box_round(point, 16, frame)
    if frame.edges:
        strengths = frame.prepared(box)
        strengths = strengths[np.isfinite(strengths)]
        noise = 1.4826 * float(np.median(strengths)) if strengths.size else 0.0
    pixels = _distances_input(frame, box)
    finite = np.abs(pixels[np.isfinite(pixels)])
    smallest = (
        0.5 if frame.dtype.kind in "biu" else float(finite.max() * 1e-6) if finite.size and finite.any() else 1e-6
    )
    return max(NOISE * noise, smallest)
