import pytest
from pydantic import ValidationError

from napari_tessera.config.base import apply_overrides, parse_assignments
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import InvalidInputError


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(annotation=Annotation.SCRIBBLES)


def test_a_config_cannot_be_changed(config: TrainingConfig) -> None:
    with pytest.raises(ValidationError):
        config.max_steps = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"annotation": "dense", "max_stepz": 1}, r"^There is no setting 'max_stepz': did you mean stop\.max_steps\?$"),
        ({"annotation": "dense", "qwert": 1}, r"^There is no setting 'qwert': check its spelling\.$"),
        ({"annotation": "dense", "depth": 1}, r"'depth': did you mean network\.depth\?$"),
        ({"annotation": "dense", "network": {"Depht": 1}}, r"'network\.Depht': did you mean network\.depth\?$"),
        ({}, "'annotation' is required"),
        ({"annotation": "dense", "max_steps": 0}, "max_steps = 0: it must be at least 1"),
        ({"annotation": "dots"}, "annotation = 'dots'.*'scribbles', 'dense' or 'objects'"),
        ({"annotation": "dense", "augmentation": {"scale": 9}}, r"augmentation\.scale = 9"),
        ({"annotation": "dense", "patch_size": 100}, "multiple of 8"),
        ({"annotation": "dense", "device": "toaster"}, "device = 'toaster'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        TrainingConfig.parse(fields)
    assert "\n" not in str(caught.value)


def test_dotted_names_override_nested_fields(config: TrainingConfig) -> None:
    changed = config.with_overrides({"augmentation.scale": 2, "network.depth": 4, "max_seconds": 90})
    assert changed.augmentation.scale == 2
    assert changed.augmentation.flips is config.augmentation.flips
    assert changed.network.depth == 4
    assert changed.stop.max_seconds == 90
    assert config.network.depth == 3


def test_an_override_of_nothing_changes_nothing(config: TrainingConfig) -> None:
    assert config.with_overrides({}) == config


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("max_steps.more", "'max_steps' has no fields"),
        ("max_stepz", "no setting 'max_stepz'"),
        ("augmentation.scales", "no setting 'augmentation.scales'"),
    ],
)
def test_an_override_of_what_is_not_there_is_refused(config: TrainingConfig, name: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        config.with_overrides({name: 1})


def test_overrides_leave_their_input_alone() -> None:
    fields = {"a": {"b": 1, "c": 2}}
    assert apply_overrides(fields, {"a.b": 5, "d.e": 6}) == {"a": {"b": 5, "c": 2}, "d": {"e": 6}}
    assert fields == {"a": {"b": 1, "c": 2}}


def test_assignments_are_read_as_yaml() -> None:
    given = ("a.b=1", " c =true", "d=[1, 2]", "e=null", "f=x=y", "g=1.5e-3")
    assert parse_assignments(given) == {"a.b": 1, "c": True, "d": [1, 2], "e": None, "f": "x=y", "g": 0.0015}


@pytest.mark.parametrize("assignment", ["max_seconds", "=3", "a=[1", "a=!!python/object:os.system {}"])
def test_a_bad_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_assignments((assignment,))


def test_configs_survive_json() -> None:
    config = PredictionConfig(output="probabilities", tile=256)
    assert PredictionConfig.model_validate_json(config.model_dump_json()) == config


def test_a_wrong_field_is_one_sentence_also_when_built_by_hand():
    with pytest.raises(InvalidInputError, match=r"^There is no setting 'steps': did you mean stop\.max_steps\?$"):
        TrainingConfig(annotation="scribbles", steps=3)
    with pytest.raises(InvalidInputError, match=r"^There is no setting 'augmentation\.zoom': check its spelling\.$"):
        TrainingConfig(annotation="scribbles", augmentation={"zoom": 3})


def test_what_is_no_number_is_not_told_a_limit():
    with pytest.raises(InvalidInputError, match=r"^Setting stop\.max_seconds = nan: a number is needed\.$"):
        TrainingConfig(annotation="scribbles", max_seconds=float("nan"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("None", "'None'"),
        ([1, None], "[1, null]"),
        ({"a": {"b": True}}, "{'a': {'b': true}}"),
    ],
)
def test_a_wrong_value_is_shown_as_a_file_has_it(value: object, text: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        TrainingConfig.parse({"annotation": "scribbles", "max_steps": [value]})
    assert str(error.value) == f"Setting stop.max_steps = [{text}]: a whole number is needed."


def test_what_several_fields_do_wrong_together_ends_like_a_sentence() -> None:
    with pytest.raises(InvalidInputError, match=r"for a network of depth 6\.$"):
        TrainingConfig.parse({"annotation": "scribbles", "patch_size": 32, "network": {"depth": 6}})
