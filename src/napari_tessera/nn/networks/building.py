"""Networks by their configuration. A new architecture is a class with `Network`'s two properties and an entry here."""

import copy
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from napari_tessera.config.networks import NetworkConfig
from napari_tessera.nn.networks.blocks import ConvUnit
from napari_tessera.nn.networks.unet import UNet


@runtime_checkable
class Network(Protocol):
    """A module that maps an image batch to class scores of the same size and knows what a tile of it needs."""

    @property
    def stride(self) -> int:
        """Regions must start at multiples of this to see the grid of the whole image, in pixels."""
        ...

    @property
    def halo(self) -> int:
        """Reach of the input beyond an aligned output region, per side, in pixels."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Map (n, channels, …) to scores (n, classes, …)."""
        ...


def build_network(config: NetworkConfig, *, channels: int, classes: int, seed: int = 0) -> UNet:
    """Return a new network for images of `channels` with scores for `classes`; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return UNet(config, channels, classes)


def sketch_network(config: NetworkConfig, *, channels: int, classes: int) -> UNet:
    """Return a network that has names and shapes but no weights: it takes no memory, however large it would be."""
    with torch.device("meta"):
        return UNet(config, channels, classes)


def fold_network(network: UNet) -> UNet:
    """Return a copy for prediction, with every normalisation folded into the convolution before it."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if isinstance(module, ConvUnit):
            module.fold()
    return folded.requires_grad_(requires_grad=False)
