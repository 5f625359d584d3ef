"""The widget Sessions and the bar after a crash, in a real viewer with real folders."""

import shutil
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import yaml
from napari.layers import Labels
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from napari_tessera.core.errors import MissingInputError, StorageError
from napari_tessera.io.journal.records import BoxRecord, MetadataRecord
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import find_sessions
from napari_tessera.io.journal.writer import JournalWriter
from napari_tessera.io.opening import open_image
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR
from napari_tessera.napari_plugin.journal import api, images, offering, picturing, protecting, watching
from napari_tessera.napari_plugin.journal.offering import OfferBar
from napari_tessera.napari_plugin.journal.picturing import picture_of_labels
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.restoring import read_session, show_session
from napari_tessera.napari_plugin.journal.telling import ago
from napari_tessera.napari_plugin.sessions.exporting import export_session
from napari_tessera.napari_plugin.sessions.sessions_widget import SessionsWidget
from napari_tessera.napari_plugin.shown_text import moment

pytestmark = pytest.mark.gui


@pytest.fixture
def journal(qapp, session_folder, monkeypatch):
    journal = Journal()
    monkeypatch.setattr(protecting, "_shared", journal)
    monkeypatch.setattr(protecting, "PICTURE_SECONDS", 0.0)
    monkeypatch.setattr(offering, "_offered", set())
    yield journal
    journal.close()
    journal.deleteLater()


@pytest.fixture
def viewer(journal, open_viewer):
    viewer = open_viewer(show=True)
    numbers = np.random.default_rng(0)
    viewer.add_image(numbers.random((64, 80)), name="cells", scale=(2, 3), translate=(10, 20))
    return viewer


@pytest.fixture
def layer(viewer):
    shown = viewer.layers["cells"]
    return viewer.add_labels(
        np.zeros((64, 80), np.uint16), name="cells · annotation", scale=shown.scale, translate=shown.translate
    )


@pytest.fixture
def widget(viewer, layer, journal, qtbot):
    widget = SessionsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Sessions")
    return widget


def press(qtbot, button):
    qtbot.waitUntil(button.isEnabled)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def is_saved(journal, layer):
    state = journal.state(journal.watch_of(layer))
    if state.folder is None or state.unsaved:
        return False
    try:
        return np.array_equal(recover(state.folder).load(), layer.data)
    except MissingInputError:  # it is being made, or moved
        return False


@pytest.fixture
def listed(widget, journal, layer, qtbot):
    """A protected layer that is painted in; its session is chosen in the list."""
    press(qtbot, widget.protect_button)
    layer.paint((20, 30), 3)
    qtbot.waitUntil(lambda: is_saved(journal, layer))
    choose_first(widget, qtbot)
    return find_sessions(journal.writers()[0].home)[0]


def choose_first(widget, qtbot):
    widget.list_sessions()
    qtbot.waitUntil(lambda: widget.list.count() > 0)
    widget.list.setCurrentRow(0)


def leave_crashed(session, name="crashed"):
    """Make what a crash leaves behind, from a session that is being written."""
    copied = session.path.with_name(name)
    shutil.copytree(session.path, copied)
    (copied / ".lock").unlink()
    return copied


def bars(viewer):
    return viewer.window._qt_window.findChildren(OfferBar)


def test_one_click_protects_the_selected_layer(widget, journal, layer, qtbot):
    assert "None yet" in widget.protected.text()
    press(qtbot, widget.protect_button)
    qtbot.waitUntil(lambda: is_saved(journal, layer))
    assert not widget.protect_button.isEnabled()
    assert widget.protect_button.toolTip() == "This layer is protected."
    layer.paint((20, 30), 3)
    qtbot.waitUntil(lambda: is_saved(journal, layer) and "saved" in widget.protected.text())
    assert widget.protected.text().startswith("cells · annotation · saved")
    assert api.is_protected(layer)


def test_what_cannot_be_protected_says_why(widget, viewer):
    viewer.layers.selection.active = viewer.layers["cells"]
    assert not widget.protect_button.isEnabled()
    assert "Labels layer" in widget.protect_button.toolTip()


