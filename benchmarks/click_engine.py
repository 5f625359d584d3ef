"""Time of the engine of clicks: a press, a drag, small and large, in 2D and 3D, beside scikit-image and SimpleITK.

Run: ``python benchmarks/click_engine.py``. All are timed in turn, on one thread, and results are compared before. A
*press* makes a frame as the mouse does, reads the image and the labels that may not be entered, and grows; a *drag*
grows again with another tolerance; both end with the mask of the region. The *estimate* is that of the first tolerance.
Shares of the time that the mouse has are limits of processor time. The exit status is 1 if a limit is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK
from limits import reached
from numpy.typing import NDArray
from skimage import data, segmentation

from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule
from napari_tessera.operations.growing.competing import grow_competing

TOLERANCE = 40.0

PRESS_LIMIT = 1.2
"""Times the faster of scikit-image's flood and SimpleITK's ConfidenceConnected."""


@dataclass(frozen=True)
class Case:
    """A ball that is clicked on, and the most milliseconds of the processor that a press and a drag may take."""

    what: str
    shape: tuple[int, ...]
    radius: float
    dtype: str
    press: float
    drag: float


CASES = (
    Case("small, uint8", (2048, 2048), 24.6, "uint8", 0.5, 0.2),
    Case("200 kpx, uint8", (2048, 2048), 252.3, "uint8", 2.5, 10.0),
    Case("200 kpx, float32", (2048, 2048), 252.3, "float32", 2.5, 10.0),
    Case("1 Mpx, uint8", (2048, 2048), 564.2, "uint8", 9.0, 8.0),
    Case("1 Mpx, uint16", (2048, 2048), 564.2, "uint16", 9.0, 8.0),
    Case("1 Mpx, float32", (2048, 2048), 564.2, "float32", 9.0, 8.0),
    Case("3 Mvoxel, uint16", (190, 190, 190), 89.5, "uint16", 45.0, 35.0),
)


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


def thread_seconds(function: Callable[[], Any]) -> float:
    """Return the processor time of one call."""
    began = time.thread_time()
    function()
    return time.thread_time() - began


def milliseconds(taken: list[float]) -> float:
    return statistics.median(taken) * 1e3


def ball(shape: tuple[int, ...], radius: float, dtype: str) -> NDArray[Any]:
    """Return a noisy ball of 100 ± 8 in the middle of 0."""
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    inside = sum((axis - n // 2) ** 2 for axis, n in zip(axes, shape, strict=True)) < radius**2
    noise = np.random.default_rng(0).normal(100, 8, shape).clip(70, 130)
    return np.where(inside, noise, 0).astype(dtype)


def time_case(case: Case, rounds: int) -> bool:
    """One case beside its peers."""
    image, seed = ball(case.shape, case.radius, case.dtype), tuple(n // 2 for n in case.shape)
    labels = np.zeros(case.shape, np.uint32)

    def press() -> ClickFrame:
        frame = ClickFrame(
            lambda box: image[box],
            case.shape,
            image.dtype,
            (1.0,) * image.ndim,
            rule=ClickRule(),
            blocked=lambda box: labels[box] != 0,
        )
        frame.start(np.array(seed), TOLERANCE)
        frame.finish()
        return frame

    def drag() -> None:
        frame.retune(TOLERANCE)
        frame.finish()

    def flood() -> Any:
        return segmentation.flood(image, seed, tolerance=TOLERANCE, connectivity=1)

    def confidence() -> Any:
        return SimpleITK.ConfidenceConnected(SimpleITK.GetImageFromArray(image), [seed[::-1]], 0, 8.0, 3)

    frame = press()
    region, flooded = frame.region, flood()
    assert flooded.sum() == region.size == SimpleITK.GetArrayFromImage(confidence()).sum()
    np.testing.assert_array_equal(flooded[region.box], region.mask)
    pressed, dragged, flooding, itk, estimating = seconds(
        rounds, press, drag, flood, confidence, lambda: frame.estimate_tolerance(np.array(seed))
    )
    taken = {"press": pressed, "drag": dragged, "estimate": estimating, "flood": flooding, "ConfidenceConnected": itk}
    own_press, own_drag = (milliseconds([thread_seconds(act) for _ in range(rounds)]) for act in (press, drag))
    told = ", ".join(f"{name} {milliseconds(times):.3f} ms" for name, times in taken.items())
    print(f"{case.what}, {region.size} pixels: {told}")
    ratios = [ours / min(peers) for ours, *peers in zip(pressed, flooding, itk, strict=True)]
    kept = [
        reached(f"press, {case.what}, to the faster peer", statistics.median(ratios), PRESS_LIMIT, "×"),
        reached(f"press, {case.what}, processor time", own_press, case.press, " ms"),
        reached(f"drag, {case.what}, processor time", own_drag, case.drag, " ms"),
    ]
    return all(kept)


def time_others(rounds: int) -> None:
    """Time what has no peer: other criteria, smoothing, channels, competing points."""
    image, coins = ball((2048, 2048), 252.3, "uint8"), data.coins()
    colours = np.stack([image, image // 2, 255 - image], axis=-1)
    seed = np.array([1024, 1024])
    for what, rule, channels, tolerance in (
        ("fixed range", ClickRule("fixed_range"), 0, TOLERANCE),
        ("edge-stopped", ClickRule("edge_stopped"), 0, 20.0),
        ("smoothed, sigma 2", ClickRule(smoothing=2.0), 0, TOLERANCE),
        ("holes filled", ClickRule(fill_holes=True), 0, TOLERANCE),
        ("3 channels", ClickRule(), 3, 2 * TOLERANCE),
    ):
        pixels = colours if channels else image
        frame = ClickFrame(lambda box, p=pixels: p[box], image.shape, image.dtype, (1.0, 1.0), channels, rule=rule)

        def press(frame: ClickFrame = frame, tolerance: float = tolerance) -> None:
            frame.start(seed, tolerance)
            frame.finish()

        def drag(frame: ClickFrame = frame, tolerance: float = tolerance) -> None:
            frame.retune(tolerance)
            frame.finish()

        press()
        pressed, dragged = seconds(rounds, press, drag)
        size = frame.region.size
        print(f"{what}, {size} pixels: press {milliseconds(pressed):.3f} ms, drag {milliseconds(dragged):.3f} ms")
    points = np.random.default_rng(0).integers(0, coins.shape, (100, 2))
    frame = ClickFrame(lambda box: coins[box], coins.shape, coins.dtype, (1.0, 1.0), rule=ClickRule())
    (competing,) = seconds(rounds, lambda: grow_competing(frame, points, 20.0))
    print(f"100 competing points in {coins.shape}: {milliseconds(competing):.3f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    kept = [time_case(case, min(options.rounds, 5) if len(case.shape) == 3 else options.rounds) for case in CASES]
    time_others(options.rounds)
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
