"""Metadata of OME-Zarr that break the rules: refused where no image can be told, told of where it can."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_tessera.core.errors import InvalidInputError, StorageError, TesseraError
from napari_tessera.io.opening import axes_are_guessed, notes_about, open_image, open_levels

PIXELS = np.arange(2 * 6 * 8, dtype=np.uint8).reshape(2, 6, 8) + 1
SCALE = {"type": "scale", "scale": [1, 0.5, 0.25]}
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
LEVEL = {"path": "0", "coordinateTransformations": [SCALE]}
PYTHON = ("'datasets'", "zip()", "index out of range", "unsupported operand", "broadcast", "object", "NoneType", "str'")


def _store(
    path: Path, version: str | None = "0.4", multiscales: Any = None, *, axes: Any = AXES, **fields: Any
) -> Path:
    """Write an image of one level by hand; None leaves a field out."""
    top = {key: fields.pop(key) for key in ("omero",) if key in fields}
    entry = {"axes": axes, "datasets": [LEVEL], **fields}
    entry = {key: value for key, value in entry.items() if value is not None}
    under_ome = version is not None and version >= "0.5"
    if version is not None and not under_ome:
        entry["version"] = version
    inner = {"multiscales": [entry] if multiscales is None else multiscales, **top}
    attributes = {"ome": {"version": version, **inner}} if under_ome else inner
    group = zarr.create_group(str(path), zarr_format=3 if under_ome else 2, attributes=attributes)
    group.create_array("0", data=PIXELS, chunks=(1, 6, 8))
    return path


def _level(*transforms: Any, **fields: Any) -> list[dict[str, Any]]:
    return [{"path": "0", "coordinateTransformations": list(transforms), **fields}]


def _spec(*names: Any) -> list[Any]:
    return [{"name": name} if isinstance(name, str) else name for name in names]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_sound_metadata_need_no_words(tmp_path: Path, version: str) -> None:
    image = open_image(_store(tmp_path / "a.zarr", version))
    assert (image.axes, image.scale, image.units) == ("cyx", (1, 0.5, 0.25), (None, "micrometer", "micrometer"))
    assert notes_about(image) == ()


REFUSED: dict[str, dict[str, Any]] = {
    "list no image": {"multiscales": []},
    "list no image:": {"multiscales": {"datasets": []}},
    "list no image: ": {"multiscales": ["0"]},
    "list no level": {"datasets": []},
    "list no level,": {"datasets": None},
    "list no level, so": {"datasets": {"path": "0"}},
    "level without a path": {"datasets": [{"coordinateTransformations": [SCALE]}]},
    "level without a path:": {"datasets": ["0"]},
    "path is '0', no text": {"datasets": [{"path": 0}]},
    "lists? 1000 levels": {"datasets": [LEVEL] * 1000},
    "without y": {"axes": _spec("c", "x", "x")},
    "without y and x": {"axes": _spec("t", "c", "z")},
    "one of them twice": {"axes": _spec("y", "y", "x")},
    "lacks its level lost": {"datasets": [{"path": "lost"}]},
    "a group in place of its level": {"datasets": [{"path": "labels"}]},
}


@pytest.mark.parametrize(("said", "changes"), REFUSED.items())
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_cannot_be_an_image_is_refused(tmp_path: Path, version: str, said: str, changes: dict[str, Any]) -> None:
    path = _store(tmp_path / "a.zarr", version, **changes)
    zarr.create_group(str(path / "labels"), zarr_format=2 if version == "0.4" else 3)
    for open_it in (open_image, open_levels):
        with pytest.raises(TesseraError, match=said) as caught:
            open_it(path)
        assert not any(word in str(caught.value) for word in PYTHON)
    array = open_image(path / "0", axes="cyx" if "axes" in changes else None)  # the remedy
    assert np.array_equal(array.read(array.spec.full_region), PIXELS)


@pytest.mark.parametrize(
    "name", ["../elsewhere", "/ABSOLUTE", "0/../../elsewhere", "..\\elsewhere", "C:\\data", "link"]
)
def test_a_level_outside_the_image_is_never_read(tmp_path: Path, name: str) -> None:
    zarr.create_array(str(tmp_path / "elsewhere"), data=PIXELS)
    name = name.replace("/ABSOLUTE", str(tmp_path / "elsewhere"))
    path = _store(tmp_path / "a.zarr", "0.5", datasets=[{"path": name, "coordinateTransformations": [SCALE]}])
    (path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="lies outside it and is not read"):
        open_image(path)


TOLD: dict[str, dict[str, Any]] = {
    "name no axes": {"axes": None},
    "name no axes:": {"axes": []},
    "name 2 axes, but the array has 3": {"axes": AXES[1:]},
    "name 4 axes, but the array has 3": {"axes": [{"name": "t", "type": "time"}, *AXES]},
    "name no axis x": {"axes": [*AXES[:2], {"type": "space"}]},
    "of type 'channel', and it is taken for space": {"axes": [AXES[0], {"name": "y", "type": "channel"}, AXES[2]]},
    "an axis 'angle', which is taken for z": {"axes": [{"name": "angle", "type": "custom"}, *AXES[1:]]},
    "axis y the unit 'second'": {"axes": [AXES[0], {**AXES[1], "unit": "second"}, AXES[2]]},
    "axis y the unit '5'": {"axes": [AXES[0], {**AXES[1], "unit": 5}, AXES[2]]},
    "does not say the size of its pixels": {"datasets": [{"path": "0"}]},
    "does not say the size": {"datasets": _level()},
    "not say the size of its": {"datasets": _level({"type": "translation", "translation": [0, 1, 2]})},
    "scale that is not one fit number for each of 3": {"datasets": _level({"type": "scale", "scale": [1, 2]})},
    "scale that is not one": {"datasets": _level({"type": "scale", "scale": ["1", None, True]})},
    "scale that is not": {"datasets": _level({"type": "scale", "scale": [1, 0, 10**400]})},
    "scale that is": {"datasets": _level({"type": "scale", "path": "elsewhere"})},
    "translation that is not": {"datasets": _level(SCALE, {"type": "translation", "scale": [1, 1, 1]})},
    "type 'affine', which is not understood": {"datasets": _level(SCALE, {"type": "affine"})},
    "type 'None', which": {"datasets": _level(SCALE, {"scale": [1, 1, 1]})},
    "more than one scale": {"datasets": _level(SCALE, SCALE)},
    "translation before its scale": {"datasets": _level({"type": "translation", "translation": [0, 1, 2]}, SCALE)},
    "a scale that is not one fit": {"coordinateTransformations": [{"type": "scale", "scale": ["invalid"]}]},
    "colour that is none": {"omero": {"channels": [{"label": "a", "color": 255}]}},
    "range that is no pair": {"omero": {"channels": [{"label": "a", "window": {"start": 0, "end": "100"}}]}},
    "describe channels in a way": {"omero": {"channels": "DNA"}},
    "list one array as several levels": {"datasets": [LEVEL, LEVEL]},
    "name axes without a type": {"axes": ["c", "y", "x"]},
    "list 2 images": {"multiscales": [{"axes": AXES, "datasets": [LEVEL], "version": "0.4"}] * 2},
}


@pytest.mark.parametrize(("said", "changes"), TOLD.items())
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_is_wrong_is_said_and_the_rest_is_kept(
    tmp_path: Path, version: str, said: str, changes: dict[str, Any]
) -> None:
    image = open_image(_store(tmp_path / "a.zarr", version, **changes))
    notes = notes_about(image)
    assert any(said.rstrip(":") in note for note in notes), notes
    assert not any(word in note for word in PYTHON for note in notes)
    assert np.array_equal(image.read(image.spec.full_region), PIXELS)
    if not {"datasets", "coordinateTransformations"} & set(changes) and "axes, but the array has" not in said:
        assert image.scale[1:] == (0.5, 0.25)


@pytest.mark.parametrize(("version", "said"), [("0.3", "by their own word"), ("0.04", "none"), ("new", "none of OME")])
def test_a_version_that_cannot_be_is_told(tmp_path: Path, version: str, said: str) -> None:
    image = open_image(_store(tmp_path / "a.zarr", "0.4", [{"axes": AXES, "datasets": [LEVEL], "version": version}]))
    assert said in notes_about(image)[0]
    assert image.scale == (1, 0.5, 0.25)


def test_a_version_that_is_left_out_is_told_since_0_5(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.zarr", "0.5")
    header = json.loads((path / "zarr.json").read_text())
    del header["attributes"]["ome"]["version"]
    (path / "zarr.json").write_text(json.dumps(header))
    assert "do not say their version" in notes_about(open_image(path))[0]
    assert notes_about(open_image(_store(tmp_path / "b.zarr", None))) == ()  # 0.4 leaves it free


def test_metadata_outside_of_their_place_are_told(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.zarr", "0.5")
    header = json.loads((path / "zarr.json").read_text())
    header["attributes"] = header["attributes"]["ome"]
    (path / "zarr.json").write_text(json.dumps(header))
    assert "outside of the entry 'ome'" in notes_about(open_image(path))[0]


@pytest.mark.parametrize("version", ["0.6", "0.6.dev1", "1.0"])
def test_a_newer_version_is_named_and_its_pixel_size_kept(tmp_path: Path, version: str) -> None:
    systems = [{"name": "other", "axes": _spec("z", "y", "x")}, {"name": "physical", "axes": AXES}]
    steps = {"type": "sequence", "transformations": [SCALE, {"type": "translation", "translation": [0, 3, 4]}]}
    two: tuple[dict[str, Any], ...] = (SCALE, steps)
    for at, step in enumerate(two):
        path = _store(
            tmp_path / f"{at}.zarr",
            version,
            axes=None,
            coordinateSystems=systems,
            datasets=_level({**step, "input": "0", "output": {"name": "physical"}}),
        )
        image = open_image(path)
        assert f"version '{version}', newer than 0.5" in notes_about(image)[0]
        assert (image.axes, image.scale, image.units[1]) == ("cyx", (1, 0.5, 0.25), "micrometer")
        assert image.spec.translate == ((0, 0, 0), (0, 3, 4))[at]
        assert not axes_are_guessed(image)


def test_axes_that_are_named_by_hand_keep_the_calibration(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.zarr", axes=_spec("y", "y", "x"))
    image = open_image(path, axes="tyx")
    assert (image.axes, image.scale) == ("tyx", (1, 0.5, 0.25))
    with pytest.raises(InvalidInputError, match="name 2 dimensions but the array has 3"):
        open_image(path, axes="yx")


def test_levels_must_be_of_as_many_dimensions(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.zarr", datasets=[LEVEL, {**LEVEL, "path": "1"}])
    zarr.open_group(str(path), mode="a").create_array("1", data=PIXELS[0])
    with pytest.raises(StorageError, match="have 2 and 3 dimensions, so they are not one image"):
        open_image(path)


def test_a_level_without_pixel_size_has_that_of_the_full_one_by_its_length(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.zarr", datasets=[LEVEL, {"path": "1"}])
    zarr.open_group(str(path), mode="a").create_array("1", data=PIXELS[:, ::2, ::2])
    image = open_image(path, level=1)
    assert (image.scale, image.spec.translate) == ((1, 1, 0.5), (0, 0.25, 0.125))
    assert "level '1' does not say the size of its pixels" in notes_about(image)[0]
    assert open_image(path / "1").spec == image.spec


def test_the_axes_of_five_dimensions_are_known_in_old_versions_only(tmp_path: Path) -> None:
    for version in ("0.2", "0.4"):
        path = tmp_path / f"{version}.zarr"
        entry = {"version": version, "datasets": [{"path": "0"}]}
        group = zarr.create_group(str(path), zarr_format=2, attributes={"multiscales": [entry]})
        group.create_array("0", data=PIXELS[None, None])
    assert open_image(tmp_path / "0.2.zarr").axes == "tczyx"
    assert notes_about(open_image(tmp_path / "0.2.zarr")) == ()
    with pytest.raises(InvalidInputError, match="name no axes: name the 5 axes yourself"):
        open_image(tmp_path / "0.4.zarr")
    assert open_image(tmp_path / "0.4.zarr", axes="tczyx").axes == "tczyx"


def test_the_second_image_of_a_group_is_opened_by_its_array(tmp_path: Path) -> None:
    second = {"type": "scale", "scale": [1, 3, 3]}
    entries = [{"axes": AXES, "datasets": _level(SCALE)}, {"axes": AXES, "datasets": [{"path": "b"}]}]
    entries[1]["datasets"][0]["coordinateTransformations"] = [second]
    path = _store(tmp_path / "a.zarr", multiscales=entries)
    zarr.open_group(str(path), mode="a").create_array("b", data=PIXELS + 1)
    assert "another one is opened by its array (a.zarr/b)" in notes_about(open_image(path))[0]
    image = open_image(path / "b")
    assert (image.scale, image.units[1]) == ((1, 3, 3), "micrometer")
    assert image.read(image.spec.full_region)[0, 0, 0] == 2


def test_no_unit_stands_beside_a_length_that_nobody_gave(tmp_path: Path) -> None:
    image = open_image(_store(tmp_path / "a.zarr", datasets=_level({"type": "scale", "scale": [1, 0, 0]})))
    assert (image.scale, image.units) == ((1, 1, 1), (None, None, None))


@pytest.mark.parametrize(
    ("version", "changes", "said"),
    [
        ("0.5", {"codecs": [{"name": "bytes"}, {"name": "mine"}]}, "a compression 'mine'"),
        ("0.5", {"data_type": "uint7"}, "pixels of type 'uint7'"),
        ("0.5", {"chunk_grid": {"name": "rectilinear", "configuration": {}}}, "chunks of a kind 'rectilinear'"),
        ("0.5", {"storage_transformers": [{"name": "mine"}]}, "a storage transformer"),
        ("0.5", {"zarr_format": 4}, "the zarr format 4"),
        ("0.4", {"compressor": {"id": "mine"}}, "a compression 'mine'"),
        ("0.4", {"dtype": "|O", "filters": [{"id": "pickle"}]}, "pixels of type '|O'"),
        ("0.4", {"filters": [{"id": "pickle"}]}, "a compression 'pickle'"),
    ],
)
def test_what_is_not_known_is_no_damage(tmp_path: Path, version: str, changes: dict[str, Any], said: str) -> None:
    path = _store(tmp_path / "a.zarr", version)
    header = path / "0" / ("zarr.json" if version == "0.5" else ".zarray")
    header.write_text(json.dumps({**json.loads(header.read_text()), **changes}))
    with pytest.raises(InvalidInputError, match="which this program does not know: export it as") as error:
        open_image(path)
    assert said in str(error.value)
