"""What a person has set for the plugin in napari's preferences, where napari has such (0.9 and newer)."""

from typing import Any

PLUGIN = "napari-tessera"


def preferred(group: str, name: str) -> str:
    """Return the text of a setting of the manifest's ``configurations``; empty if there is none."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # an older napari
        return ""
    try:
        settings: Any = get_plugin_settings(PLUGIN)
    except (KeyError, ValueError):  # the plugin was not found by npe2, or its file was damaged: what is usual does
        return ""
    return str(getattr(getattr(settings, group, None), name, "") or "")
