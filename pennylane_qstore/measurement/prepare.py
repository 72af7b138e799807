"""The one transform before ``execute``: what a tape needs to become plain gates and readings.

Wires are checked; mid-circuit measurements are deferred to ancillas, and what they select is
selected from the outcomes; classical shadows become one broadcast tape whose rows are the
snapshots. Everything else is left to ``execute``, which remembers it per structure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.allocation import Allocate
from pennylane.devices.preprocess import device_resolve_dynamic_wires
from pennylane.exceptions import WireError
from pennylane.measurements import ClassicalShadowMP, MeasurementProcess, ShadowExpvalMP
from pennylane.ops import MidMeasure
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript
from pennylane.typing import PostprocessingFn, Result, ResultBatch
from pennylane.wires import Wires

from pennylane_qstore.measurement.recipes import NotSupported, Postselected
from pennylane_qstore.native.frontend.structure import standard_order

_SHADOWS = (ClassicalShadowMP, ShadowExpvalMP)


@qml.transform  # type: ignore[untyped-decorator]
def prepare(
    tape: QuantumScript, wires: Wires | None, fill: bool = False
) -> tuple[Sequence[QuantumScript], PostprocessingFn]:
    """Prepare a tape for execution.

    Args:
        tape: any tape.
        wires: the device's wires, or None if it has none of its own.
        fill: whether postselection is asked to keep the number of shots.

    Returns:
        Tapes, and the function from their results to the tape's own.

    Raises:
        WireError: the tape has wires that the device does not have.
        AllocationError: it allocates more wires than the device has left.
        NotSupported: a mixed state, a classical shadow of a broadcast tape, or one without
            shots.
    """
    kinds = set(map(type, tape.operations))
    if Allocate in kinds:
        # A device without wires has fresh ones enough; to use one again costs an ancilla, too.
        (tape,), _ = device_resolve_dynamic_wires(tape, wires, allow_resets=wires is not None)
        kinds = set(map(type, tape.operations))
    if wires is not None and not wires.contains_wires(tape.wires):
        foreign = [w for w in tape.wires if w not in wires]
        raise WireError(
            f"Cannot run circuit(s) on qstore.ionq: wires {foreign} are not on the device, "
            f"which has {wires.tolist()}."
        )
    if qml.QubitDensityMatrix in kinds:
        raise NotSupported(
            "QubitDensityMatrix is not supported on qstore.ionq: no sequence of gates prepares a "
            "mixed state. Entangle the wires with others, or average over pure states."
        )
    measured = any(map(_is_measured, kinds))
    shadows = any(map(_is_shadow, map(type, tape.measurements)))
    if not measured and not shadows:
        return (tape,), _first
    with QueuingManager.stop_recording():
        tapes, together = (
            _deferred(_with_wires(tape, wires), fill) if measured else ((tape,), _first)
        )
        if not shadows:
            return tapes, together
        parts = [_snapshots(t) for t in tapes]

    def after(results: ResultBatch) -> Result:
        left = iter(results)
        return together(tuple(join([next(left) for _ in some]) for some, join in parts))

    return [t for some, _ in parts for t in some], after


# PennyLane's classes are abstract ones, of which the question takes longer than to remember.
@functools.cache
def _is_measured(kind: type) -> bool:
    return issubclass(kind, MidMeasure)


@functools.cache
def _is_shadow(kind: type) -> bool:
    return issubclass(kind, _SHADOWS)


def _first(results: ResultBatch) -> Result:
    return results[0]


def _same(result: Result) -> Result:
    return result


def _with_wires(tape: QuantumScript, wires: Wires | None) -> QuantumScript:
    """Measurements of all wires name them, so that ancillas are not counted among them."""
    every = wires or Wires(standard_order(tape))
    named = [
        m if m.obs is not None or m.mv is not None or m.wires else _on(m, every)
        for m in tape.measurements
    ]
    return tape.copy(measurements=named)


def _on(m: MeasurementProcess, wires: Wires) -> MeasurementProcess:
    keywords = {"all_outcomes": m.all_outcomes} if hasattr(m, "all_outcomes") else {}
    return type(m)(wires=wires, **keywords)


# --- mid-circuit measurements --------------------------------------------------------------


def _deferred(tape: QuantumScript, fill: bool) -> tuple[Sequence[QuantumScript], PostprocessingFn]:
    """Defer measurements. PennyLane expands a broadcast tape if something is selected."""
    tapes, together = qml.defer_measurements(tape, allow_postselect=True)
    parts = [_selected(t, fill) for t in tapes]

    def after(results: ResultBatch) -> Result:
        return together(tuple(cut(r) for (_, cut), r in zip(parts, results, strict=True)))

    return [t for t, _ in parts], after


def _selected(tape: QuantumScript, fill: bool) -> tuple[QuantumScript, Callable[[Result], Result]]:
    """Copy what is projected on to ancillas, which are read with the rest."""
    operations: list[Any] = []
    ancillas: list[Any] = []
    values: list[int] = []
    for op in tape.operations:
        if isinstance(op, qml.Projector):
            ancillas.append(_Ancilla(len(ancillas)))
            values.append(int(np.asarray(op.data[0]).reshape(-1)[0]))
            operations.append(qml.CNOT([op.wires[0], ancillas[-1]]))
        else:
            operations.append(op)
    if not ancillas:
        return tape, _same
    measurements = [*tape.measurements, Postselected(ancillas, values, fill=fill)]
    selected = tape.copy(operations=operations, measurements=measurements)
    return selected, _without_last(len(tape.measurements), tape.shots)


class _Ancilla:
    """A wire label of our own."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return hash((_Ancilla, self.number))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ancilla) and other.number == self.number

    def __repr__(self) -> str:
        return f"selected {self.number}"


