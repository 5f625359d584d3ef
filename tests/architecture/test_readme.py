"""What the README tells people to type is there."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from napari_tessera.cli.commands import COMMANDS, cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def command_lines(text: str) -> list[str]:
    """Return the lines of fenced blocks that call the command, continued lines joined."""
    blocks = "\n".join(re.findall(r"```(?:bash|sh|console)?\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return [line.strip() for line in blocks.splitlines() if line.strip().startswith("napari-tessera ")]


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        wanted = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert wanted <= targets, page
    assert {"demo", "test"} <= set(re.findall(r"make ([a-z-]+)", README))


GENERATED = "operations.md"
"""The reference page: docs/hooks.py makes it when the site is built."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page):
    for line in command_lines(page.read_text(encoding="utf-8")):
        words = line.split()
        assert words[1] in COMMANDS or words[1].startswith("-"), line
        if words[1] in COMMANDS:
            command = cli.get_command(None, words[1])
            if isinstance(command, click.Group) and len(words) > 2 and not words[2].startswith("-"):
                command = command.get_command(None, words[2])
            known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
            assert {word.partition("=")[0] for word in words[2:] if word.startswith("--")} <= known, line


def test_readme_shows_the_command_line():
    assert len(command_lines(README)) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target) and target != GENERATED:
            assert (page.parent / target).exists(), target


def test_extras_named_in_the_readme_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for group in re.findall(r"napari-tessera\[([a-z,]+)\]", README) for name in group.split(",")}
    assert "all" in named
    assert named <= set(extras)
