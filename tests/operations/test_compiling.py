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
        "from pathlib import Path; from napari_tessera.operations.noise import poisson_kernels; "
        "from numba.core import config; "
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


ENDS_WHILE_COMPILING = """
import atexit, threading
from numba import njit
from numba.core import event
from numba.extending import overload
from napari_tessera.operations.compiling import announce_compilation

inside, main_ends, compiled = threading.Event(), threading.Event(), threading.Event()
atexit.register(lambda: print("compiled" if compiled.is_set() else "cut off"))

class Watch(event.Listener):
    def on_start(self, event):
        pass
    def on_end(self, event):
        compiled.set()

event.register("numba:compile", Watch())
announce_compilation()
atexit.register(main_ends.set)  # runs first of all: the end has begun, and the thread is in the midst of compiling

def slow():
    return 1

@overload(slow)
def compile_slowly():
    inside.set()
    main_ends.wait()
    return lambda: 1

@njit
def call():
    return slow()

threading.Thread(target=call, daemon=True).start()
inside.wait()
"""


def test_a_process_waits_at_its_end_for_what_a_thread_compiles():
    """Without that LLVM aborts it now and then, when what it needs is taken down beneath it."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS_WHILE_COMPILING], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout.strip(), done.returncode) == ("compiled", 0), done.stderr


def test_what_has_not_begun_to_compile_when_the_process_ends_never_does():
    program = """
import atexit, threading
from numba import njit
from napari_tessera.operations.compiling import announce_compilation

def try_it():
    thread = threading.Thread(target=njit(lambda: 1), daemon=True)
    thread.start()
    thread.join(1)
    print("waits" if thread.is_alive() else "compiled")

atexit.register(try_it)
announce_compilation()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("waits", 0)
