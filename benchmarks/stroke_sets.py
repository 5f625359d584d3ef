"""The kinds of images that `strokes.py` compares on: what is learnt from, what is tested on, and the truth of both.

The choice is fixed here: which images train and which test never depends on a result. Sets with two or three images are
split two-fold, so that each image is tested once by a model that has not seen it; every other set keeps its test images
apart, and settings are chosen without them (`chosen_on`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread
from tifffile import imread as read_tiff

from napari_tessera.core.image import ImageSource
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.samples.membranes import make_membranes
from napari_tessera.pipeline.samples.nuclei import make_nuclei

WALL = 5
"""Edge of the square in which cells of two numbers make a wall: walls become four pixels wide."""


@dataclass(frozen=True)
class Picture:
    """An image with its truth.

    Attributes
    ----------
    image
        ``(y, x)`` or ``(y, x, 3)``, as its file has it.
    objects
        ``integer (y, x)``: 0 is background, every object or structure a number.
    """

    image: NDArray[Any]
    objects: NDArray[np.integer[Any]]

    @property
    def opened(self) -> ImageSource:
        """The image with its axes, which an array does not name."""
        return open_image(self.image, axes="yxc" if self.image.ndim == 3 else "yx")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """What is foreground, ``(y, x)``."""
        return self.objects > 0


@dataclass(frozen=True)
class Fold:
    """Names of the pictures that are learnt from, and of those that are tested."""

    learnt: tuple[str, ...]
    tested: tuple[str, ...]


@dataclass(frozen=True)
class PictureSet:
    """One kind of images: how to read a picture by name, and what is learnt from and tested."""

    name: str
    read: Callable[[str], Picture]
    folds: tuple[Fold, ...]

    def chosen_on(self) -> Fold:
        """Return a fold without any test picture, where there is one: the learnt pictures, divided in two."""
        learnt = self.folds[0].learnt
        return Fold(learnt[::2], learnt[1::2]) if len(learnt) > 1 else self.folds[0]


def read_sets(data: Path) -> dict[str, PictureSet]:
    """Return all kinds by name; of real images those that lie in the folder `data`."""
    found = [_nuclei(), _membranes()]
    for name, folder, every in (("fluorescence", "dsb2018/fluorescence", 5), ("emps", "emps", 4)):
        if names := _names(data / folder):
            learnt = tuple(names[::every][:6])
            tested = tuple(each for each in names if each not in learnt)
            found.append(PictureSet(name, _files(data / folder), (Fold(learnt, tested),)))
    for name, folder in (
        ("brightfield", "dsb2018/brightfield"),
        ("histology", "dsb2018/histology"),
        ("phase", "phase"),
    ):
        if names := _names(data / folder):
            first, rest = tuple(names[:1]), tuple(names[1:])
            found.append(PictureSet(name, _files(data / folder), (Fold(rest, first), Fold(first, rest))))
    if (data / "ovule3d").is_dir():
        found.append(PictureSet("ovule3d", _walls(data / "ovule3d"), (_planes((2, 8), (18, 23, 28)),)))
    if (data / "nuclei3d").is_dir():
        found.append(PictureSet("nuclei3d", _slices(data / "nuclei3d"), (_planes((15, 30), (50, 65, 80)),)))
    return {one.name: one for one in found}


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "images").glob("*.*"))


def _planes(learnt: Sequence[int], tested: Sequence[int]) -> Fold:
    return Fold(tuple(map(str, learnt)), tuple(map(str, tested)))


def _files(folder: Path) -> Callable[[str], Picture]:
    def read(name: str) -> Picture:
        image, labels = (next((folder / part).glob(f"{name}.*")) for part in ("images", "labels"))
        return Picture(imread(image), imread(labels))

    return read


def _slices(folder: Path) -> Callable[[str], Picture]:
    def read(name: str) -> Picture:
        return Picture(*(read_tiff(folder / f"{part}.tif")[int(name)] for part in ("image", "labels")))

    return read


def _walls(folder: Path) -> Callable[[str], Picture]:
    """Return a reader of planes whose foreground is the walls, where two numbers meet."""
    plane = _slices(folder)

    def read(name: str) -> Picture:
        picture = plane(name)
        highest = ndimage.grey_dilation(picture.objects, WALL)
        walls = highest != ndimage.grey_erosion(picture.objects, WALL)
        return Picture(picture.image, walls.astype(np.uint8))

    return read


def _nuclei() -> PictureSet:
    folds = (_planes((1, 2), (11, 12, 13)),)
    return PictureSet("nuclei", lambda name: Picture(*make_nuclei(int(name))), folds)


def _membranes() -> PictureSet:
    folds = (_planes((1, 2, 3), (11, 12, 13)),)
    return PictureSet("membranes", lambda name: Picture(*make_membranes(int(name))), folds)
