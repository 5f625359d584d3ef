"""What a command writes: results on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from napari_tessera.cli.streams import GuardedStream
from napari_tessera.core.jobs import JobEvent, Metric, Progress, Warning, event_to_dict

BAR_WIDTH = 24
LINE_EVERY_SECONDS = 10.0


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command, as the argument ``as_json``."""
    text = "Write one JSON object to stdout, as its last line; events go to stderr as JSON lines."
    return click.option("--json", "as_json", is_flag=True, help=text)(function)


def emit_result(value: Mapping[str, Any], lines: list[str], *, as_json: bool) -> None:
    """Write the outcome of a command to stdout: `value` as one JSON line, or `lines` for a person."""
    if as_json and isinstance(sys.stdout, GuardedStream):
        sys.stdout.require()
    _say(to_json(value) if as_json else "\n".join(lines))


def emit_error(message: str, *, as_json: bool) -> None:
    """Write the reason of a failure as one line to stderr, and with ``--json`` as an object to stdout."""
    line = " ".join(message.split())
    _say(f"napari-tessera: error: {line}", sys.stderr)
    if as_json:
        _say(to_json({"error": line}))


def _say(line: str, stream: TextIO | None = None) -> None:
    """Write a line to `stream` (stdout if None) as it is set now, which may be one that never fails."""
    print(line, file=stream, flush=True)


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON; paths become strings, numbers that are not finite become null."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy number
        value = value.item()
    if isinstance(value, float) and value - value != 0:  # infinite or not a number
        return None
    return value


def event_listener(*, as_json: bool) -> Callable[[JobEvent], None]:
    """Return what shows the events of a job: JSON lines, or a progress bar."""
    if as_json:
        return lambda event: _say(to_json(event_to_dict(event)), sys.stderr)
    return ProgressBar(sys.stderr)


class ProgressBar:
    """Shows job events on one line of a terminal, or as a line now and then where there is none.

    Parameters
    ----------
    stream
        Where to write.
    clock
        Seconds; replaced in tests.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._metrics: dict[str, float] = {}
        self._note = ""
        self._unit = ""
        self._last_line = -LINE_EVERY_SECONDS
        self._width = 0

    def __call__(self, event: JobEvent) -> None:
        """Show one event."""
        if isinstance(event, Metric):
            if not event.name.endswith(" loss"):  # the line has no room for figures that say little to a person
                self._metrics[event.name] = event.value
            if event.note and event.note != self._note:
                self._note = event.note
                self._write_line(f"note: {event.note}")
        elif isinstance(event, Warning):
            self._write_line(f"warning: {event.text}")
        elif isinstance(event, Progress):
            self._show(event)

    def _show(self, progress: Progress) -> None:
        if progress.unit != self._unit:  # another job: the figures of the one before say nothing about it
            self._unit = progress.unit
            self._metrics.clear()
        finished = progress.total is not None and progress.done >= progress.total
        line = self._describe(progress)
        if self._stream.isatty():
            self._stream.write("\r" + line.ljust(self._width) + ("\n" if finished else ""))
            self._width = 0 if finished else len(line)
        elif finished or self._clock() - self._last_line >= LINE_EVERY_SECONDS:
            self._stream.write(line + "\n")
            self._last_line = self._clock()
        self._stream.flush()

    def _describe(self, progress: Progress) -> str:
        parts = [f"{progress.unit} {progress.done}"]
        if progress.total:
            full = round(BAR_WIDTH * min(progress.done / progress.total, 1))
            parts = [f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] {progress.unit} {progress.done}/{progress.total}"]
        parts += [f"{name} {value:.3f}" for name, value in self._metrics.items() if name not in progress.message]
        if progress.seconds_left is not None and (progress.total is None or progress.done < progress.total):
            minutes, seconds = divmod(max(round(progress.seconds_left), 0), 60)
            parts.append(f"{minutes}:{seconds:02d} left")
        if progress.message:
            parts.append(progress.message)
        return " · ".join(parts)

    def _write_line(self, line: str) -> None:
        start = "\r" + " " * self._width + "\r" if self._width else ""
        self._stream.write(f"{start}{line}\n")
        self._width = 0
        self._stream.flush()
