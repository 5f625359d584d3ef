import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from numba import njit

from napari_tessera.operations.compiling import announce_compilation, noticing_compilation


def test_a_compilation_is_noticed_once_and_only_inside_the_block():
    announce_compilation()
    noticed = []

    @njit
    def double(values):
        return values * 2

    with noticing_compilation(lambda: noticed.append(True)):
        double(np.ones(3))
        assert noticed
        before = len(noticed)
        double(np.ones(4))
        assert len(noticed) == before
    double(np.ones(3, np.int16))
    assert len(noticed) == before


def test_without_a_place_for_compiled_code_operations_work_all_the_same(tmp_path):
    """As in a container where nobody may write beside the modules or at home."""
    program = (
        "from pathlib import Path; from napari_tessera.operations.noise import kernels; from numba.core import config; "
        "print(Path(config.CACHE_DIR).is_dir(), config.CACHE_DIR)"
    )
    nowhere = "UserProvidedCacheLocator,ZipCacheLocator"
    environment = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": nowhere, "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    there, folder = done.stdout.split()
    assert there == "True"
    assert folder.startswith(str(tmp_path))
    assert not Path(folder).exists()
