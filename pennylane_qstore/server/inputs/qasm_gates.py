"""The circuit that an OpenQASM 3 program plays, gate by gate, in IonQ's JSON.

A qubit that goes on after a measurement or a reset goes on as another qubit of the circuit, so
that every outcome is there at its end: behind the declared qubits come those that hold what was
measured (or thrown away) on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pennylane_qstore.gateset import FULL_ANGLE, NATIVE
from pennylane_qstore.server.errors import Preflight
from pennylane_qstore.server.inputs.program import COPY


class _Known(NamedTuple):
    """A gate of ``stdgates.inc``: IonQ's name, its own controls, its numbers (0 or 1)."""

    name: str
    controls: int = 0
    numbers: int = 0


_GATES: Mapping[str, _Known] = {
    **{name: _Known(name) for name in ("x", "y", "z", "h", "s", "t", "swap")},
    **{name: _Known(ionq) for name, ionq in (("sdg", "si"), ("tdg", "ti"), ("sx", "v"))},
    **{name: _Known(name, 0, 1) for name in ("rx", "ry", "rz")},
    **{name: _Known("z", 0, 1) for name in ("p", "phase", "u1")},
    **{"r" + pair: _Known(pair, 0, 1) for pair in ("xx", "yy", "zz")},
    **{"c" + name: _Known(name, 1) for name in ("x", "y", "z", "h", "swap")},
    **{"c" + name: _Known(name, 1, 1) for name in ("rx", "ry", "rz")},
    **{name: _Known("z", 1, 1) for name in ("cp", "cphase")},
    "CX": _Known("x", 1),
    "ccx": _Known("x", 2),
}
_UNITARY = {"id": 0, "gphase": 1, "U": 3, "u3": 3, "u2": 2, "cu": 4}
"""Gates without a name in IonQ's JSON, and their numbers of parameters."""
GATE_NAMES = frozenset({*_GATES, *_UNITARY, *NATIVE})
"""Gates that need no definition."""
_INVERSE = {"s": "si", "si": "s", "t": "ti", "ti": "t", "v": "vi", "vi": "v"}


