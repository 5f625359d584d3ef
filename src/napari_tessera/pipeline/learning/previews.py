"""Predicting what the person looks at while a network is still being trained."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_tessera.config.model import ClassSpec
from napari_tessera.core.jobs import Preview
from napari_tessera.core.tiles import round_up
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.priors import Offsets
from napari_tessera.pipeline.learning.dataset import Dataset, Pair
from napari_tessera.pipeline.learning.stored import read_plane
from napari_tessera.pipeline.learning.viewport import View, Viewport
from napari_tessera.pipeline.predicting.pixel_predictors import PixelPredictor

MAX_PIXELS = 2**20
"""A view with more pixels is previewed around its centre only."""

LONGEST_EDGE = 2048
"""Longest edge that is predicted at once, in pixels."""

FILES = "preview-{}.npy"
KEPT = 4
"""Number of files used in turn: a reader has as many previews' time to read one."""


class Previewer:
    """Predicts the current view and leaves the class labels in a file.

    Parameters
    ----------
    pairs
        Images and labels of the training.
    dataset
        What was made of them.
    classes
        The classes by index.
    viewport
        Where to look up the current view.
    folder
        Where to write the files.
    predictor_of
        Makes of a network and its offsets what predicts by them.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        dataset: Dataset,
        classes: Sequence[ClassSpec],
        viewport: Viewport,
        folder: Path,
        predictor_of: Callable[[Network, Offsets], PixelPredictor],
    ) -> None:
        self._pairs = pairs
        self._ranges = dataset.ranges
        self._ids = np.array([entry.id for entry in classes])
        self._viewport = viewport
        self._folder = folder
        self._predictor_of = predictor_of
        self._count = 0

    def __call__(self, network: Network, offsets: Offsets = ()) -> Preview | None:
        """Predict the current view with `network` and `offsets`; None if nobody looks, or at nothing of the image."""
        view = self._viewport.view
        if view is None or not 0 <= view.image < len(self._pairs):
            return None
        image = self._pairs[view.image][0]
        axes = image.axes.replace("c", "")
        region = _shown(view, [image.spec.sizes[axis] for axis in axes], axes)
        if any(side.stop <= side.start for side in region):
            return None
        predictor = self._predictor_of(network, offsets)
        needs = predictor.needs
        halo, stride = (dict(zip("yx", each, strict=True)) for each in (needs.halo, needs.stride))
        outer = tuple(
            _grown(side, image.spec.sizes[axis], halo[axis], stride[axis]) if axis in "yx" else side
            for axis, side in zip(axes, region, strict=True)
        )
        pixels = predictor.arrange(read_plane(image, outer), outer, self._ranges[view.image])
        predictor.edge = round_up(LONGEST_EDGE, max(needs.stride))
        with predictor:
            indices = predictor.submit([pixels])[0]()
        y, x = (_within(region[axes.index(axis)], outer[axes.index(axis)]) for axis in "yx")
        inner = indices[y, x]
        if axes.index("y") > axes.index("x"):
            inner = inner.T
        labels = self._ids[inner].reshape([side.stop - side.start for side in region])
        return Preview(view.image, tuple((side.start, side.stop) for side in region), str(self._write(labels)))

    def _write(self, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Path:
        self._count += 1
        path = self._folder / FILES.format(self._count % KEPT)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, labels.astype(np.min_scalar_type(int(self._ids.max()))), allow_pickle=False)
        return path


def remove_previews(folder: Path) -> None:
    """Remove what earlier previews left in `folder`."""
    for path in folder.glob(FILES.format("*")):
        path.unlink(missing_ok=True)


def _shown(view: View, shape: Sequence[int], axes: str) -> list[slice]:
    """Clip the view to the image, to one plane, and to `MAX_PIXELS` around its centre."""
    region = [slice(max(start, 0), min(stop, length)) for (start, stop), length in zip(view.region, shape, strict=True)]
    area = math.prod(max(side.stop - side.start, 0) for axis, side in zip(axes, region, strict=True) if axis in "yx")
    shrink = min(1.0, (MAX_PIXELS / max(area, 1)) ** 0.5)
    for index, (axis, side) in enumerate(zip(axes, region, strict=True)):
        length = int((side.stop - side.start) * shrink) if axis in "yx" else 1
        start = side.start + (side.stop - side.start - length) // 2 if axis in "yx" else side.start
        region[index] = slice(start, min(start + length, shape[index]))
    return region


def _grown(side: slice, length: int, halo: int, stride: int) -> slice:
    """Grow a side by the halo, starting at a multiple of the stride, as prediction does."""
    start = max(0, (side.start - halo) // stride * stride)
    return slice(start, min(length, side.stop + halo + stride))


def _within(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)
