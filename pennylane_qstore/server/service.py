"""What stands behind the server: records that a service shares with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Failure(NamedTuple):
    """IonQ's code and message of a job that failed."""

    code: str
    message: str


class CircuitInfo(NamedTuple):
    """A circuit without its gates.

    ``recorded`` counts the qubits behind the others that hold what was measured on the way.
    """

    name: str | None
    qubits: int
    n_1q: int
    n_2q: int
    registers: Mapping[str, Any] | None
    recorded: int = 0


@dataclass(frozen=True, slots=True)
class ServiceBehaviour:
    """Behaviour of the service that is not documented; each can be switched.

    Args:
        strict_names: job names take letters, digits, space, ``-`` and ``_`` only.
        strict_ranges: native phases must be in [-1, 1] turns, ms angles in [0, 0.25].
        qpu_max_shots: more shots on a QPU fail as ``TooManyShots``.
        page_limit: default and largest page of ``GET /jobs``.
        list_children: whether children of multi-circuit jobs appear in an unfiltered list.
        cancel_completed: whether cancelling a completed job turns it to ``canceled``.
        named_children: whether children carry the names of their circuits.
        qpu_mid_circuit: whether QPUs measure and reset in the middle of a circuit, too.
    """

    strict_names: bool = True
    strict_ranges: bool = True
    qpu_max_shots: int = 10_000
    page_limit: int = 25
    list_children: bool = False
    cancel_completed: bool = False
    named_children: bool = True
    qpu_mid_circuit: bool = False
