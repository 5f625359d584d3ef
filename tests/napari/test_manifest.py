"""The manifest has the operations that there are, and napari has a place for each."""

import json
import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin import manifest, samples
from napari_tessera.napari_plugin.preferences import preferred
from napari_tessera.operations.base import Block, Local
from napari_tessera.operations.registry import all_operations, register, unregister
from napari_tessera.pipeline.samples.samples import SAMPLES

FIELDS = yaml.safe_load(manifest.MANIFEST.read_text(encoding="utf-8"))


def test_the_manifest_is_not_stale():
    assert manifest.main(["--check"]) == 0, "run `make manifest`"


def test_a_stale_manifest_is_noticed_and_mended(monkeypatch, tmp_path, capsys):
    class NewInSegment(Local):
        """Do something new: quickly."""

        title: ClassVar = "New"
        group: ClassVar = "Brand new"
        menu: ClassVar = "segment"

        def compute(self, block: Block) -> Any:
            return block.image

    copy = tmp_path / "napari.yaml"
    copy.write_text(manifest.MANIFEST.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(manifest, "MANIFEST", copy)
    register(NewInSegment)
    try:
        assert manifest.main(["--check"]) == 1
        assert "make manifest" in capsys.readouterr().err
        assert manifest.main([]) == 0
        fields = yaml.safe_load(copy.read_text(encoding="utf-8"))["contributions"]
        assert manifest.main(["--check"]) == 0
    finally:
        unregister("new_in_segment")
    command = next(entry for entry in fields["commands"] if entry["id"] == "napari-tessera.operations.new_in_segment")
    assert command["python_name"] == "napari_tessera.napari_plugin.operation_commands:new_in_segment"
    assert command["short_title"] == "Do something new: quickly"
    assert fields["menus"]["napari-tessera/segment/brand_new"] == [{"command": command["id"]}]
    by_hand = ("widgets", "sample_data")
    assert {key: fields[key] for key in by_hand} == {key: FIELDS["contributions"][key] for key in by_hand}


def test_every_sample_stands_under_open_sample():
    contributions = FIELDS["contributions"]
    homes = {entry["id"]: entry["python_name"] for entry in contributions["commands"]}
    assert [entry["key"] for entry in contributions["sample_data"]] == list(SAMPLES)
    for entry in contributions["sample_data"]:
        assert homes[entry["command"]] == f"{samples.__name__}:{entry['key']}"
        image, scribbles = getattr(samples, entry["key"])()
        assert image[1]["name"] == entry["key"]
        assert scribbles[2] == "labels"
        for _, fields, _ in (image, scribbles):
            assert set(fields["axis_labels"]) >= {"y", "x"}
            assert fields["units"][-1] == "pixel" or fields["scale"][-1] != 1


def test_a_manifest_without_places_is_refused():
    with pytest.raises(InvalidInputError, match="two places"):
        manifest.updated("name: napari-tessera\n")


def test_every_operation_has_one_place_in_the_menus_and_projections_two():
    menus = {
        place: entries for place, entries in FIELDS["contributions"]["menus"].items() if place not in manifest.BY_HAND
    }
    placed = Counter(entry["command"] for entries in menus.values() for entry in entries if "command" in entry)
    widgets = {f"napari-tessera.{name}" for names in manifest.WIDGETS.values() for name in names}
    twice = [name for names in manifest.ALSO_IN.values() for name in names]
    wanted = Counter([*all_operations(), *twice])
    assert {command: count for command, count in placed.items() if command not in widgets} == {
        manifest.command_id(all_operations()[name]): count for name, count in wanted.items()
    }
    assert menus["napari/layers/project"][0]["command"] == "napari-tessera.operations.project"
    submenus = {entry["id"] for entry in FIELDS["contributions"]["submenus"]}
    assert {entry["submenu"] for entries in menus.values() for entry in entries if "submenu" in entry} == submenus
    further = {manifest.menu_id(menu) for menu in (*manifest.MENUS, *manifest.WIDGETS, *manifest.ALSO_IN)}
    assert set(menus) <= submenus | further
    assert all(menus[submenu] for submenu in submenus), "an empty submenu"


def test_widgets_stand_in_the_layers_menu_where_people_look():
    menus = FIELDS["contributions"]["menus"]
    opened = {entry["command"] for entry in FIELDS["contributions"]["widgets"]}
    first = [entry["command"] for entry in menus["napari/layers/segment"][:3]]
    assert first == ["napari-tessera.click", "napari-tessera.train", "napari-tessera.predict"]
    assert set(first) <= opened


def test_what_measures_stands_under_measure():
    measuring = {name for name, operation in all_operations().items() if operation.menu == "measure"}
    assert measuring >= {"measure_psf", "estimate_psf", "suggest_notches"}
    assert all(all_operations()[name].menu == "transform" for name in ("spectrum_modulus", "inverse_spectrum"))


def test_napari_takes_the_manifest():
    npe2 = pytest.importorskip("npe2")
    told = npe2.PluginManifest.from_file(manifest.MANIFEST)
    assert {entry.id for entry in told.contributions.commands} >= {
        manifest.command_id(operation) for operation in all_operations().values()
    }


@pytest.mark.gui
def test_the_settings_of_napari_count(qapp, monkeypatch, tmp_path):
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no settings of plugins")
    from napari_tessera.config.prediction import PredictionConfig
    from napari_tessera.napari_plugin import home as session
    from napari_tessera.napari_plugin.forms.config_form import settings_form

    groups = FIELDS["contributions"]["configurations"]
    given = {"files": {"home": str(tmp_path / "mine")}, "computing": {"device": "cpu"}}
    assert {name: set(group["properties"]) for name, group in groups.items()} == {
        name: set(values) for name, values in given.items()
    }
    told = SimpleNamespace(**{name: SimpleNamespace(**values) for name, values in given.items()})
    monkeypatch.setattr(settings, "get_plugin_settings", {"napari-tessera": told}.__getitem__)
    monkeypatch.setattr(session, "_preferred_home", session._preferred_home.__wrapped__)
    assert str(session.current_home().folder) != given["files"]["home"]  # the environment goes before it
    monkeypatch.delenv(session.HOME_VARIABLE)
    assert str(session.current_home().folder) == given["files"]["home"]
    form = settings_form(PredictionConfig, (("device", "Device"),))
    assert form.changes() == {"device": "cpu"}


def test_without_settings_of_napari_there_are_the_usual_ones(monkeypatch):
    settings = pytest.importorskip("napari.settings")
    monkeypatch.setattr(settings, "get_plugin_settings", {}.__getitem__, raising=False)
    assert preferred("files", "home") == ""
    monkeypatch.delattr(settings, "get_plugin_settings")
    assert preferred("computing", "device") == ""


def test_the_menus_are_those_of_napari():
    constants = pytest.importorskip("napari._app_model.constants._menus")
    menus = (*manifest.MENUS, *manifest.WIDGETS, *manifest.ALSO_IN)
    assert all(constants.is_menu_contributable(manifest.menu_id(menu)) for menu in menus)
    assert all(constants.is_menu_contributable(place) for place in manifest.BY_HAND)
    for entry in FIELDS["contributions"]["submenus"]:
        assert constants.is_menu_contributable(entry["id"])


MENU_PROGRAM = """
import json, sys
import napari

viewer = napari.Viewer(show=False)
menu = viewer.window.layers_menu
menu.aboutToShow.emit()

def entries(menu):
    return {a.text(): entries(a.menu()) if a.menu() else a.toolTip() for a in menu.actions() if a.text()}

sys.stdout.write(json.dumps(entries(menu)))
viewer.close()
"""


@pytest.mark.gui
def test_operations_stand_in_the_layers_menu():
    # a process of its own: napari reads manifests once, and other tests change what it has read
    done = subprocess.run(
        [sys.executable, "-c", MENU_PROGRAM], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    menus = json.loads(done.stdout.splitlines()[-1])
    median = menus["Filter"]["Smoothing and background"]["Median filter (Tessera)"]
    assert median == all_operations()["median"].summary()
    assert "Otsu threshold (Tessera)" in menus["Segment"].get("Threshold and cluster", menus["Segment"])
    assert "Measure PSF from beads (Tessera)" in menus["Measure"]["Restoration"]
    groups = [name for name in menus["Filter"] if name in {op.group for op in all_operations().values()}]
    assert groups[:2] == ["Intensity", "Combine images"]
    first = [name for name in menus["Segment"] if name != "Empty"][:3]  # which napari hides where there is anything
    assert first == [f"{name} (Tessera)" for name in ("Click to segment", "Train", "Predict")]
    assert "Project along an axis (Tessera)" in menus["Project"]
