"""The journal of a layer: what is written, what comes back, and what is said when that cannot be."""

import errno
import json
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pytest
import zarr

from napari_tessera.config.session import LayerHeader, LayerSpec
from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError
from napari_tessera.io.journal import chunks, frames, segments
from napari_tessera.io.journal.disk import DamageError, Disk
from napari_tessera.io.journal.exporting import export_labels
from napari_tessera.io.journal.plain_files import open_plain
from napari_tessera.io.journal.records import BoxRecord, MetadataRecord, PointsRecord, ReplaceRecord, WidenRecord
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.segments import glance
from napari_tessera.io.journal.writer import JournalWriter
from napari_tessera.io.opening import open_image


def header(shape: tuple[int, ...] = (40, 50), dtype: str = "uint16", **fields: Any) -> LayerHeader:
    axes = "tczyx"[-len(shape) :] if len(shape) < 4 else "tzyx"
    return LayerHeader(image_name="cells", layer_name="Labels", shape=shape, dtype=dtype, axes=axes, **fields)


def box(*edges: tuple[int, int]) -> tuple[slice, ...]:
    return tuple(slice(*edge) for edge in edges)


def stroke(value: int, rows: tuple[int, int] = (2, 5), dtype: str = "uint16") -> BoxRecord:
    return BoxRecord(box(rows, (3, 9)), np.full((rows[1] - rows[0], 6), value, dtype))


class FullDisk(Disk):
    """A disk on which `free` more bytes fit."""

    def __init__(self, free: int) -> None:
        self.free = free

    def write(self, file: BinaryIO, content: Any) -> None:
        fits = min(self.free, len(content))
        super().write(file, bytes(content)[:fits])
        self.free -= fits
        if fits < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_EDGE", 512)


def test_what_is_appended_comes_back_after_sync(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    assert writer.append(stroke(7)) == 1
    assert recover(tmp_path / "layer").last_sequence == 0
    writer.append(PointsRecord((np.array([0, -1]), np.array([1, -1])), np.array([3, 4])))
    writer.sync()
    recovered = recover(tmp_path / "layer")
    expected = np.zeros((40, 50), np.uint16)
    expected[2:5, 3:9], expected[0, 1], expected[-1, -1] = 7, 3, 4
    np.testing.assert_array_equal(recovered.load(), expected)
    assert recovered.dtype == np.uint16
    assert (recovered.last_sequence, recovered.torn, recovered.damage, recovered.complete) == (2, False, [], True)


def test_the_last_value_of_a_pixel_that_is_named_twice_holds_across_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MOST_POINTS", 2)
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(PointsRecord((np.array([4, 4, 5, 4]), np.array([6, 6, 6, 6])), np.array([1, 2, 3, 9])))
    writer.sync()
    assert recover(tmp_path / "layer").load()[4, 6] == 9


def test_a_mask_costs_bits_and_leaves_the_rest_of_its_box_alone(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 9, (1000, 1200)).astype(np.uint32)
    writer = JournalWriter.create(tmp_path / "layer", header(labels.shape, "uint32"), labels, private=True)
    writer.copy_base()
    mask = np.hypot(*np.ogrid[-1:1:900j, -1:1:900j]) < 1
    labels[50:950, 100:1000][mask] = 70000
    writer.append(BoxRecord(box((50, 950), (100, 1000)), np.array(70000), mask))
    assert writer.pending_bytes < 40_000
    values = np.arange(2).astype(np.uint8)
    labels[0, 1], labels[1, 0] = values
    writer.append(BoxRecord(box((0, 2), (0, 2)), values, np.array([[False, True], [True, False]])))
    writer.sync()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)
    assert writer.compact()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)


