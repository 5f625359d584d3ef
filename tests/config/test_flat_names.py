"""The names that settings of a training had in schema version 1 go on working wherever a person writes them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import napari_tessera as nt
from napari_tessera.cli.train import training_config
from napari_tessera.config.flat_names import FLAT_NAMES
from napari_tessera.config.model import ModelSpec
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import InvalidInputError

GOLDEN = Path(__file__).parent / "golden"

VERSION_1 = {
    "annotation": ("annotation", "dense"),
    "network": ("network", {"depth": 2}),
    "intensity": ("data.intensity", {"low_percentile": 2.5}),
    "augmentation": ("augmentation", {"scale": 2.0}),
    "patch_size": ("data.patch_size", 64),
    "batch_size": ("data.batch_size", 2),
    "learning_rate": ("optimiser.learning_rate", 0.003),
    "smoothness": ("objective.smoothness.weight", 0.25),
    "weight_decay": ("optimiser.weight_decay", 0.001),
    "max_steps": ("stop.max_steps", 120),
    "max_seconds": ("stop.max_seconds", 90.0),
    "patience": ("stop.patience", 4),
    "validate_every": ("validation.every", 25),
    "validation": ("validation.hold_out", "blocks"),
    "validation_fraction": ("validation.fraction", 0.25),
    "final_run": ("validation.final_run", 0.3),
    "prior": ("data.prior", "equal"),
    "precision": ("precision", "float32"),
    "device": ("device", "cpu"),
    "seed": ("seed", 7),
    "class_names": ("data.class_names", {2: "nucleus"}),
    "class_colors": ("data.class_colors", {2: "#1f77b4"}),
}
"""Every setting of version 1, where it stands now, and a value that is not its default."""


def at(config: object, dotted: str) -> Any:
    for name in dotted.split("."):
        config = getattr(config, name)
    return config


def assert_holds(config: TrainingConfig, dotted: str, value: Any) -> None:
    found = at(config, dotted)
    if dotted in ("network", "augmentation", "data.intensity"):
        (field, value), *_ = value.items()
        found = getattr(found, field)
    assert found == value, dotted


def test_the_table_is_whole() -> None:
    """The golden file was written by the last program of version 1, with every setting in it."""
    written = yaml.safe_load((GOLDEN / "training-v1-all.yaml").read_text(encoding="utf-8"))
    assert set(VERSION_1) == set(written) - {"kind", "schema_version"}
    assert {name: now for name, (now, _) in VERSION_1.items() if now != name} == FLAT_NAMES


@pytest.mark.parametrize("name", VERSION_1)
def test_each_name_of_before_is_understood_by_python_and_on_the_command_line(name: str) -> None:
    now, value = VERSION_1[name]
    plain = nt.TrainingConfig(annotation="scribbles")
    fields = {"annotation": "scribbles", name: value}
    built = nt.TrainingConfig(**fields)
    assert_holds(built, now, value)
    assert_holds(plain.with_overrides({name: value}), now, value)
    assignment = f"{name}={yaml.safe_dump(value, default_flow_style=True).removesuffix('...').strip()}"
    assert training_config("scribbles" if name != "annotation" else None, None, (assignment,)) == built
    if name not in ("annotation", "network", "augmentation"):
        assert at(plain, now) != at(built, now)
        assert nt.TrainingConfig.parse(built.model_dump(mode="json")) == built
    if name != "validation":  # that is the group now
        assert getattr(built, name) == at(built, now)


@pytest.mark.parametrize("name", ["max_steps", "patience", "validation_fraction", "validate_every", "class_names"])
def test_a_copy_with_a_name_of_before_has_the_new_value(name: str) -> None:
    now, value = VERSION_1[name]
    copy = nt.TrainingConfig(annotation="dense", seed=3).model_copy(update={name: value, "seed": 5})
    assert (at(copy, now), copy.seed) == (value, 5)


def test_settings_within_a_setting_that_moved() -> None:
    config = nt.TrainingConfig(annotation="dense").with_overrides({"intensity.low_percentile": 3})
    assert (config.data.intensity.low_percentile, config.data.intensity.high_percentile) == (3, 99.8)


def test_names_of_before_and_of_now_stand_beside_each_other(tmp_path: Path) -> None:
    config = nt.TrainingConfig(annotation="dense", max_steps=5, stop={"patience": 2}, validation={"every": 3})
    assert (config.stop.max_steps, config.stop.patience, config.validation.every) == (5, 2, 3)
    path = tmp_path / "by-hand.yaml"
    path.write_text("annotation: dense\nmax_steps: 50\nstop:\n  patience: 3\nvalidation: none\n")
    config = training_config(None, path, ("stop.max_steps=70", "patience=9", "validation.every=8"))
    assert (config.stop.max_steps, config.stop.patience) == (70, 9)
    assert (config.validation.hold_out, config.validation.every) == ("none", 8)


def test_what_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^The setting stop\.max_steps is given twice, as max_steps too"):
        nt.TrainingConfig(annotation="dense", max_steps=5, stop={"max_steps": 6})


def test_what_is_nothing_of_both_is_not_read() -> None:
    config = nt.TrainingConfig(annotation="dense")
    with pytest.raises(AttributeError, match="max_stepz"):
        config.max_stepz  # type: ignore[attr-defined]  # noqa: B018


def test_a_file_of_version_1_keeps_every_setting() -> None:
    path = GOLDEN / "training-v1-all.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    loaded = TrainingConfig.load(path)
    assert loaded.schema_version == 2
    for name, (now, _) in VERSION_1.items():
        value = at(loaded, now)
        value = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        given = written[name]
        if name in ("class_names", "class_colors"):
            given = {int(number): text for number, text in given.items()}
        if name == "network":
            assert value.pop("flat_levels") == 0
        assert value == given, name


def test_a_model_of_version_3_keeps_every_setting_of_its_training() -> None:
    model = ModelSpec.load(GOLDEN / "model-v3.yaml")
    assert model.schema_version == 4
    assert model.training == TrainingConfig.load(GOLDEN / "training-v1-all.yaml")
    assert (model.method, model.task, model.weights) == ("network", "classes", "weights-0123456789abcdef.safetensors")


def test_a_term_may_be_weighted_but_not_all_left_out() -> None:
    config = nt.TrainingConfig(annotation="dense").with_overrides({"objective.dice.weight": 0.5})
    assert config.objective.dice.weight == 0.5
    with pytest.raises(InvalidInputError, match="give one of them a weight"):
        config.with_overrides({"objective.dice.weight": 0, "objective.cross_entropy.weight": 0})
