"""YAML files with a schema version: atomic writing, safe reading, migration of older ones."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from napari_tessera.config.base import Config
from napari_tessera.config.migrations import migrate
from napari_tessera.config.yaml_text import MOST_CHARACTERS, YamlError, dump_yaml, parse_yaml
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError


class FileConfig(Config):
    """Settings that live in a file of their own."""

    kind: ClassVar[str]
    """What the file is, written into it so that another YAML file is not taken for it."""

    current_version: ClassVar[int] = 1

    schema_version: int = 1

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read, migrate and validate a file that `save` wrote.

        Raises
        ------
        MissingInputError
            If there is no such file.
        InvalidInputError
            If it is not YAML, of another kind, of a newer schema, or has wrong fields.
        """
        fields = cls.read_fields(path)
        try:
            return cls.parse(fields)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error} Correct the file or restore it.") from error

    @classmethod
    def read_fields(cls, path: Path, *, by_hand: bool = False) -> dict[str, Any]:
        """Read and migrate the fields of a file without validating them, so that others can be added first.

        A file written `by_hand` may leave out ``kind`` and ``schema_version``: it is then of the newest schema.
        Raises as `load` does.
        """
        fields = read_yaml(path, piped=by_hand)
        if by_hand:
            fields = {"kind": cls.kind, "schema_version": cls.current_version, **fields}
        if fields.pop("kind", None) != cls.kind:
            raise InvalidInputError(f"{path} is not a {cls.kind} file: choose one that napari-tessera wrote.")
        version = fields.get("schema_version")
        if not isinstance(version, int) or version < 1:
            raise InvalidInputError(
                f"{path} has no valid schema_version: write the line 'schema_version: "
                f"{cls.current_version}' at its top, or restore it from a backup."
            )
        if version > cls.current_version:
            raise InvalidInputError(
                f"{path} has schema version {version}, newer than {cls.current_version}, the newest known here: "
                "update napari-tessera."
            )
        return migrate(cls.kind, fields, cls.current_version)

    def save(self, path: Path) -> None:
        """Write the settings to `path` in one step: a reader sees the old file or the new one, never half of it."""
        fields = {"kind": self.kind, **self.model_dump(mode="json")}
        write_atomically(path, dump_yaml(fields))


def read_yaml(path: Path, *, piped: bool = False) -> dict[str, Any]:
    """Read a YAML mapping; one that takes long or much memory is refused, see `parse_yaml`.

    Parameters
    ----------
    path
        Of the file.
    piped
        Whether it may be a pipe, as a shell makes one of ``<(command)``; another one might be waited for, for ever.

    Raises
    ------
    MissingInputError, StorageError, InvalidInputError
        If the file is not there, cannot be read, or holds no mapping.
    """
    try:
        fields = parse_yaml(_read_text(path, piped=piped))
    except FileNotFoundError as error:
        raise MissingInputError(f"There is no file {path}: check the path.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    except (YamlError, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, YamlError) else "it is not text"
        raise InvalidInputError(f"{path} is not a readable YAML file ({why}): restore it or choose another.") from error
    if not isinstance(fields, Mapping):
        raise InvalidInputError(f"{path} holds no settings (name: value): restore it or choose another.")
    return dict(fields)


def _read_text(path: Path, *, piped: bool) -> str:
    """Return the text of a file, at most one byte more than is read as YAML."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or (piped and stat.S_ISFIFO(mode))):
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "it is a folder", str(path))
        raise YamlError("it is no ordinary file")
    with path.open("rb") as file:
        return file.read(MOST_CHARACTERS + 1).decode("utf-8-sig")