@pytest.mark.parametrize("seed", range(5))
def test_changes_of_many_frames_are_put_together_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(frames, "FRAME_BYTES", 60)
    monkeypatch.setattr(frames, "MOST_POINTS", 5)
    chance = np.random.default_rng(seed)
    labels = np.zeros((4, 9, 21), np.uint16)
    writer = JournalWriter.create(tmp_path / "layer", header(labels.shape))
    inner = box((1, 4), (0, 9), (2, 20))
    labels[inner] = chance.integers(0, 999, (3, 9, 18))
    writer.append(BoxRecord(inner, labels[inner].copy()))
    mask = chance.integers(0, 2, (3, 9, 18)).astype(bool)
    values = chance.integers(0, 999, int(mask.sum()))
    labels[inner][mask] = values
    writer.append(BoxRecord(inner, values, mask))
    points = tuple(chance.permutation(n)[:4].repeat(5) for n in labels.shape)
    labels[points] = np.arange(20)
    writer.append(PointsRecord(points, np.arange(20)))
    writer.sync()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)
    assert writer.compact()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)


def test_a_layer_can_be_read_while_its_writer_folds(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(1))
    writer.sync()
    early = recover(tmp_path / "layer")
    assert writer.compact()
    with pytest.raises(StorageError, match="again"):
        early.load()
    assert export_labels(tmp_path / "layer", tmp_path / "labels.tif").load().max() == 1


class LateDisk(Disk):
    """A disk that removes files when told to: its writer has said that they may go, and has not come to it yet."""

    def __init__(self) -> None:
        self.due: list[Path] = []

    def remove(self, path: Path) -> None:
        self.due.append(path)

    def go_on(self) -> None:
        while self.due:
            super().remove(self.due.pop())


@pytest.mark.parametrize("opened", [1, 2, 3])
def test_a_segment_that_goes_between_its_being_found_and_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: int
) -> None:
    disk = LateDisk()
    writer = JournalWriter.create(tmp_path / "layer", header(), disk=disk)
    writer.append(stroke(1))
    assert writer.compact()
    count = iter(range(1, 99))

    def late(path: Path) -> BinaryIO:
        if next(count) == opened:
            disk.go_on()
        return open_plain(path)

    monkeypatch.setattr(segments, "open_plain", late)
    found = recover(tmp_path / "layer")
    assert (found.damage, found.load().max()) == ([], 1)


@pytest.mark.parametrize("loaded", [1, 2, 3])
def test_metadata_that_are_folded_while_they_are_read_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: int
) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(MetadataRecord({"layer_name": "renamed"}))
    writer.sync()
    count, load = iter(range(1, 99)), LayerSpec.load

    def late(path: Path) -> LayerSpec:
        spec = load(path)
        if next(count) == loaded:
            writer.compact()
        return spec

    monkeypatch.setattr(LayerSpec, "load", late)
    assert recover(tmp_path / "layer").header.layer_name == "renamed"


class Growing:
    """A file that is appended to whenever its end is reached."""

    def __init__(self, file: BinaryIO, grow: Callable[[], Any]) -> None:
        self._file, self._grow = file, grow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            self._grow()
        return content


def test_a_log_that_grows_while_it_is_read_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(1))
    writer.sync()
    values = iter(range(2, 99))

    def grow() -> None:
        writer.append(stroke(next(values)))
        writer.sync()

    monkeypatch.setattr(segments, "open_plain", lambda path: Growing(open_plain(path), grow))
    found = recover(tmp_path / "layer")
    assert (found.damage, found.torn) == ([], False)
    monkeypatch.undo()
    assert found.load().max() == 1


@pytest.mark.parametrize("box", [None, box((0, 40), (0, 50))])
def test_chunks_that_are_replaced_while_they_are_read_are_no_zeros(tmp_path: Path, box: Any) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header(), np.full((40, 50), 3, np.uint16), private=True)
    writer.copy_base()
    early = recover(tmp_path / "layer")
    writer.append(ReplaceRecord(np.full((40, 50), 4, np.uint16), private=True))
    writer.copy_base()
    with pytest.raises(StorageError, match="again"):
        _ = early.load() if box is None else early.read(box)
    assert (recover(tmp_path / "layer").load() == 4).all()


