"""Circuits of a batch that calibrate its readout: they flip qubits and do nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
from pennylane.tape import QuantumScript

from pennylane_qstore.execution.circuits import Circuits, MeasuredTape, TapePlan, Target
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.ionq.messages.job_request import encode_circuits
from pennylane_qstore.measurement.calibration import Calibration, Correction
from pennylane_qstore.measurement.recipes import NotSupported
from pennylane_qstore.native.template.batch import Readout


class CalibrationCircuits(NamedTuple):
    """Places and flips of a batch's calibration circuits.

    Attributes:
        positions: the circuits, among those of the batch.
        flipped: the qubits that each flips, as a mask, (circuits, qubits).
        shots: of each.
    """

    positions: range
    flipped: npt.NDArray[np.bool_]
    shots: int

    def read(self, histograms: Sequence[Histogram]) -> Calibration | None:
        """Return the calibration; None where a histogram is missing.

        Args:
            histograms: by position, of the whole batch.
        """
        own = [histograms[i] for i in self.positions]
        if any(histogram is None for histogram in own):
            return None
        copies, qubits = self.flipped.shape
        states = np.concatenate([histogram.states for histogram in own])
        bits = states[:, None] >> np.arange(qubits, dtype=np.uint64) & np.uint64(1)
        prepared = np.repeat(self.flipped, [len(histogram.states) for histogram in own], axis=0)
        weight = np.concatenate([histogram.probabilities for histogram in own])
        return Calibration(
            1.0 - 2.0 * prepared, 1.0 - 2.0 * bits, weight / weight.sum(), copies * self.shots
        )


def with_calibration(
    circuits: Circuits,
    plans: Sequence[TapePlan],
    tapes: Sequence[QuantumScript],
    target: Target,
) -> tuple[Circuits, CalibrationCircuits | None]:
    """Add the circuits that a batch's corrections need: one set for all of its tapes.

    Args:
        circuits: of the batch.
        plans: one per tape.
        tapes: the tapes; those to be corrected give the shots, the most of them.
        target: an ideal one misreads nothing, and needs none.

    Returns:
        The circuits, and the places of those added; None where there are none.
    """
    corrected = [(plan, tape) for plan, tape in zip(plans, tapes, strict=True) if plan.copies]
    if target.exact or not corrected:
        return circuits, None
    first, qubits = len(circuits.encoded), circuits.qubits
    half = max([plan.copies for plan, _ in corrected]) // 2
    # the same batch has the same flips when a run starts again, and another batch others
    rng = np.random.default_rng((target.symmetrize or 0, first, crc32(circuits.encoded[0])))
    flipped = np.repeat(rng.random((half, qubits)) < 0.5, 2, axis=0)
    flipped[1::2] ^= True  # every qubit is as often one as zero
    encoded, gates = [*circuits.encoded], [*circuits.gates]
    for mask in flipped:
        # IonQ takes no circuit without gates: a pulse and its inverse
        flips = [("gpi", (qubit,)) for qubit in np.flatnonzero(mask).tolist()]
        pulses = flips or [("gpi", (0,))] * 2
        encoded += encode_circuits(pulses, np.zeros((1, len(pulses))))
        gates.append(len(pulses))
    shots = max([tape.shots.total_shots or 1 for _, tape in corrected])
    added = CalibrationCircuits(range(first, len(encoded)), flipped, shots)
    return circuits._replace(encoded=encoded, gates=gates), added


def machine_bits(tape: MeasuredTape, calibration: Calibration) -> tuple[MeasuredTape, Correction]:
    """Return a tape in one basis, to be read in the bits of the machine's qubits, uncorrected.

    Args:
        tape: read in its own bits.
        calibration: of all qubits.

    Returns:
        The tape, and the correction of its words, which knows its own bits.
    """
    qubits = calibration.read.shape[1]
    own = (tuple(range(qubits)), Readout.identity(qubits), len(tape.positions))
    return tape._replace(readouts=[own]), Correction(calibration, tape.readouts)


def check_corrected(plan: TapePlan, target: Target) -> None:
    """Refuse a tape whose readout is to be corrected and cannot be.

    Args:
        plan: of the tape.
        target: that it is to run on.

    Raises:
        NotSupported: another gateset, postselection, or a standard error.
    """
    if target.gateset == "qis":
        raise NotSupported(
            "correct_readout() is not supported with gateset='qis', which leaves to the service "
            "on what qubits a circuit runs. Use gateset='native'."
        )
    for recipe in plan.measurement.recipes:
        if recipe.kind != "expval":  # nor postselection, which is by misread bits, too
            raise NotSupported(
                "correct_readout() corrects expectation values, without postselection, and not "
                f"their standard errors; the circuit has {recipe.measurement}. Take one away."
            )
