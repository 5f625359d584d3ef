"""What layers remember of how they were made, and what goes into the recipe of a result made from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.config.recipe import ArrayIdentity, Recipe
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.jobs import CancelToken
from napari_tessera.napari_plugin.layers.images import full_resolution
from napari_tessera.napari_plugin.layers.notes import noted, notes_of
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.recipes.identity import identify_array, identify_image, npy_bytes, read_identified
from napari_tessera.pipeline.recipes.recording import Source, record


@dataclass(frozen=True)
class Remembered:
    """What a layer holds.

    Attributes
    ----------
    recipe
        How it was made.
    sha256
        Of what the recipe made; None if that was not hashed, which says nothing about whether it was changed since.
    unchanged
        Whether the data are known, without a hash, to be what the recipe made.
    """

    recipe: Recipe | None = None
    sha256: str | None = None
    unchanged: bool = False


_parsed: WeakKeyDictionary[Layer, tuple[object, Recipe | None]] = WeakKeyDictionary()
"""By layer, the fields of its recipe and what they were read as: layers are asked at every change of a setting."""


def remembered(layer: Layer) -> Remembered:
    """Return what `layer` remembers; nothing if it was not made by an operation, or by a newer version."""
    making = notes_of(layer).making
    fields = making.get("recipe")
    if not isinstance(fields, Mapping):
        return Remembered()
    parsed = _parsed.get(layer)
    if parsed is None or parsed[0] is not fields:
        parsed = _parsed[layer] = (fields, _parse(fields))
    if parsed[1] is None:
        return Remembered()
    graph = making.get("graph")
    unchanged = graph is not None and graph == _graph_name(full_resolution(layer))
    return Remembered(parsed[1], making.get("sha256"), unchanged)


def _parse(fields: Mapping[str, Any]) -> Recipe | None:
    try:
        return Recipe.parse({name: value for name, value in fields.items() if name != "kind"})
    except InvalidInputError:
        return None


def result_metadata(recipe: Recipe, sha256: str | None, data: Any = None) -> dict[str, Any]:
    """Return what a layer of `data` (or of levels of it) made by an operation remembers."""
    fields = {"kind": recipe.kind, **recipe.model_dump(mode="json")}
    graph = _graph_name(data[0] if isinstance(data, list) else data)
    return noted({"role": "result", "recipe": fields, "sha256": sha256, "graph": graph})


def _graph_name(array: Any) -> str | None:
    """Return the name of a dask array, which becomes another when elements are assigned to; None for other arrays."""
    return str(array.name) if hasattr(array, "dask") else None


def hash_positions(points: NDArray[Any]) -> str:
    """Return the hash of positions as they come back from a layer: float64, without negative zeros."""
    return identify_array(np.asarray(points, np.float64) + 0.0).sha256


def was_edited(data: Any, known: Remembered) -> bool:
    """Return whether the `data` of a layer are known to be other than what its recipe made."""
    if known.sha256 is None or not isinstance(data, np.ndarray):
        return False
    return known.sha256 not in (identify_array(data).sha256, hash_positions(data) if data.ndim == 2 else "")


class Recorder:
    """Writes down how a result is made; runs in a thread.

    Parameters
    ----------
    arrays
        Folder that keeps what was made by hand, by hash, so that a recipe can be saved together with it.
    """

    def __init__(self, arrays: Path, cancel: CancelToken) -> None:
        self._arrays = arrays
        self._cancel = cancel

    def record(
        self,
        operation: Operation,
        sources: Mapping[str, ImageSource],
        arrays: Mapping[str, NDArray[Any]],
        known: Mapping[str, Remembered],
    ) -> Recipe:
        """Return the recipe of what `operation` makes of images, labels and arrays.

        Parameters
        ----------
        operation
            With its parameters.
        sources, arrays
            The inputs by name.
        known
            What the layer of each input remembers.

        Raises
        ------
        JobCancelledError
            If cancelled.
        """
        kinds = {declared.name: declared.kind for declared in operation.inputs}
        origins: dict[str, Source] = {
            name: self._image(source, known.get(name, Remembered()), by_hand=kinds[name] == "seeds")
            for name, source in sources.items()
        }
        origins |= {name: self._array(array, known.get(name, Remembered())) for name, array in arrays.items()}
        return record(operation, origins)

    def hash(self, source: ImageSource) -> str | None:
        """Return the hash of an image's pixels; None if it is too large for that."""
        return identify_image(source, cancel=self._cancel).sha256

    def _image(self, source: ImageSource, known: Remembered, *, by_hand: bool) -> Source:
        if known.recipe is not None and known.unchanged:
            return known.recipe
        identity = identify_image(source, cancel=self._cancel)
        if known.recipe is not None and known.sha256 is not None and known.sha256 == identity.sha256:
            return known.recipe
        if (by_hand or known.recipe is not None) and identity.sha256 is not None:
            return self.keep(source.read(source.spec.full_region), source.spec.axes)  # painted in since it was made
        return identity

    def _array(self, array: NDArray[Any], known: Remembered) -> Source:
        kept = self.keep(array)
        if known.recipe is not None and known.sha256 == kept.sha256:
            return known.recipe
        return kept

    def keep(self, array: NDArray[Any], axes: str = "") -> ArrayIdentity:
        """Store what was made by hand, so that a recipe can be saved with it, and return its identity."""
        identity = identify_array(array, axes)
        path = self._arrays / f"{identity.sha256}.npy"
        if not path.exists():
            write_atomically(path, npy_bytes(array))
        return identity


def made_by_hand(recipe: Recipe, folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that `recipe` refers to, by name, from the `folder` in which they were kept.

    Raises
    ------
    MissingInputError, StorageError
        If one is gone.
    """
    return {
        name: read_identified(folder / f"{identity.sha256}.npy", identity) for name, identity in recipe.arrays.items()
    }
