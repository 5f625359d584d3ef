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
