"""A batch of tapes to few jobs and back.

Tapes of one structure are stacked and bound at once; all circuits of a batch that share their
shots travel in one job, or in as few as the service's limits allow.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import MAX_SHOTS
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution import calibration as readout
from pennylane_qstore.execution.circuits import (
    Circuits,
    MeasuredTape,
    TapePlan,
    Target,
    compile_circuits,
    plan_tape,
)
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.execution.literals import ChooseConstants, no_constants
from pennylane_qstore.execution.outcomes import Shots, gather_outcomes
from pennylane_qstore.execution.partial_results import TapeContext, arrived
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.ionq.messages.job_limits import job_slices
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.measurement.calibration import Calibration
from pennylane_qstore.measurement.outcomes import Outcomes
from pennylane_qstore.measurement.recipes import NoResult, NotSupported
from pennylane_qstore.measurement.results import results
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.verbatim import has_boxes


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Size of jobs, and what goes with every job.

    Attributes:
        max_circuits: most circuits per job, or who chooses it; None for as many as allowed.
        fields: of each :class:`.JobRequest`, by name.
    """

    max_circuits: int | AdaptiveQueueManager | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def named(self, name: str | None) -> JobSettings:
        """Return the same with a name of the jobs, unless they have another."""
        return replace(self, fields={**self.fields, "name": self.fields["name"] or name})


