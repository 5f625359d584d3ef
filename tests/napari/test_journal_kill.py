"""A napari that paints is killed: what is found afterwards is what was painted, to at most 1 s.

The lives are those of `journal_child.py`: two in three are killed within a stroke, an undo, a redo, the replacement of
an array, or while the log is written or folded, wherever they are in it; the others at any time. Seconds are those of a
clock that stands still while the computer keeps the process from running. For more of them set
``NAPARI_TESSERA_KILLS=500``.
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
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import find_sessions

from .journal_child import TARGETS, checksum

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks processes that have loaded Qt"),
]

CHILD = Path(__file__).with_name("journal_child.py")
KILLS = int(os.environ.get("NAPARI_TESSERA_KILLS", "54"))
AT_ONCE = 4
LONGEST_LIFE = 2.8
LONGEST_WAIT = 300
"""Seconds that a life may take to come to its target, on however slow a computer."""
MOST_LOST_SECONDS = 1.0
"""Half of what is promised: lives are short, and it mostly is a tenth of that."""
AIMED = (*TARGETS, *TARGETS, "-", "-", "-", "-", "-", "-", "-")


@dataclass
class Life:
    """One process, from its start to its end.

    Attributes
    ----------
    states
        When something was in the layer for the first time, on the process's clock, and what.
    killed
        When it was, on the same clock.
    held_up
        For how long that clock stood still.
    doing, writing
        What the GUI thread and the writer's thread were at, at the end.
    """

    home: Path
    trace: Path
    pid: int
    target: str
    ends: float
    seconds: float
    gone_on_with: str | None = None
    killed: float = 0.0
    held_up: float = 0.0
    states: list[tuple[float, str]] = field(default_factory=list)
    doing: str = "nothing"
    writing: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether it has painted already: a slow computer needs a while for that."""
        if not self.trace.exists():
            return False
        with self.trace.open("rb") as file:
            return b"begin" in file.read(2**14)

    @property
    def gone(self) -> bool:
        """Whether it has ended already, as those with a target do."""
        return not Path(f"/proc/{self.pid}").exists()

    def kill(self) -> None:
        if not self.gone:
            self.killed = time.time()
            os.kill(self.pid, signal.SIGKILL)
        while not self.gone:
            time.sleep(0.002)

    def read_trace(self) -> None:
        doing: list[str] = []
        writing: list[str] = []
        before: float | None = None
        for line in self.trace.read_text().splitlines():
            when, held, word, *rest = line.split(" ")
            what = rest[0] if rest else ""
            if word == "kill":
                self.killed = float(when)
                continue
            before = before if before is not None else float(held)
            self.held_up = float(held) - before
            match word:
                case "state":
                    self.states.append((float(when) - self.held_up, what))
                case "begin":
                    doing = [what]
                case "end":
                    doing = []
                case ">":
                    writing.append(what)
                case "<":
                    writing.pop()
        self.killed -= self.held_up
        self.doing, self.writing = (doing or ["nothing"])[-1], writing

    @property
    def inside(self) -> set[str]:
        """What it was killed in."""
        return {name for name in (self.doing, *self.writing) if name != "nothing"}

    def lost(self, at: int) -> float:
        """For how many seconds something newer than the state `at` had been there in the end."""
        return self.killed - self.states[at + 1][0] if at + 1 < len(self.states) else 0.0


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


def begin(
    server: subprocess.Popen, seed: int, home: Path, number: int, session: Path | None, found: str | None
) -> Life:
    trace = home / f"trace-{number}"
    home.mkdir(exist_ok=True)
    target = AIMED[seed % len(AIMED)]
    parts = [str(seed), str(home), str(trace), target, *([str(session)] if session else [])]
    server.stdin.write("\t".join(parts) + "\n")
    server.stdin.flush()
    pid = int(server.stdout.readline())
    seconds = random.Random(seed).uniform(0.3, LONGEST_LIFE) if target == "-" else LONGEST_WAIT
    return Life(home, trace, pid, target, time.monotonic() + seconds, seconds, gone_on_with=found)


def check(life: Life) -> tuple[Path | None, str | None, float]:
    """Compare what is found with what was painted; return the session, what was found in it, and the seconds lost."""
    life.read_trace()
    where = f"{life.trace}, killed in {life.doing}, {life.writing}"
    assert life.target == "-" or life.target in life.inside, f"not killed in {life.target}; {where}"
    if life.gone_on_with is not None and life.states:
        assert life.states[0][1] == life.gone_on_with, f"going on began with something else than was found; {where}"
    sessions = [session for session in find_sessions(life.home) if session.layers]
    assert [session.problem for session in sessions] in ([], [None])
    if not sessions:
        lost = life.lost(0) if life.states else 0.0
        assert lost < MOST_LOST_SECONDS, f"nothing found; {where}"
        return None, None, lost
    assert not sessions[0].closed
    assert sessions[0].open_elsewhere is None
    assert [layer.layer_name for layer in sessions[0].layers] == ["cells · annotation"]
    folder = sessions[0].layers[0].folder
    recovered = recover(folder)
    assert recovered.damage == []
    if not recovered.complete:
        assert life.lost(-1) < MOST_LOST_SECONDS, f"the first array was not complete in time; {where}"
        return None, None, 0.0
    found = checksum(recovered.load())
    open_again(sessions[0].path, folder, found)
    if not life.states:  # killed before it had begun
        return sessions[0].path, life.gone_on_with, 0.0
    at = max((at for at, (_, state) in enumerate(life.states) if state == found), default=None)
    assert at is not None, f"what is found was never there; {where}"
    lost = life.lost(at)
    assert lost < MOST_LOST_SECONDS, f"{lost:.1f} s lost: state {at} of {len(life.states)}; {where}"
    return sessions[0].path, found, lost


def open_again(path: Path, folder: Path, found: str) -> None:
    """Open the store for writing, and fold it, as a napari that goes on does."""
    session = SessionFolder.open(path)
    assert session.open_layer(folder).compact()
    session.close(as_found=True)
    assert checksum(recover(folder).load()) == found


def test_what_is_killed_has_lost_a_second_at_most(server, tmp_path, capsys):
    begun, done, went_on = 0, 0, 0
    living: list[Life] = []
    inside: Counter[str] = Counter()
    lost: list[float] = []
    held_up: list[float] = []
    while done < KILLS:
        while len(living) < AT_ONCE and begun < KILLS:
            living.append(begin(server, begun, tmp_path / f"home-{begun}", 0, None, None))
            begun += 1
        ended = [life for life in living if life.gone or time.monotonic() > life.ends]
        if not ended:
            time.sleep(0.005)
        for life in ended:
            if not life.begun and not life.gone:
                life.ends = time.monotonic() + life.seconds
                continue
            living.remove(life)
            life.kill()
            done += 1
            session, found, seconds = check(life)
            lost.append(seconds)
            held_up.append(life.held_up)
            inside.update(life.inside or {"nothing"})
            number = int(life.trace.name.partition("-")[2])
            if session is not None and number < 3 and begun < KILLS and done % 2:
                living.append(begin(server, begun, life.home, number + 1, session, found))
                begun += 1
                went_on += 1
    lost.sort()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{done} kills, {went_on} lives went on with a session; inside {dict(inside)}; lost: median "
            f"{lost[len(lost) // 2]:.2f} s, worst {lost[-1]:.2f} s; held up {max(held_up):.2f} s at most\n"
        )
    if len(AIMED) <= KILLS:
        assert inside.keys() >= set(TARGETS)