def test_real_strokes_of_the_mouse_are_saved_while_the_button_is_down(viewer, layer, journal, qtbot):
    assert api.protect_layer(layer, empty=True) == ""
    layer.mode = "paint"
    layer.selected_label = 7
    canvas = viewer.window._qt_viewer.canvas.native
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    qtbot.mouseMove(canvas, middle)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    for step in range(1, 5):
        qtbot.mouseMove(canvas, middle + QPoint(6 * step, 3 * step), delay=10)
    qtbot.waitUntil(lambda: (layer.data == 7).any() and is_saved(journal, layer))
    assert layer._staged_history  # the button is still down
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(24, 12))
    qtbot.waitUntil(lambda: is_saved(journal, layer))
    layer.undo()
    assert not layer.data.any()
    qtbot.waitUntil(lambda: is_saved(journal, layer))


def test_after_a_crash_any_widget_offers_what_was_found(listed, viewer, layer, journal, qtbot, monkeypatch):
    qtbot.waitUntil((listed.path / "thumbnail.png").exists)
    crashed = leave_crashed(listed)
    monkeypatch.setattr(offering, "_offered", set())
    api.offer_found(viewer)
    qtbot.waitUntil(lambda: bars(viewer) != [])
    (bar,) = bars(viewer)
    (row,) = bar.rows.values()
    assert bar.line.text() == "1 unsaved session"
    qtbot.waitUntil(lambda: bar.height() < 60)  # once it is laid out
    assert not row.isVisible()
    press(qtbot, bar.show_button)
    assert "cells" in row.text.text()
    assert "today" in row.text.text()
    viewer.layers.clear()
    press(qtbot, row.restore_button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    again = viewer.layers[0]
    np.testing.assert_array_equal(again.data, recover(crashed / "annotations" / "cells cells · annotation").load())
    assert again.data[20, 30] == 3
    assert again.data.dtype == np.uint16
    assert again.name == "cells · annotation"
    np.testing.assert_array_equal(again.scale, (2, 3))
    np.testing.assert_array_equal(again.translate, (10, 20))
    qtbot.waitUntil(lambda: bars(viewer) == [])
    again.paint((5, 5), 9)
    qtbot.waitUntil(lambda: is_saved(journal, again))
    assert journal.state(journal.watch_of(again)).folder.is_relative_to(crashed)
    api.offer_found(viewer)  # once per napari
    qtbot.wait(100)
    assert bars(viewer) == []


def test_what_is_opened_elsewhere_is_not_offered_any_more(listed, widget, viewer, layer, qtbot, monkeypatch):
    crashed = leave_crashed(listed)
    monkeypatch.setattr(offering, "_offered", set())
    api.offer_found(viewer)
    qtbot.waitUntil(lambda: bars(viewer) != [])
    viewer.layers.clear()
    widget.work.open(crashed, "cells")
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    qtbot.waitUntil(lambda: bars(viewer) == [])


def test_an_array_that_was_not_saved_as_a_whole_is_said_where_it_is_offered(
    widget, viewer, layer, journal, qtbot, monkeypatch
):
    monkeypatch.setattr(watching, "COPY_BYTES", 0)
    press(qtbot, widget.protect_button)
    layer.paint((20, 30), 3)
    qtbot.waitUntil(lambda: is_saved(journal, layer))
    before = layer.data.copy()
    (writer,) = journal.writers()
    folder = journal.state(journal.watch_of(layer)).folder
    with monkeypatch.context() as patched:
        patched.setattr(JournalWriter, "copy_base", lambda *_: False)  # it takes its time
        layer.data = np.ones_like(layer.data)
        layer.paint((40, 50), 5)
        qtbot.waitUntil(lambda: recover(folder).replaced is not None)
        crashed = leave_crashed(find_sessions(writer.home)[0])
    bar = offering.show_offer(viewer, [session for session in find_sessions(writer.home) if session.path == crashed])
    assert "got another array at" in bar.rows[crashed].text.text()
    told = []
    monkeypatch.setattr(offering, "show_warning", told.append)
    viewer.layers.clear()
    press(qtbot, bar.show_button)
    press(qtbot, bar.rows[crashed].restore_button)
    qtbot.waitUntil(lambda: told != [])
    assert "this is what it held before" in told[0]
    np.testing.assert_array_equal(viewer.layers[0].data, before)


def test_the_bar_follows_what_is_done_elsewhere(listed, viewer, qtbot, monkeypatch):
    monkeypatch.setattr(offering, "LOOK_MS", 50)
    crashed = leave_crashed(listed)
    (crashed / "thumbnail.png").unlink(missing_ok=True)
    bar = offering.show_offer(viewer, [session for session in find_sessions(listed.path.parents[1]) if session.unsaved])
    row = bar.rows[crashed]
    qtbot.waitUntil(lambda: not row.picture.pixmap().toImage().allGray())  # drawn from the labels
    with closing_as_found(crashed) as session:
        session.rename("week 1")
    qtbot.waitUntil(lambda: "week 1" in row.text.text())
    with closing_as_found(crashed) as session:
        writer = session.open_layer(session.layers()[0])
        writer.append(MetadataRecord({"layer_name": "nuclei"}))
    qtbot.waitUntil(lambda: "nuclei" in row.text.text())
    SessionFolder.open(crashed).close()
    qtbot.waitUntil(lambda: bars(viewer) == [])


def test_the_journal_is_read_once_for_its_picture_however_long_the_bar_stands(
    listed, widget, viewer, qtbot, monkeypatch
):
    monkeypatch.setattr(offering, "LOOK_MS", 20)
    crashed = leave_crashed(listed)
    (crashed / "thumbnail.png").unlink(missing_ok=True)
    reads, looks = [], []
    draw, look = picturing.picture_of_labels, offering.summarize
    monkeypatch.setattr(picturing, "picture_of_labels", lambda session: reads.append(session.path) or draw(session))
    monkeypatch.setattr(offering, "summarize", lambda path: looks.append(path) or look(path))
    bar = offering.show_offer(viewer, [session for session in find_sessions(listed.path.parents[1]) if session.unsaved])
    row = bar.rows[crashed]
    qtbot.waitUntil(lambda: len(looks) > 3)
    assert not row.picture.pixmap().toImage().allGray()
    widget.list.found_in(listed.path.parents[1])
    assert reads.count(crashed) == 1
    with closing_as_found(crashed) as session:
        writer = session.open_layer(session.layers()[0])
        writer.append(BoxRecord((slice(0, 9), slice(0, 9)), np.full((9, 9), 4, np.uint16)))
    seen = len(looks)
    qtbot.waitUntil(lambda: len(looks) > seen + 3)
    assert reads.count(crashed) == 2


@contextmanager
def closing_as_found(path):
    session = SessionFolder.open(path)
    try:
        yield session
    finally:
        session.close(as_found=True)


def test_a_session_without_a_picture_shows_its_labels_in_the_list(listed, widget, qtbot):
    crashed = leave_crashed(listed)
    (crashed / "thumbnail.png").unlink(missing_ok=True)
    widget.list_sessions()
    qtbot.waitUntil(lambda: widget.list._drawn.get(crashed) is not None)
    sessions = widget.list.found_in(listed.path.parents[1])
    session = next(session for session in sessions if session.path == crashed)
    picture = picture_of_labels(session)
    assert picture.shape == (64, 80, 3)
    assert picture[20, 30].any()
    assert not picture[50, 70].any()


def test_layers_come_back_in_their_order(widget, viewer, layer, journal, qtbot):
    names = ["zebra", "ant", "moth"]
    layers = [viewer.add_labels(np.zeros((64, 80), np.uint8), name=name) for name in names]
    for each in layers:
        journal.protect(each, empty=True)
        each.paint((5, 5), 1)
    viewer.layers.move(viewer.layers.index(layers[2]), 0)
    qtbot.waitUntil(lambda: all(is_saved(journal, each) for each in layers))
    folders = {each.name: journal.state(journal.watch_of(each)).folder for each in layers}
    qtbot.waitUntil(lambda: recover(folders["ant"]).header.extra["place"] == viewer.layers.index(layers[1]))
    qtbot.waitUntil(lambda: recover(folders["moth"]).header.extra["place"] == 0)
    crashed = leave_crashed(find_sessions(journal.writers()[0].home)[0])
    viewer.layers.clear()
    show_session(viewer, journal, read_session(crashed))
    assert [each.name for each in viewer.layers] == ["moth", "zebra", "ant"]


def test_later_leaves_it_listed_and_remove_asks(listed, viewer, qtbot, monkeypatch):
    one, two = leave_crashed(listed, "one"), leave_crashed(listed, "two")
    sessions = [session for session in find_sessions(listed.path.parents[1]) if session.unsaved]
    bar = offering.show_offer(viewer, sessions)
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    assert bar.line.text() == "2 unsaved sessions"
    press(qtbot, bar.show_button)
    press(qtbot, bar.rows[one].later_button)
    assert bar.line.text() == "1 unsaved session"
    press(qtbot, bar.rows[two].remove_button)
    assert two.exists()
    press(qtbot, bar.rows[two].remove_button)
    qtbot.waitUntil(lambda: not two.exists())
    qtbot.waitUntil(lambda: bars(viewer) == [])
    assert one.exists()


def test_what_is_not_to_be_offered_again_stays_listed(listed, viewer, qtbot):
    home = listed.path.parents[1]
    crashed = leave_crashed(listed)
    (bad := leave_crashed(listed, "bad") / "session.yaml").write_text("kind: [")
    bar = offering.show_offer(viewer, [session for session in find_sessions(home) if session.unsaved], broken=1)
    assert bar.line.text() == "1 unsaved session · 1 more cannot be read: see Sessions"
    press(qtbot, bar.never_button)
    qtbot.waitUntil(lambda: bars(viewer) == [])
    found = {session.path: session for session in find_sessions(home)}
    assert found[crashed].closed
    assert recover(found[crashed].layers[0].folder).load()[20, 30] == 3
    assert found[bad.parent].layers
    assert bad.read_text() == "kind: ["


def test_only_layers_in_the_viewer_are_listed_as_protected(listed, widget, viewer, layer, journal, qtbot):
    held = viewer.add_labels(np.zeros((64, 80), np.uint8), name="held by a script")
    journal.protect(held, empty=True)
    assert held.name in widget.protected.text()
    viewer.layers.remove(held)
    widget.refresh()
    assert held.name not in widget.protected.text()
    assert layer.name in widget.protected.text()
    viewer.add_layer(held)
    widget.refresh()
    assert held.name in widget.protected.text()
    viewer.layers.clear()
    widget.list.setCurrentRow(0)
    widget.refresh()
    assert not widget.remove_button.isEnabled()
    assert "a script lets go" in widget.remove_button.toolTip()


def test_a_layer_that_was_removed_on_purpose_is_not_offered(listed, viewer, layer, journal, qtbot):
    home = listed.path.parents[1]
    other = viewer.add_labels(np.zeros((64, 80), np.uint8), name="other")
    journal.protect(other, empty=True)
    other.paint((5, 5), 1)
    qtbot.waitUntil(lambda: is_saved(journal, other))

    def kept() -> set[str]:
        return {each.layer_name for each in find_sessions(home)[0].kept}

    viewer.layers.remove(other)
    qtbot.waitUntil(lambda: kept() == {layer.name})
    viewer.add_layer(other)
    qtbot.waitUntil(lambda: kept() == {layer.name, "other"})
    viewer.layers.remove(other)
    qtbot.waitUntil(lambda: kept() == {layer.name})
    crashed = leave_crashed(find_sessions(home)[0])
    layer_name = layer.name
    viewer.layers.clear()
    assert [each.name for each in show_session(viewer, journal, read_session(crashed))] == [layer_name]
    gone = leave_crashed(next(session for session in find_sessions(home) if session.path == listed.path), "gone")
    qtbot.waitUntil(lambda: not next(each for each in find_sessions(home) if each.path == listed.path).kept)
    gone = leave_crashed(listed, "all gone")
    assert not next(each for each in find_sessions(home) if each.path == gone).unsaved
    assert len(show_session(viewer, journal, read_session(gone))) == 2  # asked for by name, they are there


@pytest.mark.parametrize("there", [True, False])
def test_the_image_comes_back_with_its_annotation(viewer, widget, journal, qtbot, tmp_path, there, monkeypatch):
    told = []
    monkeypatch.setattr(images, "show_warning", told.append)
    path = tmp_path / "nuclei.tif"
    tifffile.imwrite(path, np.arange(64 * 80, dtype=np.uint16).reshape(64, 80))
    (image,) = viewer.open(path, plugin="napari")
    image.scale = (0.5, 0.5)
    annotation = viewer.add_labels(np.zeros((64, 80), np.uint8), name="nuclei · annotation", scale=(0.5, 0.5))
    journal.protect(annotation, image, empty=True)
    annotation.paint((5, 5), 1)
    qtbot.waitUntil(lambda: is_saved(journal, annotation))
    crashed = leave_crashed(find_sessions(journal.writers()[0].home)[0])
    viewer.layers.clear()
    if not there:
        path.unlink()
    show_session(viewer, journal, read_session(crashed))
    names = [each.name for each in viewer.layers]
    assert names == (["nuclei", "nuclei · annotation"] if there else ["nuclei · annotation"])
    if there:
        np.testing.assert_array_equal(viewer.layers[0].scale, (0.5, 0.5))
        assert told == []
    else:
        assert "could not be opened again" in told[0]


def test_sessions_are_named_and_moved_while_they_are_written(
    listed, widget, layer, journal, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("week 1", True))
    press(qtbot, widget.name_button)
    qtbot.waitUntil(lambda: "week 1" in widget.list.item(0).text())
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "kept"))
    qtbot.waitUntil(widget.move_button.isEnabled)
    press(qtbot, widget.move_button)
    qtbot.waitUntil((tmp_path / "kept" / "week 1" / "session.yaml").exists)
    qtbot.waitUntil(lambda: "Moved" in widget.status.text())
    layer.paint((40, 40), 5)
    qtbot.waitUntil(lambda: is_saved(journal, layer))
    assert journal.state(journal.watch_of(layer)).folder.is_relative_to(tmp_path / "kept")
    qtbot.waitUntil(lambda: widget.list.count() == 1 and "open here" in widget.list.item(0).text())


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr"])
def test_labels_are_exported(listed, widget, layer, qtbot, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), widget_format(suffix)))
    press(qtbot, widget.export_button)
    qtbot.waitUntil(lambda: "Exported" in widget.status.text())
    path = tmp_path / f"out{suffix}"
    if suffix == ".tif":
        np.testing.assert_array_equal(tifffile.imread(path), layer.data)
    source = open_image(path)
    np.testing.assert_array_equal(source.read(tuple(slice(0, length) for length in source.spec.shape)), layer.data)
    assert source.spec.scale == (2, 3)


