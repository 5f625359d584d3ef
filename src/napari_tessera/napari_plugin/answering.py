"""File ▸ IO Utilities: answers once and for all which plugin opens OME-Zarr and OME-TIFF.

napari asks wherever two plugins can read a file, however narrow their claims are, and what it remembers of a folder, as
an OME-Zarr is, counts for that one folder alone.
"""

from napari.settings import get_settings
from napari.utils.notifications import show_info

from napari_tessera.napari_plugin.preferences import PLUGIN

PATTERNS = ("*.zarr/", "*.zarr", "*.ome.tif", "*.ome.tiff")
"""napari compares the paths of folders with a slash at the end."""


def open_always() -> None:
    """Have napari open these files with this plugin without asking, and say where that is taken back."""
    plugins = get_settings().plugins
    plugins.extension2reader = {**plugins.extension2reader, **dict.fromkeys(PATTERNS, PLUGIN)}
    show_info(
        "OME-Zarr and OME-TIFF open with Tessera from now on, without being asked about. "
        "Preferences ▸ Plugins takes that back."
    )
