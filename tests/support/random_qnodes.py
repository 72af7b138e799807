"""Random QNodes: any operation, measurement, wire label, batch; for comparing two devices."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml

LABELS = (
    tuple(range(5)),
    (3, 0, 4, 1, 2),
    ("a", "b", "aux", "d", "e"),
    (0, "one", 2.5, "ψ", -1),
)
CONSTANT = (qml.Hadamard, qml.X, qml.Y, qml.Z, qml.S, qml.T, qml.SX, qml.Identity)
ROTATIONS = (qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.U1)
PAIRS = (qml.CNOT, qml.CZ, qml.CY, qml.CH, qml.SWAP, qml.ISWAP, qml.SISWAP, qml.ECR)
PAIR_ROTATIONS = (
    *(qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.IsingXY, qml.CRX, qml.CRY, qml.CRZ),
    *(qml.ControlledPhaseShift, qml.PSWAP, qml.SingleExcitation, qml.SingleExcitationPlus),
    *(qml.SingleExcitationMinus, qml.FermionicSWAP),
)
PAULIS = (qml.X, qml.Y, qml.Z)
SPECIAL = (0.0, np.pi / 2, np.pi, -np.pi, 2 * np.pi, np.pi / 4, -3 * np.pi / 2)


@dataclass
class Case:
    """Everything a random QNode is made of.

    Args:
        seed: decides all of it.
        wires: labels.
        on_device: labels of the device, None for a device without wires.
        batch: size of the batch, or None.
        selective: whether there are mid-circuit measurements, and some are selected.
    """

    seed: int
    wires: tuple[Any, ...]
    on_device: tuple[Any, ...] | None
    batch: int | None
    measured: bool
    selective: bool
    operations: int

    @classmethod
    def of(cls, seed):
        rng = np.random.default_rng([seed, 1])
        labels = LABELS[rng.integers(len(LABELS))]
        wires = labels[: rng.integers(1, 5)]
        on_device = (None, wires, labels)[rng.integers(3)]
        batch = (None, None, 1, 3)[rng.integers(4)]
        measured = rng.random() < 0.25
        return cls(
            *(seed, wires, None if measured else on_device),
            *(
                batch,
                measured,
                measured and batch is None and rng.random() < 0.5,
                int(rng.integers(0, 13)),
            ),
        )

    def circuit(self, measure):
        """The quantum function; ``measure(case, rng, mid-circuit values)`` gives what it returns.

        Every call draws the same operations.
        """

        def function():
            rng = np.random.default_rng([self.seed, 2])
            draw = _Draw(rng, self.wires, self.batch)
            if rng.random() < 0.2:
                draw.state()
            values = []
            for _ in range(self.operations):
                draw.operation()
                if self.measured and len(values) < 2 and rng.random() < 0.4:
                    values.append(draw.mid_circuit(self.selective))
            if self.measured and not values:
                values.append(draw.mid_circuit(False))
            if self.batch is not None:
                draw.batched_rotation()
            return measure(self, np.random.default_rng([self.seed, 3]), values)

        return function


class _Draw:
    def __init__(self, rng, wires, batch):
        self.rng, self.wires, self.batch = rng, wires, batch

    def some(self, n):
        return [self.wires[i] for i in self.rng.permutation(len(self.wires))[:n]]

    def angle(self, may_be_batched=True):
        if may_be_batched and self.batch is not None and self.rng.random() < 0.3:
            return self.rng.uniform(-4, 4, self.batch)
        if self.rng.random() < 0.2:
            return float(self.rng.choice(SPECIAL))
        return float(self.rng.uniform(-7, 7))

    def state(self):
        n = len(self.wires)
        if self.rng.random() < 0.5:
            qml.BasisState(self.rng.integers(0, 2, n), wires=self.wires)
        else:
            state = self.rng.normal(size=2**n) + 1j * self.rng.normal(size=2**n)
            qml.StatePrep(state / np.linalg.norm(state), wires=self.wires)

    def batched_rotation(self):
        qml.RY(self.rng.uniform(-3, 3, self.batch), wires=self.some(1)[0])

    def mid_circuit(self, may_select):
        postselect = int(self.rng.integers(2)) if may_select and self.rng.random() < 0.7 else None
        wire = self.some(1)[0]
        if postselect is not None:
            qml.RY(1.1, wire)  # so that something is left
        value = qml.measure(wire, reset=bool(self.rng.integers(2)), postselect=postselect)
        qml.cond(value, qml.RX)(self.angle(), wires=self.some(1)[0])
        return value

    def operation(self):
        kinds = [self.constant, self.rotation, self.rotation, self.rot, self.unitary, self.changed]
        if len(self.wires) > 1:
            kinds += [self.pair, self.pair, self.pair_rotation, self.pair_rotation]
            kinds += [self.word, self.two_qubit_unitary, self.controlled]
        if len(self.wires) > 2:
            kinds += [self.three, self.many]
        kinds += [self.template]
        kinds[self.rng.integers(len(kinds))]()

    def constant(self):
        CONSTANT[self.rng.integers(len(CONSTANT))](wires=self.some(1)[0])

    def rotation(self):
        ROTATIONS[self.rng.integers(len(ROTATIONS))](self.angle(), wires=self.some(1)[0])

    def rot(self):
        kind = (qml.Rot, qml.U3)[self.rng.integers(2)]
        kind(self.angle(), self.angle(), self.angle(), wires=self.some(1)[0])

    def changed(self):
        wire = self.some(1)[0]
        (
            lambda: qml.adjoint(qml.T(wire)),
            lambda: qml.adjoint(qml.RX(self.angle(False), wire)),
            lambda: qml.pow(qml.RY(self.angle(False), wire), 2),
            lambda: qml.pow(qml.X(wire), 0.5),
            lambda: qml.exp(qml.Z(wire), 0.3j),
            lambda: qml.U2(self.angle(), self.angle(), wires=wire),
            lambda: qml.GlobalPhase(0.7, wires=wire),
            lambda: qml.Barrier(wires=self.wires),
        )[self.rng.integers(8)]()

    def pair(self):
        PAIRS[self.rng.integers(len(PAIRS))](wires=self.some(2))

    def pair_rotation(self):
        kind = PAIR_ROTATIONS[self.rng.integers(len(PAIR_ROTATIONS))]
        kind(self.angle(), wires=self.some(2))

    def word(self):
        n = int(self.rng.integers(1, len(self.wires) + 1))
        word = "".join(self.rng.choice(list("XYZ"), n))
        if self.rng.random() < 0.3:
            qml.MultiRZ(self.angle(), wires=self.some(n))
        else:
            qml.PauliRot(self.angle(), word, wires=self.some(n))

    def matrix(self, n):
        m = self.rng.normal(size=(2**n, 2**n)) + 1j * self.rng.normal(size=(2**n, 2**n))
        return np.linalg.qr(m)[0]

    def unitary(self):
        qml.QubitUnitary(self.matrix(1), wires=self.some(1)[0])

    def two_qubit_unitary(self):
        if self.rng.random() < 0.7:
            qml.QubitUnitary(self.matrix(2), wires=self.some(2))
        else:
            qml.DiagonalQubitUnitary(np.exp(1j * self.rng.uniform(-3, 3, 4)), wires=self.some(2))

    def controlled(self):
        control, target = self.some(2)
        value = bool(self.rng.integers(2))
        (
            lambda: qml.ctrl(qml.RY(self.angle(), target), control, control_values=[value]),
            lambda: qml.ctrl(qml.S(target), control, control_values=[value]),
            lambda: qml.CRot(self.angle(), self.angle(), self.angle(), wires=[control, target]),
            lambda: qml.ctrl(qml.adjoint(qml.SX(target)), control),
            lambda: qml.MultiControlledX(wires=[control, target], control_values=[value]),
            lambda: qml.ControlledQubitUnitary(self.matrix(1), wires=[control, target]),
        )[self.rng.integers(6)]()

    def three(self):
        a, b, c = self.some(3)
        (
            lambda: qml.Toffoli([a, b, c]),
            lambda: qml.CCZ([a, b, c]),
            lambda: qml.CSWAP([a, b, c]),
            lambda: qml.ctrl(qml.RX(self.angle(False), c), [a, b], control_values=[0, 1]),
            lambda: qml.MultiControlledX(wires=[a, b, c], control_values=[1, 0]),
        )[self.rng.integers(5)]()

    def many(self):
        wires = self.some(len(self.wires))
        (
            lambda: qml.QFT(wires=wires),
            lambda: qml.adjoint(qml.QFT(wires=wires)),
            lambda: qml.GroverOperator(wires=wires),
            lambda: qml.Permute(wires[::-1], wires=wires),
            lambda: qml.TrotterProduct(
                qml.dot([0.4, 0.7], [qml.X(wires[0]) @ qml.X(wires[1]), qml.Z(wires[2])]), 0.6
            ),
        )[self.rng.integers(5)]()

    def template(self):
        wires, n = self.some(len(self.wires)), len(self.wires)
        rows = () if self.batch is None or self.rng.random() < 0.5 else (self.batch,)
        weights = self.rng.uniform
        (
            lambda: qml.AngleEmbedding(
                weights(-3, 3, (*rows, n)), wires, rotation=str(self.rng.choice(list("XYZ")))
            ),
            lambda: qml.StronglyEntanglingLayers(weights(-3, 3, (*rows, 2, n, 3)), wires),
            lambda: qml.BasicEntanglerLayers(weights(-3, 3, (*rows, 2, n)), wires),
            lambda: qml.IQPEmbedding(weights(-3, 3, (*rows, n)), wires),
            lambda: qml.SimplifiedTwoDesign(
                weights(-3, 3, n), weights(-3, 3, (1, n - 1, 2)), wires
            ),
            lambda: qml.RandomLayers(weights(-3, 3, (1, 3)), wires, seed=5),
        )[self.rng.integers(6 if n > 1 else 4)]()


@qml.QueuingManager.stop_recording()
def word(case, rng, most=None):
    """A random Pauli word."""
    n = int(rng.integers(1, min(most or 4, len(case.wires)) + 1))
    wires = rng.permutation(len(case.wires))[:n]
    factors = [PAULIS[rng.integers(3)](case.wires[i]) for i in wires]
    return factors[0] if n == 1 else qml.prod(*factors)


@qml.QueuingManager.stop_recording()
def hermitian(case, rng):
    n = int(rng.integers(1, min(3, len(case.wires) + 1)))
    m = rng.normal(size=(2**n, 2**n)) + 1j * rng.normal(size=(2**n, 2**n))
    return qml.Hermitian(m + m.conj().T, wires=case.wires[:n])


@qml.QueuingManager.stop_recording()
def observable(case, rng):
    """Any observable that PennyLane can measure on default.qubit."""
    wire = case.wires[rng.integers(len(case.wires))]
    kind = rng.integers(9)
    if kind < 3:
        return word(case, rng)
    if kind == 3:
        return qml.dot(rng.normal(size=4), [word(case, rng) for _ in range(3)] + [qml.I(wire)])
    if kind == 4:
        return float(rng.normal()) * word(case, rng)
    if kind == 5:
        return hermitian(case, rng)
    if kind == 6:
        return qml.Projector([int(rng.integers(2))], wires=[wire])
    if kind == 7:
        return qml.Hadamard(wire)
    return qml.sum(word(case, rng), 0.3 * hermitian(case, rng))