@dataclass(slots=True)
class Batch:
    """Tapes and the jobs that they become.

    Attributes:
        tapes: the tapes.
        plans: how each tape becomes circuits.
        circuits: the circuits of all tapes.
        target: backend and gates they are compiled for.
        chunks: for each job the positions of its circuits.
        requests: the jobs.
        calibration: circuits that calibrate the readout; None where nothing is corrected.
    """

    tapes: Sequence[QuantumScript]
    plans: Sequence[TapePlan]
    circuits: Circuits
    target: Target
    chunks: list[list[int]]
    requests: list[JobRequest]
    calibration: readout.CalibrationCircuits | None = None

    @property
    def circuits_by_tape(self) -> list[int]:
        """Number of circuits of each tape."""
        counts = [0] * len(self.tapes)
        for tape in self.circuits.measured:
            counts[tape.number] += len(tape.positions)
        return counts

    @property
    def ordered_positions(self) -> set[int]:
        """Positions of circuits with a result that depends on the order of shots.

        None where the service returns exact probabilities: there are no shots.
        """
        positions: set[int] = set()
        if self.target.exact:
            return positions
        for tape in self.circuits.measured:
            plan = self.plans[tape.number].measurement
            if any(
                recipe.is_ordered and plan.bases[recipe.basis] is tape.basis
                for recipe in plan.recipes
            ):
                positions.update(tape.positions)
        return positions

    def divide(self, jobs: Sequence[int]) -> None:
        """Give each circuit of some jobs a job of its own, behind all other jobs."""
        kept = sorted(set(range(len(self.requests))).difference(jobs))
        parts = [(i, k) for i in jobs for k in range(len(self.chunks[i]))]
        chunks, requests = self.chunks, self.requests
        self.chunks = [*(chunks[i] for i in kept), *([chunks[i][k]] for i, k in parts)]
        self.requests = [*(requests[i] for i in kept), *(requests[i].part([k]) for i, k in parts)]

    def tape_jobs(self, jobs: Sequence[Any]) -> list[tuple[str, float | None]]:
        """Return id and seconds on the machine of the job with each tape's first circuit.

        Args:
            jobs: results, one per request.
        """
        job_of = {position: i for i, chunk in enumerate(self.chunks) for position in chunk}
        first = {tape.number: tape.positions.start for tape in reversed(self.circuits.measured)}
        there = [job_of[first[tape]] for tape in sorted(first) if first[tape] in job_of]
        return [(jobs[i].job_id, jobs[i].run_s) for i in there]

    def histograms(self, jobs: Sequence[Any]) -> list[Histogram]:
        """Return the histogram of each circuit by position, None where there is none."""
        histograms: list[Any] = [None] * sum(map(len, self.chunks))
        for chunk, job in zip(self.chunks, jobs, strict=True):
            for position, histogram in zip(chunk, job.histograms if job else (), strict=bool(job)):
                histograms[position] = histogram
        return histograms

    def results(
        self,
        histograms: Sequence[Histogram],
        rng: np.random.Generator,
        shots: Mapping[int, Shots] | None = None,
    ) -> tuple[Any, ...]:
        """Return each tape's results in PennyLane's order and shape.

        Args:
            histograms: by position.
            rng: samples exact probabilities, shuffles samples.
            shots: single shots by position, where their order is known.

        Returns:
            One entry per tape; None where a histogram is missing.

        Raises:
            NoResult: of the first such tape; its details have the results of the others.
        """
        out: list[Any] = []
        impossible: NoResult | None = None
        calibration = self.calibration and self.calibration.read(histograms)
        # Tape by tape, drawing and shuffling in turn: a batch equals its tapes one by one.
        for i, group in itertools.groupby(self.circuits.measured, key=lambda tape: tape.number):
            plan, parts = self.plans[i], list(group)
            own = calibration if plan.copies else None
            missing = any(histograms[p] is None for part in parts for p in part.positions)
            if missing or (plan.copies and self.calibration and not own):
                out.append(None)
                continue
            try:
                outcomes = [
                    self._outcomes(part, histograms, rng, shots or {}, own) for part in parts
                ]
                out.append(results(plan.measurement, outcomes, self.tapes[i], batched=plan.batched))
            except NoResult as error:
                impossible = impossible or error
                out.append(None)
        if impossible is not None:
            failed = [i for i, result in enumerate(out) if result is None]
            impossible.details.update(tape_results=tuple(out), failed_tapes=failed)
            raise impossible
        return tuple(out)

    def _outcomes(
        self,
        part: MeasuredTape,
        histograms: Sequence[Histogram],
        rng: np.random.Generator,
        shots: Mapping[int, Shots],
        calibration: Calibration | None,
    ) -> Outcomes:
        """Return the outcomes of one tape in one basis; with a calibration, the machine's own."""
        part, correction = readout.machine_bits(part, calibration) if calibration else (part, None)
        outcomes = gather_outcomes(
            self.plans[part.number].measurement,
            part.basis.wires,
            part.read(histograms, shots),
            shots=self.tapes[part.number].shots.total_shots,
            exact=self.target.exact,
            rng=rng,
        )
        outcomes.correction = correction
        return outcomes

    def add_arrived(self, error: QStoreError, rng: np.random.Generator) -> None:
        """Put into the details of an error the results of the tapes that arrived all the same.

        Args:
            error: of the batch; its details may have results of jobs.
            rng: as for :meth:`results`.
        """
        try:
            found = self.results(self.histograms(arrived(error, len(self.requests))), rng)
        except NoResult as impossible:
            found = impossible.details["tape_results"]
        failed = [i for i, result in enumerate(found) if result is None]
        error.details.update(tape_results=found, failed_tapes=failed)


def make_batch(
    tapes: Sequence[QuantumScript],
    *,
    order: Sequence[Any] | None,
    target: Target,
    settings: JobSettings,
    cache: SmartCircuitCache,
    meter: BatchMeter | None = None,
    noise_rng: np.random.Generator | None = None,
    choose_constants: ChooseConstants = no_constants,
) -> Batch:
    """Compile tapes and pack their circuits into jobs.

    Args:
        tapes: any tapes; broadcast ones are rows of one structure.
        order: labels of the device's wires, or None.
        target: backend and gates to compile for.
        settings: size of jobs, and what goes with each.
        cache: of templates.
        meter: measures the stages.
        noise_rng: gives each job the seed of its noise; None leaves it to the service.
        choose_constants: chooses the numbers of each structure that are compiled as constants.

    Returns:
        The batch, ready to be sent.

    Raises:
        NotSupported: a tape that the backend cannot run.
    """
    cache, meter = cache.of_batch(), meter or BatchMeter()
    plans: list[TapePlan] = []
    with meter.stage("structure"):
        for i, tape in enumerate(tapes):
            with TapeContext(i):
                plan = plan_tape(tape, order, cache)
                _check_supported(plan, tape, target)
            plans.append(plan)
    if target.gateset == "qis" or target.verbatim:
        choose_constants = no_constants
    circuits = compile_circuits(plans, target, cache, meter, choose_constants)
    circuits, calibration = readout.with_calibration(circuits, plans, tapes, target)
    chunks, requests = _pack(tapes, circuits, calibration, target, settings, noise_rng)
    return Batch(tapes, plans, circuits, target, chunks, requests, calibration)


