"""Pulse codes of runs, and gates written with frames."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.circuits import run as run_gates

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import IRCircuit, OneQubitUnitary, OutputParity, ZZRotation
from pennylane_qstore.native.template.gate_phases import (
    PULSES,
    PulseCode,
    code_of,
    codes_of,
    pulses_of,
    tilts_of,
    write_gates,
)
from pennylane_qstore.native.template.run_evaluator import RunEvaluator
from pennylane_qstore.native.template.runs import runs_of

angles = st.one_of(st.floats(-7, 7), st.sampled_from([0.0, np.pi / 2, np.pi, -np.pi / 2]))


@pytest.mark.parametrize(
    ("tilt", "code"),
    [
        (np.pi / 2, PulseCode.NONE),
        (np.pi / 2 - 1e-11, PulseCode.NONE),
        (np.pi / 4, PulseCode.GPI2),
        (np.pi / 4 + 1e-9, PulseCode.TWO_GPI2),
        (0.3, PulseCode.TWO_GPI2),
        (0.0, PulseCode.GPI),
    ],
)
def test_a_tilt_decides_the_pulses(tilt, code):
    assert code_of(tilt) is code
    assert codes_of(np.array([tilt])) == [code]
    assert pulses_of(codes_of(np.array([tilt]))) == [PULSES[code]]


@pytest.mark.parametrize("family", ["ms", "zz"])
@given(turns=st.lists(st.tuples(angles, angles, angles), min_size=4, max_size=4), zz=angles)
def test_written_gates_and_frames_are_the_circuit(family, turns, zz):
    a, b, c, d = (qml.Rot.compute_matrix(*t) for t in turns)
    angle = Affine((), zz / np.pi)
    circuit = IRCircuit(
        2,
        (
            OneQubitUnitary(0, a),
            OneQubitUnitary(1, b),
            ZZRotation(0, 1, angle),
            OneQubitUnitary(0, c),
            OneQubitUnitary(1, d),
        ),
        (OutputParity(frozenset((0,))), OutputParity(frozenset((1,)))),
    )
    runs = RunEvaluator(runs_of(circuit, family, compact=False), family, 0)
    _, columns = runs.evaluate(np.zeros((1, 0)))
    tilts = tilts_of(columns)
    count = len(runs.entanglers)
    written = write_gates(runs, np.ones(count), codes_of(tilts)[:, 0], np.zeros(count, dtype=bool))
    x = np.concatenate([np.angle(columns[0]), np.angle(columns[1]), 2 * tilts]) / (2 * np.pi)
    params = written.parameters(x)[:, 0]
    assert np.abs(params).max() <= 0.5
    start = np.eye(4, dtype=complex).reshape(2, 2, 4)
    total = run_gates(2, written.gates, params, start).reshape(4, 4)
    left, right = (qml.RZ.compute_matrix(2 * np.pi * f) for f in written.frames_at(x)[:, 0])
    total = np.kron(left, right) @ total
    interaction = qml.IsingZZ.compute_matrix(2 * zz)
    want = np.kron(c, d) @ interaction @ np.kron(a, b)
    assert abs(np.vdot(total, want)) / 4 == pytest.approx(1, abs=1e-8)


def test_an_empty_circuit_is_written_as_two_pulses_that_undo_each_other():
    empty = IRCircuit(1, (), (OutputParity(frozenset((0,))),))
    runs = RunEvaluator(runs_of(empty, "zz"), "zz", 0)
    written = write_gates(runs, np.ones(0), codes_of(np.zeros(0)), np.zeros(0, dtype=bool))
    assert written.gates == (("gpi2", (0,)), ("gpi2", (0,)))
    assert written.parameters(np.zeros((0, 1)))[:, 0].tolist() in ([0.0, 0.5], [0.0, -0.5])
