"""Training as the plugin runs it: which figures it shows, what they are called, and what helps when it has died."""

from collections.abc import Mapping

from napari_tessera.napari_plugin.jobs.job_kind import Figures, JobKind

_SHOWN = ("Dice", "error")
_HELP = (
    "Dice: how well prediction and annotation overlap; 1 is perfect. Weakest: the same for the class that it "
    "is lowest for. Error: share of the pixels with a wrong class. Measured on annotation that the training "
    "did not see, where there is enough of it."
)


def figures_text(figures: Mapping[str, float]) -> str:
    """Return ``Validation: Dice 0.912, weakest class 0.850, error 2.1 %``: no figure alone, each by its name.

    The loss is not shown: it says nothing to a person.
    """
    told: dict[str, list[str]] = {}
    for name, value in figures.items():
        if not name.endswith(_SHOWN):
            continue
        judged, _, what = name.partition(" ")
        number = f"{value:.1%}".replace("%", " %") if what == "error" else f"{value:.3f}"
        told.setdefault(judged, []).append(f"{what.replace('weakest Dice', 'weakest class')} {number}")
    return "; ".join(f"{judged.capitalize()}: {', '.join(parts)}" for judged, parts in told.items())


TRAINING = JobKind(
    "Train",
    Figures(figures_text, _HELP),
    remedy="press Continue to go on from the last checkpoint, or Train to start again.",
    saves=True,
)
