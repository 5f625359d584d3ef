"""The job runner against a worker whose jobs are slow, fail, hang and die."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from qtpy.QtCore import QTimer

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import CancelToken, Metric, Preview, Progress
from napari_tessera.napari_plugin.jobs import runner as runner_module
from napari_tessera.napari_plugin.jobs.runner import MESSAGES_PER_POLL, RunState
from napari_tessera.napari_plugin.jobs.worker_process import LOG_BYTES, open_log
from napari_tessera.napari_plugin.prediction.predict_widget import PREDICTION
from napari_tessera.napari_plugin.training.training_job import TRAINING
from napari_tessera.pipeline.results import TrainResult
from napari_tessera.pipeline.worker import lower_priority

from .conftest import FAKE_WORKER, FakeRequest, fake_job

pytestmark = pytest.mark.gui


def wait_for_state(qtbot, runner, *states, timeout=120_000):
    qtbot.waitUntil(lambda: runner.state in states, timeout=timeout)


def record(runner):
    events, states = [], []
    runner.event_received.connect(events.append)
    runner.state_changed.connect(states.append)
    return events, states


def test_a_job_reports_and_ends(qtbot, runner):
    events, states = record(runner)
    runner.start(fake_job("quick"), TRAINING)
    assert runner.state is RunState.RUNNING
    assert runner.owner == "Train"
    wait_for_state(qtbot, runner, RunState.DONE)
    assert [type(event) for event in events] == [Progress, Metric, TrainResult]
    assert states == [RunState.RUNNING, RunState.DONE]
    assert events[-1].steps == runner.worker_pid != os.getpid()


def test_no_full_garbage_collection_during_a_job(qtbot, runner):
    gc.unfreeze()  # what was set aside between tests
    assert gc.get_freeze_count() == 0
    runner.start(fake_job("quick"), TRAINING)
    assert gc.get_freeze_count() > 10_000
    wait_for_state(qtbot, runner, RunState.DONE)
    assert gc.get_freeze_count() == 0


def test_the_worker_stays_warm(qtbot, runner):
    events, _ = record(runner)
    for _ in range(2):
        runner.start(fake_job("quick"), TRAINING)
        wait_for_state(qtbot, runner, RunState.DONE)
    first, second = (event.steps for event in events if isinstance(event, TrainResult))
    assert first == second


def test_warm_up_starts_a_worker_without_a_job(qtbot, runner):
    runner.warm_up()
    assert psutil.pid_exists(runner.worker_pid)
    assert runner.state is RunState.IDLE


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("refuses", "The annotation is empty: paint something."),
        ("cuda_memory", "The graphics card ran out of memory"),
        ("surprises", "Something unforeseen happened (ZeroDivisionError: division by zero)"),
    ],
)
def test_errors_arrive_as_one_sentence(qtbot, runner, kind, expected):
    runner.start(fake_job(kind), TRAINING)
    wait_for_state(qtbot, runner, RunState.FAILED)
    assert runner.message.startswith(expected)
    assert "\n" not in runner.message
    assert "Traceback" not in runner.message
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE)


def test_an_error_while_preparing_is_reported(qtbot, runner):
    def prepare(cancel: CancelToken):
        raise InvalidInputError("Paint something first.")

    runner.start(prepare, TRAINING)
    wait_for_state(qtbot, runner, RunState.FAILED)
    assert runner.message == "Paint something first."


def test_a_job_that_heeds_cancel_is_not_killed(qtbot, runner):
    events, states = record(runner)
    runner.start(fake_job("slow"), TRAINING)
    qtbot.waitUntil(lambda: len(events) > 3, timeout=120_000)
    pid = runner.worker_pid
    runner.cancel()
    assert runner.state is RunState.CANCELLING
    wait_for_state(qtbot, runner, RunState.CANCELLED)
    assert states == [RunState.RUNNING, RunState.CANCELLING, RunState.CANCELLED]
    assert runner.worker_pid == pid  # a job that obeys costs no worker


def test_a_job_that_ignores_cancel_is_killed(qtbot, runner, monkeypatch):
    monkeypatch.setattr(runner_module, "DRAIN_SECONDS", 0.5)
    events, _ = record(runner)
    runner.start(fake_job("deaf"), TRAINING)
    qtbot.waitUntil(lambda: len(events) > 0, timeout=120_000)
    process = psutil.Process(runner.worker_pid)
    runner.cancel()
    wait_for_state(qtbot, runner, RunState.CANCELLED)
    qtbot.waitUntil(lambda: not process.is_running(), timeout=120_000)
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE)


def test_the_next_job_does_not_wait_for_one_that_ignores_cancel(qtbot, runner):
    events, _ = record(runner)
    runner.start(fake_job("deaf"), TRAINING)
    qtbot.waitUntil(lambda: len(events) > 0, timeout=120_000)
    process = psutil.Process(runner.worker_pid)
    runner.cancel()
    wait_for_state(qtbot, runner, RunState.CANCELLED)
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE)
    qtbot.waitUntil(lambda: not process.is_running(), timeout=120_000)


def test_cancel_while_preparing_spares_the_worker(qtbot, runner, monkeypatch):
    monkeypatch.setattr(runner_module, "DRAIN_SECONDS", 0.1)
    runner.warm_up()
    pid = runner.worker_pid

    copied, ended = threading.Event(), threading.Event()

    def prepare(cancel: CancelToken):
        copied.wait(60)  # a copy that does not look at its token
        ended.set()
        return FakeRequest(kind="quick")

    events, _ = record(runner)
    runner.start(prepare, TRAINING)
    runner.cancel()
    wait_for_state(qtbot, runner, RunState.CANCELLED)
    copied.set()
    assert ended.wait(60)
    qtbot.wait(300)
    assert runner.state is RunState.CANCELLED
    assert not events
    assert runner.worker_pid == pid


def test_a_killed_worker_is_reported_in_one_sentence(qtbot, runner):
    events, _ = record(runner)
    runner.start(fake_job("slow"), TRAINING)
    qtbot.waitUntil(lambda: len(events) > 0, timeout=120_000)
    psutil.Process(runner.worker_pid).kill()
    wait_for_state(qtbot, runner, RunState.FAILED)
    assert "press Continue" in runner.message
    assert "\n" not in runner.message
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE)


@pytest.mark.parametrize(("kind", "advice"), [(TRAINING, "press Continue"), (PREDICTION, "press Predict")])
def test_what_to_do_after_a_kill_depends_on_the_job(qtbot, runner, kind, advice):
    runner.start(fake_job("dies"), kind)
    wait_for_state(qtbot, runner, RunState.FAILED)
    assert advice in runner.message


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal")
def test_ctrl_c_in_the_terminal_spares_the_worker(qtbot, runner):
    events, _ = record(runner)
    runner.start(fake_job("slow", 1.0), TRAINING)
    qtbot.waitUntil(lambda: len(events) > 0, timeout=120_000)
    assert os.getpgid(runner.worker_pid) != os.getpgid(0)  # a terminal sends it to its own group
    os.kill(runner.worker_pid, signal.SIGINT)  # other things may send it to each process
    wait_for_state(qtbot, runner, RunState.DONE)


def test_a_log_grows_at_its_end_and_is_put_aside_when_long(tmp_path):
    path = tmp_path / "logs" / "log.txt"
    first = open_log(path)
    second = open_log(path)  # of another napari
    for _ in range(2):
        first.write(b"first\n")
        first.flush()
        second.write(b"second\n")
        second.flush()
    first.close()
    second.close()
    assert path.read_bytes() == b"first\nsecond\nfirst\nsecond\n"
    path.write_bytes(b"x" * (LOG_BYTES + 1))
    open_log(path).close()
    assert path.read_bytes() == b""
    assert len(path.with_name("log.old.txt").read_bytes()) == LOG_BYTES + 1


def test_a_worker_starts_on_the_log_of_the_last(qtbot, qapp, tmp_path):
    for _ in range(2):
        runner = runner_module.JobRunner(arguments=(FAKE_WORKER,), log=tmp_path / "log.txt")
        runner.start(fake_job("quick"), TRAINING)
        wait_for_state(qtbot, runner, RunState.DONE)
        runner.close()
    assert (tmp_path / "log.txt").read_text().count("a library prints this") == 2


class FakeFunction:
    """A function of a Windows library that notes its arguments, converted as ctypes would."""

    def __init__(self, value, restype=ctypes.c_int):
        self.value, self.restype, self.argtypes, self.calls = value, restype, None, []

    def __call__(self, *arguments):
        self.calls.append([kind(argument).value for kind, argument in zip(self.argtypes or (), arguments, strict=True)])
        return self.restype(self.value).value


def test_the_priority_on_windows_is_set_with_whole_handles(monkeypatch):
    kernel = SimpleNamespace(GetCurrentProcess=FakeFunction(-1), SetPriorityClass=FakeFunction(1))
    kernel.GetCurrentProcess.argtypes = ()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: kernel, raising=False)
    lower_priority()
    assert kernel.SetPriorityClass.calls == [[2**64 - 1, 0x4000]]  # -1 as wide as a pointer


def test_a_worker_that_kills_itself_is_reported(qtbot, runner):
    runner.start(fake_job("dies"), TRAINING)
    wait_for_state(qtbot, runner, RunState.FAILED)
    assert "ended unexpectedly" in runner.message


def test_a_worker_killed_while_idle_is_replaced(qtbot, runner):
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE)
    psutil.Process(runner.worker_pid).kill()
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE, RunState.FAILED)
    assert runner.state is RunState.DONE


def test_events_of_an_earlier_run_are_dropped(qtbot, runner, monkeypatch):
    events, _ = record(runner)
    runner.start(fake_job("previews"), TRAINING)
    qtbot.waitUntil(lambda: len(events) > 2, timeout=120_000)
    read = {event.path for event in events}
    folder = Path(events[0].path).parent
    runner.cancel()  # this job never looks: its events go on coming
    wait_for_state(qtbot, runner, RunState.CANCELLED)
    seen = len(events)
    qtbot.wait(300)
    assert len(events) == seen
    runner.start(fake_job("quick"), TRAINING)
    wait_for_state(qtbot, runner, RunState.DONE)
    assert not any(isinstance(event, Preview) for event in events[seen:])
    # the previews that nobody will read are removed, but for at most the few under way when the process was killed
    left = {str(path) for path in folder.iterdir()} - {event.path for event in events if isinstance(event, Preview)}
    assert read
    assert len(left) <= 5


def test_the_view_reaches_the_job(qtbot, runner):
    events, _ = record(runner)
    runner.start(fake_job("views"), TRAINING)
    runner.look_at(1, ((0, 5), (2, 7)))
    wait_for_state(qtbot, runner, RunState.DONE)
    assert events[-1].doubt == repr((1, ((0, 5), (2, 7))))


def test_a_flood_of_events_does_not_block_the_window(qtbot, runner):
    """Between two of its messages the window gets its turn, however many have come."""
    heard, at_once = 0, []

    def hear(_event) -> None:
        nonlocal heard
        heard += 1

    def beat() -> None:
        nonlocal heard
        at_once.append(heard)
        heard = 0

    heart = QTimer()
    heart.timeout.connect(beat)
    runner.event_received.connect(hear)
    heart.start(0)
    runner.start(fake_job("flood"), TRAINING)
    qtbot.waitUntil(lambda: sum(at_once) > 10 * MESSAGES_PER_POLL, timeout=120_000)
    heart.stop()
    assert max(at_once) <= 2 * MESSAGES_PER_POLL
    runner.close()


def test_close_mid_run_leaves_no_process(qtbot, runner, no_process_left):
    events, _ = record(runner)
    runner.start(fake_job("deaf"), PREDICTION)  # which has nothing to save
    qtbot.waitUntil(lambda: len(events) > 0, timeout=120_000)
    process = psutil.Process(runner.worker_pid)
    runner.close()
    assert not process.is_running()
    assert runner.state is RunState.CANCELLED


def test_only_one_job_at_a_time(qtbot, runner):
    runner.start(fake_job("slow"), TRAINING)
    with pytest.raises(RuntimeError, match="Train is still running"):
        runner.start(fake_job("quick"), PREDICTION)


def test_the_worker_ends_when_its_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
            import queue, time
            from napari_tessera.napari_plugin.jobs.worker_process import WorkerProcess
            inbox = queue.SimpleQueue()
            worker = WorkerProcess(1, inbox, arguments=({FAKE_WORKER!r},))
            inbox.get()
            worker.send({{"run": 1, "command": "start", "request": {{"kind": "deaf"}}}})
            inbox.get()
            print(worker.pid, flush=True)
            time.sleep(60)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    psutil.wait_procs([worker], timeout=50)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
