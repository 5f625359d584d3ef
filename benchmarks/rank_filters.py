"""Times of our median and adaptive median beside those of scipy, scikit-image, SimpleITK and OpenCV, all on one thread.

Run: ``python benchmarks/rank_filters.py``. Each row of the table is one filter on one image. What counts is the
processor's time, which other programs disturb least; peers are timed in turn with ours. Every result is compared with
ours: SimpleITK and OpenCV repeat the edge pixel where scipy and we reflect, and scikit-image leaves out what lies
outside, so theirs are compared inside the border.
The exit status is 1 if a limit is missed or a result differs. Peers that are not installed are left out.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from limits import reached
from numpy.typing import NDArray
from scipy import ndimage

from napari_tessera.operations.rank.adaptive_median import adaptive_median
from napari_tessera.operations.rank.median import median

Image = NDArray[Any]
Filter = Callable[[], Image]

SCIPY_RATIO = {"2D 9": 100, "3D 3": 100}
"""How many times faster than scipy on integers, per filter."""

SCIPY_RATIO_FLOAT = {"3D 3": 40}
"""The same on float32."""

OPENCV_LIMIT = 1.2
"""Times OpenCV's time, windows of 3 and 5 in 2D."""

ADAPTIVE_RATIO = 50
"""How many times faster than the composition of scipy's filters."""

ADAPTIVE_TYPICAL, ADAPTIVE_WORST = 25.0, 80.0
"""Milliseconds for 2048² and windows up to 9: uint8 on an ordinary image; any dtype on the hardest one."""


