"""Ends of jobs at IonQ, and of the clients' jobs that they are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.gateways import make_job

from pennylane_qstore.errors import AmbiguousSubmission, ServiceError
from pennylane_qstore.gateway.ends import end_of, failure_of, is_refused
from pennylane_qstore.ionq.jobs.results import CircuitFailure, JobOutcome
from pennylane_qstore.ionq.ledger.ledger import Intent, Ledger, State
from pennylane_qstore.server.service import Failure

WRONG = Failure("InvalidInput", "no")
BAD = CircuitFailure("PreflightError", "no", "j")
HALF = JobOutcome([None, [1]], {0: BAD}, 1)  # type: ignore[list-item]
NONE = JobOutcome([None, None], {0: BAD, 1: BAD}, 1)


@pytest.mark.parametrize(
    ("first", "outcome", "failure", "status"),
    [
        (0, HALF, None, "failed"),
        (1, HALF, None, "completed"),
        (0, None, WRONG, "failed"),
        (0, None, None, "canceled"),
        (1, HALF, WRONG, "completed"),
    ],
)
def test_a_member_ends_as_its_own_circuits_do(
    first: int, outcome: Any, failure: Any, status: str
) -> None:
    assert end_of(make_job(first=first), outcome, failure)[0] == status


def test_errors_about_the_content_are_told_apart() -> None:
    assert failure_of(ServiceError("no", status=400)) == WRONG
    assert failure_of(ServiceError("no", status=401)).code == "ServiceError"
    assert failure_of(AmbiguousSubmission("x")).code == "AmbiguousSubmission"


@pytest.mark.parametrize(
    ("state", "outcome", "failure", "refused"),
    [
        (State.REJECTED, None, WRONG, True),
        (State.REJECTED, NONE, None, True),  # as an earlier gateway has stored it
        (State.REJECTED, None, Failure("ServiceError", "busy"), False),
        (State.FAILED, NONE, None, True),
        (State.FAILED, HALF, None, False),
        (State.SUBMITTED, None, WRONG, False),
        (State.AMBIGUOUS, None, WRONG, False),
    ],
)
def test_only_what_surely_failed_is_sent_in_parts(
    state: State, outcome: Any, failure: Any, refused: bool
) -> None:
    ledger = Ledger()
    [(row, _)] = ledger.begin([Intent("s", "simulator", 1, 1, 1, "x")])
    assert is_refused(replace(row, state=state), outcome, failure) is refused
