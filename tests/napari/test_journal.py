"""What is painted reaches the disk: through real layers, the writer's thread and real folders."""

import errno
import gc
import shutil
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path

import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image, Labels
from napari.layers.labels.labels import _MaskedPaintAtom
from qtpy.QtCore import QCoreApplication

from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.records import BoxRecord
from napari_tessera.io.journal.recovery import FoldedMeanwhileError, Recovered, recover
from napari_tessera.io.journal.session_lock import SessionTakenError
from napari_tessera.io.journal.sessions import find_sessions
from napari_tessera.io.journal.writer import JournalWriter
from napari_tessera.napari_plugin.journal import layer_journal, protecting, watching, writing
from napari_tessera.napari_plugin.journal.describing import facts_of, layer_from
from napari_tessera.napari_plugin.journal.layer_journal import LayerJournal
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.recording import UnknownEditError, records_of
from napari_tessera.napari_plugin.journal.restoring import read_session, show_session
from napari_tessera.napari_plugin.journal.scanning import ChangeScan, Step, chunk_shape
from napari_tessera.napari_plugin.journal.untold import UntoldChanges
from napari_tessera.napari_plugin.layers.images import class_colormap
from napari_tessera.napari_plugin.layers.locking import locked_labels, set_locked
from napari_tessera.napari_plugin.painting.history_reading import Edits, HistoryReader
from napari_tessera.napari_plugin.painting.label_writing import widen_labels, write_box, write_mask

pytestmark = pytest.mark.gui

CLASSES = {1: {"name": "background", "color": "#808080"}, 2: {"name": "cell", "color": "#ff8000"}}


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        QCoreApplication.processEvents()
        time.sleep(0.005)


@pytest.fixture
def journal(qapp, session_folder, monkeypatch):
    told = []
    monkeypatch.setattr(protecting, "show_warning", told.append)
    monkeypatch.setattr(writing, "IDLE_SECONDS", 0.1)
    journal = Journal()
    journal.told = told
    yield journal
    writers = journal.writers()
    journal.close()
    for writer in writers:
        assert writer.join(5)
    journal.deleteLater()


def annotation(shape=(60, 80), dtype=np.uint8, **kwargs):
    return Labels(np.zeros(shape, dtype), name="cells · annotation", **kwargs)


@pytest.fixture
def layer(journal):
    layer = annotation()
    assert journal.protect(layer, empty=True) == ""
    return layer


def saved(journal, layer) -> Recovered | None:
    state = journal.state(journal.watch_of(layer))
    return recover(state.folder) if state.folder is not None and not state.unsaved else None


def saved_header(journal, layer):
    return recover(journal.state(journal.watch_of(layer)).folder).header


def is_saved(journal, layer):
    found = saved(journal, layer)
    try:
        return found is not None and found.dtype == layer.data.dtype and np.array_equal(found.load(), layer.data)
    except FoldedMeanwhileError:  # by the writer's thread; the next look shows what it has folded
        return False


def stroke(layer, number, start=(20.0, 20.0), dabs=12):
    with layer.block_history():
        for step in range(dabs):
            layer.paint((start[0] + step, start[1] + 2 * step), number, refresh=False)
    layer._partial_labels_refresh()


def fill_in_place(layer):
    layer.data[3:30, 40:60] = 9


def fill_and_refresh(layer):
    fill_in_place(layer)
    layer.refresh()


def undo_hidden(layer):
    layer.visible = False
    layer.undo()
    layer.visible = True


def undo_hidden_and_paint(layer):
    layer.visible = False
    layer.undo()
    layer.paint((50, 50), 6)
    layer.visible = True


def click(layer):
    write_mask(layer, (10, 12), np.eye(20, dtype=bool), 11)


def click_too_high_a_number(layer):
    widen_labels(layer, 300)
    write_mask(layer, (10, 12), np.eye(20, dtype=bool), 300)


def correct(layer):
    after = layer.data[5:25, 5:30].copy()
    after[::2] = 4
    after[1::3] = 5
    write_box(layer, (slice(5, 25), slice(5, 30)), after)


