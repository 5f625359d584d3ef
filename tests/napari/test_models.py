"""Models as things: which there are, naming, copying and removing them, and what a closed dock leaves of a training."""

import json
import os
import platform
from pathlib import Path

import numpy as np
import psutil
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QCloseEvent, QMouseEvent
from qtpy.QtWidgets import QDockWidget, QPushButton

from napari_tessera.config.model import CHECKPOINT_FILE, HEADER_FILE, ClassSpec, ModelSpec, load_model_spec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.errors import InvalidInputError, MissingInputError, OutputExistsError
from napari_tessera.io.folder_lock import LOCK_FILE
from napari_tessera.io.model_lock import ModelTakenError, holding_model
from napari_tessera.napari_plugin.home import Home, next_name
from napari_tessera.napari_plugin.jobs import leaving
from napari_tessera.napari_plugin.models import model_panel
from napari_tessera.napari_plugin.models.listing import list_models, read_entry
from napari_tessera.napari_plugin.models.managing import duplicate_model, remove_model, rename_model
from napari_tessera.napari_plugin.models.model_panel import entry_words
from napari_tessera.napari_plugin.prediction.model_picker import ModelPicker
from napari_tessera.napari_plugin.training.train_widget import TrainWidget

from .conftest import fake_job

TRAINING = TrainingConfig(annotation=Annotation.SCRIBBLES, network=UNetConfig(depth=2))


def model(folder: Path, *, header: bool = True, checkpoint: bool = True, **fields: bool) -> Path:
    """Make a folder as a training leaves it; the weights are none."""
    folder.mkdir(parents=True)
    if header:
        ModelSpec(
            name=folder.name,
            package_version="0.1.0",
            created="2026-01-02T03:04:05+00:00",
            network=TRAINING.network,
            input_axes="cyx",
            channel_names=(),
            channels=1,
            pixel_size={"y": 1.0, "x": 1.0},
            units={"y": None, "x": None},
            intensity=IntensityConfig(),
            classes=(
                ClassSpec(id=0, name="background", color="#000000"),
                ClassSpec(id=2, name="cell", color="#ff0000"),
            ),
            training=TRAINING,
            metrics={},
            weights="weights-0123456789abcdef.safetensors",
            weights_sha256="0" * 64,
            **{"finished": True, **fields},
        ).save(folder / HEADER_FILE)
        (folder / "weights-0123456789abcdef.safetensors").write_bytes(b"w")
    if checkpoint:
        (folder / CHECKPOINT_FILE).parent.mkdir()
        (folder / CHECKPOINT_FILE).write_bytes(b"c")
    return folder


@pytest.mark.parametrize(
    ("name", "taken", "wanted"),
    [
        ("model", [], "model"),
        ("model", ["model"], "model 2"),
        ("model", ["model", "model 2", "model 3"], "model 4"),
        ("model 3", ["model", "model 3"], "model 4"),
        ("model 3", ["model 3", "model 4"], "model 5"),
        ("model 9", ["model 9"], "model 10"),
        ("cells 20260102", ["cells 20260102"], "cells 20260102 2"),
        ("3", ["3"], "3 2"),
    ],
)
def test_the_next_name_counts_on(name: str, taken: list[str], wanted: str) -> None:
    assert next_name(name, lambda candidate: candidate in taken) == wanted


def test_each_model_says_what_became_of_it(tmp_path: Path) -> None:
    model(tmp_path / "done")
    model(tmp_path / "stopped", finished=False, cancelled=True)
    model(tmp_path / "killed", finished=False)
    model(tmp_path / "begun", header=False)
    model(tmp_path / "shared", checkpoint=False)
    (model(tmp_path / "damaged") / HEADER_FILE).write_text("kind: [")
    model(tmp_path / ".done.0.removed")
    (tmp_path / "other").mkdir()
    with holding_model(model(tmp_path / "running")):
        found = {entry.name: entry for entry in list_models(tmp_path)}
    assert {name: entry.state for name, entry in found.items() if name != "damaged"} == {
        "done": "trained",
        "stopped": "stopped early",
        "killed": "not at its end yet",
        "begun": "begun, nothing learnt yet",
        "shared": "trained",
        "running": "being trained",
    }
    assert "restore it" in found["damaged"].state
    assert {name for name, entry in found.items() if entry.why_not_continued} == {"shared", "running"}
    assert entry_words(found["done"]).endswith("· cell")
    assert {path.name for path in Home(tmp_path.parent).model_folders()} <= set(found)


def test_the_last_changed_comes_first(tmp_path: Path) -> None:
    for at, name in enumerate(("b", "c", "a")):
        folder = model(tmp_path / name)
        for path in (folder / HEADER_FILE, folder / CHECKPOINT_FILE):
            os.utime(path, (1000 + at, 1000 + at))
    assert [entry.name for entry in list_models(tmp_path)] == ["a", "c", "b"]


