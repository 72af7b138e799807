"""Noise equals default.mixed, trajectories equal the density matrix, rates come out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.backends import NOISE_MODELS
from pennylane_qstore.emulator.simulation import noise
from pennylane_qstore.emulator.simulation.devices import gates_of
from pennylane_qstore.emulator.simulation.noise import NoiseConfig, density_probabilities, sample
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program


def random_program(seed: int, qubits: int = 3, rows: int = 2, gates: int = 12) -> Program:
    rng = np.random.default_rng(seed)
    circuits: list[dict[str, Any]] = [{"circuit": []} for _ in range(rows)]
    for _ in range(gates):
        name = str(rng.choice(["gpi", "gpi2", "gpi2", "ms", "zz"]))
        targets = rng.permutation(qubits)[: 2 if name in ("ms", "zz") else 1].tolist()
        for circuit in circuits:
            gate: dict[str, Any] = {"gate": name, "targets": targets}
            if name == "ms":
                gate |= {"phases": rng.uniform(-1, 1, 2).tolist(), "angle": rng.uniform(0, 0.25)}
            elif name == "zz":
                gate["angle"] = rng.uniform(-0.25, 0.25)
            else:
                gate["phase"] = rng.uniform(-1, 1)
            circuit["circuit"].append(gate)
    (program,) = read_circuits(circuits, gateset="native", qubits=qubits)
    return program


def random_qis_program(seed: int, qubits: int = 3, rows: int = 2, gates: int = 12) -> Program:
    rng = np.random.default_rng(seed)
    circuits: list[dict[str, Any]] = [{"circuit": []} for _ in range(rows)]
    fixed = ["x", "y", "z", "h", "s", "si", "t", "ti", "v", "vi"]
    for _ in range(gates):
        kind = rng.integers(5)
        a, b = rng.permutation(qubits)[:2].tolist()
        gate: dict[str, Any] = {"gate": str(rng.choice(fixed)), "target": a}
        if kind == 1:
            gate["control"] = b
        elif kind == 2:
            gate = {"gate": str(rng.choice(["rx", "ry", "rz", "z"])), "target": a, "rotation": 0}
            gate |= {"controls": [b]} if rng.random() < 0.5 else {}
        elif kind == 3:
            gate = {"gate": str(rng.choice(["xx", "yy", "zz"])), "targets": [a, b], "rotation": 0}
        elif kind == 4:
            gate = {"gate": "swap", "targets": [a, b]}
        for circuit in circuits:
            turned = {"rotation": rng.uniform(-4, 4)} if "rotation" in gate else {}
            circuit["circuit"].append(gate | turned)
    (program,) = read_circuits(circuits, gateset="qis", qubits=qubits)
    return program


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


def shares(counts: Any, qubits: int) -> np.ndarray:
    states, numbers = counts
    out = np.zeros(2**qubits)
    out[states.astype(int)] = numbers / numbers.sum()
    return out


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
    found = density_probabilities(program, rates)
    for row in range(program.rows):
        np.testing.assert_allclose(found[row], default_mixed(program, row, rates), atol=1e-9)


@pytest.mark.parametrize("large", [99, 1], ids=["side by side", "one by one on lightning"])
def test_trajectories_have_the_distribution_of_the_density_matrix(
    monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    program, rates = random_program(5), NoiseConfig(0.03, 0.1)
    expected = density_probabilities(program, rates)
    monkeypatch.setattr(noise, "DENSITY_MAX_QUBITS", 0)
    monkeypatch.setattr(noise, "LARGE", large)
    shots = 40_000 if large == 99 else 600
    found = sample(program, rates, shots, [np.random.default_rng(k) for k in (1, 2)])
    for counts, p in zip(found, expected, strict=True):
        assert counts[1].sum() == shots
        np.testing.assert_allclose(shares(counts, 3), p, atol=5 * np.sqrt(0.25 / shots))


def test_controlled_and_swapped_gates_have_noise_too() -> None:
    gates = [
        {"gate": "h", "target": 0},
        {"gate": "cnot", "control": 0, "target": 1},
        {"gate": "swap", "targets": [1, 2]},
        {"gate": "x", "target": 0, "controls": [1, 2]},
    ]
    (program,) = read_circuits([{"circuit": gates}], gateset="qis", qubits=3)
    clean = density_probabilities(program, NoiseConfig(0, 0))[0]
    noisy = density_probabilities(program, NoiseConfig(0.01, 0.05))[0]
    assert clean[1:].sum() + clean[0] == pytest.approx(1)
    assert np.abs(noisy - clean).max() > 0.02
    assert density_probabilities(program, NoiseConfig(1, 1))[0] == pytest.approx(np.full(8, 1 / 8))


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
        seeds = [np.random.default_rng([length, k]) for k in range(20)]
        counts = sample(program, rates, 20_000, seeds)
        survival.append(np.mean([shares(one, 2)[0] for one in counts]))
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


def test_probabilities_are_multiples_of_one_over_shots_and_seeded() -> None:
    program = random_program(3)
    options = SimulationOptions(NoiseConfig(0.01, 0.05), shots=137)
    first, again, other = (run([program], options, seed) for seed in (4, 4, 5))
    for one in first:
        scaled = np.array(list(one.probabilities().values())) * 137
        np.testing.assert_allclose(scaled, scaled.round(), atol=1e-9)
        assert one.weights.sum() == 137
    assert [r.probabilities() for r in first] == [r.probabilities() for r in again]
    assert [r.probabilities() for r in first] != [r.probabilities() for r in other]


def test_a_circuit_draws_the_same_whatever_is_in_the_job_beside_it() -> None:
    program = random_program(3, rows=3)
    alone = Program(
        program.gateset, program.qubits, program.gates, program.params[:1], program.index[:1]
    )
    options = SimulationOptions(NoiseConfig(0.01, 0.05), shots=100)
    assert (
        run([program], options, 9)[0].probabilities() == run([alone], options, 9)[0].probabilities()
    )


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
