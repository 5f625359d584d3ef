"""From a request to its job: the one place where both ends agree which function does what."""

from napari_tessera.core.jobs import CancelToken, Job
from napari_tessera.pipeline.learning.viewport import Viewport
from napari_tessera.pipeline.requests import AnyRequest, ApplyRequest, CompileRequest, RecipeRequest, TrainRequest


def run_request(request: AnyRequest, cancel: CancelToken, viewport: Viewport | None = None) -> Job:
    """Return the job that `request` asks for; it starts with the first event drawn from it."""
    if isinstance(request, ApplyRequest):
        from napari_tessera.pipeline.applying.applying import application_job

        return application_job(request, cancel)
    if isinstance(request, RecipeRequest):
        from napari_tessera.pipeline.recipes.recipe_job import recipe_job

        return recipe_job(request, cancel)
    if isinstance(request, CompileRequest):
        from napari_tessera.pipeline.compiling import compiling_job

        return compiling_job(request, cancel)
    # imported here because both load torch, which a process that only describes jobs must do without
    from napari_tessera.pipeline.learning.training import training_job
    from napari_tessera.pipeline.predicting.prediction import prediction_job

    if isinstance(request, TrainRequest):
        return training_job(request, cancel, viewport)
    return prediction_job(request, cancel)