def noisy(shape: tuple[int, ...], dtype: str, *, flat: bool) -> Image:
    """Return waves, or spots on a black background, with 35 % salt and pepper."""
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1000
    if flat:
        image = np.where(ndimage.gaussian_filter(rng.random(shape, np.float32), 6) > 0.505, top // 2, 0)
    else:
        waves = np.indices(shape, np.float32).sum(axis=0)
        image = top * (0.3 + 0.4 * np.sin(waves / 40) ** 2) + rng.integers(0, 9, shape)
    image = image.astype(dtype)
    chance = rng.random(shape)
    image[chance < 0.175] = 0
    image[chance > 0.825] = top
    return image


def adaptive_by_scipy(image: Image, largest: int) -> Image:
    """Follow levels A and B on whole images, with scipy's filters."""
    result, waiting = np.empty_like(image), np.ones(image.shape, bool)
    for size in range(3, largest + 1, 2):
        low, high = ndimage.minimum_filter(image, size), ndimage.maximum_filter(image, size)
        middle = ndimage.median_filter(image, size)
        level_a, level_b = (low < middle) & (middle < high), (low < image) & (image < high)
        result = np.where(waiting, np.where(level_a & level_b, image, middle), result)
        waiting &= ~level_a
    return result


def peers_of_median(image: Image, size: int) -> dict[str, Filter]:
    """Return the filters of other packages that take this image and window."""
    peers: dict[str, Filter] = {"scipy": lambda: ndimage.median_filter(image, size, mode="reflect")}
    if image.dtype == np.uint8 and importlib.util.find_spec("skimage"):
        from skimage.filters import rank

        peers["skimage"] = lambda: rank.median(image, np.ones((size,) * image.ndim, np.uint8))
    if importlib.util.find_spec("SimpleITK"):
        import SimpleITK

        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        picture = SimpleITK.GetImageFromArray(image)
        radius = [size // 2] * image.ndim
        peers["SimpleITK"] = lambda: SimpleITK.GetArrayFromImage(SimpleITK.Median(picture, radius))
    if image.ndim == 2 and (size <= 5 or image.dtype == np.uint8) and importlib.util.find_spec("cv2"):
        import cv2

        made = np.empty_like(image)
        peers["OpenCV"] = lambda: cv2.medianBlur(image, size, dst=made)
    return peers


def time_in_turn(filters: dict[str, Filter], rounds: int, patience: float) -> dict[str, float]:
    """Return the least processor time of each filter in milliseconds; one that has taken `patience` seconds rests."""
    seconds: dict[str, list[float]] = {name: [] for name in filters}
    for _ in range(rounds):
        for name, run in filters.items():
            if sum(seconds[name]) < patience:
                began = time.process_time()
                run()
                seconds[name].append(time.process_time() - began)
    return {name: 1e3 * min(values) for name, values in seconds.items()}


def compare(
    name: str, ours: Filter, peers: dict[str, Filter], border: int, rounds: int
) -> tuple[dict[str, float], bool]:
    """Print a row of the table; return the times and whether all results agree."""
    expected = ours().copy()
    inner = (slice(border, -border),) * expected.ndim
    wrong = [
        peer
        for peer, run in peers.items()
        if not np.array_equal(*((run(), expected) if peer == "scipy" else (run()[inner], expected[inner])))
    ]
    times = time_in_turn({"ours": ours, **peers}, rounds, patience=2.0)
    cells = [f"{peer} {times[peer]:.1f} ms ({times[peer] / times['ours']:.1f}×)" for peer in peers]
    print(
        f"{name}: ours {times['ours']:.2f} ms; {', '.join(cells)}{'; DIFFERENT: ' + ', '.join(wrong) if wrong else ''}"
    )
    return times, not wrong


def compare_medians(edge: int, volume: tuple[int, ...], rounds: int) -> list[bool]:
    """Compare the median filters; return what was kept."""
    kept = []
    rng = np.random.default_rng(0)
    cases = [((edge, edge), size) for size in (3, 5, 7, 9)] + [(volume, 3)]
    for shape, size in cases:
        for dtype in ("uint8", "uint16", "float32"):
            image = rng.integers(0, 256 if dtype == "uint8" else 65536, shape).astype(dtype)
            out = np.empty_like(image)
            kind = f"{image.ndim}D {size}"
            peers = peers_of_median(image, size)

            def ours(image: Image = image, size: int = size, out: Image = out) -> Image:
                return median(image, size, out)

            times, agree = compare(f"median {kind} {dtype}", ours, peers, size // 2, rounds)
            kept.append(agree)
            least = (SCIPY_RATIO_FLOAT if dtype == "float32" else SCIPY_RATIO).get(kind)
            if least:
                share = times["ours"] / times["scipy"] * least
                kept.append(reached(f"  time beside a {least}th of scipy's", share, 1, "×"))
            if "OpenCV" in times and size <= 5:
                kept.append(reached("  to OpenCV", times["ours"] / times["OpenCV"], OPENCV_LIMIT, "×"))
    return kept


def compare_adaptive(edge: int, volume: tuple[int, ...], rounds: int) -> list[bool]:
    """Compare the adaptive median with the composition of scipy's filters; return what was kept."""
    kept = []
    part = (volume[0] // 4, volume[1] // 2, volume[2] // 2)  # scipy takes half a minute for the whole volume
    for shape, largest in (((edge, edge), 9), (part, 5)):
        for flat in (False, True):
            for dtype in ("uint8", "uint16", "float32"):
                image = noisy(shape, dtype, flat=flat)
                out = np.empty_like(image)

                def ours(image: Image = image, largest: int = largest, out: Image = out) -> Image:
                    return adaptive_median(image, largest, out)

                def scipys(image: Image = image, largest: int = largest) -> Image:
                    return adaptive_by_scipy(image, largest)

                name = f"adaptive median {image.ndim}D {largest} {dtype} {'on black' if flat else 'on waves'}"
                times, agree = compare(name, ours, {"scipy": scipys}, 0, rounds)
                share = times["ours"] / times["scipy"] * ADAPTIVE_RATIO
                kept += [agree, reached(f"  time beside a {ADAPTIVE_RATIO}th of scipy's", share, 1, "×")]
                if shape == (2048, 2048):
                    limit = ADAPTIVE_WORST if flat else ADAPTIVE_TYPICAL
                    kept.append(reached("  time", times["ours"], limit, " ms"))
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--edge", type=int, default=2048, help="of the 2D images, in pixels")
    parser.add_argument("--volume", type=int, nargs=3, default=(64, 512, 512), help="z y x of the 3D image, in voxels")
    parser.add_argument("--opencv-threads", type=int, default=1)
    options = parser.parse_args()
    if importlib.util.find_spec("cv2"):
        import cv2

        cv2.setNumThreads(options.opencv_threads)
    volume = tuple(options.volume)
    print(f"{options.edge}² and {' × '.join(map(str, volume))} pixels; in brackets: how many times faster ours is")
    kept = compare_medians(options.edge, volume, options.rounds)
    kept += compare_adaptive(options.edge, volume, options.rounds)
    print(f"{sum(kept)} of {len(kept)} checks kept")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
