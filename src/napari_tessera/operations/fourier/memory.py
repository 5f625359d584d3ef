"""How much memory work in the frequency domain takes, said before it starts."""

from collections.abc import Sequence
from math import prod

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.fourier.checking import working_dtype


def bytes_needed(spec: ImageSpec, plain: float, padded: float = 0, margin: Sequence[int] = ()) -> int:
    """Return about how many bytes are taken at the most, the image included.

    Parameters
    ----------
    spec
        Of the frame.
    plain
        Arrays of the frame's shape, in its working dtype, that exist at once beside the image.
    padded
        The same of the shape extended by `margin`; a spectrum of a real transform counts as one.
    margin
        Pixels added to each axis.
    """
    size = working_dtype(spec.dtype).itemsize
    extended = prod(n + m for n, m in zip(spec.shape, margin or (0,) * len(spec.shape), strict=True))
    return int(prod(spec.shape) * (spec.dtype.itemsize + plain * size) + extended * padded * size)
