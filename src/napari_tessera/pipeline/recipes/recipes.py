"""Running a recipe: its steps one after another, each computed once, with the result of applying them by hand."""

import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.recipe import ArrayIdentity, Recipe, RecipeStep
from napari_tessera.config.wording import find_converted
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken, Progress, Result, Warning
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.creating import check_fits, check_output
from napari_tessera.io.ledger import Fingerprint
from napari_tessera.io.writing import check_free
from napari_tessera.operations.base import InputKind, Kind, Operation
from napari_tessera.operations.describe import KINDS
from napari_tessera.operations.registry import all_operations, build_operation
from napari_tessera.pipeline.applying.applying import ApplyOptions, apply_into, image_first, open_input
from napari_tessera.pipeline.applying.inputs import OperationInput
from napari_tessera.pipeline.positions import check_points_output
from napari_tessera.pipeline.recipes.forecast import forecast
from napari_tessera.pipeline.recipes.identity import identify_image
from napari_tessera.pipeline.recipes.intermediates import Intermediates, copy_image
from napari_tessera.pipeline.recipes.recording import installed_versions
from napari_tessera.pipeline.requests import InputFile
from napari_tessera.pipeline.results import PointsResult
from napari_tessera.pipeline.running.resuming import digest, fingerprint

Given = OperationInput | InputFile | Path
"""What an input of a recipe may be: open, or a file that is opened as each step needs it."""

OpenOutput = Callable[[str, ImageSpec], ImageSink]
"""Creates an output, given its name and what it will hold."""

_FITS: Mapping[InputKind, tuple[Kind, ...]] = {
    "image": ("image", "labels"),
    "labels": ("labels", "image"),
    "kernel": ("image",),
    "points": ("points",),
    "seeds": ("points", "labels", "image"),
    "frequencies": ("points",),
}
"""Which results an input takes. An image of integers may be labels; those that are not are refused when they come."""


@dataclass(frozen=True)
class CheckedRecipe:
    """A recipe that can be run here.

    Attributes
    ----------
    recipe
        As it was.
    steps
        What its outputs need, in an order in which they can be done.
    operations
        By step.
    """

    recipe: Recipe
    steps: tuple[RecipeStep, ...]
    operations: Mapping[str, Operation]

    @property
    def image(self) -> str:
        """The input that the image to work on takes the place of; empty if there is none."""
        return next(iter(self.recipe.inputs), "")

    def kind_of(self, output: str) -> Kind:
        """Return what the output of that name is."""
        return self.operations[self.recipe.outputs[output]].output


def check_recipe(recipe: Recipe) -> CheckedRecipe:
    """Find out whether every step of `recipe` that its outputs need can be done by the installed operations.

    Raises
    ------
    InvalidInputError
        For an unknown operation, one of another version, a parameter or an input that it does not have or lacks.
    """
    steps = recipe.ordered()
    operations: dict[str, Operation] = {}
    for step in steps:
        try:
            operations[step.id] = _build(step)
            _check_version(step, operations[step.id], recipe)
            _check_inputs(step, operations)
        except InvalidInputError as error:
            raise InvalidInputError(f"The step {step.id!r} cannot be done: {error}") from error
    return CheckedRecipe(recipe, steps, operations)


def _build(step: RecipeStep) -> Operation:
    operation = build_operation(step.operation, step.parameters)
    if converted := find_converted(step.parameters, operation.model_dump()):
        raise InvalidInputError(converted)
    return operation


def _check_version(step: RecipeStep, operation: Operation, recipe: Recipe) -> None:
    if step.version != operation.version:
        made_with = recipe.versions.get("napari-tessera")
        where = f" ({made_with})" if made_with else ""
        raise InvalidInputError(
            f"It was recorded with version {step.version} of {step.operation!r}, and version {operation.version} is "
            f"installed, which gives another result: install the napari-tessera it was made with{where}, or record the "
            "recipe again with this one."
        )


def _check_inputs(step: RecipeStep, operations: Mapping[str, Operation]) -> None:
    operation = operations[step.id]
    known = {entry.name: entry for entry in operation.inputs}
    unknown = sorted(set(step.inputs) - set(known))
    missing = [name for name, entry in known.items() if not entry.optional and name not in step.inputs]
    if unknown or missing:
        wrong = f"has no input {unknown[0]!r}" if unknown else f"needs the input {missing[0]!r}"
        raise InvalidInputError(f"{operation.title} {wrong}: name each of {', '.join(known)} as the step takes it.")
    for name, source in step.inputs.items():
        kind = known[name].kind
        if source in operations and operations[source].output not in _FITS[kind]:
            raise InvalidInputError(
                f"{operation.title} takes {KINDS[kind]} as {name!r}, but {source!r} gives "
                f"{KINDS[operations[source].output]}: connect it to another step."
            )
    first = operation.inputs[0].name
    source = step.inputs.get(first, "")
    if operation.blends and source in operations and operations[source].output == "labels":
        variant = f"{operation.name()}_labels"
        variant = variant if variant in all_operations() else "resize_labels"
        raise InvalidInputError(
            f"{operation.title} mixes neighbouring pixels, and {source!r} gives labels, whose ids must stay as they "
            f"are: use the operation {variant!r}."
        )


