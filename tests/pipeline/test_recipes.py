from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import tifffile

import napari_tessera as nt
from napari_tessera.config.recipe import InputIdentity, Recipe, RecipeStep
from napari_tessera.core.errors import (
    InvalidInputError,
    JobCancelledError,
    MissingInputError,
    OutputExistsError,
    StorageError,
)
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken, Progress, Warning, drain
from napari_tessera.io import room
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.operations.base import Block, Global, Input, Local
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import build_operation, find_operation, register, unregister
from napari_tessera.pipeline.applying.applying import ApplyOptions
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.recipes import intermediates
from napari_tessera.pipeline.recipes.identity import identify_array, identify_image
from napari_tessera.pipeline.recipes.recipe_api import run_recipe
from napari_tessera.pipeline.recipes.recipe_files import load_recipe, save_recipe
from napari_tessera.pipeline.recipes.recipes import RecipeRun, check_recipe
from napari_tessera.pipeline.recipes.recording import merge, record
from napari_tessera.pipeline.requests import parse_request

COUNTED: list[int] = []


@pytest.fixture(autouse=True)
def operations():
    """An operation that counts how often it is run, one that makes points, and one that draws them."""

    class CountedOffset(Local):
        """Add one, and count."""

        title: ClassVar = "Counted offset"
        group: ClassVar = "Tests"
        amount: int = parameter(1, "What is added.")

        def compute(self, block: Block) -> Any:
            COUNTED.append(self.amount)
            return block.image + block.image.dtype.type(self.amount)

    class BrightestPoint(Global):
        """Find the brightest pixel."""

        title: ClassVar = "Brightest point"
        group: ClassVar = "Tests"
        output: ClassVar = "points"

        def memory(self, spec: ImageSpec) -> int:
            return 0

        def compute(self, block: Block) -> Any:
            return np.argwhere(block.image == block.image.max())[:1].astype(np.float64)

    class DrawPoints(Local):
        """Draw points into an image."""

        title: ClassVar = "Draw points"
        group: ClassVar = "Tests"
        inputs: ClassVar = (Input("image", "image", "The image."), Input("points", "points", "Where."))

        def compute(self, block: Block) -> Any:
            result = block.image.copy()
            for point in block.others["points"]:
                at = [int(p) - part.start for p, part in zip(point, block.region, strict=True)]
                if all(0 <= p < n for p, n in zip(at, result.shape, strict=True)):
                    result[tuple(at)] = 0
            return result

    COUNTED.clear()
    for operation in (CountedOffset, BrightestPoint, DrawPoints):
        register(operation)
    yield
    for operation in (CountedOffset, BrightestPoint, DrawPoints):
        unregister(operation.name())


@pytest.fixture
def pixels():
    rng = np.random.default_rng(3)
    return (rng.normal(100, 20, (70, 90)) + 80 * (np.indices((70, 90)).sum(0) % 31 < 12)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def image(pixels):
    spec = ImageSpec(
        axes="yx", shape=pixels.shape, dtype=pixels.dtype, scale=(0.5, 0.25), units=("micrometer",) * 2, name="cells"
    )
    return ArraySource(pixels, spec)


def operation(name, **parameters):
    return build_operation(name, parameters)


def recorded(image, *chain):
    """The recipe of operations applied one after another."""
    source: Recipe | InputIdentity = identify_image(image)
    for entry in chain:
        source = record(entry, {entry.inputs[0].name: source})
    return source


def chain_of_steps(*steps: RecipeStep, outputs=None, **inputs: InputIdentity) -> Recipe:
    return Recipe(inputs=inputs, steps=steps, outputs=outputs or {"result": steps[-1].id})


def events_of(recipe, image, **options):
    events = []
    results = run_recipe(recipe, image, on_event=events.append, **options)
    return results, events


def warnings_of(recipe, image, **options):
    return [event.text for event in events_of(recipe, image, **options)[1] if isinstance(event, Warning)]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".png", ".ome.zarr"])
def test_a_recipe_done_again_writes_the_same_bytes(image, tmp_path, suffix):
    recipe = recorded(image, operation("median", size=5))
    outs = [tmp_path / f"{name}{suffix}" for name in ("one", "other")]
    for out in outs:
        run_recipe(recipe, image, out=out)
    one, other = (
        {file.relative_to(out): file.read_bytes() for file in out.rglob("*") if file.is_file()} or out.read_bytes()
        for out in outs
    )
    assert one == other


