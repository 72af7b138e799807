"""Drawings show what a call would send, and send nothing."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.drawing import draw, draw_mpl
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import ConfigurationError


def qnode_on(device, **options):
    @qml.qnode(device, **options)
    def circuit(x):
        qml.RX(x, 0)
        qml.RY(0.4, 1)
        qml.IsingXX(0.5, [0, 1])
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1))

    return circuit


def test_the_drawing_follows_the_device_and_sends_nothing():
    device = qml.device("qstore.ionq", wires=2, two_qubit="ms")
    text = draw(qnode_on(device))(0.3)
    assert text.startswith("1 circuit for simulator, gateset native\n")
    assert "circuit 1 of 1: 1 two-qubit gate" in text
    assert "MS(" in text
    assert "GPI2(" in text
    assert "0.080" in text  # 0.5 radians are 0.080 turns
    assert device.stats["jobs"] == 0


def test_every_basis_and_every_element_of_a_batch_is_a_circuit():
    device = qml.device("qstore.ionq", wires=2)

    @qml.qnode(device)
    def circuit(x):
        qml.RX(x, 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(0)), qml.expval(qml.X(0))

    text = draw(circuit, max_circuits=3)(np.array([0.1, 0.2]))
    assert text.startswith("4 circuits")
    assert "circuit 3 of 4" in text
    assert "circuit 4 of 4" not in text
    assert text.endswith("... and 1 more")


def test_abstract_gates_and_other_devices_are_drawn():
    text = draw(qnode_on(qml.device("qstore.ionq", wires=2, gateset="qis")))(0.3)
    assert "gateset qis" in text
    assert "RX" in text
    assert "ZZ(" in draw(qnode_on(qml.device("default.qubit")))(0.3)


def test_a_figure_of_one_circuit():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    circuit = qnode_on(qml.device("qstore.ionq", wires=2))
    figure, axes = draw_mpl(circuit)(0.3)
    assert axes.get_title().startswith("circuit 1 of 1")
    matplotlib.pyplot.close(figure)
    with pytest.raises(ConfigurationError, match="1 circuit"):
        draw_mpl(circuit, circuit=3)(0.3)


def test_what_is_no_qnode_is_refused():
    with pytest.raises(ConfigurationError, match="is not a QNode"):
        draw(lambda x: x)(0.3)


def test_a_machine_is_asked_for_what_it_promises():
    with Emulator(seed=1) as emulator:
        paid = {"backend": "qpu.forte-1", "base_url": emulator.url, "api_key": "k"}
        device = qml.device("qstore.ionq", wires=2, **paid)
        text = draw(qml.set_shots(qnode_on(device), 100))(0.3)
        figures = device.characterization()
        assert figures.predicted(4, 1, 2).partition("fidelity")[0] in text
        assert emulator.stats()["posts"] == 0


def test_a_service_that_does_not_tell_leaves_the_prediction_unknown():
    faults = [Fault("status", "any", status=404, times=None)]
    with Emulator(faults=faults) as emulator:
        paid = {"backend": "qpu.forte-1", "base_url": emulator.url, "api_key": "k"}
        text = draw(qml.set_shots(qnode_on(qml.device("qstore.ionq", wires=2, **paid)), 9))(0.3)
    assert "predicted for qpu.forte-1 (date unknown), not measured: fidelity unknown" in text


def test_noise_models_stand_for_their_machines_and_simulators_for_none():
    noisy = qml.device("qstore.ionq", wires=2, noise_model="forte-1")
    assert "predicted for qpu.forte-1 (" in draw(qml.set_shots(qnode_on(noisy), 10))(0.3)
    ideal = qml.device("qstore.ionq", wires=2)
    assert "predicted" not in draw(qnode_on(ideal))(0.3)
    with pytest.raises(ConfigurationError, match=r"qpu\.forte-1"):
        ideal.characterization()
    assert ideal.characterization("qpu.aria-1").two_qubit == 0.996
