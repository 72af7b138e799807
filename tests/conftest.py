"""For all tests: signals as a terminal would have them; JAX as tests of numbers want it."""

import math
import os
import signal

import pytest
from hypothesis import settings

# Before NumPy is loaded: the threads of several workers would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("untimed", settings.default, deadline=None, max_examples=50)
settings.load_profile("untimed")  # no test depends on the machine's speed

pytest_plugins = [
    "support.browser",
    "support.canned",
    "support.emulator_wire",
    "support.gateways",
    "support.ionq_fixtures",
    "support.other_process",
    "support.renamed_machine",
    "support.searches",
    "support.skips",
]


def pytest_configure():
    # A shell's background job, and some CI runners, start programs with Ctrl-C ignored, and
    # children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Values by Numba's engine differ in the last digit. It is chosen once a process has worked
    # enough: never in a test that compares. ``-p support.with_numba`` has it from the beginning.
    from pennylane_qstore import compiled

    if compiled._IMPORT_S:
        compiled._IMPORT_S = math.inf


@pytest.fixture
def jax():
    """JAX with numbers of 64 bits, while the test runs."""
    library = pytest.importorskip("jax")
    with library.enable_x64(True):
        yield library
