"""How an OME-Zarr wants its channels called and shown (its entry ``omero``)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True)
class Channel:
    """One channel as the file describes it.

    Attributes
    ----------
    name
        Empty if it has none.
    color
        ``#rrggbb``; empty if there is none.
    limits
        Intensities that are shown as black and as full colour; None if there are none.
    visible
        Whether it is to be shown at first.
    """

    name: str = ""
    color: str = ""
    limits: tuple[float, float] | None = None
    visible: bool = True


def read_channels(attributes: Mapping[str, Any]) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    """Return the channels that the attributes describe, and what is wrong with these.

    Whatever stands there, nothing is raised; faults are parts of sentences that follow "the metadata …".
    """
    omero = attributes.get("omero")
    if omero is None:
        return (), ()
    entries = omero.get("channels", []) if isinstance(omero, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        return (), ("describe channels in a way that is not understood and left out",)
    faults: list[str] = []
    channels = []
    for at, entry in enumerate(entries):
        color, limits = _color(entry.get("color")), _limits(entry.get("window"))
        if entry.get("color") is not None and not color:
            faults.append(f"give channel {at} a colour that is none (rrggbb), which is left out")
        if entry.get("window") is not None and limits is None:
            faults.append(f"give channel {at} a range that is no pair of numbers, which is left out")
        label = entry.get("label")
        name = "" if label is None or isinstance(label, Mapping | list) else str(label)
        channels.append(Channel(name, color, limits, entry.get("active") is not False))
    return tuple(channels), tuple(faults[:1])


def channel_names(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    """Return the names of the channels, if every one has a name."""
    names = tuple(channel.name for channel in channels)
    return names if all(names) else ()


def _color(value: Any) -> str:
    text = value.removeprefix("#") if isinstance(value, str) else ""
    return f"#{text[:6].lower()}" if len(text) in (6, 8) and _HEX.issuperset(text) else ""


def _limits(window: Any) -> tuple[float, float] | None:
    if not isinstance(window, Mapping):
        return None
    ends: list[Any] = [window.get("start"), window.get("end")]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        return None
    try:
        low, high = float(ends[0]), float(ends[1])
    except OverflowError:
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
