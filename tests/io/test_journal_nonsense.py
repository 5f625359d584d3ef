"""Damage of a session, layer or record is of this one alone; nothing waits for ever, nothing huge is allocated."""

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.errors import InvalidInputError, StorageError, TesseraError
from napari_tessera.io.folder_lock import LOCK_FILE
from napari_tessera.io.journal.exporting import export_labels
from napari_tessera.io.journal.frames import (
    BOX,
    MASKED,
    METADATA,
    POINTS,
    REPLACE,
    WIDEN,
    compress,
    encode_box,
    encode_fields,
    encode_frame,
    encode_masked,
    encode_points,
    read_frame,
)
from napari_tessera.io.journal.records import BoxRecord
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import SessionSummary, find_sessions
from napari_tessera.io.journal.writer import JournalWriter

SHAPE = (20, 30)
HEADER = LayerHeader(
    image_name="cells", layer_name="nuclei", shape=SHAPE, dtype="uint16", created="", package_version=""
)
STROKE = BoxRecord((slice(2, 6), slice(3, 9)), np.full((4, 6), 7, np.uint16))
BLOCK = np.arange(12, dtype=np.uint16).reshape(3, 4)


def layer_with(folder: Path, *frames: tuple[int, bytes]) -> Path:
    """Return a journal with one stroke, `frames` of whatever kind and payload behind it, and one more stroke."""
    writer = JournalWriter.create(folder, HEADER)
    writer.append(STROKE)
    writer.close()
    (log,) = folder.glob("log-*.bin")
    after = next(encode_box((10, 10), np.full((2, 2), 9, np.uint16)))
    with log.open("ab") as file:
        for number, (kind, payload) in enumerate((*frames, (BOX, after)), start=2):
            file.write(encode_frame(kind, payload, number, 10**18, last=True))
    return folder


def place(shape: tuple[int, ...], start: tuple[int, ...] = (0, 0), dtype: bytes = b"<u2") -> bytes:
    lengths = (*start, *shape)
    return struct.pack(f"<BB{len(dtype)}s{len(lengths)}q", len(start), len(dtype), dtype, *lengths)


def box(shape: tuple[int, ...], start: tuple[int, ...] = (0, 0), dtype: bytes = b"<u2", values: bytes = b"") -> bytes:
    return place(shape, start, dtype) + (values or compress(BLOCK))


def points(offsets: list[int], values: list[int]) -> bytes:
    packed = compress(np.array(offsets, np.uint32))
    return place((3, 4)) + struct.pack("<BQ", 0, len(packed)) + packed + compress(np.array(values, np.uint16))


def claiming(nbytes: int) -> bytes:
    """Return compressed values that say they are much longer than they are."""
    content = bytearray(compress(BLOCK))
    content[4:8] = nbytes.to_bytes(4, "little")
    return bytes(content)


EMPTY = compress(np.zeros(SHAPE, np.uint16))
BITS = compress(np.packbits(np.ones(12, bool)))

