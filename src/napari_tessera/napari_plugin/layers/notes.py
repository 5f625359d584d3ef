"""What the plugin notes of a layer: one entry of ``layer.metadata``, plain data that a person can read there too.

All reading and writing of that entry goes through here. What is noted is never changed in place but replaced, so that
``layer.events.metadata`` tells of it. A person, a script or an older version may have put anything there: what does not
make sense counts as not noted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from napari.layers import Image, Layer

METADATA_KEY = "tessera"
"""Under this key of ``layer.metadata`` the plugin keeps what it knows of a layer."""

Classes = Mapping[int, tuple[str, str]]
"""Name and colour (#rrggbb) per number."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Notes:
    """What is noted of a layer, read as what it means.

    Attributes
    ----------
    fields
        The very entry of the metadata, to know by ``is`` whether it is still the same.
    """

    fields: Mapping[str, Any]

    @property
    def role(self) -> str:
        """``result`` of an operation, ``prediction``, ``preview``, ``outline``; empty for what a person has made."""
        return self._text("role")

    @property
    def image(self) -> str:
        """The name of the image layer that a prediction was made of; empty if that is not known."""
        return self._text("image")

    @property
    def classes(self) -> dict[int, tuple[str, str]]:
        """Name and colour (#rrggbb) per number; entries that make no sense are left out."""
        entries, classes = self.fields.get("classes"), {}
        for number, entry in entries.items() if isinstance(entries, Mapping) else ():
            try:
                classes[int(number)] = (str(entry["name"]), str(entry["color"]))
            except (TypeError, ValueError, KeyError, IndexError):
                continue
        return classes

    @property
    def has_odd_classes(self) -> bool:
        """Whether there are entries of classes that make no sense."""
        entries = self.fields.get("classes", {})
        return not isinstance(entries, Mapping) or len(self.classes) < len(entries)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names that the file gave its channels."""
        names = self.fields.get("channel_names", ())
        return tuple(map(str, names)) if isinstance(names, list | tuple) else ()

    @property
    def channel_colors(self) -> list[Any]:
        """The colours that the file gave its channels."""
        colors = self.fields.get("channel_colors", [])
        return colors if isinstance(colors, list) else []

    @property
    def locked(self) -> frozenset[int]:
        """The objects that no tool of the plugin changes."""
        try:
            return frozenset(int(label) for label in self.fields.get("locked", ()))
        except (TypeError, ValueError):
            return frozenset()

    @property
    def locked_places(self) -> dict[int, tuple[int, ...]]:
        """At which pixels objects were locked, as indices of ``layer.data``."""
        places = self.fields.get("locked_at", {})
        places = places if isinstance(places, Mapping) else {}
        return {int(label): tuple(int(at) for at in place) for label, place in places.items()}

    @property
    def begun_by_clicking(self) -> bool:
        """Whether the labels were begun for objects to be clicked."""
        return bool(self.fields.get("clicked"))

    @property
    def wants_protection(self) -> bool:
        """Whether what is painted is to be written down once napari has added the layer."""
        return bool(self.fields.get("protect"))

    @property
    def making(self) -> dict[str, Any]:
        """How the layer was made: ``recipe``, ``sha256`` of the result and the name of its ``graph``, where noted."""
        return {key: self.fields[key] for key in MAKING if key in self.fields}

    def _text(self, name: str) -> str:
        return str(self.fields.get(name) or "")


MAKING = ("recipe", "sha256", "graph")
"""The fields of `Notes.making`."""


def notes_of(layer: Layer) -> Notes:
    """Return what is noted of `layer`."""
    known = layer.metadata.get(METADATA_KEY)
    return Notes(known) if isinstance(known, Mapping) else Notes(_NOTHING)


def notes_in(metadata: Mapping[str, Any]) -> Notes:
    """Return what is noted in the metadata of a layer that is to be made."""
    known = metadata.get(METADATA_KEY)
    return Notes(known) if isinstance(known, Mapping) else Notes(_NOTHING)


def noted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a layer of which `fields` are noted from the beginning."""
    return {METADATA_KEY: dict(fields)}


def change_notes(layer: Layer, fields: Mapping[str, Any]) -> None:
    """Note `fields`, leave out those that are None, keep all others; ``layer.events.metadata`` tells of it."""
    known = {key: value for key, value in {**notes_of(layer).fields, **fields}.items() if value is not None}
    rest = {key: value for key, value in layer.metadata.items() if key != METADATA_KEY}
    layer.metadata = {**rest, METADATA_KEY: known} if known else rest


def class_entries(classes: Classes) -> dict[int, dict[str, str]]:
    """Return the field ``classes`` for these."""
    return {number: {"name": name, "color": color} for number, (name, color) in classes.items()}


def layer_classes(layer: Layer) -> dict[int, tuple[str, str]]:
    """Return name and colour (#rrggbb) per number, as far as the plugin gave `layer` any."""
    return notes_of(layer).classes


def holds_classes(layer: Layer) -> bool:
    """Whether the labels of `layer` are classes to train with, not numbers of objects."""
    return bool(notes_of(layer).fields.get("classes"))


def is_made(layer: Layer) -> bool:
    """Return whether an operation or a model has made `layer`, or it shows what is being tried."""
    return bool(notes_of(layer).role)


def is_preview(layer: Layer) -> bool:
    """Return whether `layer` shows what is being tried, and is nothing to work on."""
    return notes_of(layer).role == "preview"


def is_annotation(layer: Layer) -> bool:
    """Return whether `layer` is one to paint classes in, made here."""
    return holds_classes(layer) and notes_of(layer).role != "prediction"


def is_probability(layer: Layer) -> bool:
    """Return whether `layer` shows how sure a model is."""
    return isinstance(layer, Image) and notes_of(layer).role == "prediction"


def taken_unasked(layer: Layer) -> bool:
    """Return whether work may go on with `layer` because it is selected or the newest.

    What shows how sure a model is, what is painted to train it, and previews are rarely meant: they must be chosen.
    """
    return not (is_preview(layer) or is_annotation(layer) or is_probability(layer))
