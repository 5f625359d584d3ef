"""Interactive microscopy segmentation: scribble, train a U-Net, predict exactly in tiles.

The names below are imported when first used, so that ``import napari_tessera`` loads neither torch nor napari nor Qt.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tessera.config.prediction import PredictionConfig as PredictionConfig
    from napari_tessera.config.training import Annotation as Annotation
    from napari_tessera.config.training import TrainingConfig as TrainingConfig
    from napari_tessera.io.opening import open_image as open_image
    from napari_tessera.pipeline.api import evaluate as evaluate
    from napari_tessera.pipeline.api import predict as predict
    from napari_tessera.pipeline.api import train as train

__version__ = "0.1.0"

_HOMES = {
    "Annotation": "napari_tessera.config.training",
    "PredictionConfig": "napari_tessera.config.prediction",
    "TrainingConfig": "napari_tessera.config.training",
    "evaluate": "napari_tessera.pipeline.api",
    "open_image": "napari_tessera.io.opening",
    "predict": "napari_tessera.pipeline.api",
    "train": "napari_tessera.pipeline.api",
}

__all__ = [
    "Annotation",
    "PredictionConfig",
    "TrainingConfig",
    "__version__",
    "evaluate",
    "open_image",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
