import json
import os
import signal
import sys

import pytest

from napari_tessera.cli.cancelling import cancel_on_interrupt

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl+C goes to a whole console")


def wait_for_steps(process, count=2):
    """Read events until the training runs."""
    steps = 0
    for line in process.stderr:
        steps += line.startswith("{") and json.loads(line)["event"] == "progress"
        if steps >= count:
            return
    pytest.fail("the training ended before it began")


def test_the_first_interrupt_cancels_and_the_second_would_kill():
    before = signal.getsignal(signal.SIGINT)
    with cancel_on_interrupt() as cancel:
        assert not cancel.cancelled
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.cancelled
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


def test_the_notice_does_not_enter_a_stream_that_may_be_in_the_middle_of_a_write(monkeypatch, capfd):
    def reentered(*_, **__):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter>")

    with cancel_on_interrupt() as cancel:
        with monkeypatch.context() as patch:
            for stream in (sys.stdout, sys.stderr):
                patch.setattr(stream, "write", reentered)
            os.kill(os.getpid(), signal.SIGTERM)
        assert cancel.cancelled
    assert "Cancelling… (press Ctrl+C again" in capfd.readouterr().err


@pytest.mark.slow
def test_a_cancelled_training_ends_with_130_and_can_be_resumed(start, call, train_arguments, tmp_path):
    process = start(*train_arguments, "--set", "max_steps=1000000", "--json")
    wait_for_steps(process, 12)
    process.send_signal(signal.SIGINT)
    expect_cancelled(process, tmp_path)
    outcome = call(*train_arguments, "--set", "max_steps=1000000", "--set", "max_seconds=1", "--resume", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["steps"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_a_training_cancelled_at_its_start_ends_with_130(start, train_arguments, tmp_path, number):
    process = start(*train_arguments, "--set", "max_steps=1000000", "--json")
    wait_for_steps(process)
    process.send_signal(number)
    expect_cancelled(process, tmp_path)


def expect_cancelled(process, tmp_path):
    """Wait for the end of a training, and assert that it says how to go on."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "napari-tessera: error:" in err
    said = json.loads(out.splitlines()[-1])["error"]
    assert f"lies in {tmp_path / 'model'}: the same command with --resume" in said
