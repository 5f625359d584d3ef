"""How a run unfolds: by the steps that will really fit into it, be it limited by steps, by time, or by both.

A run that is cut by time, on a slow or busy computer, may have sixty steps where eight hundred were planned. Whatever
grows in or dies away over a run therefore follows its pace and never a number of steps that may not come.
"""

import math
from dataclasses import dataclass

WARM_UP = (20, 0.1)
"""The step size grows in over so many steps, but over no more than this share of the run."""

GROWING_IN = (100, 0.5)
"""Terms that need a network which knows the classes grow in over so many steps, and no more than this share."""

VALIDATIONS = 5
"""A run that time will cut short is validated at least about so often."""


@dataclass(frozen=True)
class Pace:
    """Where a run is.

    Attributes
    ----------
    step
        Steps of the run that are done.
    fraction
        Share of the run that is over, 0 to 1, by steps or by time, whichever is further.
    most
        Steps after which the run ends in any case.
    """

    step: int
    fraction: float
    most: int

    @property
    def expected(self) -> float:
        """Number of steps that the run will have, as far as can be told."""
        return min(self.most, self.step / self.fraction) if self.step and self.fraction else self.most

    def learning_rate(self, highest: float) -> float:
        """Return the step size: a short warm-up, then a cosine down to a hundredth of the highest."""
        warm = self._grown(*WARM_UP)
        return warm * highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(self.fraction, 1.0))))

    def grown_in(self) -> float:
        """Return by how much, 0 to 1, a term has grown in that is added bit by bit."""
        steps, share = GROWING_IN
        return min(1.0, self.step / max(1.0, min(steps, share * self.expected)))

    def validation_interval(self, wanted: int) -> int:
        """Return the number of steps to the next validation: `wanted`, or fewer where time cuts the run short."""
        if self.expected >= self.most:
            return wanted
        return max(1, min(wanted, round(self.expected / VALIDATIONS)))

    def _grown(self, steps: int, share: float) -> float:
        return min(1.0, (self.step + 1) / max(1.0, min(steps, share * self.expected)))
