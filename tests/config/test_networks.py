"""The settings of networks: told apart by their architecture, and what is wrong with them told of that one alone."""

import pytest

from napari_tessera.config.networks import ARCHITECTURES, DilatedConfig, UNetConfig, described
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import InvalidInputError


def read(network: object) -> object:
    return TrainingConfig.parse({"annotation": "dense", "network": network}).network


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_written_is_read_as_the_same_architecture(name: str) -> None:
    network = ARCHITECTURES[name](dimensions=3)
    assert read(network.model_dump(mode="json")) == network
    assert read(network) == network
    described = {field for field, found in type(network).model_fields.items() if found.description}
    assert described == set(type(network).model_fields) - {"architecture"}


def test_settings_that_name_no_architecture_are_those_of_a_unet() -> None:
    assert read({"depth": 2}) == UNetConfig(depth=2)
    assert read({}) == UNetConfig()


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ({"architecture": "vnet"}, r"^Setting network\.architecture = 'vnet': use 'unet' or 'dilated'\.$"),
        ({"architecture": ["unet"]}, r"network\.architecture = \['unet'\]"),
        ({"architecture": "dilated", "depth": 2}, r"^There is no setting 'network\.depth'"),
        ({"architecture": "dilated", "layers": 99}, r"^Setting network\.layers = 99: it must be at most 8\.$"),
        ({"depth": 99}, r"^Setting network\.depth = 99: it must be at most 6\.$"),
        ({"flat_levels": 1}, r"flat_levels 1 must be 0 in 2 dimensions"),
        (3, r"^Setting network = 3: settings \(name: value\) are needed\.$"),
    ],
)
def test_what_is_wrong_is_said_of_the_one_architecture(network: object, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        read(network)


def test_another_architecture_takes_over_what_both_have() -> None:
    config = TrainingConfig(annotation="dense", network={"depth": 2, "normalization": "none"})
    changed = config.with_overrides({"network.architecture": "dilated", "network.width": 8})
    assert changed.network == DilatedConfig(width=8, normalization="none")
    written = TrainingConfig.overridden({"network": {"depth": 2}}, {"network.architecture": "dilated"})
    assert written == {"network": {"architecture": "dilated"}}
    again = changed.with_overrides({"network.architecture": "unet", "network.depth": 1})
    assert again.network == UNetConfig(depth=1, normalization="none")


def test_a_patch_fits_the_stride_of_its_network_whichever_it_is() -> None:
    with pytest.raises(InvalidInputError, match="patch_size 20 must be a multiple of 8 and at least 16"):
        TrainingConfig(annotation="dense", patch_size=20)
    assert TrainingConfig(annotation="dense", patch_size=20, network=DilatedConfig()).data.patch_size == 20


def test_a_training_of_before_goes_on_with_the_network_that_it_had() -> None:
    """This stands in the checkpoints of before: what came later must not make it another network."""
    assert described(UNetConfig(depth=2)) == {
        "architecture": "unet",
        "dimensions": 2,
        "depth": 2,
        "base_width": 16,
        "upsampling": "transposed",
        "normalization": "batch_renorm",
    }
    assert described(UNetConfig(dimensions=3, flat_levels=1))["flat_levels"] == 1
    for kind in ARCHITECTURES.values():
        assert kind.later <= set(kind.model_fields)
