"""YAML between text and plain values: the one reader of everything that is YAML, bounded in every direction.

None of our files needs more than mappings, lists and plain values. What lets a small file take hours or gigabytes
(aliases, merge keys, deep nesting, endless numbers) is refused, and so is whatever makes the loader itself fail.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

MOST_CHARACTERS = 2**22
"""A recipe of a thousand steps has a tenth of it."""

MOST_LEVELS = 50
MOST_DIGITS = 100
_LARGEST_KEY = 2**64
"""Longer numbers as keys can be chosen so that looking one up takes for ever."""

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""How a byte of a file name that is not UTF-8 is written; libyaml refuses it."""


class YamlError(ValueError):
    """Text that is not YAML, or more of it than any of our files needs; its message fits into brackets."""


def parse_yaml(text: str) -> Any:
    """Return what `text` says, as mappings, lists and plain values.

    Keys of mappings are texts or whole numbers. What a person types is read with it too, not only files.

    Raises
    ------
    YamlError
        If it is no YAML, too long or too deep, has aliases, merge keys or a key twice, or a number of too many digits.
    """
    if len(text) > MOST_CHARACTERS:
        raise YamlError(f"longer than {MOST_CHARACTERS // 2**20} MB")
    loader = _PythonLoader if _HALF_CHARACTER.search(text) else _Loader
    try:
        _check_events(text, loader)
        return _build(text, loader)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_described(error)) from error
    except (yaml.YAMLError, TypeError, AttributeError, ArithmeticError, LookupError, RecursionError) as error:
        raise YamlError("it cannot be understood") from error
    except YamlError:
        raise
    except ValueError as error:  # a date that there is not, for example
        raise YamlError("a value in it cannot be understood") from error


def dump_yaml(fields: Any) -> bytes:
    """Return `fields` as YAML that `parse_yaml` reads: what stands in two places is written twice."""
    text = yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return str(text).encode()


def _check_events(text: str, loader: type[Any]) -> None:
    """Refuse aliases and deep nesting before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"an alias in {_line(event)}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_LEVELS:
                raise YamlError(f"more than {MOST_LEVELS} levels deep in {_line(event)}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _build(text: str, loader: type[Any]) -> Any:
    reader = loader(text)
    try:
        return reader.get_single_data()
    finally:
        reader.dispose()


def _line(part: Any) -> str:
    return f"line {part.start_mark.line + 1}"


def _described(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f" in line {mark.line + 1}" if mark is not None else ""
    return f"{error.problem or error.context or 'a mistake'}{where}"


class _Strict(yaml.constructor.SafeConstructor):
    """Builds values of nodes, refusing what our files never hold."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys, which would be merged here."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise YamlError(f"a merge key in {_line(key)}")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse keys that are neither text nor a number, and those that stand there twice."""
        self.flatten_mapping(node)
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise YamlError(f"a key that is neither text nor a whole number in {_line(key_node)}")
            if isinstance(key, int) and abs(key) > _LARGEST_KEY:
                raise YamlError(f"a number as a key that is too large in {_line(key_node)}")
            if key in found:
                raise YamlError(f"the key {str(key)[:40]!r} for the second time in {_line(key_node)}")
            found[key] = self.construct_object(value_node, deep=deep)
        return found

    def number(self, node: yaml.ScalarNode) -> int | float:
        """Return a number of not too many digits."""
        if len(node.value) > MOST_DIGITS:
            raise YamlError(f"a number of {len(node.value)} digits in {_line(node)}")
        build = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        value: int | float = build(node)
        return value


for _kind in ("int", "float"):
    # every loader below inherits them; the type stubs know the loaders only
    _Strict.add_constructor(f"tag:yaml.org,2002:{_kind}", _Strict.number)  # type: ignore[type-var]


class _PythonLoader(_Strict, yaml.SafeLoader):
    """The strict loader without libyaml."""


try:

    class _Loader(_Strict, yaml.CSafeLoader):
        """The strict loader; libyaml reads five times as fast."""

except AttributeError:  # a PyYAML that was built without it
    _Loader = _PythonLoader  # type: ignore[misc,assignment]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the name is PyYAML's
        """Write everything where it stands."""
        return True