def set_items(layer):
    layer.data_setitem((np.array([1, 5, 7]), np.array([2, 2, 9])), np.array([8, 7, 6]))


def replace(layer):
    layer.data = np.random.default_rng(0).integers(0, 200, layer.data.shape).astype(np.uint8)


def replace_by_another_shape(layer):
    layer.data = np.random.default_rng(0).integers(0, 200, (33, 44)).astype(np.uint8)


def replace_by_more_dimensions(layer):
    layer.data = np.random.default_rng(0).integers(0, 70000, (3, 33, 44)).astype(np.uint32)


def set_the_same_array(layer):
    layer.data[7:9, 7:30] = 3
    layer.data = layer.data


def dab(layer):
    layer.paint((30, 30), 5)


def drag(layer):
    stroke(layer, 3)


def fill(layer):
    layer.fill((0, 0), 2)


def polygon(layer):
    layer.paint_polygon([(5, 5), (50, 10), (30, 70)], 4)


def undo(layer):
    layer.undo()


def redo(layer):
    layer.redo()


def undo_redo_undo(layer):
    layer.undo()
    layer.redo()
    layer.undo()


CHANGES = (
    dab,
    drag,
    fill,
    polygon,
    undo,
    undo_redo_undo,
    undo_hidden,
    undo_hidden_and_paint,
    click,
    click_too_high_a_number,
    correct,
    set_items,
    replace,
    replace_by_another_shape,
    replace_by_more_dimensions,
    set_the_same_array,
    fill_and_refresh,
    fill_in_place,
)


UNTOLD = {undo_hidden_and_paint, set_the_same_array, fill_and_refresh, fill_in_place}
"""Changes that are found by comparing the array with what is on the disk; the others are told."""


@pytest.fixture
def no_looking(monkeypatch):
    """Nothing is found by comparing."""
    monkeypatch.setattr(UntoldChanges, "look", lambda *_: False)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_kind_of_change_reaches_the_disk(journal, layer, change, request):
    if change not in UNTOLD:
        request.getfixturevalue("no_looking")
    layer.brush_size = 9
    layer.paint((10, 10), 1)
    stroke(layer, 2, (30, 5))
    wait_until(lambda: is_saved(journal, layer))
    before = layer.data.copy()
    change(layer)
    assert layer.data.shape != before.shape or not np.array_equal(layer.data, before)
    wait_until(lambda: is_saved(journal, layer))
    layer.paint((2,) * layer.data.ndim, 77)
    wait_until(lambda: is_saved(journal, layer))


def test_many_changes_in_a_row_end_with_the_same_pixels(journal, layer, no_looking):
    numbers = np.random.default_rng(1)
    for _ in range(120):
        numbers.choice([*CHANGES[:4], undo, redo, click, correct])(layer)
        layer.brush_size = int(numbers.integers(1, 30))
        layer.paint(tuple(numbers.integers(0, 30, 2)), int(numbers.integers(0, 9)))
    wait_until(lambda: is_saved(journal, layer))


def test_a_stroke_is_saved_while_it_goes_on(journal, layer, no_looking):
    with layer.block_history():
        for step in range(5):
            layer.paint((20, 20 + 8 * step), 3, refresh=False)
            wait_until(lambda: is_saved(journal, layer))
    layer.undo()
    wait_until(lambda: is_saved(journal, layer))
    assert not layer.data.any()


def test_a_stroke_that_is_given_up_is_taken_back(journal, layer, no_looking):
    layer.paint((5, 5), 1)
    layer._begin_stroke()
    layer.paint((30, 30), 3)
    wait_until(lambda: is_saved(journal, layer))
    layer._abort_stroke()
    assert not layer.data[30, 30]
    wait_until(lambda: is_saved(journal, layer))


def test_painting_is_saved_without_being_asked(journal, layer):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    layer.paint((30, 30), 2)
    wait_until(lambda: is_saved(journal, layer))
    folder = journal.state(journal.watch_of(layer)).folder
    np.testing.assert_array_equal(recover(folder).load(), layer.data)


def test_a_layer_that_nobody_paints_in_leaves_nothing_on_the_disk(journal, layer, session_folder):
    wait_until(lambda: journal.state(journal.watch_of(layer)).saved is None)
    journal.close()
    assert find_sessions(session_folder) == []


