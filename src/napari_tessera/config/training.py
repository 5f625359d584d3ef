"""What a training may be told."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from napari_tessera.config.base import Color, Config, DeviceName, setting_names
from napari_tessera.config.files import FileConfig
from napari_tessera.config.flat_names import FLAT_NAMES, grouped, moved
from napari_tessera.config.networks import NetworkConfig, UNetConfig, architecture_of, changed_architecture
from napari_tessera.core.spelling import nearest

SCRIBBLED_BACKGROUND = 1
"""What background is painted as in scribbles, where 0 is what is not painted."""


class Annotation(StrEnum):
    """What the numbers in a labels image mean; never guessed."""

    SCRIBBLES = "scribbles"
    """0 is unlabelled and ignored, 1 is background, 2… are classes."""
    DENSE = "dense"
    """Every pixel counts; 0 is background, every other number a class."""
    OBJECTS = "objects"
    """Every pixel counts; 0 is background, every other number one object of the same class."""

    @property
    def background(self) -> int:
        """The number that background has in the labels."""
        return SCRIBBLED_BACKGROUND if self is Annotation.SCRIBBLES else 0


class AugmentationConfig(Config):
    """Random changes to training patches, each drawn anew for every patch."""

    flips: bool = Field(default=True, description="Mirror along each spatial axis.")
    rotations: bool = Field(default=True, description="Turn by multiples of 90°.")
    scale: float = Field(default=1.5, ge=1, le=4, description="Enlarge or shrink by up to this factor.")
    contrast: float = Field(default=2.0, ge=1, le=8, description="Multiply or divide intensities by up to this.")
    brightness: float = Field(default=0.1, ge=0, le=2, description="Add up to this share of the intensity range.")
    gamma: float = Field(default=1.5, ge=1, le=8, description="Raise intensities to a power up to this, or 1 over it.")
    noise: float = Field(default=0.1, ge=0, le=1, description="Add Gaussian noise of up to this standard deviation.")
    blur: float = Field(default=0.75, ge=0, le=10, description="Blur with a Gaussian of up to this sigma, in pixels.")


class IntensityConfig(Config):
    """How intensities are brought to a common range, from statistics of the whole image, never of a tile."""

    low_percentile: float = Field(default=1.0, ge=0, le=50, description="This percentile of the image becomes 0.")
    high_percentile: float = Field(default=99.8, ge=50, le=100, description="This percentile of the image becomes 1.")

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        return self


class DataConfig(Config):
    """What is learnt from, and how it is drawn."""

    intensity: IntensityConfig = Field(default=IntensityConfig(), description="Normalisation of intensities.")
    patch_size: int = Field(default=128, ge=16, le=2048, description="Edge length of training patches, in pixels.")
    batch_size: int = Field(default=4, ge=1, le=512, description="Patches per step.")
    prior: Literal["images", "equal"] = Field(
        default="images",
        description="How common the decision takes the classes to be: as they are in the images (strokes alone do not "
        "say it), or all equally.",
    )
    class_names: dict[int, str] = Field(default={}, description="Names of classes by their number in the labels.")
    class_colors: dict[int, Color] = Field(default={}, description="Colours (#rrggbb) of classes by their number.")


class TermConfig(Config):
    """One term of the objective."""

    weight: float = Field(ge=0, le=100, description="What its loss is multiplied by; 0 leaves it out.")


class ObjectiveConfig(Config):
    """What is made small: the weighted sum of these losses."""

    cross_entropy: TermConfig = Field(default=TermConfig(weight=1.0), description="Cross-entropy of annotated pixels.")
    dice: TermConfig = Field(default=TermConfig(weight=1.0), description="One minus the soft Dice coefficient.")
    smoothness: TermConfig = Field(
        default=TermConfig(weight=0.0), description="Draws the borders of scribbled classes to edges of the image."
    )

    @model_validator(mode="after")
    def _learns_from_annotation(self) -> Self:
        if not (self.cross_entropy.weight or self.dice.weight):
            raise ValueError("cross_entropy and dice both have the weight 0: give one of them a weight to learn by")
        return self


class OptimiserConfig(Config):
    """How the weights of the network move."""

    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="Highest step size of the optimiser AdamW.")
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="Pull of the weights towards zero.")


class ValidationConfig(Config):
    """What judges a training, and when."""

    hold_out: Literal["auto", "images", "blocks", "none"] = Field(
        default="auto",
        description="Hold out whole images, a block of each, or nothing.",
    )
    fraction: float = Field(default=0.2, gt=0, lt=0.9, description="Share of the annotation held out.")
    every: int = Field(default=50, ge=1, description="Steps between two validations.")
    final_run: float = Field(
        default=0.4,
        ge=0,
        le=0.9,
        description="Last share of a training in which what was held out is learnt too, after it has judged; 0: never.",
    )


class StopConfig(Config):
    """When a training ends: whatever comes first."""

    max_steps: int = Field(default=300, ge=1, description="Stop after this many steps.")
    max_seconds: float | None = Field(default=None, gt=0, description="Stop after this time, in seconds.")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Stop after this many validations without improvement, where enough is held out to notice one.",
    )


class TrainingConfig(FileConfig):
    """All settings of a training, in groups; only `annotation` has no default.

    The names that settings had before there were groups are understood as well (`config.flat_names`).
    """

    kind: ClassVar[str] = "tessera-training"
    current_version: ClassVar[int] = 2
    schema_version: int = 2

    annotation: Annotation = Field(description="What the numbers in the labels mean.")
    data: DataConfig = Field(default=DataConfig(), description="What is learnt from, and how it is drawn.")
    network: NetworkConfig = Field(default=UNetConfig(), description="The network to train.")
    objective: ObjectiveConfig = Field(default=ObjectiveConfig(), description="The losses and their weights.")
    augmentation: AugmentationConfig = Field(default=AugmentationConfig(), description="Random changes to patches.")
    optimiser: OptimiserConfig = Field(default=OptimiserConfig(), description="How the weights of the network move.")
    validation: ValidationConfig = Field(default=ValidationConfig(), description="What judges a training, and when.")
    stop: StopConfig = Field(default=StopConfig(), description="When a training ends.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Arithmetic of training; auto takes bfloat16 where the processor has it."
    )
    device: DeviceName = "auto"
    seed: int = Field(default=0, ge=0, description="Start of all random numbers.")

    def __init__(self, /, **fields: Any) -> None:  # type checkers would refuse the names of before otherwise
        super().__init__(**fields)

    @model_validator(mode="before")
    @classmethod
    def _in_groups(cls, fields: Any) -> Any:
        return grouped(fields) if isinstance(fields, Mapping) else fields

    @model_validator(mode="after")
    def _patch_fits_network(self) -> Self:
        size, stride = self.data.patch_size, max(self.network.stride)
        if size % stride or size < 2 * stride:
            raise ValueError(
                f"patch_size {size} must be a multiple of {stride} and at least {2 * stride} for {self.network.words}"
            )
        return self

    @classmethod
    def meant_by(cls, name: str) -> list[str]:
        """Return the settings, as they are called now, that `name` may have been meant for."""
        found = nearest(name, [*FLAT_NAMES, *setting_names(cls)])
        names = dict.fromkeys(FLAT_NAMES.get(one, one) for one in found)
        return [one for one in names if not any(other.startswith(f"{one}.") for other in names)]

    @classmethod
    def overridden(cls, fields: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return `fields` with each dotted name of `overrides` replaced; both may use the names of before.

        With another architecture, what the network does not have any more is left out.
        """
        overrides = {moved(name, value): value for name, value in overrides.items()}
        network, name = fields.get("network"), overrides.get("network.architecture")
        if isinstance(network, Mapping) and isinstance(name, str) and name != architecture_of(network):
            fields = {**fields, "network": changed_architecture(network, name)}
        return super().overridden(grouped(fields), overrides)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields replaced; the names of before are understood as in `with_overrides`."""
        moving = {name: value for name, value in (update or {}).items() if moved(name, value) != name}
        rest = {name: value for name, value in (update or {}).items() if name not in moving}
        if moving:
            return self.with_overrides(moving).model_copy(update=rest, deep=deep)
        return super().model_copy(update=rest, deep=deep)

    if not TYPE_CHECKING:  # scripts may read what they wrote; the program itself uses the names of now

        def __getattr__(self, name: str) -> Any:
            if name not in FLAT_NAMES:
                return super().__getattr__(name)
            value = self
            for part in FLAT_NAMES[name].split("."):
                value = getattr(value, part)
            return value
