"""Analysis of a tape's measurements: bases to run, and how results follow from them.

Pauli words share a basis where they commute qubit by qubit; other observables are diagonalised.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.measurements import (
    CountsMP,
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    SampleMeasurement,
    SampleMP,
    VarianceMP,
)
from pennylane.operation import Operator
from pennylane.ops import LinearCombination, Prod, SProd, Sum
from pennylane.ops.qubit.observables import BasisStateProjector
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.measurement.observables import (
    check_products,
    eigenbasis_gates,
    matrix_of,
    not_hermitian,
    pauli_letters,
    real_coefficient,
)
from pennylane_qstore.measurement.recipes import (
    Basis,
    Factor,
    Label,
    Labels,
    NotSupported,
    Plan,
    Postselected,
    Product,
    Recipe,
    StandardErrorMP,
    Term,
    joined,
)
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.program import Gate, bind_constants
from pennylane_qstore.native.frontend.structure import extract_structure

_MAX_EIGEN_WIRES = 6
"""Observables on more wires are not diagonalised as a matrix."""


def analyse(
    measurements: Sequence[MeasurementProcess], wires: Mapping[Any, int], finite: bool
) -> Plan:
    """Return bases and recipes for a tape's measurements.

    Args:
        measurements: of one tape.
        wires: index of each wire label.
        finite: whether the tape has shots.

    Returns:
        The plan.

    Raises:
        NotSupported: a measurement this device cannot do.
    """
    return _Analysis(wires, finite).run(measurements)


class _Draft(NamedTuple):
    """A recipe before its terms have bases; ``joint`` are labels of one that serves them all."""

    recipe: Recipe
    products: Sequence[Product] = ()
    squared: Sequence[Product] = ()
    joint: Labels | None = None


class _Analysis:
    def __init__(self, wires: Mapping[Any, int], finite: bool) -> None:
        self.wires = wires
        self.finite = finite
        self.wanted: list[Labels] = []
        self.gates: dict[Hashable, tuple[Gate, ...]] = {}
        self.selected: dict[int, int] = {}
        self.fill = False

    def run(self, measurements: Sequence[MeasurementProcess]) -> Plan:
        drafts = [self._draft(m) for m in measurements]
        bases, index = self._bases()
        recipes = []
        for draft in drafts:
            joint = None if draft.joint is None else index[draft.joint]
            recipes.append(
                draft.recipe._replace(
                    basis=joint or 0,
                    terms=_placed(draft.products, index, joint),
                    squared=_placed(draft.squared, index),
                )
            )
        return Plan(bases, tuple(recipes), tuple(self.selected.items()), self.fill)

    def _draft(self, m: MeasurementProcess) -> _Draft:
        kind = type(m)
        if isinstance(m, Postselected):
            self.selected.update(zip((self.wires[w] for w in m.wires), m.values, strict=True))
            self.fill = self.fill or m.fill
            return _Draft(Recipe("selected", m))
        if isinstance(m, StandardErrorMP):
            draft = self._draft(m.measured)
            recipe = draft.recipe._replace(kind=f"{draft.recipe.kind} error", measurement=m)
            return draft._replace(recipe=recipe)
        known = kind in (ExpectationMP, VarianceMP, ProbabilityMP, SampleMP, CountsMP)
        if not known and not isinstance(m, SampleMeasurement):
            raise NotSupported(
                f"Measurement {m} not accepted with finite shots on qstore.ionq, and "
                f"{kind.__name__} is not supported on qstore.ionq without shots either: a "
                "quantum computer does not return states. Supported: expval, var, probs, "
                "sample, counts."
            )
        if not self.finite and (not known or kind in (SampleMP, CountsMP)):
            raise NotSupported(
                f"Measurement {m} not accepted for analytic simulation on qstore.ionq: not "
                "supported on qstore.ionq without shots. Give the QNode shots: "
                "qml.set_shots(qnode, shots=1000)."
            )
        if m.obs is None:
            return self._wires_draft(m)
        if kind is ProbabilityMP:
            return self._probs_of(m)
        products, constant = self._sum_of(m.obs)
        if kind is ExpectationMP:
            self.wanted += [p.labels for p in products if p.factors]
            return _Draft(Recipe("expval", m, constant=constant), products)
        joint = joined(products)
        if joint is None and len(m.obs.wires) <= _MAX_EIGEN_WIRES:
            products, constant = [self._eigen(m.obs)], 0.0
            joint = products[0].labels
        if joint is not None:
            self.wanted.append(joint)
            recipe = Recipe("var" if kind is VarianceMP else "values", m, constant=constant)
            return _Draft(recipe, products, joint=joint)
        if kind is VarianceMP and m.obs.pauli_rep is not None:
            return self._moment_of(m, products, constant)
        raise NotSupported(
            f"{m} not supported on qstore.ionq: the terms do not commute qubit by qubit and the "
            "observable is too large to diagonalise. Measure the terms one by one."
        )

    def _moment_of(self, m: MeasurementProcess, products: list[Product], constant: float) -> _Draft:
        words = m.obs.pauli_rep
        check_products(m, len(words) ** 2, f"the square of {len(words)} Pauli words")
        square = words @ words
        getattr(square, "prune", square.simplify)()  # its name from PennyLane 0.46 on
        squared, squared_constant = self._words(square, m.obs)
        self.wanted += [p.labels for p in (*products, *squared) if p.factors]
        recipe = Recipe("moment", m, constant=constant, squared_constant=squared_constant)
        return _Draft(recipe, products, squared)

    def _wires_draft(self, m: MeasurementProcess) -> _Draft:
        on = tuple(self.wires[w] for w in m.wires) or tuple(self.wires.values())
        labels = tuple(((w,), "Z") for w in sorted(on))
        self.wanted.append(labels)
        eigenvalues = getattr(m, "_eigvals", None)
        raw = isinstance(m, SampleMeasurement) and not isinstance(m, (ExpectationMP, VarianceMP))
        if isinstance(m, ProbabilityMP) or (raw and eigenvalues is None):
            kind = "probs" if isinstance(m, ProbabilityMP) else "bits"
            return _Draft(Recipe(kind, m, wires=on), joint=labels)
        values = np.asarray(m.eigvals(), dtype=float)
        product = Product(1.0, labels, (Factor(on, values),))
        names = {ExpectationMP: "expval", VarianceMP: "var"}
        return _Draft(Recipe(names.get(type(m), "values"), m), [product], joint=labels)

    def _probs_of(self, m: MeasurementProcess) -> _Draft:
        obs = m.obs
        on = tuple(self.wires[w] for w in obs.wires)
        labels: Labels
        letters = pauli_letters(obs)
        if letters is not None:
            labels = tuple(sorted(((self.wires[w],), letter) for w, letter in letters.items()))
        else:
            with QueuingManager.stop_recording():
                gates = eigenbasis_gates(obs)
            labels = (self._custom(on, gates),)
        self.wanted.append(labels)
        return _Draft(Recipe("probs", m, wires=on), joint=labels)

    def _sum_of(self, op: Operator) -> tuple[list[Product], float]:
        """Return an observable as a sum of products of single factors, and a constant."""
        if op.pauli_rep is not None:
            return self._words(op.pauli_rep, op)
        if isinstance(op, SProd):
            products, constant = self._sum_of(op.base)
            c = real_coefficient(op.scalar, op)
            return [p._replace(coefficient=c * p.coefficient) for p in products], c * constant
        if isinstance(op, (Sum, LinearCombination)):
            out: list[Product] = []
            total = 0.0
            for c, operand in zip(*op.terms(), strict=True):
                products, constant = self._sum_of(operand)
                c = real_coefficient(c, op)
                out += [p._replace(coefficient=c * p.coefficient) for p in products]
                total += c * constant
            return out, total
        if isinstance(op, Prod) and len(op.wires) == sum(len(f.wires) for f in op.operands):
            return self._tensor(op)
        return [self._eigen(op)], 0.0

    def _words(self, sentence: Any, op: Operator) -> tuple[list[Product], float]:
        products, constant = [], 0.0
        for word, coefficient in sentence.items():
            c = real_coefficient(coefficient, op)
            if len(word):
                on = tuple(sorted((self.wires[w], p) for w, p in word.items()))
                labels = tuple(((w,), p) for w, p in on)
                products.append(Product(c, labels, (Factor(tuple(w for w, _ in on)),)))
            else:
                constant += c
        return products, constant

    def _tensor(self, op: Prod) -> tuple[list[Product], float]:
        parts = []
        for operand in op.operands:
            products, constant = self._sum_of(operand)
            parts.append([*products, Product(constant, (), ())] if constant else products)
        check_products(op, math.prod(map(len, parts)), "a product of sums")
        out, total = [], 0.0
        for combination in itertools.product(*parts):
            c = float(np.prod([p.coefficient for p in combination]))
            labels = tuple(sorted((x for p in combination for x in p.labels), key=lambda x: x[0]))
            factors = tuple(f for p in combination for f in p.factors)
            if factors:
                out.append(Product(c, labels, factors))
            else:
                total += c
        return out, total

    def _eigen(self, op: Operator) -> Product:
        """Return an observable by the eigenbasis of its matrix."""
        on = tuple(self.wires[w] for w in op.wires)
        if isinstance(op, BasisStateProjector):
            values = np.zeros(2 ** len(on))
            state = np.asarray(op.data[0], dtype=int)
            values[int(state @ (1 << np.arange(len(on))[::-1]))] = 1.0
            return Product(1.0, tuple(((w,), "Z") for w in sorted(on)), (Factor(on, values),))
        if len(on) > _MAX_EIGEN_WIRES:
            raise NotSupported(
                f"Observable {op} not supported on qstore.ionq: it acts on {len(on)} wires, and "
                f"only Pauli words are measured on more than {_MAX_EIGEN_WIRES}."
            )
        if not op.has_matrix and op.has_diagonalizing_gates:
            with QueuingManager.stop_recording():
                label = self._custom(on, op.diagonalizing_gates())
                values = np.asarray(op.eigvals())
            if np.abs(values.imag).max() > 1e-8:
                raise not_hermitian(op)
            return Product(1.0, (label,), (Factor(on, values.real.astype(float)),))
        matrix = matrix_of(op)
        if not np.allclose(matrix, matrix.conj().T, atol=1e-8):
            raise not_hermitian(op)
        if np.abs(matrix - np.diag(np.diag(matrix))).max() < 1e-12:
            labels = tuple(((w,), "Z") for w in sorted(on))
            return Product(1.0, labels, (Factor(on, np.diag(matrix).real.copy()),))
        values, vectors = np.linalg.eigh(matrix)
        with QueuingManager.stop_recording():
            gates = [qml.QubitUnitary(vectors.conj().T, wires=op.wires)]
        return Product(1.0, (self._custom(on, gates),), (Factor(on, values),))

    def _custom(self, on: tuple[int, ...], gates: Sequence[Operator]) -> Label:
        """Return the label of wires measured after some gates: the key of these gates."""
        (piece,) = extract_structure(QuantumScript(list(gates)), self.wires)
        label = ("gates", on, piece.key, piece.parameters.tobytes())
        if label not in self.gates:
            piece, program = affine_program(piece, self.wires)
            self.gates[label] = bind_constants(program, piece.parameters).gates
        return on, label

    def _bases(self) -> tuple[tuple[Basis, ...], dict[Any, int]]:
        """Return few bases, and the basis of each label (first fit, longest first)."""
        groups: list[dict[int, Hashable]] = []
        index: dict[Any, int] = {(): 0}  # a constant may be read off anything
        for labels in sorted(self.wanted, key=lambda x: -sum(len(on) for on, _ in x)):
            if labels in index:
                continue
            wanted = {w: label for on, label in labels for w in on}
            for i, group in enumerate(groups):
                if all(group.get(w, label) == label for w, label in wanted.items()):
                    group.update(wanted)
                    index[labels] = i
                    break
            else:
                index[labels] = len(groups)
                groups.append(wanted)
        if not groups:  # nothing but constants is asked: any outcome will do
            groups.append({0: "Z"} if self.wires else {})
        for group in groups:
            group.update(dict.fromkeys(self.selected, "Z"))
        return tuple(self._basis(group) for group in groups), index

    def _basis(self, group: Mapping[int, Hashable]) -> Basis:
        wires = tuple(sorted(group))
        gates: list[Gate] = []
        done: set[Hashable] = set()
        for w in wires:
            label = group[w]
            if label == "X":
                gates.append(Gate("Hadamard", (w,)))
            elif label == "Y":
                gates += [Gate("Adjoint(S)", (w,)), Gate("Hadamard", (w,))]
            elif label != "Z" and label not in done:
                done.add(label)
                gates += self.gates[label]
        return Basis(tuple(gates), wires, tuple((w, group[w]) for w in wires))


def _placed(
    products: Sequence[Product], index: Mapping[Any, int], joint: int | None = None
) -> tuple[Term, ...]:
    return tuple(
        Term(p.coefficient, index.get(p.labels, 0) if joint is None else joint, p.factors)
        for p in products
        if p.factors
    )
