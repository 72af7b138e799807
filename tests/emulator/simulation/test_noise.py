"""Noise equals default.mixed, trajectories equal the density matrix, rates come out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.chi_square import keys_of
from support.emulator_circuits import noisy_probabilities, random_program, random_qis_program

from pennylane_qstore.backends import NOISE_MODELS
from pennylane_qstore.emulator.simulation.devices import gates_of
from pennylane_qstore.emulator.simulation.fusion import FusedGate
from pennylane_qstore.emulator.simulation.noise import (
    NoiseConfig,
    channel_rate,
    misread,
    noise_config,
    sample,
)
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program


def default_mixed(program: Program, row: int, rates: NoiseConfig) -> np.ndarray:
    """default.mixed with PennyLane's own channel and the sixteen Kraus operators written out."""
    paulis = [qml.matrix(p(0)) for p in (qml.I, qml.X, qml.Y, qml.Z)]
    kraus = [np.sqrt(rates.r2 / 16) * np.kron(a, b) for a in paulis for b in paulis]
    kraus[0] = np.sqrt(1 - 15 * rates.r2 / 16) * np.eye(4)
    ops: list[Any] = []
    for op in gates_of(program, row):
        ops.append(op)
        if len(op.wires) == 1:
            ops.append(qml.DepolarizingChannel(3 * rates.r1 / 4, wires=op.wires))
        else:
            ops.append(qml.QubitChannel(kraus, wires=op.wires))
    tape = qml.tape.QuantumScript(ops, [qml.probs(wires=range(program.qubits)[::-1])])
    (result,) = qml.execute([tape], qml.device("default.mixed", wires=program.qubits))
    return np.asarray(result)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([random_program, random_qis_program]),
    st.integers(0, 2**32),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
def test_density_matrix_agrees_with_default_mixed(
    make: Callable[[int], Program], seed: int, one: float, two: float
) -> None:
    program, rates = make(seed), NoiseConfig(one, two)
    found = noisy_probabilities(program, rates)
    for row in range(program.rows):
        np.testing.assert_allclose(found[row], default_mixed(program, row, rates), atol=1e-9)


def test_controlled_and_swapped_gates_have_noise_too() -> None:
    gates = [
        {"gate": "h", "target": 0},
        {"gate": "cnot", "control": 0, "target": 1},
        {"gate": "swap", "targets": [1, 2]},
        {"gate": "x", "target": 0, "controls": [1, 2]},
    ]
    (program,) = read_circuits([{"circuit": gates}], gateset="qis", qubits=3)
    clean = noisy_probabilities(program, NoiseConfig(0, 0))[0]
    noisy = noisy_probabilities(program, NoiseConfig(0.01, 0.05))[0]
    assert clean[1:].sum() + clean[0] == pytest.approx(1)
    assert np.abs(noisy - clean).max() > 0.02
    assert noisy_probabilities(program, NoiseConfig(1, 1))[0] == pytest.approx(np.full(8, 1 / 8))


