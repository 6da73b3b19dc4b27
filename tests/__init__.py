"""Tests of the suite, one process for each core: more threads than one each would wait for each other.

This comes before torch and NumPy are imported, which read it once.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
