"""The rules of a submission as a table: what is known x what happened -> entry and action.

IonQ's API has no idempotency key, so that a POST may be repeated only where it surely created
no job. The table is the whole policy; :class:`Submitter` only carries it out.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from pennylane_qstore.ionq.ledger.ledger import State

FREE = frozenset({"simulator"})
"""Backends on which a job too many costs nothing."""
ON_AMBIGUOUS = ("raise", "resubmit")
"""Allowed values of the option of this name."""


class Standing(Enum):
    """Knowledge about the earlier POSTs of a row."""

    CLEAR = "no POST of this row can have created a job"
    DOUBTFUL = "the answer to an earlier POST was lost: there may be a job"


class SubmissionOutcome(Enum):
    """Outcome of a POST, of a search by token, or of the pause before another POST."""

    ACCEPTED = "the service named the job"
    REFUSED = "the service refused: no job from this POST"
    BUSY = "429, and more attempts are left"
    TOO_BUSY = "429, and no attempt is left"
    NOT_SENT = "the request did not reach the service, and more attempts are left"
    UNREACHABLE = "the request did not reach the service, and no attempt is left"
    LOST = "the request was sent, no valid answer came"
    INTERRUPTED = "Ctrl-C before the service accepted anything"
    READY = "the pause is over, and the row is still ours"
    TAKEN_OVER = "another process holds the row now"
    FOUND = "a job with the row's token is in the list"
    ABSENT = "no such job after the settle time, and a job too many would be free or allowed"
    ABSENT_TOO_OFTEN = "no such job, and no attempt is left"
    ABSENT_UNSENDABLE = "no such job, and the caller does not send"
    ABSENT_COSTLY = "no such job, but a job too many would cost money"
    UNREADABLE = "the list cannot be read"


class Action(Enum):
    """Next step of a submission."""

    SEND = "POST"
    PAUSE = "wait, make sure that the row is still ours, then POST"
    SEARCH = "look for the job in the service's list until the settle time has passed"
    RETURN = "return the job's id"
    RAISE = "raise the error of the outcome"
    ADOPT = "wait for whoever holds the row, and take over what they leave"
    LEAVE = "return nothing: there is no job to wait for"


class Decision(NamedTuple):
    """A cell of the table.

    Attributes:
        entry: state written to the ledger, before the action; ``None`` writes nothing.
        action: next step.
    """

    entry: State | None
    action: Action


_POST_DECISIONS: dict[SubmissionOutcome, Decision] = {
    SubmissionOutcome.ACCEPTED: Decision(State.SUBMITTED, Action.RETURN),
    SubmissionOutcome.REFUSED: Decision(State.REJECTED, Action.RAISE),
    SubmissionOutcome.BUSY: Decision(None, Action.PAUSE),
    SubmissionOutcome.TOO_BUSY: Decision(State.REJECTED, Action.RAISE),
    SubmissionOutcome.NOT_SENT: Decision(None, Action.PAUSE),
    SubmissionOutcome.UNREACHABLE: Decision(State.REJECTED, Action.RAISE),
    SubmissionOutcome.LOST: Decision(State.AMBIGUOUS, Action.SEARCH),
    SubmissionOutcome.INTERRUPTED: Decision(State.REJECTED, Action.RAISE),
    SubmissionOutcome.READY: Decision(None, Action.SEND),
    SubmissionOutcome.TAKEN_OVER: Decision(None, Action.ADOPT),
}
_SEARCH_DECISIONS: dict[SubmissionOutcome, Decision] = {
    SubmissionOutcome.FOUND: Decision(State.SUBMITTED, Action.RETURN),
    SubmissionOutcome.ABSENT: Decision(None, Action.SEND),
    SubmissionOutcome.ABSENT_TOO_OFTEN: Decision(None, Action.RAISE),
    SubmissionOutcome.ABSENT_UNSENDABLE: Decision(None, Action.LEAVE),
    SubmissionOutcome.ABSENT_COSTLY: Decision(None, Action.RAISE),
    SubmissionOutcome.UNREADABLE: Decision(None, Action.RAISE),
}


def _in_doubt(decision: Decision) -> Decision:
    # "Surely no job from this POST" says nothing of the earlier one: the row stays ambiguous.
    if decision.entry is State.REJECTED:
        return decision._replace(entry=State.AMBIGUOUS)
    return decision


DECISIONS: dict[tuple[Standing, SubmissionOutcome], Decision] = {
    **{(Standing.CLEAR, outcome): cell for outcome, cell in _POST_DECISIONS.items()},
    **{(Standing.DOUBTFUL, outcome): _in_doubt(cell) for outcome, cell in _POST_DECISIONS.items()},
    **{(Standing.DOUBTFUL, outcome): cell for outcome, cell in _SEARCH_DECISIONS.items()},
}
"""Every case that can occur; a row is searched for only once it is doubtful."""