def check_target(checked: CheckedRecipe, output: str, path: Path, overwrite: bool) -> None:
    """Refuse a file that the output of that name cannot be written to; raises as `plan_targets` does."""
    if checked.kind_of(output) != "points":
        check_output(path, overwrite, resumable=True)
        return
    check_points_output(path)
    check_free(path, overwrite)


def metadata_of(checked: CheckedRecipe) -> dict[str, Any]:
    """Return what is kept with an output."""
    return {"recipe": checked.recipe.model_dump(mode="json")}


@dataclass
class RecipeRun:
    """One run of a recipe on one image.

    Parameters
    ----------
    checked
        The recipe.
    given
        Its inputs by name.
    arrays
        Its arrays by name.
    open_output
        Called for each output that is an image or labels, when the time has come.
    cancel, options
        As for a single operation.
    beside
        An output, in whose folder large intermediate results go.
    places
        The files of the outputs by name, as far as they are files.

    Attributes
    ----------
    points
        Outputs that are points, by name, once the run is through.
    """

    checked: CheckedRecipe
    given: Mapping[str, Given]
    arrays: Mapping[str, NDArray[Any]]
    open_output: OpenOutput
    cancel: CancelToken
    options: ApplyOptions = field(default_factory=ApplyOptions)
    beside: Path | None = None
    places: Mapping[str, Path] = field(default_factory=dict)
    points: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False)
    _made: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._check_given()

    def _check_given(self) -> None:
        recipe, used = self.checked.recipe, self.checked.recipe.used()
        for name in self.given:
            if name not in recipe.inputs:
                known = ", ".join(recipe.inputs) or "none"
                raise InvalidInputError(f"The recipe has no input {name!r}: it has {known}.")
        for name in recipe.inputs:
            if name in used and name not in self.given:
                raise InvalidInputError(f"The recipe needs the input {name!r}: give it with --input {name}=PATH.")
        for name in recipe.arrays:
            if name in used and name not in self.arrays:
                raise InvalidInputError(f"The recipe needs its data {name!r}: load it together with them.")

    def fingerprint(self, output: str) -> Fingerprint | None:
        """Return what decides an output; None if an input lies in no file."""
        recipe = self.checked.recipe
        opened = {f"the input {name}": self._open(name) for name in recipe.inputs if name in self.given}
        inputs = {name: value for name, value in opened.items() if isinstance(value, ImageSource | np.ndarray)}
        if len(inputs) < len(opened):
            return None
        arrays = {f"the data {name}": value for name, value in self.arrays.items() if name in recipe.used()}
        return fingerprint(
            {**inputs, **arrays}, {"the recipe": digest(recipe.model_dump(mode="json")), "the output": output}
        )

    def events(self) -> Generator[Progress | Warning]:
        """Do all steps; progress is in percent of all of them."""
        started = time.perf_counter()
        steps = self.checked.steps
        told: set[str] = set()
        yield from self._doubts()
        self._check_room()
        with Intermediates(self.beside) as intermediates:
            for index, step in enumerate(steps):
                prefix = f"step {index + 1} of {len(steps)}" if len(steps) > 1 else ""
                with closing(self._do(step, intermediates)) as events:
                    for event in events:
                        if isinstance(event, Warning):
                            if event.text not in told:  # what is odd about an image is odd in each step on it
                                yield event
                            told.add(event.text)
                            continue
                        share = event.done / event.total if event.total else 0.0
                        yield _overall((index + share) / len(steps), prefix, event.message, started)
                for name in self._done_with(index):
                    intermediates.drop(name)
        yield Progress(100, 100, "percent", "Done", 0.0)

    def _check_room(self) -> None:
        """Refuse results that the disk has no room for, those that are not kept included."""
        opened = {name: self._open(name) for name in self.checked.recipe.inputs if name in self.given}
        given = {name: value.spec for name, value in opened.items() if isinstance(value, ImageSource)}
        operations = self.checked.operations
        specs = forecast([(step.id, operations[step.id], step.inputs) for step in self.checked.steps], given)
        for name, spec in specs.items():
            outputs = [output for output, source in self.checked.recipe.outputs.items() if source == name]
            places = [self.places[output] for output in outputs if output in self.places]
            for place in places or [(self.beside or Path(tempfile.gettempdir())).with_suffix(".zarr")]:
                check_fits(place, spec)

    def _doubts(self) -> Iterator[Warning]:
        recipe = self.checked.recipe
        differing = [
            f"{name} {version} ({here} here)"
            for name, version in recipe.versions.items()
            if (here := installed_versions().get(name)) not in (None, version)
        ]
        if differing:
            yield Warning(f"The recipe was made with {', '.join(differing)}: results may differ slightly.")
        for name, identity in recipe.inputs.items():
            value = self._open(name)
            if not isinstance(value, ImageSource) or not identity.axes:
                continue
            spec = value.spec
            if (spec.axes, str(spec.dtype)) != (identity.axes, identity.dtype):
                yield Warning(
                    f"{spec.name} has axes {spec.axes} and type {spec.dtype}, but the recipe was made on axes "
                    f"{identity.axes} and type {identity.dtype}: look whether its settings suit."
                )
        yield from self._doubts_about_arrays()

    def _doubts_about_arrays(self) -> Iterator[Warning]:
        recipe, name = self.checked.recipe, self.checked.image
        arrays = sorted(set(recipe.arrays) & recipe.used())
        if not (arrays and name):
            return
        identity, image = recipe.inputs[name], self._open(name)
        if not isinstance(image, ImageSource):
            return
        same = image.shape == identity.shape
        if same and identity.sha256:
            same = identify_image(image, cancel=self.cancel).sha256 in (identity.sha256, None)
        if not same:
            yield Warning(
                f"The recipe holds data made by hand on {identity.name} ({', '.join(arrays)}), and {image.name} is "
                "another image: look whether they suit it."
            )

    def _open(self, name: str) -> Given | None:
        """Return an input as an image where that is possible without knowing which step asks."""
        value = self.given.get(name)
        uses = [
            (self.checked.operations[step.id], entry)
            for step in self.checked.steps
            for entry, source in step.inputs.items()
            if source == name
        ]
        if isinstance(value, InputFile | Path) and uses:
            return open_input(*uses[0], value)
        return value

    def _do(self, step: RecipeStep, intermediates: Intermediates) -> Generator[Progress | Warning]:
        operation = self.checked.operations[step.id]
        inputs = image_first(
            operation,
            step.inputs,
            lambda name, image: self._input(operation, name, step.inputs[name], intermediates, image),
        )
        outputs = [name for name, source in self.checked.recipe.outputs.items() if source == step.id]
        # a result that other steps or several outputs want is kept first and copied then
        direct = len(outputs) == 1 and not self._needed_after(step.id)

        def open_sink(spec: ImageSpec) -> ImageSink:
            return self.open_output(outputs[0], spec) if direct else intermediates.sink(step.id, spec)

        with closing(apply_into(operation, inputs, open_sink, self.cancel, self.options)) as events:
            for event in events:
                if not isinstance(event, Result):
                    yield event
                elif isinstance(event, PointsResult):
                    self._made[step.id] = event.found
        for name in outputs:
            if operation.output == "points":
                self.points[name] = self._made[step.id].copy()
            elif not direct:
                source = intermediates.source(step.id)
                copy_image(source, self.open_output(name, source.spec), self.cancel.raise_if_cancelled)

    def _input(
        self, operation: Operation, name: str, source: str, intermediates: Intermediates, image: OperationInput | None
    ) -> OperationInput:
        recipe = self.checked.recipe
        if source in self._made:
            return self._made[source]
        if source in recipe.arrays:
            return self._array(self.arrays[source], recipe.arrays[source])
        if source not in recipe.inputs:
            return intermediates.source(source)
        value = self.given[source]
        return open_input(operation, name, value, image) if isinstance(value, InputFile | Path) else value

    def _array(self, array: NDArray[Any], identity: ArrayIdentity) -> OperationInput:
        """Return data made by hand: labels with the calibration of the image, or points."""
        if not identity.axes:
            return array
        image = self._open(self.checked.image) if self.checked.image else None
        like = image.spec if isinstance(image, ImageSource) else ImageSpec(axes="yx", shape=(1, 1), dtype=array.dtype)
        placed = like.ordered(identity.axes)
        spec = replace(placed, shape=array.shape, dtype=array.dtype, channel_names=())
        return ArraySource(array, spec)

    def _needed_after(self, name: str) -> bool:
        return any(name in step.inputs.values() for step in self.checked.steps)

    def _done_with(self, index: int) -> Iterator[str]:
        """Yield the steps up to `index` whose results no later step needs."""
        needed = {source for step in self.checked.steps[index + 1 :] for source in step.inputs.values()}
        return (step.id for step in self.checked.steps[: index + 1] if step.id not in needed)


def _overall(share: float, prefix: str, message: str, started: float) -> Progress:
    """Return progress in percent, below 100 as long as anything is still to be written."""
    seconds = time.perf_counter() - started
    left = seconds / share * (1 - share) if share > 0 else None
    return Progress(min(int(100 * share), 99), 100, "percent", ": ".join(filter(None, (prefix, message))), left)