def folded(session):
    """Fold the logs of a session that nobody has open; return the chunks of its layers."""
    for entry in session.layers:
        writer = JournalWriter.open(entry.folder)
        assert writer.compact()
        writer.close()
    return [chunk for entry in session.layers for chunk in entry.folder.glob("labels-*.zarr/c/0/0")]


def damage(chunk):
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)


def crashed_elsewhere(listed, name="crashed"):
    crashed = leave_crashed(listed, name)
    return next(session for session in find_sessions(listed.path.parents[1]) if session.path == crashed)


def test_an_export_tells_what_is_damaged(listed, widget, qtbot, tmp_path):
    session = crashed_elsewhere(listed)
    (chunk,) = folded(session)
    damage(chunk)
    widget.work.export(session, tmp_path / "out.tif")
    qtbot.waitUntil(lambda: "Exported" in widget.status.text())
    assert f"{chunk} is damaged" in widget.status.text()
    assert ERROR_COLOR in widget.status.styleSheet()
    assert chunk.exists()


def test_layers_of_the_same_name_are_all_exported_and_nothing_is_replaced(listed, layer, journal, qtbot, tmp_path):
    other = Labels(np.zeros((64, 80), np.uint8), name=layer.name)  # of another viewer: in one, napari changes the name
    journal.protect(other, empty=True)
    other.paint((40, 40), 5)
    qtbot.waitUntil(lambda: is_saved(journal, other))
    session = find_sessions(listed.path.parents[1])[0]
    (tmp_path / f"out {layer.name}.tif").write_bytes(b"of somebody")
    found = export_session(session, tmp_path / "out.tif", replace=True)
    assert found.remarks == ()
    assert (tmp_path / f"out {layer.name}.tif").read_bytes() == b"of somebody"
    assert [path.name for path in found.paths] == [f"out {layer.name} {number}.tif" for number in (2, 3)]
    values = {frozenset(np.unique(tifffile.imread(path))) for path in found.paths}
    assert values == {frozenset({0, 3}), frozenset({0, 5})}


