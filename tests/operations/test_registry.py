"""One definition per operation: once registered it has its command, its recipe step and its section of the page."""

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tifffile

import napari_tessera
from napari_tessera.cli.main import run
from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Block, Input, Local
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import (
    all_operations,
    build_operation,
    find_operation,
    register,
    unregister,
)
from napari_tessera.pipeline.recipes.identity import identify_image
from napari_tessera.pipeline.recipes.recipe_api import run_recipe
from napari_tessera.pipeline.recipes.recording import record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def brand_new():
    class BrandNewOffset(Local):
        """Add a number to every pixel.

        It is here for a test.
        """

        title: ClassVar = "Brand-new offset"
        group: ClassVar = "Tests"
        inputs: ClassVar = (Input("image", "image", "What to add to."),)

        amount: int = parameter(3, "What is added.", unit="grey levels", ge=0, le=9)

        def compute(self, block: Block) -> Any:
            return block.image + block.image.dtype.type(self.amount)

    yield register(BrandNewOffset)
    unregister("brand_new_offset")


@pytest.fixture
def image(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    tifffile.imwrite(tmp_path / "image.tif", pixels)
    return pixels


def reference() -> str:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    return hooks.reference()


def test_a_new_operation_has_its_command(brand_new, image, tmp_path, capsys):
    assert run(["apply", "--list"]) == 0
    assert "brand_new_offset  " in capsys.readouterr().out
    assert run(["apply", "brand-new-offset", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--amount INTEGER What is added. [in grey levels; 0 to 9; default: 3]" in text
    assert "It is here for a test." in text
    paths = [str(tmp_path / "image.tif"), str(tmp_path / "out.tif")]
    assert run(["apply", "brand_new_offset", *paths, "--amount", "5"]) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), image + 5)


def test_a_new_operation_has_its_recipe_step(brand_new, image, tmp_path):
    recipe = record(brand_new(amount=2), {"image": identify_image(napari_tessera.open_image(image))})
    recipe.save(tmp_path / "recipe.yaml")
    assert Recipe.load(tmp_path / "recipe.yaml").steps[0].parameters == {"amount": 2}
    np.testing.assert_array_equal(run_recipe(tmp_path / "recipe.yaml", image)["image"], image + 2)


def test_a_new_operation_has_its_section_in_the_reference(brand_new):
    page = reference()
    start = page.index("### Brand-new offset {#brand_new_offset}")
    section = page[start:]
    assert "| `--amount` | integer; 0 to 9; grey levels | `3` | What is added. |" in section
    assert "napari-tessera apply brand_new_offset in.tif out.tif --amount 3" in section
    assert "result = nt.apply(nt.operations.BrandNewOffset(amount=3), image)" in section
    unregister("brand_new_offset")
    assert "brand_new_offset" not in reference()


def test_a_new_operation_is_an_attribute_of_the_package(brand_new):
    assert napari_tessera.operations.BrandNewOffset is brand_new
    with pytest.raises(AttributeError, match="no operation 'BrandOldOffset'"):
        _ = napari_tessera.operations.BrandOldOffset


def test_the_reference_has_a_section_for_every_operation():
    page = reference()
    assert page.count("\n### ") == len(all_operations())
    assert "\n---" not in page, "a heading of numpydoc would become one of the page"


def test_an_unknown_operation_is_told_with_its_nearest():
    with pytest.raises(InvalidInputError, match="no operation 'gausian': did you mean gaussian"):
        find_operation("gausian")
    with pytest.raises(InvalidInputError, match="apply --list"):
        find_operation("xyzzy")
    with pytest.raises(InvalidInputError, match="sigmoid"):
        build_operation("gaussian", {"sigmoid": 1})


def test_an_incomplete_operation_is_refused():
    class Bare(Local):
        amount: int = 1

        def compute(self, block: Block) -> Any:
            return block.image

    with pytest.raises(TypeError, match="title, group, a docstring, help for 'amount'"):
        register(Bare)
    assert "bare" not in all_operations()


def test_two_operations_of_one_name_are_refused(brand_new):
    class BrandNewOffset(Local):
        """Do something else."""

        title: ClassVar = "Another"
        group: ClassVar = "Tests"

        def compute(self, block: Block) -> Any:
            return block.image

    with pytest.raises(TypeError, match="two operations called 'brand_new_offset'"):
        register(BrandNewOffset)