def test_metadata_come_back_from_log_and_from_chunks(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header(scale=(0.5, 0.5), units=("micrometer", None)))
    changes = {
        "layer_name": "Zellkerne ñ",
        "scale": (0.25, 0.5),
        "translate": (1.0, 2.0),
        "classes": [{"id": 1, "name": "nucleus", "color": "#ff000080"}, {"id": 70000, "name": "", "color": None}],
        "extra": {"opacity": 0.5},
    }
    writer.append(MetadataRecord(changes))
    writer.sync()
    before = recover(tmp_path / "layer").header
    assert (before.layer_name, before.scale, before.classes[0].color) == ("Zellkerne ñ", (0.25, 0.5), "#ff000080")
    assert writer.compact()
    assert recover(tmp_path / "layer").header == before
    with pytest.raises(InvalidInputError, match="replace"):
        writer.append(MetadataRecord({"dtype": "uint8"}))
    with pytest.raises(InvalidInputError, match="scale"):
        writer.append(MetadataRecord({"scale": (1.0,)}))


@pytest.mark.parametrize(
    "record",
    [
        BoxRecord(box((38, 41), (0, 1)), np.zeros((3, 1), np.uint16)),
        BoxRecord(box((0, 2), (0, 2)), np.zeros((2, 3), np.uint16)),
        BoxRecord(box((0, 2)), np.zeros(2, np.uint16)),
        BoxRecord(box((0, 1), (0, 1)), np.full((1, 1), 70000)),
        BoxRecord(box((0, 1), (0, 1)), np.full((1, 1), -1)),
        BoxRecord(box((0, 1), (0, 1)), np.full((1, 1), 0.5)),
        BoxRecord(box((0, 1), (0, 3)), np.array([1, 2]), np.array([[True, True, True]])),
        BoxRecord(box((0, 1), (0, 3)), np.array(1), np.array([True, True, True])),
        PointsRecord((np.array([40]), np.array([0])), 1),
        PointsRecord((np.array([0]),), 1),
        PointsRecord((np.array([0, 1]), np.array([0, 1])), np.array([1, 2, 3])),
        WidenRecord("uint8"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_and_the_journal_goes_on(tmp_path: Path, record: Any) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    with pytest.raises(InvalidInputError):
        writer.append(stroke(1), record)
    assert writer.last_sequence == 0
    writer.append(stroke(2))
    writer.sync()
    assert recover(tmp_path / "layer").load()[2, 3] == 2


def test_nothing_at_all_is_an_action_of_no_length(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    assert writer.append(BoxRecord(box((4, 4), (0, 5)), np.zeros((0, 5), np.uint16))) == 0
    assert writer.append(PointsRecord((np.array([], int), np.array([], int)), 3)) == 0
    writer.sync()
    assert segments.segment_paths(tmp_path / "layer") == []


def test_labels_of_signed_and_boolean_types(tmp_path: Path) -> None:
    for dtype, value in (("int8", -5), ("int64", -(2**40)), ("uint64", 2**63 + 1), ("bool", 1)):
        writer = JournalWriter.create(tmp_path / dtype, header(dtype=dtype))
        writer.append(BoxRecord(box((0, 1), (0, 2)), np.array([[value, 0]], dtype)))
        writer.sync()
        assert recover(tmp_path / dtype).load()[0, 0] == value
        assert writer.compact()
        recovered = recover(tmp_path / dtype).load()
        assert recovered[0, 0] == value
        assert recovered.dtype == dtype


def test_folding_writes_chunks_that_any_program_reads_and_only_those_that_were_touched(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header((5, 1200, 1100), "uint32"))
    labels = np.random.default_rng(0).integers(0, 4, (1, 90, 700)).astype(np.uint32)
    writer.append(BoxRecord(box((3, 4), (500, 590), (300, 1000)), labels))
    writer.append(BoxRecord(box((0, 1), (0, 5), (0, 5)), np.ones((1, 5, 5), np.uint32)))
    assert writer.compact()
    store = tmp_path / "layer" / "labels-1.zarr"
    written = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    assert written == {"zarr.json", "c/0/0/0", "c/3/0/0", "c/3/0/1", "c/3/1/0", "c/3/1/1"}
    array = zarr.open_array(str(store), mode="r")
    np.testing.assert_array_equal(array[3, 500:590, 300:1000], labels[0])
    np.testing.assert_array_equal(array[:], recover(tmp_path / "layer").load())
    assert open_image(store).axes == "zyx"
    assert segments.segment_paths(tmp_path / "layer") == []

    writer.append(BoxRecord(box((0, 1), (0, 5), (0, 5)), np.zeros((1, 5, 5), np.uint32)))
    assert writer.compact()
    assert not (store / "c/0/0/0").exists()  # all zero again


def test_folding_stops_when_asked_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header((4, 600, 600)))
    for z in range(4):
        writer.append(BoxRecord(box((z, z + 1), (0, 600), (0, 600)), np.full((1, 600, 600), z + 1)))
    calls = 0
    while not writer.compact(lambda: True):
        calls += 1
        writer.append(BoxRecord(box((0, 1), (0, 1), (0, 1)), np.full((1, 1, 1), calls)))
        writer.sync()
    assert calls > 16
    labels = recover(tmp_path / "layer").load()
    assert labels[0, 0, 0] == calls
    assert [int(plane[5, 5]) for plane in labels] == [1, 2, 3, 4]


def test_strokes_while_the_array_is_copied_are_over_whatever_the_copy_caught(tmp_path: Path) -> None:
    live = np.zeros((1100, 600), np.uint16)
    live[:, :50] = 5
    writer = JournalWriter.create(tmp_path / "layer", header(live.shape), live)
    assert not recover(tmp_path / "layer").complete
    value = 10
    while writer.copying:
        writer.copy_base(lambda: True)
        live[:, value] = value  # both in chunks that are copied and in chunks that are not
        writer.append(BoxRecord(box((0, 1100), (value, value + 1)), live[:, value : value + 1].copy()))
        value += 1
    assert value > 13
    writer.end_base()
    recovered = recover(tmp_path / "layer")
    assert recovered.complete
    np.testing.assert_array_equal(recovered.load(), live)
    assert writer.compact()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), live)


def test_the_array_before_holds_until_the_new_one_is_copied(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(1))
    new = np.full((3, 600, 600), 4, np.uint8)
    writer.append(ReplaceRecord(new, changes={"axes": "zyx", "scale": (2.0, 1.0, 1.0)}))
    writer.append(BoxRecord(box((0, 1), (0, 1), (0, 1)), np.full((1, 1, 1), 9)))
    writer.sync()
    old = recover(tmp_path / "layer")
    assert (old.shape, old.load().max()) == ((40, 50), 1)
    writer.copy_base()
    assert recover(tmp_path / "layer").shape == (40, 50)
    writer.end_base()
    after = recover(tmp_path / "layer")
    assert (after.shape, after.dtype, after.header.axes, after.header.scale) == (
        (3, 600, 600),
        np.uint8,
        "zyx",
        (2.0, 1.0, 1.0),
    )
    assert after.load()[0, 0, :2].tolist() == [9, 4]
    assert [path.name for path in (tmp_path / "layer").glob("*.zarr")] == ["labels-2.zarr"]


def test_an_array_that_was_not_copied_as_a_whole_leaves_no_trace_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)  # every sync begins a segment
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(1))
    writer.sync()
    writer.append(ReplaceRecord(np.ones((9, 9), np.uint8)))
    for value in range(5):
        writer.append(BoxRecord(box((0, 1), (0, 1)), np.full((1, 1), value)))
        writer.sync()
    again = JournalWriter.open(tmp_path / "layer")
    assert again.header.shape == (40, 50)
    again.append(stroke(2))
    again.sync()
    recovered = recover(tmp_path / "layer")
    assert (recovered.shape, recovered.load()[2, 3], recovered.damage) == ((40, 50), 2, [])
    assert again.compact()
    assert recover(tmp_path / "layer").load()[2, 3] == 2


