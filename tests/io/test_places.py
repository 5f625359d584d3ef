"""No output replaces what it is made of, lies among the parts of an image, or takes labels with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.io.places import check_apart, check_place, origins

PIXELS = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)


def _write(path: Path, pixels: np.ndarray[Any, Any] = PIXELS, **options: Any) -> Path:
    spec = ImageSpec(axes="yx", shape=pixels.shape, dtype=pixels.dtype)
    sink = create_image(path, spec, **options)
    sink.write(spec.full_region, pixels)
    sink.finish()
    return path


def _read(path: Path) -> np.ndarray[Any, Any]:
    image = open_image(path)
    return image.read(image.spec.full_region)


@pytest.fixture(params=["0.4", "0.5"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An OME-Zarr with two label images."""
    path = _write(tmp_path / "cells.ome.zarr", ngff_version=request.param)
    for name in ("first", "second"):
        _write(path / "labels" / name, PIXELS % 7)
    return path


@pytest.mark.parametrize(
    "place",
    ["0", "1", "foo", "0/foo", "0/0/foo", "0/c/0/0x.tif", "x.tif", "labels", "labels/n.tif", "labels/first/0", "a/b/n"],
)
def test_inside_an_image_only_labels_are_a_place_for_results(store: Path, place: str) -> None:
    before = sorted(path for path in store.rglob("*"))
    with pytest.raises(InvalidInputError, match=r"among its parts: results go to .*/labels/NAME"):
        _write(store / place, overwrite=True)
    assert sorted(path for path in store.rglob("*")) == before


def test_new_labels_and_those_of_an_earlier_run_are_written(store: Path) -> None:
    check_apart(store / "labels" / "third", [store])
    _write(store / "labels" / "third", PIXELS % 3)
    with pytest.raises(OutputExistsError):
        _write(store / "labels" / "third")
    check_apart(store / "labels" / "third", [store, store / "labels" / "first"])
    _write(store / "labels" / "third", PIXELS % 5, overwrite=True)
    assert np.array_equal(_read(store / "labels" / "third"), PIXELS % 5)


@pytest.mark.parametrize("place", ["labels/..", "..", "labels/first/.."])
def test_what_ends_in_two_points_is_no_name(store: Path, place: str) -> None:
    with pytest.raises(InvalidInputError, match="is no name"):
        check_place(store / place)
    with pytest.raises(InvalidInputError, match="is no name"):
        _write(store / place, overwrite=True)
    assert sorted(path.name for path in (store / "labels").iterdir() if path.is_dir()) == ["first", "second"]


def test_a_group_that_is_no_image_takes_images(tmp_path: Path) -> None:
    zarr.create_group(str(tmp_path / "all.zarr"))
    _write(tmp_path / "all.zarr" / "one")
    assert np.array_equal(_read(tmp_path / "all.zarr" / "one"), PIXELS)
    with pytest.raises(InvalidInputError, match="name a place outside"):
        check_place(tmp_path / "all.zarr" / "one.tif")


def test_nothing_goes_into_an_array(tmp_path: Path) -> None:
    zarr.save_array(str(tmp_path / "plain.zarr"), PIXELS)
    for place in ("labels/n", "n", "c/0/n.npy"):
        with pytest.raises(InvalidInputError, match="name a place outside"):
            check_place(tmp_path / "plain.zarr" / place)


