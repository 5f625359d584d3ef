"""A process that writes a journal is killed at random moments, which nothing can be prepared for: nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are started by fork, which this system has not"),
]


def test_what_a_killed_process_leaves_is_a_state_no_older_than_its_last_sync(tmp_path: Path) -> None:
    program = Path(__file__).with_name("journal_killing.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "layer"), "60"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["kills"] == 60
    assert sum(begun > 1 for begun in outcome["actions"]) >= 45  # most were killed at work, not before it