def _check_supported(plan: TapePlan, tape: QuantumScript, target: Target) -> None:
    """Refuse a tape that must not reach the service."""
    qubits = target.backend.qubits
    if len(plan.wires) > qubits and len(tape.wires) > qubits:
        raise NotSupported(
            f"A circuit on {len(tape.wires)} wires is not supported on qstore.ionq with "
            f"{target.described}: it has {qubits} qubits."
        )
    if plan.measurement.fill and tape.shots and not target.exact:
        raise NotSupported(
            "postselect_mode='fill-shots' is not supported on qstore.ionq with a backend that "
            "samples: shots that are not selected have been taken already. Use 'hw-like', which "
            "keeps the shots that were selected."
        )
    if plan.scale != 1 and target.gateset == "qis":
        raise NotSupported(
            f"A circuit is to be folded to {plan.scale:g} times its noise, and gateset='qis' "
            "leaves the compiling to the service, which undoes folds. Use gateset='native'."
        )
    if plan.copies:
        readout.check_corrected(plan, target)
    if target.symmetrize is not None:
        _check_symmetrized(plan, target)


def _check_symmetrized(plan: TapePlan, target: Target) -> None:
    """Refuse what cannot run on qubits and in a Pauli frame of each row's own."""
    if target.gateset == "qis":
        raise NotSupported(
            "symmetrize=True is not supported with gateset='qis', which leaves the compiling to "
            "the service. Use gateset='native'."
        )
    if any(has_boxes(piece.operations) for piece in plan.pieces):
        raise NotSupported(
            "symmetrize=True is not supported with qstore.verbatim(), whose gates are sent as they "
            "are written. Take one of them away. Nothing was sent."
        )


def _pack(
    tapes: Sequence[QuantumScript],
    circuits: Circuits,
    calibration: readout.CalibrationCircuits | None,
    target: Target,
    settings: JobSettings,
    noise_rng: np.random.Generator | None,
) -> tuple[list[list[int]], list[JobRequest]]:
    """Return positions and request of each job."""
    by_shots: dict[int, list[int]] = {}
    most_shots = 1
    for tape in circuits.measured:
        shots = tapes[tape.number].shots.total_shots or 1
        most_shots = max(most_shots, shots)
        # An ideal simulator ignores shots: everything may share one job.
        by_shots.setdefault(0 if target.exact else shots, []).extend(tape.positions)
    if calibration:
        by_shots[calibration.shots].extend(calibration.positions)
    chunks: list[list[int]] = []
    requests: list[JobRequest] = []
    for shots, positions in by_shots.items():
        for chunk in _chunks(positions, circuits, settings.max_circuits):
            noise = None
            if target.noise:
                seed = None if noise_rng is None else int(noise_rng.integers(1, 2**31 - 1))
                noise = {"model": target.noise, "seed": seed}
            chunks.append(chunk)
            requests.append(
                JobRequest(
                    backend=target.backend.name,
                    gateset=target.gateset,
                    qubits=circuits.qubits,
                    circuits=tuple([circuits.encoded[i] for i in chunk]),
                    gate_counts=sum([circuits.gates[i] for i in chunk]),
                    shots=shots or min(most_shots, MAX_SHOTS),
                    noise=noise,
                    **settings.fields,
                )
            )
    return chunks, requests


def _chunks(
    positions: list[int], circuits: Circuits, max_circuits: int | AdaptiveQueueManager | None
) -> list[list[int]]:
    """Cut positions so that each job stays within the service's limits."""
    if isinstance(max_circuits, AdaptiveQueueManager):
        max_circuits = max_circuits.get_optimal_batch_size(len(positions))
    gates = [circuits.gates[i] for i in positions]
    sizes = [len(circuits.encoded[i]) for i in positions]
    return [positions[j] for j in job_slices([1] * len(gates), gates, sizes, max_circuits)]
