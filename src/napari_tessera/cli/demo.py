"""The command `demo`."""

import subprocess
import sys
from pathlib import Path

import click

from napari_tessera.cli import checks
from napari_tessera.cli.cancelling import cancel_on_interrupt, raise_on_interrupt
from napari_tessera.cli.output import emit_result, event_listener, json_option
from napari_tessera.core.jobs import drain
from napari_tessera.pipeline.out_folders import check_folder
from napari_tessera.pipeline.results import DemoResult

GUI_MODULE = "napari_tessera.napari_plugin.demo"


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("tessera-demo"),
    show_default=True,
    help="Folder for images, models, predictions and figures.",
)
@click.option("--no-gui", is_flag=True, help="Do without napari's window even if there is a display.")
@click.option(
    "--sample", type=click.Choice(("nuclei", "membranes", "tissue")), help="One sample only; all without this."
)
@click.option("--close", is_flag=True, help="Close napari's window at the end.")
@json_option
def command(out: Path, no_gui: bool, sample: str | None, close: bool, as_json: bool) -> int | None:
    """Do the main job on the sample data: synthetic nuclei and membranes with truth, and a real, stained section.

    With a display this opens napari on the samples with scribbles, one after the other, trains, predicts and shows
    the result; the window stays open. Without one (or with --no-gui) the same is done headless, and image,
    prediction, overlay and figures are written to --out.
    """
    check_folder(out)
    obstacle = "--no-gui was given" if no_gui else "--json was given" if as_json else window_obstacle()
    if not obstacle:
        # A process of its own: the command line stays free of Qt, and napari gets its main thread.
        options = ["--out", str(out), *(["--sample", sample] if sample else []), *(["--close"] if close else [])]
        with raise_on_interrupt():
            return subprocess.run([sys.executable, "-m", GUI_MODULE, *options], check=False).returncode
    if not no_gui:
        click.echo(f"Working without napari's window, as {obstacle}.", err=True)

    from napari_tessera.pipeline.demo import demo_job

    with cancel_on_interrupt() as cancel:
        job = demo_job(out, cancel, samples=(sample,)) if sample else demo_job(out, cancel)
        result = drain(job, event_listener(as_json=as_json), DemoResult)
    emit_result(result.value, describe(result), as_json=as_json)
    return None


def window_obstacle() -> str:
    """Return in a few words why napari cannot open here; empty if it can, which a trial of Qt and OpenGL has shown."""
    obstacle = checks.window_obstacle()
    if obstacle:
        return obstacle
    bad = [finding for finding in checks.check_window() if finding.state != "ok"]
    return f"{bad[0].name} {bad[0].value}" if bad else ""  # a display may be named that is gone


def describe(result: DemoResult) -> list[str]:
    """Return the lines that a person reads at the end."""
    lines = []
    for name, figures in result.samples.items():
        share, seconds = figures["scribbled_share"], figures["training_seconds"]
        lines.append(f"{name}: trained for {seconds:.0f} s on scribbles over {share:.1%} of the pixels")
        if "dice_held_out" in figures:
            for where, words in (
                ("unlabelled", "the unlabelled pixels of the same image"),
                ("held_out", "a held-out image"),
            ):
                dice, rarer, error = (figures[f"{what}_{where}"] for what in ("dice", "minority_dice", "error"))
                lines.append(f"  Dice on {words}: {dice:.3f}, of the rarer class {rarer:.3f}, error {error:.1%}")
        else:
            lines.append("  a real image without truth: look at the overlay")
    lines.append(f"{result.seconds:.0f} s in all; look into {result.out} (overlay.png files, metrics.json)")
    return lines
