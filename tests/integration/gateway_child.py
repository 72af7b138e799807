"""A gateway in a process of its own, which may die at a point.

``python gateway_child.py URL LEDGER POINT WINDOW [AT_ONCE]``: POINT is ``none``, or
``before:<event>@n`` or ``after:<event>@n``, the n-th time the ledger comes to it; WINDOW is in
seconds; what has to be synced waits until there are AT_ONCE changes. Prints the gateway's URL.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from pennylane_qstore.gateway.gateway import Gateway
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger

sys.path.append(str(Path(__file__).parents[1]))
from support.children import dying_at


class GatheringLedger(Ledger):
    """A ledger on a disk that is busy until several changes wait for it."""

    at_once = 1

    def _make_waiting(self) -> None:
        if len(self._waiting) >= self.at_once:
            super()._make_waiting()


def main(url: str, path: str, point: str, window: str, at_once: str = "1") -> None:
    policy = RetryPolicy(settle_s=0.5, base_s=0.01, throttle_base_s=0.05)
    ledger = GatheringLedger(path, observer=dying_at(point))
    ledger.at_once = int(at_once)
    with Gateway(
        "k", base_url=url, ledger=ledger, window_s=float(window), retry_policy=policy
    ) as gateway:
        print(gateway.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
