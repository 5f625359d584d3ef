"""Time of thresholds, histograms and region growing beside scikit-image, SimpleITK and OpenCV.

Run: ``python benchmarks/thresholds_and_growing.py``. Ours and the peers are timed in turn, on one thread, and results
are compared before anything is timed. The exit status is 1 if a limit is missed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import SimpleITK
import zarr
from limits import reached
from numpy.typing import NDArray
from skimage import data, filters, segmentation

from napari_tessera.operations.growing.engine.grower import Grower, grow
from napari_tessera.operations.reductions.histograms import Histogram, full_range, histogram, histogram_of
from napari_tessera.operations.thresholding.thresholds import multi_otsu, otsu

CLASSES_LIMIT = 20.0
"""Milliseconds for any number of classes on 65,536 levels."""
FIVE_LIMIT = 6.0
"""Milliseconds for five of them."""
MULTI_OTSU_LIMIT = 0.001
"""Times scikit-image, five classes on 256 levels."""
OTSU_LIMIT = 1.0
"""Times scikit-image; the peer OpenCV is printed."""
READING_LIMIT = 1.3
"""Times reading the same chunks in as many threads."""
GROWING_LIMIT = 1.0
"""Times the faster of scikit-image's flood and SimpleITK's ConfidenceConnected."""


def seconds(rounds: int, *functions: Callable[[], Any]) -> list[list[float]]:
    """Time functions in turn; the first round, which compiles and warms up, does not count."""
    taken: list[list[float]] = [[] for _ in functions]
    for round_ in range(rounds + 1):
        for function, times in zip(functions, taken, strict=True):
            began = time.perf_counter()
            function()
            if round_:
                times.append(time.perf_counter() - began)
    return taken


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median ratio of what was timed in the same round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def line(what: str, **taken: list[float]) -> None:
    print(f"{what}: " + ", ".join(f"{name} {statistics.median(t) * 1e3:.3f} ms" for name, t in taken.items()))


def time_otsu(rounds: int) -> bool:
    """Otsu from the pixels on, against scikit-image and OpenCV."""
    image = np.tile(data.camera(), (4, 4))
    found = otsu(histogram(image))
    assert found == filters.threshold_otsu(image) == cv2.threshold(image, 0, 255, cv2.THRESH_OTSU)[0]
    ours, skimage, opencv = seconds(
        rounds,
        lambda: otsu(histogram(image)),
        lambda: filters.threshold_otsu(image),
        lambda: cv2.threshold(image, 0, 255, cv2.THRESH_OTSU),
    )
    line("Otsu, 2048² uint8", ours=ours, skimage=skimage, OpenCV_with_mask=opencv)
    return reached("Otsu to scikit-image", ratio(ours, skimage), OTSU_LIMIT, "×")


def time_multi_otsu(rounds: int) -> bool:
    """Multi-Otsu from the histogram on, on 256 levels against scikit-image, on 65,536 against the clock."""
    small = histogram(data.camera())
    given = (small.counts.astype(np.float32), small.centers)
    assert list(multi_otsu(small, 4)) == filters.threshold_multiotsu(hist=given, classes=4).tolist()
    ours, skimage = seconds(2, lambda: multi_otsu(small, 5), lambda: filters.threshold_multiotsu(hist=given, classes=5))
    line("multi-Otsu, 5 classes, 256 levels", ours=ours, skimage=skimage)
    kept = [reached("multi-Otsu to scikit-image", ratio(ours, skimage), MULTI_OTSU_LIMIT, "×")]
    rng = np.random.default_rng(0)
    peaks = [rng.normal(mean, 3000, 10**6) for mean in (8e3, 2e4, 3e4, 44e3, 6e4)]
    image = np.concatenate([*peaks, np.arange(65_536)]).clip(0, 65_535).astype(np.uint16)
    large = histogram(image)
    for classes, limit in ((5, FIVE_LIMIT), (10, CLASSES_LIMIT)):
        (taken,) = seconds(rounds, lambda classes=classes: multi_otsu(large, classes))
        median = statistics.median(taken) * 1e3
        kept.append(reached(f"multi-Otsu, {classes} classes, 65,536 levels", median, limit, " ms"))
    return all(kept)


def time_histogram(megabytes: int) -> bool:
    """Count a zarr array chunk by chunk in two threads, as the engine does, against reading them without counting.

    Reading all of it at once, into memory, is told beside it.
    """
    rng = np.random.default_rng(0)
    rows = max(megabytes * 2**20 // (2 * 8192) // 1024, 1)
    with tempfile.TemporaryDirectory() as folder:
        array = zarr.create_array(
            folder, shape=(rows * 1024, 8192), chunks=(1024, 1024), dtype="uint16", compressors=zarr.codecs.ZstdCodec()
        )
        for row in range(rows):
            array[row * 1024 : (row + 1) * 1024] = rng.poisson(900, (1024, 8192)).astype(np.uint16)
        corners = [(y, x) for y in range(0, array.shape[0], 1024) for x in range(0, 8192, 1024)]

        low, high = full_range(array.dtype) or (0, 0)

        def chunk_at(corner: tuple[int, int]) -> NDArray[Any]:
            y, x = corner
            return np.asarray(array[y : y + 1024, x : x + 1024])

        def counts_at(corner: tuple[int, int]) -> NDArray[np.int64]:
            return histogram_of(chunk_at(corner), low, high, high - low + 1)

        def count() -> Histogram:
            with ThreadPoolExecutor(2) as threads:
                return Histogram(np.asarray(sum(threads.map(counts_at, corners))), low, high, array.dtype)

        def read() -> None:
            with ThreadPoolExecutor(2) as threads:
                list(threads.map(lambda corner: chunk_at(corner).shape, corners))

        expected = np.bincount(np.asarray(array[:]).reshape(-1), minlength=65_536)
        np.testing.assert_array_equal(count().counts, expected)
        ours, reading, whole = seconds(3, count, read, lambda: array[:])
    line(f"histogram of {rows * 16} MB of zarr", ours_with_reading=ours, chunks_alone=reading, all_at_once=whole)
    return reached("histogram to reading the chunks", ratio(ours, reading), READING_LIMIT, "×")


def disk(shape: tuple[int, ...], radius: float, dtype: str) -> NDArray[Any]:
    """Return a noisy image with a bright ball in the middle."""
    middle = [n // 2 for n in shape]
    distance = sum((axis - at) ** 2 for axis, at in zip(np.ogrid[tuple(slice(n) for n in shape)], middle, strict=True))
    image = np.random.default_rng(0).normal(40, 4, shape).astype(np.float32)
    image[distance < radius**2] += 100
    return image.clip(0, 255).astype(dtype)


def time_growing(what: str, image: NDArray[Any], rounds: int) -> bool:
    """One region from one seed, against a flood of fixed range and a region of a mean and its deviation."""
    seed = tuple(n // 2 for n in image.shape)
    grower = Grower(image)

    def click() -> None:
        grower.start(seed, "running_mean", 40)
        grower.step()

    def confidence() -> Any:
        picture = SimpleITK.GetImageFromArray(image)
        return SimpleITK.ConfidenceConnected(picture, [seed[::-1]], 0, 8.0, 3)

    click()
    flooded = segmentation.flood(image, seed, tolerance=40, connectivity=1)
    np.testing.assert_array_equal(flooded[grower.bounds], grower.mask)
    assert flooded.sum() == grower.sizes[0] == SimpleITK.GetArrayFromImage(confidence()).sum()
    ours, once, flood, itk = seconds(
        rounds,
        click,
        lambda: grow(image, [seed], "running_mean", 40),
        lambda: segmentation.flood(image, seed, tolerance=40, connectivity=1),
        confidence,
    )
    line(f"{what}, {flooded.sum()} pixels", ours=ours, ours_with_labels=once, flood=flood, ConfidenceConnected=itk)
    faster = flood if statistics.median(flood) < statistics.median(itk) else itk
    return reached(f"{what}, to the faster peer", ratio(ours, faster), GROWING_LIMIT, "×")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--megabytes", type=int, default=512, help="size of the zarr array")
    parser.add_argument("--edge", type=int, default=2048, help="of the image in which regions grow")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    kept = [time_otsu(options.rounds), time_multi_otsu(options.rounds), time_histogram(options.megabytes)]
    edge = options.edge
    kept += [
        time_growing(f"growing in {dtype}", disk((edge, edge), edge * 0.3145, dtype), options.rounds)
        for dtype in ("uint8", "uint16", "float32")
    ]
    kept.append(time_growing("growing, small", disk((edge, edge), 24.6, "uint8"), options.rounds))
    side = max(edge // 10, 20)
    kept.append(time_growing("growing in 3D", disk((side,) * 3, side * 0.5, "uint16"), min(options.rounds, 3)))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
