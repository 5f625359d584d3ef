"""Recipes of every schema version still give the bytes that they gave when they were written.

Their steps compute in integers, so the bytes are the same on every processor. Do not regenerate these files once a
release has written such: they stand for those that users have.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_tessera.config.recipe import Recipe
from napari_tessera.pipeline.recipes.identity import identify_array
from napari_tessera.pipeline.recipes.recipe_api import run_recipe

GOLDEN = Path(__file__).parents[1] / "config" / "golden"
RECIPES = sorted(GOLDEN.glob("replayed-recipe-v*.yaml"))


def image_by_formula() -> np.ndarray:
    """Overlapping squares and discs of several intensities, and a fine pattern over them; (72, 90) uint8."""
    y, x = np.indices((72, 90))
    pixels = (y * y * 3 + x * x * 5 + x * y * 7) % 23
    for index in range(9):
        top, left = (index * 29) % 60, (index * 37) % 78
        pixels[(y >= top) & (y < top + 11) & (x >= left) & (x < left + 9)] += 60 + 9 * index
        pixels[(y - top) ** 2 + (x - left - 4) ** 2 < 16] += 40
    pixels[(y * 31 + x * 17) % 97 == 0] = 255
    return pixels.astype(np.uint8)


def test_every_schema_version_has_one() -> None:
    versions = range(1, Recipe.current_version + 1)
    assert [path.name for path in RECIPES] == [f"replayed-recipe-v{version}.yaml" for version in versions]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("tile", [None, 19])
def test_a_golden_recipe_gives_the_bytes_it_gave(path: Path, tile: int | None) -> None:
    results = run_recipe(path, image_by_formula(), tile=tile)
    found = {name: identify_array(result).sha256 for name, result in results.items()}
    assert found == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
