"""Readout corrected: how qubits are misread, and values of Pauli words without it.

Twirled readout (van den Berg, Minev and Temme, "Model-free readout-error mitigation for quantum
expectation values", arXiv:2012.09738): averaged over random flips of the qubits, undone when they
are read, misreading multiplies the value of each word of Z by a number. Circuits that only flip
qubits have the same number, since every word is 1 in them, and division takes it away.

Here every bit's ±1 is first reduced by its offset, half the difference of its two rates, which the
same circuits show. Under the twirl any constants may be taken off so, in circuits and calibration
alike; these ones leave nothing that depends on the flips where qubits are misread independently.
So a circuit that is run in one frame, or in none, has its right value as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pennylane_qstore.measurement.recipes import NoResult
from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.template.batch import Readout

_SIGNIFICANT = 5.0
"""Standard errors by which a factor has to differ from zero."""


Reading = tuple[tuple[int, ...], Readout, int]
"""Qubit of each bit that a readout takes, the readout, and the number of rows read so."""


class UnreliableCalibration(NoResult):
    """A word of so many misread bits that its factor cannot be told from zero."""


@dataclass(frozen=True)
class Calibration:
    """Outcomes of circuits that do nothing but flip qubits.

    Args:
        prepared: 1 or -1 for zero or one, by outcome and qubit, (outcomes, qubits).
        read: the same as it was read.
        weight: relative frequency of each outcome over all circuits, (outcomes,); their sum is 1.
        shots: of all circuits together.
    """

    prepared: FloatArray
    read: FloatArray
    weight: FloatArray
    shots: int
    _factors: dict[bytes, float] = field(default_factory=dict, repr=False)

    def offset(self) -> FloatArray:
        """Return the mean of each qubit's ±1, (qubits,): every qubit was as often one as zero."""
        return np.asarray(self.weight @ self.read)

    def factor(self, word: npt.NDArray[np.uint8]) -> float:
        """Return what misreading multiplies a word's value by.

        Args:
            word: mask of its qubits, (qubits,).

        Raises:
            UnreliableCalibration: it is zero, as far as the shots tell.
        """
        key = word.tobytes()
        if key not in self._factors:
            qubits = np.flatnonzero(word)
            read = self.read[:, qubits]
            values = (self.prepared[:, qubits] * (read - self.weight @ read)).prod(axis=1)
            factor = float(self.weight @ values)
            error = np.sqrt(max(0.0, float(self.weight @ values**2) - factor**2) / self.shots)
            if factor <= _SIGNIFICANT * error:
                raise UnreliableCalibration(
                    f"Misreading leaves {factor:.3f} ± {error:.3f} of the value of a Pauli word on "
                    f"{len(qubits)} qubits, too little to divide by. Take more shots or copies in "
                    "correct_readout, or measure shorter words."
                )
            self._factors[key] = factor
        return self._factors[key]


class Correction:
    """Values of a tape's Pauli words in one basis, corrected, from the machine's own bits.

    Args:
        calibration: of the machine's qubits.
        readouts: by group of rows.
    """

    def __init__(self, calibration: Calibration, readouts: Sequence[Reading]) -> None:
        self._calibration = calibration
        self._offset = calibration.offset()
        self._group = np.repeat(np.arange(len(readouts)), [rows for *_, rows in readouts])
        self._flips = np.stack([readout.offset for _, readout, _ in readouts])
        self._words = np.zeros((*self._flips.shape, len(self._offset)), dtype=np.uint8)
        for word, (places, readout, _) in zip(self._words, readouts, strict=True):
            word[:, list(places)] = readout.matrix

    def parity(
        self,
        columns: Sequence[int],
        row: npt.NDArray[np.intp],
        bits: npt.NDArray[np.uint8],
    ) -> FloatArray:
        """Return for each outcome the number whose mean is a word's corrected value.

        Args:
            columns: of the word's wires, among those that the readouts give.
            row: of each outcome, (outcomes,).
            bits: of the machine's qubits, (outcomes, qubits).

        Returns:
            The numbers, (outcomes,).

        Raises:
            UnreliableCalibration: the word's factor is zero, as far as the shots tell.
        """
        words = self._words[:, columns].sum(axis=1, dtype=np.uint8) & 1
        signs = 1.0 - 2.0 * (self._flips[:, columns].sum(axis=1) & 1)
        scales = signs / [self._calibration.factor(word) for word in words]
        group = self._group[row]
        values: FloatArray = scales[group]
        for qubit in np.flatnonzero(words.any(axis=0)):
            offset = self._offset[qubit]
            values *= np.where(words[group, qubit], 1.0 - 2.0 * bits[:, qubit] - offset, 1.0)
        return values