NONSENSE: dict[str, tuple[int, bytes]] = {
    "nothing": (BOX, b""),
    "a place that is cut off": (BOX, place((3, 4))[:-3]),
    "no values": (BOX, place((3, 4))),
    "no dimensions": (BOX, place((), ()) + compress(BLOCK)),
    "a type that there is not": (BOX, box((3, 4), dtype=b"<q9")),
    "objects": (BOX, box((3, 4), dtype=b"|O8")),
    "floats": (BOX, box((3, 4), dtype=b"<f2")),
    "a wider type": (BOX, place((3, 4), dtype=b"<i8") + compress(BLOCK.astype(np.int64))),
    "a type of bad text": (BOX, box((3, 4), dtype=b"\xff\xfe")),
    "a negative length": (BOX, box((-3, -4))),
    "a negative start": (BOX, box((3, 4), (-1, 0))),
    "one dimension": (BOX, box((12,), (0,))),
    "many dimensions": (BOX, box((1,) * 200 + (3, 4), (0,) * 202)),
    "outside": (BOX, box((3, 4), (18, 0))),
    "far outside": (BOX, box((3, 4), (2**62, 2**62))),
    "a huge box": (BOX, box((2**31, 2**31))),
    "values of another box": (BOX, box((4, 4))),
    "values that say they are huge": (BOX, box((3, 4), values=claiming(2**32 - 1))),
    "values that are cut off": (BOX, box((3, 4), values=compress(BLOCK)[:-2])),
    "values that cannot be decoded": (BOX, box(SHAPE, values=EMPTY[:16] + b"\xff" * (len(EMPTY) - 16))),
    "a mask without length": (MASKED, place((3, 4))),
    "a mask that is longer than the record": (MASKED, place((3, 4)) + struct.pack("<Q", 2**60) + BITS),
    "a mask of another box": (MASKED, place((9, 9)) + struct.pack("<Q", len(BITS)) + BITS + compress(BLOCK)),
    "a huge mask": (MASKED, place((2**31, 2**31)) + struct.pack("<Q", len(BITS)) + BITS + compress(BLOCK)),
    "values of another mask": (MASKED, place((3, 4)) + struct.pack("<Q", len(BITS)) + BITS + compress(BLOCK[:2])),
    "points without length": (POINTS, place((3, 4))),
    "points outside their box": (POINTS, points([0, 12], [1, 2])),
    "values of other points": (POINTS, points([0, 1, 2], [1, 2])),
    "half a point": (POINTS, place((3, 4)) + struct.pack("<BQ", 1, len(BITS)) + BITS + compress(BLOCK)),
    "no JSON": (METADATA, b"{"),
    "JSON of bad text": (METADATA, b'{"a": "\xff"}'),
    "JSON that is no mapping": (METADATA, b"[1, 2]"),
    "JSON that is deep": (METADATA, b"[" * 100_000),
    "a number of 6000 digits": (METADATA, b'{"layer_name": ' + b"1" * 6000 + b"}"),
    "a name that is none": (METADATA, encode_fields({"layer_name": 5})),
    "a field that there is not": (METADATA, encode_fields({"colour": "red"})),
    "a shape without an array": (METADATA, encode_fields({"shape": [5, 5]})),
    "scales of another shape": (METADATA, encode_fields({"scale": [1.0]})),
    "a narrower type": (WIDEN, encode_fields({"dtype": "uint8"})),
    "no wider type": (WIDEN, encode_fields({})),
    "a shape with the type": (WIDEN, encode_fields({"dtype": "uint32", "shape": [5, 5]})),
    "another array of no number": (REPLACE, encode_fields({"generation": "x"})),
    "another array of nothing": (REPLACE, b"null"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_record_that_makes_no_sense_is_damage(tmp_path: Path, kind: str) -> None:
    folder = layer_with(tmp_path / "layer", NONSENSE[kind])
    found = recover(folder)
    wanted = np.zeros(SHAPE, np.uint16)
    wanted[2:6, 3:9] = 7
    np.testing.assert_array_equal(found.load(), wanted)
    np.testing.assert_array_equal(found.read((slice(0, 12), slice(0, 12))), wanted[:12, :12])
    (damage,) = found.damage
    assert "is damaged at record 2 (" in damage
    assert (found.last_sequence, found.replaced) == (1, None)


def test_what_follows_damage_is_written_over_it_and_kept_aside(tmp_path: Path) -> None:
    folder = layer_with(tmp_path / "layer", NONSENSE["outside"])
    (log,) = folder.glob("log-*.bin")
    content = log.read_bytes()
    writer = JournalWriter.open(folder)
    assert writer.append(BoxRecord((slice(0, 1), slice(0, 1)), np.full((1, 1), 5, np.uint16))) == 2
    writer.close()
    found = recover(folder)
    assert (found.damage, found.load()[0, 0], found.load()[2, 3], found.load()[10, 10]) == ([], 5, 7, 0)
    assert (folder / f"damaged-{log.name}").read_bytes() == content
    writer = JournalWriter.open(folder)
    assert writer.compact()
    writer.close()
    assert recover(folder).load()[0, 0] == 5


def test_records_of_every_kind_make_sense(tmp_path: Path) -> None:
    mask = BLOCK % 2 == 0
    frames = [
        (BOX, next(encode_box((0, 0), BLOCK))),
        (MASKED, next(encode_masked((5, 5), mask, BLOCK[mask]))),
        (MASKED, next(encode_masked((5, 9), mask, np.array([4], np.uint16)))),
        (POINTS, next(encode_points([np.array([19, 0]), np.array([29, 1])], np.array([1, 2], np.uint16)))),
        (METADATA, encode_fields({"layer_name": "other"})),
        (WIDEN, encode_fields({"dtype": "uint32"})),
    ]
    found = recover(layer_with(tmp_path / "layer", *frames))
    labels = found.load()
    assert (found.damage, found.header.layer_name, labels.dtype) == ([], "other", np.uint32)
    assert (labels[19, 29], labels[0, 1], labels[5, 9], labels[10, 10]) == (1, 2, 4, 9)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_stands_in_a_record_the_others_are_there(tmp_path: Path, seed: int) -> None:
    """Bytes of sound records are changed at random, with checksums that fit."""
    chance = random.Random(seed)
    sound = [
        (BOX, next(encode_box((0, 0), BLOCK))),
        (MASKED, next(encode_masked((5, 5), BLOCK % 2 == 0, np.array([4], np.uint16)))),
        (POINTS, next(encode_points([np.array([19, 0]), np.array([29, 1])], np.array([1, 2], np.uint16)))),
        (METADATA, encode_fields({"layer_name": "other", "scale": [1.0, 2.0]})),
    ]
    for turn in range(40):
        kind, payload = chance.choice(sound)
        changed = bytearray(payload)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 127, 255, chance.randrange(256)))
        found = recover(layer_with(tmp_path / str(turn), (kind, bytes(changed))))
        assert found.load()[3, 4] == 7 or kind == BOX
        assert (len(found.damage) == 1) == (found.last_sequence == 1)