def test_a_layer_that_cannot_be_exported_does_not_stop_the_others(listed, layer, tmp_path):
    session = crashed_elsewhere(listed)
    broken = replace(session.layers[0], folder=tmp_path / "nothing", layer_name="broken")
    found = export_session(replace(session, layers=(broken, *session.layers)), tmp_path / "out.tif")
    assert [path.name for path in found.paths] == [f"out {layer.name}.tif"]
    assert "'broken' was not exported" in found.words()
    with pytest.raises(StorageError, match="broken"):
        export_session(replace(session, layers=(broken,)), tmp_path / "out.tif")


def test_only_a_file_that_was_named_is_replaced(listed, layer, tmp_path):
    path = tmp_path / "out.tif"
    path.write_bytes(b"of somebody")
    assert export_session(listed, path).paths == (tmp_path / "out 2.tif",)
    assert path.read_bytes() == b"of somebody"
    assert export_session(listed, path, replace=True).paths == (path,)
    np.testing.assert_array_equal(tifffile.imread(path), layer.data)


def test_an_export_tells_of_an_array_that_is_still_being_saved(
    listed, widget, layer, journal, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setattr(watching, "COPY_BYTES", 0)
    before = layer.data.copy()
    folder = journal.state(journal.watch_of(layer)).folder
    with monkeypatch.context() as patched:
        patched.setattr(JournalWriter, "copy_base", lambda *_: False)  # it takes its time
        layer.data = np.ones_like(layer.data)
        qtbot.waitUntil(lambda: recover(folder).replaced is not None)
        widget.work.export(find_sessions(listed.path.parents[1])[0], tmp_path / "out.tif")
        qtbot.waitUntil(lambda: "Exported" in widget.status.text())
    assert "still being saved" in widget.status.text()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), before)


