"""What a release is made from agrees: versions, fragments of the changelog, and the script that looks at them."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from napari_tessera import __version__

ROOT = Path(__file__).parents[2]
TOWNCRIER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
KINDS = [kind["directory"] for kind in TOWNCRIER["type"]]


def test_every_fragment_has_a_name_that_is_found():
    fragments = [path.name for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    wrong = [name for name in fragments if not re.fullmatch(rf"[\w+-]+\.({'|'.join(KINDS)})\.md", name)]
    assert not wrong, f"these would be left out of the changelog, see changes/README.md: {wrong}"


def test_the_readme_of_the_fragments_names_every_kind():
    told = (ROOT / "changes" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{kind}`" in told for kind in KINDS)


@pytest.fixture
def project(tmp_path):
    """Make a copy of what a release is made from, ready for version 1.2.3."""
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "release-ready"
    script.write_bytes((ROOT / ".ci" / "release-ready").read_bytes())
    script.chmod(0o755)
    for name in ("CITATION.cff", "src/napari_tessera/core/version.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text(encoding="utf-8").replace(__version__, "1.2.3"), encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 - 2026-01-02\n")
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "README.md").write_text("how")
    return tmp_path


def is_ready(project, tag="v1.2.3"):
    """Return what the script says against a release, or None."""
    done = subprocess.run([project / ".ci" / "release-ready", tag], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None


def test_a_release_whose_parts_agree_is_ready(project):
    assert is_ready(project) is None


@pytest.mark.parametrize("name", ["CITATION.cff", "src/napari_tessera/core/version.py", "CHANGELOG.md"])
def test_a_release_with_a_part_of_another_version_is_not(project, name):
    path = project / name
    path.write_text(path.read_text(encoding="utf-8").replace("1.2.3", "1.2.2"), encoding="utf-8")
    assert path.name in is_ready(project)


def test_a_release_with_changes_left_over_or_another_tag_is_not(project):
    assert "v1.2.4" in is_ready(project, "v1.2.4")
    (project / "changes" / "12.added.md").write_text("Something.")
    assert "make changelog" in is_ready(project)
