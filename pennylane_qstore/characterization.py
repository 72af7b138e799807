"""Fidelities and times of a machine, as they were last measured, and what they predict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Characterization:
    """A machine as it was last measured, in the service's words; None is what it does not tell.

    Predictions by it are no measurements: they take every gate for the median one, and errors for
    independent.

    Attributes:
        backend: IonQ's id.
        date: of the measurement, in ISO 8601; ``"published"`` for the figures of this release.
        qubits: number of qubits.
        connectivity: pairs of qubits that have gates.
        one_qubit, two_qubit, spam: median fidelities of gates, and of preparation and readout.
        one_qubit_s, two_qubit_s, reset_s, readout_s: durations, in seconds.
        t1_s, t2_s: times of relaxation and dephasing, in seconds.
    """

    backend: str
    date: str | None = None
    qubits: int | None = None
    connectivity: tuple[tuple[int, int], ...] | None = None
    one_qubit: float | None = None
    two_qubit: float | None = None
    spam: float | None = None
    one_qubit_s: float | None = None
    two_qubit_s: float | None = None
    reset_s: float | None = None
    readout_s: float | None = None
    t1_s: float | None = None
    t2_s: float | None = None

    def fidelity(self, n_1q: float, n_2q: float, measured: int = 0) -> float | None:
        """Predict the fidelity of a circuit: the product of those of its gates and its readout.

        ``one_qubit**n_1q * two_qubit**n_2q * spam**measured``, known as the estimated success
        probability (P. Murali et al., ASPLOS 2019, arXiv:1901.11054).

        Args:
            n_1q: one-qubit gates.
            n_2q: two-qubit gates.
            measured: qubits measured.

        Returns:
            From 0 to 1; None where the service tells none of a kind that the circuit has.
        """
        product = 1.0
        for figure, times in (
            (self.one_qubit, n_1q),
            (self.two_qubit, n_2q),
            (self.spam, measured),
        ):
            if times and figure is None:
                return None
            product *= (figure or 1.0) ** times
        return product

    def shot_s(self, n_1q: float, n_2q: float) -> float | None:
        """Predict the duration of a shot: reset, gates one after the other, readout.

        Args:
            n_1q: one-qubit gates.
            n_2q: two-qubit gates.

        Returns:
            Seconds; None where the service does not tell.
        """
        figures = self.one_qubit_s, self.two_qubit_s, self.reset_s, self.readout_s
        if None in figures:
            return None
        one_s, two_s, reset_s, readout_s = (figure or 0.0 for figure in figures)
        return reset_s + n_1q * one_s + n_2q * two_s + readout_s

    def predicted(self, n_1q: float, n_2q: float, measured: int = 0) -> str:
        """Return both predictions in words.

        Args:
            n_1q: one-qubit gates.
            n_2q: two-qubit gates.
            measured: qubits measured.

        Returns:
            A sentence.
        """
        fidelity, shot_s = self.fidelity(n_1q, n_2q, measured), self.shot_s(n_1q, n_2q)
        known = "unknown" if fidelity is None else f"{fidelity:.3f}"
        lasts = "unknown" if shot_s is None else f"{1e3 * shot_s:.2f} ms"
        day = "date unknown" if self.date is None else self.date[:10]
        return (
            f"predicted for {self.backend} ({day}), not measured: fidelity {known}, a shot {lasts}"
        )

    def lines(self) -> dict[str, str]:
        """Return all figures in words, by label."""
        pairs = None if self.connectivity is None else len(self.connectivity)
        every = None if self.qubits is None else self.qubits * (self.qubits - 1) // 2
        figures = {
            "Measured": self.date,
            "Qubits": self.qubits,
            "Pairs": "all" if pairs is not None and pairs == every else pairs,
            "One-qubit gates": _figures(self.one_qubit, self.one_qubit_s),
            "Two-qubit gates": _figures(self.two_qubit, self.two_qubit_s),
            "Preparation and readout": _figures(self.spam, self.readout_s),
            "Reset": _figures(None, self.reset_s),
            "T1": _figures(None, self.t1_s),
            "T2": _figures(None, self.t2_s),
        }
        known = {label: "unknown" if f is None else str(f) for label, f in figures.items()}
        return {"Backend": self.backend, **known}

    def __str__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.lines().items())


def _figures(fidelity: float | None, seconds: float | None) -> str | None:
    known = [] if fidelity is None else [f"fidelity {fidelity:.5g}"]
    known += [] if seconds is None else [f"{seconds:g} s"]
    return ", ".join(known) or None
