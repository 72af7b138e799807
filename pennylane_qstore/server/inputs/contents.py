"""The circuits of a submission, whatever the type of the job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pennylane_qstore.backends import MAX_CIRCUITS, MAX_GATES
from pennylane_qstore.server.errors import BadRequest, Preflight, invalid
from pennylane_qstore.server.inputs.alike import AlikeCircuits
from pennylane_qstore.server.inputs.circuits import read_circuits, read_tables
from pennylane_qstore.server.inputs.hybrid import (
    FUNCTION,
    QAOA,
    Hybrid,
    Reduce,
    read_function,
    read_maxcut,
)
from pennylane_qstore.server.inputs.program import Program
from pennylane_qstore.server.inputs.qasm import read_qasm
from pennylane_qstore.server.service import CircuitInfo, Failure, ServiceBehaviour

SINGLE, MULTI, QASM = "ionq.circuit.v1", "ionq.multi-circuit.v1", "ionq.qasm3.v1"
_PREFLIGHT = (QASM, FUNCTION)
"""Types whose programs the service reads after it has accepted the job."""


class Contents(NamedTuple):
    """An ``input`` as read; without programs where there is a failure."""

    circuits: list[CircuitInfo]
    programs: list[Program]
    reduce: Reduce | None = None
    failure: Failure | None = None


def read_contents(kind: str, source: Mapping[str, Any], behaviour: ServiceBehaviour) -> Contents:
    """Read the ``input`` of a job.

    Args:
        kind: type of the job.
        source: the ``input``.
        behaviour: how strict to be.

    Returns:
        Circuits and programs; a failure where the service accepts the job and fails it.

    Raises:
        BadRequest: where the service answers 400.
    """
    if isinstance(circuits := source.get("circuits"), AlikeCircuits):
        return _alike(circuits, source, behaviour)
    copies, plain = kind == QASM, kind in (SINGLE, MULTI)
    raw: list[Any] = []
    try:
        raw, reduce = read_input(kind, source)
        programs = read_circuits(
            raw,
            gateset=source.get("gateset") if plain else "qis",
            qubits=source.get("qubits") if plain else None,
            strict_ranges=behaviour.strict_ranges,
            copies=copies,
        )
        circuits = _infos(raw, programs, copies=copies)
    except BadRequest as error:
        if kind not in _PREFLIGHT or not (raw or isinstance(error, Preflight)):
            raise
        failure = Failure("PreflightError", error.message)
        return Contents([CircuitInfo(None, 0, 0, 0, None)], [], None, failure)
    if kind == MULTI:
        _check_gates(sum(len(circuit["circuit"]) for circuit in raw))
    return Contents(circuits, programs, reduce)


def _alike(
    circuits: AlikeCircuits, source: Mapping[str, Any], behaviour: ServiceBehaviour
) -> Contents:
    """Return circuits that are tables already."""
    programs = read_tables(
        circuits.tables,
        gateset=source.get("gateset"),
        qubits=source.get("qubits"),
        strict_ranges=behaviour.strict_ranges,
    )
    _check_gates(sum(len(t.structure.gates) * len(t.positions) for t in circuits.tables))
    infos = [CircuitInfo("", 0, 0, 0, None)] * len(circuits.names)
    for program in programs:
        n_1q, n_2q = program.gate_counts()
        for i in program.index.tolist():
            infos[i] = CircuitInfo(circuits.names[i], program.qubits, n_1q, n_2q, None)
    return Contents(infos, programs)


def _check_gates(gates: int) -> None:
    if gates > MAX_GATES:
        raise invalid("input.circuits", f"must have at most {MAX_GATES} gates in all, not {gates}")


def read_input(kind: str, source: Mapping[str, Any]) -> Hybrid:
    """Return the circuits of an ``input``.

    Args:
        kind: type of the job.
        source: the ``input``.

    Returns:
        The circuits in IonQ's JSON, and how their results become the job's.

    Raises:
        BadRequest: the circuits are not where the type wants them, or cannot be read.
    """
    if kind == FUNCTION:
        return read_function(source)
    if kind == QAOA:
        return read_maxcut(source)
    return Hybrid(_circuits_of(kind, source))


def _circuits_of(kind: str, source: Mapping[str, Any]) -> list[Any]:
    if kind == QASM:
        return [read_qasm(source["data"])]
    if kind == SINGLE:
        if "circuits" in source:
            raise invalid("input.circuits", "is not allowed")
        if not isinstance(source.get("circuit"), list):
            raise invalid("input.circuit", "is required and must be an array")
        return [source]
    circuits = source.get("circuits")
    if "circuit" in source or not isinstance(circuits, list) or not circuits:
        raise invalid(
            "input.circuits",
            'is required and must be a non-empty array, "input.circuit" absent',
        )
    if len(circuits) > MAX_CIRCUITS:
        raise invalid(
            "input.circuits",
            f"must contain at most {MAX_CIRCUITS} circuits, not {len(circuits)}",
        )
    return circuits


def _infos(raw: list[Any], programs: list[Program], *, copies: bool) -> list[CircuitInfo]:
    infos: list[CircuitInfo | None] = [None] * len(raw)
    for program in programs:
        n_1q, n_2q = program.gate_counts()
        for i in program.index.tolist():
            name, registers = raw[i].get("name"), raw[i].get("registers")
            if name is not None and not isinstance(name, str):
                raise BadRequest(f'"circuits[{i}].name" must be a string.', keys=["input.circuits"])
            if registers is not None:
                _check_registers(registers, program.qubits, i)
            recorded = raw[i].get("recorded", 0) if copies else 0
            infos[i] = CircuitInfo(name, program.qubits - recorded, n_1q, n_2q, registers, recorded)
    return [info for info in infos if info is not None]


def _check_registers(registers: Any, qubits: int, i: int) -> None:
    valid = isinstance(registers, dict) and all(
        isinstance(places, list)
        and all(p is None or (type(p) is int and 0 <= p < qubits) for p in places)
        for places in registers.values()
    )
    if not valid:
        raise BadRequest(
            f'"circuits[{i}].registers" must map names to arrays of qubit indices.',
            keys=["input.circuits"],
        )
