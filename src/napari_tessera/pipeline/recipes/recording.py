"""How results remember the way they were made: the recipe of a result from the recipes of what it was made of."""

import re
from collections.abc import Mapping
from importlib import metadata
from typing import TypeVar

from napari_tessera.config.recipe import ArrayIdentity, InputIdentity, Recipe, RecipeStep
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Operation

Source = Recipe | InputIdentity | ArrayIdentity
"""Where an input comes from: made by a recipe (of one output), opened, or made by hand."""

T = TypeVar("T")

_LONGEST_OUTPUT = 60
"""Letters in the name of an output: with the name of the image before it, it becomes that of a file."""

LIBRARIES: Mapping[str, str] = {
    "napari-tessera": "napari-tessera",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-image": "scikit-image",
    "opencv": "opencv-python-headless",
    "numba": "numba",
}
"""What a result may depend on, by the name in a recipe: the distribution to ask for its version."""


def installed_versions() -> dict[str, str]:
    """Return the versions of everything that a result may depend on, as far as it is installed."""
    versions = {}
    for name, distribution in LIBRARIES.items():
        try:
            versions[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return versions


def record(operation: Operation, inputs: Mapping[str, Source]) -> Recipe:
    """Return the recipe of what `operation` makes of `inputs`.

    Parameters
    ----------
    operation
        With its parameters.
    inputs
        By the name of the operation's input, where each comes from. Steps that several have in common are kept once.

    Returns
    -------
    Recipe
        Its one output is called as what it is: image, labels or points.

    Raises
    ------
    InvalidInputError
        If an input is missing or unknown, or comes from a recipe with several outputs.
    """
    known = {entry.name: entry for entry in operation.inputs}
    unknown = sorted(set(inputs) - set(known))
    missing = [name for name, entry in known.items() if not entry.optional and name not in inputs]
    if unknown or missing:
        wrong = f"has no input {unknown[0]!r}" if unknown else f"needs the input {missing[0]!r}"
        raise InvalidInputError(f"The operation {operation.name()!r} {wrong}: it takes {', '.join(known)}.")
    graph = _Graph()
    sources = {name: graph.add(name, inputs[name]) for name in known if name in inputs}
    step = graph.add_step(
        RecipeStep(
            id=operation.name(),
            operation=operation.name(),
            version=operation.version,
            parameters=operation.model_dump(mode="json"),
            inputs=sources,
        )
    )
    return graph.recipe({operation.output: step})


def merge(recipes: Mapping[str, Recipe]) -> Recipe:
    """Return one recipe that makes several results.

    Parameters
    ----------
    recipes
        By the name of the result, its recipe (of one output). Outputs are called by what stands behind the last ``·``
        of that name, which is the last step; letters that a file name cannot hold become ``_``.

    Raises
    ------
    InvalidInputError
        If there are none, or one has several outputs.
    """
    if not recipes:
        raise InvalidInputError("There is nothing to save: apply an operation first.")
    graph = _Graph()
    outputs: dict[str, str] = {}
    for name, recipe in recipes.items():
        step = graph.add(name, recipe)
        outputs[_free(_output_name(name), outputs)] = step
    return graph.recipe(outputs)


def _output_name(result: str) -> str:
    """Return a name fit for files: ``Otsu_threshold`` for ``cells · Median filter · Otsu threshold``."""
    last = result.rpartition("·")[2]
    return re.sub(r"\W+", "_", last)[:_LONGEST_OUTPUT].strip("_") or "output"


class _Graph:
    """A recipe in the making; what is in it already is not put in again."""

    def __init__(self) -> None:
        self._inputs: dict[str, InputIdentity] = {}
        self._arrays: dict[str, ArrayIdentity] = {}
        self._steps: dict[str, RecipeStep] = {}

    def add(self, name: str, source: Source) -> str:
        """Put `source` in and return what it is called here, which is `name` where that is free."""
        match source:
            case InputIdentity():
                return self._add(name, source, self._inputs)
            case ArrayIdentity():
                return self._add(name, source, self._arrays)
        if len(source.outputs) != 1:
            raise InvalidInputError(
                f"The recipe of {name!r} has {len(source.outputs)} outputs ({', '.join(source.outputs)}): choose one."
            )
        used = source.used()
        called = {old: self.add(old, entry) for old, entry in source.inputs.items() if old in used}
        called |= {old: self.add(old, entry) for old, entry in source.arrays.items() if old in used}
        for step in source.ordered():
            inputs = {entry: called[origin] for entry, origin in step.inputs.items()}
            called[step.id] = self.add_step(step.model_copy(update={"inputs": inputs}))
        (output,) = source.outputs.values()
        return called[output]

    def add_step(self, step: RecipeStep) -> str:
        """Put a step in, unless the same one is there, and return its id."""
        for known in self._steps.values():
            if known.model_copy(update={"id": step.id}) == step:
                return known.id
        name = self._free(step.id)
        self._steps[name] = step.model_copy(update={"id": name})
        return name

    def recipe(self, outputs: dict[str, str]) -> Recipe:
        """Return what was put together."""
        return Recipe(
            versions=installed_versions(),
            inputs=self._inputs,
            arrays=self._arrays,
            steps=tuple(self._steps.values()),
            outputs=outputs,
        )

    def _add(self, name: str, identity: T, among: dict[str, T]) -> str:
        for known, entry in among.items():
            if entry == identity:
                return known
        name = self._free(name)
        among[name] = identity
        return name

    def _free(self, name: str) -> str:
        return _free(name, {**self._inputs, **self._arrays, **self._steps})


def _free(name: str, taken: Mapping[str, object]) -> str:
    """Return `name`, or with a number behind it if it is taken: median, median_2, median_3."""
    if name not in taken:
        return name
    base = re.sub(r"_\d+$", "", name)
    number = 2
    while f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"
