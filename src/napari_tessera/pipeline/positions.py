"""Points in files: napari's CSV of a Points layer, or a NPY array."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.errors import InvalidInputError, MissingInputError
from napari_tessera.core.paths import expand_home
from napari_tessera.io.arrays import reading
from napari_tessera.io.npy import check_npy
from napari_tessera.io.writing import publish_file, temporary_file, writing

SUFFIXES = (".csv", ".npy")

_MOST_NAMED = 10
_NUMBERED = re.compile(r"axis-[0-9]{1,3}")
_LETTERS = {"row": "y", "column": "x", "col": "x"}
_DOUBTFUL = frozenset({"frame", "time", "slice", "plane", "depth", "channel", "ch", "position"})
"""Names of columns that mean an axis, but not which, or from where they count."""


def read_array(path: Path, axes: str = CANONICAL) -> NDArray[Any]:
    """Read a CSV of points (one row each) or a NPY array.

    The header of a CSV says which columns are positions: ``axis-0``, ``axis-1``, …, as napari writes them, or the
    letters of axes. Without a header all columns are, in the order of the axes.

    Parameters
    ----------
    path
        The file.
    axes
        Those of the image that the points lie in; a letter of another one is refused.

    Returns
    -------
    ndarray
        Of a CSV: float64 (N, dimensions), by number or in the order ``tczyx``, whatever that of the columns. Of a NPY:
        as stored.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InvalidInputError
        If it is of another type, its header names no axes or others than `axes`, or a cell is no number.
    StorageError
        If it is damaged.
    """
    path = expand_home(path)
    if not path.exists():
        raise MissingInputError(f"There is no file {path}: check the path.")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"{path} does not hold points: use .csv (as napari saves points) or .npy.")
    with reading(path):
        if path.suffix.lower() == ".npy":
            check_npy(path)
            return np.asarray(np.load(path, allow_pickle=False))
        rows = _read_rows(path)
    return _positions(rows, path, axes)


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows of a CSV that are not empty, each with the number of its line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        why = "is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else f"has a row that is none ({error})"
        raise InvalidInputError(f"{path} {why}: save the table again, as CSV in UTF-8 separated by commas.") from error


def _positions(rows: list[tuple[int, list[str]]], path: Path, axes: str) -> NDArray[np.float64]:
    if not rows:
        raise InvalidInputError(f"{path} is empty: save the points again.")
    names = [cell.strip().lower() for cell in rows[0][1]]
    if all(_is_number(name) for name in names):
        columns, body = list(range(len(names))), rows
    else:
        columns, body = _columns(names, path, axes), rows[1:]
    for line, row in body:
        if any(cell.strip() for cell in row[len(names) :]):
            raise InvalidInputError(f"{path} has in line {line} more cells than in its first line: correct it.")
    values = [[_number(row[at] if at < len(row) else "", path, line) for at in columns] for line, row in body]
    return np.array(values, np.float64).reshape(len(values), len(columns))


def _number(cell: str, path: Path, line: int) -> float:
    try:
        return float(cell)
    except ValueError as error:
        what = f"{cell.strip()[:40]!r}, which is no number" if cell.strip() else "a cell that is empty or missing"
        raise InvalidInputError(f"{path} has in line {line} {what}: correct it.") from error


def _columns(names: list[str], path: Path, axes: str) -> list[int]:
    """Return the columns that hold positions, in the order of the axes, by their names in small letters."""
    numbered = {at: int(name[5:]) for at, name in enumerate(names) if _NUMBERED.fullmatch(name)}
    if numbered:
        if len(set(numbered.values())) < len(numbered):
            raise InvalidInputError(f"{path} names an axis twice in its header ({', '.join(names)}): name each once.")
        return sorted(numbered, key=numbered.__getitem__)
    letters = [_LETTERS.get(name, name) for name in names]
    found = [letter for letter in letters if letter in tuple(CANONICAL)]
    doubtful = [name for name in names if name in _DOUBTFUL]
    if not {"y", "x"} <= set(found) or len(set(found)) < len(found) or doubtful:
        listed = ", ".join(name[:40] for name in names[:_MOST_NAMED])
        raise InvalidInputError(
            f"{path} does not say which column belongs to which axis ({listed}): separate columns by commas, and call "
            f"each by the letter of its axis (of {', '.join(CANONICAL)}; y and x are needed), or axis-0, axis-1, … "
            "as napari does."
        )
    if foreign := [letter for letter in found if letter not in axes]:
        raise InvalidInputError(
            f"{path} has positions along {foreign[0]}, and the image has the axes {', '.join(axes)}: call that column "
            "by the axis that is meant, or leave it out."
        )
    return [letters.index(letter) for letter in CANONICAL if letter in found]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def check_points_output(path: Path) -> None:
    """Raise InvalidInputError unless `path` has a suffix that points can be written to."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"{path} cannot hold points: name it .csv or .npy.")


def write_points(path: Path, points: NDArray[np.float64], *, overwrite: bool) -> None:
    """Write points (N, dimensions) as napari's CSV (``index,axis-0,axis-1,…``) or as NPY, by the suffix of `path`.

    Raises
    ------
    InvalidInputError
        For another suffix.
    OutputExistsError
        If `path` exists and `overwrite` is false.
    StorageError
        If it cannot be written.
    """
    check_points_output(path)
    temporary = temporary_file(path)
    try:
        with writing(path):
            if path.suffix.lower() == ".npy":
                with temporary.path.open("wb") as binary:
                    np.save(binary, points, allow_pickle=False)
            else:
                with temporary.path.open("w", newline="", encoding="utf-8") as text:
                    table = csv.writer(text, lineterminator="\n")
                    table.writerow(["index", *(f"axis-{axis}" for axis in range(points.shape[1]))])
                    table.writerows([index, *row] for index, row in enumerate(points.tolist()))
        publish_file(temporary.path, path, overwrite)
    finally:
        temporary.release()
