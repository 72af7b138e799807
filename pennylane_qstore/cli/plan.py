"""Plans of trainings: shown with their price, and agreed to before anything that bills is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pennylane_qstore.cli.output import is_terminal, labelled, show
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import exceeds

if TYPE_CHECKING:
    from pennylane_qstore.ionq.ledger.ledger import Ledger
    from pennylane_qstore.training.run_estimate import RunEstimate

REFUSED = 2
"""Exit status where nobody has agreed to a price."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The price of trainings, and the budgets that hold it.

    Attributes:
        estimate: of all runs.
        runs: number of runs.
        budget_usd: of all of them, in US dollars; None without one.
        ledger: of their jobs, which may have a budget of its own; None without one.
    """

    estimate: RunEstimate
    runs: int = 1
    budget_usd: float | None = None
    ledger: Ledger | None = None

    def show(self, *, as_json: bool) -> None:
        """Print what the runs would cost."""
        plan, ledger = self.estimate.as_dict(), self.ledger
        payload = {"plan": plan, "runs": self.runs, "budget_usd": self.budget_usd}
        if ledger is not None and ledger.budget_usd is not None:
            payload |= {"ledger_budget_usd": ledger.budget_usd, "ledger_usd": ledger.spent_usd()}
        show(as_json, payload, self._lines())

    def agree(self, *, yes: bool) -> None:
        """Show the price of what bills, and ask for it where no budget holds it.

        Args:
            yes: agreed to beforehand.

        Raises:
            typer.Exit: with status 2, where nobody agrees. Nothing was sent.
        """
        typer.echo("\n".join(self._lines()), err=True)
        if yes or self.budget_usd is not None or not self.estimate.jobs:
            return
        if is_terminal():
            question = f"This bills about ${self.estimate.usd:,.2f}. Type yes to send it"
            if typer.prompt(question, default="no", err=True).strip().lower() == "yes":
                return
        typer.echo(
            "qstore: Nothing was sent: give a limit, --budget-usd, or agree to the price with "
            "--yes.",
            err=True,
        )
        raise typer.Exit(REFUSED)

    def _lines(self) -> list[str]:
        plan, budget_usd, ledger = self.estimate, self.budget_usd, self.ledger
        if not plan.jobs:
            return labelled({"Plan": "nothing is left to send: the results are in the ledger"})
        lines = {"Plan": f"{self.runs} runs" if self.runs > 1 else "1 run", **plan.lines()}
        if budget_usd is not None and plan.paid:
            short = "; it ends the training early" if exceeds(plan.usd, budget_usd) else ""
            lines["Budget"] = f"${budget_usd:,.2f}, not exceeded in any case{short}"
        if ledger is not None and ledger.budget_usd is not None and plan.paid:
            left_usd = ledger.budget_usd - ledger.spent_usd()
            short = "; it ends the training early" if exceeds(plan.usd, left_usd) else ""
            of = f"${left_usd:,.2f} left of ${ledger.budget_usd:,.2f}"
            lines["Ledger's budget"] = f"{of}{short}"
        return labelled(lines)


def check_files(
    out: Path, folders: Sequence[Path], resume: bool, model: Path | None = None
) -> None:
    """Refuse to replace what was paid, or to go on with several trainings where there is one.

    Args:
        out: folder of the command's files.
        folders: of each training.
        resume: whether they go on.
        model: file of a model; None for none.

    Raises:
        ConfigurationError: a training or a result in the folders was billed; or one training
            goes on as several, or several as one.
    """
    if resume:
        _check_resumed(out, len(folders) > 1)
    else:
        _check_replaceable(out, *folders, model=model)


def _check_replaceable(*folders: Path, model: Path | None) -> None:
    names = ("history.json", "centroid.json", "checkpoint.json")  # evaluations are in the first
    paths = [folder / name for folder in folders for name in names]
    for path in [*paths, *([] if model is None else [model])]:
        if path.exists() and (usd := _paid_usd(path)):
            raise ConfigurationError(
                f"{str(path)!r} was paid with ${usd:,.2f}. --resume goes on with it or shows its "
                "result, another --out keeps it, --force replaces it. Nothing was sent."
            )


def _check_resumed(out: Path, several: bool) -> None:
    one, many = out / "checkpoint.json", out / "sweep.json"
    mine, other = (many, one) if several else (one, many)
    if other.exists() and not mine.exists():
        raise ConfigurationError(
            f"{str(other)!r} is of {'one training' if several else 'several trainings'}. Give "
            "--resume the same --seed, --seeds and --grid as before. Nothing was sent."
        )


def _paid_usd(path: Path) -> float:
    """Return what a file says was billed, in US dollars; 0 where it says nothing."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        report = content.get("summary", content.get("training", content))
        spent = [device.get("spent_usd", 0.0) for device in content.get("devices", ())]
        return float(sum(spent) or report.get("cost_usd", 0.0))
    except (ValueError, AttributeError, TypeError):
        return 0.0
