"""A fully convolutional network without pooling: its layers look ever further by dilation."""

from collections.abc import Sequence

from torch import Tensor, nn

from napari_tessera.config.networks import DilatedConfig
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.blocks import CONVOLUTIONS, ConvUnit
from napari_tessera.nn.networks.reach import Convolution, Stage


class DilatedNetwork(Network):
    """Convolutions with dilations 1, 2, 4, …, and a plain one at the end against the gaps between far pixels."""

    def __init__(self, config: DilatedConfig, channels: int, outputs: int) -> None:
        super().__init__(config.dimensions)
        self.config = config
        self._kernel = (3,) * config.dimensions
        self._dilations = [2**layer for layer in range(config.layers)] + [1]
        inputs = [channels] + [config.width] * config.layers
        self.body = nn.Sequential(
            *(
                ConvUnit(before, config.width, config.normalization, self._kernel, dilation)
                for before, dilation in zip(inputs, self._dilations, strict=True)
            )
        )
        self.head = CONVOLUTIONS[config.dimensions](config.width, outputs, 1)

    @property
    def stages(self) -> Sequence[Stage]:
        """One convolution after the other."""
        return [Convolution(self._kernel, (dilation,) * self.dimensions) for dilation in self._dilations]

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, outputs, …) for images (n, channels, …)."""
        scores: Tensor = self.head(self.body(x))
        return scores
