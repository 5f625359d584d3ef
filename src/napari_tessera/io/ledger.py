"""The ledger: which parts of an unfinished output are complete, so that the same run goes on where it stopped.

It is a folder inside that of the unfinished output and goes with it::

    .ledger/plan.json              what decides the result (the fingerprint), and the number of write units
    .ledger/<name>.json            what the image as a whole decided, such as the range of its intensities
    .ledger/<device>-<8 hex>.units which units are complete: one file for each run that has written

A file of units consists of records of 16 bytes: the unit's number, and a checksum of that number and the plan. Files
are only appended to. A record that is cut off or damaged is passed over, and its unit computed again; no damage makes a
record of a unit that was not written. Every run opens a file of its own, so that several may write one day without
waiting for each other.

A record follows the pixels that it tells of, so that a process may be killed at any moment. It does not wait until they
are on the disk: after a loss of power an output should be begun anew.
"""

import hashlib
import json
import os
import re
import struct
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_tessera.core.errors import OutputExistsError
from napari_tessera.core.image import ImageSpec

LEDGER = ".ledger"
"""Name of the folder."""

_PLAN = "plan.json"
_UNITS = re.compile(r"([a-z]+)-[0-9a-f]{8}\.units")
_RECORD = struct.Struct("<Q8s")
_SCHEMA = 1
_LARGEST = 16 << 20
"""A plan or a decision of more bytes is none of ours."""

_MOST_NAMED = 3
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Fingerprint:
    """What decides the bytes of an output, and may not change between a run and one that goes on with it.

    Attributes
    ----------
    fields
        JSON-ready values by what they are called in front of a person.
    device
        Kind of the device (``cpu``, ``cuda``), which may change: it is noted by whom each unit was written.
    """

    fields: Mapping[str, Any]
    device: str = "cpu"

    def with_fields(self, fields: Mapping[str, Any]) -> "Fingerprint":
        """Return the same with further fields."""
        return Fingerprint({**self.fields, **fields}, self.device)


def describe_spec(spec: ImageSpec) -> str:
    """Return all that an image is but its pixels, as text that a person can read."""
    lengths = " × ".join(map(str, spec.shape))
    steps = [
        f"{axis} {scale!r} {unit or 'pixels'} from {start!r}"
        for axis, scale, unit, start in zip(spec.axes, spec.scale, spec.units, spec.translate, strict=True)
    ]
    return "; ".join([f"{lengths} {spec.dtype} ({spec.axes})", *steps, *spec.channel_names])


def has_ledger(partial: Path) -> bool:
    """Whether the folder of an unfinished output tells what is complete in it."""
    return (partial / LEDGER / _PLAN).is_file()


class Ledger:
    """The ledger of an unfinished output, which this run alone writes into.

    Parameters
    ----------
    partial
        Folder of the output, held by its lock; a ledger that is there is gone on with.
    fingerprint
        Of this run.
    units
        Number of write units.

    Attributes
    ----------
    complete
        Numbers of the units that are complete.
    devices
        Kinds of devices that earlier runs have written on.

    Raises
    ------
    OutputExistsError
        If the ledger that is there has another fingerprint, naming what differs, or cannot be read.
    OSError
        If it cannot be written.
    """

    def __init__(self, partial: Path, fingerprint: Fingerprint, units: int) -> None:
        self._folder = partial / LEDGER
        self._units = units
        plan = json.dumps({"fields": dict(fingerprint.fields), "units": units}, sort_keys=True)
        self._key = hashlib.sha256(plan.encode()).digest()
        if has_ledger(partial):
            _check_same(partial, json.loads(plan))
        else:
            _write(self._folder / _PLAN, json.loads(plan))
        self.complete: set[int] = set()
        self.devices: frozenset[str] = frozenset()
        self._read_units()
        self._file: int | None = None
        self._device = fingerprint.device

    def _read_units(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if not (found := _UNITS.fullmatch(path.name)):
                continue
            before = len(self.complete)
            self.complete.update(self._valid(path.read_bytes()))
            if len(self.complete) > before:
                self.devices |= {found[1]}

    def _valid(self, content: bytes) -> Iterator[int]:
        """Yield the units of whole and undamaged records."""
        for (unit, checksum), at in zip(
            _RECORD.iter_unpack(content[: len(content) // _RECORD.size * _RECORD.size]),
            range(0, len(content), _RECORD.size),
            strict=False,
        ):
            if unit < self._units and checksum == self._checksum(content[at : at + 8]):
                yield unit

    def _checksum(self, unit: bytes) -> bytes:
        return hashlib.blake2b(unit, digest_size=8, key=self._key).digest()

    def record(self, units: Iterable[int]) -> None:
        """Note that units are complete: their pixels have been written. One thread at a time."""
        new = [unit for unit in units if unit not in self.complete]
        if not new:
            return
        if self._file is None:
            name = f"{self._device}-{uuid.uuid4().hex[:8]}.units"
            self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        packed = (unit.to_bytes(8, "little") for unit in new)
        rest = memoryview(b"".join(number + self._checksum(number) for number in packed))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            self.close()  # what follows a record that is cut off could not be told apart: it goes into another file
            raise
        self.complete.update(new)

    def recall(self, name: str) -> Any | None:
        """Return what was remembered under `name`; None if that is nothing, or damaged."""
        found = _read(self._folder / f"{name}.json")
        return None if found is None else found.get("value")

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON-ready value that the run need not find again."""
        _write(self._folder / f"{name}.json", {"value": value})

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self.complete

    def close(self) -> None:
        """Close the file; doing so twice does no harm."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


_BINARY = getattr(os, "O_BINARY", 0)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between the fields of two fingerprints, each as a phrase."""
    return [
        f"{name} was {_short(before.get(name))} and is now {_short(now.get(name))}"
        for name in [*now, *(name for name in before if name not in now)]
        if before.get(name) != now.get(name)
    ]


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _check_same(partial: Path, plan: Mapping[str, Any]) -> None:
    found = _read(partial / LEDGER / _PLAN)
    if found is None or not isinstance(found.get("fields"), dict):
        raise OutputExistsError(
            f"What {partial} tells of an unfinished run is damaged: begin anew with --overwrite, or move it elsewhere."
        )
    differing = differences(found["fields"], plan["fields"])
    if found.get("units") != plan["units"]:
        differing.append("the number of its parts differs")
    if differing:
        more = f", and {len(differing) - _MOST_NAMED} more" * (len(differing) > _MOST_NAMED)
        raise OutputExistsError(
            f"{partial} exists, the unfinished result of a run with other settings "
            f"({'; '.join(differing[:_MOST_NAMED])}{more}): run that one again to finish it, move it elsewhere, or "
            "begin anew with --overwrite."
        )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, sort_keys=True)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    fields = {"kind": "tessera-ledger", "schema_version": _SCHEMA, "sha256": checksum, "content": content}
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(json.dumps(fields, indent=1).encode())  # not synced: nor are the pixels
    beside.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    """Return what `_write` has written; None if it is not there, damaged, or of another schema."""
    with suppress(OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        if path.stat().st_size <= _LARGEST:
            fields = json.loads(path.read_bytes())
            content: dict[str, Any] = fields["content"]
            text = json.dumps(content, sort_keys=True)
            same = hashlib.sha256(text.encode()).hexdigest() == fields["sha256"]
            if same and fields["schema_version"] == _SCHEMA and isinstance(content, dict):
                return content
    return None