def test_a_model_is_renamed_with_its_header(tmp_path: Path) -> None:
    folder = rename_model(model(tmp_path / "model"), "nuclei: day/2")
    assert folder == tmp_path / "nuclei- day-2"
    assert load_model_spec(folder).name == folder.name
    assert (folder / CHECKPOINT_FILE).exists()
    other = model(tmp_path / "other")
    with pytest.raises(OutputExistsError, match="choose another name"):
        rename_model(other, folder.name)
    with pytest.raises(InvalidInputError, match="needs a name"):
        rename_model(other, " ")
    with pytest.raises(MissingInputError, match="renamed or removed elsewhere"):
        rename_model(tmp_path / "gone", "x")
    assert load_model_spec(other).name == "other"


def test_a_copy_goes_on_by_itself(tmp_path: Path) -> None:
    folder = model(tmp_path / "model")
    dead = {"pid": 1, "host": platform.node(), "started": 1.0, "since": ""}
    (folder / LOCK_FILE).write_text(json.dumps(dead))
    first, second = duplicate_model(folder), duplicate_model(folder)
    assert (first.name, second.name) == ("model copy", "model copy 2")
    assert load_model_spec(second).name == "model copy 2"
    assert sorted(path.name for path in second.iterdir()) == [
        "checkpoint",
        "model.yaml",
        "weights-0123456789abcdef.safetensors",
    ]
    assert load_model_spec(folder).name == "model"


def test_a_removed_model_leaves_nothing_and_tidies_up(tmp_path: Path) -> None:
    model(tmp_path / ".old.0.removed")
    kept = model(tmp_path / "kept")
    remove_model(model(tmp_path / "model"))
    assert list(tmp_path.iterdir()) == [kept]


def test_a_model_in_training_is_left_alone(tmp_path: Path) -> None:
    folder = model(tmp_path / "model")
    with holding_model(folder):
        for work in (remove_model, duplicate_model, lambda path: rename_model(path, "x")):
            with pytest.raises(ModelTakenError, match="is being trained"):
                work(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# in the window


@pytest.fixture
def viewer(open_viewer):
    return open_viewer()


@pytest.fixture
def train(viewer, runner, qtbot, session_folder):
    model(session_folder / "models" / "model")
    model(session_folder / "models" / "begun", header=False)
    widget = TrainWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name="Train")
    qtbot.waitUntil(lambda: widget.models.list.count() == 2, timeout=120_000)
    return widget


def choose(train: TrainWidget, name: str) -> None:
    names = [entry.name for entry in train.models.entries]
    train.models.list.setCurrentRow(names.index(name))


@pytest.mark.gui
def test_any_model_is_chosen_and_gone_on_with(train, viewer):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(np.zeros((30, 20), np.uint8))
    assert train.name.text() == "model 2"
    assert not train.continue_button.isEnabled()
    choose(train, "begun")
    assert train.name.text() == "begun"
    assert train.continue_button.isEnabled()
    train.name.setText("model")
    assert train.models.entry is not None
    assert train.models.entry.name == "model"
    train.name.setText("new")
    assert train.models.entry is None


@pytest.mark.gui
def test_models_are_named_copied_and_removed_in_the_list(train, session_folder, qtbot, monkeypatch):
    picker = ModelPicker(train.home)
    qtbot.addWidget(picker)
    models = session_folder / "models"
    choose(train, "model")
    train.models.rename("nuclei")
    qtbot.waitUntil(lambda: train.name.text() == "nuclei", timeout=120_000)
    qtbot.waitUntil(lambda: picker.folder == models / "nuclei", timeout=120_000)
    qtbot.mouseClick(train.models.duplicate_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: train.name.text() == "nuclei copy", timeout=120_000)
    monkeypatch.setattr(model_panel, "sure_to_remove", lambda *_: False)
    train.models.remove()
    assert (models / "nuclei copy").exists()
    monkeypatch.setattr(model_panel, "sure_to_remove", lambda *_: True)
    train.models.remove()
    qtbot.waitUntil(lambda: train.models.list.count() == 2, timeout=120_000)
    assert {path.name for path in models.iterdir()} == {"nuclei", "begun"}
    choose(train, "nuclei")
    train.models.rename("a/b")
    qtbot.waitUntil(lambda: train.name.text() == "a-b", timeout=120_000)
    assert train.models.status.text().startswith("It is called 'a-b'")
    train.models.rename("nuclei")
    qtbot.waitUntil(lambda: train.name.text() == "nuclei", timeout=120_000)
    assert train.models.status.text() == ""
    choose(train, "begun")
    train.models.rename("nuclei")
    qtbot.waitUntil(lambda: "already" in train.models.status.text(), timeout=120_000)