@pytest.mark.parametrize("budget", [0, 2**29], ids=["zarr", "memory"])
@pytest.mark.parametrize("tile", [None, 32])
def test_a_recipe_gives_the_bytes_of_its_operations_applied_by_hand(image, pixels, tmp_path, monkeypatch, budget, tile):
    monkeypatch.setattr(intermediates, "MEMORY_BYTES", budget)
    median, gaussian, otsu = operation("median", size=5), operation("gaussian", sigma=1.3), operation("otsu")
    smooth = recorded(image, median)
    blurred = record(gaussian, {"image": smooth})
    recipe = merge(
        {
            "smooth": smooth,
            "labels": record(otsu, {"image": blurred}),
            "change": record(operation("difference"), {"image": blurred, "other": identify_image(image)}),
        }
    )
    by_hand = {"smooth": nt.apply(median, image)}
    blurred_by_hand = nt.apply(gaussian, by_hand["smooth"])
    by_hand["labels"] = nt.apply(otsu, blurred_by_hand)
    by_hand["change"] = nt.apply(operation("difference"), blurred_by_hand, other=pixels)
    out = {name: tmp_path / f"{name}.tif" for name in by_hand}
    for results in (run_recipe(recipe, image, tile=tile), run_recipe(recipe, image, out=out, tile=tile)):
        assert list(results) == ["smooth", "labels", "change"]
        for name, expected in by_hand.items():
            result = results[name] if isinstance(results[name], np.ndarray) else tifffile.imread(results[name])
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)
    assert {path.name for path in tmp_path.iterdir()} == {"smooth.tif", "labels.tif", "change.tif"}
    written = nt.open_image(out["labels"])
    assert written.scale == (0.5, 0.25)
    assert written.units == ("micrometer", "micrometer")


@pytest.mark.parametrize("budget", [0, 2**29], ids=["zarr", "memory"])
def test_dimensions_keep_their_order_through_intermediate_results(monkeypatch, budget):
    monkeypatch.setattr(intermediates, "MEMORY_BYTES", budget)
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    image = nt.open_image(rgb, axes="yxc")
    recipe = recorded(image, operation("invert"), operation("counted_offset", amount=2))
    np.testing.assert_array_equal(run_recipe(recipe, image)["image"], 255 - rgb + 2)


def test_each_step_is_done_once_and_those_that_no_output_needs_not_at_all(image, pixels):
    one = recorded(image, operation("counted_offset", amount=1))
    two = record(operation("counted_offset", amount=2), {"image": one})
    three = record(operation("counted_offset", amount=3), {"image": one})
    recipe = merge({"both": record(operation("add"), {"image": two, "other": three}), "one": one, "same": one})
    extra = RecipeStep(id="extra", operation="counted_offset", parameters={"amount": 4}, inputs={"image": "image"})
    broken = RecipeStep(id="broken", operation="no_such_thing", inputs={"image": "image"})
    recipe = recipe.model_copy(update={"steps": (extra, broken, *recipe.steps)})
    results = run_recipe(recipe, image)
    assert sorted(COUNTED) == [1, 2, 3]
    np.testing.assert_array_equal(results["one"], pixels + 1)
    np.testing.assert_array_equal(results["one"], results["same"])
    assert not np.may_share_memory(results["one"], results["same"])


