"""Which network to build, as data: the name of an architecture and its parameters.

A new architecture is a class here, an entry in `ARCHITECTURES`, and one in `nn.networks.building`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from napari_tessera.config.base import Config
from napari_tessera.config.wording import shown
from napari_tessera.core.errors import InvalidInputError

Normalization = Literal["batch_renorm", "batch", "none"]


class NetworkSettings(Config):
    """What the settings of all networks have in common."""

    asked: ClassVar[Mapping[str, str]]
    """The fields that a person is asked for first, and what to call each."""

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that the first version of the architecture did not have."""

    architecture: str
    dimensions: Literal[2, 3] = Field(default=2, description="Spatial dimensions the network convolves over.")

    @property
    @abstractmethod
    def stride(self) -> tuple[int, ...]:
        """Total down-sampling per axis (z, y, x) or (y, x)."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The network in a few words, to name it in a sentence."""

    def _per_axis(self, along_z: int, within: int) -> tuple[int, ...]:
        return (within,) * 2 if self.dimensions == 2 else (along_z, within, within)


class UNetConfig(NetworkSettings):
    """A U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28) with same-size convolutions."""

    asked: ClassVar[Mapping[str, str]] = {"depth": "Network depth", "base_width": "Network width"}
    later: ClassVar[frozenset[str]] = frozenset({"flat_levels"})

    architecture: Literal["unet"] = "unet"
    depth: int = Field(
        default=3, ge=1, le=6, description="Number of down-samplings; each doubles what the network sees."
    )
    base_width: int = Field(default=16, ge=1, le=256, description="Feature maps at full resolution; doubles per level.")
    upsampling: Literal["transposed", "interpolated"] = Field(
        default="transposed", description="How the decoder enlarges: a learnt transposed convolution or interpolation."
    )
    normalization: Normalization = Field(
        default="batch_renorm",
        description="Feature normalisation; all choices are frozen at prediction, so that tiles leave no seams.",
    )
    flat_levels: int = Field(
        default=0,
        ge=0,
        le=6,
        description="First levels that work plane by plane, for slices thicker than pixels are long; in 3D.",
    )

    @model_validator(mode="after")
    def _flat_levels_fit(self) -> Self:
        if self.flat_levels > (self.depth if self.dimensions == 3 else 0):
            raise ValueError(
                f"flat_levels {self.flat_levels} must be 0 in 2 dimensions, and at most the depth ({self.depth}) in 3"
            )
        return self

    def kernel(self, level: int) -> tuple[int, ...]:
        """Return the length per axis of the convolutions at `level`, 0 being full resolution."""
        return self._per_axis(1 if level < self.flat_levels else 3, 3)

    def pooling(self, level: int) -> tuple[int, ...]:
        """Return by what each axis is divided between `level` and the next."""
        return self._per_axis(1 if level < self.flat_levels else 2, 2)

    @property
    def stride(self) -> tuple[int, ...]:
        """Total down-sampling per axis."""
        return self._per_axis(2 ** (self.depth - self.flat_levels), 2**self.depth)

    @property
    def words(self) -> str:
        """The network in a few words."""
        return f"a network of depth {self.depth}"


class DilatedConfig(NetworkSettings):
    """Convolutions at full resolution only, each over pixels twice as far apart (Yu & Koltun 2016, arXiv:1511.07122).

    Nothing is pooled, so the finest structures keep their place; it costs more memory per pixel seen than a U-Net.
    """

    asked: ClassVar[Mapping[str, str]] = {"layers": "Network layers", "width": "Network width"}

    architecture: Literal["dilated"] = "dilated"
    layers: int = Field(
        default=5, ge=1, le=8, description="Number of dilated convolutions; each doubles what the network sees."
    )
    width: int = Field(default=24, ge=1, le=256, description="Feature maps in every layer.")
    normalization: Normalization = Field(
        default="batch_renorm",
        description="Feature normalisation; all choices are frozen at prediction, so that tiles leave no seams.",
    )

    @property
    def stride(self) -> tuple[int, ...]:
        """Total down-sampling per axis: none."""
        return self._per_axis(1, 1)

    @property
    def words(self) -> str:
        """The network in a few words."""
        return "this network"


ARCHITECTURES: Mapping[str, type[UNetConfig | DilatedConfig]] = {"unet": UNetConfig, "dilated": DilatedConfig}
"""The settings of each architecture by its name; the first is the one of settings that name none."""


def architecture_of(network: Mapping[str, Any]) -> Any:
    """Return the name of the architecture that settings are of, as it stands there; the first where none does."""
    return network.get("architecture", next(iter(ARCHITECTURES)))


def _by_architecture(value: Any) -> Any:
    """Read the settings of a network as those of its architecture, so that what is wrong is told of these alone."""
    if isinstance(value, NetworkSettings):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("settings (name: value) are needed")
    name = architecture_of(value)
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise InvalidInputError(f"Setting architecture = {shown(name)}: use {' or '.join(map(repr, ARCHITECTURES))}.")
    return ARCHITECTURES[name].parse(value)


NetworkConfig = Annotated[UNetConfig | DilatedConfig, BeforeValidator(_by_architecture)]
"""The settings of one network, told apart by ``architecture``."""


def described(network: NetworkConfig) -> dict[str, Any]:
    """Return the settings of a network as plain data that tells whether two networks are the same.

    Settings that came later are left out where they are at their default, so that older files say the same.
    """
    fields = network.model_dump(mode="json")
    return {name: value for name, value in fields.items() if not _came_later(network, name, value)}


def _came_later(network: NetworkConfig, name: str, value: Any) -> bool:
    return name in network.later and bool(value == type(network).model_fields[name].default)


def changed_architecture(network: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return settings of `network` for the architecture `name`: those that it has too, the others being its own."""
    known = ARCHITECTURES[name].model_fields if name in ARCHITECTURES else {}
    return {field: value for field, value in network.items() if field in known} | {"architecture": name}
