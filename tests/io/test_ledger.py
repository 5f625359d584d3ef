from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.core import regions
from napari_tessera.core.errors import OutputExistsError
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.ledger import LEDGER, Fingerprint, Ledger, differences
from napari_tessera.io.write_units import WriteUnits

ONE = Fingerprint({"the image": "cells.tif", "precision": "float32"})
UNITS = 1000


def files(folder: Path) -> list[Path]:
    return sorted((folder / LEDGER).glob("*.units"))


def fill(folder: Path, units: list[int], fingerprint: Fingerprint = ONE) -> None:
    ledger = Ledger(folder, fingerprint, UNITS)
    ledger.record(units)
    ledger.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@given(units=st.lists(st.integers(0, UNITS - 1), max_size=30), runs=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_what_was_recorded_is_known(tmp_path_factory: pytest.TempPathFactory, units: list[int], runs: int) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    for run in range(runs):
        fill(folder, units[run::runs])
    assert Ledger(folder, ONE, UNITS).complete == set(units)


@given(units=st.sets(st.integers(0, UNITS - 1), min_size=1, max_size=20), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_makes_a_record(
    tmp_path_factory: pytest.TempPathFactory, units: set[int], data: st.DataObject
) -> None:
    """Cut anywhere, then with bytes changed, and with anything after it: what is found was recorded."""
    folder = tmp_path_factory.mktemp("ledger")
    fill(folder, sorted(units))
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    del content[data.draw(st.integers(0, len(content))) :]
    undamaged = len(content) // 16
    for _ in range(data.draw(st.integers(0, 4)) if content else 0):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content + data.draw(st.binary(max_size=40)))
    found = Ledger(folder, ONE, UNITS).complete
    assert found <= units
    assert len(found) >= undamaged - 4


def test_a_damaged_record_costs_its_own_unit_alone(folder: Path) -> None:
    fill(folder, [3, 5, 8])
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content[:-1])
    assert Ledger(folder, ONE, UNITS).complete == {3}


def test_records_of_another_run_do_not_count(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    fill(other, [1, 2], Fingerprint({**ONE.fields, "precision": "float16"}))
    fill(folder, [7])
    (strange,) = files(other)
    strange.rename(folder / LEDGER / strange.name)
    assert Ledger(folder, ONE, UNITS).complete == {7}


@pytest.mark.parametrize(
    ("fields", "units", "named"),
    [
        ({**ONE.fields, "precision": "float16"}, UNITS, "precision was float32 and is now float16"),
        ({"the image": "cells.tif"}, UNITS, "precision was float32 and is now nothing"),
        ({**ONE.fields, "new": [1, 2]}, UNITS, r"new was nothing and is now \[1, 2\]"),
        (ONE.fields, UNITS - 1, "the number of its parts"),
    ],
)
def test_what_differs_is_named(folder: Path, fields: dict[str, object], units: int, named: str) -> None:
    fill(folder, [1])
    with pytest.raises(OutputExistsError, match=rf"{named}.*--overwrite"):
        Ledger(folder, Fingerprint(fields), units)
    assert Ledger(folder, ONE, UNITS).complete == {1}


def test_many_differences_are_counted() -> None:
    before, now = ({f"field {at}": value for at in range(9)} for value in ("a" * 200, "b"))
    assert len(differences(before, now)) == 9
    assert all(len(each) < 120 for each in differences(before, now))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"schema_version": 1, "content": {}, "sha256": ""}'])
def test_a_damaged_plan_is_told_of(folder: Path, content: bytes) -> None:
    fill(folder, [1])
    (folder / LEDGER / "plan.json").write_bytes(content)
    with pytest.raises(OutputExistsError, match=r"damaged: begin anew with --overwrite"):
        Ledger(folder, ONE, UNITS)


def test_the_devices_of_earlier_runs_are_known(folder: Path) -> None:
    fill(folder, [1], Fingerprint(ONE.fields, "cuda"))
    fill(folder, [2])
    fill(folder, [], Fingerprint(ONE.fields, "mps"))  # which has written nothing
    assert Ledger(folder, ONE, UNITS).devices == {"cpu", "cuda"}


def test_what_the_image_decides_is_remembered_to_the_last_digit(folder: Path) -> None:
    value = {"low": [0.1 + 0.2, 1e-300], "high": [3.0, 2.0**53 + 2]}
    Ledger(folder, ONE, UNITS).remember("context", value)
    later = Ledger(folder, ONE, UNITS)
    assert later.recall("context") == value
    path = folder / LEDGER / "context.json"
    path.write_bytes(path.read_bytes().replace(b"3.0", b"4.0"))
    assert later.recall("context") is None
    assert later.recall("another") is None


