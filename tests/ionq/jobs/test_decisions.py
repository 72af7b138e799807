"""The table of a submission: every cell, and that nothing is sent twice by it."""

from __future__ import annotations

import pytest

from pennylane_qstore.ionq.jobs.decisions import DECISIONS, Action, SubmissionOutcome
from pennylane_qstore.ionq.ledger.ledger import UNSENT_STATES, State

CELLS = {
    # outcome: (entry of a clear row, entry of a doubtful row, action)
    "ACCEPTED": (State.SUBMITTED, State.SUBMITTED, Action.RETURN),
    "REFUSED": (State.REJECTED, State.AMBIGUOUS, Action.RAISE),
    "BUSY": (None, None, Action.PAUSE),
    "TOO_BUSY": (State.REJECTED, State.AMBIGUOUS, Action.RAISE),
    "NOT_SENT": (None, None, Action.PAUSE),
    "UNREACHABLE": (State.REJECTED, State.AMBIGUOUS, Action.RAISE),
    "LOST": (State.AMBIGUOUS, State.AMBIGUOUS, Action.SEARCH),
    "INTERRUPTED": (State.REJECTED, State.AMBIGUOUS, Action.RAISE),
    "READY": (None, None, Action.SEND),
    "TAKEN_OVER": (None, None, Action.ADOPT),
    "KNOWN": (None, None, Action.RETURN),
    "ENDED": (None, None, Action.RETURN),
    "FOUND": (None, State.SUBMITTED, Action.RETURN),
    "ABSENT": (None, None, Action.SEND),
    "ABSENT_TOO_OFTEN": (None, None, Action.RAISE),
    "ABSENT_UNSENDABLE": (None, None, Action.RETURN),
    "ABSENT_COSTLY": (None, None, Action.RAISE),
    "UNREADABLE": (None, None, Action.RAISE),
}


@pytest.mark.parametrize("doubtful", [False, True], ids=["clear", "doubtful"])
@pytest.mark.parametrize("name", CELLS)
def test_each_cell(name, doubtful):
    clear_entry, doubtful_entry, action = CELLS[name]
    decision = DECISIONS[SubmissionOutcome[name]]
    assert decision.entry(doubtful) is (doubtful_entry if doubtful else clear_entry)
    assert decision.action is action


def test_the_table_is_complete():
    assert set(DECISIONS) == set(SubmissionOutcome) == {SubmissionOutcome[name] for name in CELLS}


@pytest.mark.parametrize("outcome", SubmissionOutcome)
def test_a_row_in_doubt_is_never_written_down_as_rejected(outcome):
    assert DECISIONS[outcome].entry(doubtful=True) is not State.REJECTED


@pytest.mark.parametrize("outcome", SubmissionOutcome)
def test_a_lost_answer_is_searched_for_before_anything_is_sent(outcome):
    """Every outcome after which a job may exist unseen is written down and searched for."""
    decision = DECISIONS[outcome]
    may_hide_a_job = outcome is SubmissionOutcome.LOST
    assert (decision.action is Action.SEARCH) == may_hide_a_job
    assert not may_hide_a_job or decision.entry(doubtful=False) is State.AMBIGUOUS


def test_only_four_outcomes_lead_to_another_post():
    again = {o.name for o, d in DECISIONS.items() if d.action in (Action.SEND, Action.PAUSE)}
    assert again == {"BUSY", "NOT_SENT", "READY", "ABSENT"}
    assert all(
        DECISIONS[SubmissionOutcome[name]].entry(doubtful) in (None, *UNSENT_STATES)
        for name in again
        for doubtful in (False, True)
    )
