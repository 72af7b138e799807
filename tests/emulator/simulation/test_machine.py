"""Errors by qubit and pair equal default.mixed, on every engine, and are asked for by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power
from support.chi_square import fits, keys_of
from support.emulator_circuits import random_program, random_qis_program

from pennylane_qstore.emulator import Emulator, MachineNoise
from pennylane_qstore.emulator.simulation.devices import gates_of
from pennylane_qstore.emulator.simulation.engines import LIGHTNING, NUMPY, ROWS
from pennylane_qstore.emulator.simulation.machine import _drawn
from pennylane_qstore.emulator.simulation.noise import (
    NoiseConfig,
    density_probabilities,
    noise_config,
    noisy_gates,
    sample,
)
from pennylane_qstore.emulator.simulation.rows import load
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program

UNEVEN = MachineNoise(
    one_qubit=(0.0, 0.05),
    two_qubit=(0.0, 0.2),
    readout=(0.005, 0.1),
    over_rotation=(-0.1, 0.2),
    crosstalk=(0.01, 0.1),
    seed=3,
)
SILENT = MachineNoise(one_qubit=0.0, two_qubit=0.0)


def powered(op: Any, exponent: float) -> np.ndarray:
    """A power of a gate's matrix, with the angle of an interaction between -π and π."""
    if op.name in ("IsingXX", "IsingYY", "IsingZZ"):
        angle = (op.data[0] + np.pi) % (2 * np.pi) - np.pi
        return np.asarray(type(op)(angle * exponent, wires=op.wires).matrix())
    if op.name in ("MS", "ZZ"):
        *phases, angle = op.data
        return np.asarray(type(op)(*phases, angle * exponent, wires=op.wires).matrix())
    return np.asarray(fractional_matrix_power(op.matrix(), exponent))


def oracle(program: Program, row: int, noise: MachineNoise, places: list[int]) -> np.ndarray:
    """default.mixed with every error written out; qubit k of the program is places[k]."""
    rates_1q, rates_2q, excess, spill = (
        _drawn(figure, (noise.seed, k))
        for figure, k in (
            (noise.one_qubit, 0), (noise.two_qubit, 1), (noise.over_rotation, 3),
            (noise.crosstalk, 4),
        )
    )  # fmt: skip
    paulis = [qml.matrix(p(0)) for p in (qml.I, qml.X, qml.Y, qml.Z)]
    ops: list[Any] = []
    for op in gates_of(program, row):
        if len(op.wires) == 1:
            (q,) = op.wires
            ops += [op, qml.DepolarizingChannel(0.75 * rates_1q[places[q], places[q]], wires=q)]
            continue
        a, b = op.wires
        x, y = places[a], places[b]
        ops.append(qml.QubitUnitary(powered(op, 1 + excess[x, y]), wires=[a, b]))
        rate = rates_2q[x, y]
        kraus = [np.sqrt(rate / 16) * np.kron(p, q) for p in paulis for q in paulis]
        kraus[0] = np.sqrt(1 - 15 * rate / 16) * np.eye(4)
        ops.append(qml.QubitChannel(kraus, wires=[a, b]))
        first = [(x, (c, b), c) for c, z in enumerate(places) if abs(z - x) == 1 and z != y]
        second = [(y, (a, c), c) for c, z in enumerate(places) if abs(z - y) == 1 and z != x]
        # the emulator's gates have their targets first
        near = second + first if isinstance(op, qml.ops.Controlled) else first + second
        ops += [
            qml.QubitUnitary(powered(op, spill[place, places[c]]), wires=pair)
            for place, pair, c in near
        ]
    for q, place in enumerate(places):
        zero, one = noise.misread_rates(64)[:, place]
        kraus = [np.diag(np.sqrt([1 - zero, 1 - one]))]
        kraus += [
            np.sqrt(zero) * np.array([[0, 0], [1, 0]]),
            np.sqrt(one) * np.array([[0, 1], [0, 0]]),
        ]
        ops.append(qml.QubitChannel(kraus, wires=q))
    tape = qml.tape.QuantumScript(ops, [qml.probs(wires=range(program.qubits)[::-1])])
    (result,) = qml.execute([tape], qml.device("default.mixed", wires=program.qubits))
    return np.asarray(result)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([random_program, random_qis_program]),
    st.integers(0, 2**32),
    st.permutations(range(6)),
)
def test_coherent_errors_and_uneven_rates_equal_default_mixed(
    make: Callable[[int], Program], seed: int, order: list[int]
) -> None:
    program, places = make(seed), sorted(order[:3])
    noise = MachineNoise(
        one_qubit=(0, 0.05), two_qubit=(0, 0.2), readout=0, over_rotation=(-0.1, 0.2),
        crosstalk=(0.01, 0.1), seed=seed % 100,
    )  # fmt: skip
    fused, rates = noisy_gates(program, NoiseConfig(0.5, 0.5, 0.0, noise), places)
    found = density_probabilities(fused, 3, rates, program.rows)
    for row in range(program.rows):
        np.testing.assert_allclose(found[row], oracle(program, row, noise, places), atol=1e-9)