class Stored:
    """An array that counts how often each pixel is written."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.array = np.zeros(shape, np.int32)
        self.times = np.zeros(shape, np.int32)

    def store(self, region: regions.Region, pixels: np.ndarray) -> None:
        self.array[region] = pixels
        self.times[region] += 1

    def load(self, region: regions.Region) -> np.ndarray:
        return self.array[region].copy()


lengths = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(shape=lengths, edges=lengths, tile=lengths, gather=st.booleans(), upto=st.floats(0, 1), data=st.data())
@settings(max_examples=150, deadline=None)
def test_units_are_stored_once_and_recorded_when_they_are_whole(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int],
    edges: tuple[int, int],
    tile: tuple[int, int],
    gather: bool,
    upto: float,
    data: st.DataObject,
) -> None:
    wanted = np.arange(1, shape[0] * shape[1] + 1, dtype=np.int32).reshape(shape)
    ledger = Ledger(tmp_path_factory.mktemp("ledger"), ONE, 1000)
    stored = Stored(shape)
    units = WriteUnits(
        shape, edges, wanted.dtype, store=stored.store, load=stored.load if gather else None, ledger=ledger
    )
    tiles = data.draw(st.permutations(list(TileGrid(shape, tile))))
    some = tiles[: round(upto * len(tiles))]
    for one in some:
        units.write(one.inner, wanted[one.inner])
    written = np.zeros(shape, bool)
    for one in some:
        written[one.inner] = True
    grid = TileGrid(shape, edges)
    assert ledger.complete == {unit.index for unit in grid if written[unit.inner].all()}
    for unit in grid:
        if unit.index in ledger.complete:
            assert (stored.array[unit.inner] == wanted[unit.inner]).all()
    assert all(units.holds(one.inner) for one in some if all(units.holds(unit.inner) for unit in grid))
    if len(some) == len(tiles):
        assert stored.times.max() == 1
    units.flush()
    assert (stored.array[written] == wanted[written]).all()
    assert not stored.array[~written].any()


@given(shape=lengths, edges=lengths, tiles=st.tuples(lengths, lengths), gather=st.booleans(), upto=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_a_run_with_other_tiles_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int],
    edges: tuple[int, int],
    tiles: tuple[tuple[int, int], tuple[int, int]],
    gather: bool,
    upto: float,
) -> None:
    """What is not complete is lost, as by a kill; tiles that reach into complete units leave those as they are."""
    wanted = np.arange(1, shape[0] * shape[1] + 1, dtype=np.int32).reshape(shape)
    folder = tmp_path_factory.mktemp("ledger")
    stored = Stored(shape)
    for tile, share in zip(tiles, (upto, 1), strict=True):
        ledger = Ledger(folder, ONE, 1000)
        before = stored.times.copy()
        units = WriteUnits(
            shape, edges, wanted.dtype, store=stored.store, load=stored.load if gather else None, ledger=ledger
        )
        grid = list(TileGrid(shape, tile))
        for one in grid[: round(share * len(grid))]:
            if not units.holds(one.inner):
                units.write(one.inner, wanted[one.inner])
        ledger.close()
    units.flush()
    np.testing.assert_array_equal(stored.array, wanted)
    assert len(Ledger(folder, ONE, 1000).complete) == len(TileGrid(shape, edges))
    if gather:
        assert (stored.times - before).max() <= 1


def test_what_does_not_fit_into_memory_is_stored_early_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tessera.io.write_units.GATHERED_BYTES", 1)
    wanted = np.arange(64, dtype=np.int32).reshape(8, 8)
    stored = Stored((8, 8))
    ledger = Ledger(tmp_path, ONE, 4)
    units = WriteUnits((8, 8), (4, 4), wanted.dtype, store=stored.store, load=stored.load, ledger=ledger)
    for row in range(8):
        units.write((slice(row, row + 1), slice(0, 8)), wanted[row : row + 1])
    units.flush()
    np.testing.assert_array_equal(stored.array, wanted)


def test_what_is_settled_is_complete(tmp_path: Path) -> None:
    stored = Stored((8, 8))
    ledger = Ledger(tmp_path, ONE, 4)
    units = WriteUnits((8, 8), (4, 4), stored.array.dtype, store=stored.store, load=stored.load, ledger=ledger)
    part = (slice(1, 3), slice(2, 6))
    units.write(part, np.ones((2, 4), np.int32))
    assert not units.holds(part)
    units.settle((slice(0, 4), slice(0, 8)))
    assert ledger.complete == {0, 1}
    assert units.holds(part)
    assert stored.array.sum() == 8
