"""How many first clicks take their object: a click on each of some objects of labelled images, nobody drags.

Run: ``python benchmarks/first_clicks.py FOLDER …``. A folder holds ``images`` and ``labels`` with the same names but
for the suffix, one number per object. Told for the centres of objects (farthest from their outline) and for random
points inside, for images of even and of odd place in the alphabet (constants of the estimate were chosen by the even
ones): the share of clicks with an IoU above 0.5, the mean IoU, and processor time of the estimate.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import io

from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule

LEAST_SIZE = 20


def points_in(mask: NDArray[np.bool_], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the centre of an object and a random point not too near to its outline."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    inside = np.argwhere(depth > 0.3 * depth.max())
    return [np.array(np.unravel_index(depth.argmax(), depth.shape)), inside[rng.integers(len(inside))]]


def click_in(image: NDArray[Any], labels: NDArray[Any], criterion: Any, most: int) -> list[tuple[float, float, float]]:
    """Return the IoU at the centre and at a random point, and the mean time of an estimate, of up to `most` objects."""
    rng = np.random.default_rng(0)
    numbers = [n for n in np.unique(labels) if n and np.count_nonzero(labels == n) >= LEAST_SIZE]
    channels = image.shape[2] if image.ndim > labels.ndim else 0
    rule = ClickRule(criterion, fill_holes=True, most_loaded=2**22)
    frame = ClickFrame(lambda box: image[box], labels.shape, image.dtype, (1.0, 1.0), channels, rule=rule)
    told = []
    for number in rng.permutation(numbers)[:most]:
        truth, ious, taken = labels == number, [], 0.0
        box = ndimage.find_objects(truth.astype(np.uint8))[0]
        corner = np.array([part.start for part in box])
        for inside in points_in(truth[box], rng):
            point = inside + corner
            began = time.thread_time()
            tolerance = frame.estimate_tolerance(point)
            taken += (time.thread_time() - began) / 2
            frame.start(point, tolerance)
            region = frame.finish()
            common = np.count_nonzero(truth[region.box] & region.mask)
            ious.append(common / (region.size + np.count_nonzero(truth) - common))
        told.append((ious[0], ious[1], taken * 1e3))
    return told


def read_image(path: Path) -> NDArray[Any]:
    image = np.asarray(io.imread(path))
    if image.ndim == 3:
        image = image[..., :3]
        if (image == image[..., :1]).all():
            image = image[..., 0]
    return image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=30, help="clicks per image")
    options = parser.parse_args()
    for folder in options.folders:
        for criterion in ("running_mean", "fixed_range", "edge_stopped"):
            for half, name in enumerate(("even", "odd")):
                told = []
                for path in sorted((folder / "labels").iterdir())[half::2]:
                    image = read_image(next((folder / "images").glob(f"{path.stem}.*")))
                    told += click_in(image, np.asarray(io.imread(path)), criterion, options.most)
                if not told:
                    continue
                table = np.array(told)
                shares = [f"{(table[:, k] > 0.5).mean():.2f} (mean {table[:, k].mean():.2f})" for k in (0, 1)]
                print(
                    f"{folder.name}, {criterion}, {name} images, {len(table)} objects: centres {shares[0]}, "
                    f"random points {shares[1]}, "
                    f"estimate {np.median(table[1:, 2]):.1f} ms, at most {table[1:, 2].max():.1f} ms"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
