"""Errors of a real machine beside its published depolarizing rates.

Every qubit, or pair of qubits, has figures of its own, drawn once from a range: the same seed is
the same machine. The figures belong to a circuit's qubits by their index, so that the same
circuit on other qubits meets other errors.

Sources: calibrations leave every coupling with a coherent error of its own, and this is what
averaging over assignments of qubits removes (Maksymov, Nguyen, Nam and Markov, "Enhancing quantum
computer performance via symmetrization", arXiv:2301.07233; Maksymov et al., "Detecting
qubit-coupling faults in ion-trap quantum computers", arXiv:2108.03708). Laser light that reaches
the next ion drives the same gate there, more weakly (Debroy, Li, Huang and Brown, "Logical
performance of 9 qubit compass codes in ion traps with crosstalk errors", arXiv:1910.08495).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import schur

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.emulator.simulation.fusion import Complex, FusedGate
from pennylane_qstore.validation import check, check_count, check_known

Figure = float | tuple[float, float]
"""One number for the whole machine, or the range from which each qubit or pair draws its own."""
_SWAP = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3], :, None]
_RATES = ("one_qubit", "two_qubit", "readout", "crosstalk")


@dataclass(frozen=True, slots=True)
class MachineNoise:
    """Errors of a machine, by qubit and by pair.

    A figure is a number, or a range (low, high) from which every qubit or pair draws its own,
    uniformly. IonQ publishes medians only, so the ranges are the user's assumption; those of the
    example are.

    Args:
        one_qubit: depolarizing rate by qubit (``None``: the published one of the noise model).
        two_qubit: depolarizing rate by pair (``None``: the published one).
        readout: probability that a bit is misread, by qubit; with a range, zeros and ones
            differ (``None``: the published one of a QPU, none of a noise model).
        over_rotation: relative excess of the angle of a two-qubit gate, by pair: ``U`` becomes
            ``U^(1 + over_rotation)``. Negative where a gate falls short.
        crosstalk: part of a two-qubit gate that its lasers also drive between each of its
            qubits and the other one's neighbours, the qubits with the next indices; among qubits
            that the circuit uses.
        seed: of the draws.

    Raises:
        ConfigurationError: a figure that is neither a number nor a range, or out of bounds.

    **Example**

    >>> MachineNoise(readout=(0.005, 0.02), over_rotation=(0.01, 0.03)).seed
    0
    """

    one_qubit: Figure | None = None
    two_qubit: Figure | None = None
    readout: Figure | None = None
    over_rotation: Figure = 0.0
    crosstalk: Figure = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            low = 0.0 if field.name in _RATES else -1.0
            figure = _figure(value, low)
            allowed = f"a number from {low:g} to 1, or a range (low, high) of such numbers"
            check(field.name, value, figure is not None, allowed)
            object.__setattr__(self, field.name, figure)
        check_count("seed", self.seed, least=0)

    @classmethod
    def of(cls, settings: MachineNoise | Mapping[str, Any] | None) -> MachineNoise | None:
        """Return the noise of a mapping of settings.

        Raises:
            ConfigurationError: neither a mapping nor a noise, an unknown setting, or a value that
                is not allowed.
        """
        if settings is None or isinstance(settings, MachineNoise):
            return settings
        valid = isinstance(settings, Mapping)
        check(
            "machine_noise", settings, valid, "a MachineNoise, a mapping of its settings, or None"
        )
        for name in settings:
            check_known("setting", name, [f.name for f in fields(cls)], of="machine_noise")
        return cls(**settings)

    def depolarizing(self, qubits: Sequence[int]) -> float | None:
        """Return the depolarizing rate of a gate.

        Args:
            qubits: the qubits of the machine that it touches.

        Returns:
            The rate of its qubit, or the mean rate of its pairs; ``None``: the published one.
        """
        figure = self.one_qubit if len(qubits) == 1 else self.two_qubit
        if figure is None:
            return None
        if len(qubits) == 1:
            return float(_drawn(figure, (self.seed, 0))[qubits[0], qubits[0]])
        rates = _drawn(figure, (self.seed, 1))
        return float(np.mean([rates[pair] for pair in combinations(qubits, 2)]))

    def misread_rates(self, qubits: int) -> NDArray[np.float64] | None:
        """Return the probabilities that a zero and a one are misread.

        Args:
            qubits: number of qubits.

        Returns:
            Shape [2, qubits]; ``None``: the published one.
        """
        if self.readout is None:
            return None
        drawn = [_drawn(self.readout, (self.seed, 2, value)) for value in (0, 1)]
        return np.stack([rates.diagonal()[:qubits] for rates in drawn])

    def near(self, qubits: Sequence[int]) -> dict[int, list[int]]:
        """Return by qubit of a program those that crosstalk reaches from there.

        Args:
            qubits: the machine's qubit of each of the program's.
        """
        if not self.crosstalk:
            return {}
        index = {qubit: k for k, qubit in enumerate(qubits)}
        return {
            k: [index[p] for p in (qubit - 1, qubit + 1) if p in index]
            for qubit, k in index.items()
        }

    def coherent(self, fused: Sequence[FusedGate], qubits: Sequence[int]) -> list[FusedGate]:
        """Return gates with over-rotation and crosstalk.

        Args:
            fused: the gates.
            qubits: the machine's qubit of each of the program's.

        Returns:
            The gates as the machine does them; those of the crosstalk count as no gates.
        """
        if not self.over_rotation and not self.crosstalk:
            return list(fused)
        near = self.near(qubits)
        return [done for gate in fused for done in self._done(gate, qubits, near)]

    def _done(
        self, gate: FusedGate, qubits: Sequence[int], near: Mapping[int, Sequence[int]]
    ) -> Iterator[FusedGate]:
        if len(gate.qubits) != 2 or not gate.gates:
            yield gate
            return
        first, second = gate.qubits
        a, b = qubits[first], qubits[second]
        excess = float(_drawn(self.over_rotation, (self.seed, 3))[a, b])
        yield power(gate, 1 + excess) if excess else gate
        spills = [(a, (k, second), k) for k in near.get(first, ()) if k != second]
        spills += [(b, (first, k), k) for k in near.get(second, ()) if k != first]
        for source, pair, reached in spills:
            part = float(_drawn(self.crosstalk, (self.seed, 4))[source, qubits[reached]])
            if part:
                yield _moved(power(gate, part), pair)


def power(gate: FusedGate, exponent: float) -> FusedGate:
    """Return a power of a gate on two qubits, from its smallest angles.

    Args:
        gate: a fused gate on two qubits.
        exponent: the exponent.

    Returns:
        The gate's exponential with its angles multiplied, up to a global phase.
    """
    match gate.kind:
        case "diagonal":
            (data,) = gate.data
            if not gate.controls:
                data = np.where(data[:1, :1].real < 0, -data, data)
            return gate._replace(data=(np.exp(1j * exponent * np.angle(data)),))
        case "cross":
            through, across = gate.data
            flipped = np.where(through.real < 0, -1, 1)
            angle = np.arctan2(np.abs(across), np.abs(through.real))
            sine = np.sin(angle)
            small = sine < 1e-12
            ratio = np.where(small, exponent, np.sin(exponent * angle) / np.where(small, 1, sine))
            return gate._replace(data=(np.cos(exponent * angle) + 0j, flipped * across * ratio))
        case "pauli":
            cosine, sine = gate.data[0].real, -gate.data[1].imag
            angle = exponent * np.arctan2(np.where(cosine < 0, -sine, sine), np.abs(cosine))
            return gate._replace(data=(np.cos(angle) + 0j, -1j * np.sin(angle)))
        case _:
            matrix = _SWAP if gate.kind == "swap" else gate.data[0]
            kind = "1q" if len(matrix) == 2 else "dense"
            return gate._replace(kind=kind, data=(_matrix_power(matrix, exponent),))


def _matrix_power(matrices: Complex, exponent: float) -> Complex:
    """Return the powers of unitary matrices [d, d, B] from their angles in (-π, π]."""
    out = np.empty_like(matrices)
    for row in range(matrices.shape[-1]):
        triangle, vectors = schur(matrices[..., row], output="complex")  # of a normal matrix
        values = np.exp(1j * exponent * np.angle(triangle.diagonal()))
        out[..., row] = (vectors * values) @ vectors.conj().T
    return out


def _moved(gate: FusedGate, pair: tuple[int, int]) -> FusedGate:
    """Return a gate on another pair, without depolarizing noise."""
    count = len(gate.targets)
    return gate._replace(targets=pair[:count], controls=pair[count:], gates=0)


def _figure(value: Any, least: float) -> Figure | None:
    """Return a figure in its normal form, ``None`` where it is none."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    numbers = array.ravel().tolist()
    valid = array.shape in ((), (2,)) and all(least <= x <= 1 for x in numbers)
    if isinstance(value, bool | str) or not valid or numbers[0] > numbers[-1]:
        return None
    low, high = numbers[0], numbers[-1]
    return low if low == high else (low, high)


@lru_cache(maxsize=64)
def _drawn(figure: Figure, seed: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the figure of every pair of qubits, symmetric, and on the diagonal of every qubit."""
    low, high = figure if isinstance(figure, tuple) else (figure, figure)
    drawn = np.random.default_rng(seed).uniform(low, high, (MAX_QUBITS, MAX_QUBITS))
    return np.triu(drawn) + np.triu(drawn, 1).T
