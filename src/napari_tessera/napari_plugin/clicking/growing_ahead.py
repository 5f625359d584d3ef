"""A region that grows under the resting mouse, unseen, so that a press has it on the screen at once.

A hand that is about to click holds the mouse still first, for longer than most regions take to grow.
"""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.napari_plugin.clicking.live_growth import LiveGrowth

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickFrame

REST_MS = 15
"""A mouse that has not moved for so long rests."""

_CHANGES = ("data", "set_data", "labels_update", "paint")
"""Events of a layer that tell that its pixels may have changed."""


class GrowingAhead:
    """Remembers which click has been begun ahead, and gives it up when the pixels of its layers change.

    Parameters
    ----------
    growth
        Grows it.
    """

    def __init__(self, growth: LiveGrowth) -> None:
        self._growth = growth
        self._key: Hashable = None
        self._layers: Sequence[Layer] = ()

    def begin(
        self, key: Hashable, layers: Sequence[Layer], frame: "ClickFrame", seeds: NDArray[Any], tolerance: float | None
    ) -> None:
        """Grow a region; `key` stands for all that it depends on but the pixels of `layers`."""
        self.forget()
        self._key, self._layers = key, layers
        self._growth.prepare(frame, seeds, tolerance)
        for event in self._events():
            event.connect(self._on_change)

    def holds(self, key: Hashable) -> bool:
        """Whether that click is growing or has grown."""
        return self._key is not None and self._key == key

    def take(self, key: Hashable) -> bool:
        """Hand over what grows for the click of `key`; return False, and give up what grows, if that is another one."""
        if not self.holds(key):
            self.forget()
            return False
        self._let_go()
        return True

    def forget(self) -> None:
        """Give up what grows ahead, if anything does."""
        if self._key is not None:
            self._let_go()
            self._growth.stop()

    def _on_change(self, _event: object = None) -> None:
        self.forget()

    def _let_go(self) -> None:
        for event in self._events():
            event.disconnect(self._on_change)
        self._key, self._layers = None, ()

    def _events(self) -> list[Any]:
        return [getattr(layer.events, name) for layer in self._layers for name in _CHANGES if name in layer.events]
