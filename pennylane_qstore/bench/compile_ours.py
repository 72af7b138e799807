"""Our compiler in its two settings, with and without absorbing.

*Thorough* is :class:`~pennylane_qstore.IonQNativeGateCompiler`: the circuit's elementary gates, all
numbers known, as the other compilers get them. *Device* is what a ``qstore.ionq`` device sends on
the first call of a structure: the tape as it is written, trainable numbers and arrays unknown, and
the quick search. Its time is that of the first call, template and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pennylane_qstore.backends import backend
from pennylane_qstore.bench.compile_check import Compiled, Reading
from pennylane_qstore.bench.compile_circuits import Circuit
from pennylane_qstore.execution.circuits import Target, plan_tape, templates_of
from pennylane_qstore.execution.literals import SteadyConstants, structures_of
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.circuit import NativeCircuit
from pennylane_qstore.native.compiler import IonQNativeGateCompiler, only_circuit

Compiler = Callable[[Circuit], Compiled]
"""Compiles one circuit for one family of native gates."""


def thorough(family: str, *, absorb: bool) -> Compiler:
    """Make the compiler that knows all numbers and searches.

    Args:
        family: ``"zz"`` or ``"ms"``.
        absorb: whether the readout may take over gates.

    Returns:
        The compiler.
    """
    made = IonQNativeGateCompiler(family, absorb=absorb)
    return lambda circuit: _compiled(made.compile(circuit.elementary), absorb)


def device(family: str, *, absorb: bool) -> Compiler:
    """Make the compiler that a device is to a tape that it has not seen.

    Args:
        family: ``"zz"`` or ``"ms"``.
        absorb: as the device's option.

    Returns:
        The compiler.
    """
    target = Target(backend("simulator"), "native", family, absorb, exact=True)

    def compiled(circuit: Circuit) -> Compiled:
        cache = SmartCircuitCache()
        plan = plan_tape(circuit.tape, None, cache)
        parts = [(plan.tape, plan.pieces, plan.wires)]
        structures, columns = structures_of(parts, cache, SteadyConstants())
        (basis,) = plan.measurement.bases
        (template,) = templates_of(plan, basis, structures, target, cache)
        measured = None if absorb else list(range(len(plan.wires)))
        return _compiled(only_circuit(template, columns[0][0], measured), absorb)

    return compiled


def _compiled(native: NativeCircuit, absorb: bool) -> Compiled:
    if absorb:
        reading = Reading(native.measured, native.readout)
        return Compiled(native.qubits, native.gates, reading=reading)
    return Compiled(native.qubits, native.gates, native.permutation, frames=native.frames)


OURS: Mapping[str, Callable[[str], Compiler]] = {
    "thorough": partial(thorough, absorb=False),
    "device": partial(device, absorb=False),
    "thorough, absorbed": partial(thorough, absorb=True),
    "device, absorbed": partial(device, absorb=True),
}
"""Our settings by name; absorbed circuits have the tape's outcomes, the others its unitary."""
