"""Axis names: one letter per array dimension, from ``t`` (time), ``c`` (channel), ``z``, ``y``, ``x``."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError

CANONICAL = "tczyx"
SPATIAL = "zyx"

FEW_CHANNELS = 4
"""A dimension of guessed meaning that is no longer than this may well be the channels."""


def validate_axes(axes: str, ndim: int | None = None) -> str:
    """Return `axes` unchanged, or say what is wrong with it.

    Parameters
    ----------
    axes
        One letter per dimension, each of ``tczyx`` at most once, in any order; ``y`` and ``x`` are required.
    ndim
        Number of dimensions that the axes must have.

    Raises
    ------
    InvalidInputError
        For unknown, repeated or missing letters, or a wrong number of them.
    """
    unknown = sorted(set(axes) - set(CANONICAL))
    if unknown:
        raise InvalidInputError(f"Axes {axes!r} contain {''.join(unknown)!r}: use letters of {CANONICAL!r}.")
    if len(set(axes)) != len(axes):
        raise InvalidInputError(f"Axes {axes!r} name an axis twice: use each letter of {CANONICAL!r} at most once.")
    if not {"y", "x"} <= set(axes):
        raise InvalidInputError(f"Axes {axes!r} lack y or x: every image needs both.")
    if ndim is not None and len(axes) != ndim:
        raise InvalidInputError(
            f"Axes {axes!r} name {len(axes)} dimensions but the array has {ndim}: name each dimension once."
        )
    return axes


def spatial_axes(axes: Iterable[str]) -> str:
    """Return the spatial letters of `axes`, in their order."""
    return "".join(axis for axis in axes if axis in SPATIAL)


def guess_axes(shape: tuple[int, ...], *, rgb: bool = False) -> str:
    """Guess axis names for an array that carries none.

    Two dimensions are ``yx``; a third leading one is ``z``, a fourth ``t``. A small leading or trailing dimension is
    *not* taken for channels: only a file's metadata, `rgb` or the user can say so.

    Raises
    ------
    InvalidInputError
        If the array has fewer than two dimensions or more than can be guessed.
    """
    planes = len(shape) - (3 if rgb else 2)
    if len(shape) > len(CANONICAL):
        raise InvalidInputError(
            f"An array of shape {shape} has {len(shape)} dimensions, and an image at most {len(CANONICAL)}: save one "
            "image of it, without the others."
        )
    if not 0 <= planes <= 2:
        raise InvalidInputError(
            f"An array of shape {shape} is not an image that can be guessed: name its axes (letters of {CANONICAL!r})."
        )
    return ["", "z", "tz"][planes] + ("yxc" if rgb else "yx")


def move_axes(array: NDArray[np.generic], source: str, target: str) -> NDArray[np.generic]:
    """Reorder the dimensions of `array` from `source` to `target`, adding missing ones with length one.

    Parameters
    ----------
    array
        Any dtype, dimensions named by `source`.
    source, target
        Axis letters; every letter of `source` must stand in `target`, or belong to a dimension of length one.

    Returns
    -------
    ndarray
        A view wherever numpy allows one, dimensions named by `target`.
    """
    validate_axes(source, array.ndim)
    dropped = [axis for axis in source if axis not in target]
    for axis in dropped:
        if array.shape[source.index(axis)] != 1:
            raise InvalidInputError(
                f"Axis {axis!r} of length {array.shape[source.index(axis)]} cannot be dropped: "
                "select one position on it."
            )
    array = array.squeeze(tuple(source.index(axis) for axis in dropped))
    kept = "".join(axis for axis in source if axis in target)
    array = array.transpose([kept.index(axis) for axis in target if axis in kept])
    return array[tuple(slice(None) if axis in kept else np.newaxis for axis in target)]
