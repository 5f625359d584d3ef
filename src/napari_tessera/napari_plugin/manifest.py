"""Writes the operations into the manifest: their commands, and the places of all in napari's Layers menu.

``python -m napari_tessera.napari_plugin.manifest`` writes; with ``--check`` it says whether there is anything to write.
Everything else in the manifest is written by hand.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Menu, Operation
from napari_tessera.operations.describe import by_group
from napari_tessera.operations.registry import all_operations

MANIFEST = Path(__file__).parents[1] / "napari.yaml"
HOME = "napari_tessera.napari_plugin.operation_commands"
"""The module from which napari imports the command of an operation under the operation's name."""

BEGIN, END = "# made by `make manifest`: do not edit", "# end of what is made by `make manifest`"
_BLOCK = re.compile(rf"^( *){re.escape(BEGIN)}\n(.*?)^ *{re.escape(END)}\n", re.MULTILINE | re.DOTALL)

MENUS: tuple[Menu, ...] = ("filter", "segment", "transform", "measure")


BY_HAND = {
    "napari/layers/metadata": [{"command": "napari-tessera.take_calibration"}],
    "napari/file/io_utilities": [{"command": "napari-tessera.open_always"}],
}
"""Places of commands that are no operations; all of a manifest's menus are one entry."""
WIDGETS: dict[str, tuple[str, ...]] = {
    "segment": ("click", "train", "predict"),
    "annotate": ("click", "train"),
    "classify": ("train", "predict"),
}
"""Widgets that stand in menus of napari's Layers menu as well, since people look there for what they do."""
ALSO_IN: dict[str, tuple[str, ...]] = {"project": ("project", "mean_along")}
"""Operations that stand in a further menu, by the name of that menu."""


def command_id(operation: type[Operation]) -> str:
    """Return the id of the command that opens the form of `operation`."""
    return f"napari-tessera.operations.{operation.name()}"


def menu_id(menu: str) -> str:
    """Return napari's id of a submenu of its Layers menu."""
    return f"napari/layers/{menu}"


def commands() -> list[dict[str, str]]:
    """Return one command per operation."""
    return [
        {
            "id": command_id(operation),
            "title": operation.title,
            "python_name": f"{HOME}:{operation.name()}",
            "short_title": operation.summary(),
        }
        for operation in all_operations().values()
    ]


def menus() -> dict[str, object]:
    """Return the places of widgets and operations; a menu with operations of several groups has a submenu for each."""
    places: dict[str, list[dict[str, str]]] = {
        menu_id(menu): [
            {"command": f"napari-tessera.{name}", "group": f"a_tessera@{order}"} for order, name in enumerate(names)
        ]
        for menu, names in WIDGETS.items()
    }
    submenus: list[dict[str, str]] = []
    for menu in MENUS:
        groups = by_group(operation for operation in all_operations().values() if operation.menu == menu)
        for order, (group, members) in enumerate(groups.items()):
            place = menu_id(menu)
            if len(groups) > 1:
                place = f"napari-tessera/{menu}/{re.sub(r'[^a-z]+', '_', group.lower())}"
                submenus.append({"id": place, "label": group})
                places.setdefault(menu_id(menu), []).append({"submenu": place, "group": f"tessera@{order}"})
            places.setdefault(place, []).extend({"command": command_id(operation)} for operation in members)
    for further, names in ALSO_IN.items():
        there = [{"command": command_id(all_operations()[name])} for name in names]
        places.setdefault(menu_id(further), []).extend(there)
    return {"menus": places | BY_HAND, "submenus": submenus}


def updated(text: str) -> str:
    """Return the manifest `text` with the operations that there are.

    Raises
    ------
    InvalidInputError
        If the two places for them are not marked.
    """
    contents = [commands(), menus()]
    if len(_BLOCK.findall(text)) != len(contents):
        raise InvalidInputError(
            f"{MANIFEST} must have two places between {BEGIN!r} and {END!r}: one among the commands, one at the end of "
            "the contributions."
        )
    remaining = iter(contents)

    def block(match: re.Match[str]) -> str:
        indent = match[1]
        dumped = yaml.safe_dump(next(remaining), sort_keys=False, allow_unicode=True, width=1000)
        lines = "".join(f"{indent}{line}\n" for line in dumped.splitlines())
        return f"{indent}{BEGIN}\n{lines}{indent}{END}\n"

    return _BLOCK.sub(block, text)


def main(arguments: Sequence[str]) -> int:
    """Write the manifest, or check it; return the exit status."""
    text = MANIFEST.read_text(encoding="utf-8")
    wanted = updated(text)
    if wanted == text:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{MANIFEST} does not have the operations that there are: run `make manifest`.\n")
        return 1
    write_atomically(MANIFEST, wanted.encode())
    sys.stderr.write(f"{MANIFEST} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