def test_zeros_in_place_of_the_array_need_no_copy_of_ours(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(1), ReplaceRecord(None), MetadataRecord({"layer_name": "emptied"}))
    assert writer.copy_base()
    recovered = recover(tmp_path / "layer")
    assert (recovered.header.layer_name, int(recovered.load().max())) == ("emptied", 0)


def test_wider_labels_cost_no_copy_until_they_are_folded(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header(dtype="uint8"))
    writer.append(stroke(200, dtype="uint8"))
    assert writer.compact()
    writer.append(WidenRecord("uint32"), BoxRecord(box((0, 1), (0, 1)), np.full((1, 1), 70000)))
    writer.sync()
    for _ in range(2):
        labels = recover(tmp_path / "layer").load()
        assert (labels.dtype, labels[0, 0], labels[2, 3]) == (np.uint32, 70000, 200)
        assert JournalWriter.open(tmp_path / "layer").header.dtype == "uint32"
        assert writer.compact()
    assert [path.name for path in (tmp_path / "layer").glob("*.zarr")] == ["labels-2.zarr"]


def test_large_empty_layers_are_adopted_without_memory_or_disk(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    labels = np.zeros((20_000, 20_000), np.uint32)
    labels[12_345, 6_789] = 3
    process = psutil.Process()
    before = process.memory_info().rss
    writer = JournalWriter.create(tmp_path / "layer", header(labels.shape, "uint32"), labels)
    writer.copy_base()
    writer.end_base()
    assert process.memory_info().rss - before < 60e6
    assert len([path for path in (tmp_path / "layer").rglob("*") if path.is_file()]) == 3  # one chunk
    recovered = recover(tmp_path / "layer").load()
    assert recovered[12_345, 6_789] == 3
    assert process.memory_info().rss - before < 120e6


def test_a_full_disk_costs_nothing_once_there_is_room_again(tmp_path: Path) -> None:
    disk = FullDisk(10**6)
    writer = JournalWriter.create(tmp_path / "layer", header(), disk=disk)
    writer.append(stroke(1))
    writer.sync()
    disk.free = 40  # not even the head of one more record and its values
    for value in (2, 3):
        writer.append(stroke(value, (value, value + 3)))
        with pytest.raises(StorageError, match=r"disk is full.*free space"):
            writer.sync()
        assert recover(tmp_path / "layer").load().max() == 1
    assert writer.pending_bytes > 0
    with pytest.raises(StorageError, match="full"):
        writer.compact()
    disk.free = 10**6
    writer.append(stroke(4, (4, 7)))
    writer.sync()
    assert writer.pending_bytes == 0
    recovered = recover(tmp_path / "layer")
    assert (recovered.last_sequence, recovered.damage) == (4, [])
    assert recovered.load()[:8, 3].tolist() == [0, 0, 2, 3, 4, 4, 4, 0]


def test_a_disk_that_fills_while_folding_or_copying_costs_nothing(tmp_path: Path) -> None:
    disk = FullDisk(10**7)
    writer = JournalWriter.create(tmp_path / "layer", header((1100, 1100)), disk=disk)
    noise = np.random.default_rng(0).integers(0, 9, (1100, 1100))
    writer.append(BoxRecord(box((0, 1100), (0, 1100)), noise))
    writer.sync()
    disk.free = 10**5
    with pytest.raises(StorageError, match="full"):
        writer.compact()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), noise)
    disk.free = 0
    writer.append(ReplaceRecord(noise + 1, private=True))
    with pytest.raises(StorageError, match="full"):
        writer.copy_base()
    disk.free = 10**7
    assert writer.copy_base()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), noise + 1)
    assert not list((tmp_path / "layer").rglob("*.new"))


