"""Gates of operations are found by probing, and what depends on its values otherwise is refused."""

import numpy as np
import pennylane as qml
import pytest
from support.circuits import Cosine, Polynomial

from pennylane_qstore.native.frontend.affine_fit import structure_key
from pennylane_qstore.native.frontend.operation_fit import NotFitted, Probes, parameter_count

WIRES = {i: i for i in range(4)}


class Branching(Polynomial):
    """Its gates depend on where its values are."""

    def decomposition(self):
        return super().decomposition()[: 1 + (self.data[0] > 0.8)]


def test_an_angle_of_one_parameter_each_takes_few_expansions(monkeypatch):
    op = qml.ArbitraryUnitary(np.ones(63), range(3))
    expanded = []
    expansion = type(op).decomposition
    monkeypatch.setattr(
        type(op), "decomposition", lambda self: expanded.append(1) or expansion(self)
    )
    fit = Probes(op, WIRES).fit()
    assert {len(a.terms) for gate in fit.gates for a in gate.angles} <= {0, 1}
    assert len(expanded) < 10


def test_polynomials_have_products():
    fit = Probes(Polynomial(0.3, -1.2, 0, [0, 1]), WIRES).fit()
    assert set(fit.products) == {(0, 1), (0, 0)}
    (angle,) = fit.gates[0].angles
    a, b = 0.7, -0.4
    row = np.array([[a, b, *(np.prod([(a, b)[i] for i in m]) for m in fit.products)]])
    assert angle.at(row)[0] == pytest.approx(0.5 * a * b + a**2 - b + 1.5)


@pytest.mark.parametrize("kind", [Cosine, Branching])
def test_gates_that_depend_on_the_values_are_refused(kind):
    with pytest.raises(NotFitted):
        Probes(kind(0.3, 0.4, 0, [0, 1]), WIRES).fit()


def test_an_operator_that_keeps_values_of_its_own_is_refused():
    """A generator's coefficients are no parameters of an Evolution: they would be forgotten."""
    with pytest.raises(NotFitted):
        Probes(qml.evolve(0.5 * qml.X(0) @ qml.X(1), 0.5), WIRES).fit()
    assert structure_key(qml.evolve(qml.X(0) @ qml.X(1), 0.5), WIRES) is not None


def test_special_values_that_come_first_keep_no_template_from_the_others():
    """PennyLane leaves out a rotation by zero."""
    for angles in ([0, 1 / 3, 2 / 3, 1], [0.1, 0.5, -0.4, 1.1]):
        assert structure_key(qml.SelectPauliRot(np.array(angles), [0, 1], 2), WIRES) is not None


def test_parameters_are_counted_without_the_batch():
    assert parameter_count(qml.AngleEmbedding(np.ones((5, 3)), range(3))) == 3
