"""The U-Net with same-size convolutions, in two or three dimensions."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tessera.config.networks import UNetConfig
from napari_tessera.nn.networks.blocks import CONVOLUTIONS, POOLS, ConvUnit, Upsampling

CONVOLUTIONS_PER_LEVEL = 2


class UNet(nn.Module):
    """Encoder and decoder with skip connections; any size in, the same size out.

    Attributes
    ----------
    stride
        Total down-sampling: tiles that start at its multiples see the same grid as the whole image.
    halo
        How far beyond an output region that starts and ends at multiples of `stride` the input matters, in pixels.
    """

    def __init__(self, config: UNetConfig, channels: int, classes: int) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_width * 2**level for level in range(config.depth + 1)]
        self.encoders = nn.ModuleList(
            self._level(inputs, outputs) for inputs, outputs in zip([channels, *widths], widths, strict=False)
        )
        self.pool = POOLS[config.dimensions](2)
        self.upsamplings = nn.ModuleList(
            Upsampling(width, config.dimensions, config.upsampling) for width in reversed(widths[1:])
        )
        self.decoders = nn.ModuleList(self._level(2 * width, width) for width in reversed(widths[:-1]))
        self.head = CONVOLUTIONS[config.dimensions](widths[0], classes, 1)

    def _level(self, inputs: int, outputs: int) -> nn.Sequential:
        dimensions, normalization = self.config.dimensions, self.config.normalization
        widths = [inputs, *[outputs] * CONVOLUTIONS_PER_LEVEL]
        return nn.Sequential(*(ConvUnit(a, b, dimensions, normalization) for a, b in pairwise(widths)))

    @property
    def stride(self) -> int:
        """Total down-sampling, in pixels."""
        return int(2**self.config.depth)

    @property
    def halo(self) -> int:
        """Reach of the input beyond an aligned output region, in pixels.

        Found by following the first row of such a region back through the network, in rows of each level: a convolution
        reaches one row further; a row comes from the coarser row that it lies in, interpolation from the one before it
        too; and a coarser row comes from two finer ones.
        """
        row = 0
        for _ in range(self.config.depth):
            row -= CONVOLUTIONS_PER_LEVEL
            row = (row - (self.config.upsampling == "interpolated")) // 2
        row -= CONVOLUTIONS_PER_LEVEL
        for _ in range(self.config.depth):
            row = 2 * row - CONVOLUTIONS_PER_LEVEL
        return -row

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (n, classes, …) before the softmax for an image batch (n, channels, …).

        Sizes that are no multiple of the stride are continued at their far end with their last pixels, then cut again.
        """
        cut = tuple(slice(0, n) for n in x.shape[2:])
        x = self._pad_to_stride(x)
        skips: list[Tensor] = []
        for encoder in self.encoders:
            if skips:
                x = self.pool(x)
            x = encoder(x)
            skips.append(x)
        skips.pop()
        for upsampling, decoder in zip(self.upsamplings, self.decoders, strict=True):
            x = decoder(torch.cat([skips.pop(), upsampling(x)], dim=1))
        scores: Tensor = self.head(x)
        return scores[:, :, *cut]

    def _pad_to_stride(self, x: Tensor) -> Tensor:
        missing = [-n % self.stride for n in x.shape[2:]]
        if not any(missing):
            return x
        return functional.pad(x, [amount for n in reversed(missing) for amount in (0, n)], mode="replicate")
