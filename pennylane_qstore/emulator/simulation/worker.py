"""A worker process, started as a module by the pool of workers. Ends with its pipe."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from pennylane_qstore.emulator.simulation.run import run


def main() -> None:
    """Simulate the jobs that come in by standard input until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get into the answers
    while True:
        try:
            programs, options, seed = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
        except EOFError:
            return
        try:
            answer: object = run(programs, options, seed)
        except Exception as error:  # noqa: BLE001 - the parent raises it
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main()
