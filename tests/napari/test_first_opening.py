"""What opens first is not held up by libraries that are needed later, or in another process."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.gui

PROGRAM = """
import json, sys
import napari.layers, napari._qt.qt_viewer, superqt
before = set(sys.modules)
from napari_tessera.napari_plugin.clicking import click_widget
from napari_tessera.napari_plugin.filtering import filter_widget
from napari_tessera.napari_plugin.sessions import sessions_widget
from napari_tessera.napari_plugin.prediction import predict_widget
from napari_tessera.napari_plugin.training import train_widget
from napari_tessera.operations.registry import all_operations
all_operations()
print(json.dumps(sorted(set(sys.modules) - before)))
"""

LATER = ("torch", "zarr", "numcodecs", "tifffile", "dask.array", "scipy.ndimage", "skimage.draw", "numba", "cv2")


def test_widgets_import_no_library_that_they_need_later_only():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "napari_tessera.napari_plugin.training.train_widget" in loaded
    assert not loaded & set(LATER)
    assert not {name for name in loaded if name.startswith("napari_tessera.operations") and name.endswith("kernels")}


def test_unset_preferences_are_not_asked_of_napari(tmp_path):
    """napari reads the manifests of all plugins again when it is asked."""
    program = (
        "from napari_tessera.napari_plugin.preferences import preferred; import npe2; "
        "npe2.PluginManager.discover = None; print(repr(preferred('computing', 'device')))"
    )
    environment = {**os.environ, "NAPARI_CONFIG": str(tmp_path / "settings.yaml")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "''"