def _without_last(count: int, shots: Any) -> Callable[[Result], Result]:
    def cut(result: Any) -> Any:
        return result[0] if count == 1 else tuple(result[:count])

    if shots.has_partitioned_shots:
        return lambda result: tuple(cut(copy) for copy in result)
    return cut


# --- classical shadows ---------------------------------------------------------------------


def _snapshots(
    tape: QuantumScript,
) -> tuple[tuple[QuantumScript, ...], Callable[[ResultBatch], Result]]:
    """One broadcast tape per shadow, a row per snapshot; the other measurements apart."""
    if tape.batch_size is not None:
        raise NotSupported(
            "Classical shadows of a broadcast circuit are not supported on qstore.ionq: give the "
            "QNode one row at a time, inside qstore.gather to send them together."
        )
    if not tape.shots:
        raise NotSupported(
            "Classical shadows are not supported on qstore.ionq without shots: each snapshot is "
            "one shot. Use qml.set_shots(qnode, shots=1000)."
        )
    others = [m for m in tape.measurements if not isinstance(m, _SHADOWS)]
    tapes: list[QuantumScript] = []
    readings: list[Callable[[Any], list[Any]]] = []
    for m in tape.measurements:
        if isinstance(m, _SHADOWS):
            snapshots, recipes = _bases(tape, m)
            tapes.append(snapshots)
            readings.append(_reading(m, recipes, tape.shots))
    if others:
        tapes.append(tape.copy(measurements=others))

    def together(results: ResultBatch) -> Result:
        copies = tape.shots.num_copies
        shadows = [read(bits) for read, bits in zip(readings, results, strict=False)]
        rest = list(results[len(readings) :])
        out = []
        for copy in range(copies):
            plain = rest[0][copy] if rest and copies > 1 else rest[0] if rest else ()
            queue = iter(plain if len(others) > 1 else (plain,))
            values = iter([shadow[copy] for shadow in shadows])
            row = tuple(
                next(values) if isinstance(m, _SHADOWS) else next(queue) for m in tape.measurements
            )
            out.append(row[0] if len(row) == 1 else row)
        return tuple(out) if copies > 1 else out[0]

    return tuple(tapes), together


def _bases(tape: QuantumScript, m: MeasurementProcess) -> tuple[QuantumScript, np.ndarray]:
    """The tape with a random Pauli basis per row and wire, drawn as PennyLane draws it."""
    shots = tape.shots.total_shots
    recipes = np.random.RandomState(m.seed).randint(0, 3, size=(shots, len(m.wires)))
    turns: list[Any] = []
    for i, wire in enumerate(m.wires):
        # X to Z by RY(-π/2); Y to X first, by RZ(-π/2).
        turns.append(qml.RZ(np.where(recipes[:, i] == 1, -np.pi / 2, 0.0), wires=wire))
        turns.append(qml.RY(np.where(recipes[:, i] == 2, 0.0, -np.pi / 2), wires=wire))
    operations = [*tape.operations, *turns]
    return QuantumScript(operations, [qml.sample(wires=m.wires)], shots=1), recipes


def _reading(m: MeasurementProcess, recipes: np.ndarray, shots: Any) -> Callable[[Any], list[Any]]:
    """From samples (snapshots, 1, wires) to the measurement's result per shot copy."""

    def read(samples: Any) -> list[Any]:
        bits = np.asarray(samples).reshape(recipes.shape).astype(np.int8)
        out, start = [], 0
        for n in shots:
            part = slice(start, start + n)
            start += n
            if isinstance(m, ShadowExpvalMP):
                wires = m.wires.tolist()
                shadow = qml.ClassicalShadow(bits[part], recipes[part], wire_map=wires)
                out.append(np.asarray(shadow.expval(m.H, m.k)))
            else:
                out.append(np.stack([bits[part], recipes[part].astype(np.int8)]))
        return out

    return read