def test_a_layer_with_labels_is_saved_at_once_if_asked(journal):
    layer = annotation()
    layer.data[10:20] = 5
    journal.protect(layer, at_once=True)
    wait_until(lambda: is_saved(journal, layer))


def test_what_was_there_before_is_saved_with_the_first_stroke(journal):
    layer = annotation((700, 900), np.uint16)
    layer.data[10:600, 300:800] = np.arange(500)
    journal.protect(layer)
    layer.paint((100, 100), 7)
    wait_until(lambda: is_saved(journal, layer))


def test_everything_about_a_layer_comes_back(journal):
    layer = annotation(
        (2, 50, 60),
        np.uint16,
        scale=(2.0, 0.5, 0.25),
        translate=(1.0, 2.0, 3.0),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
        rotate=(10.0, 20.0, 30.0),
        features={"index": [1, 2], "area": [3.5, 4.5], "kind": ["a", "b"]},
    )
    journal.protect(layer, empty=True)
    layer.paint((1, 20, 20), 2)
    layer.name = "renamed"
    layer.opacity = 0.4
    layer.contour = 2
    layer.colormap = class_colormap({1: "#808080", 2: "#ff8000"})
    layer.metadata["tessera"] = {"classes": CLASSES, "recipe": {"steps": [1, 2]}}
    wait_until(lambda: is_saved(journal, layer) and len(saved(journal, layer).header.classes) == 2)
    found = saved(journal, layer)
    again = layer_from(found.header, found.load())
    layer.metadata["tessera"]["classes"][2]["name"] = "nucleus"  # no event tells of it
    wait_until(lambda: [entry.name for entry in saved_header(journal, layer).classes] == ["background", "nucleus"])
    layer.metadata["tessera"]["classes"][2]["name"] = "cell"
    np.testing.assert_array_equal(again.data, layer.data)
    assert again.data.dtype == layer.data.dtype
    assert (again.name, again.opacity, again.contour) == ("renamed", 0.4, 2)
    assert again.metadata == layer.metadata
    assert again.units == layer.units
    assert tuple(again.axis_labels) == ("z", "y", "x")
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(again, name), getattr(layer, name), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(again.get_color(2), layer.get_color(2))
    assert again.features.to_dict("list") == layer.features.to_dict("list")


def test_shuffled_colours_come_back(journal, layer):
    layer.new_colormap(seed=7)
    again = layer_from(facts_of(layer).header(), layer.data)
    for number in (1, 2, 77, 4000):
        np.testing.assert_array_equal(again.get_color(number), layer.get_color(number))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Image(np.zeros((5, 5))), "Labels layer"),
        (lambda: Labels(dask.array.zeros((9, 9), dtype=np.uint8)), "memory"),
        (lambda: Labels([np.zeros((64, 64), np.uint8), np.zeros((32, 32), np.uint8)]), "resolutions"),
    ],
)
def test_what_cannot_be_protected_is_refused_with_a_reason(journal, make, word):
    layer = make()
    assert word in journal.protect(layer)
    assert journal.watch_of(layer) is None


def test_data_that_do_not_lie_in_memory_end_the_protection(journal, layer):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    watch = journal.watch_of(layer)
    layer.data = dask.array.zeros((9, 9), dtype=np.uint8)
    assert "memory" in watch.why_stopped
    wait_until(lambda: not journal.writers())


def test_the_journal_keeps_no_layer_alive(journal, session_folder):
    layer = annotation()
    journal.protect(layer, empty=True)
    layer.paint((5, 5), 1)
    painted = layer.data.copy()
    known, array = weakref.ref(layer), weakref.ref(layer.data)
    del layer
    gc.collect()
    assert known() is None
    wait_until(lambda: not journal.writers())
    wait_until(lambda: find_sessions(session_folder)[0].closed)
    assert array() is None
    np.testing.assert_array_equal(recover(find_sessions(session_folder)[0].layers[0].folder).load(), painted)