def test_a_sync_that_fails_is_written_again_elsewhere(tmp_path: Path) -> None:
    """After a failed fsync the system may have dropped what it could not write: the same file proves nothing more."""

    class Failing(Disk):
        fails = False

        def sync(self, file: BinaryIO) -> None:
            if self.fails:
                raise OSError(errno.EIO, "Input/output error")
            super().sync(file)

    disk = Failing()
    writer = JournalWriter.create(tmp_path / "layer", header(), disk=disk)
    writer.append(stroke(1))
    writer.sync()
    writer.append(stroke(2))
    disk.fails = True
    with pytest.raises(StorageError, match="Input/output error"):
        writer.sync()
    disk.fails = False
    writer.sync()
    assert [segments.first_number(path) for path in segments.segment_paths(tmp_path / "layer")] == [1, 2]
    assert recover(tmp_path / "layer").load()[2, 3] == 2


def test_a_folder_that_may_not_be_written_any_more(tmp_path: Path) -> None:
    class ReadOnly(Disk):
        allowed = True

        def create(self, path: Path) -> BinaryIO:
            if not self.allowed:
                raise PermissionError(errno.EACCES, "Permission denied")
            return super().create(path)

    disk = ReadOnly()
    writer = JournalWriter.create(tmp_path / "layer", header(), disk=disk)
    disk.allowed = False
    writer.append(stroke(1))
    for attempt in (writer.sync, writer.compact):
        with pytest.raises(StorageError, match=r"Permission denied.*make it writable"):
            attempt()
    assert recover(tmp_path / "layer").load().max() == 0
    with pytest.raises(StorageError, match="choose another folder"):
        JournalWriter.create(tmp_path / "other", header(), disk=disk)
    disk.allowed = True
    writer.sync()
    assert recover(tmp_path / "layer").load().max() == 1


