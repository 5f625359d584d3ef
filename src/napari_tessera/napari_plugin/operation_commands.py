"""Commands of napari's Layers menu: one per operation, which opens the one widget with that operation chosen.

``operation_commands.median`` is looked up in the registry when napari imports it.
"""

from collections.abc import Callable

import napari

from napari_tessera.napari_plugin.filtering.filter_widget import DISPLAY_NAME, FilterWidget
from napari_tessera.operations.registry import all_operations

PLUGIN = "napari-tessera"


def open_operation(name: str) -> FilterWidget | None:
    """Show the widget with the operation called `name` chosen, on the selected layer if that can be.

    Returns
    -------
    FilterWidget or None
        None if there is no viewer with a window.
    """
    viewer = napari.current_viewer()
    if viewer is None:
        return None
    open_already = [widget for widget in viewer.window.dock_widgets.values() if isinstance(widget, FilterWidget)]
    if open_already:
        widget = open_already[0]
        widget.show_panel()
    else:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, DISPLAY_NAME)
    widget.choose(name, viewer.layers.selection.active)
    return widget


def __getattr__(name: str) -> Callable[[], None]:
    if name.startswith("_") or name not in all_operations():
        raise AttributeError(f"There is no operation {name!r}.")

    def command() -> None:
        open_operation(name)

    command.__name__ = command.__qualname__ = name
    command.__doc__ = f"{all_operations()[name].summary()}."
    return command
