import errno
import os
import stat
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from napari_tessera.config import files
from napari_tessera.config.files import FileConfig, read_yaml
from napari_tessera.config.migrations import STEPS, migrate
from napari_tessera.config.model import ClassSpec, ModelSpec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError

GOLDEN = Path(__file__).parent / "golden"


def _model() -> ModelSpec:
    return ModelSpec(
        name="nuclei",
        package_version="0.1.0",
        created="2026-01-02T03:04:05+00:00",
        network=UNetConfig(depth=4, base_width=8, upsampling="interpolated"),
        input_axes="cyx",
        channel_names=("DNA", "actin"),
        channels=2,
        pixel_size={"y": 0.5, "x": 0.5},
        units={"y": "micrometer", "x": "micrometer"},
        intensity=IntensityConfig(high_percentile=99.5),
        classes=(
            ClassSpec(id=0, name="background", color="#000000"),
            ClassSpec(id=2, name="nucleus", color="#1f77b4"),
        ),
        training=TrainingConfig(annotation=Annotation.SCRIBBLES, max_seconds=90, class_names={2: "nucleus"}),
        metrics={"validation Dice": 0.93},
        weights_sha256="0" * 64,
        finished=True,
    )


def _training() -> TrainingConfig:
    return TrainingConfig(
        annotation=Annotation.OBJECTS, seed=3, network=UNetConfig(depth=2), class_colors={1: "#ff0000"}
    )


@pytest.mark.parametrize("config", [_model(), _training()], ids=["model", "training"])
def test_what_is_saved_is_loaded(tmp_path: Path, config: FileConfig) -> None:
    config.save(tmp_path / "config.yaml")
    assert type(config).load(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pixel_size": {"y": 0.0, "x": 1.0}}, "pixel_size holds 0, which is the length of no pixel"),
        ({"pixel_size": {"y": float("nan"), "x": 1.0}}, "pixel_size holds nan"),
        ({"score_offsets": (0.0, 1e300)}, "no logarithm of a share"),
        ({"score_offsets": (0.0, float("nan"))}, "no logarithm of a share"),
        ({"score_offsets": (0.0,)}, "one for each is needed"),
        ({"input_axes": "abc"}, "input_axes = 'abc': use 'cyx' or 'czyx'"),
        ({"intensity": {"low_percentile": 50, "high_percentile": 50}}, "low_percentile must be below high_percentile"),
    ],
)
def test_headers_that_no_training_writes_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        ModelSpec.parse({**_model().model_dump(), **changes})


@pytest.mark.parametrize(("name", "kind"), [("model", ModelSpec), ("training", TrainingConfig)])
def test_files_of_schema_version_1_keep_their_meaning(name: str, kind: type[FileConfig]) -> None:
    """Do not regenerate these files once a release has written such: they stand for those that users have."""
    path = GOLDEN / f"{name}-v1.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert written.pop("kind") == kind.kind
    assert written.pop("schema_version") == 1
    loaded = kind.load(path).model_dump(mode="json")
    training = loaded if kind is TrainingConfig else loaded["training"]
    given = written if kind is TrainingConfig else written.pop("training")
    assert given.pop("schema_version", 1) == 1
    _assert_contains(flat(training), given)
    if kind is not TrainingConfig:
        _assert_contains(loaded, written)


def flat(training: dict[str, Any]) -> dict[str, Any]:
    """Return settings by the names that they had before there were groups."""
    data, stop, validation, optimiser = (training[name] for name in ("data", "stop", "validation", "optimiser"))
    judged = {
        "validation": validation["hold_out"],
        "validation_fraction": validation["fraction"],
        "validate_every": validation["every"],
        "final_run": validation["final_run"],
    }
    return {**training, **data, **stop, **optimiser, **judged}


