"""File names of models and predictions."""

import pytest

from napari_tessera.io.partial import partial_of
from napari_tessera.napari_plugin.home import Home, file_name


@pytest.mark.parametrize("name", ["CON", "nul", "Aux.ome", "com1", "LPT9.txt", "con ", "prn."])
def test_names_that_windows_keeps_are_changed(name):
    assert file_name(name).startswith("_")


@pytest.mark.parametrize("name", ["console", "com", "nuclei 2", "con-a", "lpt10"])
def test_other_names_stay(name):
    assert file_name(name) == name


def test_no_name_ends_in_a_dot_or_space_after_cutting():
    assert file_name("a" * 78 + " . b") == "a" * 78
    assert file_name(" ..") == "unnamed"
    assert file_name("a/b:c") == "a-b-c"


def test_the_name_of_an_unfinished_prediction_is_taken(tmp_path):
    session = Home(tmp_path)
    first = session.prediction_path("p", ".ome.zarr")
    partial_of(first).mkdir()
    assert session.prediction_path("p", ".ome.zarr").name == "p 2.ome.zarr"
