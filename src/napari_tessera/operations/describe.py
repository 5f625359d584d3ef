"""What there is to say about an operation, derived from its class: for help texts, the reference page and forms."""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from napari_tessera.operations.base import Family, Input, InputKind, Kind, Menu, Operation
from napari_tessera.operations.parameters import OddSize

ParameterKind = Literal["boolean", "integer", "number", "choice", "text", "list", "other"]
"""What a value looks like; ``other`` is several of these, or a mapping."""

_BY_TILES = "Computed tile by tile, each read with what lies around it; equals the result of the whole image exactly."

FAMILIES: Mapping[Family, str] = {
    "local": _BY_TILES,
    "fitted": "Looks at the whole image first, then works tile by tile; equals the result of the whole image exactly.",
    "connected": "Works tile by tile, joining what touches across tiles; equals the result of the whole image exactly.",
    "mapped": _BY_TILES,
    "paged": "Reads of a large image only what it comes to, in windows; equals the result of the whole image exactly.",
    "global": "Takes a whole volume (or plane) into memory at once, and says how much that needs before it starts.",
}
"""How each family is applied, in plain words."""

_TOLD_AS: Mapping[Family, str] = {"mapped": "local", "paged": "global"}
"""What programs that read the list of operations know two families as."""

KINDS: Mapping[InputKind | Kind, str] = {
    "image": "image",
    "labels": "labels",
    "kernel": "small image",
    "points": "points",
    "seeds": "points or labels",
    "frequencies": "points in a spectrum",
}
"""What the kinds of inputs and outputs are called in front of a person."""

GROUPS = (
    "Intensity",
    "Combine images",
    "Smoothing and background",
    "Edges and convolution",
    "Fourier",
    "Restoration",
    "Noise",
    "Geometry",
    "Threshold and cluster",
    "Region growing",
    "Labels",
)
"""The order in which groups are shown: roughly that of the work. A group that is not among them comes last."""

_ODD = next(part for part in get_args(OddSize) if isinstance(part, AfterValidator))
_SIMPLE: Mapping[Any, ParameterKind] = {bool: "boolean", int: "integer", float: "number", str: "text"}


@dataclass(frozen=True)
class Bounds:
    """Where a number, or the length of a list, may lie.

    Attributes
    ----------
    low, high
        The limits; None for none.
    above, below
        Whether the limit itself is excluded.
    odd
        Whether only odd numbers are allowed.
    """

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False
    odd: bool = False

    def __str__(self) -> str:
        low, high = (None if limit is None else _number_text(limit) for limit in (self.low, self.high))
        if low is not None and high is not None and not (self.above or self.below):
            text = f"{low} to {high}"
        else:
            parts = [] if low is None else [f"above {low}" if self.above else f"at least {low}"]
            parts += [] if high is None else [f"below {high}" if self.below else f"at most {high}"]
            text = ", ".join(parts)
        return ", ".join(part for part in (text, "odd" * self.odd) if part)


@dataclass(frozen=True)
class ParameterDescription:
    """One parameter of an operation.

    Attributes
    ----------
    name
        Of the field.
    title
        What it is called in the window; empty where the name says enough.
    kind
        What its value looks like.
    help
        One sentence in plain words.
    unit
        What a number counts; empty for plain numbers.
    default
        JSON-ready; None also where there is none (`required`).
    required
        Whether there is no default.
    optional
        Whether None is a value too.
    choices
        The values of a choice.
    bounds
        Of a number, or of each number in a list.
    lengths
        How many entries a list may have.
    items
        What each entry of a list looks like; a list of lists has ``list`` here.
    """

    name: str
    kind: ParameterKind
    help: str
    unit: str = ""
    default: Any = None
    required: bool = False
    optional: bool = False
    choices: tuple[Any, ...] = ()
    bounds: Bounds = Bounds()
    lengths: Bounds = Bounds()
    items: ParameterKind | None = None
    title: str = ""

    @property
    def allowed(self) -> str:
        """Which values there are, in a few words; empty if any of the kind."""
        parts = [" | ".join(map(str, self.choices)), str(self.bounds)]
        if self.lengths.low is not None and self.lengths.low == self.lengths.high:
            parts.append(f"{self.lengths.low} entries")
        elif str(self.lengths):
            parts.append(f"{self.lengths} entries")
        parts.append("or none" * self.optional)
        return "; ".join(part for part in parts if part)

    @property
    def default_text(self) -> str:
        """The default as it is typed; empty if there is none."""
        return "" if self.required else value_text(self.default)