def test_a_model_of_schema_version_2_names_its_weights_as_they_were_called() -> None:
    path = GOLDEN / "model-v2.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (written.pop("kind"), written.pop("schema_version")) == ("tessera-model", 2)
    found = ModelSpec.load(path)
    given = written.pop("training")
    assert given.pop("schema_version") == 1
    _assert_contains(flat(found.training.model_dump(mode="json")), given)
    _assert_contains(found.model_dump(mode="json"), written)
    assert (found.schema_version, found.weights, found.cancelled) == (4, "weights.safetensors", False)


@pytest.mark.parametrize("name", ["../weights.safetensors", "weights-0123.safetensors", "a/weights.safetensors", ""])
def test_a_header_never_names_weights_outside_its_folder(name: str) -> None:
    with pytest.raises(InvalidInputError, match="weights"):
        ModelSpec.parse({**_model().model_dump(mode="json"), "weights": name})


def _assert_contains(loaded: dict[str, Any], written: dict[str, Any]) -> None:
    """Every value in the file is in the settings; fields that came later have their defaults."""
    for name, value in written.items():
        if isinstance(value, dict):
            _assert_contains(
                {str(key): inner for key, inner in loaded[name].items()}, {str(k): v for k, v in value.items()}
            )
        else:
            assert loaded[name] == value, name


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kind: tessera-model\nschema_version: 1\n", "not a tessera-training file"),
        ("schema_version: 1\nannotation: dense\n", "not a tessera-training file"),
        ("kind: tessera-training\nannotation: dense\n", "no valid schema_version: write the line 'schema_version: 2'"),
        ("kind: tessera-training\nschema_version: one\n", "no valid schema_version"),
        ("kind: tessera-training\nschema_version: 0\n", "no valid schema_version"),
        ("kind: tessera-training\nschema_version: 99\n", "newer than 2.*update napari-tessera"),
        ("kind: tessera-training\nschema_version: 1\nannotation: dense\nmax_stepz: 1\n", "max_stepz"),
        ("- a\n- b\n", "holds no settings"),
        ("", "holds no settings"),
        ("a: [1\n", "not a readable YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "not a readable YAML"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=says) as caught:
        TrainingConfig.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InvalidInputError, match="not a readable YAML"):
        read_yaml(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(StorageError):
        read_yaml(tmp_path)


def test_an_older_file_is_migrated_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(FileConfig):
        kind: ClassVar[str] = "tessera-test"
        current_version: ClassVar[int] = 3
        schema_version: int = 3
        radius: float

    steps = {
        ("tessera-test", 1): lambda fields: {**fields, "diameter": fields["width"]},
        ("tessera-test", 2): lambda fields: {"radius": fields["diameter"] / 2},
    }
    monkeypatch.setattr(files, "migrate", lambda kind, fields, version: migrate(kind, fields, version, steps))
    path = tmp_path / "old.yaml"
    path.write_text("kind: tessera-test\nschema_version: 1\nwidth: 8\n")
    assert Newer.load(path) == Newer(radius=4)
    path.write_text("kind: tessera-test\nschema_version: 2\ndiameter: 8\n")
    assert Newer.load(path) == Newer(radius=4)
    path.write_text("kind: tessera-test\nschema_version: 3\nradius: 8\n")
    assert Newer.load(path) == Newer(radius=8)


@pytest.mark.parametrize("kind", [ModelSpec, TrainingConfig])
def test_every_older_version_has_a_migration(kind: type[FileConfig]) -> None:
    assert all((kind.kind, version) in STEPS for version in range(1, kind.current_version))
    assert kind.model_fields["schema_version"].default == kind.current_version


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.yaml"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left.*free space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.yaml"]


def test_a_write_makes_its_folder_and_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "model.yaml"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_atomically(tmp_path / "file" / "model.yaml", b"x")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_what_is_written_can_be_shared_as_other_files_can(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_atomically(tmp_path / "model.yaml", b"x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "model.yaml")}
    assert len(modes) == 1
