"""Whatever happens to program, disk or single bytes: what comes back is the layer as it was after some action."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from journal_model import ACTIONS, WEIGHTS, Annotator, Killed, MortalDisk, Snapshot

from napari_tessera.io.journal import chunks, frames, segments
from napari_tessera.io.journal.recovery import Recovered, recover
from napari_tessera.io.journal.writer import JournalWriter

SEEDS = st.integers(0, 2**32 - 1)
PLANS = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=25)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture(autouse=True, scope="module")
def _small_units() -> Iterator[None]:
    """Make one action several frames, a log several segments, and a layer many chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "FRAME_BYTES", 60)
        patch.setattr(frames, "MOST_POINTS", 3)
        patch.setattr(segments, "SEGMENT_BYTES", 700)
        patch.setattr(chunks, "CHUNK_EDGE", 4)
        yield


@given(seed=SEEDS, moment=st.floats(0, 1), power=st.booleans())
@settings(max_examples=60, phases=NO_SHRINKING)
def test_a_crash_at_any_write_leaves_the_layer_as_it_was_after_an_action(seed: int, moment: float, power: bool) -> None:
    _crash_and_go_on(seed, moment, power=power)


@pytest.mark.long  # minutes of what the test before does in seconds
@given(seed=SEEDS, moment=st.floats(0, 1), power=st.booleans())
@settings(max_examples=250, phases=NO_SHRINKING)
def test_many_crashes(seed: int, moment: float, power: bool) -> None:
    _crash_and_go_on(seed, moment, power=power)


def _crash_and_go_on(seed: int, moment: float, *, power: bool) -> None:
    plan = [str(what) for what in np.random.default_rng(seed).choice(ACTIONS, 30, p=WEIGHTS)]
    with tempfile.TemporaryDirectory() as home:
        undisturbed = _begin(Path(home) / "undisturbed", seed)
        first = undisturbed.disk.count
        for what in plan:
            undisturbed.act(what)

        annotator = _begin(Path(home) / "layer", seed)
        annotator.disk.fatal = first + 1 + int(moment * (undisturbed.disk.count - first))
        try:
            for what in plan:
                annotator.act(what)
        except Killed:
            pass
        if power:
            annotator.disk.lose_power()
        recovered = annotator.check()

        second = _go_on(annotator.folder, recovered, seed)
        for what in plan[:8]:
            second.act(what)
        second.disk.lose_power()
        second.check()


def _begin(folder: Path, seed: int) -> Annotator:
    return Annotator.begin(folder, MortalDisk(None, np.random.default_rng(seed)), np.random.default_rng(seed))


def _go_on(folder: Path, recovered: Recovered, seed: int) -> Annotator:
    disk = MortalDisk(None, np.random.default_rng(seed))
    writer = JournalWriter.open(folder, disk=disk)
    name = recovered.header.layer_name
    return Annotator.of(folder, disk, np.random.default_rng(seed), writer, recovered.load(), name)


def _written(home: str, plan: list[str], seed: int) -> tuple[Path, list[Snapshot]]:
    annotator = _begin(Path(home) / "layer", seed)
    for what in plan:
        annotator.act(what)
    annotator.writer.close()
    return annotator.folder, annotator.states


LOGGED = st.lists(st.sampled_from(("stroke", "brush", "points", "rename", "widen", "sync")), min_size=1, max_size=12)


@given(plan=LOGGED, seed=SEEDS, where=st.floats(0, 1))
def test_a_log_that_is_cut_off_anywhere_gives_an_earlier_state(plan: list[str], seed: int, where: float) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder, states = _written(home, plan, seed)
        paths = segments.segment_paths(folder)
        if paths:
            with paths[-1].open("rb+") as file:
                file.truncate(int(where * paths[-1].stat().st_size))
        recovered = recover(folder)
        assert any(state.is_that_of(recovered) for state in states)
        assert recovered.damage == []


@settings(phases=NO_SHRINKING)
@given(plan=LOGGED, seed=SEEDS, where=st.floats(0, 1), bits=st.integers(1, 255), further=LOGGED)
def test_a_flipped_byte_costs_what_lies_behind_it_and_is_reported(
    plan: list[str], seed: int, where: float, bits: int, further: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder, states = _written(home, plan, seed)
        whole = recover(folder)
        paths = segments.segment_paths(folder)
        content = b"".join(path.read_bytes() for path in paths)
        at = min(int(where * len(content)), len(content) - 1)
        for path in paths:
            size = path.stat().st_size
            if 0 <= at < size:
                changed = bytearray(path.read_bytes())
                changed[at] ^= bits
                path.write_bytes(bytes(changed))
            at -= size
        recovered = recover(folder)
        assert any(state.is_that_of(recovered) for state in states)
        if recovered.last_sequence < whole.last_sequence:
            assert recovered.damage or recovered.torn

        annotator = _go_on(folder, recovered, seed)
        assert bool(recovered.damage) == bool(list(folder.glob("damaged-*")))
        for what in [*further, "stroke", "sync"]:  # damage is told until something has been written over it
            annotator.act(what)
        assert annotator.check().last_sequence == annotator.writer.last_sequence
        assert annotator.states[-1].is_that_of(recover(folder))


@given(plan=PLANS, seed=SEEDS)
def test_parts_are_those_of_the_whole(plan: list[str], seed: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder, _ = _written(home, plan, seed)
        recovered = recover(folder)
        whole = recovered.load()
        chance = np.random.default_rng(seed)
        start = [int(chance.integers(0, n + 1)) for n in whole.shape]
        region = tuple(slice(a, int(chance.integers(a, n + 1))) for a, n in zip(start, whole.shape, strict=True))
        assert np.array_equal(recovered.read(region), whole[region])
