"""The U-Net with same-size convolutions, in two or three dimensions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_tessera.config.networks import UNetConfig
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.blocks import CONVOLUTIONS, POOLS, ConvUnit, Upsampling, continue_to_multiple
from napari_tessera.nn.networks.reach import Convolution, Down, Stage, Up

CONVOLUTIONS_PER_LEVEL = 2


class UNet(Network):
    """Encoder and decoder with skip connections; any size in, the same size out."""

    def __init__(self, config: UNetConfig, channels: int, outputs: int) -> None:
        super().__init__(config.dimensions)
        self.config = config
        levels = range(config.depth + 1)
        widths = [config.base_width * 2**level for level in levels]
        self.encoders = nn.ModuleList(
            self._level(level, inputs, widths[level])
            for level, inputs in zip(levels, [channels, *widths], strict=False)
        )
        self.pools = nn.ModuleList(POOLS[config.dimensions](config.pooling(level)) for level in levels[:-1])
        self.upsamplings = nn.ModuleList(
            Upsampling(widths[level + 1], config.pooling(level), config.upsampling) for level in reversed(levels[:-1])
        )
        self.decoders = nn.ModuleList(
            self._level(level, 2 * widths[level], widths[level]) for level in reversed(levels[:-1])
        )
        self.head = CONVOLUTIONS[config.dimensions](widths[0], outputs, 1)

    def _level(self, level: int, inputs: int, outputs: int) -> nn.Sequential:
        widths = [inputs, *[outputs] * CONVOLUTIONS_PER_LEVEL]
        kernel = self.config.kernel(level)
        return nn.Sequential(*(ConvUnit(a, b, self.config.normalization, kernel) for a, b in pairwise(widths)))

    @property
    def stages(self) -> Sequence[Stage]:
        """Down to the coarsest level and up again."""
        config, levels = self.config, range(self.config.depth)
        ones = (1,) * self.dimensions
        convolutions = [
            [Convolution(config.kernel(level), ones)] * CONVOLUTIONS_PER_LEVEL for level in range(config.depth + 1)
        ]
        stages: list[Stage] = []
        for level in levels:
            stages += [*convolutions[level], Down(config.pooling(level))]
        stages += convolutions[-1]
        for level in reversed(levels):
            stages += [Up(config.pooling(level), config.upsampling == "interpolated"), *convolutions[level]]
        return stages

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, outputs, …) for images (n, channels, …).

        Sizes that are no multiple of the stride are continued at their far end with their last pixels, then cut again.
        """
        cut = tuple(slice(0, n) for n in x.shape[2:])
        x = continue_to_multiple(x, self.stride)
        skips: list[Tensor] = []
        for level, encoder in enumerate(self.encoders):
            if skips:
                x = self.pools[level - 1](x)
            x = encoder(x)
            skips.append(x)
        skips.pop()
        for upsampling, decoder in zip(self.upsamplings, self.decoders, strict=True):
            x = decoder(torch.cat([skips.pop(), upsampling(x)], dim=1))
        scores: Tensor = self.head(x)
        return scores[:, :, *cut]
