"""What ``model.yaml`` says: everything needed to apply a trained network."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from napari_tessera.config.base import Config
from napari_tessera.config.files import FileConfig
from napari_tessera.config.network import NetworkConfig
from napari_tessera.config.training import IntensityConfig, TrainingConfig
from napari_tessera.core.errors import InvalidInputError, MissingInputError, ModelError

HEADER_FILE = "model.yaml"


class ClassSpec(Config):
    """One output channel of a network.

    `id` is what predictions write: the number that was painted, with background written as 0 in every mode.
    """

    id: int = Field(ge=0)
    name: str
    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")


class ModelSpec(FileConfig):
    """The header of a model folder."""

    kind: ClassVar[str] = "tessera-model"

    name: str
    package_version: str
    created: str
    network: NetworkConfig
    input_axes: str
    channel_names: tuple[str, ...]
    channels: int = Field(ge=1)
    pixel_size: dict[str, float]
    units: dict[str, str | None]
    intensity: IntensityConfig
    classes: tuple[ClassSpec, ...] = Field(min_length=2)
    training: TrainingConfig
    metrics: dict[str, float]
    finished: bool
    """False if the training was cancelled or cut off; the best weights until then are there all the same."""
    weights_sha256: str


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
