"""Simulation equals PennyLane's own, for random circuits in every gateset."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_circuits import native_skeletons, qis_circuits, read, reference
from support.native_bodies import native_gates

from pennylane_qstore.emulator.simulation import statevector
from pennylane_qstore.emulator.simulation.noise import NoiseConfig
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.emulator.simulation.statevector import compact, probabilities, spread
from pennylane_qstore.server.inputs.circuits import read_circuits


@settings(deadline=None, max_examples=60)
@given(qis_circuits())
def test_qis_circuits_agree_with_default_qubit(gates: list[dict[str, Any]]) -> None:
    found = probabilities(read(gates, "qis", 4))[0]
    np.testing.assert_allclose(found, reference(gates, 4), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(native_skeletons(), st.integers(0, 2**32))
def test_rows_of_native_circuits_agree_with_default_qubit(skeleton: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [native_gates(skeleton, rng) for _ in range(5)]
    (program,) = read_circuits([{"circuit": r} for r in rows], gateset="native", qubits=4)
    assert program.rows == 5
    found = probabilities(program)
    for row, gates in zip(found, rows, strict=True):
        np.testing.assert_allclose(row, reference(gates, 4), atol=1e-9)


def test_a_long_pauli_string_needs_no_matrix() -> None:
    """exp(-i t X..X) on 12 qubits: |0..0> goes to cos t |0..0> - i sin t |1..1>."""
    gate = {
        "gate": "pauliexp",
        "targets": list(range(12)),
        "terms": ["X" * 12, "Y" * 12],
        "coefficients": [0.5, 0.25],
        "time": 1.0,
    }
    p = probabilities(read([gate], "qis", 12))[0]
    # Y..Y|0..0> = i^12 |1..1>, so both strings move the same pair of states
    assert p[[0, -1]] == pytest.approx([np.cos(0.75) ** 2, np.sin(0.75) ** 2])


def test_bit_k_of_a_state_is_qubit_k() -> None:
    assert probabilities(read([{"gate": "x", "target": 2}], "qis", 3))[0].argmax() == 4


def test_idle_qubits_cost_nothing_and_are_zero() -> None:
    gates = [{"gate": "x", "target": 3}, {"gate": "h", "target": 28}]
    program = read(gates, "qis", 29)
    small, used = compact(program)
    assert (small.qubits, used) == (2, (3, 28))
    (result,) = run([program], SimulationOptions(), 0)
    assert result.probabilities() == pytest.approx({"8": 0.5, str(8 + 2**28): 0.5})


def test_spread_moves_bit_k_to_the_kth_used_qubit() -> None:
    states = np.arange(8, dtype=np.uint64)
    expected = [sum(1 << q for k, q in enumerate((1, 4, 6)) if i >> k & 1) for i in range(8)]
    assert spread(states, (1, 4, 6)).tolist() == expected


def test_a_machine_that_is_too_small_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statevector, "_free_memory", lambda: 32 * 2**14)
    circuit = [{"gate": "h", "target": q} for q in range(15)]
    (fits,) = read_circuits([{"circuit": circuit[:14]}], gateset="qis")
    assert probabilities(fits).shape == (1, 2**14)
    (program,) = read_circuits([{"circuit": circuit}], gateset="qis")
    with pytest.raises(MemoryError, match="15 qubits"):
        probabilities(program)
    with pytest.raises(MemoryError, match="15 qubits"):
        run([program], SimulationOptions(NoiseConfig(0.1, 0.1), shots=3), 1)


def test_a_large_state_takes_the_memory_that_is_reckoned_with() -> None:
    """22 qubits: a state and its probabilities, at most twice, beside what was there before."""
    script = """
import resource
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
def ghz(n):
    gates = [{"gate": "h", "target": 0}]
    gates += [{"gate": "cnot", "control": q, "target": q + 1} for q in range(n - 1)]
    return read_circuits([{"circuit": gates}], gateset="qis")
run(ghz(14), SimulationOptions(), 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(result,) = run(ghz(22), SimulationOptions(), 1)
assert result.probabilities().keys() == {"0", str(2**22 - 1)}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 34 * 2**22
