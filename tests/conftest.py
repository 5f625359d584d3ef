"""Settings of all tests.

One compute thread per process: several test processes share few cores, and their thread pools would wait for one
another.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# what tests use is compiled where they use it: no process beside theirs
os.environ["NAPARI_TESSERA_COMPILE_AHEAD"] = "0"
# napari's settings are in memory: those of the person who runs the tests are neither used nor changed
os.environ["NAPARI_CONFIG"] = ""

import pytest
from hypothesis import settings

# no deadline: how long an example takes says more about the machine than about the code
settings.register_profile("steady", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests that open a Qt application beside those that have no screen: it would end their process."""
    for item in items:
        if "qapp" in getattr(item, "fixturenames", ()) and item.get_closest_marker("gui") is None:
            raise pytest.UsageError(f"{item.nodeid} uses Qt, which needs a screen: mark it with pytest.mark.gui.")
