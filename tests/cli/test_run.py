import json
import signal
import sys

import numpy as np
import pytest
import tifffile
import yaml

import napari_tessera as nt
from napari_tessera.config.recipe import InputIdentity
from napari_tessera.io.partial import PartialFolder
from napari_tessera.io.zarr_sink import ZarrSink
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.recipes.identity import identify_array
from napari_tessera.pipeline.recipes.recipe_files import save_recipe
from napari_tessera.pipeline.recipes.recording import merge, record

CELLS = InputIdentity(name="cells", axes="yx", shape=(40, 50), dtype="uint8")


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 255, (40, 50)).astype(np.uint8)


@pytest.fixture
def cells(pixels, tmp_path):
    tifffile.imwrite(tmp_path / "cells.tif", pixels)
    return tmp_path / "cells.tif"


@pytest.fixture
def smooth():
    return record(build_operation("median", {"size": 5}), {"image": CELLS})


@pytest.fixture
def labels(smooth):
    return record(build_operation("otsu", {}), {"image": smooth})


@pytest.fixture
def one(labels, tmp_path):
    """The file of a recipe with one output."""
    labels.save(tmp_path / "one.yaml")
    return tmp_path / "one.yaml"


@pytest.fixture
def two(smooth, labels, tmp_path):
    """The file of a recipe with two outputs."""
    merge({"smooth": smooth, "labels": labels}).save(tmp_path / "two.yaml")
    return tmp_path / "two.yaml"


@pytest.fixture
def folder(tmp_path, pixels):
    """Three images, and files that are none."""
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", pixels)
    np.save(folder / "b.npy", pixels[::-1])
    nt.apply(nt.operations.Invert(), pixels, out=folder / "c.d.ome.zarr")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.tif").write_text("no image")
    (folder / "sub").mkdir()
    return folder


def by_hand(pixels):
    smooth = nt.apply(nt.operations.Median(size=5), pixels)
    return smooth, nt.apply(nt.operations.Otsu(), smooth)


def read(path):
    image = nt.open_image(path)
    return image.read(image.spec.full_region)


@pytest.mark.parametrize("name", ["out.tif", "out.npy", "out.ome.zarr"])
def test_one_output_of_one_image_is_a_file(call, one, cells, pixels, tmp_path, name):
    outcome = call("run", one, cells, tmp_path / name, "--json", "--tile", 16, "--threads", 1)
    assert outcome.status == 0, outcome.err
    assert outcome.json["outputs"] == [{"image": str(cells), "output": "labels", "out": str(tmp_path / name)}]
    assert outcome.json["steps"] == 2
    np.testing.assert_array_equal(read(tmp_path / name), by_hand(pixels)[1])


def test_several_outputs_are_files_in_a_folder(call, two, cells, pixels, tmp_path):
    outcome = call("run", two, cells, tmp_path / "new" / "out", "--suffix", ".tif")
    assert f"There is no folder {tmp_path / 'new'}: create it first" in outcome.err
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    outcome = call("run", two, cells, tmp_path / "new" / "out", "--suffix", ".tif")
    assert outcome.status == 0, outcome.err
    files = [tmp_path / "new" / "out" / f"cells_{name}.tif" for name in ("smooth", "labels")]
    assert outcome.out.splitlines()[1:] == [str(path) for path in files]
    assert sorted((tmp_path / "new" / "out").iterdir()) == sorted(files)
    for path, expected in zip(files, by_hand(pixels), strict=True):
        np.testing.assert_array_equal(read(path), expected)


def test_a_folder_that_is_there_takes_one_output_too(call, one, cells, tmp_path):
    (tmp_path / "out").mkdir()
    assert call("run", one, cells, tmp_path / "out").status == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cells_labels.ome.zarr"]


