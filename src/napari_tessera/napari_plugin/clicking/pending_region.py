"""A click and the region that is being made from it: what mouse and wheel ask for, and whether it may be kept."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.clicking.click_source import ClickSource, LabelsFrame
from napari_tessera.napari_plugin.clicking.intent import Intent
from napari_tessera.napari_plugin.clicking.live_growth import Grown
from napari_tessera.napari_plugin.clicking.target import Target
from napari_tessera.napari_plugin.layers.locking import locked_labels

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickFrame, ClickRegion, ClickRule

PER_PIXEL = 1.012
"""By how much the tolerance grows with each pixel of the canvas that the mouse is dragged: twofold with 58."""
PER_NOTCH = 1.12
"""By how much it grows with each notch of the wheel."""
DEAD_PIXELS = 3
"""A mouse that moves less is not meant to be dragged."""

MOST_OF_FRAME = 0.5
"""What fills a larger part of what is clicked in, without a tolerance that the person has chosen, is no object."""
MOST_TO_ALL_SIDES = 1 / 3
"""The same of what reaches from side to side along every axis, as background does round objects and between them."""


@dataclass(frozen=True)
class Click:
    """Where a region begins, and what becomes of it."""

    target: Target
    source: ClickSource
    pixel: NDArray[np.int64]
    intent: Intent

    @property
    def rule(self) -> "ClickRule":
        """What the engine needs to know of the settings."""
        return self.target.options.rule(len(self.source.frame.shape))

    @property
    def key(self) -> Hashable:
        """All that the region depends on but the pixels, which are told apart by their arrays alone."""
        source, frame, options = self.source, self.source.frame, self.target.options
        return (
            (id(frame.layer.data), frame.dims, frame.start, frame.shape, frame.spacing),
            (id(source.array), source.places, source.order, source.shift, source.chosen),
            (tuple(self.pixel.tolist()), options, self.intent.label, locked_labels(frame.layer)),
        )

    @property
    def settled_rule(self) -> "ClickRule":
        """The same with the smoothing that the click gets, which takes a look at the pixels.

        Not where the region grows in a thread anyway: it is found out there.
        """
        rule = self.rule
        if rule.smoothing is not None or self.source.lazy or rule.criterion == "edge_stopped":
            return rule
        self.engine.settle(self.pixel)
        return replace(rule, smoothing=self.engine.smoothing)

    @cached_property
    def engine(self) -> "ClickFrame":
        """What the region grows in."""
        from napari_tessera.operations.growing.clicking import ClickFrame

        source, frame = self.source, self.source.frame
        blocked = blocked_reader(frame, self.intent.label, enter_others=self.target.options.enter_others)
        return ClickFrame(
            source.read, frame.shape, source.dtype, frame.spacing, source.channels, rule=self.rule, blocked=blocked
        )


@dataclass
class Pending:
    """A region that is being made."""

    target: Target
    source: ClickSource
    intent: Intent
    pressed_at: float
    base: float | None = None
    dragged: float = 0.0
    notches: float = 0.0
    released: bool = False
    latest: Grown | None = None

    @property
    def wanted(self) -> float | None:
        """The tolerance that mouse and wheel ask for; None as long as the first one is not known."""
        if self.base is None:
            return None
        beyond = np.sign(self.dragged) * max(0.0, abs(self.dragged) - DEAD_PIXELS)
        return float(self.base * PER_PIXEL**beyond * PER_NOTCH**self.notches)

    @property
    def estimated(self) -> bool:
        """Whether the person has left the tolerance as it was estimated."""
        return self.target.options.tolerance is None and abs(self.dragged) <= DEAD_PIXELS and not self.notches

    @property
    def background(self) -> str:
        """Why what has grown is taken for background; empty if it is not."""
        if self.latest is None or not self.estimated:
            return ""
        return looks_like_background(self.latest.region, self.source.frame.shape, self.most_loaded)

    @property
    def most_loaded(self) -> int:
        """How many pixels of the image the click may load."""
        return self.target.options.rule(len(self.source.frame.shape)).most_loaded

    @property
    def settled(self) -> bool:
        """Whether what has grown last is what is asked for."""
        return self.latest is not None and self.latest.done and self.latest.tolerance == self.wanted


def looks_like_background(region: "ClickRegion", shape: tuple[int, ...], most_loaded: int) -> str:
    """Return why a region whose tolerance was only estimated is taken for background; empty if it is not.

    Parameters
    ----------
    region
        What has grown, maybe not to its end.
    shape
        Of the plane or volume that it grows in.
    most_loaded
        How many pixels of the image it may load.
    """
    part = region.size / math.prod(shape)
    loaded = region.ended == "loaded"
    around = all(side.start == 0 and side.stop == n for side, n in zip(region.box, shape, strict=True))
    most = MOST_TO_ALL_SIDES if around else MOST_OF_FRAME
    if part <= most and not (loaded and region.size > MOST_OF_FRAME * most_loaded):
        return ""
    of = "volume" if len(shape) == 3 else "image"
    return f"{100 * part:.0f} % of the {of}{' and goes on' if loaded else ''}: that looks like background."


def blocked_reader(frame: LabelsFrame, own: int, *, enter_others: bool) -> Callable[[Region], NDArray[np.bool_]]:
    """Return what tells where a region may not grow: in objects but `own`, or if it may enter those, in locked ones."""
    locked = np.array(sorted(locked_labels(frame.layer) - {own}), np.int64)

    def read(box: Region) -> NDArray[np.bool_]:
        labels = frame.read(box)
        if enter_others:
            return np.isin(labels, locked) if locked.size else np.zeros(labels.shape, bool)
        return (labels != 0) & (labels != own) if own else labels != 0

    return read