def test_results_that_are_no_longer_needed_are_given_up(image, tmp_path, monkeypatch):
    monkeypatch.setattr(intermediates, "MEMORY_BYTES", 0)
    seen = []

    class Watching(intermediates.Intermediates):
        def sink(self, name, spec):
            sink = super().sink(name, spec)
            seen.append(len(list(self._folder.glob("*.zarr*"))))
            return sink

    monkeypatch.setattr("napari_tessera.pipeline.recipes.recipes.Intermediates", Watching)
    recipe = recorded(image, *(operation("counted_offset", amount=i) for i in range(1, 6)))
    run_recipe(recipe, image, out=tmp_path / "out.npy")
    assert seen == [1, 2, 2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["out.npy"]


def test_points_go_from_step_to_step_and_come_out(image, pixels, tmp_path):
    brightest = recorded(image, operation("brightest_point"))
    drawn = record(operation("draw_points"), {"image": identify_image(image), "points": brightest})
    recipe = merge({"where": brightest, "drawn": drawn})
    results = run_recipe(recipe, image)
    at = np.unravel_index(pixels.argmax(), pixels.shape)
    np.testing.assert_array_equal(results["where"], [at])
    expected = pixels.copy()
    expected[at] = 0
    np.testing.assert_array_equal(results["drawn"], expected)
    paths = run_recipe(recipe, image, out={"where": tmp_path / "p.csv", "drawn": tmp_path / "d.npy"})
    assert paths["where"].read_text().splitlines() == ["index,axis-0,axis-1", f"0,{at[0]:.1f},{at[1]:.1f}"]
    with pytest.raises(InvalidInputError, match="cannot hold points"):
        run_recipe(recipe, image, out={"where": tmp_path / "p.tif", "drawn": tmp_path / "e.npy"})


def test_further_inputs_may_be_files(image, pixels, tmp_path):
    np.save(tmp_path / "points.npy", np.array([[3.0, 4.0]]))
    (tmp_path / "points.csv").write_text("index,axis-0,axis-1\n0,3,4\n")
    given = InputIdentity(axes="", shape=(1, 2), dtype="float64")
    recipe = record(operation("draw_points"), {"image": identify_image(image), "points": given})
    expected = pixels.copy()
    expected[3, 4] = 0
    for points in (tmp_path / "points.npy", str(tmp_path / "points.csv"), np.array([[3.0, 4.0]])):
        np.testing.assert_array_equal(run_recipe(recipe, image, inputs={"points": points})["image"], expected)


def test_data_made_by_hand_travel_with_the_recipe(image, pixels, tmp_path):
    points = np.array([[3.0, 4.0]])
    edited = np.zeros(pixels.shape, np.uint32)
    edited[10:20, 10:20] = 70000
    source = identify_image(image)
    drawn = record(operation("draw_points"), {"image": source, "points": identify_array(points)})
    shifted = record(operation("counted_offset", amount=5), {"image": identify_array(edited, "yx")})
    recipe = merge({"drawn": drawn, "shifted": shifted})
    arrays = {"points": points, "image_2": edited}
    assert set(recipe.arrays) == set(arrays)
    path = tmp_path / "my.recipe.yaml"
    save_recipe(recipe, path, arrays)
    folder = tmp_path / "my.recipe.arrays"
    assert {entry.stem for entry in folder.iterdir()} == {entry.sha256 for entry in recipe.arrays.values()}
    for results in (run_recipe(path, image), run_recipe(recipe, image, arrays=arrays)):
        np.testing.assert_array_equal(results["shifted"], edited + 5)
        assert results["drawn"][3, 4] == 0
    with pytest.raises(OutputExistsError, match="exists"):
        save_recipe(recipe, path, arrays)
    with pytest.raises(InvalidInputError, match="'points' of the recipe are not at hand"):
        save_recipe(recipe, path, {**arrays, "points": points + 1}, overwrite=True)
    with pytest.raises(InvalidInputError, match="needs its data"):
        run_recipe(recipe, image)
    some = folder / f"{recipe.arrays['points'].sha256}.npy"
    content = some.read_bytes()
    some.write_bytes(content[:-1] + b"\x7f")
    with pytest.raises(InvalidInputError, match="not what the recipe was saved with"):
        load_recipe(path)
    some.unlink()
    with pytest.raises(MissingInputError, match="copy it together with the recipe"):
        load_recipe(path)


def test_labels_made_by_hand_have_the_calibration_of_the_image(image, pixels, tmp_path):
    edited = identify_array(pixels, "yx")
    seen = record(operation("counted_offset"), {"image": identify_image(image)})
    recipe = record(operation("add"), {"image": edited, "other": seen})
    out = run_recipe(recipe, image, arrays={"image": pixels}, out=tmp_path / "out.ome.zarr")
    assert nt.open_image(out["image"]).scale == (0.5, 0.25)


def test_data_made_by_hand_on_another_image_are_doubted(image, pixels):
    points = np.array([[3.0, 4.0]])
    recipe = record(operation("draw_points"), {"image": identify_image(image), "points": identify_array(points)})
    assert warnings_of(recipe, image, arrays={"points": points}) == []
    other = ArraySource(pixels[::-1].copy(), replace(image.spec, name="others"))
    (text,) = warnings_of(recipe, other, arrays={"points": points})
    assert "made by hand on cells (points), and others is another image" in text


def test_images_of_another_kind_and_other_versions_are_doubted(image, pixels):
    recipe = recorded(image, operation("median"))
    assert warnings_of(recipe, image) == []
    assert warnings_of(recipe, pixels[:20, :20]) == []
    (text,) = warnings_of(recipe, np.stack([pixels.astype(np.uint16)] * 9))
    assert "axes zyx and type uint16, but the recipe was made on axes yx and type uint8" in text
    aged = recipe.model_copy(update={"versions": {**recipe.versions, "numpy": "1.0.0", "unknown": "2"}})
    (text,) = warnings_of(aged, image)
    assert f"made with numpy 1.0.0 ({np.__version__} here)" in text


def test_progress_goes_over_all_steps(image):
    recipe = recorded(image, *(operation("gaussian", sigma=sigma) for sigma in (1, 2, 3)))
    events = events_of(recipe, image, tile=32)[1]
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert {event.total for event in events if isinstance(event, Progress)} == {100}
    assert done[-1] == 100
    assert done[-2] < 100
    assert any(33 <= value <= 66 for value in done)
    assert any("step 2 of 3" in event.message for event in events if isinstance(event, Progress))


@pytest.mark.parametrize("budget", [0, 2**29], ids=["zarr", "memory"])
def test_a_cancelled_run_leaves_nothing_behind(image, tmp_path, monkeypatch, budget):
    monkeypatch.setattr(intermediates, "MEMORY_BYTES", budget)
    recipe = recorded(image, *(operation("counted_offset", amount=i) for i in range(1, 6)))
    cancel = CancelToken()

    def stop(event):
        if isinstance(event, Progress) and "step 3" in event.message:
            cancel.cancel()

    with pytest.raises(JobCancelledError):
        run_recipe(recipe, image, out=tmp_path / "out.tif", on_event=stop, cancel=cancel)
    assert list(tmp_path.iterdir()) == []
    assert 5 not in COUNTED


def test_intermediate_results_are_removed_when_a_step_fails(image, tmp_path, monkeypatch):
    monkeypatch.setattr(intermediates, "MEMORY_BYTES", 0)
    recipe = recorded(image, operation("counted_offset"), operation("channel", channel=5))
    with pytest.raises(InvalidInputError):
        run_recipe(recipe, image, out=tmp_path / "out.tif")
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_never_handed_back_as_a_result(image, pixels):
    class Same(Local):
        """Give the image itself."""

        title: ClassVar = "Same"
        group: ClassVar = "Tests"

        def compute(self, block: Block) -> Any:
            return block.image

    register(Same)
    try:
        recipe = recorded(image, Same(), Same())
        result = run_recipe(recipe, image)["image"]
        assert not np.may_share_memory(result, pixels)
    finally:
        unregister("same")


IMAGE = InputIdentity(axes="yx", shape=(70, 90), dtype="uint8")
MEDIAN = RecipeStep(id="smooth", operation="median", inputs={"image": "image"})


def median(**changes: Any) -> Recipe:
    return chain_of_steps(MEDIAN.model_copy(update=changes), image=IMAGE)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (
            lambda: median(operation="medain"),
            "The step 'smooth' cannot be done: There is no operation 'medain'.*median",
        ),
        (lambda: median(parameters={"size": 4}), "The step 'smooth' cannot be done: .*odd"),
        (lambda: median(parameters={"sizes": 3}), "The step 'smooth' cannot be done: .*no setting 'sizes'"),
        (lambda: median(inputs={}), "Median filter needs the input 'image'"),
        (lambda: median(inputs={"image": "image", "psf": "image"}), "Median filter has no input 'psf'"),
        (
            lambda: chain_of_steps(
                RecipeStep(id="where", operation="brightest_point", inputs={"image": "image"}),
                MEDIAN.model_copy(update={"inputs": {"image": "where"}}),
                image=IMAGE,
            ),
            "'smooth' cannot be done: Median filter takes image as 'image', but 'where' gives points",
        ),
        (
            lambda: chain_of_steps(
                MEDIAN,
                RecipeStep(id="draw", operation="draw_points", inputs={"image": "image", "points": "smooth"}),
                image=IMAGE,
            ),
            "takes points as 'points', but 'smooth' gives image",
        ),
    ],
)
def test_recipes_that_cannot_be_run_are_refused_in_one_sentence(recipe, says, image, tmp_path):
    with pytest.raises(InvalidInputError, match=says):
        check_recipe(recipe())
    with pytest.raises(InvalidInputError, match=says):
        run_recipe(recipe(), image, out=tmp_path / "out.tif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("affine", {}, "'affine_labels'"),
        ("lens_distortion", {}, "'lens_distortion_labels'"),
        ("resize", {}, "'resize_labels'"),
        ("bin", {}, "'resize_labels'"),
        ("resize", {"interpolation": "nearest"}, None),
        ("affine_labels", {}, None),
        ("flip", {}, None),
    ],
)
def test_ids_of_labels_are_not_blended(name, parameters, says):
    geometry = operation(name, **parameters)
    recipe = chain_of_steps(
        RecipeStep(id="threshold", operation="otsu", inputs={"image": "image"}),
        RecipeStep(id="moved", operation=name, parameters=parameters, inputs={geometry.inputs[0].name: "threshold"}),
        image=IMAGE,
    )
    if says is None:
        check_recipe(recipe)
        return
    with pytest.raises(InvalidInputError, match=f"'moved' cannot be done: .*use the operation {says}"):
        check_recipe(recipe)


