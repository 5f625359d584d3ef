"""What networks are built of; the names of the parts stand in files of weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from napari_tessera.nn.networks.normalization import Normalization, fold_normalization, make_normalization
from napari_tessera.nn.networks.reach import Lengths

CONVOLUTIONS: Mapping[int, type[nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
"""By the number of spatial dimensions, as the tables below."""

TRANSPOSED: Mapping[int, type[nn.ConvTranspose2d | nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLS: Mapping[int, type[nn.MaxPool2d | nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class Foldable(nn.Module, ABC):
    """A block with a normalisation that can be put into the convolution before it."""

    @abstractmethod
    def fold(self) -> None:
        """Put the normalisation into the convolution; afterwards the block is fit for prediction only."""


class ConvUnit(Foldable):
    """Convolution that keeps the size, normalisation, ReLU.

    Parameters
    ----------
    inputs, outputs
        Numbers of feature maps.
    normalization
        What follows the convolution.
    kernel
        Its length per axis, odd: (z, y, x) or (y, x).
    dilation
        Distance of the pixels that it takes.
    """

    def __init__(
        self, inputs: int, outputs: int, normalization: Normalization, kernel: Lengths, dilation: int = 1
    ) -> None:
        super().__init__()
        dimensions = len(kernel)
        padding = tuple(length // 2 * dilation for length in kernel)
        conv = CONVOLUTIONS[dimensions]
        bias = normalization == "none"
        self.conv = conv(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=bias)  # type: ignore[arg-type]
        self.norm = make_normalization(normalization, outputs, dimensions)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, …) to (n, outputs, …) of the same size."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Put the normalisation into the convolution."""
        self.conv = fold_normalization(self.conv, self.norm)
        self.norm = nn.Identity()


class Upsampling(nn.Module):
    """Enlarge each spatial dimension by a factor of its own and halve the number of features.

    Parameters
    ----------
    inputs
        Number of feature maps.
    factor
        Per axis.
    kind
        ``"transposed"``, a learnt block for each pixel, or ``"interpolated"``, linearly.
    """

    def __init__(self, inputs: int, factor: Lengths, kind: str) -> None:
        super().__init__()
        dimensions, outputs = len(factor), inputs // 2
        self.enlarge: nn.Module
        if kind == "transposed":
            self.enlarge = TRANSPOSED[dimensions](inputs, outputs, factor, stride=factor)  # type: ignore[arg-type]
        else:
            mode = "bilinear" if dimensions == 2 else "trilinear"
            self.enlarge = nn.Sequential(
                CONVOLUTIONS[dimensions](inputs, outputs, 1),
                nn.Upsample(scale_factor=tuple(map(float, factor)), mode=mode, align_corners=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, …) to (n, inputs // 2, …) of the enlarged size."""
        enlarged: Tensor = self.enlarge(x)
        return enlarged


def continue_to_multiple(x: Tensor, multiple: Lengths) -> Tensor:
    """Continue the far end of `x` (n, c, …) with its last pixels, to a multiple along each axis."""
    missing = [-length % step for length, step in zip(x.shape[2:], multiple, strict=True)]
    if not any(missing):
        return x
    return functional.pad(x, [amount for n in reversed(missing) for amount in (0, n)], mode="replicate")
