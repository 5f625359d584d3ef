"""The settings of a click."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickRule

Criterion = Literal["running_mean", "fixed_range", "edge_stopped"]


@dataclass(frozen=True)
class ClickOptions:
    """How regions grow, as chosen in the widget.

    Attributes
    ----------
    criterion
        When a pixel joins.
    tolerance
        In grey levels; None: estimated where the click is.
    smoothing
        Sigma of a Gaussian before growing, in pixels; 0: none; None: what the noise where the click is asks for.
    fill_holes, max_size, corners
        Whether holes become part of the region; its most pixels; whether it also grows over corners.
    enter_others
        Whether it may take pixels from other objects.
    extent
        The slice on screen, or the volume.
    channels
        Numbers of channels; None: the one on screen.
    radius
        How strongly outlines are smoothed, in pixels.
    """

    criterion: Criterion = "running_mean"
    tolerance: float | None = None
    smoothing: float | None = None
    fill_holes: bool = False
    max_size: int | None = None
    corners: bool = False
    enter_others: bool = False
    extent: Literal["plane", "volume"] = "plane"
    channels: tuple[int, ...] | None = None
    radius: float = 2.0

    def rule(self, ndim: int) -> "ClickRule":
        """Return what the engine needs to know of it."""
        from napari_tessera.operations.growing.clicking import ClickRule

        return ClickRule(
            criterion=self.criterion,
            connectivity=ndim if self.corners else 1,
            smoothing=self.smoothing,
            fill_holes=self.fill_holes,
            max_size=self.max_size,
        )
