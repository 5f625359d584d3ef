"""Stains told apart by their colours (colour deconvolution)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError

Stains = Literal["H&E", "H-DAB", "H&E-DAB", "own"]

LEAST = 1e-6
"""Light below this part of the full light counts as this part: an optical density of 6."""

_HEMATOXYLIN, _EOSIN, _DAB = (0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776)

KNOWN: dict[Stains, tuple[tuple[float, float, float], ...]] = {
    "H&E": (_HEMATOXYLIN, _EOSIN),
    "H-DAB": (_HEMATOXYLIN, _DAB),
    "H&E-DAB": (_HEMATOXYLIN, _EOSIN, _DAB),
}
"""Optical densities of the stains in red, green and blue (Ruifrok & Johnston 2001)."""

NAMES: dict[Stains, tuple[str, str, str]] = {
    "H&E": ("hematoxylin", "eosin", "residual"),
    "H-DAB": ("hematoxylin", "DAB", "residual"),
    "H&E-DAB": ("hematoxylin", "eosin", "DAB"),
    "own": ("first stain", "second stain", "third stain"),
}


def parse_stains(texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Return the vectors typed as three numbers each; an empty last one is left out.

    Raises
    ------
    InvalidInputError
        If they are no two or three vectors of three numbers, or not independent.
    """
    vectors = []
    for text in texts:
        words = text.replace(",", " ").split()
        if not words:
            continue
        try:
            vectors.append(tuple(float(word) for word in words))
        except ValueError as error:
            raise InvalidInputError(f"The stain {text!r} holds something else than numbers: {_FORM}") from error
        if len(words) != 3 or not np.isfinite(vectors[-1]).all() or min(vectors[-1]) < 0:
            raise InvalidInputError(f"The stain {text!r} is no three numbers of 0 or more: {_FORM}")
    if len(vectors) < 2:
        raise InvalidInputError(f"Two stains or three are told apart, not {len(vectors)}: {_FORM}")
    unmixing(vectors)
    return tuple(vectors)


_FORM = "type optical densities in red, green and blue, like 0.65 0.70 0.29."


def unmixing(vectors: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return the matrix from optical densities (red, green, blue) to amounts of the stains, (3, 3).

    Vectors are brought to length 1. A third one that is left out is at right angles to the others.

    Raises
    ------
    InvalidInputError
        If they are not independent.
    """
    rows = np.array(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(lengths > 0, lengths, 1)
    if len(rows) == 2:
        across = np.cross(rows[0], rows[1])
        rows = np.vstack([rows, across / (np.linalg.norm(across) or 1)])
    if abs(np.linalg.det(rows)) < 1e-6:
        raise InvalidInputError("The stains have the same colour, or one has none: give vectors that differ.")
    return np.asarray(np.linalg.inv(rows).T, np.float64)


def separate(
    colors: NDArray[Any], vectors: Sequence[Sequence[float]], white: float, chosen: Sequence[int]
) -> NDArray[np.float64]:
    """Return the amount of each chosen stain, at least 0: the optical density that it alone would have.

    Parameters
    ----------
    colors
        (3 or more, …): red, green, blue; further channels are left out.
    vectors
        Optical densities of two or three stains in red, green and blue.
    white
        Intensity of full light.
    chosen
        Which stains, counted from 0.

    Returns
    -------
    Shape (stains chosen, …).

    References
    ----------
    A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color deconvolution", Anal. Quant.
    Cytol. Histol. 23 (2001).
    """
    matrix = unmixing(vectors)
    result = np.zeros((len(chosen), *colors.shape[1:]))
    for column, color in enumerate(colors[:3]):
        density = -np.log10(np.maximum(color.astype(np.float64) / white, LEAST))
        for place, stain in enumerate(chosen):
            result[place] += matrix[stain, column] * density
    return np.maximum(result, 0, out=result)
