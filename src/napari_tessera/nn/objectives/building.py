"""Objectives by their settings: one table for all losses."""

from collections.abc import Mapping

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.nn.objectives.objective import Loss, Objective, Term
from napari_tessera.nn.objectives.overlap import cross_entropy_loss, soft_dice_loss
from napari_tessera.nn.objectives.smoothness import edge_aware_smoothness

LOSSES: Mapping[str, Loss] = {
    "cross_entropy": Loss(lambda batch: cross_entropy_loss(batch.scores, batch.target)),
    "dice": Loss(lambda batch: soft_dice_loss(batch.scores, batch.target)),
    # complete annotation tells where borders run; and before the classes are found there is nothing to sharpen
    "smoothness": Loss(
        lambda batch: edge_aware_smoothness(batch.scores, batch.images),
        annotation=frozenset({Annotation.SCRIBBLES}),
        grows_in=True,
    ),
}
"""By the name that its weight has in the settings."""


def build_objective(config: TrainingConfig) -> Objective:
    """Return the terms that have a weight in `config` and are for its kind of annotation."""
    weights = {name: getattr(config.objective, name).weight for name in LOSSES}
    terms = [Term(name, weight, LOSSES[name]) for name, weight in weights.items() if weight]
    return Objective([term for term in terms if config.annotation in term.loss.annotation])
