"""What a click is going to do, from the keys that are held and what lies under the mouse; and how that is said."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from napari_tessera.napari_plugin.forms.keys import ALT, CONTROL

Action = Literal["new", "extend", "add", "replace", "subtract", "remove"]


KEYS = (
    f"Shift: add to the selected object · {CONTROL}: replace it · {CONTROL}+Shift: take away from it · "
    f"{ALT}: remove an object"
)
"""All modifiers in a line."""


@dataclass(frozen=True)
class Intent:
    """What a click does.

    Attributes
    ----------
    action
        ``"new"``: a new object; ``"extend"`` the clicked one, ``"add"`` to the selected one, ``"replace"`` it,
        ``"subtract"`` from it; ``"remove"`` the clicked one.
    label
        The object that is changed; 0 for a new one.
    problem
        Why it cannot be done; empty if it can.
    """

    action: Action
    label: int
    problem: str = ""

    @property
    def words(self) -> str:
        """What the click does, as the person reads it."""
        return (
            self.problem
            or {
                "new": "Click: a new object.",
                "extend": f"Click: object {self.label} grows from here.",
                "add": f"Shift+click: the region is added to object {self.label}.",
                "replace": f"{CONTROL}+click: the region takes the place of object {self.label}.",
                "subtract": f"{CONTROL}+Shift+click: the region is taken away from object {self.label}.",
                "remove": f"{ALT}+click: object {self.label} is removed.",
            }[self.action]
        )

    @property
    def title(self) -> str:
        """What is being made while the button is held."""
        return {
            "new": "New object",
            "extend": f"Extending object {self.label}",
            "add": f"Adding to object {self.label}",
            "replace": f"In place of object {self.label}",
            "subtract": f"Taking from object {self.label}",
            "remove": f"Object {self.label}",
        }[self.action]


def intent_of(modifiers: Collection[str], under: int, selected: int, locked: Collection[int]) -> Intent:
    """Return what a click does.

    Parameters
    ----------
    modifiers
        ``"Shift"``, ``"Control"`` and ``"Alt"``, as far as they are held.
    under
        The label under the mouse; 0: none.
    selected
        The layer's selected label.
    locked
        Labels that no tool may change.
    """
    action: Action
    if "Alt" in modifiers:
        action, label = "remove", under
        if not under:
            return Intent(action, 0, f"{ALT}+click removes an object: there is none under the mouse.")
    elif {"Control", "Shift"} <= set(modifiers):
        action, label = "subtract", selected
    elif "Control" in modifiers:
        action, label = "replace", selected
    elif "Shift" in modifiers:
        action, label = "add", selected
    else:
        action, label = ("extend", under) if under else ("new", 0)
    if action not in {"new", "extend", "remove"} and selected <= 0:
        return Intent(
            action, 0, "No object is selected: make one with a click first, or pick one with napari's picker."
        )
    if label in locked:
        return Intent(action, label, locked_words(label))
    return Intent(action, label)


def locked_words(label: int) -> str:
    """Return why a locked object stays as it is."""
    return f"Object {label} is locked: unlock it to change it."
