"""Whether a frame makes sense for its layer: a checksum that fits says only that it is as it was written.

Everything is checked before memory is taken for it, so that a length that makes no sense costs nothing.
"""

from typing import Any

import numpy as np

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.journal.frame_pixels import read_pixels
from napari_tessera.io.journal.frames import (
    KINDS,
    METADATA,
    MOST_POINTS_READ,
    MOST_VALUE_BYTES,
    OF_PIXELS,
    POINTS,
    REPLACE,
    WIDEN,
    Frame,
    NonsenseError,
    decode_fields,
)

_FIXED = {"shape", "dtype"}


class Checks:
    """Whether frames make sense, one after another; of another array nothing is known but its number.

    Attributes
    ----------
    nonsense
        The first frame that makes none and that no later segment has replaced, and why.
    """

    def __init__(self, folded: int, header: LayerHeader) -> None:
        self._folded, self._header = folded, header
        self._after: list[tuple[int, LayerHeader | None]] = []
        self.nonsense: tuple[Frame, str] | None = None

    def go_back_to(self, number: int) -> None:
        """Forget frames from `number` on: others take their place."""
        while self._after and self._after[-1][0] >= number:
            self._after.pop()
        if self.nonsense is not None and self.nonsense[0].number >= number:
            self.nonsense = None

    def makes_sense(self, frame: Frame, payload: bytes) -> bool:
        """Whether the next frame does."""
        if frame.number <= self._folded or frame.kind not in KINDS:
            return True  # not used, or of a newer version: that is told elsewhere
        header = self._after[-1][1] if self._after else self._header
        if header is None:
            return True
        try:
            after = header_after(frame, payload, header)
        except NonsenseError as error:
            self.nonsense = frame, str(error)
            return False
        if after is not header:
            self._after.append((frame.number, after))
        return True


def header_after(frame: Frame, payload: bytes, header: LayerHeader) -> LayerHeader | None:
    """Check a frame, and return what the layer is after it; None after another array, which is of a shape of its own.

    Parameters
    ----------
    frame, payload
        Of one kind that is known here.
    header
        What the layer is before it.

    Raises
    ------
    NonsenseError
        If nothing of ours has written it for this layer; says why.
    """
    if frame.kind in OF_PIXELS:
        _check_pixels(frame, payload, header)
        return header
    fields = decode_fields(payload)
    if frame.kind == REPLACE:
        generation = fields.get("generation")
        if not isinstance(generation, int) or isinstance(generation, bool) or generation < 1:
            raise NonsenseError("another array without its number")
        return None
    if frame.kind == WIDEN:
        return _widened(fields, header)
    if frame.kind == METADATA and _FIXED & set(fields):
        raise NonsenseError("a shape or type that changes without the array")
    return header if frame.kind != METADATA else _changed(fields, header)


def changed_header(header: LayerHeader, changes: dict[str, Any]) -> LayerHeader:
    """Return `header` with `changes`, checked; raises InvalidInputError if they make no sense."""
    return LayerHeader.parse({**header.model_dump(mode="json"), **changes})


def _changed(fields: dict[str, Any], header: LayerHeader) -> LayerHeader:
    try:
        return changed_header(header, fields)
    except InvalidInputError as error:
        raise NonsenseError("a description that no layer has") from error


def _widened(fields: dict[str, Any], header: LayerHeader) -> LayerHeader:
    if set(fields) != {"dtype"} or not isinstance(fields["dtype"], str):
        raise NonsenseError("another type of labels without its name")
    widened = _changed(fields, header)
    if not np.can_cast(header.dtype, widened.dtype, "safe"):
        raise NonsenseError("a type that the labels do not fit into")
    return widened


def _check_pixels(frame: Frame, payload: bytes, header: LayerHeader) -> None:
    pixels = read_pixels(frame.kind, payload)
    place = pixels.place
    if len(place.shape) != len(header.shape):
        raise NonsenseError("another number of dimensions")
    if any(at + length > whole for at, length, whole in zip(place.start, place.shape, header.shape, strict=True)):
        raise NonsenseError("pixels outside the labels")
    if not np.can_cast(place.dtype, header.dtype, "safe"):
        raise NonsenseError(f"values of the type {place.dtype}")
    if frame.kind != POINTS and pixels.volume * place.dtype.itemsize > MOST_VALUE_BYTES:
        raise NonsenseError("more pixels than one record holds")
    if frame.kind == POINTS and pixels.parts[0].count > MOST_POINTS_READ:
        raise NonsenseError("more pixels than one record holds")
    pixels.check()
