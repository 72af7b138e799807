"""The comparison: ours verified without any rival, and a rival that is wrong, failing or slow."""

from __future__ import annotations

import pytest
from support.compilers import SMALL, fails, gate_by_gate, wrong

from pennylane_qstore.bench.compile import (
    BEST,
    Loss,
    Row,
    Score,
    cell,
    compare,
    installed,
    losses,
    notes,
    scores,
    text,
)
from pennylane_qstore.bench.compile_check import Counts
from pennylane_qstore.bench.compilers import OURS


def test_ours_is_verified_beside_a_rival():
    told = []
    compilers = {**OURS, "gate by gate": gate_by_gate, "wrong": wrong}
    rows = compare(SMALL, compilers, limit_s=None, report=told.append)
    assert [row.compiler for row in rows[::2]] == list(compilers)
    assert [row.problem for row in rows] == [""] * 10 + ["wrong circuit"] * 2
    assert len(told) == len(rows)
    table = {(score.ours, score.rival): score for score in scores(rows)}
    assert list(table) == [(name, "gate by gate") for name in OURS]
    plain = table["thorough", "gate by gate"]
    assert (plain.circuits, plain.wins, plain.ties, plain.losses) == (2, 1, 1, 0)
    assert "wrong, chain: wrong circuit" in text(rows)


def test_a_compiler_that_fails_leaves_its_rows_and_the_others(monkeypatch):
    monkeypatch.setattr("pennylane_qstore.bench.compile_workers._START_METHOD", "fork")
    rows = compare(SMALL, {"fails": fails, "gate by gate": gate_by_gate}, limit_s=60)
    assert [bool(row.problem) for row in rows] == [True, True, False, False]
    assert rows[0].counts is None
    assert cell(rows[0]) == "failed"
    assert rows[0].as_dict()["two_qubit_gates"] is None


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (Row("a", "b", Counts(3, 1.234, 5), 0.1), "3 1.23 5"),
        (Row("a", "b", Counts(3, 1.2, 5), 0.1, "wrong circuit"), "wrong circuit"),
        (Row("a", "b", None, 0.0, "over 60 s"), "over 60 s"),
    ],
)
def test_cells(row, shown):
    assert cell(row) == shown


def test_rows_for_json():
    assert Row("a", "b", Counts(3, 1.5, 5), 0.1).as_dict() == {
        "circuit": "a",
        "compiler": "b",
        "two_qubit_gates": 3,
        "angle": 1.5,
        "pulses": 5,
        "processor_s": 0.1,
        "problem": "",
    }


def test_notes_say_what_is_missing(monkeypatch):
    monkeypatch.setattr("pennylane_qstore.bench.compilers.find_spec", lambda name: None)
    measured, versions, missing = notes(3, "zz", 60)
    assert measured.startswith("3 circuits, family zz, at most 60 s each")
    assert "pennylane-qstore" in versions
    assert "qiskit" not in versions
    assert "bqskit" in missing
    assert list(installed()) == list(OURS)


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
