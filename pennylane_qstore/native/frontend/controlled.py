r"""Rotations under several controls, by gates whose angles are multiples of the rotation's.

PennyLane decomposes them by their matrices: other gates for every angle, so that no template
fits. Here the structure stays the same. With a Pauli string P and controls that are all to be
1, :math:`C^nR_P(\theta)` is the product of :math:`\exp(-i\frac{\theta}{2}
\frac{(-1)^{|S|}}{2^n} Z_S P)` over all sets S of controls, since
:math:`|1\rangle\langle 1| = (1-Z)/2`; a control that is to be 0 has no sign. For more controls
than that pays for, :math:`R(\theta) = R(\theta/2)\, X\, R(-\theta/2)\, X` with controlled X
(Barenco et al., quant-ph/9503016, lemmas 5.1 and 7.9).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.op_math import Controlled, ControlledOp

_MOST = 3
"""Controls up to which all products are written out: 2^n of them."""

_WORDS: Mapping[type, str] = {
    qml.RX: "X",
    qml.RY: "Y",
    qml.RZ: "Z",
    qml.IsingXX: "XX",
    qml.IsingYY: "YY",
    qml.IsingZZ: "ZZ",
}
"""Rotations exp(-iθ/2 P) and their P."""


def controlled(op: Controlled) -> list[Operator] | None:
    """Return gates of a controlled rotation, angles linear in its parameters; None for others."""
    if type(op) not in (Controlled, ControlledOp):
        return None
    base = op.base
    if not op.control_wires:
        return [base]
    signs = dict(zip(op.control_wires, (-1 if v else 1 for v in op.control_values), strict=True))
    if isinstance(base, qml.PhaseShift):
        return list(_phase(base.data[0], signs, base.wires[0]))
    if isinstance(base, qml.Rot):
        return list(_euler(base, signs))
    word = _word(base)
    if word is None:
        return None
    if len(signs) <= _MOST:
        return list(_products(base.data[0], word, list(base.wires), signs))
    if len(word) == 1:
        return list(_halves(type(base), base.data[0], base.wires[0], signs))
    return None


def double_excitation(op: Operator) -> list[Operator]:
    """Return gates of DoubleExcitationPlus or Minus, for which PennyLane has a matrix only.

    They are a DoubleExcitation and, up to a global phase, exp(∓iφ/2 Π) with Π on |0011⟩ and
    |1100⟩: an eighth of all products of an even number of Z.
    """
    (angle,) = op.data
    sign = 1 if isinstance(op, qml.DoubleExcitationPlus) else -1
    signs = dict(zip(op.wires, (1, 1, -1, -1), strict=True))
    return [
        qml.DoubleExcitation(angle, op.wires),
        *(
            qml.MultiRZ(angle * (sign * _sign(some, signs) / 8), some)
            for some in _subsets(signs)
            if some and len(some) % 2 == 0
        ),
    ]


def _word(base: Operator) -> str | None:
    if isinstance(base, qml.MultiRZ):
        return "Z" * len(base.wires)
    if isinstance(base, qml.PauliRot):
        return str(base.hyperparameters["pauli_word"])
    return _WORDS.get(type(base))


def _products(
    angle: Any, word: str, wires: Sequence[Any], signs: Mapping[Any, int]
) -> Iterator[Operator]:
    for some in _subsets(signs):
        part = angle * (_sign(some, signs) / 2 ** len(signs))
        yield qml.PauliRot(part, "Z" * len(some) + word, [*some, *wires])


def _phase(angle: Any, signs: Mapping[Any, int], target: Any) -> Iterator[Operator]:
    """exp(iθ |1…1⟩⟨1…1|) by products of Z; the one on no wire is a global phase."""
    *others, last = signs
    if len(signs) < _MOST:
        every = {**signs, target: -1}
        for some in _subsets(every):
            if some:
                yield qml.MultiRZ(angle * (-_sign(some, every) / 2 ** len(signs)), some)
        return
    # exp(iθ Π⊗|1⟩⟨1|) = exp(-iθ/2 Π⊗Z) · exp(iθ/2 Π), with Π on the controls.
    yield from _halves(qml.RZ, angle, target, signs)
    flip = [qml.X(last)] if signs[last] > 0 else []
    yield from flip
    yield from _phase(angle / 2, {wire: signs[wire] for wire in others}, last)
    yield from flip


def _halves(kind: type, angle: Any, target: Any, signs: Mapping[Any, int]) -> Iterator[Operator]:
    """R(θ/2) X R(-θ/2) X, the X controlled; RX between Hadamards, since X would not turn it."""
    around = [qml.Hadamard(target)] if kind is qml.RX else []
    turn = qml.RZ if kind is qml.RX else kind
    yield from around
    yield _flipped(target, signs)
    yield turn(-angle / 2, target)
    yield _flipped(target, signs)
    yield turn(angle / 2, target)
    yield from around


def _euler(base: Operator, signs: Mapping[Any, int]) -> Iterator[Operator]:
    """A X B X C with A B C = 1 and A X B X C = RZ(ω) RY(θ) RZ(φ)."""
    phi, theta, omega = base.data
    (target,) = base.wires
    yield qml.RZ((phi - omega) / 2, target)
    yield _flipped(target, signs)
    yield qml.RZ(-(phi + omega) / 2, target)
    yield qml.RY(-theta / 2, target)
    yield _flipped(target, signs)
    yield qml.RY(theta / 2, target)
    yield qml.RZ(omega, target)


def _flipped(target: Any, signs: Mapping[Any, int]) -> Operator:
    values = [sign < 0 for sign in signs.values()]
    return qml.MultiControlledX([*signs, target], control_values=values)


def _subsets(signs: Mapping[Any, int]) -> Iterator[list[Any]]:
    for count in range(len(signs) + 1):
        yield from (list(some) for some in itertools.combinations(signs, count))


def _sign(some: Sequence[Any], signs: Mapping[Any, int]) -> int:
    sign = 1
    for wire in some:
        sign *= signs[wire]
    return sign
