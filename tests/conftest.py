"""Settings of all tests.

One compute thread per process: several test processes share few cores, and their thread pools would wait for one
another.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
