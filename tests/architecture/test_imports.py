"""What is imported costs time and may be missing: light parts of the package load nothing heavy."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tessera.operations import catalogue

HEAVY = ("torch", "napari", "qtpy", "PyQt6", "PyQt5", "PySide6", "magicgui", "superqt", "vispy")
LIGHT = ("zarr", "tifffile", "imagecodecs", "skimage", "scipy", "dask", "numpy", "pydantic", "yaml")

LIGHT_MODULES = (
    *("core.image", "core.tiles", "core.jobs", "config.model", "config.prediction", "io.opening", "io.creating"),
    *(
        "operations.registry",
        "pipeline.api",
        "pipeline.applying.applying",
        "pipeline.requests",
        "pipeline.judging.evaluation",
    ),
)


def _loaded(statement: str) -> set[str]:
    program = (
        f"import sys, json\n{statement}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_package_alone_loads_no_library() -> None:
    loaded = _loaded("import napari_tessera")
    assert "napari_tessera" in loaded
    assert not loaded & {*HEAVY, *LIGHT}


def test_light_modules_load_neither_torch_nor_a_screen() -> None:
    """One after another in one process: whichever loads something heavy leaves it loaded."""
    loaded = _loaded("\n".join(f"import napari_tessera.{module}" for module in LIGHT_MODULES))
    assert "napari_tessera" in loaded
    assert not loaded & set(HEAVY)


def test_the_core_needs_numpy_only() -> None:
    loaded = _loaded("from napari_tessera.core import axes, errors, image, jobs, tiles")
    assert not loaded & ({*HEAVY, *LIGHT} - {"numpy"})


def test_public_names_are_imported_when_they_are_used() -> None:
    loaded = _loaded("import napari_tessera\nnapari_tessera.open_image")
    assert "numpy" in loaded
    assert not loaded & set(HEAVY)


def test_libraries_of_formats_are_imported_with_the_first_file() -> None:
    loaded = _loaded(
        "from napari_tessera.io import creating, kept, opening\n"
        "from napari_tessera.pipeline import compiling\n"
        "from napari_tessera.pipeline.applying import applying\n"
        "from napari_tessera.pipeline.recipes import recipes\n"
        "from napari_tessera.operations.registry import all_operations\n"
        "all_operations()"
    )
    assert "yaml" in loaded
    assert not loaded & {"zarr", "numcodecs", "tifffile", "dask", "numba", "cv2", *HEAVY}


def test_the_registry_loads_no_library_that_computes() -> None:
    loaded = _loaded("from napari_tessera.operations.registry import all_operations\nall_operations()")
    assert not loaded & {"scipy", "skimage", "numba", "cv2", *HEAVY}


def test_operations_import_what_computes_at_the_top_unless_it_loads_a_library() -> None:
    inside = {
        node.module or ""
        for path in Path(catalogue.__file__).parent.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
    }
    assert {name.split(".")[2] for name in inside} <= {"fourier", "restoration"}


def test_a_public_name_that_is_not_there_is_an_attribute_error() -> None:
    import napari_tessera

    with pytest.raises(AttributeError, match="segment_everything"):
        _ = napari_tessera.segment_everything