class CircuitBuilder:
    """Collects gates on qubits that are measured and reset on the way."""

    def __init__(self) -> None:
        self._places: list[int] = []  # of every declared qubit: the circuit's qubit it is now
        self._made = 0
        self._touched: set[int] = set()
        self._measured: set[int] = set()
        self._gates: list[dict[str, Any]] = []

    def declare(self, size: int) -> list[int]:
        """Declare qubits, and return their numbers among the declared ones."""
        first = len(self._places)
        self._places.extend(self._new() for _ in range(size))
        return list(range(first, first + size))

    def measure(self, qubits: Iterable[int]) -> list[int]:
        """Measure declared qubits, and return the circuit's qubits that hold the outcomes."""
        places = [self._places[q] for q in qubits]
        self._measured.update(places)
        return places

    def reset(self, qubits: Iterable[int]) -> None:
        """Replace qubits that have been used or measured by new ones in |0⟩."""
        for qubit in qubits:
            place = self._places[qubit]
            if place in self._touched or place in self._measured:
                self._places[qubit] = self._new()

    def play(
        self, name: str, numbers: Sequence[float], qubits: list[int], extra: int, *, inverse: bool
    ) -> None:
        """Add one known gate.

        Args:
            name: OpenQASM's name.
            numbers: parameters, in radians (native gates: turns).
            qubits: declared qubits, controls first.
            extra: number of controls beside the gate's own.
            inverse: whether the gate's inverse is meant.

        Raises:
            Preflight: the gate is not known, or does not take what it is given.
        """
        if name in _UNITARY:
            self._unitary(name, numbers, qubits, extra, inverse=inverse)
        elif name in NATIVE:
            if extra or inverse:
                raise refused(f"has a modifier at the native gate {name!r}")
            self._native(name, numbers, qubits)
        elif name in _GATES:
            gate = _GATES[name]
            check_numbers(name, numbers, gate.numbers)
            controls = extra + gate.controls
            ionq = gate.name
            rotation: dict[str, float] = {}
            if gate.numbers:
                rotation["rotation"] = -numbers[0] if inverse else numbers[0]
            elif inverse:
                ionq = _INVERSE.get(ionq, ionq)
            self._add(ionq, qubits[controls:], qubits[:controls], **rotation)
        else:
            raise refused(f"uses the gate {name!r}, which is not supported")

    def finish(self, bits: Mapping[str, Sequence[int | None]]) -> dict[str, Any]:
        """Return the circuit.

        Args:
            bits: the circuit's qubit that each bit of a register was measured from.

        Returns:
            ``circuit``, ``gateset``, ``qubits``, ``recorded`` and ``registers``.

        Raises:
            Preflight: native gates are mixed with others.
        """
        native = {
            gate["gate"] in NATIVE and "rotation" not in gate
            for gate in self._gates
            if gate["gate"] != COPY
        }
        if len(native) > 1:
            raise refused("mixes native gates with others")
        hidden = sorted(set(range(self._made)) - set(self._places))
        to = {place: k for k, place in enumerate([*self._places, *hidden])}
        return {
            "circuit": [
                gate | {k: [to[q] for q in gate[k]] for k in ("targets", "controls") if k in gate}
                for gate in self._gates
            ],
            "gateset": "native" if native == {True} else "qis",
            "qubits": self._made,
            "recorded": len(hidden),
            "registers": {
                name: [None if place is None else to[place] for place in places]
                for name, places in bits.items()
                if any(place is not None for place in places)
            },
        }

    def _new(self) -> int:
        self._made += 1
        return self._made - 1

    def _native(self, name: str, numbers: Sequence[float], qubits: list[int]) -> None:
        """Add one of IonQ's own gates; its numbers are turns."""
        if name == "ms":
            if len(numbers) not in (2, 3):
                raise refused(f"gives 'ms' {len(numbers)} parameter(s), it takes 2 or 3")
            numbers = [*numbers, FULL_ANGLE][:3]
        spec = NATIVE[name]
        check_numbers(name, numbers, spec.slots)
        self._add(name, qubits, [], **spec.numbers_json(numbers))

    def _unitary(
        self, name: str, numbers: Sequence[float], qubits: list[int], extra: int, *, inverse: bool
    ) -> None:
        """Add a gate as rotations, and the phase that controls turn into a relative one."""
        check_numbers(name, numbers, _UNITARY[name])
        sign = -1.0 if inverse else 1.0
        if name == "id":
            return
        if name == "gphase":
            self._phase(sign * numbers[0], qubits)
            return
        theta, phi, lam = (math.pi / 2, *numbers) if name == "u2" else numbers[:3]
        # of OpenQASM 3's U; u2 and u3 are defined without it
        phase = (theta + phi + lam) / 2 if name in ("U", "cu") else 0.0
        extra += name == "cu"
        if name == "cu":
            phase += numbers[3] - theta / 2
        controls, targets = qubits[:extra], qubits[extra:]
        angles = [("rz", lam), ("ry", theta), ("rz", phi)]
        for gate, angle in angles[::-1] if inverse else angles:
            self._add(gate, targets, controls, rotation=sign * angle)
        self._phase(sign * phase, controls)

    def _phase(self, angle: float, controls: list[int]) -> None:
        """Add a phase where all controls are 1; without controls it is global, and left out."""
        if controls and angle:
            self._add("z", controls[-1:], controls[:-1], rotation=angle)

    def _add(self, gate: str, targets: list[int], controls: list[int], **numbers: Any) -> None:
        """Append a gate; a measured qubit is continued on a copy of it."""
        for qubit in (*targets, *controls):
            place = self._places[qubit]
            if place in self._measured:
                self._places[qubit] = self._new()
                copy = {"gate": COPY, "targets": [self._places[qubit]], "controls": [place]}
                self._gates.append(copy)
            self._touched.add(self._places[qubit])
        entry: dict[str, Any] = {"gate": gate, "targets": [self._places[q] for q in targets]}
        if controls:
            entry["controls"] = [self._places[q] for q in controls]
        self._gates.append(entry | numbers)


def check_numbers(name: str, numbers: Sequence[float], wanted: int) -> None:
    """Check the number of a gate's parameters.

    Args:
        name: the gate's name.
        numbers: its parameters.
        wanted: how many it takes.

    Raises:
        Preflight: it is given more or fewer.
    """
    if len(numbers) != wanted:
        raise refused(f"gives {name!r} {len(numbers)} parameter(s), it takes {wanted}")


def refused(problem: str) -> Preflight:
    """Return the error of a program; the problem is a clause without its subject."""
    return Preflight(f'"input.data" {problem}.', keys=["input.data"])
