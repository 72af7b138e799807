"""A job's distributions: order, seeds, marginals and single shots."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_circuits import random_program, read

from pennylane_qstore.emulator.simulation import rows
from pennylane_qstore.emulator.simulation.engines import ROWS
from pennylane_qstore.emulator.simulation.noise import NoiseConfig
from pennylane_qstore.emulator.simulation.rows import load
from pennylane_qstore.emulator.simulation.run import Distribution, SimulationOptions, run
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program


def test_twenty_qubits() -> None:
    gates = [{"gate": "h", "target": 0}]
    gates += [{"gate": "cnot", "control": q, "target": q + 1} for q in range(19)]
    (result,) = run([read(gates, "qis", 20)], SimulationOptions(), 0)
    assert result.probabilities() == pytest.approx({"0": 0.5, str(2**20 - 1): 0.5})


def test_a_circuit_without_gates_gives_zero() -> None:
    (result,) = run([read([], "qis", 3)], SimulationOptions(), 0)
    assert result.probabilities() == {"0": 1.0}


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


@pytest.mark.skipif(load() is None, reason="needs Numba")
def test_a_seed_draws_the_same_shots_with_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = random_program(3, rows=40)
    options = SimulationOptions(NoiseConfig(0.01, 0.05), shots=90, simulator=ROWS)
    monkeypatch.setattr(rows, "_THREADED", 0)

    def drawn(threads: int) -> list[tuple[list[int], list[int]]]:
        monkeypatch.setattr(rows.os, "cpu_count", lambda: threads)
        results = run([program], options, 7)
        assert {result.engine for result in results} == {ROWS}
        return [(result.states.tolist(), result.weights.tolist()) for result in results]

    assert drawn(1) == drawn(2) == drawn(5)


def test_a_circuit_draws_the_same_whatever_is_in_the_job_beside_it() -> None:
    program = random_program(3, rows=3)
    alone = Program(
        program.gateset, program.qubits, program.gates, program.params[:1], program.index[:1]
    )
    options = SimulationOptions(NoiseConfig(0.01, 0.05), shots=100)
    assert (
        run([program], options, 9)[0].probabilities() == run([alone], options, 9)[0].probabilities()
    )


def test_results_come_by_program_and_row_whatever_the_order_in_the_job() -> None:
    flips = [{"circuit": [{"gate": "x", "target": q}]} for q in (0, 1, 0)]
    programs = read_circuits(flips, gateset="qis", qubits=2)
    assert [program.index.tolist() for program in programs] == [[0, 2], [1]]
    results = run(programs, SimulationOptions(), 0)
    assert [result.probabilities() for result in results] == [{"1": 1.0}, {"1": 1.0}, {"2": 1.0}]


def test_without_noise_shots_are_exact_probabilities() -> None:
    (result,) = run([read([{"gate": "h", "target": 0}], "qis", 1)], SimulationOptions(shots=7), 0)
    assert result.shots is None
    assert result.probabilities() == pytest.approx({"0": 0.5, "1": 0.5})


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.integers(0, 31), st.integers(1, 50), min_size=1), st.integers(0, 99))
def test_single_shots_add_up_to_the_counts(weights: dict[int, int], seed: int) -> None:
    states = np.array(sorted(weights), dtype=np.uint64)
    counts = np.array([weights[s] for s in sorted(weights)], dtype=np.int64)
    one = Distribution(states, counts, int(counts.sum()), 5, seed)
    assert Counter(one.ordered_shots().tolist()) == weights
    assert one.ordered_shots().tolist() == one.ordered_shots().tolist()
    low = Counter(one.ordered_shots(2).tolist())
    marginal = one.first(2)
    assert dict(zip(marginal.states.tolist(), marginal.weights.tolist(), strict=True)) == low
    assert marginal.shots == one.shots


def test_the_likeliest_outcomes_are_kept_in_order() -> None:
    states = np.arange(4, dtype=np.uint64)
    one = Distribution(states, np.array([0.1, 0.4, 0.2, 0.3]), None, 2, 0)
    assert one.likeliest(2).probabilities() == {"1": 0.4, "3": 0.3}
    assert one.likeliest(9) is one


def test_a_marginal_of_all_qubits_is_the_distribution_itself() -> None:
    one = Distribution(np.zeros(1, np.uint64), np.ones(1), None, 2, 0)
    assert one.first(2) is one