def test_closing_saves_what_was_painted_last(journal, layer, session_folder):
    layer.paint((5, 5), 1)
    journal.close()
    wait_until(lambda: find_sessions(session_folder)[0].closed)
    found = find_sessions(session_folder)[0]
    assert not found.unsaved
    np.testing.assert_array_equal(recover(found.layers[0].folder).load(), layer.data)


def test_arrays_that_come_faster_than_they_are_copied(journal, layer):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    numbers = np.random.default_rng(0)
    end, seen = time.monotonic() + 120, set()
    while len(seen) < 4 and time.monotonic() < end:
        layer.data = np.full((600, 700), numbers.integers(1, 255), np.uint8)
        layer.paint((30, 30), 3)
        QCoreApplication.processEvents()
        time.sleep(0.01)
        folder = journal.state(journal.watch_of(layer)).folder
        with suppress(FoldedMeanwhileError):
            seen.add(int(recover(folder).read((slice(40, 41), slice(0, 1)))[0, 0]))
    assert len(seen) == 4
    wait_until(lambda: is_saved(journal, layer))


def test_a_copied_array_does_not_hold_before_all_that_it_may_show_is_told(journal, layer, monkeypatch, no_looking):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    before = layer.data.copy()
    folder = journal.state(journal.watch_of(layer)).folder
    monkeypatch.setattr(watching, "COPY_BYTES", 0)
    copy, asked, waited = LayerJournal.copy, [], threading.Event()

    def watched(self, stop, ask, passed):
        if len(asked) > 3 and passed < asked[0]:
            waited.set()  # it has come back to the copied array several times, and has had no answer
        if asked:
            asked.append(0)
        return copy(self, stop, lambda: asked.append(ask()) or asked[0], passed)

    monkeypatch.setattr(LayerJournal, "copy", watched)
    layer.data = np.full((60, 80), 7, np.uint8)
    with layer.block_history():
        layer.paint((30, 30), 3, refresh=False)  # in the array, and nobody has heard of it
        assert waited.wait(120)  # the writer copies it, and asks this thread, which does not answer
        found = recover(folder)
        np.testing.assert_array_equal(found.load(), before)
        assert found.replaced is not None
    wait_until(lambda: is_saved(journal, layer))
    assert recover(folder).replaced is None


def test_two_layers_share_a_session(journal, layer, session_folder):
    other = annotation((20, 30))
    journal.protect(other, empty=True)
    layer.paint((5, 5), 1)
    other.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer) and is_saved(journal, other))
    assert len(find_sessions(session_folder)) == 1
    assert len(find_sessions(session_folder)[0].layers) == 2


