"""Wins, ties, losses and geometric means."""

import pytest

from pennylane_qstore.bench.compile import Row
from pennylane_qstore.bench.compile_check import Counts
from pennylane_qstore.bench.compile_scores import BEST, Loss, Score, losses, scores, text

FIGURES = {  # circuit: ours, rival A, rival B (two-qubit gates, angle, pulses)
    "win": ((2, 1.0, 4), (4, 2.0, 4), (8, 8.0, 1)),
    "tie": ((3, 3.0, 2), (3, 3.0, 8), (3, 3.0 - 1e-9, 2)),
    "loss": ((5, 5.0, 5), (4, 4.0, 5), None),
    "none": ((0, 0.0, 1), (3, 3.0, 1), (1, 1.0, 1)),
}


def row(circuit, compiler, counts, seconds=1.0):
    if counts is None:
        return Row(circuit, compiler, None, 0.0, "over 60 s")
    return Row(circuit, compiler, Counts(*counts), seconds)


ROWS = [
    row(circuit, name, counts, seconds)
    for circuit, figures in FIGURES.items()
    for name, counts, seconds in zip(["device", "A", "B"], figures, [1.0, 4.0, 0.5], strict=True)
]


def test_every_rival_and_the_best_of_them():
    a, b, best = scores(ROWS)
    assert a[:6] == ("device", "A", 4, 2, 1, 1)
    assert b[:6] == ("device", "B", 3, 2, 1, 0)
    assert best[:6] == ("device", BEST, 4, 2, 1, 1)
    assert a.pairs == pytest.approx((2 * 1 * 0.8) ** (1 / 3))  # without the one that has none
    assert a.angle == pytest.approx((2 * 1 * 0.8) ** (1 / 3))
    assert a.pulses == pytest.approx(4 ** (1 / 4))
    assert a.seconds == pytest.approx(4)
    assert b.pulses == pytest.approx(0.25 ** (1 / 3))
    assert best.pairs == pytest.approx(a.pairs)  # "none" counts for neither
    assert best.seconds is None


def test_a_wrong_circuit_counts_for_nobody():
    rows = [ROWS[0], ROWS[1]._replace(problem="wrong circuit")]
    assert scores(rows) == []
    assert losses(rows) == []
    assert "A, win: wrong circuit" in text(rows)


def test_without_rivals_there_is_no_score():
    shown = text([found for found in ROWS if found.compiler == "device"], ["a note"])
    assert shown.splitlines()[0].split() == ["two-qubit", "gates,", "angle,", "pulses", "device"]
    assert "geometric" not in shown
    assert shown.endswith("\n\na note")


def test_nothing_to_compare_by_has_no_mean():
    (score,) = scores([row("none", "device", (0, 0.0, 0)), row("none", "A", (1, 1.0, 1))])
    assert score == Score("device", "A", 1, 1, 0, 0, None, None, None, 1.0)


def test_losses_are_named_with_their_figures():
    assert losses(ROWS) == [
        Loss("device", "win", "pulses", 4, 1, "B"),
        Loss("device", "loss", "two-qubit gates", 5, 4, "A"),
        Loss("device", "loss", "angle", 5.0, 4.0, "A"),
    ]
    shown = text(ROWS)
    assert "device, loss: two-qubit gates 5, A 4" in shown
    assert "B, loss: over 60 s" in shown
    assert "5 5.00 5" in shown
