"""What a person has set for the plugin in napari's preferences, where napari has such (0.9 and newer)."""

from pathlib import Path
from typing import Any

PLUGIN = "napari-tessera"


def preferred(group: str, name: str) -> str:
    """Return the text of a setting of the manifest's ``configurations``; empty if there is none."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # an older napari
        return ""
    if _is_untouched():
        return ""
    try:
        settings: Any = get_plugin_settings(PLUGIN)
    except (KeyError, ValueError):  # the plugin was not found by npe2, or its file was damaged: what is usual does
        return ""
    return str(getattr(getattr(settings, group, None), name, "") or "")


def _is_untouched() -> bool:
    """Whether nobody has ever set anything for the plugin: beside napari's settings there is no file of such.

    Asking napari itself takes most of a second at the first time, for it reads the manifests of all plugins again.
    """
    from napari.settings import NapariSettings

    field = getattr(NapariSettings, "model_fields", {}).get("config_path")
    kept = field.get_default() if field is not None else None
    return isinstance(kept, Path) and not kept.with_name(f"{PLUGIN}.yaml").exists()
