"""What an array must be before it is transformed, and the precision it is worked on with."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.operations.casting import real_dtype

Real = NDArray[np.floating[Any]]
"""A float32 or float64 array."""

Spectrum = NDArray[np.complexfloating[Any, Any]]
"""A complex64 or complex128 array."""


def working_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype of work and of results: float64 for float64 and integers of 32 bits or more, else float32."""
    return real_dtype(dtype)


def as_real(image: NDArray[Any], what: str = "image") -> Real:
    """Return `image` in its working dtype, not copied where it has it already.

    Parameters
    ----------
    image
        Any number of dimensions from one, any real dtype; bool counts as 0 and 1, integers are not rescaled.
    what
        What to call it in an error.

    Raises
    ------
    InvalidInputError
        For complex or non-numeric data, an axis of length zero, NaN or infinite values.
    """
    image = np.asarray(image)
    if image.dtype.kind == "c":
        raise InvalidInputError(f"The {what} is complex: pass its real part or its modulus.")
    if image.dtype.kind not in "buif":
        raise InvalidInputError(f"The {what} is of type {image.dtype}: pass an array of numbers.")
    if image.ndim == 0 or image.size == 0:
        raise InvalidInputError(f"The {what} of shape {image.shape} has no pixels: every axis needs at least one.")
    real = np.asarray(image, working_dtype(image.dtype))
    # Whatever is not finite makes the sum so too, and the sum is quicker; a sum that overflows proves nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(real.sum())
    if suspicious and not np.isfinite(real).all():
        raise InvalidInputError(f"The {what} holds NaN or infinite values: replace them, for example by 0.")
    return real


def require_structure(image: Real, purpose: str) -> None:
    """Raise NoContrastError if all pixels of `image` are equal, so that nothing can be estimated from it.

    Parameters
    ----------
    image
        Finite values.
    purpose
        What the estimate is for, as in "the noise cannot be estimated".
    """
    if image.min() == image.max():
        raise NoContrastError(f"All pixels are equal, so {purpose}: choose an image with content.")


def require_positive(value: float, what: str) -> float:
    """Return `value`, or raise InvalidInputError if it is not a finite number above zero."""
    if not (np.isfinite(value) and value > 0):
        raise InvalidInputError(f"{what} is {value}: it must be a number above 0.")
    return float(value)
