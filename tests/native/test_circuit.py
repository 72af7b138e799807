"""Compiled circuits: published figures, and other forms of the same circuit."""

import pennylane as qml
import pytest

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.backends import BACKENDS, Backend
from pennylane_qstore.errors import ConfigurationError


def test_duration_and_fidelity_follow_published_figures():
    tape = qml.tape.QuantumScript([qml.RX(0.3, 0), qml.IsingXX(0.5, [0, 1]), qml.RX(0.4, 2)])
    circuit = IonQNativeGateCompiler("ms", absorb=False).compile(tape)
    backend = BACKENDS["qpu.aria-1"]
    timing, fidelity = backend.timing, backend.fidelity
    assert circuit.n_2q == 1
    path = timing.reset_s + timing.two_qubit_s + 2 * timing.one_qubit_s + timing.readout_s
    assert circuit.duration(backend) == pytest.approx(path)
    want = fidelity.one_qubit**circuit.n_1q * fidelity.two_qubit * fidelity.spam**3
    assert circuit.fidelity_estimate(backend) == pytest.approx(want)
    assert circuit.duration("qpu.aria-1") == circuit.duration(backend)
    assert circuit.fidelity_estimate("qpu.aria-1") == circuit.fidelity_estimate(backend)


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("simulator", "No .* is published"),
        (BACKENDS["simulator"], "No .* is published"),
        ("forte-1", "Did you mean 'qpu.forte-1'"),
        ("qpu.forte-1", "no gate 'ms', only gpi, gpi2, zz; compile with two_qubit='zz'"),
        (Backend("qpu.new-1", 2, ()), "qpu.new-1 has no gate 'ms', only abstract ones."),
        (None, "None is not a backend"),
    ],
)
def test_a_backend_that_cannot_be_told_anything_about_is_refused(backend, message):
    tape = qml.tape.QuantumScript([qml.IsingXX(0.5, [0, 1])])
    circuit = IonQNativeGateCompiler("ms", absorb=False).compile(tape)
    for method in (circuit.duration, circuit.fidelity_estimate):
        with pytest.raises(ConfigurationError, match=message):
            method(backend)
