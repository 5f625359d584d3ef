"""Networks by their settings: one table for all architectures."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from napari_tessera.config.networks import DilatedConfig, NetworkConfig, UNetConfig
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.dilated import DilatedNetwork
from napari_tessera.nn.networks.unet import UNet

BUILDERS: Mapping[type[Any], Callable[[Any, int, int], Network]] = {UNetConfig: UNet, DilatedConfig: DilatedNetwork}
"""By the class of its settings, what builds a network of them for so many channels and outputs."""


def build_network(config: NetworkConfig, *, channels: int, outputs: int, seed: int = 0) -> Network:
    """Return a new network for images of `channels` with so many `outputs`; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return BUILDERS[type(config)](config, channels, outputs)


def sketch_network(config: NetworkConfig, *, channels: int, outputs: int) -> Network:
    """Return a network that has names and shapes but no weights: it takes no memory, however large it would be."""
    with torch.device("meta"):
        return BUILDERS[type(config)](config, channels, outputs)
