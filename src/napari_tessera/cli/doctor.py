"""The command `doctor`."""

from dataclasses import asdict

import click

from napari_tessera.cli.checks import Finding, check_computer, check_torch, check_versions, check_window
from napari_tessera.cli.output import emit_result, json_option

_MARKS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Show versions, GPU, Qt, OpenGL and memory, and what to fix.

    Exit status 0 means that training and prediction can run here; what napari's window lacks is a note.
    """
    findings = [*check_versions(), *check_torch(), *check_window(), *check_computer()]
    healthy = all(finding.state != "problem" for finding in findings)
    value = {"healthy": healthy, "findings": [asdict(finding) for finding in findings]}
    emit_result(value, [*map(describe, findings), _verdict(findings)], as_json=as_json)
    return 0 if healthy else 1


def describe(finding: Finding) -> str:
    """Return a finding as text: a line, and a second one with the remedy if there is something to do."""
    line = f"{_MARKS[finding.state]}  {finding.name}: {finding.value}"
    return f"{line}\n      → {finding.remedy}" if finding.remedy else line


def _verdict(findings: list[Finding]) -> str:
    if any(finding.state == "problem" for finding in findings):
        return "\nTraining and prediction cannot run here: mend what is marked FAIL."
    lacking = {finding.name for finding in findings if finding.state == "note"}
    if lacking & {"napari", "qtpy", "superqt", "display", "Qt", "OpenGL"}:
        return "\nTraining and prediction can run here from the command line; the notes say what napari's window lacks."
    return "\nEverything is there for training and prediction, in napari and from the command line."
