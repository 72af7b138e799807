"""The progress of runs side by side: that of the first one, with the dollars of all."""

from __future__ import annotations

from collections.abc import Sequence

from pennylane_qstore.training.callbacks import ProgressBar, Run


class SharedProgress(ProgressBar):
    """A progress bar, or lines, for the first of several runs, which stands for all.

    Args:
        runs: all of them.
        budget_usd: of all of them, in US dollars; None without one.
        shown: as for :class:`.ProgressBar`.
    """

    def __init__(
        self, runs: Sequence[Run], budget_usd: float | None, shown: bool | str | None = None
    ) -> None:
        super().__init__(shown)
        self._runs, self._budget_usd = runs, budget_usd

    def _title(self, run: Run) -> str:
        return f"{run.name} x {len(self._runs)}"

    def _dollars(self, run: Run) -> tuple[float, float | None]:
        spent_usd = sum(one.spent_usd for one in self._runs)
        return spent_usd, None if self._budget_usd is None else self._budget_usd - spent_usd
