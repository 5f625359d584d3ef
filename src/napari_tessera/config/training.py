"""What a training may be told."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from napari_tessera.config.base import Color, Config, DeviceName
from napari_tessera.config.files import FileConfig
from napari_tessera.config.networks import NetworkConfig, UNetConfig, architecture_of, changed_architecture

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


class TrainingConfig(FileConfig):
    """All settings of a training; only `annotation` has no default."""

    kind: ClassVar[str] = "tessera-training"

    annotation: Annotation = Field(description="What the numbers in the labels mean.")
    network: NetworkConfig = Field(default=UNetConfig(), description="The network to train.")
    intensity: IntensityConfig = Field(default=IntensityConfig(), description="Normalisation of intensities.")
    augmentation: AugmentationConfig = Field(default=AugmentationConfig(), description="Random changes to patches.")
    patch_size: int = Field(default=128, ge=16, le=2048, description="Edge length of training patches, in pixels.")
    batch_size: int = Field(default=4, ge=1, le=512, description="Patches per step.")
    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="Highest step size of the optimiser AdamW.")
    smoothness: float = Field(
        default=0.0, ge=0, le=100, description="How strongly scribbles draw borders to the edges of the image; 0: not."
    )
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="Pull of the weights towards zero.")
    max_steps: int = Field(default=300, ge=1, description="Stop after this many steps.")
    max_seconds: float | None = Field(default=None, gt=0, description="Stop after this time, in seconds.")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Stop after this many validations without improvement, where enough is held out to notice one.",
    )
    validate_every: int = Field(default=50, ge=1, description="Steps between two validations.")
    validation: Literal["auto", "images", "blocks", "none"] = Field(
        default="auto",
        description="Hold out whole images, a block of each, or nothing.",
    )
    validation_fraction: float = Field(default=0.2, gt=0, lt=0.9, description="Share of the annotation held out.")
    final_run: float = Field(
        default=0.4,
        ge=0,
        le=0.9,
        description="Last share of a training in which what was held out is learnt too, after it has judged; 0: never.",
    )
    prior: Literal["images", "equal"] = Field(
        default="images",
        description="How common the decision takes the classes to be: as they are in the images (strokes alone do not "
        "say it), or all equally.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Arithmetic of training; auto takes bfloat16 where the processor has it."
    )
    device: DeviceName = "auto"
    seed: int = Field(default=0, ge=0, description="Start of all random numbers.")
    class_names: dict[int, str] = Field(default={}, description="Names of classes by their number in the labels.")
    class_colors: dict[int, Color] = Field(default={}, description="Colours (#rrggbb) of classes by their number.")

    @classmethod
    def overridden(cls, fields: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return `fields` with each dotted name of `overrides` replaced.

        With another architecture, what the network does not have any more is left out.
        """
        network, name = fields.get("network"), overrides.get("network.architecture")
        if isinstance(network, Mapping) and isinstance(name, str) and name != architecture_of(network):
            fields = {**fields, "network": changed_architecture(network, name)}
        return super().overridden(fields, overrides)

    @model_validator(mode="after")
    def _patch_fits_network(self) -> "TrainingConfig":
        stride = max(self.network.stride)
        if self.patch_size % stride or self.patch_size < 2 * stride:
            raise ValueError(
                f"patch_size {self.patch_size} must be a multiple of {stride} and at least {2 * stride} "
                f"for {self.network.words}"
            )
        return self
