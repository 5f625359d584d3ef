"""What ``model.yaml`` says: everything needed to apply a trained network."""

import math
from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from napari_tessera.config.base import Color, Config
from napari_tessera.config.files import FileConfig
from napari_tessera.config.networks import NetworkConfig
from napari_tessera.config.training import IntensityConfig, TrainingConfig
from napari_tessera.core.errors import InvalidInputError, MissingInputError, ModelError

HEADER_FILE = "model.yaml"

CHECKPOINT_FILE = Path("checkpoint") / "state.safetensors"
"""What a training goes on from, inside the model folder."""

OLD_WEIGHTS_FILE = "weights.safetensors"
"""Name of the weights in folders of schemas 1 and 2, which do not name them."""

_WEIGHTS_NAME = r"^weights(-[0-9a-f]{8,64})?\.safetensors$"

LARGEST_CLASS = 2**64 - 1
"""Largest number of a class: what labels of 64 bits hold."""

MOST_CLASSES = 10_000

LARGEST_OFFSET = 1000.0
"""Scores are logarithms: what is added to them for the rarest class that there may be is far smaller."""

MOST_CHANNELS = 10_000
"""More channels than any microscope has: a header that asks for them is damaged."""


class ClassSpec(Config):
    """One output channel of a network.

    `id` is what predictions write: the number that was painted, with background written as 0 in every mode.
    """

    id: int = Field(ge=0, le=LARGEST_CLASS)
    name: str
    color: Color


class HeldOut(Config):
    """What the figures of a model were measured on."""

    pixels: dict[int, int]
    """Annotated pixels that the training did not see, by the id of their class."""
    strokes: int = Field(ge=0)
    """Number of connected pieces of annotation among them."""
    learnt_later: bool = False
    """Whether the training learnt them too at its end, after the figures had been measured: the model is then better
    than its figures, if anything."""
    doubt: str = ""
    """Why the figures say little, as a sentence; empty if they can be taken as they are."""


class ModelSpec(FileConfig):
    """The header of a model folder."""

    kind: ClassVar[str] = "tessera-model"
    current_version: ClassVar[int] = 4
    schema_version: int = 4

    name: str
    package_version: str
    created: str
    method: Literal["network"] = "network"
    """Which kind of function of the image the model is."""
    task: Literal["classes"] = "classes"
    """What the numbers mean that it gives."""
    network: NetworkConfig
    input_axes: Literal["cyx", "czyx"]
    channel_names: tuple[str, ...]
    channels: int = Field(ge=1, le=MOST_CHANNELS)
    pixel_size: dict[str, float]
    units: dict[str, str | None]
    intensity: IntensityConfig
    classes: tuple[ClassSpec, ...] = Field(min_length=2, max_length=MOST_CLASSES)
    score_offsets: tuple[float, ...] = ()
    """Per class what prediction adds to its score, for how common it is in the images; none if empty. They are kept out
    of the weights, so that going on with a training cannot apply them twice."""
    training: TrainingConfig
    metrics: dict[str, float]
    held_out: HeldOut | None = None
    """What `metrics` were measured on; none if they are those of the annotation that was learnt from."""
    finished: bool
    """False if the training has not come to its end; the weights until then are there all the same."""
    cancelled: bool = False
    """Whether a person ended the training before its end, on purpose; otherwise it was cut off, or still goes on."""
    weights: str = Field(default=OLD_WEIGHTS_FILE, pattern=_WEIGHTS_NAME)
    """Name of the file in the folder that holds the weights: another one for other weights, so that this header is
    never beside those of another training."""
    weights_sha256: str

    @property
    def outputs(self) -> int:
        """Number of channels that the model gives."""
        return len(self.classes)

    @model_validator(mode="after")
    def _one_offset_per_class(self) -> Self:
        if len(self.score_offsets) not in (0, len(self.classes)):
            raise ValueError(
                f"score_offsets holds {len(self.score_offsets)} numbers for {len(self.classes)} classes: one "
                "for each is needed."
            )
        if not all(abs(offset) <= LARGEST_OFFSET for offset in self.score_offsets):
            raise ValueError("score_offsets holds a number that is no logarithm of a share: train the model again.")
        return self

    @model_validator(mode="after")
    def _check_pixels(self) -> Self:
        """Refuse sizes that no pixel has; a negative one is that of an axis that runs backwards."""
        odd = [size for size in self.pixel_size.values() if not math.isfinite(size) or size == 0]
        if odd:
            raise ValueError(f"pixel_size holds {odd[0]:g}, which is the length of no pixel: give a number but 0.")
        return self

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        """Refuse classes that a prediction could not tell apart, or whose background is not what others take for it."""
        numbers = [entry.id for entry in self.classes]
        twice = sorted(number for number, times in Counter(numbers).items() if times > 1)
        if twice:
            raise ValueError(f"Two classes have the number {twice[0]}: give each its own.")
        if 0 in numbers[1:]:
            raise ValueError("Class 0 is the background and stands first: change the order of the classes.")
        return self


def load_model_spec(folder: Path) -> ModelSpec:
    """Read the header of a model folder.

    Raises
    ------
    ModelError
        If there is none, or it is not ours, of a newer schema, or damaged.
    """
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {folder}: check the path or train a model first.")
    try:
        return ModelSpec.load(folder / HEADER_FILE)
    except MissingInputError as error:
        raise ModelError(
            f"{folder} is not a model of napari-tessera (no {HEADER_FILE}): choose a model folder."
        ) from error
    except InvalidInputError as error:
        raise ModelError(str(error)) from error
