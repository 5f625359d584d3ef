import json
import signal
import sys
from typing import Annotated, Any, ClassVar, Literal

import click
import numpy as np
import pytest
import tifffile
from pydantic import Field

import napari_tessera as nt
from napari_tessera.cli.apply import operation_command
from napari_tessera.cli.operation_options import RESERVED, parse_value
from napari_tessera.operations.base import Block, Input, Local
from napari_tessera.operations.describe import describe_operation, describe_parameter
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import all_operations, register, unregister

TAKEN: list[dict[str, Any]] = []


@pytest.fixture
def all_kinds():
    """An operation with a parameter of each kind, which notes what it was given."""

    class AllKinds(Local):
        """Take everything.

        - one
        - two

        References
        ----------
        Somebody 1999.
        """

        title: ClassVar = "All kinds"
        group: ClassVar = "Tests"
        inputs: ClassVar = (
            Input("image", "image", "The image."),
            Input("second", "image", "Another.", optional=True),
            Input("psf", "kernel", "Blur.", optional=True),
            Input("marks", "points", "Places.", optional=True),
        )

        flag: bool = parameter(True, "A switch.")
        count: int = parameter(3, "How many.", ge=1, le=9)
        width: float = parameter(1.0, "How wide.", unit="pixels", gt=0)
        most: float | None = parameter(2.0, "At most.")
        shape: Literal["disk", "square"] = parameter("disk", "A form.")
        number: Literal[1, 2] = parameter(1, "One of two.")
        word: str = parameter("", "A word.")
        levels: tuple[float, ...] = parameter((1.0,), "Levels.")
        pair: tuple[Annotated[int, Field(ge=0)], int] = parameter((1, 2), "A pair.")
        table: tuple[tuple[float, ...], ...] = parameter(((1.0,),), "A table.")
        tile: int = parameter(7, "Named as an option that all have.")

        def compute(self, block: Block) -> Any:
            TAKEN.append({**self.model_dump(), **block.others})
            return block.image

    TAKEN.clear()
    yield register(AllKinds)
    unregister("all_kinds")


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", pixels)
    return pixels


@pytest.fixture
def paths(image, tmp_path):
    return tmp_path / "image.tif", tmp_path / "out.tif"


