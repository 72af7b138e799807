"""Shots of tapes: those of a scope, and none where a backend samples."""

import pennylane as qml
import pytest
from pennylane.measurements import Shots
from pennylane.tape import QuantumScript

from pennylane_qstore.execution.tape_shots import with_any_shots, with_scope_shots
from pennylane_qstore.measurement.recipes import NotSupported


def tape(measurement=None, shots=None):
    return QuantumScript([qml.RX(0.4, 0)], [measurement or qml.expval(qml.Z(0))], shots=shots)


def test_without_a_scope_tapes_stay_what_they_are():
    tapes = (tape(), tape(shots=10))
    assert with_scope_shots(tapes, None) is tapes


def test_a_scope_sets_the_shots():
    found = with_scope_shots((tape(), tape(shots=10), tape(qml.counts(), shots=10)), Shots(60))
    assert [t.shots.total_shots for t in found] == [60, 60, 60]
    exact = with_scope_shots((tape(shots=10), tape(qml.counts(), shots=10)), Shots(None))
    assert [t.shots.total_shots for t in exact] == [None, 10]


def test_a_shot_vector_has_results_of_another_form():
    with pytest.raises(NotSupported, match="shot vector"):
        with_scope_shots((tape(shots=(10, 20)),), Shots(60))


def test_a_backend_that_samples_needs_shots():
    assert len(with_any_shots([tape(shots=10)] * 2, "it")) == 2
    with pytest.raises(NotSupported, match=r"shots=None.*with it"):
        with_any_shots([tape()], "it")
    with pytest.warns(UserWarning, match="run with 10 shots"):
        found = with_any_shots([tape(shots=10), tape()], "it")
    assert [t.shots.total_shots for t in found] == [10, 10]
