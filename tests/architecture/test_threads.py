"""Threads of the plugin are begun in `jobs`, and one module knows what to do about Qt objects that were deleted."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "src" / "napari_tessera" / "napari_plugin"
MODULES = sorted(PLUGIN.rglob("*.py"))
THREADS = {"Thread", "ThreadPoolExecutor", "QThread", "QThreadPool", "Timer"}
ALLOWED_THREADS = {
    "jobs/runner.py",
    "jobs/thread_job.py",
    "jobs/worker_process.py",
    "jobs/worker_thread.py",
    "filtering/live_preview.py",  # leaves a thread behind that a library does not let go of
    "journal/writing.py",  # has a queue of its own, with a bound in bytes and an end that is waited for
    "painting/highest_label.py",  # is waited for by the window
}
ALLOWED_DELETED = {
    "jobs/qt_objects.py",
    "jobs/job_widget.py",  # ends parts that are any of a widget's, and notes what went wrong
}


def beginnings(text: str) -> Iterator[str]:
    """Yield what begins a thread in the source code."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)).rpartition(".")[2] in THREADS:
            yield name


def catches_deleted(text: str) -> bool:
    """Return whether the source code catches or suppresses a `RuntimeError`."""
    for node in ast.walk(ast.parse(text)):
        caught = node.type if isinstance(node, ast.ExceptHandler) else None
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "suppress":
            caught = ast.Tuple(node.args)
        if caught is not None and "RuntimeError" in ast.unparse(caught):
            return True
    return False


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PLUGIN)))
def test_threads_and_deleted_objects_are_the_business_of_jobs(path: Path) -> None:
    text, name = path.read_text(encoding="utf-8"), path.relative_to(PLUGIN).as_posix()
    if name not in ALLOWED_THREADS:
        assert list(beginnings(text)) == []
    if name not in ALLOWED_DELETED:
        assert not catches_deleted(text)


def test_what_is_allowed_is_used() -> None:
    assert all(list(beginnings((PLUGIN / name).read_text(encoding="utf-8"))) for name in ALLOWED_THREADS)
    assert all(catches_deleted((PLUGIN / name).read_text(encoding="utf-8")) for name in ALLOWED_DELETED)


def test_breaches_are_noticed() -> None:
    assert list(beginnings("threading.Thread(target=f).start()")) == ["threading.Thread"]
    assert catches_deleted("try: f()\nexcept (JobCancelledError, RuntimeError): pass")
    assert catches_deleted("with suppress(RuntimeError): f()")
    assert not catches_deleted("raise RuntimeError")
