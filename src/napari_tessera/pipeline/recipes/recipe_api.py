"""What a Python program calls to run a recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken, JobEvent, drain
from napari_tessera.core.paths import expand_home
from napari_tessera.io.arrays import ArrayLike, MemorySink
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.io.places import check_apart
from napari_tessera.pipeline.applying.applying import ApplyOptions
from napari_tessera.pipeline.listening import listener
from napari_tessera.pipeline.positions import write_points
from napari_tessera.pipeline.recipes.recipe_files import load_recipe
from napari_tessera.pipeline.recipes.recipes import CheckedRecipe, RecipeRun, check_recipe, check_target, metadata_of


def run_recipe(
    recipe: Recipe | str | Path,
    image: ImageSource | ArrayLike | str | Path,
    *,
    out: str | Path | Mapping[str, str | Path] | None = None,
    inputs: Mapping[str, ImageSource | NDArray[Any] | str | Path] | None = None,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    overwrite: bool = False,
    tile: int | None = None,
    threads: int | None = None,
    on_event: Callable[[JobEvent], None] | None = None,
    cancel: CancelToken | None = None,
) -> dict[str, NDArray[Any] | Path]:
    """Run a recipe on one image.

    Parameters
    ----------
    recipe
        A recipe, or the file of one.
    image
        Whatever `napari_tessera.open_image` takes, in place of the recipe's first input.
    out
        Where to write: a path for the one output, or a path for each output by name; None: return arrays.
    inputs
        Further inputs by their names in the recipe: images, arrays of points, or files of either.
    arrays
        The data made by hand that `recipe` refers to, by name; those of a recipe file are read with it.
    overwrite
        Replace outputs that exist.
    tile, threads
        As for `napari_tessera.apply`; neither changes the result.
    on_event
        Called with every event: progress in percent, warnings.
    cancel
        Set from another thread to stop.

    Returns
    -------
    dict
        By name, each output: an array with the axes of the image, points (N, dimensions), or the path written.

    Raises
    ------
    TesseraError
        Each with one sentence that names the remedy.
    """
    if not isinstance(recipe, Recipe):
        recipe, arrays = load_recipe(Path(recipe))
    checked = check_recipe(recipe)
    paths = _output_paths(checked, out, overwrite)
    for path in paths.values():
        check_apart(path, [image, *(inputs or {}).values()])
    outputs = _Outputs(checked, paths, overwrite)
    opened = open_image(image)
    further = {name: Path(value) if isinstance(value, str) else value for name, value in (inputs or {}).items()}
    given = {**({checked.image: opened} if checked.image else {}), **further}
    options, beside = ApplyOptions(tile, threads), next(iter(outputs.paths.values()), None)
    run = RecipeRun(checked, given, arrays or {}, outputs.open, cancel or CancelToken(), options, beside, paths)
    drain(run.events(), listener(on_event))
    return outputs.results(run.points, opened)


@dataclass
class _Outputs:
    """Where the outputs of a run go: to `paths`, or into memory where there are none."""

    checked: CheckedRecipe
    paths: dict[str, Path]
    overwrite: bool
    memory: dict[str, MemorySink] = field(default_factory=dict)

    def open(self, name: str, spec: ImageSpec) -> ImageSink:
        if name in self.paths:
            return create_image(self.paths[name], spec, overwrite=self.overwrite, metadata=metadata_of(self.checked))
        self.memory[name] = MemorySink(spec)
        return self.memory[name]

    def results(self, points: Mapping[str, NDArray[Any]], image: ImageSource) -> dict[str, NDArray[Any] | Path]:
        """Write points, and return all outputs in the order of the recipe."""
        results: dict[str, NDArray[Any] | Path] = {name: _own(sink.array, image) for name, sink in self.memory.items()}
        for name, positions in points.items():
            if name in self.paths:
                write_points(self.paths[name], positions, overwrite=self.overwrite)
        results = {**results, **points, **self.paths}
        return {name: results[name] for name in self.checked.recipe.outputs}


def _own(array: NDArray[Any], image: ImageSource) -> NDArray[Any]:
    """Return `array`, or a copy if it lies in the memory of the image."""
    inner = getattr(image, "array", None)
    return array.copy() if isinstance(inner, np.ndarray) and np.may_share_memory(array, inner) else array


def _output_paths(
    checked: CheckedRecipe, out: str | Path | Mapping[str, str | Path] | None, overwrite: bool
) -> dict[str, Path]:
    names = tuple(checked.recipe.outputs)
    if out is None:
        return {}
    if not isinstance(out, Mapping):
        if len(names) > 1:
            raise InvalidInputError(f"The recipe has several outputs: give a path for each of {', '.join(names)}.")
        out = {names[0]: out}
    if set(out) != set(names):
        raise InvalidInputError(f"The outputs of the recipe are {', '.join(names)}: give a path for each of these.")
    paths = {name: expand_home(out[name]) for name in names}
    for name, path in paths.items():
        check_target(checked, name, path, overwrite)
    return paths
