"""A training run in a notebook: its curve, what it has cost, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from pennylane_qstore.training.auto_shape import charged_by
from pennylane_qstore.training.fingerprint import optimizer_text
from pennylane_qstore.training.history import totals

_WIDTH, _HEIGHT, _MARGIN = 420, 140, 4
_MOST_POINTS = 400


def run_html(run: Any) -> str:
    """Return a run as HTML without scripts: a caption, the curve as SVG, and a table.

    Args:
        run: a :class:`.TrainingRun`.
    """
    figures = totals(run.history, charged_by(run.prices, run.history))
    left = "" if run.left_usd is None else f" of ${run.spent_usd + run.left_usd:,.2f}"
    rows = {
        "Optimizer": optimizer_text(run.optimizer),
        "Steps": f"{run.step:,}" + (f", stopped by {run.stopped}" if run.stopped else ""),
        "Loss": _losses(run),
        "Billed": f"${run.spent_usd:,.2f}{left}",
        "Would cost": f"${figures['would_cost_usd']:,.2f} ({figures['prices']})",
        "Jobs": f"{figures['jobs']:,} with {figures['circuits']:,} circuits and "
        f"{figures['shots_total']:,} shots",
        "Device": ", ".join(run.machines) or "none",
    }
    cells = "".join(
        f'<tr><th style="text-align:left">{label}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for label, text in rows.items()
    )
    curve = curve_svg([record.loss for record in run.history])
    return f"<div><strong>{escape(run.name)}</strong><br>{curve}<table>{cells}</table></div>"


def curve_svg(values: Sequence[float]) -> str:
    """Return a curve over steps as SVG in the colour of the text; nothing for one value or none.

    Args:
        values: one for each step.
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    every = -(-len(values) // _MOST_POINTS)
    places = [*range(0, len(values) - 1, every), len(values) - 1]
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    points = " ".join(
        f"{_MARGIN + across * i / (len(values) - 1):.1f},"
        f"{_MARGIN + down * (high - values[i]) / ((high - low) or 1.0):.1f}"
        for i in places
    )
    title = f"loss from {values[0]:.4g} to {values[-1]:.4g} in {len(values)} steps"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f"<title>{title}</title>"
        f'<polyline points="{points}" fill="none" stroke="currentColor"/></svg>'
    )


def _losses(run: Any) -> str:
    if not run.history:
        return "not trained yet"
    best = run.best
    text = f"{run.history[0].loss:.4g} → {run.history[-1].loss:.4g}"
    return text if best is None else f"{text}, best {run.watched} in step {best.step}"
