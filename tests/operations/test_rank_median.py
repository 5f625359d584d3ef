"""The median filter equals scipy's in every pixel, for every dtype, window and shape."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.rank.median import median
from napari_tessera.operations.rank.networks import (
    Circuit,
    Slot,
    between,
    finish,
    merge_all,
    middle,
    middle_of_all,
    split_middle,
)
from napari_tessera.operations.rank.plans import plan

DTYPES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
]  # fmt: skip
COMMON = ["uint8", "uint16", "float32"]
RARE = ["uint32", "int8", "int32", "float16"]
RARE_3D = [("uint64", 3), ("int64", 3), ("float64", 3)]
"""Their kernels are compiled anew in every test run, for seconds, and share all their code with those of the others."""


def made_up(shape, dtype, seed=0, values=None):
    """Return an image of which a fifth of the pixels are extremes, with many ties where `values` is small."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind == "f":
        low, high = -1000, 1000
    else:
        # scipy computes with float64, which holds no more than 53 bits of an integer.
        low, high = max(np.iinfo(dtype).min, -(2**53)), min(np.iinfo(dtype).max, 2**53)
    if values is None:
        image = rng.uniform(low, high, shape) if kind == "f" else rng.integers(low, high, shape, dtype, endpoint=True)
    else:
        image = rng.integers(0, values, shape)
    image = image.astype(dtype)
    image[rng.random(shape) < 0.1] = low
    image[rng.random(shape) < 0.1] = high
    return image


def by_scipy(image, size):
    dtype = image.dtype
    image = image.astype(np.float32) if dtype == np.float16 else image.astype(dtype.newbyteorder("="))
    return ndimage.median_filter(image, size, mode="reflect").astype(dtype)


def assert_like_scipy(image, size):
    before = image.copy()
    result = median(image, size)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, by_scipy(image, size))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        pytest.param(dtype, shape, marks=[pytest.mark.long] if dtype in RARE or (dtype, len(shape)) in RARE_3D else [])
        for dtype in DTYPES
        for shape in ((70, 75), (5, 37, 41))
    ],
)
def test_every_dtype(dtype, shape):
    assert_like_scipy(made_up(shape, dtype), 3)
    assert_like_scipy(made_up(shape, dtype, values=3), 3)


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
@pytest.mark.parametrize("size", [3, 17])
def test_integers_of_64_bit_are_exact(dtype, size):
    """Above 2⁵³ scipy rounds: here the definition is the oracle."""
    bounds = np.iinfo(dtype)
    image = np.random.default_rng(0).integers(bounds.max - 99, bounds.max, (20, 30), dtype, endpoint=True)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, size // 2, mode="symmetric"), (size, size))
    expected = np.sort(windows.reshape(20, 30, -1), axis=-1)[..., size * size // 2]
    np.testing.assert_array_equal(median(image, size), expected)


@pytest.mark.parametrize("dtype", COMMON)
@pytest.mark.parametrize("size", [1, 3, 5, 7, 9])
def test_square_windows(dtype, size):
    assert_like_scipy(made_up((41, 67), dtype), size)
    assert_like_scipy(made_up((66, 43), dtype, values=4), size)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float64", 15), *(pytest.param(*kind, marks=pytest.mark.long) for kind in (("uint8", 13), ("uint16", 11)))],
)
def test_the_largest_networks(dtype, size):
    assert_like_scipy(made_up((41, 167), dtype), size)


@pytest.mark.parametrize(
    "size",
    [
        *[(3, 7), (7, 3), (1, 5), (7, 1), (1, 1)],
        *(pytest.param(size, marks=pytest.mark.long) for size in ((9, 5), (13, 3))),
    ],
)
def test_oblong_windows(size):
    assert_like_scipy(made_up((41, 52), "uint16"), size)


