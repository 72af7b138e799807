"""The gain over pretraining."""

from __future__ import annotations

from typing import NamedTuple


class WarmStartReport(NamedTuple):
    """The gain of the steps after :meth:`WarmStart.pretrain`.

    Attributes:
        steps: made after it.
        cost_usd: billed for them, in US dollars.
        before, after: loss and metrics at the end of pretraining, and now.
        added: the differences; zeros where these steps have added nothing.
        exact: True where all were evaluated without noise.
    """

    steps: int
    cost_usd: float
    before: dict[str, float]
    after: dict[str, float]
    added: dict[str, float]
    exact: bool

    def __str__(self) -> str:
        figures = ", ".join(
            f"{name} {self.before[name]:.4g} to {self.after[name]:.4g} ({change:+.2g})"
            for name, change in self.added.items()
        )
        where = "exact" if self.exact else "on the run's backend"
        return f"{self.steps} steps after pretraining, ${self.cost_usd:,.2f}: {figures} ({where})"
