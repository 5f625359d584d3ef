"""Session folders: made, found, named, moved, locked, removed."""

import errno
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tessera.config.session import LayerHeader, SessionSpec
from napari_tessera.core.errors import InvalidInputError, MissingInputError, OutputExistsError, StorageError
from napari_tessera.io import folder_lock
from napari_tessera.io.journal import segments, session_folder
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.naming import file_name, free_name, naming_remark
from napari_tessera.io.journal.records import BoxRecord, MetadataRecord
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.session_lock import Holder, SessionLock, SessionTakenError, find_holder
from napari_tessera.io.journal.sessions import find_sessions, remember_session, remove_leftovers, remove_session
from napari_tessera.io.opening import open_image

HEADER = LayerHeader(image_name="cells: a/b", layer_name="Labels", shape=(20, 30), dtype="uint8", axes="yx")
STROKE = BoxRecord((slice(1, 3), slice(2, 4)), np.full((2, 2), 7, np.uint8))


def annotated(home: Path, name: str = "") -> SessionFolder:
    session = SessionFolder.create(home, name)
    writer = session.create_layer(HEADER)
    writer.append(STROKE)
    writer.sync()
    return session


def run_elsewhere(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = f"import sys\nfrom pathlib import Path\npath = Path(sys.argv[1])\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_a_session_that_was_not_closed_is_found_with_all_that_it_is_known_by(tmp_path: Path) -> None:
    begun = time.time()
    session = annotated(tmp_path)
    session.set_thumbnail(np.full((8, 9, 3), 200, np.uint8))
    (summary,) = find_sessions(tmp_path)
    assert summary.open_elsewhere is not None
    assert summary.open_elsewhere.pid == os.getpid()
    assert not summary.unsaved  # it is open here
    session._lock.release()  # as death does
    (summary,) = find_sessions(tmp_path)
    assert summary.unsaved
    assert summary.image_names == ("cells: a/b",)
    assert begun <= summary.time <= time.time()
    assert summary.thumbnail is not None
    assert open_image(summary.thumbnail).shape == (8, 9, 3)
    (layer,) = summary.layers
    assert (layer.layer_name, layer.shape) == ("Labels", (20, 30))
    assert recover(layer.folder).load()[1, 2] == 7


def test_a_closed_session_is_not_offered_and_can_be_gone_on_with(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    session.close()
    session.close()
    (summary,) = find_sessions(tmp_path)
    assert (summary.closed, summary.unsaved, summary.open_elsewhere) == (True, False, None)
    again = SessionFolder.open(summary.path)
    assert not find_sessions(tmp_path)[0].closed
    writer = again.open_layer(again.layers()[0])
    writer.append(BoxRecord((slice(0, 1), slice(0, 1)), np.full((1, 1), 9, np.uint8)))
    again.close()
    labels = recover(summary.layers[0].folder).load()
    assert (labels[0, 0], labels[1, 2]) == (9, 7)


def test_the_last_changed_session_comes_first(tmp_path: Path) -> None:
    for name in ("one", "two"):
        annotated(tmp_path, name).close()
    assert [summary.name for summary in find_sessions(tmp_path)] == ["two", "one"]
    session = SessionFolder.open(tmp_path / "sessions" / "one")
    writer = session.open_layer(session.layers()[0])
    writer.append(STROKE)
    writer.compact()
    session.close()
    assert [summary.name for summary in find_sessions(tmp_path)] == ["one", "two"]


def test_names_that_are_taken_or_that_no_disk_accepts(tmp_path: Path) -> None:
    folders = [SessionFolder.create(tmp_path, name).path.name for name in ("day 3", "day 3", "a/b: c?", "")]
    assert folders[:3] == ["day 3", "day 3 2", "a-b- c"]
    assert folders[3].startswith("20")
    assert file_name("con") == "_con"
    assert file_name(" .. ") == "unnamed"
    assert free_name("a", {"a", "a 2"}.__contains__) == "a 3"
    session = annotated(tmp_path)
    second = session.create_layer(HEADER)
    assert second.folder.name == "cells- a-b Labels 2"


@pytest.mark.parametrize(
    ("typed", "called"), [("<b>x</b>", "b-x-b"), ("a/b", "a-b"), ("con", "_con"), ("..", "unnamed")]
)
def test_what_a_name_becomes_is_said(typed: str, called: str) -> None:
    assert naming_remark(typed).startswith(f"It is called {called!r}: ")
    assert repr(typed) in naming_remark(typed)
    assert naming_remark(f" {called} ") == ""


def test_a_session_is_named_and_keeps_its_place(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    session.rename("Kidney, day 3")
    assert find_sessions(tmp_path)[0].name == "Kidney, day 3"
    assert SessionSpec.load(session.path / "session.yaml").name == "Kidney, day 3"


def test_what_a_crash_has_left_is_offered_until_somebody_has_looked_at_it(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    session._lock.release()  # as when the process dies
    named = SessionFolder.open(session.path)
    named.rename("Kidney")
    named.close(as_found=True)
    assert find_sessions(tmp_path)[0].unsaved
    SessionFolder.open(session.path).close()
    assert not find_sessions(tmp_path)[0].unsaved
    SessionFolder.open(session.path).close(as_found=True)
    assert not find_sessions(tmp_path)[0].unsaved


@pytest.mark.parametrize("other_disk", [False, True])
def test_a_session_is_moved_and_still_found(tmp_path: Path, monkeypatch: Any, other_disk: bool) -> None:
    home, target = tmp_path / "home", tmp_path / "share" / "kidney"
    session = annotated(home)
    old = session.path
    with pytest.raises(InvalidInputError, match="end them"):
        session.move(target)
    session._writers[0].close()
    if other_disk:
        rename = Path.rename

        def refuse(self: Path, to: Path) -> Path:
            if self == old:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return rename(self, to)

        monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputExistsError):
        session.move(home)
    with pytest.raises(InvalidInputError, match="within"):
        session.move(old / "inside")
    session.move(target)
    assert (session.path, old.exists()) == (target, False)
    assert [path.name for path in target.parent.iterdir()] == ["kidney"]
    remember_session(home, target)
    remember_session(home, target)
    (summary,) = find_sessions(home)
    assert summary.path == target
    assert summary.open_elsewhere is not None
    writer = session.open_layer(session.layers()[0])
    writer.append(STROKE)
    session.close()
    assert recover(session.layers()[0]).last_sequence == 2
    remove_session(target)
    assert find_sessions(home) == []


def test_a_move_to_a_full_disk_leaves_the_session_where_it_was(tmp_path: Path, monkeypatch: Any) -> None:
    session = annotated(tmp_path)
    session._writers[0].close()
    old, files = session.path, sorted(session.path.rglob("*"))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def other_disk(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("napari_tessera.io.journal.moving.shutil.copy2", full)
    monkeypatch.setattr(Path, "rename", other_disk)
    with pytest.raises(StorageError, match="full"):
        session.move(tmp_path / "elsewhere" / "x")
    assert session.path == old
    assert sorted(old.rglob("*")) == files
    assert list((tmp_path / "elsewhere").iterdir()) == []
    with pytest.raises(SessionTakenError):
        SessionFolder.open(old)


def test_a_crash_in_the_middle_of_a_move_is_one_that_leaves_something_to_offer(
    tmp_path: Path, monkeypatch: Any
) -> None:
    session = annotated(tmp_path)
    session._writers[0].close()
    found = []

    def dies(source: Path, target: Path) -> None:
        partial = target.with_name(".kidney.1234.partial")
        shutil.copytree(source, partial)
        found.extend(find_sessions(tmp_path))
        raise StorageError(f"{target}: the disk is full.")

    monkeypatch.setattr(session_folder, "move_folder", dies)
    with pytest.raises(StorageError):
        session.move(tmp_path / "sessions" / "kidney")
    (summary,) = found  # what is half moved is no session
    assert summary.path == session.path
    assert summary.unsaved


def test_a_session_is_summed_up_while_its_writer_folds(tmp_path: Path, monkeypatch: Any) -> None:
    session = annotated(tmp_path)
    paths = segments.segment_paths(session.layers()[0])
    assert session._writers[0].compact()
    assert not paths[0].exists()
    monkeypatch.setattr(segments, "segment_paths", lambda _: paths)
    (summary,) = find_sessions(tmp_path)
    assert summary.problem is None
    assert len(summary.layers) == 1


def test_the_name_of_a_layer_is_on_the_disk_before_anything_is_in_it(tmp_path: Path) -> None:
    session = SessionFolder.create(tmp_path)
    synced: list[tuple[Path, list[str]]] = []

    class Noting(Disk):
        def sync_folder(self, folder: Path) -> None:
            synced.append((folder, sorted(path.name for path in folder.iterdir())))

    session._disk = Noting()
    session.create_layer(HEADER)
    first = next(names for folder, names in synced if folder == session.annotations)
    assert first == [path.name for path in session.layers()]


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (
            datetime.now().astimezone().replace(hour=12, minute=5).isoformat(),
            r"another napari since .*12:05 \(process 7",
        ),
        ("2020-03-01T12:00:00", r"another napari since 1 March 2020 12:00 \(process 7 on far away\)"),
        ("long ago", r"another napari \(process"),
    ],
    ids=["today", "years ago", "no time"],  # the same in all processes that share the tests out
)
def test_who_holds_a_folder_is_said_as_a_person_does(since: str, words: str) -> None:
    assert re.match(words, Holder(7, "far away\n", 0.0, since).describe())


def test_a_second_program_is_told_who_has_the_session(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    open_it = "from napari_tessera.io.journal.session_folder import SessionFolder\nSessionFolder.open(path)"
    refused = run_elsewhere(open_it, session.path)
    assert "SessionTakenError" in refused.stderr
    said = rf"another napari since .*\d\d:\d\d \(process {os.getpid()} on {re.escape(platform.node())}\)"
    assert re.search(said, refused.stderr)
    with pytest.raises(SessionTakenError, match="this napari"):
        SessionFolder.open(session.path)
    with pytest.raises(SessionTakenError):
        remove_session(session.path)
    session.close()
    assert run_elsewhere(open_it, session.path).returncode == 0


def test_the_lock_of_a_dead_program_is_free(tmp_path: Path) -> None:
    die = (
        "import os\nfrom napari_tessera.io.journal.session_folder import SessionFolder\n"
        "session = SessionFolder.create(path)\nos.kill(os.getpid(), 9) if os.name != 'nt' else os._exit(1)"
    )
    assert run_elsewhere(die, tmp_path).returncode != 0
    (summary,) = find_sessions(tmp_path)
    assert summary.open_elsewhere is None
    assert (summary.path / folder_lock.LOCK_FILE).exists()
    assert not summary.closed
    SessionFolder.open(summary.path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing inherits locks on this system")
def test_a_lock_that_lives_on_in_a_child_of_a_dead_program_is_free(tmp_path: Path) -> None:
    leave = (
        "import os, time\nfrom napari_tessera.io.journal.session_lock import SessionLock\n"
        "lock = SessionLock(path)\n"
        "if os.fork() == 0:\n    os.close(1), os.close(2)\n    time.sleep(20)\nos._exit(0)"
    )
    assert run_elsewhere(leave, tmp_path).returncode == 0
    assert find_holder(tmp_path) is None
    lock = SessionLock(tmp_path)
    with pytest.raises(SessionTakenError):
        SessionLock(tmp_path)
    lock.release()


def test_where_there_are_no_locks_the_process_that_is_noted_decides(tmp_path: Path, monkeypatch: Any) -> None:
    def no_locks(_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock, "lock_file", no_locks)
    lock = SessionLock(tmp_path)
    assert find_holder(tmp_path) is not None
    with pytest.raises(SessionTakenError, match="this napari"):
        SessionLock(tmp_path)
    lock.release()
    dead = Holder(pid=os.getpid(), host=platform.node(), started=1.0, since="2026-01-01")  # the number was used again
    (tmp_path / folder_lock.LOCK_FILE).write_text(json.dumps(vars(dead)))
    assert find_holder(tmp_path) is None
    SessionLock(tmp_path).release()
    away = Holder(pid=1, host="another computer", started=1.0, since="2026-01-01")
    (tmp_path / folder_lock.LOCK_FILE).write_text(json.dumps(vars(away)))
    with pytest.raises(SessionTakenError, match="process 1 on another computer"):
        SessionLock(tmp_path)


def test_a_session_of_a_newer_version_is_listed_and_refused_in_one_sentence(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    session.close()
    path = session.path / "session.yaml"
    path.write_text(path.read_text().replace("schema_version: 1", "schema_version: 2"))
    before = path.read_bytes()
    (summary,) = find_sessions(tmp_path)
    assert summary.problem is not None
    assert "update napari-tessera" in summary.problem
    assert not summary.unsaved
    with pytest.raises(InvalidInputError, match="update napari-tessera"):
        SessionFolder.open(session.path)
    assert path.read_bytes() == before


def test_a_damaged_layer_is_listed_with_the_reason(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    session.create_layer(HEADER)
    session.close()
    (session.layers()[0] / "layer.yaml").write_text("kind: annotation\nschema_version: [")
    (summary,) = find_sessions(tmp_path)
    assert len(summary.layers) == 1
    assert "restore" in str(summary.problem)


def test_a_session_on_a_read_only_disk_can_be_read_but_not_opened(tmp_path: Path, monkeypatch: Any) -> None:
    session = annotated(tmp_path)
    session.close()
    opened = Path.open

    def refuse(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if set(mode) & set("wax+"):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    (summary,) = find_sessions(tmp_path)
    assert recover(summary.layers[0].folder).load().max() == 7
    with pytest.raises(StorageError, match=r"Read-only file system.*copy it elsewhere"):
        SessionFolder.open(session.path)


def test_removing_takes_everything_and_only_when_asked(tmp_path: Path) -> None:
    session = annotated(tmp_path)
    session.close()
    remove_session(session.path)
    assert list((tmp_path / "sessions").iterdir()) == []
    with pytest.raises(MissingInputError):
        remove_session(session.path)


def test_closing_with_a_full_disk_says_so_and_the_session_counts_as_not_closed(
    tmp_path: Path, monkeypatch: Any
) -> None:
    session = annotated(tmp_path)
    session._writers[0].append(STROKE)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(session._disk, "write", full)
    with pytest.raises(StorageError, match="full"):
        session.close()
    (summary,) = find_sessions(tmp_path)
    assert summary.unsaved


def test_a_session_that_ends_before_an_array_is_written_counts_as_not_closed(tmp_path: Path) -> None:
    session = SessionFolder.create(tmp_path)
    session.create_layer(HEADER, np.ones((20, 30), np.uint8))
    session.close()
    (summary,) = find_sessions(tmp_path)
    assert summary.unsaved
    session = SessionFolder.open(session.path)
    session.open_layer(session.layers()[0])
    session.close()
    assert find_sessions(tmp_path)[0].closed


def test_names_in_the_list_are_those_in_the_log(tmp_path: Path) -> None:
    session = SessionFolder.create(tmp_path)
    writer = session.create_layer(HEADER)
    writer.append(MetadataRecord({"layer_name": "nuclei", "image_name": "embryo"}))
    writer.sync()
    (found,) = find_sessions(tmp_path)
    assert (found.layers[0].layer_name, found.image_names) == ("nuclei", ("embryo",))
    session.close()


def test_a_removal_that_was_cut_off_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere, kept = (annotated(tmp_path) for _ in range(3))
    elsewhere.close()
    elsewhere = SessionFolder.open(elsewhere.path)
    elsewhere.move(tmp_path / "other" / "place")
    remember_session(tmp_path, elsewhere.path)

    def die(path: Path, **_: object) -> None:
        if path.exists():
            raise KeyboardInterrupt

    for session in (here, elsewhere):
        session.close()
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("napari_tessera.io.journal.sessions.shutil.rmtree", die)
            remove_session(session.path)
    assert len(list(tmp_path.rglob(".*.removed"))) == 2
    assert [session.path for session in find_sessions(tmp_path)] == [kept.path]
    remove_leftovers(tmp_path)
    assert not list(tmp_path.rglob(".*.removed"))
    assert kept.path.exists()
    kept.close()


@pytest.mark.parametrize("link", [False, True])
def test_annotation_whose_session_file_was_lost_is_listed_with_why(tmp_path: Path, link: bool) -> None:
    annotated(tmp_path, "kept").close()
    lost = annotated(tmp_path, "lost")
    lost.close()
    (lost.path / "session.yaml").unlink()
    if link:
        (lost.path / "session.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "sessions" / "begun just now").mkdir()
    found = {summary.path.name: summary for summary in find_sessions(tmp_path)}
    assert sorted(found) == ["kept", "lost"]
    assert (found["lost"].readable, len(found["lost"].layers)) == (False, 1)
    assert "There is no file" in str(found["lost"].problem)
    assert recover(found["lost"].layers[0].folder).load()[1, 2] == 7
    remove_session(lost.path)
    assert [summary.path.name for summary in find_sessions(tmp_path)] == ["kept"]
