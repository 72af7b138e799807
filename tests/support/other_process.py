"""A second process: what two of them must agree on is asked of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_SERVE = """
import contextlib, io, json, sys
answers = sys.stdout
for line in sys.stdin:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(json.loads(line), {"__name__": "__main__"})
    print(json.dumps(printed.getvalue()), file=answers, flush=True)
"""


@pytest.fixture(scope="session")
def other_process():
    """A function that runs code in one other process, and returns what it prints there."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def run(code: str) -> str:
            process.stdin.write(json.dumps(code) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, "the code raised an error: see standard error"
            return json.loads(answer)

        yield run
        process.stdin.close()
