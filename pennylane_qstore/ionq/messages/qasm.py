"""Circuits in OpenQASM 3, for the machines that take nothing else. Pure.

Only gates of ``stdgates.inc`` are written, so that it does not matter what else a reader knows.
Each qubit is measured into the bit of its own number: outcomes are the same as those of a circuit
in IonQ's JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import pi
from typing import Any

import orjson

from pennylane_qstore.errors import ConfigurationError

_NAMES: Mapping[str, str] = {
    **{name: name for name in ("x", "y", "z", "rx", "ry", "rz", "h", "s", "t", "swap")},
    "not": "x",
    "si": "sdg",
    "ti": "tdg",
    "v": "sx",
    "cnot": "cx",
}
"""OpenQASM's names by IonQ's, of gates that ``stdgates.inc`` has."""
_TO_Z: Mapping[str, tuple[str, str]] = {
    "xx": ("h", "h"),
    "yy": (f"rx({pi / 2!r})", f"rx({-pi / 2!r})"),
    "zz": ("", ""),
}
"""One-qubit gates before and after a rotation about ZZ, which make it one about another axis."""


def qasm_text(circuit: bytes, qubits: int) -> str:
    """Return a circuit as a program in OpenQASM 3 that measures every qubit.

    Args:
        circuit: JSON array of gates of IonQ's abstract gateset, rotations in radians.
        qubits: number of qubits.

    Returns:
        The program; qubit k is ``q[k]``, its outcome ``c[k]``.

    Raises:
        ConfigurationError: a gate that has no form here, of the native gateset for example.
    """
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', f"qubit[{qubits}] q;", f"bit[{qubits}] c;"]
    for gate in orjson.loads(circuit):
        lines += _written(gate)
    lines += [f"c[{k}] = measure q[{k}];" for k in range(qubits)]
    return "\n".join(lines)


def _written(gate: Mapping[str, Any]) -> Iterator[str]:
    """Yield the statements of a gate."""
    name, controls = gate["gate"], _qubits(gate, "control")
    targets, rotation = _qubits(gate, "target"), gate.get("rotation")
    is_known = name in _NAMES and len(controls) == (name == "cnot")
    if is_known:
        angle = "" if rotation is None else f"({float(rotation)!r})"
        yield f"{_NAMES[name]}{angle} {', '.join([*controls, *targets])};"
    elif name == "vi" and not controls:  # up to a global phase
        yield f"rx({-pi / 2!r}) {targets[0]};"
    elif name in _TO_Z and rotation is not None and not controls:
        before, after = _TO_Z[name]
        first, second = targets
        yield from (f"{before} {q};" for q in targets if before)
        yield f"cx {first}, {second};"
        yield f"rz({float(rotation)!r}) {second};"
        yield f"cx {first}, {second};"
        yield from (f"{after} {q};" for q in targets if after)
    else:
        raise ConfigurationError(
            f"Gate {name!r} is not written in OpenQASM 3 here. Use gateset='qis'. Nothing was sent."
        )


def _qubits(gate: Mapping[str, Any], role: str) -> list[str]:
    """Return the qubits of a gate in a role, as OpenQASM names them."""
    one, several = gate.get(role), gate.get(f"{role}s", [])
    return [f"q[{k}]" for k in (several if one is None else [one])]
