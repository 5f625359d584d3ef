"""Every way to make a result asks first whether its place is one of the inputs, with --overwrite too."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_tessera as nt
from napari_tessera.config.recipe import Recipe
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken, drain
from napari_tessera.io.creating import create_image
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.applying.applying import application_job
from napari_tessera.pipeline.learning.training import train_pairs
from napari_tessera.pipeline.predicting.planning import plan_request
from napari_tessera.pipeline.predicting.prediction import prediction_job
from napari_tessera.pipeline.recipes.recipe_job import recipe_job
from napari_tessera.pipeline.requests import ApplyRequest, InputFile, PredictRequest, RecipeRequest, Suffix

PIXELS = np.random.default_rng(0).integers(0, 200, (48, 48)).astype(np.uint8)
RECIPE = {
    "inputs": {"image": {"axes": "yx", "shape": [48, 48], "dtype": "uint8"}},
    "steps": [{"id": "smooth", "operation": "median", "inputs": {"image": "image"}}],
    "outputs": {"smooth": "smooth"},
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "image.tif", PIXELS)
    return tmp_path / "image.tif"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    spec = ImageSpec(axes="yx", shape=PIXELS.shape, dtype=PIXELS.dtype)
    sink = create_image(tmp_path / "image.ome.zarr", spec)
    sink.write(spec.full_region, PIXELS)
    sink.finish()
    return tmp_path / "image.ome.zarr"


def _apply(image: Path, out: Path) -> None:
    request = ApplyRequest(operation="median", inputs={"image": InputFile(path=image)}, out=out, overwrite=True)
    drain(application_job(request, CancelToken()), None)


def _apply_call(image: Path, out: Path) -> None:
    nt.apply(build_operation("median", {}), nt.open_image(image), out=out, overwrite=True)


def _predict(image: Path, out: Path) -> None:
    request = PredictRequest(model=image.parent / "m", image=InputFile(path=image), out=out, overwrite=True)
    drain(prediction_job(request, CancelToken()), None)


def _plan(image: Path, out: Path) -> None:
    plan_request(PredictRequest(model=image.parent / "m", image=InputFile(path=image), out=out, overwrite=True))


def _predict_call(image: Path, out: Path) -> None:
    nt.predict(image.parent / "m", nt.open_image(image), out=out, overwrite=True)


def _run(image: Path, out: Path, suffix: Suffix = ".ome.zarr") -> None:
    recipe = image.parent / "recipe.yaml"
    Recipe.parse(RECIPE).save(recipe)
    request = RecipeRequest(recipe=recipe, image=InputFile(path=image), out=out, suffix=suffix, overwrite=True)
    drain(recipe_job(request, CancelToken()), None)


def _run_call(image: Path, out: Path) -> None:
    nt.run_recipe(Recipe.parse(RECIPE), image, out=out, overwrite=True)


def _train(image: Path, out: Path) -> None:
    pair = (nt.open_image(image), nt.open_image(PIXELS % 3))
    drain(train_pairs([pair], TrainingConfig(annotation=Annotation.SCRIBBLES), out, overwrite=True), None)


WAYS = [_apply, _apply_call, _predict, _plan, _predict_call, _run, _run_call]


@pytest.mark.parametrize("way", WAYS)
def test_the_input_itself_is_refused(image: Path, way) -> None:
    before = image.read_bytes()
    with pytest.raises(InvalidInputError, match="is what this is made of"):
        way(image, image)
    assert image.read_bytes() == before


@pytest.mark.parametrize("way", WAYS)
def test_an_image_around_the_input_is_refused(store: Path, way) -> None:
    with pytest.raises(InvalidInputError, match=r"holds .* which this is made of"):
        way(store / "0", store)
    assert np.array_equal(nt.open_image(store).read((slice(0, 48), slice(0, 48))), PIXELS)


@pytest.mark.parametrize("way", [*WAYS, _train])
def test_a_place_among_the_chunks_is_refused(store: Path, image: Path, way) -> None:
    for source in (store, image):
        with pytest.raises(InvalidInputError, match=r"among its parts: results go to .*/labels/NAME"):
            way(source, store / "0" / "c" / "n.tif")


def test_labels_of_the_input_are_a_place(store: Path) -> None:
    for way in (_apply, _apply_call, _run, _run_call):
        way(store, store / "labels" / "smooth")
        assert nt.open_image(store / "labels" / "smooth").shape == (48, 48)


def test_a_result_of_a_folder_is_none_of_its_other_images(image: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image_smooth.tif", PIXELS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "image_smooth.tif").symlink_to(tmp_path / "image_smooth.tif")
    with pytest.raises(InvalidInputError, match=r"image_smooth\.tif is what this is made of"):
        _run(tmp_path, tmp_path / "out", suffix=".tif")
