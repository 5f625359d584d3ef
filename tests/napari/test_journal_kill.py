"""A napari that paints is killed at random moments: what is found afterwards is what was painted, to at most 2 s.

The lives are those of `journal_child.py`. For more of them set ``NAPARI_TESSERA_KILLS=500``.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.sessions import find_sessions

from .journal_child import checksum

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks processes that have loaded Qt"),
]

CHILD = Path(__file__).with_name("journal_child.py")
KILLS = int(os.environ.get("NAPARI_TESSERA_KILLS", "54"))
AT_ONCE = 4
LONGEST_LIFE = 2.8
MOST_LOST_SECONDS = 2.0
LONGEST_PAUSE = 0.3


@dataclass
class Life:
    """One process, from its start to its end."""

    home: Path
    trace: Path
    pid: int
    ends: float
    seconds: float
    gone_on_with: str | None = None
    killed: float = 0.0
    states: list[tuple[float, str]] = field(default_factory=list)
    seen: list[tuple[int, str]] = field(default_factory=list)
    doing: str = ""
    writing: str = ""
    last_moment: float | None = None
    stood_still: float = 0.0

    @property
    def begun(self) -> bool:
        """Whether it has painted already: a slow computer needs a while for that."""
        return self.trace.exists() and b"begin" in self.trace.read_bytes()

    def kill(self) -> None:
        self.killed = time.time()
        os.kill(self.pid, signal.SIGKILL)
        while Path(f"/proc/{self.pid}").exists():
            time.sleep(0.002)

    def read_trace(self) -> None:
        begun: list[str] = []
        written: list[str] = []
        for line in self.trace.read_text().splitlines():
            when, word, *rest = line.split(" ")
            what = rest[0] if rest else ""
            if word not in "<>":
                moment = float(when)
                self.stood_still += max(0.0, moment - (self.last_moment or moment) - LONGEST_PAUSE)
                self.last_moment = moment
            match word:
                case "state":
                    self.states.append((float(when), what))
                case "seen":  # in the midst of an action, after so many states
                    self.seen.append((len(self.states) - 1, what))
                case "begin":
                    begun = [what]
                case "end":
                    begun = []
                case ">":
                    written.append(what)
                case "<":
                    written.pop()
        if self.last_moment is not None:
            self.stood_still += max(0.0, self.killed - self.last_moment - LONGEST_PAUSE)
        self.doing = begun[0] if begun else "nothing"
        self.writing = written[-1] if written else "nothing"

    def due(self) -> int:
        """The oldest state that may be found: the last one that was there 2 s before the end."""
        return max(
            (at for at, (when, _) in enumerate(self.states) if when <= self.killed - MOST_LOST_SECONDS), default=-1
        )


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen(
        [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


def begin(server: subprocess.Popen, seed: int, home: Path, life: int, session: Path | None, found: str | None) -> Life:
    trace = home / f"trace-{life}"
    home.mkdir(exist_ok=True)
    parts = [str(seed), str(home), str(trace), *([str(session)] if session else [])]
    server.stdin.write("\t".join(parts) + "\n")
    server.stdin.flush()
    pid = int(server.stdout.readline())
    seconds = random.Random(seed).uniform(0.3, LONGEST_LIFE)
    return Life(home, trace, pid, time.monotonic() + seconds, seconds, gone_on_with=found)


def check(life: Life) -> tuple[Path | None, str | None]:
    """Compare what is found with what was painted; return the session, and what was found in it."""
    life.read_trace()
    if life.gone_on_with is not None and life.states:
        assert life.states[0][1] == life.gone_on_with, "going on began with something else than was found"
    sessions = [session for session in find_sessions(life.home) if session.layers]
    assert [session.problem for session in sessions] in ([], [None])
    if not sessions:
        assert life.due() < 1, f"nothing found, {len(life.states)} states, doing {life.doing}"
        return None, None
    assert not sessions[0].closed
    assert sessions[0].open_elsewhere is None
    assert [layer.layer_name for layer in sessions[0].layers] == ["cells · annotation"]
    recovered = recover(sessions[0].layers[0].folder)
    assert recovered.damage == []
    if not recovered.complete:
        assert life.due() < 0, "the first array was not complete in time"
        return None, None
    if not life.states:  # killed before it had begun
        return sessions[0].path, life.gone_on_with
    found = checksum(recovered.load())
    there = [(index, state) for index, (_, state) in enumerate(life.states)] + life.seen
    at = max((index for index, state in there if state == found), default=None)
    assert at is not None, f"what is found was never there; {life.doing}, {life.writing}"
    assert at >= life.due(), f"state {at} of {len(life.states)}, {life.due()} was due; {life.doing}, {life.writing}"
    return sessions[0].path, found


def test_what_is_killed_has_lost_two_seconds_at_most(server, tmp_path, capsys):
    begun, done = 0, 0
    living: list[Life] = []
    doing: Counter[str] = Counter()
    writing: Counter[str] = Counter()
    went_on = 0
    while done < KILLS:
        while len(living) < AT_ONCE and begun < KILLS:
            living.append(begin(server, begun, tmp_path / f"home-{begun}", 0, None, None))
            begun += 1
        time.sleep(max(0.0, min(life.ends for life in living) - time.monotonic()))
        life = min(living, key=lambda life: life.ends)
        if not life.begun:
            life.ends = time.monotonic() + life.seconds
            continue
        living.remove(life)
        life.kill()
        done += 1
        session, found = check(life)
        doing[life.doing] += 1
        writing[life.writing] += 1
        number = int(life.trace.name.partition("-")[2])
        if session is not None and number < 3 and begun < KILLS and done % 2:
            living.append(begin(server, 10_000 + begun, life.home, number + 1, session, found))
            begun += 1
            went_on += 1
    with capsys.disabled():
        sys.stdout.write(
            f"\n{done} kills, {went_on} lives went on with a session; doing {dict(doing)}; writing {dict(writing)}\n"
        )
    if KILLS >= 50:
        assert went_on > 5
        assert sum(doing[name] for name in doing if name != "nothing") > 5
