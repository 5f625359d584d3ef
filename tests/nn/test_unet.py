"""The network's geometry, proven by gradients and by comparison with the whole image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.config.networks import UNetConfig
from napari_tessera.nn.networks.building import Network, build_network, fold_network
from napari_tessera.nn.networks.unet import UNet

CONFIGS = [
    UNetConfig(depth=1, base_width=4),
    UNetConfig(depth=2, base_width=4),
    UNetConfig(depth=2, base_width=4, upsampling="interpolated"),
    UNetConfig(depth=2, base_width=4, normalization="none"),
    UNetConfig(depth=3, base_width=2),
]


def settled(config: UNetConfig, channels: int = 1, classes: int = 3) -> UNet:
    """Return a network whose running statistics are not the initial ones."""
    torch.manual_seed(3)
    network = build_network(config, channels=channels, classes=classes)
    network.train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.randn(2, channels, *[4 * network.stride] * config.dimensions) * 3 + 1)
    return network.eval()


def reach(network: UNet, length: int, start: int, stop: int) -> tuple[int, int]:
    """Return the first and last row whose pixels influence the output rows from `start` to `stop`."""
    dimensions = network.config.dimensions
    # brighter away from the middle, so that the outermost pixel is the one that max-pooling lets through
    slope = (torch.arange(length, dtype=torch.float64) - (start + stop - 1) / 2).abs()
    image = slope.reshape(1, 1, -1, *[1] * (dimensions - 1)).repeat(1, 1, 1, *[2 * network.stride] * (dimensions - 1))
    image.requires_grad_()
    network.double()(image)[:, :, start:stop].abs().sum().backward()
    assert image.grad is not None
    rows = image.grad[0, 0].flatten(1).abs().amax(dim=1).nonzero().flatten()
    return int(rows.min()), int(rows.max())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_gradients_reach_to_the_halo_and_no_further(config: UNetConfig) -> None:
    network = settled(config)
    # ReLUs can hide a path; positive weights keep all of them open
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    start = (network.halo // network.stride + 2) * network.stride
    stop = start + 2 * network.stride
    first, last = reach(network, stop + start, start, stop)
    assert start - first == network.halo
    assert last - (stop - 1) == network.halo


def test_three_dimensional_network_keeps_its_word() -> None:
    network = settled(UNetConfig(dimensions=3, depth=1, base_width=2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    start = (network.halo // network.stride + 2) * network.stride
    first, last = reach(network, 2 * start + 4, start, start + 4)
    assert (start - first, last - (start + 3)) == (network.halo, network.halo)


@pytest.mark.parametrize(("depth", "halo"), [(1, 8), (2, 22), (3, 46), (4, 94), (5, 190)])
def test_halo_of_the_plain_network(depth: int, halo: int) -> None:
    assert build_network(UNetConfig(depth=depth, base_width=1), channels=1, classes=2).halo == halo


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), channels=st.integers(1, 3))
def test_any_size_comes_out_as_it_went_in(height: int, width: int, channels: int) -> None:
    network = build_network(UNetConfig(depth=2, base_width=2), channels=channels, classes=4).eval()
    with torch.no_grad():
        assert network(torch.randn(2, channels, height, width)).shape == (2, 4, height, width)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_folding_changes_nothing_but_rounding(config: UNetConfig) -> None:
    network = settled(config, channels=2)
    image = torch.randn(1, 2, 37, 52)
    with torch.no_grad():
        whole, folded = network(image), fold_network(network)(image)
    assert (whole - folded).abs().max() <= 1e-5 * whole.abs().max()
    assert not any("norm" in name for name, _ in fold_network(network).named_parameters())


def test_normalisation_in_batch_mode_would_be_seen() -> None:
    """The statistics must be frozen at prediction: a pixel far away may not change the result."""
    network = settled(UNetConfig(depth=1, base_width=4))
    image = torch.randn(1, 1, 64, 64)
    changed = image.clone()
    changed[..., 60:] += 100
    with torch.no_grad():
        assert torch.equal(network(image)[..., :32], network(changed)[..., :32])


def test_unet_is_a_network() -> None:
    assert isinstance(build_network(UNetConfig(), channels=1, classes=2), Network)