def test_an_operation_is_applied(call, paths, image):
    outcome = call("apply", "median", *paths, "--size", 5, "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["out"] == str(paths[1])
    assert outcome.json["operation"] == "median"
    np.testing.assert_array_equal(tifffile.imread(paths[1]), nt.apply(nt.operations.Median(size=5), image))
    plain = call("apply", "median", *paths, "--overwrite", "--tile", 16, "--threads", 1)
    assert plain.status == 0
    assert plain.out.splitlines()[-1] == str(paths[1])
    np.testing.assert_array_equal(tifffile.imread(paths[1]), nt.apply(nt.operations.Median(), image))


def test_options_of_every_kind_reach_the_operation(call, paths, all_kinds):
    words = ["--no-flag", "--count=9", "--width=1e-3", "--most=none", "--shape=square", "--number=2", "--word=ab"]
    words += ["--levels", "1,2.5,-3", "--pair", "[4, 5]", "--table", "0,1;1,0", "--tile-value", "5", "--tile", "8"]
    outcome = call("apply", "all-kinds", *paths, *words)
    assert outcome.status == 0, outcome.err
    assert {tuple(taken.items()) for taken in TAKEN} == {
        tuple(
            {
                "flag": False,
                "count": 9,
                "width": 0.001,
                "most": None,
                "shape": "square",
                "number": 2,
                "word": "ab",
                "levels": (1.0, 2.5, -3.0),
                "pair": (4, 5),
                "table": ((0.0, 1.0), (1.0, 0.0)),
                "tile": 5,
            }.items()
        )
    }


def test_untouched_options_are_the_defaults(call, paths, all_kinds):
    assert call("apply", "all_kinds", *paths).status == 0
    assert TAKEN[0] == all_kinds().model_dump()


def test_inputs_are_read_as_what_they_are(call, paths, all_kinds, image, tmp_path):
    np.save(tmp_path / "second.npy", image[::-1])
    tifffile.imwrite(tmp_path / "psf.tif", np.ones((3, 3), np.float32))
    (tmp_path / "marks.csv").write_text("index,axis-0,axis-1\n0,1.5,2\n")
    inputs = [f"--input={name}={tmp_path / file}" for name, file in (("second", "second.npy"), ("psf", "psf.tif"))]
    outcome = call("apply", "all_kinds", *paths, *inputs, "--input", f"marks={tmp_path / 'marks.csv'}")
    assert outcome.status == 0, outcome.err
    np.testing.assert_array_equal(TAKEN[0]["second"], image[::-1])
    np.testing.assert_array_equal(TAKEN[0]["psf"], np.ones((3, 3)))
    np.testing.assert_array_equal(TAKEN[0]["marks"], [[1.5, 2.0]])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--count", "0"], "Setting count = 0: it must be at least 1"),
        (["--count", "2.5"], "Invalid value for '--count': '2.5' is not a whole number"),
        (["--width", "wide"], "Invalid value for '--width': 'wide' is not a number"),
        (["--width", "1.2.3"], "is not a number"),
        (["--count", "none"], "'none' is not a whole number"),
        (["--shape", "round"], "Invalid value for '--shape': 'round' is not one of disk, square"),
        (["--levels", "[1,"], "check the brackets"),
        (["--levels", "1,x"], "'x' is not a number"),
        (["--pair", "1,2,3"], "pair"),
        (["--pair", "-1,2"], "pair (entry 1) = -1: it must be at least 0"),
        (["--colour", "red"], "No such option '--colour'"),
        (["--tile", "0"], "--tile"),
        (["--axes", "yy"], "name an axis twice"),
        (["--input", "third=x.tif"], "All kinds has no input 'third': it takes second, psf, marks"),
        (["--input", "second"], "not of the form NAME=PATH"),
        (["--input", "psf=a", "--input", "psf=b"], "given twice"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(call, paths, all_kinds, words, says):
    outcome = call("apply", "all_kinds", *paths, *words, "--json")
    assert outcome.status == 2
    assert says in outcome.json["error"]
    assert says in outcome.err
    assert not paths[1].exists()


def test_an_operation_with_one_input_says_so(call, paths):
    outcome = call("apply", "median", *paths, "--input", "psf=x.tif")
    assert outcome.status == 2
    assert (
        "Median filter has no input 'psf': it takes none besides IN (see `napari-tessera apply median --help`)."
        in outcome.err
    )


def test_a_further_input_that_lacks_is_named(call, paths):
    outcome = call("apply", "difference", *paths)
    assert outcome.status == 2
    assert "needs a further input: give --input other=PATH" in outcome.err


def test_a_required_parameter_is_asked_for(call, paths):
    class Needing(Local):
        """Need a number."""

        title: ClassVar = "Needing"
        group: ClassVar = "Tests"
        number: int = parameter(..., "A number.")

        def compute(self, block: Block) -> Any:
            return block.image

    register(Needing)
    try:
        assert "Missing option '--number'" in call("apply", "needing", *paths).err
        assert "[required]" in call("apply", "needing", "--help").out
    finally:
        unregister("needing")


@pytest.mark.parametrize("words", [["gausian", "a", "b"], ["gausian", "--help"]])
def test_an_unknown_operation_is_told_with_its_nearest(call, words):
    outcome = call("apply", *words)
    assert outcome.status == 2
    assert "There is no operation 'gausian': did you mean gaussian" in outcome.err


def test_nothing_at_all_is_wrong_usage(call):
    outcome = call("apply")
    assert outcome.status == 2
    assert "apply --list" in outcome.err


def test_the_list_is_grouped(call):
    lines = call("apply", "--list").out.splitlines()
    heading = lines.index("Smoothing and background")
    assert lines[heading - 1] == ""
    assert any(line.split()[0] == "median" and "Median filter: replace" in line for line in lines[heading:] if line)
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(all_operations())


def test_the_list_as_json(call):
    told = {entry["name"]: entry for entry in call("apply", "--list", "--json").json["operations"]}
    assert set(told) == set(all_operations())
    size = next(entry for entry in told["median"]["parameters"] if entry["name"] == "size")
    assert size["default"] == 3
    assert size["kind"] == "integer"
    assert "odd" in size["allowed"]
    assert told["difference"]["inputs"][1]["name"] == "other"


def test_json_may_stand_before_the_operation(call, paths):
    outcome = call("apply", "--json", "invert", *paths)
    assert outcome.json["out"] == str(paths[1])


def test_the_help_of_an_operation(call, all_kinds):
    text = call("apply", "all_kinds", "--help").out
    flat = " ".join(text.split())
    assert "--flag / --no-flag A switch. [default: flag]" in flat
    assert "--width NUMBER How wide. [in pixels; above 0; default: 1]" in flat
    assert "--shape disk|square A form. [default: disk]" in flat
    assert "--most NUMBER At most. [or none; default: 2]" in flat
    assert "psf (small image, may be left out): Blur." in flat
    assert "equals the result of the whole image exactly" in flat
    assert "  - one\n  - two" in text
    assert "---" not in text
    assert "napari-tessera apply all_kinds in.tif out.tif --count 3" in text


@pytest.mark.parametrize("operation", all_operations().values(), ids=list(all_operations()))
def test_every_operation_has_a_command(call, operation):
    command = operation_command(operation)
    names = [name for entry in command.params for name in (*entry.opts, *entry.secondary_opts)]
    assert len(names) == len(set(names))
    assert {f"--{name}" for name in RESERVED - {"help"}} <= set(names)
    assert call("apply", operation.name(), "--help").status == 0
    for entry in describe_operation(operation).parameters:
        if not entry.required and entry.kind not in ("boolean", "choice"):
            value = parse_value(entry, "" if entry.default == "" else entry.default_text)
            assert operation.parse({entry.name: value}) == operation(), "the default as told is not the default"


def test_values_that_may_be_anything(all_kinds):
    entry = describe_parameter("x", all_kinds.model_fields["table"])
    assert parse_value(entry, "[[1, 2], [3, 4]]") == [[1, 2], [3, 4]]
    with pytest.raises(click.BadParameter, match="'a' is not a number"):
        parse_value(entry, "a,b;c,d")


def test_points_come_out_as_a_table(call, paths, tmp_path, image):
    y, x = np.indices(image.shape)
    striped = 120 + 100 * np.sin(2 * np.pi * (x / 5 + y / 6))
    tifffile.imwrite(paths[0], striped.astype(np.uint8))
    outcome = call("apply", "suggest_notches", paths[0], tmp_path / "spikes.csv", "--json")
    assert outcome.status == 0, outcome.err
    lines = (tmp_path / "spikes.csv").read_text().splitlines()
    assert lines[0] == "index,axis-0,axis-1"
    assert outcome.json["points"] == len(lines) - 1 > 0
    refused = call("apply", "suggest_notches", paths[0], tmp_path / "spikes.tif")
    assert refused.status == 1
    assert "name it .csv or .npy" in refused.err
    notched = call("apply", "notch_filter", *paths, "--input", f"centres={tmp_path / 'spikes.csv'}")
    assert notched.status == 0, notched.err
    assert tifffile.imread(paths[1]).std() < 0.5 * striped.std()


def test_what_cannot_be_done_is_one_line(call, paths, tmp_path):
    assert call("apply", "median", tmp_path / "none.tif", paths[1]).status == 1
    refused = call("apply", "median", paths[0], tmp_path / "out.jpeg")
    assert refused.status == 1
    assert refused.err.splitlines()[-1].startswith("napari-tessera: error: ")
    paths[1].write_text("mine")
    assert "--overwrite" in call("apply", "median", *paths).err
    assert paths[1].read_text() == "mine"


def test_axes_are_named_where_the_file_does_not(call, tmp_path):
    np.save(tmp_path / "c.npy", np.zeros((3, 8, 9), np.uint8))
    guessed = call("apply", "channel", tmp_path / "c.npy", tmp_path / "a.npy")
    assert "name the axes cyx" in guessed.err
    assert np.load(tmp_path / "a.npy").shape == (3, 8, 9)
    named = call("apply", "channel", tmp_path / "c.npy", tmp_path / "b.npy", "--axes", "cyx")
    assert "name the axes" not in named.err
    assert np.load(tmp_path / "b.npy").shape == (8, 9)


def test_units_have_many_spellings_and_unknown_ones_are_refused(call, tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((6, 8), np.uint8))
    for number, unit in enumerate(["micrometer", "um", "µm", "MICRON"]):
        out = tmp_path / f"{number}.ome.tif"
        assert (
            call("apply", "invert", tmp_path / "in.npy", out, "--pixel-size", "0.5", "--pixel-unit", unit).status == 0
        )
        with tifffile.TiffFile(out) as tif:
            assert 'PhysicalSizeX="0.5" PhysicalSizeXUnit="µm"' in (tif.ome_metadata or "")
            assert tif.pages[0].tags["XResolution"].value == (20_000, 1)
    words = (
        "apply",
        "invert",
        tmp_path / "in.npy",
        tmp_path / "no.tif",
        "--pixel-size",
        "1",
        "--pixel-unit",
        "furlong",
    )
    refused = call(*words)
    assert refused.status == 1
    assert "'furlong' is no length that is known: use nanometer" in refused.err


def test_the_size_of_pixels_can_be_said(call, tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((4, 2, 6, 8), np.uint8))
    words = ("apply", "resample_isotropic", tmp_path / "in.npy", tmp_path / "out.ome.zarr", "--axes", "zcyx")
    assert call(*words, "--pixel-size", "2,1,1", "--pixel-unit", "micrometer").status == 0
    made = nt.open_image(tmp_path / "out.ome.zarr").spec
    assert dict(made.sizes) == {"z": 8, "c": 2, "y": 6, "x": 8}
    assert dict(zip(made.axes, made.units, strict=True)) == {"c": None, **dict.fromkeys("zyx", "micrometer")}
    assert call("apply", "invert", *words[2:], "--overwrite", "--pixel-size", "0.5").status == 0
    made = nt.open_image(tmp_path / "out.ome.zarr").spec
    assert dict(zip(made.axes, made.scale, strict=True)) == {"c": 1, **dict.fromkeys("zyx", 0.5)}
    for wrong in ("0", "-1,1", "a", "1,2,3,4", "", "inf"):
        assert call(*words, "--overwrite", "--pixel-size", wrong).status == 2


def test_a_path_that_is_not_there_is_a_slip(call, paths, tmp_path):
    outcome = call("apply", "invert", paths[0], tmp_path / "typo" / "deep" / "out.tif")
    assert outcome.status == 1
    assert f"There is no folder {tmp_path / 'typo'}: create it first" in outcome.err
    assert call("apply", "invert", paths[0], tmp_path / "new" / "out.tif").status == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl+C goes to a whole console")
def test_a_cancelled_application_ends_with_130(start, tmp_path):
    np.save(tmp_path / "large.npy", np.random.default_rng(0).integers(0, 255, (3000, 3000)).astype(np.uint16))
    process = start("apply", "rolling_ball", tmp_path / "large.npy", tmp_path / "out.npy", "--radius", 99, "--json")
    for line in process.stderr:
        if line.startswith("{") and json.loads(line)["event"] == "progress":
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "error" in json.loads(out.splitlines()[-1])
    assert not (tmp_path / "out.npy").exists()