def test_a_recipe_runs_from_plain_data(image, tmp_path):
    save_recipe(median(), tmp_path / "recipe.yaml")
    tifffile.imwrite(tmp_path / "in.tif", image.array)
    fields = {
        "job": "recipe",
        "recipe": tmp_path / "recipe.yaml",
        "image": {"path": tmp_path / "in.tif"},
        "out": tmp_path / "out.tif",
    }
    drain(run_request(parse_request.validate_python(fields), CancelToken()))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), nt.apply(operation("median"), image))


def test_an_operation_of_another_version_is_refused(image):
    newer = find_operation("median").version + 1
    recipe = median(version=newer).model_copy(update={"versions": {"napari-tessera": "9.9.9"}})
    with pytest.raises(InvalidInputError, match=rf"version {newer} of 'median'.*install.*\(9\.9\.9\)"):
        run_recipe(recipe, image)


def test_inputs_that_are_missing_or_too_many_are_named(image):
    recipe = record(operation("add"), {"image": IMAGE, "other": IMAGE.model_copy(update={"name": "two"})})
    with pytest.raises(InvalidInputError, match="needs the input 'other': give it with --input other=PATH"):
        run_recipe(recipe, image)
    with pytest.raises(InvalidInputError, match="no input 'psf': it has image, other"):
        run_recipe(recipe, image, inputs={"other": image, "psf": image})