# when the disk does not do as it should


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that is full as long as the list holds something."""
    full = []

    def write(self, file, content):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(self, file, content)

    plain = Disk.write
    monkeypatch.setattr(Disk, "write", write)
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.1)
    return full


def test_a_full_disk_is_told_once_and_nothing_is_lost(journal, layer, full_disk):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    full_disk.append(True)
    for step in range(8):
        layer.paint((10 + 5 * step, 30), 2)
        wait_until(lambda: journal.state(journal.watch_of(layer)).problem != "")
    wait_until(lambda: journal.told != [])
    assert len(journal.told) == 1
    assert "full" in journal.told[0]
    assert "free space" in journal.told[0]
    full_disk.clear()
    wait_until(lambda: is_saved(journal, layer))
    wait_until(lambda: journal.state(journal.watch_of(layer)).problem == "")


def test_a_disk_that_is_full_from_the_start(journal, layer, full_disk, session_folder):
    full_disk.append(True)
    layer.paint((5, 5), 1)
    wait_until(lambda: journal.state(journal.watch_of(layer)).problem != "")
    full_disk.clear()
    wait_until(lambda: is_saved(journal, layer))
    wait_until(lambda: journal.state(journal.watch_of(layer)).problem == "")


def test_memory_for_what_waits_is_bounded(journal, layer, full_disk, monkeypatch):
    monkeypatch.setattr(layer_journal, "MOST_WAITING", 5000)
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    full_disk.append(True)
    writer = journal.writers()[0]
    for step in range(40):
        stroke(layer, 1 + step % 5, (5 + step, 5))
        journal.flush()
    wait_until(lambda: not writer._messages)
    held = next(iter(writer._journals.values()))
    assert held._held < 10_000
    full_disk.clear()
    wait_until(lambda: is_saved(journal, layer))


def test_a_folder_that_is_removed_is_written_again(journal, layer, session_folder, monkeypatch):
    monkeypatch.setattr(layer_journal, "FOLDER_SECONDS", 0.1)
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    folder = journal.state(journal.watch_of(layer)).folder
    shutil.rmtree(session_folder / "sessions")
    wait_until(lambda: journal.told != [])
    assert "removed" in journal.told[0]
    wait_until(lambda: is_saved(journal, layer))
    layer.paint((30, 30), 2)
    wait_until(lambda: is_saved(journal, layer))
    assert folder is not None


def test_a_folder_that_may_not_be_written(journal, layer, monkeypatch):
    def refuse(self, path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(Disk, "create", refuse)
        layer.paint((5, 5), 1)
        wait_until(lambda: journal.told != [])
        assert "cannot be written" in journal.told[0]
    wait_until(lambda: is_saved(journal, layer))


@pytest.mark.parametrize(
    "classes", [7, [1, 2], {1: "cell"}, {"cell": {"name": "cell", "color": "red"}}, {1: {"color": "red"}}, {1: None}]
)
def test_odd_names_of_classes_are_told_in_a_sentence_and_the_rest_is_saved(journal, classes):
    layer = annotation()
    layer.metadata["tessera"] = {"classes": classes, "locked": 3}
    assert journal.protect(layer, empty=True) == ""
    assert len(journal.told) == 1
    assert "unknown form" in journal.told[0]
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    assert saved_header(journal, layer).classes == ()


SCRIPT = """
import os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QApplication
application = QApplication([])
from napari_tessera.napari_plugin.journal.api import protect_layer
layer = Labels(np.zeros((60, 80), np.uint8), name="cells")
assert protect_layer(layer, empty=True) == ""
layer.paint((30, 30), 3)
if sys.argv[1] == "layer":
    del layer
if sys.argv[1] == "error":
    raise ValueError("a mistake")
