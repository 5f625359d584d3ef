"""Recipes in files: the YAML, and beside it the data made by hand that it refers to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.core.paths import expand_home
from napari_tessera.io.places import check_place
from napari_tessera.pipeline.recipes.identity import identify_array, npy_bytes, read_identified


def arrays_folder(recipe: Path) -> Path:
    """Return where the arrays of the recipe file lie: ``cells.arrays`` beside ``cells.yaml``."""
    return recipe.with_name(f"{recipe.stem}.arrays")


def save_recipe(
    recipe: Recipe, path: Path, arrays: Mapping[str, NDArray[Any]] | None = None, *, overwrite: bool = False
) -> None:
    """Write a recipe and the data that it holds.

    Parameters
    ----------
    recipe
        What to save.
    path
        A YAML file; arrays go to ``<name>.arrays/<sha256>.npy`` beside it.
    arrays
        By name, what ``recipe.arrays`` describes.
    overwrite
        Replace `path` if it exists.

    Raises
    ------
    OutputExistsError
        If `path` exists and `overwrite` is false.
    InvalidInputError
        If an array is missing, or is not the one that the recipe describes; or if `path` lies inside a zarr.
    StorageError
        If the disk is full or the folder cannot be written.
    """
    path = expand_home(path)
    check_place(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists: choose another name, or replace it with --overwrite.")
    for name, identity in recipe.arrays.items():
        array = (arrays or {}).get(name)
        if array is None or identify_array(array, identity.axes) != identity:
            raise InvalidInputError(f"The data {name!r} of the recipe are not at hand: record the recipe again.")
        target = arrays_folder(path) / f"{identity.sha256}.npy"
        if not target.exists():
            write_atomically(target, npy_bytes(array))
    recipe.save(path)


def load_recipe(path: Path) -> tuple[Recipe, dict[str, NDArray[Any]]]:
    """Read a recipe and its arrays by name.

    Raises
    ------
    MissingInputError, InvalidInputError, StorageError
        If the recipe or one of its arrays is missing, damaged, or not what was saved.
    """
    path = expand_home(path)
    recipe = Recipe.load(path)
    folder = arrays_folder(path)
    used = recipe.used()
    arrays = {
        name: read_identified(folder / f"{identity.sha256}.npy", identity)
        for name, identity in recipe.arrays.items()
        if name in used
    }
    return recipe, arrays
