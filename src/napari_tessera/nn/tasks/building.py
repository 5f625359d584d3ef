"""Tasks by their name: one table for all."""

from collections.abc import Mapping

from napari_tessera.nn.tasks.base import Task
from napari_tessera.nn.tasks.classes import ClassesTask

TASKS: Mapping[str, type[Task]] = {kind.name: kind for kind in (ClassesTask,)}
"""By the name that stands in ``model.yaml``."""
