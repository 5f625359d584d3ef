"""Synthetic images of fluorescent nuclei with known truth: seeded, so that everyone gets the same pixels.

How an image comes about, in the order of the light's way:

1. Nuclei are ellipses whose outline is bent by low harmonics, of varied size, elongation and brightness. A share of
   them is placed against one that is there already, so that clusters of touching nuclei arise; pixels belong to the
   nucleus that came first, so truth never overlaps.
2. Inside, brightness follows the thickness of a dome and a texture of smooth noise (chromatin).
3. The microscope blurs: a narrow Gaussian for the focus, a wide weak one for light from out of focus. Illumination
   falls off from an off-centre maximum; cytoplasm gives a dim, patchy background.
4. The camera counts photons (Poisson), adds read-out noise (Gaussian) and an offset, and stores 16-bit integers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tessera.core.errors import InvalidInputError

_ATTEMPTS_PER_NUCLEUS = 30


@dataclass(frozen=True, kw_only=True)
class NucleiConfig:
    """What `make_nuclei` draws; lengths in pixels, light as a share of the brightest nucleus.

    Attributes
    ----------
    shape
        ``(y, x)`` of the image.
    count
        Number of nuclei to place; fewer if they do not fit.
    radius
        Smallest and largest mean radius.
    touching
        Share of nuclei that are placed against another one.
    brightness
        Dimmest and brightest nucleus.
    texture
        Standard deviation of the brightness inside a nucleus.
    focus, haze
        Sigma of the blur in focus, and of the light from out of focus.
    haze_share
        Share of the light that is out of focus.
    background
        Brightness between nuclei, before its patchiness.
    vignetting
        How much illumination is lost in the darkest corner, 0 to 1.
    photons
        Photons that a pixel of brightness 1 receives on average.
    gain, offset, read_noise
        Grey values per photon, grey value in the dark, and standard deviation of the read-out in grey values.
    """

    shape: tuple[int, int] = (512, 512)
    count: int = 130
    radius: tuple[float, float] = (9.0, 18.0)
    touching: float = 0.4
    brightness: tuple[float, float] = (0.3, 1.0)
    texture: float = 0.12
    focus: float = 1.3
    haze: float = 12.0
    haze_share: float = 0.15
    background: float = 0.05
    vignetting: float = 0.4
    photons: float = 150.0
    gain: float = 12.0
    offset: float = 100.0
    read_noise: float = 15.0

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.count < 0:
            raise InvalidInputError("shape must be at least 1 × 1 and count at least 0: choose larger numbers.")
        if not 1 <= self.radius[0] <= self.radius[1] or not 0 < self.brightness[0] <= self.brightness[1]:
            raise InvalidInputError("radius and brightness are (lowest, highest), above 0: put the lower one first.")


def make_nuclei(seed: int, config: NucleiConfig | None = None) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Draw an image of nuclei and its truth.

    Parameters
    ----------
    seed
        Start of all random numbers: the same seed and settings give the same image.
    config
        What to draw; the defaults give a 512 × 512 image with about a hundred nuclei.

    Returns
    -------
    image
        ``uint16 (y, x)``, as a camera would give it.
    truth
        ``uint16 (y, x)`` instance labels: 0 is background, every nucleus has a number of its own.
    """
    config = config or NucleiConfig()
    rng = np.random.default_rng(seed)
    truth, light = _place_nuclei(rng, config)
    return _photograph(light, rng, config), truth


