"""Moved rotations keep the circuit, for arrays and for one row alike."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.native.su2 import first_column, from_first_column
from pennylane_qstore.native.template.pushed_runs import PushPlan
from pennylane_qstore.native.template.pushing import PushRule

angles = st.one_of(
    # Nearly degenerate angles are left out: there the angle of a rule is any.
    st.integers(-700, 700).map(lambda n: n / 100),
    st.sampled_from([0.0, np.pi / 2, np.pi, -np.pi / 2]),
)
inner = st.builds(
    PushRule,
    st.sampled_from(["const", "forward", "backward", "euler"]),
    st.sampled_from([0.0, np.pi / 2, np.pi]),
)


@st.composite
def wires(draw):
    """Runs of one wire and rules for them that depend on each other without a circle."""
    k = draw(st.integers(1, 4))
    runs = [qml.Rot.compute_matrix(*draw(st.tuples(*[angles] * 3))) for _ in range(k + 1)]
    rules = [draw(inner) for _ in range(k)]
    for i in range(k - 1):
        if rules[i].kind == "backward" and rules[i + 1].kind == "forward":
            rules[i] = rules[i]._replace(kind="euler")
    end = PushRule("const", 0.0)
    return runs, [end, *rules, end]


def entangled(runs, angle=0.3):
    """The wire's runs with exp(-i angle X⊗X) on a second wire between them."""
    xx = qml.IsingXX.compute_matrix(angle)
    total = np.eye(4)
    for i, run in enumerate(runs):
        total = np.kron(run, np.eye(2)) @ (xx if i else np.eye(4)) @ total
    return total


@settings(max_examples=150)
@given(wires())
def test_the_circuit_stays_the_same(wire):
    runs, rules = wire
    plan = PushPlan([rules], [list(range(len(runs)))])
    columns = np.array([first_column(u) for u in runs], dtype=complex).T[:, :, None].copy()
    plan.apply(*columns)
    moved = [from_first_column(*column) for column in columns[:, :, 0].T]
    assert abs(np.vdot(entangled(runs), entangled(moved))) / 4 == pytest.approx(1, abs=1e-12)


@settings(max_examples=150)
@given(wires())
def test_one_row_is_moved_as_arrays_are(wire):
    runs, rules = wire
    plan = PushPlan([rules], [list(range(len(runs)))])
    alone = [first_column(u) for u in runs]
    columns = np.array(alone, dtype=complex).T[:, :, None] * np.ones(3)
    plan.apply(*columns)
    plan.apply_to_row(alone)
    assert np.allclose(columns[:, :, 1].T, alone, atol=1e-9)


def test_the_angle_of_a_degenerate_neighbour_is_the_offset_not_noise():
    """The first run is the identity: whatever moves through it, both arguments are zero."""
    rules = [PushRule("const", 0.0), PushRule("euler", 0.0), PushRule("const", 0.0)]
    plan = PushPlan([rules], [[0, 1]])
    found = []
    for noise in (0.0, 3e-17, -3e-17):
        alone = [
            (complex(1, noise), complex(noise, -noise)),
            first_column(qml.Hadamard(0).matrix()),
        ]
        plan.apply_to_row(alone)
        found.append(alone)
    assert np.allclose(found[0], found[1], atol=1e-12)
    assert np.allclose(found[0], found[2], atol=1e-12)
