"""The base of all settings: frozen, strict about unknown fields, and clear about what is wrong."""

import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from napari_tessera.config.wording import describe_problem, place, shown
from napari_tessera.config.yaml_text import YamlError, parse_yaml
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.spelling import nearest


def _known_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError("use auto, cuda, cuda:1, mps or cpu")
    return name


DeviceName = Annotated[str, AfterValidator(_known_device), Field(description="auto, cuda, cuda:1, mps or cpu.")]
"""Where a network runs; ``auto`` takes the fastest device there is."""


def _rgb(color: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise ValueError("a colour is # and six digits from 0 to f, red, green and blue, as in '#e6550d'")
    return color


Color = Annotated[str, AfterValidator(_rgb)]
"""A colour as ``#rrggbb``."""


_building = threading.RLock()


class Config(BaseModel):
    """A frozen set of fields; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, /, **fields: Any) -> None:
        self.make_ready()
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _invalid(error, type(self)) from error

    @model_validator(mode="wrap")
    @classmethod
    def _named_by_text(cls, fields: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Refuse keys that are no names: pydantic hands them on as keywords, which Python refuses otherwise."""
        odd = [name for name in fields if not isinstance(name, str)] if isinstance(fields, Mapping) else []
        if odd:
            raise InvalidInputError(f"There is no setting {shown(str(odd[0]))}: check its spelling.")
        return handler(fields)

    @classmethod
    def make_ready(cls) -> None:
        """Build what checks the fields, of a class that puts it off to its first use (``defer_build``).

        One thread at a time: pydantic takes a half-built one for whole.
        """
        if not cls.__pydantic_complete__:
            with _building:
                cls.model_rebuild()  # does nothing where another thread was first

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Build from plain data, with one readable sentence if that cannot be done.

        Raises
        ------
        InvalidInputError
            Naming the field, the value and what is allowed.
        """
        cls.make_ready()
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            raise _invalid(error, cls) from error

    def with_overrides(self, overrides: Mapping[str, Any]) -> Self:
        """Return a copy in which each dotted field name (``"augmentation.scale"``) has a new value."""
        return self.parse(self.overridden(self.model_dump(mode="json"), overrides))

    @classmethod
    def meant_by(cls, name: str) -> list[str]:
        """Return the settings, dotted, that `name`, which is none, may have been meant for."""
        return nearest(name, setting_names(cls))

    @classmethod
    def overridden(cls, fields: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return `fields`, plain data that may be incomplete, with each dotted name of `overrides` replaced."""
        return apply_overrides(fields, overrides)


class UnknownSettingError(InvalidInputError):
    """Raised for a setting that there is not.

    Parameters
    ----------
    name
        The setting, dotted where it stands within another.
    near
        What it may have been meant for, dotted likewise.
    """

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        self.name, self.near = name, tuple(near)
        advice = f"did you mean {' or '.join(near)}?" if near else "check its spelling."
        super().__init__(f"There is no setting {name!r}: {advice}")

    def within(self, where: str) -> "UnknownSettingError":
        """Return the same of settings that stand within the setting `where`."""
        return UnknownSettingError(f"{where}.{self.name}", [f"{where}.{name}" for name in self.near])


def setting_names(config: type[BaseModel], within: str = "") -> Iterator[str]:
    """Yield the names of all settings of `config`, those of settings within settings dotted and last."""
    yield from (within + name for name in config.model_fields)
    for name, field in config.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):  # itself, or one of several
            if isinstance(kind, type) and issubclass(kind, Config):
                yield from setting_names(kind, f"{within}{name}.")


def apply_overrides(fields: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested `fields` with each dotted name of `overrides` replaced."""
    result = dict(fields)
    for dotted, value in overrides.items():
        head, _, rest = dotted.partition(".")
        if not rest:
            result[head] = value
            continue
        inner = result.get(head) or {}
        if not isinstance(inner, Mapping):
            raise InvalidInputError(f"{dotted!r} cannot be set: {head!r} has no fields of its own.")
        result[head] = apply_overrides(inner, {rest: value})
    return result


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``("a.b=1", "c=true")`` into ``{"a.b": 1, "c": True}``; values are read as YAML.

    Raises
    ------
    InvalidInputError
        If an entry is not of the form ``name=value``.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise InvalidInputError(f"{assignment!r} is not of the form name=value, for example max_seconds=90.")
        try:
            overrides[name.strip()] = parse_yaml(value)
        except YamlError as error:
            raise InvalidInputError(f"The value in {shown(assignment)} cannot be read: quote it.") from error
    return overrides


def describe_validation_error(error: ValidationError) -> str:
    """Return the first problem that pydantic found as one sentence."""
    return str(_invalid(error))


def _invalid(error: ValidationError, config: type[Config] | None = None) -> InvalidInputError:
    """Return the first problem that pydantic found, of settings of the class `config` if that is known."""
    first = error.errors(include_url=False)[0]
    where = place(first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UnknownSettingError):
        return cause.within(where) if where else cause
    if first["type"] == "extra_forbidden":
        near = config.meant_by(where) if config is not None and len(first["loc"]) == 1 else ()
        return UnknownSettingError(where, near)
    return InvalidInputError(_describe(dict(first), where, cause))


def _describe(first: Mapping[str, Any], where: str, cause: object) -> str:
    context = first.get("ctx", {})
    if where and isinstance(cause, InvalidInputError):  # of settings within these: they have described it already
        return str(cause).replace("Setting ", f"Setting {where}.", 1).replace("setting '", f"setting '{where}.", 1)
    if first["type"] == "missing":
        return f"The setting {where!r} is required: give it a value."
    if not where:  # a validator over several fields names them itself
        text = str(first["msg"]).removeprefix("Value error, ")
        return text if text.endswith((".", "?")) else f"{text}."
    given = first["input"]
    if isinstance(given, float) and math.isnan(given):  # whatever limit it has been found to break
        return f"Setting {where} = nan: a number is needed."
    return f"Setting {where} = {shown(given)}: {describe_problem(first['type'], context, first['msg'])}."