def test_damage_in_the_middle_is_reported_and_what_lies_before_it_is_kept(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    sizes = []
    for value in (1, 2, 3):
        writer.append(stroke(value, (value, value + 3)))
        writer.sync()
        sizes.append(writer.log_bytes)
    (path,) = segments.segment_paths(tmp_path / "layer")
    content = bytearray(path.read_bytes())
    content[sizes[0] + 40] ^= 1
    path.write_bytes(content)
    recovered = recover(tmp_path / "layer")
    assert recovered.load().max() == 1
    assert len(recovered.damage) == 1
    assert "damaged after record 1" in recovered.damage[0]
    again = JournalWriter.open(tmp_path / "layer")
    assert (tmp_path / "layer" / f"damaged-{path.name}").read_bytes() == content
    again.append(stroke(9))
    again.sync()
    assert again.compact()
    recovered = recover(tmp_path / "layer")
    assert (recovered.damage, recovered.load().max()) == ([], 9)
    assert (tmp_path / "layer" / f"damaged-{path.name}").exists()


def test_a_missing_segment_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)
    writer = JournalWriter.create(tmp_path / "layer", header())
    for value in (1, 2, 3):
        writer.append(stroke(value))
        writer.sync()
    segments.segment_paths(tmp_path / "layer")[1].unlink()
    recovered = recover(tmp_path / "layer")
    assert recovered.load().max() == 1
    assert len(recovered.damage) == 1


@pytest.mark.parametrize("at", [0.01, 0.3, 0.6, 0.99])
def test_a_flipped_bit_in_a_chunk_is_noticed_and_the_rest_is_there(tmp_path: Path, at: float) -> None:
    labels = np.random.default_rng(0).integers(1, 900, (600, 1100)).astype(np.uint16)
    writer = JournalWriter.create(tmp_path / "layer", header(labels.shape), labels, private=True)
    writer.copy_base()
    writer.close()
    chunk = tmp_path / "layer" / "labels-1.zarr" / "c" / "0" / "1"
    content = bytearray(chunk.read_bytes())
    content[int(at * len(content))] ^= 4
    chunk.write_bytes(content)
    recovered = recover(tmp_path / "layer")
    labels[:512, 512:1024] = 0
    np.testing.assert_array_equal(recovered.load(), labels)
    assert len(recovered.damage) == 1
    assert "0-511, 512-1023" in recovered.damage[0]
    again = JournalWriter.open(tmp_path / "layer")
    again.append(BoxRecord(box((0, 5), (510, 520)), np.full((5, 10), 3, np.uint16)))
    with pytest.raises(StorageError, match="damaged"):  # folding over it would hide it
        again.compact()
    again.close()
    labels[0:5, 510:520] = 3
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)


def test_layers_of_the_first_version_have_no_checksums_and_are_gone_on_with(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 900, (40, 50)).astype(np.uint16)
    writer = JournalWriter.create(tmp_path / "layer", header(), labels, private=True)
    writer.copy_base()
    writer.close()
    store = tmp_path / "layer" / "labels-1.zarr"
    description = json.loads((store / "zarr.json").read_text())
    assert description["codecs"].pop() == {"name": "crc32c"}
    (store / "zarr.json").write_text(json.dumps(description))
    chunk = store / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-4])
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)
    again = JournalWriter.open(tmp_path / "layer")
    again.append(stroke(7))
    again.sync()
    assert again.compact()
    labels[2:5, 3:9] = 7
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[:], labels)
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)


