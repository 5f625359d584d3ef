"""What a killed run leaves beside its output is removed by the next one, and what is being written is not."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.leftovers import STEPS, Hidden, remove_leftovers
from napari_tessera.io.creating import create_image

SPEC = ImageSpec(axes="yx", shape=(40, 50), dtype=np.dtype(np.uint8))
LEFT = ".out{}.0123abcd.partial"


def _write(path: Path, **options: bool) -> None:
    sink = create_image(path, SPEC, **options)
    sink.write(SPEC.full_region, np.ones(SPEC.shape, np.uint8))
    sink.finish()


def _hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
spec = ImageSpec(axes="yx", shape=(40, 50), dtype=np.dtype(np.uint8))
sink = create_image(sys.argv[1], spec)
sink.write(spec.full_region, np.ones(spec.shape, np.uint8))
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there what is open cannot be removed anyway")
def test_a_killed_run_leaves_a_file_and_one_that_goes_on_keeps_it(tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        held = _hidden(tmp_path)
        assert len(held) == 1
        _write(out)
        assert _hidden(tmp_path) == held  # the other run still writes
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    _write(out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".png", ".ome.zarr"])
def test_leftovers_of_each_kind_of_output_are_removed(tmp_path: Path, suffix: str) -> None:
    (tmp_path / LEFT.format(suffix)).write_bytes(b"half of it")
    steps = tmp_path / f".out{suffix}.0123abcd.steps"
    steps.mkdir()
    (steps / ".writing").touch()
    _write(tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]


def test_what_is_not_certain_to_be_a_leftover_stays(tmp_path: Path) -> None:
    names = [".other.tif.0123abcd.partial", ".out.tif.partial", ".out.tif.0123abcd.txt", ".out.tif.0123abcd.old"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / LEFT.format(".tif")).mkdir()  # nothing in it says that it is ours
    remove_leftovers(tmp_path / "out.tif")
    assert _hidden(tmp_path) == sorted([*names, LEFT.format(".tif")])


def test_what_was_replaced_goes_once_the_new_one_stands_there(tmp_path: Path) -> None:
    old = tmp_path / ".out.tif.0123abcd.old"
    old.touch()
    (tmp_path / "out.tif").touch()
    remove_leftovers(tmp_path / "out.tif")
    assert not old.exists()


def test_settings_and_weights_leave_nothing_either(tmp_path: Path) -> None:
    (tmp_path / ".model.yaml.0123abcd.partial").touch()
    write_atomically(tmp_path / "model.yaml", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["model.yaml"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_held_here_is_not_removed_from_here(tmp_path: Path, folder: bool) -> None:
    hidden = Hidden(tmp_path / "out.tif", STEPS, folder=folder)
    if sys.platform != "win32":
        remove_leftovers(tmp_path / "out.tif")
        assert hidden.path.exists()
    hidden.release()
    hidden.release()
    assert not list(tmp_path.iterdir())
