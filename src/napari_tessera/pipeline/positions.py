"""Points in files: napari's CSV of a Points layer, or a NPY array."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError, MissingInputError
from napari_tessera.core.paths import expand_home
from napari_tessera.io.arrays import reading
from napari_tessera.io.npy import check_npy
from napari_tessera.io.writing import publish_file, temporary_file, writing

SUFFIXES = (".csv", ".npy")


def read_array(path: Path) -> NDArray[Any]:
    """Read a CSV of points (one row each; columns ``axis-0``, ``axis-1``, …) or a NPY array.

    Returns
    -------
    ndarray
        Of a CSV: float64 (N, dimensions). Of a NPY: as stored.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InvalidInputError
        If it is of another type, or a cell is no number.
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
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    return _positions(rows, path)


def _positions(rows: list[list[str]], path: Path) -> NDArray[np.float64]:
    if not rows:
        raise InvalidInputError(f"{path} is empty: save the points again.")
    names = [cell.strip().lower() for cell in rows[0]]
    columns = [at for at, name in enumerate(names) if name.startswith("axis-")]
    body = rows[1:]
    if not columns:  # no header of napari: all columns are positions
        columns = list(range(len(names)))
        body = rows[not _is_number(names[0]) :]
    try:
        values = [[float(row[at]) for at in columns] for row in body]
    except (ValueError, IndexError) as error:
        raise InvalidInputError(f"{path} has a row that holds no point ({error}): correct it.") from error
    return np.array(values, np.float64).reshape(len(values), len(columns))


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
