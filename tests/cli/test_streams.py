"""Streams that are closed or full, and signals while the program starts, end in one line and the right status."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_tessera.cli.main import end_at_once
from napari_tessera.cli.output import emit_result
from napari_tessera.cli.streams import GuardedStream, guarded_streams

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and signals are other things there")

COMMAND = [sys.executable, "-m", "napari_tessera"]


class _Failing:
    """A stream that takes some writes and then fails."""

    encoding = "utf-8"

    def __init__(self, writes: int, errno: int) -> None:
        self.left, self.errno = writes, errno
        self.written: list[str] = []

    def write(self, text: str) -> int:
        if not self.left:
            raise OSError(self.errno, os.strerror(self.errno))
        self.left -= 1
        self.written.append(text)
        return len(text)

    def flush(self) -> None:
        self.write("")

    def fileno(self) -> int:
        raise OSError


def test_a_stream_that_fails_is_written_to_no_more():
    failing = _Failing(1, 28)
    stream = GuardedStream(failing)
    for text in ("a", "b", "c"):
        assert stream.write(text) == 1
    stream.flush()
    stream.let_go()
    assert failing.written == ["a"]
    assert stream.failure.errno == 28


def test_bytes_of_a_name_that_are_no_text_are_escaped_as_json_does():
    stream = GuardedStream(_Failing(9, 28))
    stream.write(json.dumps({"out": "n\udcff.tif"}, ensure_ascii=False))
    assert json.loads(stream.written[0]) == {"out": "n\udcff.tif"}


@pytest.mark.parametrize(("errno", "before", "after"), [(32, 0, 0), (28, 0, 1), (28, 130, 130), (32, 1, 1)])
def test_a_lost_result_is_a_failure_and_a_reader_who_left_is_none(monkeypatch, capfd, errno, before, after):
    monkeypatch.setattr(sys, "stdout", _Failing(0, errno))
    with guarded_streams() as lost:
        sys.stdout.write("the result\n")
        sys.stdout.flush()
        assert lost(before) == after
    assert ("cannot be written to standard output" in capfd.readouterr().err) == (after == 1 and before == 0)


def test_a_program_without_streams_runs(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with guarded_streams() as lost:
        sys.stdout.write("nobody hears this")
        assert lost(0) == 0
    assert sys.stdout is None


@pytest.fixture
def image(tmp_path):
    np.save(tmp_path / "image.npy", np.arange(400, dtype=np.uint8).reshape(20, 20))
    return tmp_path / "image.npy"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")  # noqa: PTH110
def test_a_full_disk_behind_stdout_is_one_line_and_behind_stderr_nothing(image, tmp_path):
    command = [*COMMAND, "apply", "median", str(image), str(tmp_path / "out.npy"), "--overwrite", "--json"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("napari-tessera: error: The result cannot be written to stand")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
        assert done.returncode == 0
        assert json.loads(done.stdout)["out"] == str(tmp_path / "out.npy")


@pytest.mark.parametrize(("json_asked", "status"), [(True, 1), (False, 0)])
def test_a_result_that_was_asked_for_where_nothing_can_be_written_is_a_failure(monkeypatch, capfd, json_asked, status):
    monkeypatch.setattr(sys, "stdout", None)
    with guarded_streams() as lost:
        emit_result({"axes": "yx"}, ["axes: yx"], as_json=json_asked)
        assert lost(0) == status
    assert ("standard output (it is closed): send it elsewhere." in capfd.readouterr().err) == json_asked


@pytest.mark.slow
def test_a_closed_pipe_stops_nothing(image, tmp_path):
    command = [*COMMAND, "apply", "median", str(image), str(tmp_path / "out.npy"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=250) == 0
    assert (tmp_path / "out.npy").exists()


def test_the_handler_of_the_start_says_so_and_ends_the_process():
    code = (
        "import os, signal, sys, time; from napari_tessera.cli.main import end_at_once; sys.argv.append('--json')\n"
        "signal.signal(signal.SIGTERM, end_at_once); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "napari-tessera: error: Cancelled.\n"
    assert json.loads(done.stdout) == {"error": "Cancelled."}
    assert callable(end_at_once)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_while_modules_are_imported_is_heard(tmp_path, number):
    """The program tells by a file that it imports click, and is held there until the signal has come."""
    (tmp_path / "click.py").write_text(
        "import pathlib, time\npathlib.Path(__file__).with_name('begun').touch()\ntime.sleep(100)\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [*COMMAND, "info", "x.tif"], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "napari-tessera: error: Cancelled.\n"
