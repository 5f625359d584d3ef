"""The demo in the window, with a training of a few steps."""

import pytest

from napari_tessera.napari_plugin import demo as demo_module
from napari_tessera.napari_plugin.demo import Demo, main

pytestmark = pytest.mark.gui

TINY = {"max_steps": 4, "network.depth": 1, "network.base_width": 4, "patch_size": 32, "batch_size": 2}


@pytest.mark.slow
def test_the_sample_is_trained_predicted_and_scored(make_napari_viewer, qtbot, session_folder):
    viewer = make_napari_viewer()
    demo = Demo(viewer, "nuclei", seconds=60)
    for name, value in TINY.items():
        demo.train.settings.controls[name].setValue(value)
    with qtbot.waitSignal(demo.finished, timeout=120_000) as blocker:
        demo.start()
    assert blocker.args[0].startswith("Dice on the pixels that were not painted: 0.")
    assert (session_folder / "models" / "demo nuclei" / "model.yaml").exists()
    prediction = demo.predict.prediction.layer
    assert prediction in viewer.layers
    assert prediction.data.shape == demo.sample.scribbles.shape
    assert tuple(prediction.scale) == pytest.approx(demo.sample.spec.scale)
    assert demo.predict.panel.isVisibleTo(demo.predict)


def test_it_starts_with_the_sample_and_its_scribbles_chosen(make_napari_viewer):
    viewer = make_napari_viewer()
    demo = Demo(viewer, "tissue")
    assert [layer.name for layer in viewer.layers] == ["tissue", "tissue · annotation"]
    pair = demo.train.pairs.pairs[0]
    assert (pair.image, pair.annotation) == tuple(viewer.layers)
    assert demo.train.train_button.isEnabled()


def test_a_folder_with_other_files_is_left_alone(tmp_path, capsys, monkeypatch):
    (tmp_path / "thesis.tex").write_text("x")
    monkeypatch.setattr(demo_module, "Demo", None)  # must not be reached
    assert main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("napari-tessera: error: ")