def _place_nuclei(rng: np.random.Generator, config: NucleiConfig) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Return truth and the light that leaves the nuclei, both ``(y, x)``."""
    truth = np.zeros(config.shape, np.uint16)
    light = np.zeros(config.shape)
    placed: list[tuple[float, float, float]] = []
    for _ in range(config.count):
        for _ in range(_ATTEMPTS_PER_NUCLEUS):
            radius = rng.uniform(*config.radius)
            touching = bool(placed) and rng.random() < config.touching
            centre = (
                _beside(placed[rng.integers(len(placed))], radius, rng) if touching else _anywhere(rng, config.shape)
            )
            if _fits(centre, radius, placed, touching=touching) and _draw_nucleus(
                truth, light, centre, radius, rng, config
            ):
                placed.append((*centre, radius))
                break
    return truth, light


def _anywhere(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[float, float]:
    return float(rng.uniform(0, shape[0])), float(rng.uniform(0, shape[1]))


def _beside(neighbour: tuple[float, float, float], radius: float, rng: np.random.Generator) -> tuple[float, float]:
    y, x, other = neighbour
    angle, distance = rng.uniform(0, 2 * np.pi), 0.9 * (radius + other)
    return float(y + distance * np.sin(angle)), float(x + distance * np.cos(angle))


def _fits(
    centre: tuple[float, float], radius: float, placed: list[tuple[float, float, float]], *, touching: bool
) -> bool:
    """Whether a nucleus keeps its distance: nearly touching neighbours if it may touch, a clear gap otherwise."""
    factor, gap = (0.88, 0.0) if touching else (1.2, 4.0)
    return all(np.hypot(centre[0] - y, centre[1] - x) >= factor * (radius + other) + gap for y, x, other in placed)


def _draw_nucleus(
    truth: NDArray[np.uint16],
    light: NDArray[np.float64],
    centre: tuple[float, float],
    radius: float,
    rng: np.random.Generator,
    config: NucleiConfig,
) -> bool:
    """Add one nucleus to `truth` and `light` in place; False if nothing of it lies inside the image and is free."""
    reach = int(np.ceil(1.8 * radius))
    low = [max(int(c) - reach, 0) for c in centre]
    high = [min(int(c) + reach + 1, n) for c, n in zip(centre, truth.shape, strict=True)]
    window = tuple(slice(start, max(start, stop)) for start, stop in zip(low, high, strict=True))
    y, x = np.mgrid[window]
    depth = 1 - _relative_radius(y - centre[0], x - centre[1], radius, rng)
    inside = (depth > 0) & (truth[window] == 0)
    grain = ndimage.gaussian_filter(rng.standard_normal(inside.shape), max(1.0, radius / 6), mode="reflect")
    texture = 1 + config.texture * grain / max(float(grain.std()), 1e-12) if grain.size else grain
    brightness = np.exp(rng.uniform(*np.log(config.brightness)))
    if np.count_nonzero(inside) < 0.5 * np.pi:
        return False
    dome = 0.75 + 0.25 * np.sqrt(np.clip(1 - (1 - depth) ** 2, 0, 1))
    truth[window][inside] = truth.max() + 1
    light[window][inside] = (brightness * dome * np.clip(texture, 0.3, None))[inside]
    return True


def _relative_radius(
    y: NDArray[np.float64], x: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the distance from the centre as a share of the distance of the outline: 1 on the outline."""
    turn, elongation = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
    along = (np.cos(turn) * x + np.sin(turn) * y) / np.sqrt(elongation)
    across = (np.cos(turn) * y - np.sin(turn) * x) * np.sqrt(elongation)
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for order, size in ((2, 0.05), (3, 0.05), (4, 0.03), (5, 0.02)):
        outline += size * rng.standard_normal() * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    relative: NDArray[np.float64] = np.hypot(along, across) / (radius * np.clip(outline, 0.6, 1.4))
    return relative


def _photograph(light: NDArray[np.float64], rng: np.random.Generator, config: NucleiConfig) -> NDArray[np.uint16]:
    """Blur, illuminate and count: from the light of the nuclei to grey values, ``uint16 (y, x)``."""
    patches = ndimage.gaussian_filter(rng.standard_normal(light.shape), 20, mode="reflect")
    patches *= 0.3 / max(float(patches.std()), 1e-12)
    scene = light + config.background * np.clip(1 + patches, 0.2, None)
    focus = ndimage.gaussian_filter(scene, config.focus, mode="reflect")
    haze = ndimage.gaussian_filter(scene, config.haze, mode="reflect")
    blurred = (1 - config.haze_share) * focus + config.haze_share * haze
    photons = rng.poisson(config.photons * blurred * _illumination(rng, config))
    grey = config.offset + config.gain * photons + config.read_noise * rng.standard_normal(light.shape)
    image: NDArray[np.uint16] = np.clip(np.rint(grey), 0, np.iinfo(np.uint16).max).astype(np.uint16)
    return image


def _illumination(rng: np.random.Generator, config: NucleiConfig) -> NDArray[np.float64]:
    """Return the share of the light at each pixel, ``(y, x)``: 1 at an off-centre maximum, less towards the corners."""
    y, x = np.ogrid[tuple(slice(-1, 1, complex(0, n)) for n in config.shape)]
    top, left = rng.uniform(-0.4, 0.4, 2)
    distance = (y - top) ** 2 + (x - left) ** 2
    fall: NDArray[np.float64] = 1 - config.vignetting * distance / distance.max()
    return fall
