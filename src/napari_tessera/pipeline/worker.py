"""The process in which the plugin's jobs run: ``python -m napari_tessera.pipeline.worker``; knows nothing of Qt.

It talks in JSON lines. Commands come in on standard input, replies leave on what standard output was at the start
(whatever a library prints goes to standard error)::

    in   {"run": 3, "command": "start", "request": {...}}
         {"run": 3, "command": "cancel"}
         {"run": 3, "command": "view", "image": 0, "region": [[0, 512], [0, 512]]}    (region null: nothing in view)
    out  {"state": "ready"}
         {"run": 3, "event": "progress", "done": 10, "total": 100, ...}
         {"run": 3, "state": "done" | "failed" | "cancelled", "message": "..."}

One thread reads commands, so that a cancel or the end of the input is noticed while a job computes; jobs run one after
another in the main thread. When the input ends, the parent has gone: what runs is cancelled, so that a training saves
what it has learnt, and the process exits as soon as that is done, or after `GRACE_SECONDS`.
"""

import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from napari_tessera.core.errors import JobCancelledError, TesseraError
from napari_tessera.core.jobs import CancelToken, Job
from napari_tessera.pipeline.failures import describe_error
from napari_tessera.pipeline.learning.viewport import View, Viewport
from napari_tessera.pipeline.results import event_to_wire

_log = logging.getLogger(__name__)

GRACE_SECONDS = 15.0
"""How long a job may take to save what it has, once nobody waits for it any more."""


WITHOUT_NETWORKS = "--without-networks"
"""Argument of a worker that is asked for nothing that needs torch: it is ready in half a second."""


class Backend(Protocol):
    """What the worker runs; tests put jobs of their own in its place."""

    def prepare(self) -> None:
        """Import what is slow to import."""
        ...

    def start(self, fields: Mapping[str, Any], cancel: CancelToken) -> Job:
        """Return the job that the request `fields` describe."""
        ...

    def look_at(self, image: int, region: tuple[tuple[int, int], ...] | None) -> None:
        """Note which part of which input image the person sees; may be called from another thread."""
        ...


class PipelineBackend:
    """The jobs of ``pipeline``.

    Parameters
    ----------
    prepared
        Modules that are imported before the first job; those of networks load torch.
    """

    def __init__(self, prepared: Sequence[str] = ("learning.training", "predicting.prediction", "dispatch")) -> None:
        self._prepared = prepared
        self._viewport = Viewport()

    def prepare(self) -> None:
        """Import what jobs use, torch among it if there will be any for networks.

        It gets a thread for every core but the one that draws.
        """
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) - 1)))
        for name in self._prepared:
            importlib.import_module(f"napari_tessera.pipeline.{name}")

    def start(self, fields: Mapping[str, Any], cancel: CancelToken) -> Job:
        """Return the training or prediction that `fields` describe."""
        from napari_tessera.pipeline.dispatch import run_request
        from napari_tessera.pipeline.requests import parse_request

        return run_request(parse_request.validate_python(fields), cancel, self._viewport)

    def look_at(self, image: int, region: tuple[tuple[int, int], ...] | None) -> None:
        """Hand the view to the job that runs or is about to start."""
        self._viewport.view = None if region is None else View(image, region)


class Server:
    """Runs the jobs of `backend` one after another and reports on them.

    Attributes
    ----------
    backend
        Where jobs come from.
    replies
        Binary stream that takes one JSON object per line.
    grace
        Seconds that a job may take to end once the commands have.
    """

    def __init__(self, backend: Backend, replies: IO[bytes], grace: float = GRACE_SECONDS) -> None:
        self.backend = backend
        self.grace = grace
        self._idle = threading.Event()
        self._idle.set()
        self._alone = False
        self._replies = replies
        self._starts: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._tokens: dict[int, CancelToken] = {}

    def listen(self, commands: IO[bytes]) -> None:
        """Obey `commands` until they end, then leave the process once the job has saved what it has."""
        for line in commands:
            try:
                self._obey(json.loads(line))
            except (ValueError, KeyError, TypeError):
                _log.exception("Not a command: %r", line)
        for token in list(self._tokens.values()):
            token.cancel()
        self._idle.wait(self.grace)
        os._exit(0)  # whatever the main thread computes

    def run_jobs(self) -> None:
        """Announce that the process is ready, then run every job asked for; never returns."""
        self.backend.prepare()
        self._reply({"state": "ready"})
        while True:
            self._run(self._starts.get())

    def _obey(self, command: Mapping[str, Any]) -> None:
        run = int(command["run"])
        match command["command"]:
            case "start":
                self._tokens[run] = CancelToken()
                self._idle.clear()
                self.backend.look_at(0, None)  # what was in view belongs to an earlier run
                self._starts.put(command)
            case "cancel":
                if run in self._tokens:
                    self._tokens[run].cancel()
            case "view":
                region = command["region"]
                self.backend.look_at(
                    int(command["image"]),
                    None if region is None else tuple((int(start), int(stop)) for start, stop in region),
                )
            case other:
                raise ValueError(f"unknown command {other!r}")

    def _run(self, command: Mapping[str, Any]) -> None:
        run = int(command["run"])
        cancel = self._tokens[run]
        try:
            cancel.raise_if_cancelled()
            for event in self.backend.start(command["request"], cancel):
                self._reply({"run": run, **event_to_wire(event)})
            state, message = "done", ""
        except JobCancelledError as error:
            state, message = "cancelled", str(error)
        except Exception as error:  # noqa: BLE001  the outermost boundary: a job that fails must not end the process
            if not isinstance(error, TesseraError):
                _log.exception("Run %d failed", run)
            state, message = "failed", describe_error(error)
        del self._tokens[run]
        self._reply({"run": run, "state": state, "message": message})
        if not self._tokens:
            self._idle.set()

    def _reply(self, fields: Mapping[str, Any]) -> None:
        if self._alone:
            return
        try:
            self._replies.write(json.dumps(fields, default=str).encode() + b"\n")
            self._replies.flush()
        except BrokenPipeError:
            self._alone = True  # the parent has gone: what ends the commands ends the job


def lower_priority() -> None:
    """Let every other process go first, and be the one that the system ends when memory is short."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.WinDLL("kernel32")
        # Handles are as wide as pointers: without these, ctypes would cut them to 32 bits.
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.SetPriorityClass.restype = ctypes.c_int
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), 0x00004000)  # BELOW_NORMAL_PRIORITY_CLASS
        return
    with suppress(OSError):
        os.nice(10)
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def serve(backend: Backend, grace: float = GRACE_SECONDS) -> None:
    """Take over standard input and output and run the jobs of `backend` until the input ends; see `Server`."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is meant for napari, which ends this process if it ends
    lower_priority()
    commands = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    server = Server(backend, replies, grace)
    threading.Thread(target=server.listen, args=(commands,), daemon=True, name="tessera-commands").start()
    server.run_jobs()


if __name__ == "__main__":
    serve(PipelineBackend(("dispatch",)) if WITHOUT_NETWORKS in sys.argv[1:] else PipelineBackend())