# what lies in the folder


def two_sessions(home: Path) -> tuple[Path, Path]:
    """Return the folder of a session that something happens to, and that of another."""
    paths = []
    for name in ("bad", "good"):
        session = SessionFolder.create(home, name)
        for _ in range(2):
            writer = session.create_layer(HEADER)
            writer.append(STROKE)
            writer.close()
        session._lock.release()  # as a crash leaves it
        paths.append(session.path)
    return paths[0], paths[1]


def yaml_of(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS: dict[str, Callable[[Path], object]] = {
    "nothing": yaml_of(""),
    "a key that is no text": lambda path: path.write_bytes(path.read_bytes() + b"5: 1\n"),
    "deep": yaml_of("[" * 5000),
    "digits": lambda path: path.write_bytes(path.read_bytes() + b"x: " + b"1" * 6000),
    "a bomb": yaml_of("a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a]}}\n" for n in range(99))),
    "bytes": lambda path: path.write_bytes(os.urandom(300)),
    "a pipe": pipe,
    "endless": endless,
    "a folder": folder,
}
WINDOWS = {"a pipe", "endless"}  # it has no such thing


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("what", ["session.yaml", "layer.yaml", "log", "zarr.json", LOCK_FILE, "sessions.yaml"])
def test_harm_to_one_file_hides_nothing_else(tmp_path: Path, what: str, harm: str) -> None:
    if harm in WINDOWS and os.name == "nt":
        pytest.skip("there are no pipes and devices in folders")
    bad, _ = two_sessions(tmp_path)
    layers = sorted((bad / "annotations").iterdir())
    known = {"session.yaml": bad / what, LOCK_FILE: bad / what, "sessions.yaml": tmp_path / what}
    path = known.get(what) or next(layers[0].rglob({"log": "log-*.bin"}.get(what, what)))
    if not path.exists():
        path.write_text("")
    HARMS[harm](path)
    found = {session.name or session.path.name: session for session in find_sessions(tmp_path)}
    assert set(found) == {"bad", "good"}
    assert found["good"].unsaved
    assert found["good"].problem is None
    assert recovered(layers[1])
    if what == "session.yaml":
        assert not found["bad"].unsaved
        assert not found["bad"].readable
        assert found["bad"].problem
        assert len(found["bad"].layers) == 2
    if what == "layer.yaml":
        assert (found["bad"].damaged, len(found["bad"].layers)) == (1, 1)
        assert found["bad"].unsaved  # the other layer is offered
        assert found["bad"].problem
    if what in ("layer.yaml", "zarr.json"):
        with pytest.raises(TesseraError):
            recover(layers[0])


