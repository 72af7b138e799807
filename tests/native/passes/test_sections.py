"""Gates divided at barriers and boxes."""

import pytest

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.program import Gate
from pennylane_qstore.native.passes.sections import (
    BARRIER,
    BEGIN,
    END,
    outside_boxes,
    sections_of,
)

X = [Gate("PauliX", (q,)) for q in range(3)]


def test_gates_without_marks_are_one_section():
    (section,) = sections_of(X, 3)
    assert section.gates == tuple(X)
    assert not section.is_closed


def test_a_barrier_divides_the_gates_of_its_wires_only():
    first, barrier, second = sections_of([*X, Gate(BARRIER, (0, 1)), *X], 3)
    assert first.gates == (*X, X[2])
    assert barrier.wires == (0, 1)
    assert second.gates == (X[0], X[1])


def test_a_barrier_on_no_wire_is_one_on_all():
    _, barrier, second = sections_of([*X, Gate(BARRIER, ()), *X], 3)
    assert barrier.wires == (0, 1, 2)
    assert second.gates == tuple(X)


def test_a_box_keeps_the_order_of_its_gates_and_closes_its_wires():
    box = [X[1], X[0], X[1]]
    gates = [X[0], Gate(BEGIN, (0,)), *box, Gate(END, (0,)), *X]
    first, closed, last = sections_of(gates, 3)
    assert first.gates == (X[0], X[2])
    assert closed.gates == tuple(box)
    assert closed.wires == (0, 1)
    assert closed.is_box
    assert last.gates == (X[0], X[1])
    assert outside_boxes(gates) == [True, *[False] * 5, *[True] * 3]


def test_a_box_inside_a_box_is_one_and_one_left_open_lasts_to_the_end():
    (box,) = sections_of([Gate(BEGIN, (0,)), X[0], Gate(BEGIN, ()), X[1], Gate(END, ()), X[2]], 3)
    assert box.gates == tuple(X)


def test_an_end_without_a_beginning_is_refused():
    with pytest.raises(CompileError, match="has not begun"):
        sections_of([Gate(END, (0,))], 1)