def test_an_array_that_was_not_copied_as_a_whole_leaves_what_was_there_before_and_is_told(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header((600, 1100)))
    writer.append(stroke(7))
    writer.append(MetadataRecord({"layer_name": "renamed"}))
    writer.sync()
    assert glance(tmp_path / "layer", 0).replaced is None
    before = recover(tmp_path / "layer").load()
    began = time.time()
    other = np.ones((600, 1100), np.uint16)
    writer.append(ReplaceRecord(other))
    assert not writer.copy_base(lambda: True)
    writer.append(stroke(9))
    writer.append(MetadataRecord({"layer_name": "later"}))
    writer.sync()  # and here it ends
    recovered = recover(tmp_path / "layer")
    np.testing.assert_array_equal(recovered.load(), before)
    assert recovered.complete
    assert recovered.replaced is not None
    assert began <= recovered.replaced <= time.time()
    seen = glance(tmp_path / "layer", 0)
    assert (seen.replaced, seen.changes) == (recovered.replaced, {"layer_name": "renamed"})
    again = JournalWriter.open(tmp_path / "layer")
    again.append(stroke(8, (6, 9)))
    again.sync()  # the number of the array is given to something else
    assert recover(tmp_path / "layer").replaced is None
    assert glance(tmp_path / "layer", 0).replaced is None
    assert again.compact()
    again.append(ReplaceRecord(other, private=True))
    again.copy_base()
    again.close()
    assert recover(tmp_path / "layer").replaced is None
    assert glance(tmp_path / "layer", LayerSpec.load(tmp_path / "layer" / "layer.yaml").folded).replaced is None


def test_a_damaged_chunk_is_reported_and_the_others_are_there(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header((600, 600)))
    writer.append(BoxRecord(box((0, 600), (0, 600)), np.ones((600, 600), int)))
    assert writer.compact()
    chunk = tmp_path / "layer" / "labels-1.zarr" / "c" / "0" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    recovered = recover(tmp_path / "layer")
    labels = recovered.load()
    assert (labels[0, 0], labels[0, 599]) == (1, 0)
    assert len(recovered.damage) == 1
    assert str(chunk) in recovered.damage[0]


