"""Jobs as plain data: what the command line and the plugin send, in this process or to the worker."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from napari_tessera.config.base import Config
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.units import MICROMETERS, unit_name
from napari_tessera.io.opening import open_image


class InputFile(Config):
    """An image or labels in a file, with what the file itself does not say.

    Every field but `path` is None where the file's own metadata hold. `pixel_size` and `pixel_unit` are a shorter way
    to give `scale` and `units`, of the spatial axes alone: lengths along z, y, x, or along y, x, or one for all.
    """

    path: Path
    level: int = Field(default=0, ge=0)
    axes: str | None = None
    scale: tuple[float, ...] | None = None
    translate: tuple[float, ...] | None = None
    units: tuple[str | None, ...] | None = None
    channel_names: tuple[str, ...] | None = None
    name: str | None = None
    pixel_size: tuple[float, ...] | None = None
    pixel_unit: str | None = None

    def open(self) -> ImageSource:
        """Open the file lazily.

        Raises
        ------
        MissingInputError, InvalidInputError, StorageError
            As `open_image` does, and if `pixel_size` does not fit the axes.
        """
        image = open_image(
            self.path,
            level=self.level,
            axes=self.axes,
            scale=self.scale,
            translate=self.translate,
            units=self.units,
            channel_names=self.channel_names,
            name=self.name,
        )
        if self.pixel_size is None and self.pixel_unit is None:
            return image
        return open_image(image, **self._calibration(image.spec))

    def _calibration(self, spec: ImageSpec) -> dict[str, Any]:
        """Return scale and units of the whole image by those of its spatial axes."""
        spatial = [axis for axis in "zyx" if axis in spec.axes]
        given: dict[str, Any] = {}
        if self.pixel_size is not None:
            if len(self.pixel_size) not in (1, len(spatial)):
                raise InvalidInputError(
                    f"{len(self.pixel_size)} pixel sizes do not fit {self.path.name}, whose axes are {spec.axes}: give "
                    f"one number for each of {', '.join(spatial)}."
                )
            sizes = self.pixel_size if len(self.pixel_size) > 1 else self.pixel_size * len(spatial)
            lengths = dict(zip(spatial, sizes, strict=True))
            given["scale"] = [lengths.get(axis, step) for axis, step in zip(spec.axes, spec.scale, strict=True)]
        if self.pixel_unit is not None:
            if unit_name(self.pixel_unit) not in (None, *MICROMETERS):
                raise InvalidInputError(
                    f"The unit {self.pixel_unit!r} is no length that is known: use nanometer, micrometer, millimeter, "
                    "centimeter, meter, angstrom or inch."
                )
            known = zip(spec.axes, spec.units, strict=True)
            given["units"] = [self.pixel_unit if axis in spatial else unit for axis, unit in known]
        return given


class TrainRequest(Config):
    """Train a network on pairs of images and labels and save it as a model folder."""

    job: Literal["train"] = "train"
    images: tuple[InputFile, ...] = Field(min_length=1)
    labels: tuple[InputFile, ...] = Field(min_length=1)
    config: TrainingConfig
    out: Path
    resume: bool = False
    overwrite: bool = False


class PredictRequest(Config):
    """Apply a model folder to one image."""

    job: Literal["predict"] = "predict"
    model: Path
    image: InputFile
    out: Path
    config: PredictionConfig = PredictionConfig()
    overwrite: bool = False


class ApplyRequest(Config):
    """Apply an operation to files.

    Attributes
    ----------
    operation, parameters
        Its name and its parameters; those left out have their defaults.
    inputs
        By name: images as `InputFile` or path; kernels and tables of points as path.
    out
        Suffix chooses the format; ``.csv`` or ``.npy`` for points.
    tile, threads
        None: chosen by memory and cores; neither changes the result.
    shard
        Edge of shards in pixels, for a zarr; None: a file for each chunk.
    """

    job: Literal["apply"] = "apply"
    operation: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputFile | Path]
    out: Path
    overwrite: bool = False
    tile: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    shard: int | None = Field(default=None, ge=1)


Suffix = Literal[".ome.zarr", ".tif", ".npy", ".png"]
"""Formats of the results of a recipe where they go to a folder."""


class RecipeRequest(Config):
    """Run a recipe on an image, or on all images of a folder.

    Attributes
    ----------
    image
        Takes the place of the recipe's first input; a folder: each image in it does, one after another.
    inputs
        The recipe's further inputs by name.
    out
        A file for one output of one image, otherwise the folder for files called ``<image>_<output><suffix>``.
    """

    job: Literal["recipe"] = "recipe"
    recipe: Path
    image: InputFile
    inputs: dict[str, InputFile | Path] = Field(default_factory=dict)
    out: Path
    suffix: Suffix = ".ome.zarr"
    overwrite: bool = False
    tile: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)


class CompileRequest(Config):
    """Compile what an operation or a click needs for images of a kind, ahead of its first use.

    Attributes
    ----------
    operation
        Its name; None for a click.
    criterion, smoothing, fill_holes
        Of a click: what its `ClickRule` says.
    dtype, dimensions, channels
        Of the pixels: spatial dimensions, and channels that grow together, 0 for one.
    notes
        Folder of this person's in which is noted what has been done.
    """

    job: Literal["compile"] = "compile"
    operation: str | None = None
    criterion: Literal["running_mean", "fixed_range", "edge_stopped"] = "running_mean"
    smoothing: float | None = None
    fill_holes: bool = False
    dtype: str
    dimensions: int = Field(default=2, ge=2, le=3)
    channels: int = Field(default=0, ge=0)
    notes: Path


AnyRequest = TrainRequest | PredictRequest | ApplyRequest | RecipeRequest | CompileRequest

JobRequest = Annotated[AnyRequest, Field(discriminator="job")]

parse_request: TypeAdapter[AnyRequest] = TypeAdapter(JobRequest)
"""``parse_request.validate_python(fields)`` gives the request that `fields` describe."""