"""


@pytest.mark.parametrize("how", ["end", "layer", "error"])
def test_a_script_that_ends_without_an_event_loop_closes_its_session(session_folder, how):
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == ((1, True) if how == "error" else (0, False)), done.stderr
    (session,) = find_sessions(session_folder)
    assert session.closed
    assert recover(session.layers[0].folder).load()[30, 30] == 3


# sessions


class Shown:
    """As much of a viewer as restoring needs."""

    def __init__(self):
        self.layers = []

    def add_layer(self, layer):
        self.layers.append(layer)


def crashed_session(home: Path, journal, layer) -> Path:
    """Leave a session behind as a crash does."""
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    copied = home / "sessions" / "crashed"
    shutil.copytree(journal.writers()[0].path, copied)
    (copied / ".lock").unlink()
    return copied


def test_a_restored_layer_goes_on_in_its_session(journal, layer, session_folder):
    path = crashed_session(session_folder, journal, layer)
    found = next(session for session in find_sessions(session_folder) if session.path == path)
    assert found.unsaved
    shown = Shown()
    (again,) = show_session(shown, journal, read_session(path))
    np.testing.assert_array_equal(again.data, layer.data)
    again.paint((40, 40), 9)
    wait_until(lambda: is_saved(journal, again))
    assert journal.state(journal.watch_of(again)).folder.is_relative_to(path)
    assert 9 in recover(found.layers[0].folder).load()
    assert 9 not in layer.data


def test_a_session_that_another_process_has_open_is_refused(journal, layer, session_folder):
    path = crashed_session(session_folder, journal, layer)
    code = (
        "import sys; from pathlib import Path; from napari_tessera.io.journal.session_folder import SessionFolder\n"
        "session = SessionFolder.open(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(SessionTakenError, match=str(holder.pid)):
            read_session(path)
        found = next(session for session in find_sessions(session_folder) if session.path == path)
        assert found.open_elsewhere.pid == holder.pid
        assert not found.unsaved
    finally:
        holder.kill()
        holder.communicate()
    read_session(path).session.close()


def test_a_session_that_is_being_written_can_be_renamed_and_moved(journal, layer, session_folder, tmp_path):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    (writer,) = journal.writers()
    answers = []
    journal.command(writer, lambda writer: writer.rename("week 1"), answers.append)
    wait_until(lambda: len(answers) == 1)
    journal.command(writer, lambda writer: writer.move(tmp_path / "elsewhere"), answers.append)
    wait_until(lambda: len(answers) == 2)
    assert answers == [None, tmp_path / "elsewhere"]
    layer.paint((40, 40), 2)
    wait_until(lambda: is_saved(journal, layer))
    assert journal.state(journal.watch_of(layer)).folder.is_relative_to(tmp_path / "elsewhere")
    (found,) = find_sessions(session_folder)
    assert (found.name, found.path) == ("week 1", tmp_path / "elsewhere")
    journal.command(writer, lambda writer: writer.move(tmp_path), answers.append)
    wait_until(lambda: len(answers) == 3)
    assert "exists" in str(answers[2])
    layer.paint((50, 50), 3)
    wait_until(lambda: is_saved(journal, layer))


def test_a_writer_that_dies_is_told(journal, layer, monkeypatch):
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    monkeypatch.setattr(layer_journal.LayerJournal, "save", lambda _: {}["gone"])
    layer.paint((30, 30), 2)
    wait_until(lambda: journal.told)
    assert "Save Selected Layers" in journal.told[0]
    assert journal.state(journal.watch_of(layer)).unsaved


def test_memory_that_runs_out_is_made_good_later(journal, layer, monkeypatch):
    real = layer_journal.records_of

    def full(*_):
        monkeypatch.setattr(layer_journal, "records_of", real)
        raise MemoryError

    monkeypatch.setattr(layer_journal, "records_of", full)
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    assert layer_journal.records_of is real


def test_locked_objects_and_colours_of_any_form_are_kept(journal, layer):
    layer.metadata = {"tessera": {"classes": {1: {"name": "cell", "color": "red"}}}}
    layer.paint((5, 5), 1)
    wait_until(lambda: is_saved(journal, layer))
    set_locked(layer, [1])
    wait_until(lambda: locked_labels(layer_from(saved_header(journal, layer), layer.data)) == {1})
    assert saved_header(journal, layer).classes[0].name == "cell"


def test_a_session_is_moved_while_an_array_is_copied(journal, tmp_path, monkeypatch, no_looking):
    monkeypatch.setattr(watching, "COPY_BYTES", 0)
    copy_base, held = JournalWriter.copy_base, [True]
    monkeypatch.setattr(JournalWriter, "copy_base", lambda self, stop: not held and copy_base(self, stop))
    layer = annotation()
    layer.data[5:9] = 7
    journal.protect(layer, at_once=True)
    watch = journal.watch_of(layer)
    wait_until(lambda: journal.state(watch).folder is not None)
    answers = []
    journal.command(journal.writers()[0], lambda writer: writer.move(tmp_path / "elsewhere"), answers.append)
    wait_until(lambda: answers)
    held.clear()
    wait_until(lambda: is_saved(journal, layer))
    journal.close()
    assert [session.closed for session in find_sessions(tmp_path / "tessera")] == [True]


def test_the_log_is_folded_while_nobody_paints(journal, layer, monkeypatch):
    monkeypatch.setattr(layer_journal, "COMPACT_SECONDS", 0.1)
    monkeypatch.setattr(layer_journal, "COMPACT_LOOK_SECONDS", 0.05)
    for step in range(5):
        layer.paint((10 + step, 20), 1 + step)
    wait_until(lambda: is_saved(journal, layer))
    folder = journal.state(journal.watch_of(layer)).folder
    wait_until(lambda: not list(folder.glob("log-*.bin")))
    assert is_saved(journal, layer)
    layer.paint((40, 40), 3)
    wait_until(lambda: is_saved(journal, layer))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    return bytes(content)


def fold_soon(monkeypatch, soon=True):
    monkeypatch.setattr(layer_journal, "COMPACT_SECONDS", 0.05 if soon else 60.0)
    monkeypatch.setattr(layer_journal, "COMPACT_LOOK_SECONDS", 0.05)


@pytest.mark.parametrize("where", ["labels-*.zarr/c/0/0", "log-*.bin"])
def test_what_the_disk_damages_is_written_again_from_memory(journal, layer, monkeypatch, where):
    fold_soon(monkeypatch)
    stroke(layer, 4)
    wait_until(lambda: is_saved(journal, layer))
    folder = journal.state(journal.watch_of(layer)).folder
    wait_until(lambda: not list(folder.glob("log-*.bin")))
    fold_soon(monkeypatch, soon=False)
    layer.paint((40, 40), 3)
    wait_until(lambda: is_saved(journal, layer))
    (damaged,) = folder.glob(where)
    flip_a_bit(damaged)
    assert not np.array_equal(recover(folder).load(), layer.data)
    fold_soon(monkeypatch)
    wait_until(lambda: is_saved(journal, layer))
    assert recover(folder).damage == []
    stroke(layer, 7, (30.0, 10.0))
    wait_until(lambda: is_saved(journal, layer) and not list(folder.glob("log-*.bin")))
    assert journal.told == []


def test_a_log_that_cannot_be_folded_is_told_once(journal, layer, monkeypatch):
    fold_soon(monkeypatch)
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.05)
    tries = []

    def compact(self, stop):
        tries.append(time.monotonic())
        if len(tries) % 4:
            return False  # a part of it
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(JournalWriter, "compact", compact)
        layer.paint((40, 40), 3)
        wait_until(lambda: is_saved(journal, layer))
        shown = []
        while len(tries) < 16:
            before = len(tries)
            wait_until(lambda seen=before: len(tries) > seen)
            shown.append(journal.state(journal.watch_of(layer)).problem)
        journal._tell_problems()
    assert len(journal.told) == 1
    assert all(shown[5:])
    wait_until(lambda: journal.state(journal.watch_of(layer)).problem == "")


def test_restoring_keeps_a_damaged_chunk_beside(journal, layer, session_folder):
    path = crashed_session(session_folder, journal, layer)
    (folder,) = path.glob("annotations/*")
    folding = JournalWriter.open(folder)
    assert folding.compact()
    folding.close()
    (chunk,) = folder.glob("labels-*.zarr/c/0/0")
    content = flip_a_bit(chunk)
    read = read_session(path)
    assert "damaged-labels-" in read.remarks[1]
    (again,) = show_session(Shown(), journal, read)
    wait_until(lambda: is_saved(journal, again))
    wait_until(lambda: not chunk.exists())
    (kept,) = folder.glob("damaged-labels-*.zarr/c/0/0")
    assert kept.read_bytes() == content


# parts


@st.composite
def painted(draw):
    """An array, atoms of napari's history in the order in which they were made, and the array after them."""
    shape = draw(st.sampled_from([(1, 1), (7, 9), (40, 30), (3, 8, 9), (5,)]))
    numbers = np.random.default_rng(draw(st.integers(0, 2**31)))
    array = numbers.integers(0, 5, shape).astype(np.uint16)
    before = array.copy()
    atoms = []
    for _ in range(draw(st.integers(1, 6))):
        start = [int(numbers.integers(0, length)) for length in shape]
        box = tuple(
            slice(at, int(numbers.integers(at + 1, length + 1))) for at, length in zip(start, shape, strict=True)
        )
        region = array[box]
        mask = numbers.random(region.shape) < draw(st.sampled_from([0.2, 0.9, 1.0]))
        several = draw(st.booleans())
        if mask.all():
            values = numbers.integers(0, 9, mask.shape).astype(np.uint16) if several else 7
            atoms.append(_MaskedPaintAtom(box, None, region.copy(), values))
            region[...] = values
        elif draw(st.booleans()):
            values = numbers.integers(0, 9, int(mask.sum())).astype(np.uint16) if several else 3
            atoms.append(_MaskedPaintAtom(box, mask, region[mask], values))
            region[mask] = values
        else:
            where = tuple(axis + part.start for axis, part in zip(np.nonzero(mask), box, strict=True))
            atoms.append((where, array[where].copy(), np.uint16(8)))
            array[where] = 8
    return before, atoms, array


