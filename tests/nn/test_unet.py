"""What is particular to the U-Net; what holds for every network stands in `test_network_contract.py`."""

import pytest

from napari_tessera.config.networks import UNetConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.nn.networks.building import build_network, sketch_network


@pytest.mark.parametrize(("depth", "halo"), [(1, 8), (2, 22), (3, 46), (4, 94), (5, 190)])
def test_halo_of_the_plain_network(depth: int, halo: int) -> None:
    network = build_network(UNetConfig(depth=depth, base_width=1), channels=1, outputs=2)
    assert (network.halo, network.stride) == ((halo, halo), (2**depth, 2**depth))


def test_flat_levels_leave_thick_slices_alone() -> None:
    config = UNetConfig(dimensions=3, depth=3, flat_levels=2)
    network = sketch_network(config, channels=1, outputs=2)
    assert network.stride == (2, 8, 8)
    assert network.halo == (8, 46, 46)
    assert network.encoders[1][0].conv.kernel_size == (1, 3, 3)
    assert network.encoders[2][0].conv.kernel_size == (3, 3, 3)


@pytest.mark.parametrize("fields", [{"dimensions": 2, "flat_levels": 1}, {"dimensions": 3, "flat_levels": 4}])
def test_flat_levels_that_there_are_not_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="flat_levels"):
        UNetConfig(**fields)
