"""What every network is: everything that trains and applies one knows no more of it than this."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from napari_tessera.nn.networks.blocks import Foldable
from napari_tessera.nn.networks.reach import Lengths, Stage, halo_of, stride_of


class Network(nn.Module, ABC):
    """A module that maps images (n, channels, …) of any size to scores (n, outputs, …) of the same size.

    A subclass is one architecture: it says in `stages` how it sees, and folds by itself if its normalisation stands in
    blocks that can (`blocks.Foldable`).

    Parameters
    ----------
    dimensions
        Number of spatial dimensions: 2 (y, x) or 3 (z, y, x).
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions

    @property
    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """The stages on the way that sees furthest, from input to output."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, outputs, …) for images (n, channels, …)."""

    @property
    def stride(self) -> Lengths:
        """Per axis, tiles that start at multiples of it see the same grid as the whole image, in pixels."""
        return stride_of(self.stages, self.dimensions)

    @property
    def halo(self) -> Lengths:
        """Per axis, how far beyond a region that starts and ends at multiples of `stride` the input matters."""
        return halo_of(self.stages, self.dimensions)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.parameters()).device

    @property
    def layout(self) -> torch.memory_format:
        """The order in memory in which it computes fastest."""
        return torch.channels_last if self.dimensions == 2 else torch.channels_last_3d

    def fold(self) -> Self:
        """Return a copy for prediction, with every normalisation folded into the convolution before it."""
        folded = copy.deepcopy(self).eval()
        for module in list(folded.modules()):
            if isinstance(module, Foldable):
                module.fold()
        return folded.requires_grad_(requires_grad=False)