def recovered(layer: Path) -> bool:
    return bool(recover(layer).load()[3, 4] == 7)


def test_times_and_places_that_there_are_not(tmp_path: Path) -> None:
    bad, _ = two_sessions(tmp_path)
    layer = min((bad / "annotations").iterdir())
    text = (layer / "layer.yaml").read_text()
    (layer / "layer.yaml").write_text(
        text.replace(next(line for line in text.splitlines() if "changed" in line), "changed: .inf")
    )
    (bad / "session.yaml").write_text(
        "kind: session\nschema_version: 1\nname: bad\ncreated: '0001-01-01T00:00:00+14:00'\npackage_version: ''\n"
    )
    first: SessionSummary = find_sessions(tmp_path)[0]
    assert first.name == "bad"
    assert first.time < 10**12


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": [2**31, 2**31]},
        {"shape": [20, 31]},
        {"shape": "all"},
        {"data_type": "float64"},
        {"data_type": "uint64"},
        {"chunk_grid": {"configuration": {"chunk_shape": [2**31, 2**31]}}},
        {"chunk_grid": {"configuration": {"chunk_shape": [0, 0]}}},
        {"chunk_grid": {"configuration": {"chunk_shape": [5]}}},
        {"chunk_grid": {"configuration": {"chunk_shape": ["a", 5]}}},
        {"codecs": []},
    ],
)
def test_a_description_of_other_chunks_is_damage(tmp_path: Path, fields: dict[str, object]) -> None:
    folder = layer_with(tmp_path / "layer")
    path = folder / "labels-1.zarr" / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    with pytest.raises(StorageError, match="damaged"):
        recover(folder)


def test_files_beside_the_chunks_are_not_taken_for_some(tmp_path: Path) -> None:
    folder = layer_with(tmp_path / "layer")
    writer = JournalWriter.open(folder)
    assert writer.compact()
    writer.close()
    (chunk,) = (path for path in (folder / "labels-1.zarr" / "c").rglob("*") if path.is_file())
    for name in ("9", "\u00b2", "x"):
        shutil.copy(chunk, chunk.with_name(name))
    found = recover(folder)
    assert (found.load()[3, 4], found.damage) == (7, [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
@pytest.mark.parametrize("harm", [pipe, endless, folder])
def test_a_chunk_that_is_no_file_is_damage_of_its_pixels(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    layer = layer_with(tmp_path / "layer")
    writer = JournalWriter.open(layer)
    assert writer.compact()
    writer.close()
    (chunk,) = (path for path in (layer / "labels-1.zarr" / "c").rglob("*") if path.is_file())
    harm(chunk)
    found = recover(layer)
    assert not found.load().any()
    assert len(found.damage) == 1
    assert "the labels at 0-19, 0-29 in it are lost" in found.damage[0]


def test_a_sparse_log_of_a_terabyte_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_tessera.io.journal import segments

    monkeypatch.setattr(segments, "_MOST_SEARCHED", 2**22)
    folder = layer_with(tmp_path / "layer")
    (log,) = folder.glob("log-*.bin")
    with log.open("r+b") as file:
        file.truncate(2**40)
    found = recover(folder)
    assert found.load()[10, 10] == 9
    assert len(found.damage) == 1


def test_a_layer_that_no_computer_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no computer holds"):
        LayerHeader(image_name="", layer_name="", shape=(2**31, 2**31), dtype="uint64")


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr"])
def test_a_layer_without_pixels_is_not_exported(tmp_path: Path, suffix: str) -> None:
    header = HEADER.model_copy(update={"shape": (0, 5)})
    JournalWriter.create(tmp_path / "layer", header).close()
    with pytest.raises(InvalidInputError, match="has no pixels"):
        export_labels(tmp_path / "layer", tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


def test_the_helper_writes_frames_that_are_read(tmp_path: Path) -> None:
    layer = layer_with(tmp_path / "layer", (BOX, next(encode_box((0, 0), BLOCK))))
    (log,) = layer.glob("log-*.bin")
    with log.open("rb") as file:
        file.seek(32)
        assert [read_frame(file, log)[0].number for _ in range(3)] == [1, 2, 3]
