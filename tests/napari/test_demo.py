"""The demo in the window, with a training of a few steps."""

from types import SimpleNamespace

import pytest

from napari_tessera.napari_plugin import demo as demo_module
from napari_tessera.napari_plugin.demo import Demo, main
from napari_tessera.napari_plugin.jobs.runner import RunState

pytestmark = pytest.mark.gui

TINY = {
    "stop.max_steps": 4,
    "network.depth": 1,
    "network.base_width": 4,
    "data.patch_size": 32,
    "data.batch_size": 2,
}


@pytest.fixture
def viewer(open_viewer):
    return open_viewer()


def make_tiny(demo):
    demo.train.settings.set_values(TINY)


@pytest.mark.slow
def test_all_samples_are_trained_and_predicted_and_those_with_truth_are_scored(
    viewer, qtbot, session_folder, monkeypatch
):
    monkeypatch.setattr(demo_module, "SETTINGS", TINY)
    demo = Demo(viewer, seconds=60, pause=0)
    lines = []
    demo.said.connect(lines.append)
    held_out = []
    demo.said.connect(lambda line: held_out.append([layer.name for layer in viewer.layers]))
    with qtbot.waitSignal(demo.finished, timeout=240_000) as blocker:
        demo.start()
    assert blocker.args == [0]
    assert demo.status == 0
    assert [line.partition(": 0.")[0] for line in lines] == [
        "nuclei: Dice on the pixels that were not painted",
        "nuclei: Dice on a held-out image",
        "membranes: Dice on the pixels that were not painted",
        "membranes: Dice on a held-out image",
        "tissue: a real image without truth: see for yourself",
    ]
    assert "nuclei, held out · demo nuclei" in held_out[1]
    assert "membranes, held out · demo membranes" in held_out[3]
    assert {folder.name for folder in (session_folder / "models").iterdir()} == {
        "demo nuclei",
        "demo membranes",
        "demo tissue",
    }
    prediction = demo.predict.prediction.layer
    assert prediction.name == "tissue · demo tissue"
    assert prediction.data.shape == demo.sample.scribbles.shape
    assert demo.predict.panel.status.text() == "A real image without truth: see for yourself"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_what_fails_or_is_cancelled_ends_the_demo(viewer, qtbot, monkeypatch, state):
    demo = Demo(viewer, ["nuclei"], pause=0)
    ends, lines = [], []
    demo.finished.connect(ends.append)
    demo.said.connect(lines.append)
    demo.start()
    assert demo.runner.state.busy
    if state is RunState.FAILED:
        demo.runner._finish(state, "It did not work.")
    else:
        demo.runner.cancel()
    qtbot.waitUntil(lambda: demo.runner.state is state, timeout=120_000)
    assert ends == [1 if state is RunState.FAILED else 130]
    assert lines[0].startswith("nuclei: ")
    demo.runner.state_changed.emit(RunState.DONE)  # of a training that the person starts later on
    qtbot.wait(50)
    assert not demo.runner.state.busy
    assert demo.predict.runner.owner == "Train"


def test_a_button_that_cannot_be_pressed_ends_the_demo(viewer):
    demo = Demo(viewer, ["nuclei"])
    demo.train.name.setText("")
    demo.start()
    assert demo.status == 1


def test_it_starts_with_the_sample_and_its_scribbles_chosen(viewer):
    demo = Demo(viewer, ["tissue"])
    assert [layer.name for layer in viewer.layers] == ["tissue", "tissue · annotation"]
    pair = demo.train.pairs.pairs[0]
    assert (pair.image, pair.annotation) == tuple(viewer.layers)
    assert demo.train.train_button.isEnabled()


def test_a_folder_with_other_files_is_left_alone(tmp_path, capsys, monkeypatch):
    (tmp_path / "thesis.tex").write_text("x")
    monkeypatch.setattr(demo_module, "Demo", None)  # must not be reached
    assert main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("napari-tessera: error: ")


@pytest.mark.parametrize("status", [0, 1, 130])
def test_the_exit_status_is_that_of_the_demo(tmp_path, monkeypatch, status):
    class Ended:
        def __init__(self, viewer, samples):
            self.status = status
            self.said = self.finished = SimpleNamespace(connect=lambda slot: None)
            self.start = lambda: None
            assert samples == ("tissue",)

    monkeypatch.setattr(demo_module, "Demo", Ended)
    monkeypatch.setattr("napari.Viewer", lambda **settings: None)
    monkeypatch.setattr("napari.run", lambda: None)
    assert main(["--out", str(tmp_path), "--sample", "tissue"]) == status


def test_a_display_that_is_gone_is_noticed(monkeypatch):
    from napari_tessera.cli import checks
    from napari_tessera.cli.demo import window_obstacle

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(checks, "check_window", lambda: [checks.Finding("Qt", "cannot start: no xcb", "note")])
    assert window_obstacle() == "Qt cannot start: no xcb"
    monkeypatch.setattr(checks, "check_window", lambda: [checks.Finding("Qt", "PyQt6")])
    assert window_obstacle() == ""
