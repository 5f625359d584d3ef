"""What a network asks of the tiles that it is applied to: how far it sees, where they start, how big they are."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from napari_tessera.core.tiles import TileNeeds, round_up
from napari_tessera.nn.networks.base import Network

ONEDNN_ELEMENTS = 20480
"""On the CPU torch hands a float32 convolution to oneDNN only if its input has more elements than this; otherwise it
sums in another order, and a tile would differ from the whole image in its last bits."""

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def tile_needs(network: Network, *, channels: int, device: torch.device, precision: str = "float32") -> TileNeeds:
    """Find the needs of `network` by running it once on a few zeros and looking at the sizes of its features.

    Parameters
    ----------
    network
        On any device; it is the same afterwards.
    channels
        Number of channels of its input.
    device, precision
        Where and in what arithmetic it will predict.
    """
    parameter = next(network.parameters())
    edges = [2 * step for step in network.stride]
    pixels = math.prod(edges)
    probe = torch.zeros((1, channels, *edges), dtype=parameter.dtype, device=parameter.device)
    inputs: list[float] = []
    sums: list[float] = []

    def record(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        share = arguments[0].numel() / pixels
        sums.append(share + output.numel() / pixels)
        if isinstance(module, _CONVOLUTIONS):
            inputs.append(share)

    leaves = [module for module in network.modules() if not any(True for _ in module.children())]
    handles = [leaf.register_forward_hook(record) for leaf in leaves]
    was_training = network.training
    try:
        with torch.inference_mode():
            network.eval()(probe)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    exact = device.type == "cpu" and precision == "float32"
    return TileNeeds(
        dimensions=network.dimensions,
        halo=tuple(map(round_up, network.halo, network.stride)),
        stride=network.stride,
        least_pixels=math.floor(ONEDNN_ELEMENTS / min(inputs)) + 1 if exact and inputs else 1,
        bytes_per_pixel=math.ceil(1.5 * max(sums, default=1.0) * (4 if precision == "float32" else 3)),
    )


def free_memory(device: torch.device) -> int | None:
    """Return the free memory of a GPU in bytes; None where it cannot be known."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None
