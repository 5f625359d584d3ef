"""The files of a session folder."""

from pathlib import Path

import pytest
import yaml

from napari_tessera.config.files import FileConfig
from napari_tessera.config.migrations import STEPS
from napari_tessera.config.session import LabelClass, LayerHeader, LayerSpec, SessionSpec
from napari_tessera.core.errors import InvalidInputError

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "version", "kind"),
    [("session", 1, SessionSpec), ("annotation", 1, LayerSpec), ("annotation", 2, LayerSpec)],
)
def test_files_of_every_schema_version_keep_their_meaning(name: str, version: int, kind: type[FileConfig]) -> None:
    """Do not regenerate these files once a release has written such: they stand for those that users have."""
    path = GOLDEN / f"{name}-v{version}.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (written.pop("kind"), written.pop("schema_version")) == (name, version)
    loaded = kind.load(path).model_dump(mode="json")
    assert loaded == {**loaded, **written, "schema_version": kind.current_version}
    assert all((name, older) in STEPS for older in range(1, kind.current_version))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dtype": "float32"},
        {"dtype": "labels"},
        {"shape": ()},
        {"shape": (3, -1)},
        {"axes": "zyx"},
        {"scale": (1.0,)},
        {"units": (None,)},
        {"classes": ({"id": 1, "color": "red"},)},
        {"colour": 3},
    ],
)
def test_a_header_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    good = {"image_name": "a", "layer_name": "b", "shape": (3, 4), "dtype": "uint8", "axes": "yx"}
    assert LayerHeader.parse(good).classes == ()
    with pytest.raises(InvalidInputError):
        LayerHeader.parse({**good, **wrong})


def test_a_class_may_have_a_name_or_a_colour_or_both() -> None:
    assert LabelClass(id=3).color is None
    assert LabelClass(id=-1, name="out", color="#ff000080").name == "out"
