"""A recipe: a graph of steps from named inputs to named outputs, with everything needed to repeat it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from napari_tessera.config.base import Config
from napari_tessera.config.files import FileConfig
from napari_tessera.config.wording import find_converted
from napari_tessera.core.errors import InvalidInputError

LONGEST_NAME = 100


def _fit_for_a_file(name: str) -> str:
    if not re.fullmatch(r"\w[\w-]*", name) or len(name) > LONGEST_NAME:
        raise ValueError(f"a name has letters, digits, _ and - (not first), and at most {LONGEST_NAME} of these")
    return name


def _of_64_digits(sha256: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("a hash (SHA-256) has 64 digits from 0 to f")
    return sha256


Name = Annotated[str, AfterValidator(_fit_for_a_file)]
"""What inputs, arrays, steps and outputs are called; it is fit for a part of a file name."""

Hash = Annotated[str, AfterValidator(_of_64_digits)]
"""SHA-256 of an array as a NPY file (format 1.0, C order, little-endian)."""


class InputIdentity(Config):
    """The image that a recipe was made on; it runs on others too."""

    name: str = Field(default="image", description="What the image was called.")
    axes: str = Field(description="One letter of tczyx per dimension; empty for what is no image (points).")
    shape: tuple[int, ...]
    dtype: str
    sha256: Hash | None = Field(default=None, description="Of the pixels; none where hashing would have taken long.")


class ArrayIdentity(Config):
    """Data made by hand (points, edited labels); they lie beside the recipe, in a NPY file called by their hash."""

    sha256: Hash
    shape: tuple[int, ...]
    dtype: str
    axes: str = Field(default="", description="One letter of tczyx per dimension; empty for points.")


class RecipeStep(Config):
    """One operation with all its parameters; `inputs` says which input, array or step each of its inputs is."""

    id: Name
    operation: str
    version: int = Field(default=1, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, Name] = Field(default_factory=dict)


class Recipe(FileConfig):
    """A graph of steps.

    The first of `inputs` is the image that ``run RECIPE IN OUT`` puts in its place. Names are unique among inputs,
    arrays and steps. Steps may stand in any order in a file; `ordered` sorts them.
    """

    kind: ClassVar[str] = "recipe"

    versions: dict[str, str] = Field(default_factory=dict)
    """Of this package and of the libraries that compute, where the recipe was made."""
    inputs: dict[Name, InputIdentity] = Field(default_factory=dict)
    arrays: dict[Name, ArrayIdentity] = Field(default_factory=dict)
    steps: tuple[RecipeStep, ...] = Field(default=(), min_length=1, validate_default=True)
    outputs: dict[Name, Name] = Field(default_factory=dict, min_length=1, validate_default=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_unique([*self.inputs, *self.arrays, *(step.id for step in self.steps)])
        steps = {step.id for step in self.steps}
        known = steps | set(self.inputs) | set(self.arrays)
        for step in self.steps:
            for name, source in step.inputs.items():
                if source not in known:
                    raise InvalidInputError(
                        f"The step {step.id!r} takes {source!r} as its input {name!r}, but there is no input, array or "
                        f"step of that name: use one of {', '.join(sorted(known - {step.id}))}."
                    )
        for name, source in self.outputs.items():
            if source not in steps:
                raise InvalidInputError(
                    f"The output {name!r} is {source!r}, but there is no such step: use one of "
                    f"{', '.join(sorted(steps))}."
                )
        list(_sorted(self.steps, steps))
        return self

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Build from plain data; unlike other settings it takes no text for a number and no number for true.

        Raises
        ------
        InvalidInputError
            Naming the field, the value and what is allowed.
        """
        recipe = super().parse(fields)
        if converted := find_converted(fields, recipe.model_dump()):
            raise InvalidInputError(converted)
        return recipe

    def ordered(self) -> tuple[RecipeStep, ...]:
        """Return the steps that the outputs need, each after those that it needs itself."""
        return tuple(_sorted(self.steps, self.outputs.values()))

    def used(self) -> frozenset[str]:
        """Return the names of the inputs, arrays and steps that the outputs need."""
        ordered = self.ordered()
        return frozenset({step.id for step in ordered} | {name for step in ordered for name in step.inputs.values()})

    def with_outputs(self, outputs: Mapping[str, str]) -> Self:
        """Return the recipe with other outputs (name → step), without what these do not need."""
        changed = self.parse({**dict(self), "outputs": dict(outputs)})
        used = changed.used()
        return changed.parse(
            {
                **dict(changed),
                "inputs": {name: entry for name, entry in self.inputs.items() if name in used},
                "arrays": {name: entry for name, entry in self.arrays.items() if name in used},
                "steps": tuple(step for step in self.steps if step.id in used),
            }
        )


def _check_unique(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"Two inputs, arrays or steps of the recipe are called {twice[0]!r}: give each a name of its own."
        )


def _sorted(steps: Iterable[RecipeStep], wanted: Iterable[str]) -> Iterator[RecipeStep]:
    """Yield the `wanted` steps and those that they need, each after what it needs, otherwise in their order.

    Raises
    ------
    InvalidInputError
        If steps need one another in a circle.
    """
    by_id = {step.id: step for step in steps}
    done: set[str] = set()
    wanted = set(wanted)
    for start in (name for name in by_id if name in wanted):
        path: list[str] = []  # from the wanted step down to the one that is looked at; no recursion: graphs may be deep
        pending = [(start, False)]
        while pending:
            name, ready = pending.pop()
            if ready:
                path.pop()
                done.add(name)
                yield by_id[name]
            elif name in path:
                circle = " → ".join([*path[path.index(name) :], name])
                raise InvalidInputError(f"The steps of the recipe need one another in a circle: {circle}.")
            elif name not in done:
                path.append(name)
                pending.append((name, True))
                needed = [source for source in by_id[name].inputs.values() if source in by_id]
                pending.extend((source, False) for source in reversed(needed))
