"""The comparison: ours verified without any rival, and a rival that is wrong, failing or slow."""

import pytest
from support.compilers import SMALL, fails, gate_by_gate, wrong

from pennylane_qstore.bench.compile import Row, cell, compare, installed, notes
from pennylane_qstore.bench.compile_check import Counts
from pennylane_qstore.bench.compile_ours import OURS
from pennylane_qstore.bench.compile_scores import scores, text


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
    monkeypatch.setattr("pennylane_qstore.bench.compile_rivals.find_spec", lambda name: None)
    measured, versions, missing = notes(3, "zz", 60)
    assert measured.startswith("3 circuits, family zz, at most 60 s each")
    assert "pennylane-qstore" in versions
    assert "qiskit" not in versions
    assert "bqskit" in missing
    assert list(installed()) == list(OURS)
