"""From outcomes to results in PennyLane's order and shape."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.measurement.outcomes import Outcomes
from pennylane_qstore.measurement.plan import analyse
from pennylane_qstore.measurement.recipes import NotSupported, Postselected
from pennylane_qstore.measurement.results import results

WIRES = {0: 0, 1: 1}


def outcomes(rows, shots=None, seed=0):
    """Outcomes of two wires from one mapping of bits to weight per row."""
    entries = [(i, bits, weight) for i, row in enumerate(rows) for bits, weight in row.items()]
    return Outcomes(
        (0, 1),
        len(rows),
        np.array([i for i, _, _ in entries], dtype=int),
        np.array([[int(b) for b in bits] for _, bits, _ in entries], dtype=np.uint8),
        np.array([weight for *_, weight in entries], dtype=float),
        shots,
        np.random.default_rng(seed),
    )


def result_of(measurements, rows, shots=None, batched=False):
    plan = analyse(measurements, WIRES, finite=shots is not None)
    tape = qml.tape.QuantumScript([], measurements, shots=shots)
    total = tape.shots.total_shots
    one = outcomes(rows, total)
    return results(plan, [one] * len(plan.bases), tape, batched=batched)


BELL = {"00": 0.5, "11": 0.5}
FLIPPED = {"01": 0.25, "11": 0.75}


def test_expectation_variance_and_probabilities():
    measurements = [qml.expval(qml.Z(0)), qml.var(qml.Z(0)), qml.probs(wires=[1, 0])]
    mean, variance, probabilities = result_of(measurements, [FLIPPED])
    assert mean == pytest.approx(0.25 - 0.75)
    assert variance == pytest.approx(1 - 0.25)
    np.testing.assert_allclose(probabilities, [0, 0, 0.25, 0.75])


def test_rows_are_the_leading_dimension():
    mean, probabilities = result_of(
        [qml.expval(qml.Z(0) @ qml.Z(1)), qml.probs(wires=0)], [BELL, FLIPPED], batched=True
    )
    np.testing.assert_allclose(mean, [1.0, -0.25 + 0.75])
    np.testing.assert_allclose(probabilities, [[0.5, 0.5], [0.25, 0.75]])


def test_a_shot_vector_gives_a_result_for_each_part():
    counts = [{"00": 6, "11": 4}]
    parts = result_of([qml.counts(wires=[0, 1])], counts, shots=(3, 7))
    assert [sum(part.values()) for part in parts] == [3, 7]
    joined = {bits: sum(part.get(bits, 0) for part in parts) for bits in ("00", "11")}
    assert joined == {"00": 6, "11": 4}


@given(st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any))
def test_samples_have_the_multiplicities_of_the_counts(numbers):
    counts = {f"{i:02b}": n for i, n in enumerate(numbers) if n}
    shots = sum(numbers)
    samples = result_of([qml.sample(wires=[0, 1])], [counts], shots=shots)
    rows = np.reshape(samples, (shots, 2))
    seen = ["".join(map(str, row)) for row in rows.tolist()]
    assert {bits: seen.count(bits) for bits in set(seen)} == counts


def test_measurements_of_one_basis_share_their_samples():
    bits, values = result_of(
        [qml.sample(wires=[0, 1]), qml.sample(qml.Z(0))], [{"00": 3, "10": 5}], shots=8
    )
    np.testing.assert_array_equal(values, 1 - 2 * bits[:, 0])


def test_postselection_renormalises():
    mean = result_of([qml.expval(qml.Z(0)), Postselected([1], [1])], [FLIPPED | {"00": 1.0}])
    assert mean == pytest.approx(0.25 - 0.75)


def test_nothing_selected_is_not_a_number():
    mean = result_of([qml.expval(qml.Z(0)), Postselected([1], [0])], [FLIPPED])
    assert np.isnan(mean)


def test_rows_that_keep_different_numbers_of_shots_have_no_samples():
    rows = [{"00": 4, "11": 6}, {"00": 9, "11": 1}]
    with pytest.raises(NotSupported, match="rows keep different numbers of shots"):
        result_of([qml.sample(wires=0), Postselected([1], [1])], rows, shots=10, batched=True)


def test_counts_of_all_outcomes_have_zeros():
    counts = result_of([qml.counts(wires=[0, 1], all_outcomes=True)], [{"00": 10}], shots=10)
    assert counts == {"00": 10, "01": 0, "10": 0, "11": 0}
