import json
import subprocess
import sys

import pytest

import napari_tessera
from napari_tessera.cli import info
from napari_tessera.cli.commands import COMMANDS, DEBUG, cli

HEAVY = {"torch", "napari", "qtpy", "PyQt6", "zarr", "skimage", "scipy", "dask"}


def test_help_lists_every_command_and_the_exit_statuses(call):
    outcome = call("--help")
    assert outcome.status == 0
    for name, lazy in COMMANDS.items():
        assert name in outcome.out
        assert lazy.help.split()[0] in outcome.out
    assert "130 cancelled" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_and_json(call, name):
    outcome = call(name, "--help")
    assert outcome.status == 0
    assert "--json" in outcome.out
    command = cli.get_command(None, name)
    assert command.name == name
    assert all(parameter.help for parameter in command.params if parameter.param_type_name == "option")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_says_what_the_command_itself_says(name):
    first = cli.get_command(None, name).help.strip().splitlines()[0]
    assert COMMANDS[name].help.rstrip(".").split(",")[0] == first.rstrip(".").split(",")[0]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "--help"]])
def test_asking_for_help_loads_nothing_heavy(arguments):
    code = (
        "import json, sys; from napari_tessera.cli.main import run; "
        f"status = run({arguments!r}); print(json.dumps([status, sorted(set(sys.modules) & {HEAVY!r})]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, loaded = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    heavy = {"torch", "napari", "qtpy", "PyQt6"} if len(arguments) > 1 else HEAVY
    assert not set(loaded) & heavy


def test_version(call):
    assert napari_tessera.__version__ in call("--version").out


@pytest.mark.parametrize(
    "arguments",
    [["fly"], ["--fly"], ["info"], ["info", "a", "b"], ["train", "--annotation", "guess"], ["evaluate", "a"]],
)
def test_wrong_usage_is_2(call, arguments):
    outcome = call(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("napari-tessera: error: ")
    assert "(see `napari-tessera" in outcome.err
    assert "--help`)" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "There is no command 'trian': did you mean train (see `napari-tessera --help`)?"),
        (["fly"], "There is no command 'fly': choose one of demo, info, apply,"),
        (
            ["train", "--imag", "a"],
            "No such option '--imag': did you mean --image (see `napari-tessera train --help`)?",
        ),
        (["info", "--qqq"], "No such option '--qqq' (see `napari-tessera info --help`)."),
        (
            ["apply", "median", "a", "b", "--sze", "3"],
            "did you mean --size (see `napari-tessera apply median --help`)?",
        ),
        (["apply", "median", "a"], "Missing argument 'OUT' (see `napari-tessera apply median --help`)."),
        (["apply"], "`napari-tessera apply --list` names them."),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_nearest(call, arguments, says):
    outcome = call(*arguments)
    assert outcome.status == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_wrong_usage_with_json_still_gives_an_object(call):
    outcome = call("info", "--json")
    assert outcome.status == 2
    assert "IMAGE" in outcome.json["error"]


def test_failure_is_1_and_one_line(call, tmp_path):
    outcome = call("info", tmp_path / "none.tif")
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err.startswith("napari-tessera: error: ")
    assert outcome.err.count("\n") == 1


def test_failure_with_json(call, tmp_path):
    outcome = call("info", tmp_path / "none.tif", "--json")
    assert outcome.status == 1
    assert "none.tif" in outcome.json["error"]


UNFORESEEN = [
    (MemoryError(), "Memory ran out"),
    (PermissionError(13, "Permission denied", "/data/a.tif"), "(/data/a.tif): Permission denied"),
    (OSError(28, "No space left on device"), "disk is full"),
    (ModuleNotFoundError("No module named 'torch'"), "napari-tessera doctor"),
    (RuntimeError("CUDA out of memory.\nTried to"), "graphics card ran out of memory"),
    (KeyError("axes"), "unforeseen happened (KeyError: 'axes')"),
]


@pytest.mark.parametrize(("error", "reason"), UNFORESEEN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("debug", [False, True])
def test_whatever_goes_wrong_is_one_line(call, monkeypatch, error, reason, debug):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(info, "open_levels", fail)
    if debug:
        monkeypatch.setenv(DEBUG, "1")
    outcome = call("info", "a.tif", "--json")
    assert outcome.status == 1
    *before, line = outcome.err.splitlines()
    assert line.startswith("napari-tessera: error: ")
    assert reason in line
    assert outcome.json == {"error": line.removeprefix("napari-tessera: error: ")}
    assert any("Traceback" in text for text in before) == debug
    assert bool(before) == debug


def test_exit_statuses_of_the_real_process(tmp_path):
    command = [sys.executable, "-c", "from napari_tessera.cli.main import main; main()"]
    statuses = [
        subprocess.run([*command, *arguments], capture_output=True, check=False).returncode
        for arguments in (["--version"], ["info", str(tmp_path / "none.tif")], ["info"])
    ]
    assert statuses == [0, 1, 2]
