"""Jobs that may exist unseen: what is known of them, and what the user decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import typer

from pennylane_qstore.cli.output import is_terminal, labelled, time_text
from pennylane_qstore.errors import AmbiguousSubmission
from pennylane_qstore.ionq.jobs.decisions import JOBS_PAGE
from pennylane_qstore.ionq.ledger.rows import UNSENT_STATES

if TYPE_CHECKING:
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.ledger.ledger import Ledger, Submission

_T = TypeVar("_T")
UNDECIDED = 2
"""Exit status where a job may exist that is not found."""
_QUESTION = (
    f"Type look to search the service's list again, absent if {JOBS_PAGE} shows no job with this "
    "token either (its price is freed, and the circuits are sent anew), resubmit to send the job "
    "again (if it does exist it is paid twice), or stop"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision of the user about a job, for all runs that have circuits in it.

    Attributes:
        said: ``"resubmit"``, ``"stop"``, or nothing where the job was found or declared absent.
        used: runs that it was used for. Where one of them meets the same doubt again, the answer
            has not helped, and a new one is asked for.
    """

    said: str
    used: set[Decisions]


class Decisions:
    """Asks about jobs that may exist unseen, and carries the decision out.

    Args:
        client: whose jobs they are.
        again: the command that goes on and sends such a job again, in words.
        answers: by number of the submission, of all runs that share jobs: the first one to meet a
            doubt asks.
    """

    def __init__(self, client: IonQClient, again: str, answers: dict[int, Answer]) -> None:
        self._client = client
        self._again = again
        self._answers = answers
        self._chosen = client.on_ambiguous

    def settle(self, call: Callable[[], _T]) -> _T:
        """Make a call, again after each decision.

        Args:
            call: finds the jobs it has paid for when it is made again.

        Returns:
            What the call returns.

        Raises:
            typer.Exit: with status 2, where the user has stopped or there is nobody to ask.
        """
        while True:
            try:
                return call()
            except AmbiguousSubmission as doubt:
                self._decide(doubt)

    def end(self, _: object = None) -> None:
        """Let a decision hold no longer than for the step that it was asked for."""
        self._client.on_ambiguous = self._chosen

    def _decide(self, doubt: AmbiguousSubmission) -> None:
        """Carry out what was said of the job, or ask."""
        number = doubt.details["submission"]
        answer = self._answers.get(number)
        if answer is None or self in answer.used:
            typer.echo(f"qstore: {doubt}", err=True)
            answer = self._answers[number] = Answer(self._ask(number), set())
        answer.used.add(self)
        if answer.said == "stop":
            raise typer.Exit(UNDECIDED)
        if answer.said == "resubmit":
            self._client.on_ambiguous = "resubmit"

    def _ask(self, number: int) -> str:
        ledger = self._client.ledger
        describe([ledger.get(number)])
        while is_terminal() and ledger.get(number).state in UNSENT_STATES:
            answer: str = typer.prompt(_QUESTION, default="stop", err=True).strip().lower()
            if answer == "resubmit":
                return answer
            if answer == "stop":
                break
            if answer == "absent":
                self._client.declare_absent(number)
            if answer == "look":
                self._client.reconcile()
                typer.echo(f"Submission {number}: {ledger.get(number).state}.", err=True)
        if ledger.get(number).state not in UNSENT_STATES:
            return ""
        typer.echo(advice(ledger, self._again), err=True)
        return "stop"


def declare_absent(
    client: IonQClient, rows: Sequence[Submission], *, yes: bool
) -> list[Submission]:
    """Look for lost jobs once more, and free the prices of those that the user knows are none.

    Args:
        client: of the service that the rows are at.
        rows: those that the user names.
        yes: agreed to beforehand.

    Returns:
        All rows looked for, as they stand afterwards.
    """
    looked, ledger = client.reconcile(), client.ledger
    for number in [row.id for row in rows]:
        row = ledger.get(number)
        if row.state not in UNSENT_STATES:
            told = f"is {row.state}, job {row.job_id}; nothing was freed"
        elif yes or _is_absent(row):
            told = f"is {client.declare_absent(number).state}: no job, and its price is free"
        else:
            told = "was left as it is: it needs a typed absent, or --yes"
        typer.echo(f"qstore: Submission {number} {told}.", err=True)
    return [ledger.get(row.id) for row in looked]


def describe(rows: Iterable[Submission]) -> None:
    """Show intents without a job on standard error."""
    for row in rows:
        usd = row.estimated_usd
        fields = {
            "Submission": f"{row.id}, {row.state}: a job may exist unseen",
            "Intent": time_text(row.created_at),
            "Token": row.token,
            "Job": f"{row.circuits} circuits x {row.shots} shots on {row.backend}",
            "Estimated": "not known" if usd is None else f"${usd:,.2f}",
        }
        typer.echo("\n".join(labelled(fields)), err=True)


def advice(ledger: Ledger, again: str) -> str:
    """Return how to go on with intents whose job is not found.

    Args:
        ledger: that has them.
        again: the command, or the program, that sends them again.

    Returns:
        Sentences.
    """
    from pennylane_qstore.ionq.jobs.call import ledger_option

    look = f"qstore jobs reconcile{ledger_option(ledger)}"
    return (
        f"`{look}` looks again and sends nothing; `{look} --absent NUMBER` frees the price of a "
        f"submission whose token no job on {JOBS_PAGE} has; {again} "
        "sends again what is not found, within the budget. If the job does exist, it is paid twice."
    )


def _is_absent(row: Submission) -> bool:
    """Ask, where there is a terminal, whether a submission created no job."""
    describe([row])
    if not is_terminal():
        return False
    question = f"Type absent if {JOBS_PAGE} shows no job whose name ends with the token"
    return str(typer.prompt(question, default="no", err=True)).strip().lower() == "absent"