def _level(store: Path) -> Path:
    return store / "0"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (lambda store: store, "is what this is made of"),
        (lambda store: store / "labels" / "..", "is what this is made of"),
        (_level, "holds .* which this is made of"),
        (lambda store: store / "labels" / "first", "holds .* which this is made of"),
        (open_image, "holds .* which this is made of"),
        (lambda store: open_image(open_image(store), name="other"), "holds .* which this is made of"),
        (lambda store: open_image(zarr.open_array(str(store / "0"), mode="r"), axes="yx"), "holds .* which this is"),
    ],
)
def test_what_something_is_made_of_is_never_replaced(store: Path, source: Callable[[Path], Any], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        check_apart(store, [store.with_name("other.tif"), source(store)])


def test_files_are_known_by_all_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = _write(tmp_path / "image.npy")
    (tmp_path / "link.npy").symlink_to(path)
    for out in (path, Path("image.npy"), tmp_path / "link.npy"):
        for source in (path, str(path), Path("image.npy"), open_image(path), np.load(path, mmap_mode="r")[2:, 3:]):
            with pytest.raises(InvalidInputError, match="is what this is made of"):
                check_apart(out, [source])
    check_apart(tmp_path / "image2.npy", [path, PIXELS])


def test_an_unfinished_output_that_is_looked_at_is_not_removed(store: Path) -> None:
    partial = store.rename(store.with_name("out.ome.zarr.partial"))
    with pytest.raises(InvalidInputError, match="is what this is made of"):
        check_apart(partial.with_name("out.ome.zarr"), [partial])


def test_dask_arrays_lead_to_their_file(store: Path) -> None:
    dask_array = pytest.importorskip("dask.array")
    lazy = dask_array.from_zarr(str(store / "0"))
    found = [path.resolve() for path in origins(open_image(lazy, axes="yx"))]
    assert found in ([store / "0"], [])  # what newer versions of dask show of their graphs differs
    assert list(origins(PIXELS)) == []


def test_an_image_that_is_replaced_leaves_its_labels_to_the_new_one(store: Path) -> None:
    version = (store / "zarr.json").exists()
    labels = {name: _read(store / "labels" / name) for name in ("first", "second")}
    _write(store, PIXELS + 1, overwrite=True)
    assert np.array_equal(_read(store), PIXELS + 1)
    assert (store / "zarr.json").exists() == version
    for name, pixels in labels.items():
        assert np.array_equal(_read(store / "labels" / name), pixels)
    attributes = zarr.open_group(str(store / "labels"), mode="r").attrs.asdict()
    assert attributes.get("ome", attributes)["labels"] == ["first", "second"]
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_labels_that_would_not_fit_are_named(store: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"labels \(first, second\) that would be lost"):
        _write(store, PIXELS[:-1], overwrite=True)
    assert np.array_equal(_read(store), PIXELS)
    assert np.array_equal(_read(store / "labels" / "first"), PIXELS % 7)
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_a_replacement_that_is_given_up_takes_no_labels(store: Path) -> None:
    spec = ImageSpec(axes="yx", shape=PIXELS.shape, dtype=PIXELS.dtype)
    create_image(store, spec, overwrite=True).abort()
    assert np.array_equal(_read(store / "labels" / "second"), PIXELS % 7)


def test_a_zarr_of_several_images_is_not_replaced(tmp_path: Path) -> None:
    zarr.create_group(str(tmp_path / "all.zarr"))
    for name in ("one", "two"):
        _write(tmp_path / "all.zarr" / name)
    with pytest.raises(InvalidInputError, match=r"more than one image \(one, two\)"):
        _write(tmp_path / "all.zarr", overwrite=True)
    assert np.array_equal(_read(tmp_path / "all.zarr" / "one"), PIXELS)


def test_no_file_of_a_set_is_replaced_by_a_result_of_the_set(tmp_path: Path) -> None:
    data = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="set_{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        for z in range(2)
    )
    for z in range(2):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{z}"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="50" SizeY="40" SizeZ="2" SizeC="1" '
            f'SizeT="1">{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"set_{z}.ome.tif", PIXELS, description=xml, metadata=None)
    for source in (tmp_path / "set_0.ome.tif", open_image(tmp_path / "set_0.ome.tif"), tmp_path / "set_0.ome.tif/0"):
        with pytest.raises(InvalidInputError, match=r"set_1\.ome\.tif is what this is made of"):
            check_apart(tmp_path / "set_1.ome.tif", [source])
        check_apart(tmp_path / "set_2.ome.tif", [source])


def test_images_that_a_group_lists_together_are_not_replaced(tmp_path: Path) -> None:
    path = _write(tmp_path / "two.ome.zarr", ngff_version="0.4")
    listed: Any = zarr.open_group(str(path), mode="a").attrs
    first = listed["multiscales"][0]
    zarr.open_group(str(path), mode="a").create_array("denoised", data=PIXELS)
    listed["multiscales"] = [first, {**first, "datasets": [{"path": "denoised"}]}]
    with pytest.raises(InvalidInputError, match=r"holds more than one image \(denoised\)"):
        _write(path, overwrite=True)


def test_a_link_to_itself_is_no_place(tmp_path: Path) -> None:
    link = tmp_path / "a.npy"
    link.symlink_to(link)
    with pytest.raises(InvalidInputError, match="a link that leads nowhere"):
        check_place(link)