def replayed(array, records):
    result = array.copy()
    for record in records:
        if isinstance(record, BoxRecord) and getattr(record, "mask", None) is not None:
            result[record.box][record.mask] = record.after
        elif isinstance(record, BoxRecord):
            result[record.box] = record.after
        else:
            result[record.indices] = record.values
    return result


@given(painted())
def test_records_hold_what_the_edits_left_behind(case):
    before, atoms, after = case
    done = records_of([Edits(tuple(atoms), forward=True)], before.shape, before.dtype)
    np.testing.assert_array_equal(replayed(before, done), after)
    undone = records_of([Edits(tuple(reversed(atoms)), forward=False)], before.shape, before.dtype)
    np.testing.assert_array_equal(replayed(after, undone), before)


def test_edits_of_another_shape_are_refused():
    atom = _MaskedPaintAtom((slice(50, 60), slice(0, 5)), None, np.zeros((10, 5), np.uint8), 1)
    with pytest.raises(UnknownEditError):
        records_of([Edits((atom,), forward=True)], (20, 20), np.uint8)
    with pytest.raises(UnknownEditError):
        records_of([Edits((((np.array([30]), np.array([1])), 0, 1),), forward=True)], (20, 20), np.uint8)


def test_an_edit_without_history_is_noticed():
    layer = annotation()
    reader = HistoryReader(layer)
    layer.paint((5, 5), 1)
    layer.paint((9, 9), 2)
    assert len(reader.take(layer)) in (0, 1)
    assert reader.lost  # two steps that nobody handed over


