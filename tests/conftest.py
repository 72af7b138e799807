"""For all tests: signals as a terminal would have them."""

import signal


def pytest_configure():
    # A shell's background job, and some CI runners, start programs with Ctrl-C ignored, and
    # children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
