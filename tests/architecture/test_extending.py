"""What the page on extending says is done to a copy of the package, and works there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r'^```(python|diff) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def sections() -> dict[str, list[tuple[str, str, str]]]:
    """Return the blocks (language, title, content) of each section of the page."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title: BLOCK.findall(text) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def changed(text: str, diff: str) -> str:
    """Replace lines of `text` as `diff` says: - by the + after them; with no - they come after that with a space."""
    for before, context, after in re.findall(r"((?:^-.*\n)*)((?:^ .*\n)*)((?:^\+.*\n)+)", diff, re.MULTILINE):
        old, new = (re.sub(r"^.", "", part, flags=re.MULTILINE) for part in (before or context, after))
        if not old:
            text = new + text  # at the top
            continue
        assert text.count(old) == 1, f"{old!r} must stand there once"
        text = text.replace(old, new if before else old + new)
    return text


def extended(folder: Path, blocks: Sequence[tuple[str, str, str]]) -> str:
    """Put the blocks into a copy of the package in `folder`, and return the code that checks it."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    checks = []
    for language, title, content in blocks:
        if title == "check":
            checks.append(content)
        elif language == "python":
            assert not (folder / title).exists()
            (folder / title).write_text(content, encoding="utf-8")
        else:
            path = folder / title
            path.write_text(changed(path.read_text(encoding="utf-8"), content), encoding="utf-8")
    return "\n".join(checks)


@pytest.mark.slow
@pytest.mark.parametrize("section", sections())
def test_what_is_added_to_a_copy_of_the_package_works(tmp_path: Path, section: str) -> None:
    code = extended(tmp_path, sections()[section])
    assert "assert " in code
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_a_page_that_does_not_fit_the_code_is_noticed() -> None:
    assert changed("a = 1\nb = 2\n", "-a = 1\n+a = 3\n b = 2\n+c = 4\n") == "a = 3\nb = 2\nc = 4\n"
    with pytest.raises(AssertionError, match="must stand there once"):
        changed("a = 1\n", "-a = 2\n+a = 3\n")
