"""Extending an image beyond its borders before a Fourier transform, which would join opposite borders otherwise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import ifft, irfft, next_fast_len, rfftn
from scipy.ndimage import convolve1d

from napari_tessera.operations.fourier.checking import Real, Spectrum
from napari_tessera.operations.mirroring import mirrored_all

Shape = tuple[int, ...]


def fast_shape(shape: Sequence[int], margin: Sequence[int]) -> Shape:
    """Return the lengths, quick to transform, that leave at least `margin` free pixels beyond each axis of `shape`.

    The free pixels lie behind the end of an axis and, as transforms are periodic, before its start as well: whatever
    reaches r pixels far from both ends needs a margin of 2 r.
    """
    return tuple(int(next_fast_len(n + m, real=True)) for n, m in zip(shape, margin, strict=True))


def extend(image: Real, shape: Sequence[int]) -> Real:
    """Return `image` within a larger periodic array that has no step at its seams.

    Behind each axis's end the mirror image of the end fades into the mirror image of the start (raised cosine), which
    follows by periodicity. Edge tapering does the same but spoils pixels of the image itself.

    Parameters
    ----------
    image
        Shape (..., y, x).
    shape
        At least that of `image`.

    Returns
    -------
    ndarray
        Dtype of `image`; the image stands in its first corner.
    """
    extended = np.empty(shape, image.dtype)
    extended[tuple(slice(n) for n in image.shape)] = image
    # Last axis first: then every further axis mirrors lines that are complete already.
    for axis in reversed(range(image.ndim)):
        lines = extended[tuple(slice(n) for n in image.shape[:axis])]
        _fade(lines, axis, image.shape[axis])
    return extended


def _fade(lines: Real, axis: int, n: int) -> None:
    """Fill `lines` along `axis` from position `n` on."""
    free = lines.shape[axis] - n
    if not free:
        return
    place = [1] * lines.ndim
    place[axis] = free
    fading = (0.5 + 0.5 * np.cos(np.pi * (np.arange(free) + 0.5) / free)).astype(lines.dtype).reshape(place)
    behind_end = np.take(lines, mirrored_all(np.arange(n, n + free), n), axis)
    before_start = np.take(lines, mirrored_all(np.arange(-free, 0), n), axis)
    target = lines[(slice(None),) * axis + (slice(n, None),)]
    np.multiply(behind_end, fading, out=target)
    target += before_start * (1 - fading)


def continue_level(extended: Real, shape: Sequence[int], run: int = 48, fade: int = 24) -> None:
    """Continue the brightness, but nothing finer, of an image beyond its borders, where it fades to 0; in place.

    Parameters
    ----------
    extended
        Holds an image of `shape` in its first corner and zeros elsewhere.
    shape
        Of the image.
    run
        Pixels next to a border, and along it, over which brightness is averaged (Hann weights): patterns of a shorter
        period do not go on.
    fade
        Pixels over which it fades (raised cosine), behind the end of an axis and before its start.
    """
    for axis in reversed(range(extended.ndim)):
        lines = np.moveaxis(extended[tuple(slice(n) for n in shape[:axis])], axis, -1)
        n, free = shape[axis], extended.shape[axis] - shape[axis]
        if not free:
            continue
        weights = _hann(min(run, n)).astype(extended.dtype)
        levels = [lines[..., n - weights.size : n] @ weights, lines[..., : weights.size] @ weights]
        for other in range(extended.ndim - 1):
            # axes behind this one are continued already, and periodic
            mode = "reflect" if other < axis else "wrap"
            levels = [convolve1d(level, _hann(2 * (run // 2) + 1), other, mode=mode) for level in levels]
        length = min(fade, free)
        falling = np.zeros(free, extended.dtype)
        falling[:length] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
        lines[..., n:] += levels[0][..., np.newaxis] * falling + levels[1][..., np.newaxis] * falling[::-1]


def _hann(length: int) -> NDArray[np.float64]:
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    return np.asarray(window / window.sum())


def forward(extended: Real) -> Spectrum:
    """Return the real Fourier transform over all axes; the last one holds frequencies from 0 up only."""
    spectrum: Spectrum = rfftn(extended)
    return spectrum


def inverse(spectrum: Spectrum, shape: Sequence[int], crop: Sequence[int]) -> Real:
    """Return the first `crop` pixels of the inverse real transform of `spectrum`, which is overwritten.

    Parameters
    ----------
    spectrum
        As `forward` gives for an array of `shape`.
    shape
        Of the whole inverse transform.
    crop
        How much of each axis is wanted. What is not is dropped as early as can be, which saves time.
    """
    for axis in range(len(shape) - 1):
        spectrum = ifft(spectrum, axis=axis, overwrite_x=True)
        spectrum = spectrum[(slice(None),) * axis + (slice(crop[axis]),)]
    whole: Real = irfft(spectrum, n=shape[-1], axis=-1, overwrite_x=True)
    return np.ascontiguousarray(whole[..., : crop[-1]])


def blocks(rows: int, row_bytes: int, target: int = 1 << 20) -> list[slice]:
    """Cut `rows` into slices of about `target` bytes, so that temporary arrays stay in the processor's cache."""
    step = max(1, target // max(1, row_bytes))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
