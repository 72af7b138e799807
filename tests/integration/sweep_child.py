"""A sweep on a paid backend, in a process that may die at a point."""

from __future__ import annotations

import json

import numpy as np
from support.children import dying_at, print_to
from support.swept_runs import make_run, on

import pennylane_qstore as qstore
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.training import checkpoint

SEEDS, STEPS = 3, 4
POLICY = RetryPolicy(settle_s=0.3, base_s=0.01, throttle_base_s=0.05)


def main(url, folder, point, out):
    """Write the outcome of each run to ``out``, every number to its last bit.

    Moments of the point: ``before:<event>`` and ``after:<event>`` of the ledger, ``checkpoint``
    between its two files, ``step`` before it.
    """
    print_to(out)
    reach = dying_at(point)
    write = checkpoint.write
    checkpoint.write = lambda *args: (reach("checkpoint"), write(*args))
    ledger = Ledger(f"{folder}/ledger", observer=reach)

    def make(seed):
        device = on(_Service(url), ledger, on_ambiguous="resubmit", retry_policy=POLICY, seed=seed)
        return make_run(seed, device=device, callbacks=[lambda record: reach("step")])

    found = qstore.sweep(
        make, seeds=SEEDS, steps=STEPS, folder=f"{folder}/sweep", resume=True, progress=False
    )
    for trial in found.trials:
        losses = [record.loss.hex() for record in trial.run.history]
        params = [float(x).hex() for x in np.ravel(trial.run.params)]
        print(json.dumps([trial.state, losses, params]), flush=True)


class _Service:
    def __init__(self, url):
        self.url = url