def test_a_folder_of_images(call, two, folder, pixels, tmp_path):
    outcome = call("run", two, folder, tmp_path / "out", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["images"] == 3
    out = tmp_path / "out"
    stems = ("a", "b", "c.d")
    assert {path.name for path in out.iterdir()} == {
        f"{stem}_{name}.ome.zarr" for stem in stems for name in ("smooth", "labels")
    }
    for stem, image in zip(stems, (pixels, pixels[::-1], 255 - pixels), strict=True):
        for name, expected in zip(("smooth", "labels"), by_hand(image), strict=True):
            np.testing.assert_array_equal(read(out / f"{stem}_{name}.ome.zarr"), expected)
    events = [json.loads(line) for line in outcome.err.splitlines()]
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert done == sorted(done)
    assert done[-1] == 100


def test_an_image_that_fails_does_not_keep_the_others(call, one, folder, tmp_path):
    (folder / "a2.tif").write_bytes(b"II*\0 damaged")
    outcome = call("run", one, folder, tmp_path / "out", "--json")
    assert outcome.status == 1
    assert "1 of 4 images could not be done, the first: a2.tif: " in outcome.json["error"]
    results = {f"{n}_labels.ome.zarr" for n in ("a", "b", "c.d")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == results | {".tessera-run.json"}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_folder_run_that_was_ended_goes_on_and_does_nothing_twice(call, one, folder, tmp_path):
    (folder / "bad.tif").write_bytes(b"II*\0 damaged")
    out = tmp_path / "out"
    assert call("run", one, folder, out, "--suffix", ".tif").status == 1
    first = times(out)
    tifffile.imwrite(folder / "bad.tif", np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    outcome = call("run", one, folder, out, "--suffix", ".tif", "--json")
    assert outcome.status == 0, outcome.err
    assert (outcome.json["images"], outcome.json["finished_before"]) == (4, 3)
    assert len(outcome.json["outputs"]) == 4
    assert set(times(out)) == {f"{name}_labels.tif" for name in ("a", "b", "bad", "c.d")}
    assert all(times(out)[name] == at for name, at in first.items() if name.endswith(".tif"))
    refused = call("run", one, folder, out, "--suffix", ".tif")  # all is done: what exists is a result of its own
    assert "exists" in refused.err


def test_a_folder_run_that_was_killed_goes_on_where_it_was(call, one, folder, tmp_path, monkeypatch):
    """Killed: nothing is tidied up, and the lock on what it wrote goes with the process."""
    out = tmp_path / "out"

    class Killed(BaseException):
        pass

    def kill(sink):
        if sink.path.name.startswith("b_"):
            sink.abort()  # which leaves the unfinished folder, and lets go of it
            raise Killed
        finish(sink)

    finish = ZarrSink.finish
    with monkeypatch.context() as patched:
        patched.setattr(ZarrSink, "finish", kill)
        with pytest.raises(Killed):
            call("run", one, folder, out)
    left = {".tessera-run.json", "a_labels.ome.zarr", "b_labels.ome.zarr.partial"}
    assert {path.name for path in out.iterdir()} == left
    (out / "b_labels.ome.zarr.partial" / ".writing").touch()  # as a process leaves it that is killed
    first = times(out)["a_labels.ome.zarr"]
    outcome = call("run", one, folder, out, "--json")
    assert outcome.status == 0, outcome.err
    assert (outcome.json["images"], outcome.json["finished_before"]) == (3, 1)
    assert {path.name for path in out.iterdir()} == {f"{name}_labels.ome.zarr" for name in ("a", "b", "c.d")}
    assert times(out)["a_labels.ome.zarr"] == first


def test_what_another_run_is_writing_is_left_to_it(call, one, folder, tmp_path, pixels):
    (folder / "b.npy").write_bytes(b"damaged")
    out = tmp_path / "out"
    assert call("run", one, folder, out).status == 1
    np.save(folder / "b.npy", pixels)
    held = PartialFolder(out / "b_labels.ome.zarr", overwrite=False)
    assert "b_labels.ome.zarr.partial is being written by another run" in call("run", one, folder, out).err
    held.release()
    assert call("run", one, folder, out).status == 0


@pytest.mark.parametrize("change", ["recipe", "image", "settings", "missing", "note"])
def test_what_is_not_the_same_any_more_is_not_passed_over(call, one, two, folder, tmp_path, change):
    (folder / "bad.tif").write_bytes(b"II*\0 damaged")
    settings: tuple[str, ...] = ("--suffix", ".tif")
    out = tmp_path / "out"
    assert call("run", one, folder, out, *settings).status == 1
    if change == "recipe":
        one.write_text(one.read_text().replace("size: 5", "size: 3"))
    elif change == "image":
        np.save(folder / "b.npy", np.zeros((9, 9), np.uint8))
    elif change == "settings":
        settings = (*settings, "--axes", "yx")
    elif change == "missing":
        (out / "b_labels.tif").unlink()
    else:
        (out / ".tessera-run.json").write_text('{"work": [')
    outcome = call("run", one, folder, out, *settings)
    assert outcome.status == 1
    if change == "missing":
        assert "1 of 4 images could not be done" in outcome.err
        assert (out / "b_labels.tif").exists()
    else:
        assert "exists: " in outcome.err


def test_outputs_that_exist_are_kept_and_nothing_is_computed(call, two, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b_labels.tif").write_text("mine")
    refused = call("run", two, folder, tmp_path / "out", "--suffix", ".tif")
    assert refused.status == 1
    assert "b_labels.tif exists" in refused.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_labels.tif"]
    assert call("run", two, folder, tmp_path / "out", "--suffix", ".tif", "--overwrite").status == 0


def test_outs_that_make_no_sense_are_refused(call, one, two, cells, folder, tmp_path, pixels):
    cases = [
        ((two, cells, tmp_path / "out.tif"), "has several outputs (smooth, labels): name a folder"),
        ((one, folder, tmp_path / "out.tif"), "IN is a folder: name a folder"),
        ((one, folder, folder), "is the folder of the images"),
        ((one, tmp_path / "in" / "sub", tmp_path / "out"), "holds no image"),
        ((one, cells, tmp_path / "out.jpeg"), "not of a type that can be written"),
        ((one, tmp_path / "nothing.tif", tmp_path / "out.tif"), "nothing.tif"),
        ((tmp_path / "nothing.yaml", cells, tmp_path / "out.tif"), "nothing.yaml"),
        ((cells, cells, tmp_path / "out.tif"), "not a readable YAML"),
    ]
    for arguments, says in cases:
        outcome = call("run", *arguments)
        assert outcome.status == 1, says
        assert says in outcome.err
        assert not (tmp_path / "out").exists()
    np.save(folder / "a.npy", pixels)
    outcome = call("run", one, folder, tmp_path / "out")
    assert "a.npy and a.tif would both give a_labels.ome.zarr" in outcome.err


def test_further_inputs_are_named(call, cells, pixels, tmp_path):
    recipe = record(
        build_operation("difference", {}), {"image": CELLS, "other": CELLS.model_copy(update={"name": "dark"})}
    )
    recipe.save(tmp_path / "recipe.yaml")
    np.save(tmp_path / "dark.npy", pixels // 2)
    words = ("run", tmp_path / "recipe.yaml", cells, tmp_path / "out.npy")
    assert "needs the input 'other': give it with --input other=PATH" in call(*words).err
    assert call(*words, "--input", "other").status == 2
    assert call(*words, "--input", f"other={tmp_path / 'dark.npy'}").status == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), pixels - pixels // 2)


@pytest.mark.parametrize("several", [False, True])
def test_the_size_of_pixels_can_be_said(call, one, pixels, tmp_path, several):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    np.save(folder / "a.npy", pixels)
    source = folder if several else folder / "a.npy"
    assert call("run", one, source, out, "--pixel-size", "0.5,0.25", "--pixel-unit", "micrometer").status == 0
    made = nt.open_image(out / "a_labels.ome.zarr").spec
    assert made.scale == (0.5, 0.25)
    assert made.units == ("micrometer", "micrometer")
    outcome = call("run", one, source, out, "--overwrite", "--pixel-size", "1,0.5,0.25")
    assert "3 pixel sizes do not fit a.npy, whose axes are yx: give one number for each of y, x." in outcome.err


def test_data_beside_the_recipe_are_found(call, cells, tmp_path):
    seeds = np.array([[10.0, 10.0]])
    grown = record(build_operation("grow_regions", {}), {"image": CELLS, "seeds": identify_array(seeds)})
    save_recipe(grown, tmp_path / "recipe.yaml", {"seeds": seeds})
    outcome = call("run", tmp_path / "recipe.yaml", cells, tmp_path / "out.tif")
    assert outcome.status == 0, outcome.err
    assert read(tmp_path / "out.tif")[10, 10] == 1


def test_points_are_written_as_tables(call, cells, tmp_path):
    recipe = record(build_operation("suggest_notches", {}), {"image": CELLS})
    recipe.save(tmp_path / "recipe.yaml")
    assert call("run", tmp_path / "recipe.yaml", cells, tmp_path / "spikes.csv").status == 0
    assert (tmp_path / "spikes.csv").read_text().startswith("index,")
    assert call("run", tmp_path / "recipe.yaml", cells, tmp_path / "spikes.tif").status == 1
    (tmp_path / "out").mkdir()
    assert call("run", tmp_path / "recipe.yaml", cells, tmp_path / "out", "--suffix", ".npy").status == 0
    assert call("run", tmp_path / "recipe.yaml", cells, tmp_path / "out").status == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"cells_points.npy", "cells_points.csv"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"operation": "medain"},
            "The step 'median' cannot be done: There is no operation 'medain': did you mean median",
        ),
        ({"version": 99}, "version 99 of 'median'"),
        ({"version": 99}, "or record the recipe again with this one."),
        ({"version": True}, "version = true: a number is needed"),
        ({"parameters": {"size": "5"}}, "Setting size = '5': a number is needed, without quotes."),
        ({"parameters": {"size": True}}, "Setting size = true: a number is needed, without quotes."),
        ({"parameters": {"per_plane": "yes"}}, "Setting per_plane = 'yes': true or false is needed."),
        ({"parameters": {"size": "five"}}, "Setting size = 'five': a whole number is needed."),
        ({"parameters": {"size": 4}}, "must be odd"),
        ({"inputs": {"image": "otsu"}}, "in a circle"),
        ({"inputs": {"image": "nothing"}}, "no input, array or step of that name"),
        ({"inputs": {}}, "needs the input 'image'"),
    ],
)
def test_recipes_that_cannot_be_run_are_one_line(call, one, cells, tmp_path, change, says):
    fields = yaml.safe_load(one.read_text())
    fields["steps"][0].update(change)
    one.write_text(yaml.safe_dump(fields))
    outcome = call("run", one, cells, tmp_path / "out.tif")
    assert outcome.status == 1
    assert says in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "out.tif").exists()


