"""Processes of the crash suite: run the submissions they are told to, and may die at a point.

``python crash_child.py URL LEDGER POINT SETTLE_S BACKEND NUMBER...``: POINT is ``none``, or
``before:<event>@n`` or ``after:<event>@n``, the n-th time the ledger comes to it. Prints one
JSON line per result. ``python crash_child.py`` alone reads such arguments, a JSON list a line,
and answers each with the exit code and the output of a process forked for it: quick.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import types
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
# This room needs nothing of PennyLane: without it a process starts five times faster.
_package = types.ModuleType("pennylane_qstore")
_package.__path__ = importlib.util.find_spec("pennylane_qstore").submodule_search_locations
sys.modules["pennylane_qstore"] = _package

from support.children import dying_at  # noqa: E402

from pennylane_qstore.errors import QStoreError  # noqa: E402
from pennylane_qstore.ionq.client import IonQClient  # noqa: E402
from pennylane_qstore.ionq.http.retry import RetryPolicy  # noqa: E402
from pennylane_qstore.ionq.ledger.ledger import Ledger  # noqa: E402
from pennylane_qstore.ionq.messages.job_request import JobRequest  # noqa: E402


def main(url, path, point, settle_s, backend, numbers):
    policy = RetryPolicy(settle_s=float(settle_s), base_s=0.01, throttle_base_s=0.05)
    client = IonQClient(
        "crash-key",
        base_url=url,
        ledger=Ledger(path, observer=dying_at(point)),
        retry_policy=policy,
    )
    for number in numbers:
        circuits = tuple(
            b"[%s]" % b",".join([b'{"gate":"gpi","target":%d,"phase":0.0}' % q for q in range(k)])
            for k in range(1, 4)
        )
        request = JobRequest(backend, "native", 4, circuits, 6, 100 + int(number))
        try:
            (result,) = client.run([request], keys=[("run", int(number), 0)])
        except QStoreError as error:
            print(json.dumps([int(number), type(error).__name__, str(error)]), flush=True)
            continue
        states = [int(h.states[h.probabilities.argmax()]) for h in result.histograms]
        print(json.dumps([int(number), "done", states]), flush=True)
    client.close()
    assert "pennylane" not in sys.modules


def serve():
    for line in sys.stdin:
        arguments = json.loads(line)
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(into, 1)
            os.close(out)
            code = 1
            try:
                main(*arguments[:5], arguments[5:])
                code = 0
            finally:
                os._exit(code)
        os.close(into)
        with open(out) as pipe:
            told = pipe.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), told]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:6], sys.argv[6:]) if len(sys.argv) > 1 else serve()
