"""Interactive microscopy segmentation: scribble, train a U-Net, predict exactly in tiles.

The names below are imported when first used, so that ``import napari_tessera`` loads neither torch nor napari nor Qt.
"""

from importlib import import_module

from napari_tessera.core.version import __version__ as __version__

TYPE_CHECKING = False  # without typing, whose import a Ctrl+C in the first instants would end with a traceback
if TYPE_CHECKING:
    from typing import Any

    from napari_tessera import operations as operations
    from napari_tessera.config.prediction import PredictionConfig as PredictionConfig
    from napari_tessera.config.recipe import Recipe as Recipe
    from napari_tessera.config.training import Annotation as Annotation
    from napari_tessera.config.training import TrainingConfig as TrainingConfig
    from napari_tessera.io.opening import open_image as open_image
    from napari_tessera.pipeline.api import apply as apply
    from napari_tessera.pipeline.api import evaluate as evaluate
    from napari_tessera.pipeline.api import predict as predict
    from napari_tessera.pipeline.api import train as train
    from napari_tessera.pipeline.recipes.recipe_api import run_recipe as run_recipe
    from napari_tessera.pipeline.recipes.recipe_files import load_recipe as load_recipe
    from napari_tessera.pipeline.recipes.recipe_files import save_recipe as save_recipe

_HOMES = {
    "Annotation": "napari_tessera.config.training",
    "PredictionConfig": "napari_tessera.config.prediction",
    "Recipe": "napari_tessera.config.recipe",
    "TrainingConfig": "napari_tessera.config.training",
    "apply": "napari_tessera.pipeline.api",
    "evaluate": "napari_tessera.pipeline.api",
    "load_recipe": "napari_tessera.pipeline.recipes.recipe_files",
    "open_image": "napari_tessera.io.opening",
    "predict": "napari_tessera.pipeline.api",
    "run_recipe": "napari_tessera.pipeline.recipes.recipe_api",
    "save_recipe": "napari_tessera.pipeline.recipes.recipe_files",
    "train": "napari_tessera.pipeline.api",
}

__all__ = [
    "Annotation",
    "PredictionConfig",
    "Recipe",
    "TrainingConfig",
    "__version__",
    "apply",
    "evaluate",
    "load_recipe",
    "open_image",
    "operations",
    "predict",
    "run_recipe",
    "save_recipe",
    "train",
]


def __getattr__(name: str) -> "Any":
    if name == "operations":
        return import_module("napari_tessera.operations")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
