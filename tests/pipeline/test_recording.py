import hashlib
import io

import numpy as np
import pytest

from napari_tessera.config.recipe import ArrayIdentity, InputIdentity, Recipe
from napari_tessera.core.errors import InvalidInputError, JobCancelledError, MissingInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken
from napari_tessera.io.arrays import ArraySource
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.recipes import identity
from napari_tessera.pipeline.recipes.identity import identify_array, identify_image, npy_bytes, read_identified
from napari_tessera.pipeline.recipes.recording import installed_versions, merge, record

CELLS = InputIdentity(name="cells", axes="yx", shape=(8, 9), dtype="uint8", sha256="0" * 64)
OTHER = InputIdentity(name="other", axes="yx", shape=(8, 9), dtype="uint8")
POINTS = ArrayIdentity(sha256="1" * 64, shape=(2, 2), dtype="float64")


def operation(name, **parameters):
    return build_operation(name, parameters)


def graph(recipe: Recipe) -> dict[str, dict[str, str]]:
    return {step.id: step.inputs for step in recipe.steps}


def saved_by_numpy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_chain_is_recorded_with_all_parameters():
    first = record(operation("median", size=5), {"image": CELLS})
    second = record(operation("otsu"), {"image": first})
    assert second.inputs == {"image": CELLS}
    assert graph(second) == {"median": {"image": "image"}, "otsu": {"image": "median"}}
    assert second.steps[0].parameters["size"] == 5
    assert second.steps[0].parameters["per_plane"] is False
    assert second.outputs == {"labels": "otsu"}
    assert second.versions == installed_versions()
    assert {"napari-tessera", "numpy", "scipy"} <= set(second.versions)
    assert Recipe.parse(second.model_dump(mode="json")) == second


def test_steps_in_common_are_kept_once_and_others_get_numbers():
    smooth = record(operation("median", size=5), {"image": CELLS})
    twice = record(operation("median", size=3), {"image": smooth})
    thrice = record(operation("median", size=3), {"image": twice})
    both = record(operation("difference"), {"image": twice, "other": smooth})
    assert list(graph(thrice)) == ["median", "median_2", "median_3"]
    assert graph(both)["difference"] == {"image": "median_2", "other": "median"}
    assert list(graph(both)) == ["median", "median_2", "difference"]


def test_images_of_like_names_are_told_apart():
    one = record(operation("gaussian"), {"image": CELLS})
    two = record(operation("gaussian"), {"image": OTHER})
    both = record(operation("add"), {"image": one, "other": two})
    assert both.inputs == {"image": CELLS, "image_2": OTHER}
    assert graph(both) == {
        "gaussian": {"image": "image"},
        "gaussian_2": {"image": "image_2"},
        "add": {"image": "gaussian", "other": "gaussian_2"},
    }
    again = record(operation("add"), {"image": both, "other": CELLS})
    assert again.inputs == both.inputs
    assert graph(again)["add_2"] == {"image": "add", "other": "image"}


def test_data_made_by_hand_are_arrays():
    made = record(operation("grow_regions"), {"image": CELLS, "seeds": POINTS})
    assert made.arrays == {"seeds": POINTS}
    assert graph(made)["grow_regions"] == {"image": "image", "seeds": "seeds"}
    assert list(merge({"a": made, "b": made}).steps) == list(made.steps)


def test_results_are_merged_into_one_recipe():
    smooth = record(operation("median"), {"image": CELLS})
    labels = record(operation("otsu"), {"image": smooth})
    merged = merge({"cells · median": smooth, "cells · otsu": labels, "cells/otsu": labels})
    assert merged.outputs == {"median": "median", "otsu": "otsu", "cells_otsu": "otsu"}
    assert len(merged.steps) == 2
    with pytest.raises(InvalidInputError, match="3 outputs"):
        record(operation("median"), {"image": merged})
    with pytest.raises(InvalidInputError, match="nothing to save"):
        merge({})


def test_outputs_have_short_names_that_differ():
    smooth = record(operation("median"), {"image": CELLS})
    names = ["cells · Invert · Median filter", "cells · Median filter", "x · " + "long " * 50, "my nuclei", "cells · ·"]
    merged = merge(dict.fromkeys(names, smooth))
    long = "_".join(["long"] * 12)
    assert list(merged.outputs) == ["Median_filter", "Median_filter_2", long, "my_nuclei", "output"]


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match="'add' needs the input 'other'"):
        record(operation("add"), {"image": CELLS})
    with pytest.raises(InvalidInputError, match="'median' has no input 'psf'"):
        record(operation("median"), {"image": CELLS, "psf": OTHER})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint16).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2],
        np.array([[True, False]]),
        np.zeros((0, 2)),
    ],
    ids=["3d", "fortran", "big-endian", "bool", "empty"],
)
def test_the_hash_is_that_of_the_file_that_numpy_writes(array, tmp_path):
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    content = saved_by_numpy(native)
    assert npy_bytes(array) == content
    told = identify_array(array)
    assert told.sha256 == hashlib.sha256(content).hexdigest()
    (tmp_path / "a.npy").write_bytes(npy_bytes(array))
    np.testing.assert_array_equal(read_identified(tmp_path / "a.npy", told), array)


@pytest.mark.parametrize("piece", [1, 7, 60, 10**9])
def test_an_image_has_the_hash_of_its_array_however_it_is_read(piece, monkeypatch):
    monkeypatch.setattr(identity, "_PIECE_BYTES", piece)
    pixels = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.int16)
    image = ArraySource(pixels, ImageSpec(axes="zyx", shape=pixels.shape, dtype=pixels.dtype, name="cells"))
    told = identify_image(image)
    assert told == InputIdentity(
        name="cells", axes="zyx", shape=(3, 4, 5), dtype="int16", sha256=identify_array(pixels).sha256
    )
    assert identify_image(image, most_bytes=pixels.nbytes - 1).sha256 is None
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(JobCancelledError):
        identify_image(image, cancel=cancel)


def test_changed_missing_and_other_data_are_noticed(tmp_path):
    array = np.arange(4.0).reshape(2, 2)
    told, path = identify_array(array), tmp_path / "a.npy"
    with pytest.raises(MissingInputError, match="copy it together with the recipe"):
        read_identified(path, told)
    path.write_bytes(npy_bytes(array + 1))
    with pytest.raises(InvalidInputError, match="not what the recipe was saved with"):
        read_identified(path, told)
    path.write_bytes(npy_bytes(array))
    with pytest.raises(InvalidInputError, match="not what the recipe was saved with"):
        read_identified(path, told.model_copy(update={"shape": (4,)}))


def test_no_pickle_is_read(tmp_path):
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").write_bytes(file.getvalue())
    told = ArrayIdentity(sha256=hashlib.sha256(file.getvalue()).hexdigest(), shape=(1,), dtype="object")
    with pytest.raises(OSError, match="cannot be read"):
        read_identified(tmp_path / "a.npy", told)