@dataclass(frozen=True)
class OperationDescription:
    """An operation as people see it; `text` is the docstring after its first line."""

    name: str
    class_name: str
    title: str
    summary: str
    text: str
    group: str
    menu: Menu
    version: int
    family: str
    family_text: str
    bound: str
    inputs: tuple[Input, ...]
    output: Kind
    parameters: tuple[ParameterDescription, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what a program may want to know, JSON-ready."""
        return {
            **{key: getattr(self, key) for key in ("name", "title", "summary", "group", "family", "version", "output")},
            "inputs": [
                {"name": entry.name, "kind": entry.kind, "help": entry.help, "optional": entry.optional}
                for entry in self.inputs
            ],
            "parameters": [
                {
                    **{key: getattr(entry, key) for key in ("name", "kind", "help", "unit", "default", "required")},
                    **({"title": entry.title} if entry.title else {}),
                    **({"choices": list(entry.choices)} if entry.choices else {}),
                    **({"allowed": entry.allowed} if entry.allowed else {}),
                }
                for entry in self.parameters
            ],
        }


def describe_operation(operation: type[Operation]) -> OperationDescription:
    """Return what there is to say about `operation`."""
    _, _, text = inspect.cleandoc(operation.__doc__ or "").partition("\n")
    return OperationDescription(
        name=operation.name(),
        class_name=operation.__name__,
        title=operation.title,
        summary=operation.summary(),
        text=text.strip(),
        group=operation.group,
        menu=operation.menu,
        version=operation.version,
        family=_TOLD_AS.get(operation.family, operation.family),
        family_text=FAMILIES[operation.family],
        bound=operation.bound,
        inputs=operation.inputs,
        output=operation.output,
        parameters=tuple(describe_parameter(name, operation.model_fields[name]) for name in own_first(operation)),
    )


def own_first(operation: type[Operation]) -> list[str]:
    """Return the names of the parameters: the foremost, those that `operation` declares, and those of its bases."""
    declared = (name for base in operation.__mro__ for name in inspect.get_annotations(base))
    nearest = dict.fromkeys([*operation.foremost, *declared])
    return [name for name in nearest if name in operation.model_fields]


def by_group(operations: Iterable[type[Operation]]) -> dict[str, list[type[Operation]]]:
    """Return `operations` under their headings: the groups in their usual order, others after them."""
    groups: dict[str, list[type[Operation]]] = {group: [] for group in GROUPS}
    for operation in operations:
        groups.setdefault(operation.group, []).append(operation)
    return {group: members for group, members in groups.items() if members}


def describe_parameter(name: str, field: FieldInfo) -> ParameterDescription:
    """Return what there is to say about one field."""
    shape = _Shape.of(field.annotation, field.metadata)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    required = field.is_required()
    return ParameterDescription(
        name=name,
        kind=shape.kind,
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        default=None if required else plain(field.get_default(call_default_factory=True)),
        required=required,
        optional=shape.optional,
        choices=shape.choices,
        bounds=shape.bounds,
        lengths=shape.lengths,
        items=shape.items,
        title=str(extra.get("title", "")),
    )


def plain(value: Any) -> Any:
    """Return `value` as JSON has it: tuples as lists, settings as mappings."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return value


def value_text(value: Any) -> str:
    """Return `value` as it is typed on the command line: ``1,2,3`` for a list, ``none`` for None."""
    match value:
        case None:
            text = "none"
        case bool():
            text = str(value).lower()
        case float():
            text = _number_text(value)
        case [] | "":
            text = "[]" if value == [] else '""'
        case [[*_], *_]:
            text = "[" + ",".join(f"[{value_text(entry)}]" for entry in value) + "]"
        case [*_]:
            text = ",".join(map(value_text, value))
        case _:
            text = str(value)
    return text


def _number_text(value: float) -> str:
    """Return the shortest text that means `value`; whole numbers of a readable length without an exponent."""
    if math.isfinite(value) and value == int(value) and abs(value) < 10**12:
        return str(int(value))
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


@dataclass(frozen=True)
class _Shape:
    """The type of a parameter, taken apart."""

    kind: ParameterKind
    optional: bool = False
    choices: tuple[Any, ...] = ()
    bounds: Bounds = Bounds()
    lengths: Bounds = Bounds()
    items: ParameterKind | None = None

    @classmethod
    def of(cls, annotation: Any, metadata: Sequence[Any]) -> "_Shape":
        annotation, optional, found = _unwrapped(annotation, list(_flat(metadata)))
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return cls("choice", optional, choices=arguments)
        if annotation in _SIMPLE:
            return cls(_SIMPLE[annotation], optional, bounds=_bounds(found))
        if origin in (Union, UnionType):
            numbers = set(arguments) == {int, float}
            return cls("number" if numbers else "other", optional, bounds=_bounds(found))
        if origin in (tuple, list) and arguments:
            fixed = len(arguments) if origin is tuple and Ellipsis not in arguments else None
            entry = cls.of(arguments[0], ())
            lengths = Bounds(fixed, fixed) if fixed else _lengths(found)
            return cls("list", optional, entry.choices, entry.bounds, lengths, entry.kind)
        return cls("other", optional)


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[Any, bool, list[Any]]:
    """Take ``Annotated`` and ``| None`` off a type; return it, whether None is allowed, and all metadata."""
    optional = False
    while True:
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            annotation, metadata = arguments[0], [*metadata, *_flat(arguments[1:])]
        elif get_origin(annotation) in (Union, UnionType) and type(None) in arguments:
            rest = tuple(part for part in arguments if part is not type(None))
            annotation, optional = (rest[0] if len(rest) == 1 else Union[rest]), True  # noqa: UP007  built from parts
        else:
            return annotation, optional, metadata


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for part in metadata:
        yield from part.metadata if isinstance(part, FieldInfo) else (part,)


def _bounds(metadata: Sequence[Any]) -> Bounds:
    # by attribute, because the classes of pydantic's metadata belong to a library that this one does not declare
    limits = {
        side: getattr(part, side) for part in metadata for side in ("ge", "gt", "le", "lt") if hasattr(part, side)
    }
    return Bounds(
        low=limits.get("gt", limits.get("ge")),
        high=limits.get("lt", limits.get("le")),
        above="gt" in limits,
        below="lt" in limits,
        odd=any(part is _ODD for part in metadata),
    )


def _lengths(metadata: Sequence[Any]) -> Bounds:
    limits = {
        side: getattr(part, side) for part in metadata for side in ("min_length", "max_length") if hasattr(part, side)
    }
    return Bounds(limits.get("min_length"), limits.get("max_length"))
