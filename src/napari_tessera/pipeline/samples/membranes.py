"""Synthetic electron micrographs of brain tissue with known truth: seeded, so that everyone gets the same pixels.

How an image comes about, in the order in which an electron meets things:

1. Disks of very varied size are packed into the plane, large ones first. Each pixel belongs to the disk that it is
   nearest to (a power diagram), some neighbours are made one cell, and smooth noise bends the plane, so that cells are
   curved and not all convex.
2. The membrane is what lies within half a thickness of a border. Its darkness varies along its length; stretches that
   the section cuts at a slant are pale, wide and blurred.
3. Cytoplasm has a brightness per cell and a texture of two grains. In it lie things that are as dark as membranes and
   are none: mitochondria with a rim and stripes, clusters of vesicles, filaments.
4. The microscope blurs, brightness drifts across the image, the camera counts electrons (Poisson), adds read-out noise
   (Gaussian) and stores 8-bit integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.special import ndtri

from napari_tessera.core.errors import InvalidInputError

_PIXELS = 100_000
"""Organelles are counted per so many pixels, so that an image of any size is as crowded."""

_SCRAP = 15
"""Cells of fewer pixels are made membrane: they are corners that the bending of the plane cuts off."""


@dataclass(frozen=True, kw_only=True)
class MembranesConfig:
    """What `make_membranes` draws; lengths in pixels, brightness from 0 (black) to 1 (white).

    Attributes
    ----------
    shape
        ``(y, x)`` of the image.
    diameter
        Smallest and largest disk that a cell starts from.
    merged
        Share of the disks that become one cell with a neighbour.
    bend
        How far smooth noise shifts the borders, as a standard deviation.
    thickness
        Of the thinnest and the thickest membrane.
    membrane
        Brightness of the darkest and of the palest membrane that is cut straight.
    slanted
        Share of the membranes' length that is cut at a slant, 0 to 1.
    cytoplasm
        Brightness of the darkest and of the brightest cell.
    texture
        Standard deviations of the fine and of the coarse grain.
    mitochondria, vesicles, filaments
        Number of mitochondria, of clusters of vesicles and of filaments, per 100 000 pixels.
    blur
        Sigma of the microscope's blur.
    drift
        How much brightness is lost from the brightest to the darkest corner.
    electrons
        Electrons that a pixel of brightness 1 receives on average.
    read_noise
        Standard deviation of the read-out.
    """

    shape: tuple[int, int] = (512, 512)
    diameter: tuple[float, float] = (12.0, 70.0)
    merged: float = 0.4
    bend: float = 5.0
    thickness: tuple[float, float] = (3.0, 5.0)
    membrane: tuple[float, float] = (0.15, 0.42)
    slanted: float = 0.2
    cytoplasm: tuple[float, float] = (0.52, 0.78)
    texture: tuple[float, float] = (0.06, 0.045)
    mitochondria: float = 13.0
    vesicles: float = 12.0
    filaments: float = 40.0
    blur: float = 0.9
    drift: float = 0.15
    electrons: float = 90.0
    read_noise: float = 0.02

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(self.mitochondria, self.vesicles, self.filaments) < 0:
            raise InvalidInputError("shape must be at least 1 × 1 and counts at least 0: choose larger numbers.")
        if not 4 <= self.diameter[0] <= self.diameter[1] or not 2 <= self.thickness[0] <= self.thickness[1]:
            raise InvalidInputError(
                "diameter is (lowest, highest) from 4 and thickness from 2: choose larger numbers, the lower one first."
            )
        if not 0 <= self.membrane[0] <= self.membrane[1] <= 1 or not 0 <= self.cytoplasm[0] <= self.cytoplasm[1] <= 1:
            raise InvalidInputError(
                "membrane and cytoplasm are (darkest, brightest) from 0 to 1: put the darker first."
            )
        if not 0 <= self.merged <= 1 or not 0 <= self.slanted <= 1 or not 0 <= self.drift <= 1:
            raise InvalidInputError("merged, slanted and drift are shares: choose numbers from 0 to 1.")
        if self.electrons <= 0 or min(self.bend, self.blur, self.read_noise, *self.texture) < 0:
            raise InvalidInputError(
                "electrons must be above 0, bend, blur and noise at least 0: choose larger numbers."
            )


def make_membranes(seed: int, config: MembranesConfig | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Draw a micrograph of cells with dark membranes between them, and its truth.

    Parameters
    ----------
    seed
        Start of all random numbers: the same seed and settings give the same image.
    config
        What to draw; the defaults give a 512 × 512 image with some two hundred cells.

    Returns
    -------
    image
        ``uint8 (y, x)``, dark where electrons were held back.
    truth
        ``uint16 (y, x)`` instance labels: 0 is membrane, every cell has a number of its own. Organelles belong to
        their cell.

    Raises
    ------
    InvalidInputError
        If there are more cells than 16-bit numbers.
    """
    config = config or MembranesConfig()
    # a stream of random numbers per stage: the cells stay the same whatever lies in them
    cells, membranes, organelles, camera = np.random.default_rng(seed).spawn(4)
    distance = _distance_to(_borders(_tessellate(cells, config)))
    thickness = _thickness(cells, config)
    truth = _number_cells(distance, thickness)
    distance[(truth == 0) & (distance > thickness / 2)] = 0  # corners that are too small for a cell
    light = _cytoplasm(truth, membranes, config)
    light = _add_organelles(light, truth, organelles, config)
    light = _add_membranes(light, distance, thickness, membranes, config)
    return _photograph(light, camera, config), truth


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> NDArray[np.float64]:
    """Return noise ``(y, x)`` that varies over `sigma` pixels, with mean 0 and standard deviation 1."""
    step = max(1, int(sigma / 4))  # slow noise is drawn on a coarse grid: the same to the eye, and much faster
    coarse = [n // step + 2 for n in shape]
    noise = ndimage.gaussian_filter(rng.standard_normal(coarse), sigma / step, mode="reflect")
    # scaled by what blurring leaves of white noise, not by what is measured, which is little in a small image
    noise = np.clip(noise * (2 * np.sqrt(np.pi) * sigma / step), -3, 3)
    fine: NDArray[np.float64] = noise if step == 1 else ndimage.zoom(noise, step, order=1)
    return fine[: shape[0], : shape[1]]


def _tessellate(rng: np.random.Generator, config: MembranesConfig) -> NDArray[np.intp]:
    """Return a number per pixel, ``(y, x)``: that of its cell, before membranes take their room."""
    centres, radii = _pack_disks(rng, config)
    grid = np.mgrid[: config.shape[0], : config.shape[1]].astype(float)
    for sigma, size in ((50.0, 2.5 * config.bend), (20.0, config.bend), (7.0, config.bend / 4)):
        grid += size * np.stack([_smooth_noise(rng, config.shape, sigma) for _ in range(2)])
    # a power diagram is an ordinary nearest-neighbour search if a third coordinate holds what a radius is short of
    height = np.sqrt(radii.max() ** 2 - radii**2)
    points = np.moveaxis(grid, 0, -1).reshape(-1, 2)
    _, nearest = KDTree(np.column_stack([centres, height])).query(np.pad(points, ((0, 0), (0, 1))))
    cells: NDArray[np.intp] = _merge_some(centres, rng, config)[nearest].reshape(config.shape)
    return cells


def _pack_disks(rng: np.random.Generator, config: MembranesConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres ``(n, 2)`` and radii ``(n,)`` of disks that hardly overlap; at least one.

    Large disks come first and small ones fill what is left. They reach beyond the image, so that no border follows it.
    """
    margin = config.diameter[1] / 2
    size = np.asarray(config.shape) + 2 * margin
    tries = int(np.ceil(1.5 * size.prod() / config.diameter[0] ** 2))
    centres = rng.uniform(-margin, size - margin, (tries, 2))
    low, high = np.asarray(config.diameter) / 2
    radii = low * (high / low) ** rng.random(tries)
    radii = radii[np.argsort(radii * rng.uniform(0.2, 1, tries))[::-1]]
    near = KDTree(centres).query_ball_point(centres, radii + high)
    kept = np.zeros(tries, bool)
    for index, others in enumerate(near):
        rivals = np.asarray(others)[kept[others]]
        gaps = np.hypot(*(centres[rivals] - centres[index]).T) - 0.8 * (radii[rivals] + radii[index])
        kept[index] = not (gaps < 0).any()
    return centres[kept], radii[kept]


def _merge_some(centres: NDArray[np.float64], rng: np.random.Generator, config: MembranesConfig) -> NDArray[np.intp]:
    """Return a cell per disk, ``(n,)``: its own, or that of its nearest neighbour."""
    cells = np.arange(len(centres))
    if len(centres) > 1:
        _, neighbours = KDTree(centres).query(centres, 2)
        chosen = rng.random(len(centres)) < config.merged
        cells[chosen] = neighbours[chosen, 1]
    return cells


def _borders(cells: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return the pixels ``(y, x)`` whose right or lower neighbour is another cell."""
    borders = np.zeros(cells.shape, bool)
    borders[:-1] |= cells[:-1] != cells[1:]
    borders[:, :-1] |= cells[:, :-1] != cells[:, 1:]
    return borders


def _distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distance of each pixel to the nearest one in `mask`, ``(y, x)``; infinite if `mask` is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return distance


def _thickness(rng: np.random.Generator, config: MembranesConfig) -> NDArray[np.float64]:
    """Return the thickness of a membrane at each pixel, ``(y, x)``."""
    low, high = config.thickness
    share = np.clip(0.5 + 0.3 * _smooth_noise(rng, config.shape, 15.0), 0, 1)
    thickness: NDArray[np.float64] = low + (high - low) * share
    return thickness


def _number_cells(distance: NDArray[np.float64], thickness: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return the truth ``(y, x)``: a number for each piece that membranes enclose."""
    pieces, count = ndimage.label(distance > thickness / 2, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    kept = sizes >= min(_SCRAP, sizes[1:].max(initial=0))
    kept[0] = False
    if np.count_nonzero(kept) > np.iinfo(np.uint16).max:
        raise InvalidInputError("The image holds more than 65535 cells: choose a smaller shape or a larger diameter.")
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.uint16)
    truth: NDArray[np.uint16] = numbers[pieces]
    return truth


def _cytoplasm(truth: NDArray[np.uint16], rng: np.random.Generator, config: MembranesConfig) -> NDArray[np.float64]:
    """Return the brightness ``(y, x)`` of the cells' insides."""
    per_cell = rng.uniform(*config.cytoplasm, int(truth.max()) + 1)
    cells = truth
    if truth.any():  # a membrane pixel takes the brightness of the nearest cell, or pale membranes would show a seam
        nearest = ndimage.distance_transform_edt(truth == 0, return_distances=False, return_indices=True)
        cells = truth[tuple(nearest)]
    light: NDArray[np.float64] = per_cell[cells]
    fine, coarse = config.texture
    return light + fine * _smooth_noise(rng, truth.shape, 1.0) + coarse * _smooth_noise(rng, truth.shape, 4.0)


def _add_membranes(
    light: NDArray[np.float64],
    distance: NDArray[np.float64],
    thickness: NDArray[np.float64],
    rng: np.random.Generator,
    config: MembranesConfig,
) -> NDArray[np.float64]:
    """Return `light` with membranes: dark and crisp where cut straight, pale and wide where cut at a slant."""
    pale = np.clip(0.5 + 0.3 * _smooth_noise(rng, light.shape, 10.0), 0, 1)
    dark = config.membrane[0] + (config.membrane[1] - config.membrane[0]) * pale
    # the noise is normal, so its quantile makes the wanted share slanted; the ramp after it gives soft ends
    slant = np.clip(1.5 * (_smooth_noise(rng, light.shape, 14.0) - ndtri(1 - config.slanted)), 0, 1)
    width = 0.4 * thickness * (1 + 1.2 * slant)
    cover = np.exp(-0.5 * (distance / width) ** 2) * (1 - 0.5 * slant)
    covered: NDArray[np.float64] = light + (dark - light) * cover
    return covered


def _add_organelles(
    light: NDArray[np.float64], truth: NDArray[np.uint16], rng: np.random.Generator, config: MembranesConfig
) -> NDArray[np.float64]:
    """Return `light` with mitochondria, vesicles and filaments, none of which leaves its cell."""
    room = _distance_to(truth == 0)
    per_image = truth.size / _PIXELS
    light = light.copy()
    for centre in _places(room, 9.0, config.mitochondria * per_image, rng):
        _draw_mitochondrion(light, truth, room, centre, rng, config)
    clusters = [_vesicles(truth, centre, rng) for centre in _places(room, 5.0, config.vesicles * per_image, rng)]
    filaments = [_filament(truth, centre, rng) for centre in _places(room, 4.0, config.filaments * per_image, rng)]
    inside = np.clip(room - 1, 0, 1)  # what lies against the membrane would melt into it
    for marks, radius in ((clusters, 2.2), (filaments, 0.0)):
        light -= inside * _ink(truth.shape, marks, radius, rng) * np.maximum(light - config.membrane[0], 0)
    return light


def _places(room: NDArray[np.float64], least: float, count: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return about `count` pixels ``(n, 2)`` with `least` pixels of room around them."""
    free = np.argwhere(room >= least)
    places: NDArray[np.intp] = free[rng.integers(len(free), size=rng.poisson(count))] if len(free) else free
    return places


def _draw_mitochondrion(
    light: NDArray[np.float64],
    truth: NDArray[np.uint16],
    room: NDArray[np.float64],
    centre: NDArray[np.intp],
    rng: np.random.Generator,
    config: MembranesConfig,
) -> None:
    """Darken an oval around `centre` in `light`, in place: a grey inside, stripes across it and a dark rim."""
    at = tuple(centre)
    half_width = min(rng.uniform(6.0, 13.0), float(room[at]))
    half_length = half_width * rng.uniform(1.1, 2.2)
    reach = int(half_length) + 2
    window = tuple(slice(max(c - reach, 0), c + reach + 1) for c in centre)
    y, x = np.mgrid[tuple(slice(s.start, min(s.stop, n)) for s, n in zip(window, truth.shape, strict=True))]
    turn, wave = rng.uniform(0, np.pi), _smooth_noise(rng, y.shape, 4.0)
    along = np.cos(turn) * (x - centre[1]) + np.sin(turn) * (y - centre[0])
    across = np.cos(turn) * (y - centre[0]) - np.sin(turn) * (x - centre[1])
    depth = half_width * (1 + 0.06 * wave - np.hypot(along / half_length, across / half_width))
    depth = np.minimum(depth, room[window] - 1.5)  # the cell's membrane dents it
    body = np.clip(depth, 0, 1) * (truth[window] == truth[at])
    stripes = np.clip(np.sin(2 * np.pi * along / rng.uniform(4.5, 6.5) + 1.2 * wave), 0, 1) * np.clip(depth / 4, 0, 1)
    rim = np.exp(-0.5 * ((depth - 1.0) / 0.8) ** 2)
    darkness = np.clip(0.3 + 0.45 * stripes + 0.7 * rim, 0, 1) * rng.uniform(0.75, 1.0)
    light[window] -= body * darkness * np.maximum(light[window] - config.membrane[0], 0)


def _vesicles(truth: NDArray[np.uint16], centre: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the middles ``(n, 2)`` of a cluster of vesicles around `centre`."""
    count = rng.integers(6, 30)
    return _within(truth, centre, centre + rng.normal(0, rng.uniform(5.0, 10.0), (count, 2)))


def _filament(truth: NDArray[np.uint16], centre: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the pixels ``(n, 2)`` of a bent line that starts at `centre`; a dot now and then."""
    steps = 1 if rng.random() < 0.5 else int(rng.integers(8, 45))
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, steps))
    return _within(truth, centre, centre + np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=1), axis=0))


def _within(truth: NDArray[np.uint16], centre: NDArray[np.intp], points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return those of `points`, rounded to pixels, that lie in the cell of `centre`."""
    pixels = np.rint(points).astype(np.intp)
    pixels = pixels[((pixels >= 0) & (pixels < truth.shape)).all(axis=1)]
    kept: NDArray[np.intp] = pixels[truth[tuple(pixels.T)] == truth[tuple(centre)]]
    return kept


def _ink(
    shape: tuple[int, int], marks: Sequence[NDArray[np.intp]], radius: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how dark marks make what is around them, ``(y, x)`` from 0 to 1: most at `radius` from a mark."""
    paper, strength = np.ones(shape, bool), np.zeros(shape)
    for mark in marks:
        paper[tuple(mark.T)] = False
        strength[tuple(mark.T)] = rng.uniform(0.5, 1.0)
    if paper.all():
        return strength
    distance, nearest = ndimage.distance_transform_edt(paper, return_indices=True)
    ink: NDArray[np.float64] = strength[tuple(nearest)] * np.exp(-0.5 * ((distance - radius) / 0.8) ** 2)
    return ink


def _photograph(light: NDArray[np.float64], rng: np.random.Generator, config: MembranesConfig) -> NDArray[np.uint8]:
    """Blur, shade and count: from the electrons that come through to grey values, ``uint8 (y, x)``."""
    y, x = np.ogrid[tuple(slice(-0.5, 0.5, complex(0, n)) for n in config.shape)]
    turn = rng.uniform(0, 2 * np.pi)
    slope = (np.sin(turn) * y + np.cos(turn) * x) / (abs(np.sin(turn)) + abs(np.cos(turn)))
    blurred = np.clip(ndimage.gaussian_filter(light, config.blur, mode="reflect"), 0, 1)
    scene = blurred * (1 + config.drift * (slope - 0.5))
    counted = rng.poisson(config.electrons * scene) / config.electrons
    grey = counted + config.read_noise * rng.standard_normal(light.shape)
    image: NDArray[np.uint8] = np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)
    return image
