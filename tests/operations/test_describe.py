from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from napari_tessera.config.base import Config
from napari_tessera.operations.base import Block, Input, Local, PlaneOrVolume
from napari_tessera.operations.describe import (
    FAMILIES,
    Bounds,
    by_group,
    describe_operation,
    describe_parameter,
    own_first,
    value_text,
)
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.registry import all_operations, find_operation


class Range(Config):
    low: float = 0.0
    high: float = 1.0


class Sample(PlaneOrVolume, Local):
    """Sample things.

    In more than
    one line.
    """

    title: ClassVar = "Sampler"
    group: ClassVar = "Samples"
    inputs: ClassVar = (Input("image", "image", "What to sample."), Input("psf", "kernel", "Blur.", optional=True))

    flag: bool = parameter(True, "A switch.")
    size: OddSize = parameter(3, "A window.", unit="pixels", ge=1, le=99)
    sigma: float = parameter(1.0, "A width.", gt=0, lt=50)
    level: float | int = parameter(..., "A level.")
    most: int | None = parameter(None, "A limit.", ge=1)
    shape: Literal["disk", "square"] = parameter("disk", "A form.")
    word: str = parameter("", "A word.")
    levels: tuple[float, ...] = parameter((0.5, 1.0), "Some levels.", min_length=1, max_length=9)
    pair: tuple[int, int] = parameter((1, 2), "Two numbers.")
    bounded: tuple[Annotated[int, Field(ge=0)], ...] = parameter((), "Some counts.")
    table: tuple[tuple[float, ...], ...] = parameter(((0.0, 1.0), (1.0, 0.0)), "Rows.")
    mixed: int | tuple[int, ...] = parameter(1, "One for all axes, or one for each.")
    range: Range = parameter(Range(), "A range.")

    def compute(self, block: Block) -> Any:
        return block.image


TOLD = describe_operation(Sample)
BY_NAME = {entry.name: entry for entry in TOLD.parameters}


def test_what_the_class_says_is_told():
    assert (TOLD.name, TOLD.class_name, TOLD.title, TOLD.group) == ("sample", "Sample", "Sampler", "Samples")
    assert TOLD.summary == "Sample things"
    assert TOLD.text == "In more than\none line."
    assert TOLD.family_text == FAMILIES["local"]
    assert [entry.name for entry in TOLD.inputs] == ["image", "psf"]


def test_paged_operations_do_not_claim_to_take_the_whole_image_into_memory():
    assert describe_operation(find_operation("grow_regions")).family_text == FAMILIES["paged"]
    assert describe_operation(find_operation("wiener")).family_text == FAMILIES["global"]


def test_own_parameters_come_before_those_of_the_bases():
    assert own_first(Sample)[0] == "flag"
    assert own_first(Sample)[-1] == "per_plane"
    assert set(own_first(Sample)) == set(Sample.model_fields)


def test_what_matters_most_is_asked_for_first():
    assert own_first(find_operation("separate_stains"))[:3] == ["stains", "stain", "first"]
    assert own_first(find_operation("frangi"))[:5] == ["sigma", "largest", "scales", "ridges", "alpha"]


@pytest.mark.parametrize(
    ("name", "kind", "allowed", "default"),
    [
        ("flag", "boolean", "", "true"),
        ("size", "integer", "1 to 99, odd", "3"),
        ("sigma", "number", "above 0, below 50", "1"),
        ("level", "number", "", ""),
        ("most", "integer", "at least 1; or none", "none"),
        ("shape", "choice", "disk | square", "disk"),
        ("word", "text", "", '""'),
        ("levels", "list", "1 to 9 entries", "0.5,1"),
        ("pair", "list", "2 entries", "1,2"),
        ("bounded", "list", "at least 0", "[]"),
        ("table", "list", "", "[[0,1],[1,0]]"),
        ("mixed", "other", "", "1"),
    ],
)
def test_types_of_parameters(name, kind, allowed, default):
    entry = BY_NAME[name]
    assert (entry.kind, entry.allowed, entry.default_text) == (kind, allowed, default)
    assert entry.help
    assert entry.required == (name == "level")
    assert entry.optional == (name == "most")


def test_units_items_and_settings_within_settings():
    assert BY_NAME["size"].unit == "pixels"
    assert BY_NAME["sigma"].unit == ""
    assert BY_NAME["levels"].items == "number"
    assert BY_NAME["table"].items == "list"
    assert BY_NAME["range"].default == {"low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Bounds(), ""),
        (Bounds(0, 1), "0 to 1"),
        (Bounds(0, 1, above=True), "above 0, at most 1"),
        (Bounds(None, 7, below=True), "below 7"),
        (Bounds(0, 1e7), "0 to 10000000"),
        (Bounds(3, None, odd=True), "at least 3, odd"),
    ],
)
def test_bounds_in_words(bounds, text):
    assert str(bounds) == text


def test_values_as_they_are_typed():
    assert [value_text(value) for value in (None, True, 2.0, 1e7, 1e-7, 0.1, [1, 2.5], "a")] == [
        "none",
        "true",
        "2",
        "10000000",
        "1e-07",
        "0.1",
        "1,2.5",
        "a",
    ]


def test_groups_in_the_order_of_the_work_and_new_ones_last():
    groups = list(by_group([Sample, *reversed(all_operations().values())]))
    assert groups[0] == "Intensity"
    assert groups[-1] == "Samples"


@pytest.mark.parametrize("operation", all_operations().values(), ids=list(all_operations()))
def test_every_operation_can_be_told(operation):
    told = describe_operation(operation)
    assert told.summary
    assert told.summary[0].isupper()
    assert all(entry.help.endswith((".", ")")) for entry in told.parameters)
    assert all(entry.help for entry in told.inputs)
    for name, field in operation.model_fields.items():
        entry = describe_parameter(name, field)
        assert entry.kind != "other", f"{name} has a type that no form and no option is made for"
        if entry.kind == "choice":
            assert entry.default in entry.choices