@pytest.mark.parametrize(
    "size",
    [
        *[(1, 3, 3), (1, 7, 7), (3, 1, 5), (5, 3, 1), 5, (1, 1, 3), (3, 1, 1)],
        *(pytest.param(size, marks=pytest.mark.long) for size in ((3, 5, 5), (3, 9, 1))),
    ],
)
def test_windows_in_3d(size):
    assert_like_scipy(made_up((6, 19, 23), "uint8"), size)


@pytest.mark.parametrize(
    ("dtype", "size"), [("uint8", 17), ("uint8", 31), ("bool", 17), ("uint16", 17), ("float32", 17)]
)
def test_windows_beyond_the_networks(dtype, size):
    assert_like_scipy(made_up((35, 44), dtype), size)


@pytest.mark.parametrize("dtype", COMMON)
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_rows_of_about_a_chunk_and_strips_of_about_32(dtype, extra):
    width = 1024 // np.dtype(dtype).itemsize + extra
    assert_like_scipy(made_up((32 + extra, width), dtype), 7)
    assert_like_scipy(made_up((2, 32 + extra, width), dtype), 3)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 80)] * 2), st.tuples(*[st.integers(1, 14)] * 3)),
    size=st.sampled_from([3, 5, 7]),
    dtype=st.sampled_from(COMMON),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_also_smaller_than_the_window(shape, size, dtype, seed):
    if len(shape) == 3:
        size = 3
    assert_like_scipy(made_up(shape, dtype, seed), size)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_arrays_in_any_order_in_memory(size):
    image = made_up((60, 90), "uint16")
    for view in (image[::2, ::-1], image.T, np.asfortranarray(image), image[5:50, 7:60], image.astype(">u2")):
        assert_like_scipy(view, size)
    image.flags.writeable = False
    assert_like_scipy(image, size)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float32"])
@pytest.mark.parametrize("size", [3, 5, 7, 17])
def test_writes_into_the_array_that_is_given(dtype, size):
    image = made_up((40, 50), dtype)
    whole = np.zeros((40, 120), dtype)
    for out in (np.zeros_like(image), whole[:, 10:60], whole[:, 10:110:2], np.zeros((50, 40), dtype).T):
        assert median(image, size, out) is out
        np.testing.assert_array_equal(out, by_scipy(image, size))


@pytest.mark.parametrize("size", [3, 5, 7])
def test_may_overwrite_its_input(size):
    image = made_up((40, 50), "uint8")
    expected = by_scipy(image, size)
    median(image, size, image)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 4, 4), (3, 4, 0)])
def test_empty_images(shape):
    assert median(np.zeros(shape, np.uint8), 3).shape == shape


@pytest.mark.parametrize("size", [3, 5, 7])
def test_nan_and_infinity_do_no_harm(size):
    image = made_up((50, 60), "float32")
    image[20, 30], image[10, 10], image[40, 5] = np.nan, np.inf, -np.inf
    result = median(image, size)
    reach = size // 2
    seen = np.zeros(image.shape, bool)
    seen[20 - reach : 21 + reach, 30 - reach : 31 + reach] = True
    np.testing.assert_array_equal(result[~seen], by_scipy(np.nan_to_num(image, nan=0), size)[~seen])


@pytest.mark.parametrize(
    ("image", "size", "message"),
    [
        (np.zeros((5, 5)), 4, "odd"),
        (np.zeros((5, 5)), 0, "odd"),
        (np.zeros((5, 5)), -3, "odd"),
        (np.zeros((5, 5)), (3, 3, 3), "one per axis"),
        (np.zeros(5), 3, "2D or 3D"),
        (np.zeros((2, 2, 5, 5)), 3, "2D or 3D"),
        (np.zeros((5, 5), complex), 3, "dtype"),
        (np.zeros((5, 5), object), 3, "dtype"),
    ],
)
def test_refuses_with_the_remedy(image, size, message):
    with pytest.raises(InvalidInputError, match=message):
        median(image, size)


def test_refuses_an_unfit_output():
    image = np.zeros((5, 5), np.uint8)
    for out in (np.zeros((5, 4), np.uint8), np.zeros((5, 5), np.uint16), np.broadcast_to(np.uint8(0), (5, 5))):
        with pytest.raises(InvalidInputError, match="output"):
            median(image, 3, out)


