"""Running a recipe from file to file: on an image, or on all images of a folder."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError, JobCancelledError, TesseraError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.jobs import CancelToken, Job, Progress, Warning
from napari_tessera.core.paths import expand_home
from napari_tessera.io.creating import create_image
from napari_tessera.io.ledger import has_ledger
from napari_tessera.io.partial import is_being_written, partial_of
from napari_tessera.io.places import check_apart
from napari_tessera.io.tiff_names import split_part
from napari_tessera.io.writing import writing
from napari_tessera.io.zarr_folders import is_zarr
from napari_tessera.pipeline.applying.applying import ApplyOptions
from napari_tessera.pipeline.applying.folder_runs import (
    Noted,
    forget_finished,
    note,
    read_noted,
    work_of,
)
from napari_tessera.pipeline.failures import describe_error
from napari_tessera.pipeline.out_folders import check_folder
from napari_tessera.pipeline.positions import write_points
from napari_tessera.pipeline.recipes.recipe_files import load_recipe
from napari_tessera.pipeline.recipes.recipes import CheckedRecipe, RecipeRun, check_recipe, check_target, metadata_of
from napari_tessera.pipeline.requests import InputFile, RecipeRequest
from napari_tessera.pipeline.results import RecipeOutput, RecipeResult
from napari_tessera.pipeline.running.resuming import state_of

READABLE = (".ome.zarr", ".zarr", ".ome.tif", ".ome.tiff", ".tif", ".tiff", ".btf", ".tf8", ".png", ".npy")
"""What images of a folder are called; the longer ones first, so that all of it is taken off a name."""


@dataclass(frozen=True)
class Target:
    """One image and the files of its outputs by name.

    A run that was ended early has made them if it is `finished`, and may have left unfinished ones if it is `begun`.
    """

    image: InputFile
    outputs: Mapping[str, Path]
    finished: bool = False
    begun: bool = False


def recipe_job(request: RecipeRequest, cancel: CancelToken) -> Job:
    """Run a recipe file on an image file or a folder of them.

    One image that cannot be worked on does not keep the others of a folder from being done.

    Yields
    ------
    Progress, Warning, RecipeResult
        Progress in percent of everything.

    Raises
    ------
    OutputExistsError
        If an output exists and may not be overwritten; nothing has been computed then. What a run over the same folder
        has made that was ended early is passed over.
    InvalidInputError
        If the recipe cannot be run here, or not on this image.
    JobCancelledError
        Once cancelled; outputs that were complete are kept.
    """
    started = time.perf_counter()
    recipe, arrays = load_recipe(request.recipe)
    checked = check_recipe(recipe)
    work = work_of(recipe, request)
    targets = plan_targets(checked, request, work)
    folder = expand_home(request.out) if _is_folder(request.image.path) else None
    finished = {one.image.path.name: state_of(one.image.path) for one in targets if one.finished}
    begun = {one.image.path.name for one in targets if one.begun}
    failed: list[str] = []
    for index, target in enumerate(targets):
        if target.finished:
            yield _of_all(Progress(100, 100, "percent"), index, targets, started)
            continue
        name, state = target.image.path.name, state_of(target.image.path)
        begun.add(name)
        note(folder, work, Noted(finished, frozenset(begun)))
        try:
            with closing(_run(checked, arrays, target, request, cancel)) as events:
                for event in events:
                    yield _of_all(event, index, targets, started) if isinstance(event, Progress) else event
        except JobCancelledError:
            raise
        except (TesseraError, OSError, MemoryError) as error:
            if len(targets) == 1:
                raise
            failed.append(f"{name}: {describe_error(error)}")
            yield Warning(failed[-1])
        else:
            finished[name] = state
            begun.discard(name)
            note(folder, work, Noted(finished, frozenset(begun)))
    if failed:
        raise TesseraError(f"{len(failed)} of {len(targets)} images could not be done, the first: {failed[0]}")
    forget_finished(folder)
    yield _summary(checked, targets, time.perf_counter() - started)


def _summary(checked: CheckedRecipe, targets: list[Target], seconds: float) -> RecipeResult:
    outputs = tuple(
        RecipeOutput(target.image.path, name, path) for target in targets for name, path in target.outputs.items()
    )
    return RecipeResult(
        outputs,
        images=len(targets),
        finished_before=sum(one.finished for one in targets),
        steps=len(checked.steps),
        seconds=round(seconds, 3),
    )


def _run(
    checked: CheckedRecipe,
    arrays: Mapping[str, NDArray[Any]],
    target: Target,
    request: RecipeRequest,
    cancel: CancelToken,
) -> Generator[Progress | Warning]:
    given = {**({checked.image: target.image} if checked.image else {}), **request.inputs}
    metadata = metadata_of(checked)

    def open_output(name: str, spec: ImageSpec) -> ImageSink:
        path = target.outputs[name]
        again = target.begun and not has_ledger(partial_of(path))
        return create_image(
            path,
            spec,
            overwrite=request.overwrite or again,
            metadata=metadata,
            fingerprint=run.fingerprint(name),
        )

    options = ApplyOptions(tile=request.tile, threads=request.threads)
    beside = next(iter(target.outputs.values()))
    run = RecipeRun(checked, given, arrays, open_output, cancel, options, beside, target.outputs)
    with closing(run.events()) as events:
        yield from events
    for name, points in run.points.items():
        write_points(target.outputs[name], points, overwrite=request.overwrite or target.begun)


def _of_all(progress: Progress, index: int, targets: list[Target], started: float) -> Progress:
    """Return the progress of one image as that of all."""
    if len(targets) == 1:
        return progress
    share = (index + progress.done / (progress.total or 100)) / len(targets)
    left = (time.perf_counter() - started) / share * (1 - share) if share else None
    message = f"{targets[index].image.path.name} ({index + 1} of {len(targets)}): {progress.message}"
    return Progress(int(100 * share), 100, "percent", message, left)


def plan_targets(checked: CheckedRecipe, request: RecipeRequest, work: str) -> list[Target]:
    """Find out which images there are and which files their outputs go to, and that these may be written.

    Parameters
    ----------
    checked, request
        What is to be done.
    work
        Digest of it: images that an earlier run has finished with the same are not to be done again.

    Raises
    ------
    InvalidInputError
        If a folder holds no image or two of the same name, OUT is a file where a folder is needed, or more of its
        path is missing than the last folder.
    OutputExistsError
        If an output exists and may not be overwritten.
    """
    recipe, source, out = checked.recipe, expand_home(request.image.path), expand_home(request.out)
    in_folder = _is_folder(source)
    images = list(images_in(source)) if in_folder else [source]
    several = len(recipe.outputs) > 1
    if not in_folder and not several and not (out.is_dir() and not is_zarr(out)):
        (name,) = recipe.outputs
        targets = [Target(request.image, {name: out})]
    else:
        why = "IN is a folder" if in_folder else f"the recipe has several outputs ({', '.join(recipe.outputs)})"
        if stem_of(out) != out.name or is_zarr(out):
            raise InvalidInputError(f"{out} is a file, but {why}: name a folder for the results.")
        if in_folder and out.exists() and out.samefile(source):
            raise InvalidInputError(f"{out} is the folder of the images: name another one for the results.")
        targets = [
            Target(
                request.image.model_copy(update={"path": path}),
                {name: out / file_name(path, name, checked, request.suffix) for name in recipe.outputs},
            )
            for path in images
        ]
    if in_folder and not request.overwrite:
        noted = read_noted(out, work)
        targets = [replace(one, finished=_is_finished(one, noted), begun=_is_begun(one, noted)) for one in targets]
    _check_targets(checked, targets, [*request.inputs.values(), request.recipe], request.overwrite)
    return targets


def _check_targets(
    checked: CheckedRecipe, targets: list[Target], further: list[InputFile | Path], overwrite: bool
) -> None:
    images = {target.image.path.resolve(): target.image for target in targets}
    origin: dict[Path, Path] = {}
    for target in targets:
        for name, path in target.outputs.items():
            other = origin.setdefault(path, target.image.path)
            if other != target.image.path:
                raise InvalidInputError(
                    f"{other.name} and {target.image.path.name} would both give {path.name}: rename one of them."
                )
            check_apart(path, [target.image, images.get(path.resolve(), target.image), *further])
            if not target.finished:
                check_target(checked, name, path, overwrite or target.begun)
    for folder in {path.parent for target in targets for path in target.outputs.values()}:
        check_folder(folder)
        with writing(folder):
            folder.mkdir(exist_ok=True)


def _is_folder(path: Path) -> bool:
    """Return whether `path` is a folder of images."""
    path = expand_home(path)
    return path.is_dir() and not is_zarr(path)


def _is_finished(target: Target, noted: Noted) -> bool:
    path = target.image.path
    same = noted.finished.get(path.name) == state_of(path)
    return same and all(output.exists() for output in target.outputs.values())


def _is_begun(target: Target, noted: Noted) -> bool:
    """Whether what stands in the place of the outputs comes from a run that was ended, and none is writing there."""
    return target.image.path.name in noted.begun and not any(map(is_being_written, target.outputs.values()))


def images_in(folder: Path) -> Iterator[Path]:
    """Yield the images in a folder by name; other files, and folders that are no zarr, are passed over.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    found = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and stem_of(path) != path.name and (path.is_file() or is_zarr(path))
    ]
    if not found:
        raise InvalidInputError(f"{folder} holds no image (TIFF, PNG, NPY, OME-Zarr): choose a folder of images.")
    yield from found


def stem_of(path: Path) -> str:
    """Return the name of an image file without its suffix; the whole name if it is not that of an image."""
    suffix = next((ending for ending in READABLE if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(suffix)]


def file_name(image: Path, output: str, checked: CheckedRecipe, suffix: str) -> str:
    """Return what the file of an output is called; points go to CSV unless NPY is asked for."""
    if checked.kind_of(output) == "points" and suffix != ".npy":
        suffix = ".csv"
    file, part = split_part(image)
    return f"{stem_of(file)}{'_' + part if part else ''}_{output}{suffix}"