@pytest.mark.gui
def test_going_on_keeps_the_network_of_the_model(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(np.ones((30, 20), np.uint8))
    choose(train, "model")
    train.start(resume=True)
    assert train._inputs is not None
    network = train._inputs._config({1: 10, 2: 10}).network
    train.cancel()
    qtbot.waitUntil(lambda: not train.runner.state.busy, timeout=120_000)
    assert network == TRAINING.network
    assert network != TrainingConfig(annotation=Annotation.SCRIBBLES).network


@pytest.mark.gui
def test_the_list_knows_what_is_being_trained(train, qtbot):
    choose(train, "model")
    folder = train.models.entry.folder
    assert train.models.remove_button.isEnabled()
    with holding_model(folder):  # as the worker does before it says anything
        train.run(fake_job("slow"), "Getting ready …")
        qtbot.waitUntil(lambda: not train.models.remove_button.isEnabled(), timeout=120_000)
        assert train.models.entry.state == "being trained"
        assert "being trained just now" in train.models.rename_button.toolTip()
        train.models.rename("other")
        qtbot.waitUntil(lambda: "being trained" in train.models.status.text(), timeout=120_000)
    train.cancel()
    qtbot.waitUntil(lambda: not train.models.status.text(), timeout=120_000)
    qtbot.waitUntil(train.models.remove_button.isEnabled, timeout=120_000)


def closing_button(widget) -> QPushButton:
    dock = widget
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    return dock.findChild(QPushButton, "QTitleBarCloseButton")


@pytest.mark.gui
def test_closing_a_dock_in_training_asks_once(train, viewer, qtbot, monkeypatch):
    asked: list[str] = []
    answers = [False, True]
    monkeypatch.setattr(leaving, "sure_to_leave", lambda _, question: asked.append(question) or answers.pop(0))
    train.name.setText("nuclei")
    train.run(fake_job("slow"), "Getting ready …")
    train._leaving.watch()
    button = closing_button(train)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert asked == ["'nuclei' is being trained. Stop it? What it has learnt is kept: Continue goes on with it later."]
    assert train.runner.state.busy
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert len(asked) == 2
    qtbot.waitUntil(lambda: not train.runner.state.busy, timeout=120_000)


@pytest.mark.gui
def test_a_dock_without_a_training_closes_unasked(train, qtbot, monkeypatch):
    monkeypatch.setattr(leaving, "sure_to_leave", lambda *_: pytest.fail("asked"))
    train._leaving.watch()
    qtbot.mouseClick(closing_button(train), Qt.MouseButton.LeftButton)
    assert not train._open


@pytest.mark.gui
def test_closing_the_window_by_hand_asks(train, viewer, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(leaving, "sure_to_leave", lambda _, question: bool(asked.append(question)))
    train.run(fake_job("slow"), "Getting ready …")
    train._leaving.watch()
    window = train.window()
    event = QCloseEvent()
    assert not train._leaving.eventFilter(window, event)  # by a program: nobody is asked
    with monkeypatch.context() as quitting:
        quitting.setattr(window, "_quit_app", True)
        assert train._leaving.eventFilter(window, event)
        assert not event.isAccepted()
        assert len(asked) == 1
        quitting.setattr(leaving, "sure_to_leave", lambda *_: True)
        assert not train._leaving.eventFilter(window, event)


@pytest.mark.gui
def test_a_training_whose_dock_is_closed_saves_what_it_has(train, viewer, qtbot, tmp_path, monkeypatch):
    saved = tmp_path / "saved"
    monkeypatch.setenv("FAKE_WORKER_SAVES", str(saved))
    train.runner.close()  # the next worker has the name of the file
    events = []
    train.runner.event_received.connect(events.append)
    train.run(fake_job("saves"), "Getting ready …")
    qtbot.waitUntil(lambda: bool(events), timeout=120_000)
    process = psutil.Process(train.runner.worker_pid)
    viewer.window.remove_dock_widget(train)
    qtbot.waitUntil(lambda: not process.is_running(), timeout=120_000)
    assert saved.read_text() == "saved"


@pytest.mark.gui
def test_nothing_but_a_click_is_held_up(qapp) -> None:
    button = QPushButton()
    guard = leaving.LeaveGuard(button, lambda: pytest.fail("asked"))
    outside = QPointF(QPoint(-5, -5))
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(QEvent.Type.MouseButtonRelease, outside, outside, left, left, none)
    assert not guard.eventFilter(button, event)


def test_a_folder_that_is_no_model_is_none(tmp_path: Path) -> None:
    assert read_entry(tmp_path) is None
    assert list_models(tmp_path / "nothing") == []
