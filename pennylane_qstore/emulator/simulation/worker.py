"""A worker process, started as a module by the pool of workers. Ends with its pipe."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from pennylane_qstore.emulator.simulation.run import run
from pennylane_qstore.emulator.simulation.workers import receive, send


def main() -> None:
    """Simulate what comes in until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get into the answers
    while True:
        try:
            programs, options, seed = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("done", run(programs, options, seed))
        except Exception as error:  # noqa: BLE001 - the parent raises it
            answer = ("error", f"{type(error).__name__}: {error}")
        send(answers, answer)


if __name__ == "__main__":
    main()
