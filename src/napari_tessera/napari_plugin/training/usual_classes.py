"""Classes before anybody has named any."""

from napari_tessera.config.training import Annotation
from napari_tessera.pipeline.learning.annotation import BACKGROUND_COLOR, CLASS_COLORS


def default_classes(annotation: Annotation, count: int = 2) -> dict[int, tuple[str, str]]:
    """Return name and colour of `count` classes by their number, background first."""
    first = 1 if annotation is Annotation.SCRIBBLES else 0
    classes = {first: ("background", BACKGROUND_COLOR)}
    for index in range(count - 1):
        name = "object" if annotation is Annotation.OBJECTS or index == 0 else f"class {first + 1 + index}"
        classes[first + 1 + index] = (name, CLASS_COLORS[index % len(CLASS_COLORS)])
    return classes