def test_an_image_unlike_the_recorded_one_is_doubted(call, one, tmp_path):
    one.write_text(one.read_text().replace("size: 5", "size: 3"))  # which compiles sooner in three dimensions
    np.save(tmp_path / "stack.npy", np.random.default_rng(0).integers(0, 999, (5, 20, 30)).astype(np.uint16))
    outcome = call("run", one, tmp_path / "stack.npy", tmp_path / "out.npy")
    assert outcome.status == 0
    assert (
        "warning: stack has axes zyx and type uint16, but the recipe was made on axes yx and type uint8" in outcome.err
    )


@pytest.mark.parametrize("wrong", [["--suffix", ".jpeg"], ["--tile", "0"], ["--axes", "q"], ["--nonsense"]])
def test_wrong_usage(call, one, cells, tmp_path, wrong):
    assert call("run", one, cells, tmp_path / "out.tif", *wrong).status == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl+C goes to a whole console")
def test_a_cancelled_run_ends_with_130(start, tmp_path):
    np.save(tmp_path / "large.npy", np.random.default_rng(0).integers(0, 255, (3000, 3000)).astype(np.uint8))
    first = record(build_operation("median", {}), {"image": CELLS})
    record(build_operation("rolling_ball", {"radius": 99}), {"image": first}).save(tmp_path / "recipe.yaml")
    process = start("run", tmp_path / "recipe.yaml", tmp_path / "large.npy", tmp_path / "out.tif", "--json")
    for line in process.stderr:
        if "step 2 of 2" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "error" in json.loads(out.splitlines()[-1])
    assert {path.name for path in tmp_path.iterdir()} == {"large.npy", "recipe.yaml"}
