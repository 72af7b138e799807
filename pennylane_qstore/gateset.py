"""IonQ's gates: names, targets and parameters, once for compiler, client, server and emulator.

It is a module of the package's root, because ``native`` and ``ionq`` must not import each other
and still have to agree on every gate. It is plain data: matrices and PennyLane's
operations are in :mod:`pennylane_qstore.native.gates`.

Phases and angles of native gates are in turns, rotations of QIS gates in radians.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple


class GateSpec(NamedTuple):
    """One gate of IonQ's vocabulary.

    Attributes:
        name: the name on the wire.
        targets: number of target qubits.
        parameters: for each number that the gate takes, the JSON member that holds it; a
            member named twice is a list.
    """

    name: str
    targets: int
    parameters: tuple[str, ...] = ()

    @property
    def slots(self) -> int:
        """Number of numbers that the gate takes."""
        return len(self.parameters)

    def to_json(
        self, targets: Sequence[int], values: Sequence[Any] = (), controls: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Return the gate as an object of IonQ's circuit JSON.

        Args:
            targets: qubits it acts on.
            values: its numbers, one per slot; turns for native gates, radians for QIS.
            controls: qubits that must be 1.

        Returns:
            The JSON object; members in IonQ's order.
        """
        gate: dict[str, Any] = {"gate": self.name}
        for key, qubits in (("control", controls), ("target", targets)):
            if len(qubits) == 1:
                gate[key] = int(qubits[0])
            elif len(qubits):
                gate[f"{key}s"] = [int(q) for q in qubits]
        return gate | self.numbers_json(values)

    def numbers_json(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the gate's numbers as members of its JSON object; one value per slot."""
        members: dict[str, Any] = {}
        for member, value in zip(self.parameters, values, strict=True):
            if self.parameters.count(member) > 1:
                members.setdefault(member, []).append(value)
            else:
                members[member] = value
        return members


def _table(*gates: GateSpec) -> Mapping[str, GateSpec]:
    return MappingProxyType({gate.name: gate for gate in gates})


NATIVE = _table(
    GateSpec("gpi", 1, ("phase",)),
    GateSpec("gpi2", 1, ("phase",)),
    GateSpec("ms", 2, ("phases", "phases", "angle")),
    GateSpec("zz", 2, ("angle",)),
)
"""Native gates by name; all numbers in turns."""

QIS = _table(
    *(GateSpec(name, 1) for name in ("x", "y", "z")),
    *(GateSpec(name, 1, ("rotation",)) for name in ("rx", "ry", "rz")),
    *(GateSpec(name, 1) for name in ("h", "s", "si", "v", "vi", "t", "ti", "not", "cnot")),
    GateSpec("swap", 2),
    *(GateSpec(name, 2, ("rotation",)) for name in ("xx", "yy", "zz")),
)
"""Gates of the abstract gateset by name; rotations in radians. ``cnot`` needs a control."""

GATESETS = MappingProxyType({"native": NATIVE, "qis": QIS})
"""Both vocabularies by the name that a job gives in ``gateset``."""

ENTANGLERS = ("zz", "ms")
"""Native two-qubit gates, the preferred one first."""

FULL_ANGLE = 0.25
"""Turns of a fully entangling MS or ZZ; an MS takes 0 to this."""