def random_layers(length: int, two: str | None, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Random pulses (and a full entangler in every layer), then all of it undone: ends in |00⟩."""
    forth: list[dict[str, Any]] = []
    for _ in range(length // 2):
        for qubit in range(1 if two is None else 2):
            forth.append({"gate": "gpi2", "target": qubit, "phase": rng.uniform(-0.5, 0.5)})
        if two == "ms":
            phases = rng.uniform(-0.5, 0.5, 2).tolist()
            forth.append({"gate": "ms", "targets": [0, 1], "phases": phases, "angle": 0.25})
        elif two == "zz":
            forth.append({"gate": "zz", "targets": [0, 1], "angle": 0.25})
    return forth + [undone(gate) for gate in forth[::-1]]


def undone(gate: dict[str, Any]) -> dict[str, Any]:
    if gate["gate"] == "gpi2":
        return gate | {"phase": gate["phase"] + 0.5}
    if gate["gate"] == "ms":
        return gate | {"phases": [gate["phases"][0] + 0.5, gate["phases"][1]]}
    return gate | {"angle": -gate["angle"]}


def decay_per_layer(rates: NoiseConfig, two: str | None, lengths: list[int]) -> float:
    """Randomized benchmarking: the decay of the survival over many random sequences."""
    dim = 2 if two is None else 4
    survival = []
    for length in lengths:
        rng = np.random.default_rng(length)
        circuits = [{"circuit": random_layers(length, two, rng)} for _ in range(20)]
        (program,) = read_circuits(circuits, gateset="native", qubits=2)
        survival.append(np.mean(sample(program, rates, keys_of(20, 20_000, length))[0] == 0))
    decay = np.log((np.array(survival) - 1 / dim) / (1 - 1 / dim))
    return float(np.exp(np.polyfit([0, *lengths], [0, *decay], 1)[0]))


@pytest.mark.parametrize("name", ["aria-1", "aria-2", "forte-1"])
def test_published_rates_are_recovered_by_randomized_benchmarking(name: str) -> None:
    model = NOISE_MODELS[name]
    rates = NoiseConfig(model.r1, model.r2)
    lengths = [2 * int(x / model.r1 / 2) for x in (0.2, 0.6, 1.2)]
    one = 1 - decay_per_layer(rates, None, lengths)
    assert one == pytest.approx(model.r1, rel=0.05)
    lengths = [2 * int(x / model.r2 / 2) for x in (0.2, 0.6, 1.2)]
    layer = decay_per_layer(rates, "zz" if "zz" in model.native_gates else "ms", lengths)
    # two pulses a layer; of the 15 Paulis on two qubits, 6 feel one of them and 9 both
    pulses = (6 * (1 - one) + 9 * (1 - one) ** 2) / 15
    assert 1 - layer / pulses == pytest.approx(model.r2, rel=0.05)


def test_readout_errors_flip_idle_qubits_too() -> None:
    (program,) = read_circuits([{"circuit": []}], gateset="native", qubits=3)
    (result,) = run(
        [program], SimulationOptions(NoiseConfig(0, 0, readout_error=0.1), shots=50_000), 1
    )
    shots = result.ordered_shots()
    assert len(shots) == 50_000
    for qubit in range(3):
        assert np.mean(shots >> qubit & 1) == pytest.approx(0.1, abs=0.01)


def test_wide_noisy_circuits_run_as_trajectories() -> None:
    gates = [{"gate": "gpi2", "target": q, "phase": 0.0} for q in range(12)]
    gates += [{"gate": "zz", "targets": [q, q + 1], "angle": 0.25} for q in range(11)]
    (program,) = read_circuits([{"circuit": gates}], gateset="native", qubits=12)
    (result,) = run([program], SimulationOptions(NoiseConfig(0.001, 0.01), shots=200), 1)
    assert result.weights.sum() == 200


def test_a_machines_noise_is_its_published_model_and_readout_error() -> None:
    assert noise_config("simulator", None) is None
    assert noise_config("simulator", {"model": "ideal"}) is None
    model = NOISE_MODELS["aria-1"]
    assert noise_config("simulator", {"model": "aria-1"}) == (model.r1, model.r2, 0.0, None)
    r1, r2, readout_error, _ = noise_config("qpu.forte-1", None) or (0, 0, 0, None)
    assert (r1, r2) == (NOISE_MODELS["forte-1"].r1, NOISE_MODELS["forte-1"].r2)
    assert readout_error == pytest.approx(1 - 0.9962)


@pytest.mark.parametrize(
    ("qubits", "gates", "channels"), [(1, 3, 3), (2, 1, 1), (3, 1, 6), (4, 1, 12), (2, 0, 0)]
)
def test_a_fused_gate_is_as_noisy_as_the_gates_it_is_priced_as(
    qubits: int, gates: int, channels: int
) -> None:
    gate = FusedGate("1q", (), (0,), tuple(range(1, qubits)), gates)
    single = 0.01 if qubits == 1 else 0.05
    found = channel_rate(gate, NoiseConfig(0.01, 0.05))
    assert found == pytest.approx(1 - (1 - single) ** channels)


def test_certain_readout_errors_invert_every_bit() -> None:
    read = np.arange(100, dtype=np.uint64).reshape(2, 50) % 8
    for rate, flipped in ((1.0, 7), (0.0, 0)):
        found = misread(read, keys_of(2, 50), 3, NoiseConfig(0, 0, rate))
        assert (found == read ^ np.uint64(flipped)).all()
