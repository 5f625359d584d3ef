"""Smaller copies of large images: what they hold, and where their pixels lie."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io import levels
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image, open_levels


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "LARGE", 40)
    monkeypatch.setattr(levels, "SMALL", 10)


def _write(path: Path, spec: ImageSpec, pixels: np.ndarray, **options: object) -> None:
    sink = create_image(path, spec, **options)
    sink.write(spec.full_region, pixels)
    sink.finish()


def _read(path: Path, level: int) -> np.ndarray:
    image = open_image(path, level=level)
    return image.read(image.spec.full_region)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_are_picked_and_stay_where_they_are(tmp_path: Path, version: str) -> None:
    spec = ImageSpec(axes="yx", shape=(30, 61), dtype="uint8", scale=(0.5, 0.25), translate=(3, 4))
    pixels = np.random.default_rng(0).integers(0, 5, spec.shape, np.uint8)
    _write(tmp_path / "a.ome.zarr", spec, pixels, chunks=(7, 9), ngff_version=version, metadata={"model": "nuclei"})
    found = [level.spec for level in open_levels(tmp_path / "a.ome.zarr")]
    assert [level.shape for level in found] == [(30, 61), (15, 31), (8, 16), (4, 8)]
    assert [level.scale for level in found] == [(0.5, 0.25), (1, 0.5), (2, 1), (4, 2)]
    assert {level.translate for level in found} == {(3, 4)}
    for index in range(4):
        step = 2**index
        assert np.array_equal(_read(tmp_path / "a.ome.zarr", index), pixels[::step, ::step])
        assert np.array_equal(_read(tmp_path / "a.ome.zarr" / str(index), 0), pixels[::step, ::step])


def test_probabilities_are_averaged_and_lie_between(tmp_path: Path) -> None:
    spec = ImageSpec(axes="cyx", shape=(2, 20, 44), dtype="float32", scale=(1, 2, 3), translate=(0, 5, 7))
    pixels = np.random.default_rng(0).random(spec.shape, np.float32)
    _write(tmp_path / "a.zarr", spec, pixels, chunks=(1, 6, 16))
    second = open_levels(tmp_path / "a.zarr")[1].spec
    assert (second.shape, second.scale, second.translate) == ((2, 10, 22), (1, 4, 6), (0, 6, 8.5))
    means = pixels.reshape(2, 10, 2, 22, 2).mean((2, 4))
    np.testing.assert_allclose(_read(tmp_path / "a.zarr", 1), means, rtol=1e-6)


@pytest.mark.parametrize("shape", [(40, 40), (3, 40)])
def test_small_images_have_one_level(tmp_path: Path, shape: tuple[int, int]) -> None:
    spec = ImageSpec(axes="yx", shape=shape, dtype="uint8")
    _write(tmp_path / "a.zarr", spec, np.ones(shape, np.uint8))
    assert len(open_levels(tmp_path / "a.zarr")) == 1


def test_levels_can_be_left_out(tmp_path: Path) -> None:
    spec = ImageSpec(axes="yx", shape=(50, 50), dtype="uint8")
    _write(tmp_path / "a.zarr", spec, np.ones(spec.shape, np.uint8), levels=False)
    assert len(open_levels(tmp_path / "a.zarr")) == 1


def test_an_unfinished_image_can_be_opened_while_levels_are_written(tmp_path: Path) -> None:
    spec = ImageSpec(axes="yx", shape=(50, 50), dtype="uint8")
    sink = create_image(tmp_path / "a.zarr", spec, chunks=(10, 10))
    sink.write(spec.full_region, np.ones(spec.shape, np.uint8))
    next(sink.write_levels())
    sink.abort()
    assert len(open_levels(tmp_path / "a.zarr.partial")) == 1


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.sampled_from(("uint8", "int16", "float16", "float32", "float64")),
    st.integers(0, 99),
)
def test_a_mean_is_that_of_the_pixels_it_covers(shape: list[int], dtype: str, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(-100 * (dtype != "uint8"), 100, shape).astype(dtype)
    factors = [1] * (len(shape) - 2) + [2, 2]
    means = levels.shrink(pixels, factors, averaged=True)
    picked = levels.shrink(pixels, factors, averaged=False)
    assert means.dtype == picked.dtype == pixels.dtype
    for at in np.ndindex(means.shape):
        block = pixels[tuple(slice(i * f, (i + 1) * f) for i, f in zip(at, factors, strict=True))]
        mean = block.astype(float).mean()
        assert abs(float(means[at]) - mean) <= (0.5 if pixels.dtype.kind in "iu" else 0.05)
        assert picked[at] == block.flat[0]


@pytest.mark.parametrize("shard", [8, 20, 1000])
def test_shards_change_files_and_no_pixels(tmp_path: Path, shard: int) -> None:
    spec = ImageSpec(axes="zyx", shape=(2, 45, 61), dtype="uint8")
    pixels = np.random.default_rng(0).integers(0, 255, spec.shape, np.uint8)
    for name, options in (("plain", {}), ("sharded", {"shard": shard})):
        _write(tmp_path / f"{name}.ome.zarr", spec, pixels, chunks=(1, 7, 9), **options)
    for index, level in enumerate(open_levels(tmp_path / "plain.ome.zarr")):
        assert np.array_equal(_read(tmp_path / "sharded.ome.zarr", index), level.read(level.spec.full_region))
    files = {
        name: sum(path.is_file() for path in (tmp_path / f"{name}.ome.zarr").rglob("*"))
        for name in ("plain", "sharded")
    }
    assert files["sharded"] < files["plain"]


def test_shards_where_there_can_be_none_are_refused(tmp_path: Path) -> None:
    spec = ImageSpec(axes="yx", shape=(45, 61), dtype="uint8")
    for name, options in (("a.tif", {}), ("a.ome.zarr", {"ngff_version": "0.4"})):
        with pytest.raises(InvalidInputError, match="leave out --shard"):
            create_image(tmp_path / name, spec, shard=16, **options)
    assert not list(tmp_path.iterdir())