def drained(scan):
    return [step for step in scan if step is Step.BARRIER]


def test_a_scan_finds_what_nobody_told():
    array = np.zeros((1200, 1100), np.uint8)
    held = array.copy()
    scanner = ChangeScan(array.shape)
    assert drained(scanner.scan(array, lambda box: held[box])) == []
    array[600:610, 20:1000] = 4
    assert len(drained(scanner.scan(array, lambda box: held[box]))) == 1
    for box, pixels in scanner.found:
        held[box] = pixels
    np.testing.assert_array_equal(held, array)
    assert len(scanner.found) == 2
    assert not scanner.disturbed


def test_a_scan_leaves_alone_what_is_being_painted():
    array, held = np.zeros((1200, 1100), np.uint8), np.zeros((1200, 1100), np.uint8)
    scanner = ChangeScan(array.shape)
    array[:10, :10] = 1  # a stroke that is not told yet
    array[1000:, 1000:] = 2  # written by somebody else
    scan = scanner.scan(array, lambda box: held[box])
    for step in scan:
        if step is Step.BARRIER:
            held[:10, :10] = 1
            scanner.touched([(slice(0, 10), slice(0, 10))])
    assert [box[0].start for box, _ in scanner.found] == [512, 512, 1024, 1024]
    for box, pixels in scanner.found:
        held[box] = pixels
    np.testing.assert_array_equal(held, array)


def test_what_is_painted_during_a_scan_is_not_overwritten_by_it():
    array, held = np.zeros((600, 600), np.uint8), np.zeros((600, 600), np.uint8)
    scanner = ChangeScan(array.shape)
    array[5, 5] = 9
    scan = scanner.scan(array, lambda box: held[box])
    passes = 0
    for step in scan:
        if step is Step.BARRIER:
            passes += 1
            array[6, 6 + passes] = 1
            held[6, 6 + passes] = 1
            scanner.touched([(slice(6, 7), slice(0, 20))])
    assert scanner.found == []
    assert scanner.disturbed


@pytest.mark.parametrize("shape", [(5,), (20000, 20000), (100, 2048, 2048), (3, 4, 5, 6), (10**7,), (1, 1)])
def test_chunks_are_of_a_handy_size(shape):
    chunk = chunk_shape(shape)
    assert all(0 < edge <= length for edge, length in zip(chunk, shape, strict=True))
    assert np.prod(chunk) >= min(2**17, np.prod(shape))
    assert np.prod(chunk) <= 2**19
