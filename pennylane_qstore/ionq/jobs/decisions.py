"""The rules of a submission as a table: doubt x outcome -> entry in the ledger and action.

IonQ's API has no idempotency key, so that a POST may be repeated only where it surely created
no job. The table is the whole policy; :class:`Submitter` only carries it out.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from pennylane_qstore.ionq.ledger.ledger import State

FREE = frozenset({"simulator"})
"""Backends on which a job too many costs nothing."""
ON_AMBIGUOUS = ("raise", "resubmit")
"""Allowed values of the option of this name."""
JOBS_PAGE = "https://cloud.ionq.com/jobs"
"""IonQ's own list of jobs, for people."""


class SubmissionOutcome(Enum):
    """Outcome of a POST, of a search by token, or of the pause before another POST."""

    ACCEPTED = "the service named the job"
    REFUSED = "the service refused: no job from this POST"
    BUSY = "429, and more attempts are left"
    TOO_BUSY = "429, and no attempt is left"
    NOT_SENT = "the request did not reach the service, which may come back"
    UNREACHABLE = "the request did not reach the service, for longer than an outage may last"
    LOST = "the request was sent, no valid answer came"
    INTERRUPTED = "Ctrl-C before the service accepted anything"
    READY = "the pause is over, and the row is still ours"
    TAKEN_OVER = "another process holds the row now"
    KNOWN = "whoever held the row has written down its job"
    ENDED = "the row has ended, and there is no job to wait for"
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
    RETURN = "return the job's id, if there is a job to wait for"
    RAISE = "raise the error of the outcome"
    ADOPT = "wait for whoever holds the row, and take over what they leave"


class Decision(NamedTuple):
    """Ledger entry and next action for an outcome.

    Attributes:
        clear: state written to the ledger if no earlier POST of the row can have created a
            job; ``None`` writes nothing.
        doubtful: the same if the answer to an earlier POST was lost. "Surely no job from this
            POST" says nothing of that one: the row stays ambiguous.
        action: next step, after the entry.
    """

    clear: State | None
    doubtful: State | None
    action: Action

    def entry(self, doubtful: bool) -> State | None:
        """Return the state to write."""
        return self.doubtful if doubtful else self.clear


DECISIONS = MappingProxyType(
    {
        SubmissionOutcome.ACCEPTED: Decision(State.SUBMITTED, State.SUBMITTED, Action.RETURN),
        SubmissionOutcome.REFUSED: Decision(State.REJECTED, State.AMBIGUOUS, Action.RAISE),
        SubmissionOutcome.BUSY: Decision(None, None, Action.PAUSE),
        SubmissionOutcome.TOO_BUSY: Decision(State.REJECTED, State.AMBIGUOUS, Action.RAISE),
        SubmissionOutcome.NOT_SENT: Decision(None, None, Action.PAUSE),
        SubmissionOutcome.UNREACHABLE: Decision(State.REJECTED, State.AMBIGUOUS, Action.RAISE),
        SubmissionOutcome.LOST: Decision(State.AMBIGUOUS, State.AMBIGUOUS, Action.SEARCH),
        SubmissionOutcome.INTERRUPTED: Decision(State.REJECTED, State.AMBIGUOUS, Action.RAISE),
        SubmissionOutcome.READY: Decision(None, None, Action.SEND),
        SubmissionOutcome.TAKEN_OVER: Decision(None, None, Action.ADOPT),
        SubmissionOutcome.KNOWN: Decision(None, None, Action.RETURN),
        SubmissionOutcome.ENDED: Decision(None, None, Action.RETURN),
        # A row is searched for only once it is doubtful.
        SubmissionOutcome.FOUND: Decision(None, State.SUBMITTED, Action.RETURN),
        SubmissionOutcome.ABSENT: Decision(None, None, Action.SEND),
        SubmissionOutcome.ABSENT_TOO_OFTEN: Decision(None, None, Action.RAISE),
        SubmissionOutcome.ABSENT_UNSENDABLE: Decision(None, None, Action.RETURN),
        SubmissionOutcome.ABSENT_COSTLY: Decision(None, None, Action.RAISE),
        SubmissionOutcome.UNREADABLE: Decision(None, None, Action.RAISE),
    }
)
"""Entry and action for every outcome."""
