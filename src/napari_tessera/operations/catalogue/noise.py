"""Operations that add noise, for teaching and for tests."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from napari_tessera.core.axes import CANONICAL
from napari_tessera.operations.base import Block, Fitted, Local, Survey
from napari_tessera.operations.casting import RANGE_HELP, Range, range_of
from napari_tessera.operations.noise.simulation import add_gaussian, add_salt_and_pepper, make_poisson
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.statistics import value_range
from napari_tessera.operations.registry import register

GROUP = "Noise"
_SEED = "Another number gives other noise; the same number gives the same noise again."
_BOUND = "the last bit of random numbers may differ, so that a pixel may round to its neighbouring level"


def _all_axes(axes: str) -> str:
    """Return all axes as one frame: noise must differ between time points and channels."""
    return "".join(axis for axis in CANONICAL if axis in axes)


@register
class GaussianNoise(Fitted):
    """Add Gaussian noise, as electronics do.

    Integers are rounded and clipped to their type. Noise depends on the seed and the place in the image alone.
    """

    title: ClassVar = "Gaussian noise"
    also: ClassVar = ("add noise", "simulate")
    group: ClassVar = GROUP
    bound: ClassVar = _BOUND

    sigma: float | None = parameter(
        None,
        "Standard deviation of the noise; left empty: a twentieth of the range of the image.",
        unit="grey levels",
        gt=0,
    )
    seed: int = parameter(0, _SEED, ge=0, lt=2**32)

    def frame_axes(self, axes: str) -> str:
        """Return all axes."""
        return _all_axes(axes)

    def fit(self, survey: Survey) -> Local:
        """Find the range of the image where no standard deviation is given."""
        sigma = self.sigma
        if sigma is None:
            low, high = value_range(survey)
            sigma = (float(high) - float(low)) / 20 or 1.0
        return GaussianNoiseOf(sigma=sigma, seed=self.seed)


class GaussianNoiseOf(Local):
    """Gaussian noise of a given standard deviation."""

    sigma: float = parameter(..., "Standard deviation.")
    seed: int = parameter(..., _SEED)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the noisy block."""
        return add_gaussian(block.image, block.region, block.spec.shape, self.sigma, self.seed)


@register
class PoissonNoise(Local):
    """Make photon noise: every pixel becomes a Poisson count around its brightness.

    Intensities below 0 count as 0; integers are rounded and clipped to their type. Noise depends on the seed and the
    place in the image alone.
    """

    title: ClassVar = "Poisson (photon) noise"
    also: ClassVar = ("add noise", "shot noise", "simulate")
    group: ClassVar = GROUP
    bound: ClassVar = _BOUND

    photons: float = parameter(
        1.0,
        "How many photons one grey level stands for; fewer make more noise.",
        unit="photons per level",
        gt=0,
        le=1e9,
    )
    seed: int = parameter(0, _SEED, ge=0, lt=2**32)

    def frame_axes(self, axes: str) -> str:
        """Return all axes."""
        return _all_axes(axes)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the noisy block."""
        return make_poisson(block.image, block.region, block.spec.shape, self.photons, self.seed)


@register
class SaltAndPepper(Fitted):
    """Set some pixels to white and some to black.

    Noise depends on the seed and the place in the image alone.
    """

    title: ClassVar = "Salt and pepper"
    also: ClassVar = ("add noise", "impulse", "simulate")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    amount: float = parameter(10.0, "Share of pixels that are hit.", unit="% of pixels", ge=0, le=100)
    salt: float = parameter(50.0, "Share of these that become white.", unit="%", ge=0, le=100)
    over: Range = parameter("image", f"What black and white are. {RANGE_HELP}")
    seed: int = parameter(0, _SEED, ge=0, lt=2**32)

    def frame_axes(self, axes: str) -> str:
        """Return all axes."""
        return _all_axes(axes)

    def fit(self, survey: Survey) -> Local:
        """Find black and white."""
        low, high = range_of(survey, self.over)
        return SaltAndPepperOf(amount=self.amount / 100, salt=self.salt / 100, low=low, high=high, seed=self.seed)


class SaltAndPepperOf(Local):
    """Salt and pepper of given black and white."""

    amount: float = parameter(..., "Share of pixels, 0 to 1.")
    salt: float = parameter(..., "Share of white ones, 0 to 1.")
    low: int | float = parameter(..., "Black.")
    high: int | float = parameter(..., "White.")
    seed: int = parameter(..., _SEED)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the noisy block."""
        return add_salt_and_pepper(
            block.image,
            block.region,
            block.spec.shape,
            amount=self.amount,
            salt=self.salt,
            low=self.low,
            high=self.high,
            seed=self.seed,
        )