def flip_a_bit(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("links", [True, False])
def test_a_damaged_chunk_is_kept_when_the_array_is_written_anew(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.random.default_rng(0).integers(1, 900, (600, 1100)).astype(np.uint16)
    writer = JournalWriter.create(tmp_path / "layer", header(labels.shape), labels, private=True)
    writer.copy_base()
    writer.close()
    content = flip_a_bit(tmp_path / "layer" / "labels-1.zarr" / "c" / "0" / "1")
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    recovered = recover(tmp_path / "layer")
    assert recovered.keep_damaged() is None  # none was met
    left = recovered.load()
    kept = recovered.keep_damaged()
    assert kept == tmp_path / "layer" / "damaged-labels-1.zarr"
    assert recovered.keep_damaged() == kept  # twice does no harm
    again = JournalWriter.open(tmp_path / "layer")
    again.append(ReplaceRecord(left, private=True))
    again.copy_base()
    again.close()
    assert not (tmp_path / "layer" / "labels-1.zarr").exists()
    assert recover(tmp_path / "layer").damage == []
    assert (kept / "c" / "0" / "1").read_bytes() == content
    assert sorted(path.name for path in kept.rglob("*") if path.is_file()) == ["1", "zarr.json"]
    assert zarr.open_array(kept, mode="r").shape == labels.shape


def test_a_full_disk_on_which_a_damaged_chunk_cannot_be_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.random.default_rng(0).integers(1, 900, (40, 50)).astype(np.uint16)
    writer = JournalWriter.create(tmp_path / "layer", header(), labels, private=True)
    writer.copy_base()
    writer.close()
    flip_a_bit(tmp_path / "layer" / "labels-1.zarr" / "c" / "0" / "0")
    recovered = recover(tmp_path / "layer")
    recovered.load()
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    with pytest.raises(StorageError, match="full"):
        recovered.keep_damaged(FullDisk(0))


def test_folding_refuses_a_log_that_is_damaged_and_leaves_it(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(7))
    writer.append(stroke(8, (20, 30)))
    writer.sync()
    (log,) = (tmp_path / "layer").glob("log-*.bin")
    content = bytearray(log.read_bytes())
    content[-3] ^= 4
    log.write_bytes(content)
    with pytest.raises(DamageError, match="damaged"):
        writer.compact()
    assert log.read_bytes() == content
    labels = np.zeros((40, 50), np.uint16)
    labels[2:5, 3:9], labels[20:30, 3:9] = 7, 8
    writer.append(ReplaceRecord(labels, private=True))
    writer.copy_base()
    writer.close()
    np.testing.assert_array_equal(recover(tmp_path / "layer").load(), labels)
    assert recover(tmp_path / "layer").damage == []


def test_a_journal_of_a_newer_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    writer = JournalWriter.create(tmp_path / "layer", header())
    writer.append(stroke(1))
    writer.close()
    (path,) = segments.segment_paths(tmp_path / "layer")
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, 8, segments.LOG_VERSION + 1)
    struct.pack_into("<I", content, 24, zlib.crc32(content[:24]))
    path.write_bytes(content)
    for use in (recover, JournalWriter.open):
        with pytest.raises(InvalidInputError, match="update"):
            use(tmp_path / "layer")
    assert path.read_bytes() == content
    writer = JournalWriter.create(tmp_path / "kind", header())
    writer._log.append(frames.encode_frame(7, b"", 1, 0, last=True))
    writer.sync()
    with pytest.raises(InvalidInputError, match="update"):
        recover(tmp_path / "kind")
    description = tmp_path / "layer" / "layer.yaml"
    now, text = LayerSpec.current_version, description.read_text()
    description.write_text(text.replace(f"schema_version: {now}", f"schema_version: {now + 1}"))
    with pytest.raises(InvalidInputError, match="update napari-tessera"):
        recover(tmp_path / "layer")


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        recover(tmp_path)
    JournalWriter.create(tmp_path / "layer", header())
    with pytest.raises(InvalidInputError, match="another folder"):
        JournalWriter.create(tmp_path / "layer", header())
    with pytest.raises(InvalidInputError, match="shape"):
        JournalWriter.create(tmp_path / "other", header(), np.zeros((1, 1), np.uint16))


@pytest.mark.parametrize("name", ["labels.tif", "labels.ome.zarr", "labels.npy"])
def test_labels_are_exported_with_their_calibration(tmp_path: Path, name: str) -> None:
    writer = JournalWriter.create(
        tmp_path / "layer",
        header((2, 600, 700), scale=(2.0, 0.5, 0.5), units=(None, "micrometer", "micrometer"), classes=({"id": 1},)),
    )
    labels = np.random.default_rng(0).integers(0, 9, (1, 600, 30))
    writer.append(BoxRecord(box((1, 2), (0, 600), (500, 530)), labels))
    assert writer.compact()
    writer.append(BoxRecord(box((0, 1), (3, 4), (3, 4)), np.full((1, 1, 1), 77)))
    writer.sync()
    exported = export_labels(tmp_path / "layer", tmp_path / name)
    image = open_image(tmp_path / name)
    np.testing.assert_array_equal(image.read(image.spec.full_region), exported.load())
    assert exported.load()[0, 3, 3] == 77
    if name != "labels.npy":
        assert image.scale == (2.0, 0.5, 0.5)
        assert image.axes == "zyx"


GOLDEN = Path(__file__).parent / "golden" / "journal-v1"


def test_a_journal_of_version_1_keeps_its_meaning() -> None:
    """Do not regenerate this folder once a release has written such: it stands for those that users have."""
    recovered = recover(GOLDEN)
    expected = np.zeros((3, 6), np.uint16)
    expected[0, 0:3], expected[2, 5], expected[1, 1] = 300, 2, 1
    expected[1, 3], expected[2, 4] = 5, 6
    np.testing.assert_array_equal(recovered.load(), expected)
    assert recovered.header.layer_name == "Kerne"
    assert recovered.header.classes[0].name == "nucleus"
    assert recovered.header.scale == (0.5, 0.25)
    assert recovered.last_sequence == 6
    assert LayerSpec.load(GOLDEN / "layer.yaml").folded == 1
    assert json.loads((GOLDEN / "labels-1.zarr" / "zarr.json").read_bytes())["zarr_format"] == 3