def lists_of(circuit, *lengths):
    return [circuit.fetch(Slot(i, length)) for i, length in enumerate(lengths)]


def run_circuit(circuit, lists):
    values = []
    for kind, first, second, _ in circuit.made:
        if kind == "load":
            values.append(lists[first][second])
        else:
            values.append((min if kind == "min" else max)(values[first], values[second]))
    return values


def zeros_and_ones(*lengths):
    """By the zero-one principle a network that sorts all sorted lists of these sorts everything."""
    for ones in itertools.product(*(range(length + 1) for length in lengths)):
        yield [[0] * (length - k) + [1] * k for length, k in zip(lengths, ones, strict=True)]


@pytest.mark.parametrize("lengths", [(1, 1), (4, 4), (8, 3), (5, 9), (9, 1), (18, 18), (3, 4, 7), (6, 6, 6)])
def test_networks_find_the_ranks_that_are_wanted(lengths):
    total = sum(lengths)
    for first, last in [(0, total - 1), (total // 3, total // 2), (total // 2, total // 2), (total - 2, total - 1)]:
        ways: tuple[Callable[..., list[int]], ...] = (middle_of_all, middle, split_middle)
        for way in ways:
            circuit = Circuit()
            loaded = lists_of(circuit, *lengths)
            if way is not middle_of_all and len(lengths) > 2:
                continue
            wanted = way(circuit, *([loaded] if way is middle_of_all else loaded), first, last)
            for lists in zeros_and_ones(*lengths):
                values = run_circuit(circuit, lists)
                assert [values[v] for v in wanted] == sorted(itertools.chain(*lists))[first : last + 1]


@pytest.mark.parametrize("n", [1, 3, 9])
def test_median_of_two_lists(n):
    circuit = Circuit()
    wanted = between(circuit, *lists_of(circuit, n + 1, n))
    for lists in zeros_and_ones(n + 1, n):
        assert run_circuit(circuit, lists)[wanted] == sorted(lists[0] + lists[1])[n]


def test_a_program_holds_only_what_is_stored():
    circuit = Circuit()
    values = merge_all(circuit, [[value] for value in circuit.fetch(Slot(0, 4))])
    assert finish(circuit, values[:1], Slot(4, 1)).cost == 3
    assert finish(circuit, values, Slot(4, 4)).cost == 10


@pytest.mark.parametrize(("window", "most"), [((1, 5, 5), 57), ((1, 7, 7), 149), ((1, 9, 9), 225), ((3, 3, 3), 84)])
def test_plans_are_short(window, most):
    assert plan(window).cost <= most


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint64", "int64", "float32", "float64"])
@pytest.mark.parametrize(("shape", "size"), [((30, 41), 17), ((3, 5), 61), ((30, 31), (3, 121)), ((7, 12, 14), 9)])
def test_large_windows_are_counted(dtype, shape, size):
    """Scipy errs where a window is far larger than the image: here the definition is the oracle."""
    image = made_up(shape, dtype)
    window = (size,) * image.ndim if isinstance(size, int) else size
    padded = np.pad(image, [(extent // 2,) * 2 for extent in window], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window).reshape(*shape, -1)
    expected = np.sort(windows, axis=-1)[..., windows.shape[-1] // 2]
    np.testing.assert_array_equal(median(image, size), expected)


def test_zeros_of_both_signs_are_ordered():
    image = np.where(np.random.default_rng(0).random((20, 20)) < 0.5, -0.0, 0.0)
    middle = np.signbit(median(image, 19))[9, 9]
    padded = np.pad(image, 9, mode="symmetric")[9:28, 9:28]
    assert middle == (np.signbit(padded).sum() > 180)


def test_large_windows_can_be_cancelled():
    class StoppedError(Exception):
        pass

    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        median(made_up((400, 400), "uint16"), 201, check=check)