def widget_format(suffix):
    return {".tif": "TIFF (*.tif)", ".ome.zarr": "OME-Zarr (*.ome.zarr)"}[suffix]


def test_what_is_open_here_is_neither_opened_again_nor_removed(listed, widget):
    assert not widget.open_button.isEnabled()
    assert "already" in widget.open_button.toolTip()
    assert not widget.remove_button.isEnabled()
    assert "delete its layers" in widget.remove_button.toolTip()


def test_a_closed_session_is_opened_from_the_list(listed, widget, viewer, layer, journal, qtbot):
    painted = layer.data.copy()
    viewer.layers.remove(layer)
    journal.release(layer)
    qtbot.waitUntil(lambda: not journal.writers())
    widget.list_sessions()
    qtbot.waitUntil(lambda: "open here" not in widget.list.item(0).text())
    qtbot.waitUntil(widget.open_button.isEnabled)
    press(qtbot, widget.open_button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    np.testing.assert_array_equal(viewer.layers[-1].data, painted)
    assert isinstance(viewer.layers[-1], Labels)
    assert widget.status.text().startswith("Opened cells · annotation")


def test_a_session_of_a_newer_version_says_so(listed, widget, qtbot):
    newer = leave_crashed(listed)
    described = yaml.safe_load((newer / "session.yaml").read_text())
    (newer / "session.yaml").write_text(yaml.safe_dump({**described, "schema_version": 99}))
    widget.list_sessions()
    qtbot.waitUntil(lambda: widget.list.count() == 2)
    widget.list.choose(newer)
    assert not widget.open_button.isEnabled()
    assert "newer" in widget.open_button.toolTip()
    assert not [session for session in find_sessions(newer.parents[1]) if session.unsaved]


def test_every_button_has_a_tooltip(widget):
    for button in (
        widget.protect_button,
        widget.open_button,
        widget.name_button,
        widget.move_button,
        widget.export_button,
        widget.remove_button,
        widget.elsewhere_button,
    ):
        assert button.toolTip()


def test_times_in_words():
    assert [ago(seconds) for seconds in (0.2, 5, 125, 7300)] == ["just now", "5 s ago", "2 min ago", "2 h ago"]
    noon = time.mktime((2026, 3, 4, 12, 0, 0, 0, 0, -1))
    assert moment(noon, noon + 60) == "today 12:00"
    assert moment(noon, noon + 86400) == "yesterday 12:00"
    assert moment(noon, noon + 5 * 86400) == "4 March 2026 12:00"


def test_marked_layers_are_protected_once_they_are_there(viewer, journal, qtbot):
    api.protect_marked_soon()
    marked = viewer.add_labels(np.zeros((9, 9), np.uint8), metadata={"tessera": {"protect": True}})
    other = viewer.add_labels(np.zeros((9, 9), np.uint8))
    qtbot.waitUntil(lambda: api.is_protected(marked))
    assert not api.is_protected(other)
