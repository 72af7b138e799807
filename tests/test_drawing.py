"""Drawings show what a call would send, and send nothing."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.drawing import draw, draw_mpl
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
