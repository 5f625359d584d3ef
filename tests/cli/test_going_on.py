"""A run that was killed goes on where it stopped when its command is given again, with the same bytes in the end."""

import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is known elsewhere")

CHILD = Path(__file__).with_name("killed_child.py")


def run_child(folder: Path, last: int, arguments: list[object]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), str(folder), str(last), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def content(path: Path) -> dict[str, bytes]:
    """Return all files of an output by name."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


@pytest.fixture
def model(call, train_arguments, tmp_path):
    assert call(*train_arguments).status == 0
    return tmp_path / "model"


@pytest.fixture
def image(tmp_path):
    """An image whose prediction consists of nine chunks."""
    rng = np.random.default_rng(4)
    np.save(tmp_path / "in.npy", rng.integers(0, 400, (1040, 1100), dtype=np.uint16))
    return tmp_path / "in.npy"


@dataclass(frozen=True)
class Work:
    """A command with a place for its output, and what can be told of how far it came."""

    arguments: tuple[object, ...]
    others: tuple[object, ...]
    suffix: str
    in_flight: int
    """Chunks that may be written again."""

    def command(self, out: Path, *, other: bool = False) -> list[object]:
        return [*self.arguments, out, *(self.others if other else ())]


@pytest.fixture
def predicting(model, image):
    return Work(("predict", model, image), ("--tile", "160"), ".ome.zarr", in_flight=1)


FAMILIES = {
    "local": ("median", "--size", "3"),
    "fitted": ("otsu",),
    "connected": ("remove_small", "--size", "3"),
    "mapped": ("rotate90",),
    "global": ("low_pass", "--axes", "tyx"),
    "paged": ("grow_regions", "--axes", "tyx"),
}


@pytest.fixture
def applying(request, image, tmp_path):
    """An operation of some family in two threads, each tile of which is a chunk; frames of a series where need be."""
    operation, *options = FAMILIES[request.param]
    if "tyx" in options:
        series = np.load(image)[:1040, :1000].reshape(4, 520, 500)
        image = tmp_path / "series.npy"
        np.save(image, series)
    if operation == "grow_regions":
        seeds = tmp_path / "seeds.csv"
        seeds.write_text("axis-0,axis-1\n100,100\n510,490\n")
        options += ["--input", f"seeds={seeds}"]
    command = ("apply", operation, *options, "--threads", "2", "--tile", "512", image)
    return Work(command, ("--tile", "200", "--threads", "1"), ".ome.zarr", in_flight=4)


def check_kills(call, work: Work, tmp_path: Path, times: int, seed: int = 11) -> None:
    """Kill a run in so many places; see that it goes on, and that no more is done again than was being done."""
    whole = tmp_path / "whole" / f"out{work.suffix}"
    told = run_child(whole.parent, 0, work.command(whole))
    assert told.returncode == 0, told.stderr
    steps = int(told.stdout.splitlines()[-1])
    drawn = random.Random(seed)
    for time in range(times):
        last = drawn.randint(1, steps)
        out = tmp_path / f"killed-{time}" / f"out{work.suffix}"
        killed = run_child(out.parent, last, work.command(out))
        if killed.returncode == 0:  # threads do not do equally many things each time
            continue
        assert killed.returncode == -signal.SIGKILL, (last, killed.stderr)
        partial = out.with_name(f"{out.name}.partial")
        before = chunks_in(partial)
        if not out.exists():
            done = call(*work.command(out, other=time % 2 == 1))
            assert done.status == 0, (last, done.err)
            after = chunks_in(out)
            again = [name for name, state in before.items() if after[name] != state]
            assert len(again) <= work.in_flight, (last, again)
        assert call(*work.command(out)).status == 1  # it is there; what is left of the run is removed
        assert content(out) == content(whole), (last, steps, before)
        assert [entry.name for entry in out.parent.iterdir()] == [out.name], last


def chunks_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what changes when a chunk is written again, for each that there is of the full level."""
    found = [path for path in (folder / "0" / "c").rglob("*") if path.is_file() and path.suffix != ".partial"]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


@pytest.mark.slow
def test_a_killed_prediction_goes_on(call, predicting, tmp_path):
    check_kills(call, predicting, tmp_path, 3)


@pytest.mark.slow
@pytest.mark.parametrize("applying", FAMILIES, indirect=True)
def test_a_killed_operation_goes_on(call, applying, tmp_path):
    check_kills(call, applying, tmp_path, 2)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_killed_prediction_goes_on_wherever(call, predicting, tmp_path):
    check_kills(call, predicting, tmp_path, 50)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("applying", FAMILIES, indirect=True)
def test_a_killed_operation_goes_on_wherever(call, applying, tmp_path):
    check_kills(call, applying, tmp_path, 50)
