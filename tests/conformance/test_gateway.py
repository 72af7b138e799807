"""IonQ's clients run through the gateway as they are; what they lose on the way is paid once."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.gateways import FaultyGateway
from support.waiting import wait_until

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.gateway.gateway import Gateway
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import UNSENT_STATES
from tests.conformance import test_clients

pytestmark = pytest.mark.conformance

TOKEN = "conformance"  # what the clients' scripts have as their key
SETTLED = RetryPolicy(settle_s=0.5, base_s=0.01)


@contextmanager
def in_front_of(emulator: Emulator, folder: Path, *faults: Fault) -> Iterator[Gateway]:
    gateway = FaultyGateway(
        "k", base_url=emulator.url, ledger=folder / "g.sqlite3", window_s=0.05, retry_policy=SETTLED
    )
    gateway.faults = list(faults)  # type: ignore[misc]
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    with gateway.ledger.changing("test") as db:
        db.execute("INSERT INTO gateway_tokens VALUES (?, 'ann', 0, NULL)", (digest,))
    with gateway:
        yield gateway


def is_sent(gateway: Gateway) -> bool:
    """Return True once nothing waits to be sent."""
    gathered = all(job.settled or job.group is not None for job in gateway.jobs)
    return gathered and not gateway.ledger.submissions(UNSENT_STATES)


class Through:
    @pytest.fixture
    def run_client(self, run_client: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
        """The function of this name, with a gateway between client and emulator."""
        numbers = itertools.count()

        def run(name: str, emulator: Emulator, scenario: str) -> Any:
            folder = tmp_path / str(next(numbers))
            folder.mkdir()
            with in_front_of(emulator, folder) as gateway:
                found = run_client(name, gateway, scenario)
                wait_until(lambda: is_sent(gateway))
                return found

        return run


class TestPennyLaneIonQ(Through, test_clients.TestPennyLaneIonQ):
    pass


class TestQiskitIonQ(Through, test_clients.TestQiskitIonQ):
    test_session_limits = None  # type: ignore[assignment]  # what a session refuses is a job that fails
    test_dry_run_gives_the_compiled_circuit = None  # type: ignore[assignment]  # it does not wait for the job


class TestCirqIonQ(Through, test_clients.TestCirqIonQ):
    test_dry_run = None  # type: ignore[assignment]  # it does not wait for the job


class TestIonQCore(Through, test_clients.TestIonQCore):
    test_list_pages = None  # type: ignore[assignment]  # it does not wait for the jobs
    test_session = None  # type: ignore[assignment]  # as above
    test_the_rest_of_the_surface_parses = None  # type: ignore[assignment]  # names the emulator
    test_quantum_function = test_qaoa = None  # type: ignore[assignment]  # refused


FAULTS = {
    "closed": Fault("close", route="submit", when="after"),
    "reset": Fault("reset", route="submit", when="after"),
    "truncated": Fault("truncate", route="submit", when="after"),
    "500": Fault("status", route="submit", status=500, when="after"),
    "502": Fault("status", route="submit", status=502, when="after"),
    "503": Fault("status", route="submit", status=503, when="after"),
    "504": Fault("status", route="submit", status=504, when="after"),
    "524": Fault("status", route="submit", status=524, when="after"),
    "429": Fault("status", route="submit", status=429, retry_after=0.1),
}


@pytest.mark.parametrize("where", ["at IonQ", "on the way"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("pennylane_ionq", "qpu"), ("qiskit_ionq", "qpu"), ("cirq_ionq", "qpu"),
        ("ionq_core", "artifacts"),
    ],
)  # fmt: skip
def test_one_submission_is_paid_once(
    run_client: Callable[..., Any],
    tmp_path: Path,
    name: str,
    scenario: str,
    fault: str,
    where: str,
) -> None:
    """The fault happens once. Clients that do not try again raise, and have one job as well."""
    planned = [FAULTS[fault]]
    at_ionq = where == "at IonQ"
    with (
        Emulator(seed=11, faults=planned if at_ionq else []) as emulator,
        in_front_of(emulator, tmp_path, *([] if at_ionq else planned)) as gateway,
    ):
        try:
            run_client(name, gateway, scenario)
        except AssertionError:
            assert not at_ionq  # what happens behind the gateway, its clients do not see
        wait_until(lambda: all(job.settled for job in gateway.jobs))
        refused = not at_ionq and fault == "429"
        digests = [(job.digest, job.named, job.connection) for job in gateway.jobs]
        paid = emulator.billed_jobs
        assert paid == 1 or (refused and paid == 0), digests
