"""Servers of the command line, each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served(*options: str, command: str = "serve", **environment: str) -> Iterator[str]:
    """The URL of ``qstore COMMAND`` with these options, in a process of its own."""
    words = [sys.executable, "-m", "pennylane_qstore.cli.main", command, "--port", "0", *options]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise AssertionError(f"{line}{process.communicate(timeout=30)[1]}")
        yield found[0]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out.splitlines()[-1], err) == (0, "Stopped.", "")
    finally:
        process.kill()
        process.communicate()
