"""For all tests: signals as a terminal would have them; JAX as tests of numbers want it."""

import signal

import pytest

pytest_plugins = [
    "support.browser",
    "support.canned",
    "support.emulator_wire",
    "support.ionq_fixtures",
    "support.skips",
]


def pytest_configure():
    # A shell's background job, and some CI runners, start programs with Ctrl-C ignored, and
    # children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def jax():
    """JAX with numbers of 64 bits, while the test runs."""
    library = pytest.importorskip("jax")
    with library.enable_x64(True):
        yield library
