"""Jobs as they are stored, and their life cycle.

A job's status is a function of the time and of its simulation, so nothing has to tick:
``submitted`` until it is verified, ``ready`` until its turn comes, ``started`` until both
the scheduled end has come and the simulation is done, then ``completed``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.emulator.simulation.debiasing import output_json
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.inputs.contents import QASM, SINGLE
from pennylane_qstore.server.inputs.settings import debiased
from pennylane_qstore.server.render import NATIVE_CIRCUIT, descriptor
from pennylane_qstore.server.service import ServiceJob


@dataclass(slots=True, eq=False, kw_only=True)
class StoredJob(ServiceJob):
    """One accepted job, on the emulator's clock.

    ``cost_usd`` is 0 on simulators, ``billed_usd`` for dry runs, for jobs that failed, and for
    those cancelled before they started. ``turn_at`` is when the job would start on a machine that
    nobody else uses.
    """

    gateset: str
    seed: int
    ready_at: float
    end_at: float
    turn_at: float = 0.0
    request: bytes | None = field(default=None, repr=False)
    results: list[Distribution] | None = field(default=None, repr=False)
    finished_at: float | None = None
    simulated_s: float = 0.0
    canceled_at: float | None = None
    shuffle: tuple[str, ...] = ()

    def status(self, now: float) -> str:
        """Return IonQ's status at a time."""
        if self.canceled_at is not None:
            return "canceled"
        if now < self.ready_at:
            return "submitted"
        if self.failure is not None:
            return "failed"
        if self.dry_run:
            return "completed"
        if now < self.start_at:
            return "ready"
        if self.results is None or now < self.end_at:
            return "started"
        return "completed"

    def ended_at(self) -> float:
        """Return when the job reached (or will reach) its terminal status."""
        if self.canceled_at is not None:
            return self.canceled_at
        if self.failure is not None or self.dry_run:
            return max(self.ready_at, self.finished_at or 0.0)
        return max(self.end_at, self.finished_at or 0.0)

    def started_at(self, now: float) -> float | None:
        """Return when the job started, None if it has not (or never will)."""
        until = now if self.canceled_at is None else self.canceled_at
        runs = self.start_at <= until and not self.dry_run and self.failure is None
        return self.start_at if runs else None

    @property
    def duration_s(self) -> float:
        """Seconds of execution, the simulation's own time among them."""
        return self.end_at - self.start_at + self.simulated_s

    @property
    def sampled(self) -> bool | None:
        """True where results are counts, False where they are exact; None without results."""
        return None if self.results is None else self.results[0].shots is not None

    def compilable(self, child: int | None) -> bool:
        """Return whether the circuit can be shown as the service would compile it."""
        written = child is not None or self.type in (SINGLE, QASM)
        return written and self.request is not None and not self.circuits[child or 0].recorded

    def output(self, child: int | None) -> dict[str, Any]:
        """Return IonQ's ``output`` of the completed job, or of one of its circuits."""
        if child is None and self.outcome is not None and "value" in self.outcome:
            return {"energy": self.outcome["value"]}  # where IonQ's own example looks for it
        out: dict[str, Any] = {}
        if self.compilable(child):
            compiled = descriptor("compiled-native", NATIVE_CIRCUIT)
            out["compilation"] = {"compiled_circuits": {NATIVE_CIRCUIT: compiled}}
        written = child is not None or self.type in (SINGLE, QASM)
        machine = BACKENDS[self.backend]
        if machine.is_qpu and written and self.results is not None:
            mitigation: dict[str, Any] = {"debiasing": False}
            if debiased(self.settings):
                qubits = self.circuits[child or 0].qubits
                mitigation = output_json(self.results[child or 0], qubits, machine.qubits)
            out["error_mitigation"] = mitigation
        return out

    def distribution(self, child: int | None, now: float) -> Distribution:
        """Return the result of one circuit.

        Args:
            child: position of the circuit, ``None`` for the only one.
            now: the time, in seconds since the epoch.

        Returns:
            The circuit's result.

        Raises:
            BadRequest: 404, the job is not completed, or its result is no histogram.
        """
        if self.status(now) != "completed" or self.results is None:
            raise BadRequest("Job not found or not yet completed.", status=404)
        if child is None and (self.multi or self.outcome is not None):
            raise not_found()
        return self.results[child or 0]