@pytest.mark.parametrize("engine", [None, NUMPY, LIGHTNING, ROWS])
@pytest.mark.parametrize("make", [random_program, random_qis_program])
def test_every_engine_draws_from_the_same_distribution(make: Any, engine: str | None) -> None:
    if engine == ROWS and load() is None:
        pytest.skip("needs Numba")
    program = make(5)
    options = SimulationOptions(
        NoiseConfig(0, 0, machine=UNEVEN), 800 if engine == LIGHTNING else 40_000, engine
    )
    for row, result in enumerate(run([program], options, 4)):
        counts = np.zeros(8, int)
        counts[result.states.astype(int)] = result.weights
        assert fits(counts, oracle(program, row, UNEVEN, [0, 1, 2]))


def test_wide_circuits_have_them_too() -> None:
    gates: list[Any] = [{"gate": "gpi2", "target": q, "phase": 0.0} for q in range(11)]
    gates += [{"gate": "zz", "targets": [q, q + 1], "angle": 0.125} for q in range(10)]
    gates += [{"gate": "gpi2", "target": q, "phase": 0.0} for q in range(11)]
    (program,) = read_circuits([{"circuit": gates}], gateset="native", qubits=11)
    keys = keys_of(1, 4_000)
    plain, _ = sample(program, NoiseConfig(0, 0, machine=SILENT), keys)
    turned = MachineNoise(one_qubit=0, two_qubit=0, over_rotation=1.0)
    found, _ = sample(program, NoiseConfig(0, 0, machine=turned), keys)
    assert abs(np.mean(plain & 1) - np.mean(found & 1)) > 0.3


def test_ranges_are_drawn_by_qubit_and_pair_and_a_seed_is_a_machine() -> None:
    here, again = (MachineNoise(two_qubit=(0.01, 0.03), seed=1) for _ in range(2))
    pairs = [here.depolarizing([0, q]) for q in range(1, 10)]
    assert len(set(pairs)) == 9
    assert all(0.01 <= rate <= 0.03 for rate in pairs)
    assert pairs == [again.depolarizing([q, 0]) for q in range(1, 10)]
    assert pairs != [
        MachineNoise(two_qubit=(0.01, 0.03), seed=2).depolarizing([0, q]) for q in range(1, 10)
    ]
    assert pickle.loads(pickle.dumps(here)) == here
    assert here.depolarizing([4]) is None


def test_zeros_and_ones_are_misread_by_rates_of_their_own() -> None:
    noise = MachineNoise(one_qubit=0, two_qubit=0, readout=(0.0, 0.3), seed=2)
    gates = [{"gate": "gpi", "target": 1, "phase": 0.0}]
    (program,) = read_circuits([{"circuit": gates}], gateset="native", qubits=2)
    (result,) = run([program], SimulationOptions(NoiseConfig(0, 0, machine=noise), 100_000), 1)
    zero, one = noise.misread_rates(2)
    expected = np.outer([1 - one[1], one[1]][::-1], [1 - zero[0], zero[0]]).ravel()
    counts = np.zeros(4, int)
    counts[result.states.astype(int)] = result.weights
    assert fits(counts, expected)


def test_crosstalk_is_off_by_default_and_reaches_neighbours_only() -> None:
    gates = [{"gate": "gpi2", "target": q, "phase": 0.25} for q in range(4)]
    gates += [{"gate": "zz", "targets": [0, 1], "angle": 0.25}]
    (program,) = read_circuits([{"circuit": gates}], gateset="native", qubits=4)
    assert len(noisy_gates(program, NoiseConfig(0, 0, machine=SILENT))[0]) == 5
    noise = MachineNoise(crosstalk=0.05)
    fused, _ = noisy_gates(program, NoiseConfig(0, 0, machine=noise), range(4))
    assert [gate.qubits for gate in fused[5:]] == [(0, 2)]
    apart, _ = noisy_gates(program, NoiseConfig(0, 0, machine=noise), (0, 4, 8, 12))
    assert len(apart) == 5


def test_ideal_jobs_stay_ideal_and_machines_take_their_noise() -> None:
    assert noise_config("simulator", None, UNEVEN) is None
    for backend, model in (("simulator", {"model": "forte-1"}), ("qpu.forte-1", None)):
        config = noise_config(backend, model, UNEVEN)
        assert config is not None
        assert config.machine is UNEVEN


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"readout": 2}, "readout=2 is not allowed. Allowed: a number from 0 to 1"),
        ({"readout": (0.2, 0.1)}, "a range"),
        ({"over_rotation": -3}, "a number from -1 to 1"),
        ({"over_rotation": None}, "over_rotation=None"),
        ({"crosstalk": True}, "crosstalk=True"),
        ({"seed": -1}, "seed"),
        ({"readuot": 0.1}, "readout"),
        (5, "machine_noise=5"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Emulator(machine_noise=settings)
    assert message in str(error.value)