def test_a_path_for_each_output(image, tmp_path):
    recipe = merge({"a": recorded(image, operation("median")), "b": recorded(image, operation("otsu"))})
    with pytest.raises(InvalidInputError, match="several outputs: give a path for each of a, b"):
        run_recipe(recipe, image, out=tmp_path / "out.tif")
    with pytest.raises(InvalidInputError, match="outputs of the recipe are a, b"):
        run_recipe(recipe, image, out={"a": tmp_path / "a.tif", "c": tmp_path / "c.tif"})


def test_outputs_are_told_what_they_will_hold(image):
    told = {}

    def open_output(name, spec):
        told[name] = spec
        return MemorySink(spec)

    checked = check_recipe(recorded(image, operation("median"), operation("otsu")))
    run = RecipeRun(checked, {"image": image}, {}, open_output, CancelToken(), ApplyOptions(threads=1))
    list(run.events())
    assert told["labels"].dtype == np.uint8
    assert told["labels"].scale == (0.5, 0.25)


@pytest.mark.parametrize("suffix", [".ome.zarr", ".tif"])
def test_results_that_the_disk_has_no_room_for_are_refused_before_the_first_step(
    image, tmp_path, monkeypatch, suffix
) -> None:
    monkeypatch.setattr(room, "free_space", lambda _path: 10**9)
    resize = operation("resize", factor=100)
    recipe = recorded(image, operation("counted_offset"), resize, resize)
    with pytest.raises(
        StorageError, match=r"out\S* does not fit on the disk.*: 700000 × 900000 pixels take [68][34]0 GB"
    ):
        run_recipe(recipe, image, out=tmp_path / f"out{suffix}")
    assert COUNTED == []
    assert list(tmp_path.iterdir()) == []
