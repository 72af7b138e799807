"""``compile_native``: native gates in place of a tape's operations, on any PennyLane device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pennylane as qml
from pennylane.devices.preprocess import null_postprocessing
from pennylane.measurements import (
    CountsMP,
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    SampleMP,
    VarianceMP,
)
from pennylane.operation import Operator
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript, QuantumScriptBatch
from pennylane.typing import PostprocessingFn

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.compiler import IonQNativeGateCompiler, is_tracer, wire_order
from pennylane_qstore.native.frontend.structure import row_operations
from pennylane_qstore.native.gates import GPI, NATIVE_GATES
from pennylane_qstore.native.pipeline import EFFORT_S

_DIAGONAL = (CountsMP, ExpectationMP, ProbabilityMP, SampleMP, VarianceMP)


@qml.transform  # type: ignore[untyped-decorator]
def compile_native(
    tape: QuantumScript,
    two_qubit: str = "zz",
    optimize_depth: bool = True,
    optimize_fidelity: bool = True,
    effort: float = EFFORT_S,
) -> tuple[QuantumScriptBatch, PostprocessingFn]:
    """Turn a tape's operations into IonQ's native gates, results unchanged.

    The tape may then run on any device. Measurements stay as they are: SWAPs are undone by
    renaming wires, and virtual rotations about Z that a measurement would see become two GPi
    pulses; a measurement of all wires puts an Identity on them first. States agree up to a
    global phase. Parameters are taken as numbers: differentiate the QNode without the transform.

    Args:
        tape: a tape or QNode that starts in ``|0…0⟩``. A broadcast tape becomes one tape per row.
        two_qubit: entangling gate, ``"ms"`` or ``"zz"``.
        optimize_depth: as for :class:`IonQNativeGateCompiler`.
        optimize_fidelity: as for :class:`IonQNativeGateCompiler`.
        effort: as for :class:`IonQNativeGateCompiler`, in seconds.

    Returns:
        The transformed QNode, or tapes and a function that undoes the splitting.

    Raises:
        CompileError: an operation is not supported, a parameter is not finite, or it is being
            differentiated or traced.

    **Example**

    >>> @compile_native
    ... @qml.qnode(qml.device("default.qubit"))
    ... def bell():
    ...     qml.Hadamard(0)
    ...     qml.CNOT([0, 1])
    ...     return qml.expval(qml.X(0) @ qml.X(1))
    >>> print(round(float(bell()), 6))
    1.0
    """
    compiler = IonQNativeGateCompiler(
        two_qubit,
        absorb=False,
        optimize_depth=optimize_depth,
        optimize_fidelity=optimize_fidelity,
        effort=effort,
    )
    _refuse_traced(tape)
    rows = row_operations(tape)
    if rows is None:
        return (_native(tape, compiler),), null_postprocessing
    every_wire = qml.Identity(wires=tape.wires)  # in their order, those without effect included
    tapes = [QuantumScript([every_wire, *row], tape.measurements, tape.shots) for row in rows]
    return tuple(_native(row, compiler) for row in tapes), partial(_stacked, tape)


def _stacked(tape: QuantumScript, rows: Sequence[Any]) -> Any:
    """Return results with a leading dimension of rows: that of each measurement, of each copy."""

    def measured(results: Sequence[Any]) -> Any:
        if len(tape.measurements) > 1:
            return tuple(qml.math.stack(values) for values in zip(*results, strict=True))
        return qml.math.stack(results)

    if tape.shots.has_partitioned_shots:
        return tuple(measured(copies) for copies in zip(*rows, strict=True))
    return measured(rows)


def _refuse_traced(tape: QuantumScript) -> None:
    for op in tape.operations:
        if any(_is_traced(value) for value in op.data):
            raise CompileError(
                f"{op.name} on wires {op.wires.tolist()} has a parameter that is being "
                "differentiated or traced; compile_native takes numbers. Differentiate the QNode "
                "without it (a qstore.ionq device compiles by itself, gradients included)."
            )


def _native(tape: QuantumScript, compiler: IonQNativeGateCompiler) -> QuantumScript:
    bare = QuantumScript(tape.operations)
    if not bare.wires:
        return tape
    made = compiler.compile(bare)
    labels = wire_order(bare)
    at = {native: labels[i] for i, native in enumerate(made.permutation)}
    with QueuingManager.stop_recording():
        operations: list[Operator] = [
            NATIVE_GATES[name](*params, wires=[at[q] for q in on])
            for name, on, params in made.gates
        ]
        seen = _seen_frames(tape.measurements, labels)
        for native, turns in enumerate(made.frames):
            if at[native] in seen and abs(turns) > 1e-12:  # GPi(φ)·GPi(0) is RZ(4πφ)
                operations += [GPI(0.0, at[native]), GPI(turns / 2, at[native])]
        if any(m.obs is None and m.mv is None and not m.wires for m in tape.measurements):
            # All wires are measured: none may be missing, nor their order another.
            operations.insert(0, qml.Identity(wires=tape.wires))
    return QuantumScript(operations, tape.measurements, shots=tape.shots)


def _is_traced(value: Any) -> bool:
    """Return whether a parameter is a box of autograd or jax, or a torch tensor with a gradient."""
    if is_tracer(value) or type(value).__name__ == "ArrayBox":
        return True
    return qml.math.get_interface(value) == "torch" and bool(value.requires_grad)


def _seen_frames(measurements: Sequence[MeasurementProcess], labels: Sequence[Any]) -> set[Any]:
    """Return the wires that are measured in another basis than the computational one."""
    seen: set[Any] = set()
    for m in measurements:
        if not isinstance(m, _DIAGONAL):
            return set(labels)
        if m.obs is None:
            continue
        sentence = m.obs.pauli_rep
        if sentence is None:
            seen |= set(m.wires)
        else:
            seen |= {w for word in sentence for w, axis in word.items() if axis != "Z"}
    return seen
