"""A run that was killed goes on where it stopped when its command is given again, with the same bytes in the end."""

import errno
import itertools
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import napari_tessera as nt
from napari_tessera.config.recipe import InputIdentity
from napari_tessera.core.locks import lock_file
from napari_tessera.io.write_units import WriteUnits
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.predicting import pixel_predictors
from napari_tessera.pipeline.recipes.recording import record

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


FILES = ["local.tif", "local.npy", "fitted.tif", "local.sharded"]


@pytest.fixture
def applying(request, image, tmp_path):
    """An operation of some family in two threads, each tile of which is a chunk; frames of a series where need be."""
    family, *suffix = request.param.partition(".")
    operation, *options = FAMILIES[family]
    if "tyx" in options:
        series = np.load(image)[:1040, :1000].reshape(4, 520, 500)
        image = tmp_path / "series.npy"
        np.save(image, series)
    if operation == "grow_regions":
        seeds = tmp_path / "seeds.csv"
        seeds.write_text("axis-0,axis-1\n100,100\n510,490\n")
        options += ["--input", f"seeds={seeds}"]
    if suffix == [".", "sharded"]:  # nine chunks in four shards, each of which is written once
        options, suffix = [*options, "--shard", "1024"], []
    command = ("apply", operation, *options, "--threads", "2", "--tile", "512", image)
    return Work(command, ("--tile", "200", "--threads", "1"), "".join(suffix) or ".ome.zarr", in_flight=4)


@pytest.fixture
def predicting_shards(predicting):
    return replace(predicting, arguments=(predicting.arguments[0], "--shard", "1024", *predicting.arguments[1:]))


@pytest.fixture
def replaying(image, tmp_path):
    """A recipe of two steps; the result of the first is made anew."""
    cells = InputIdentity(name="cells", axes="yx", shape=(40, 50), dtype="uint16")
    smooth = record(build_operation("median", {"size": 3}), {"image": cells})
    record(build_operation("manual_threshold", {}), {"image": smooth}).save(tmp_path / "recipe.yaml")
    command = ("run", tmp_path / "recipe.yaml", image, "--threads", "2", "--tile", "512")
    return Work(command, ("--tile", "200"), ".ome.zarr", in_flight=4)


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
            done = call(*work.command(out, other=(time + seed) % 2 == 0))
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


def begin(call, work: Work, out: Path, monkeypatch) -> Path:
    """End a run after three chunks, as by a full disk, and return where they lie."""
    count = itertools.count(1)
    write = WriteUnits.write

    def fill_up(self, region, pixels):
        if next(count) > 3:
            raise OSError(errno.ENOSPC, "full")
        write(self, region, pixels)

    with monkeypatch.context() as patched:
        patched.setattr(WriteUnits, "write", fill_up)
        ended = call(*work.command(out))
    assert "disk is full" in ended.err
    return out.with_name(f"{out.name}.partial")


@pytest.mark.parametrize("applying", ["local", "local.tif", "fitted"], indirect=True)
def test_a_run_with_other_settings_is_refused_and_harms_nothing(call, applying, image, tmp_path, monkeypatch):
    out = tmp_path / f"out{applying.suffix}"
    partial = begin(call, applying, out, monkeypatch)
    before = content(partial)
    operation = applying.arguments[1]
    option = {"median": ("--size", "5"), "otsu": ("--classes", "3")}[operation]
    refused = call("apply", operation, *option, image, out)
    assert refused.status == 1
    assert f"{option[0][2:]} was {3 if operation == 'median' else 2} and is now {option[1]}" in refused.err
    assert "--overwrite" in refused.err
    state = image.stat()
    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert "the input image (size and time) was" in call(*applying.command(out)).err
    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert content(partial) == before
    assert call(*applying.command(out, other=True)).status == 0
    assert not partial.exists()


@pytest.mark.parametrize("applying", ["local", "local.tif"], indirect=True)
def test_overwrite_begins_anew(call, applying, image, tmp_path, monkeypatch):
    out = tmp_path / f"out{applying.suffix}"
    partial = begin(call, applying, out, monkeypatch)
    assert call("apply", "median", "--size", "5", image, out, "--overwrite").status == 0
    assert not partial.exists()
    expected = nt.apply(nt.operations.Median(size=5), np.load(image))
    found = nt.open_image(out)
    np.testing.assert_array_equal(found.read(found.spec.full_region), expected)


def test_a_prediction_names_what_differs(call, predicting, tmp_path, monkeypatch):
    out = tmp_path / "out.ome.zarr"
    partial = begin(call, predicting, out, monkeypatch)
    refused = call(*predicting.command(out), "--precision", "bfloat16")
    assert "precision was float32 and is now bfloat16" in refused.err
    assert call(*predicting.command(out), "--dry-run").status == 0
    lock = (partial / ".writing").open("ab")
    lock_file(lock)
    assert "is being written by another run" in call(*predicting.command(out)).err
    lock.close()
    assert call(*predicting.command(out)).status == 0


def test_going_on_does_not_measure_the_image_again(call, predicting, tmp_path, monkeypatch):
    out = tmp_path / "out.ome.zarr"
    begin(call, predicting, out, monkeypatch)
    monkeypatch.setattr(pixel_predictors, "fit_intensity", lambda *_: pytest.fail("measured again"))
    assert call(*predicting.command(out)).status == 0


def test_series_of_plain_frames_alone_is_refused_the_second_time_too(call, tmp_path):
    np.save(tmp_path / "plain.npy", np.full((3, 40, 50), 7, np.uint8))
    for _ in range(2):
        told = call("apply", "otsu", "--axes", "tyx", tmp_path / "plain.npy", tmp_path / "out.ome.zarr")
        assert told.status == 1
    assert "is constant" in told.err


@pytest.mark.slow
def test_a_killed_prediction_goes_on(call, predicting, tmp_path):
    check_kills(call, predicting, tmp_path, 2)


@pytest.mark.slow
def test_a_killed_prediction_in_shards_goes_on(call, predicting_shards, tmp_path):
    check_kills(call, predicting_shards, tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize("applying", [*FAMILIES, *FILES], indirect=True)
def test_a_killed_operation_goes_on(call, applying, tmp_path, request):
    check_kills(call, applying, tmp_path, 1, seed=len(request.node.name))


@pytest.mark.slow
def test_a_killed_recipe_goes_on(call, replaying, tmp_path):
    check_kills(call, replaying, tmp_path, 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_killed_prediction_goes_on_wherever(call, predicting, tmp_path):
    check_kills(call, predicting, tmp_path, 50)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_killed_prediction_in_shards_goes_on_wherever(call, predicting_shards, tmp_path):
    check_kills(call, predicting_shards, tmp_path, 50)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("applying", [*FAMILIES, *FILES], indirect=True)
def test_a_killed_operation_goes_on_wherever(call, applying, tmp_path):
    check_kills(call, applying, tmp_path, 50)
