"""The one transform before ``execute``: what a tape needs to become plain gates and readings.

Wires are checked; mid-circuit measurements are deferred to ancillas, and what they select is
selected from the outcomes; classical shadows become broadcast tapes whose rows are the
snapshots. Everything else is left to ``execute``, which remembers it per structure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.allocation import Allocate
from pennylane.devices.preprocess import device_resolve_dynamic_wires, null_postprocessing
from pennylane.exceptions import WireError
from pennylane.measurements import ClassicalShadowMP, MeasurementProcess, ShadowExpvalMP
from pennylane.operation import Operator
from pennylane.ops import MidMeasure
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript
from pennylane.typing import PostprocessingFn, Result, ResultBatch
from pennylane.wires import Wires

from pennylane_qstore.measurement.recipes import NotSupported, Postselected
from pennylane_qstore.native.frontend.structure import row_operations, standard_order

_SHADOWS = (ClassicalShadowMP, ShadowExpvalMP)
_is_subclass: Callable[[type, Any], bool] = functools.cache(issubclass)
"""PennyLane's classes are abstract ones, of which the question takes longer than to remember."""


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
        NotSupported: a mixed state, or a classical shadow without shots.
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
    measured = any(_is_subclass(kind, MidMeasure) for kind in kinds)
    shadows = any(_is_subclass(type(m), _SHADOWS) for m in tape.measurements)
    if not measured and not shadows:
        return (tape,), null_postprocessing
    with QueuingManager.stop_recording():
        tapes, together = (
            _deferred(_with_wires(tape, wires), fill)
            if measured
            else ((tape,), null_postprocessing)
        )
        if not shadows:
            return tapes, together
        parts = [_snapshots(t, wires) for t in tapes]
    joins = [(len(some), join) for some, join in parts]
    return [t for some, _ in parts for t in some], functools.partial(_join_each, together, joins)


# Functions of results are partial ones of a module's: a handle of jobs is pickled with them.
def _join_each(
    together: PostprocessingFn,
    joins: Sequence[tuple[int, PostprocessingFn]],
    results: ResultBatch,
) -> Result:
    left = iter(results)
    return together(tuple(join([next(left) for _ in range(count)]) for count, join in joins))


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
    """Defer measurements, all rows of a broadcast tape together."""
    tapes, together = qml.defer_measurements(
        _Together(tape.operations, tape.measurements, tape.shots), allow_postselect=True
    )
    return [_selected(t, fill) for t in tapes], together


def _selected(tape: QuantumScript, fill: bool) -> QuantumScript:
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
    measurements = tape.measurements
    if ancillas:
        measurements = [*measurements, Postselected(ancillas, values, fill=fill)]
    return QuantumScript(operations, measurements, tape.shots)


class _Together(QuantumScript):  # type: ignore[misc]
    """A tape that PennyLane leaves together where something is selected.

    It would split a broadcast tape into rows, and put their parameters into operations that
    lose zero control values by it.
    """

    batch_size = None


@dataclass(frozen=True, slots=True)
class _Ancilla:
    """A wire label of our own."""

    number: int

    def __repr__(self) -> str:
        return f"selected {self.number}"


# --- classical shadows ---------------------------------------------------------------------


def _snapshots(
    tape: QuantumScript, wires: Wires | None
) -> tuple[tuple[QuantumScript, ...], Callable[[ResultBatch], Result]]:
    """One broadcast tape per shadow and row, its rows the snapshots; other measurements apart."""
    if not tape.shots:
        raise NotSupported(
            "Classical shadows are not supported on qstore.ionq without shots: each snapshot is "
            "one shot. Use qml.set_shots(qnode, shots=1000)."
        )
    others = [m for m in tape.measurements if not isinstance(m, _SHADOWS)]
    rows = row_operations(tape, wires)
    tapes: list[QuantumScript] = []
    readings: list[Callable[[Any], list[Any]]] = []
    for m in tape.measurements:
        if isinstance(m, _SHADOWS):
            recipes = _recipes(m, len(rows or (0,)), tape.shots.total_shots)
            for operations, some in zip(rows or [tape.operations], recipes, strict=True):
                tapes.append(_in_bases(operations, m, some))
            readings.append(functools.partial(_read, m, recipes, tape.shots, rows is not None))
    each = len(tapes) // len(readings)
    if others:
        tapes.append(tape.copy(measurements=others))
    with_results = [m for m in tape.measurements if not isinstance(m, Postselected)]
    are_shadows = [isinstance(m, _SHADOWS) for m in with_results]
    copies = tape.shots.num_copies
    return tuple(tapes), functools.partial(_joined, readings, each, are_shadows, copies)


def _joined(
    readings: Sequence[Callable[[Any], list[Any]]],
    each: int,
    are_shadows: Sequence[bool],
    copies: int,
    results: ResultBatch,
) -> Result:
    """Return a tape's result: shadows from ``each`` results, the others from the last result."""
    shadows = [read(results[i * each : (i + 1) * each]) for i, read in enumerate(readings)]
    rest = list(results[each * len(readings) :])
    out = []
    for copy in range(copies):
        plain = rest[0][copy] if rest and copies > 1 else rest[0] if rest else ()
        queue = iter(plain if are_shadows.count(False) > 1 else (plain,))
        values = iter([shadow[copy] for shadow in shadows])
        row = tuple(next(values) if shadow else next(queue) for shadow in are_shadows)
        out.append(row[0] if len(row) == 1 else row)
    return tuple(out) if copies > 1 else out[0]


def _recipes(m: MeasurementProcess, rows: int, shots: int) -> npt.NDArray[np.int64]:
    """A random Pauli basis per row, snapshot and wire, drawn as PennyLane draws one row's."""
    return np.random.RandomState(m.seed).randint(0, 3, size=(rows, shots, len(m.wires)))


def _in_bases(
    operations: Sequence[Operator], m: MeasurementProcess, recipes: npt.NDArray[np.int64]
) -> QuantumScript:
    """The tape of one row's snapshots, each with its bases (snapshots, wires)."""
    turns: list[Any] = []
    for i, wire in enumerate(m.wires):
        # X to Z by RY(-π/2); Y to X first, by RZ(-π/2).
        turns.append(qml.RZ(np.where(recipes[:, i] == 1, -np.pi / 2, 0.0), wires=wire))
        turns.append(qml.RY(np.where(recipes[:, i] == 2, 0.0, -np.pi / 2), wires=wire))
    return QuantumScript([*operations, *turns], [qml.sample(wires=m.wires)], shots=1)


def _read(
    m: MeasurementProcess,
    recipes: npt.NDArray[np.int64],
    shots: Any,
    batched: bool,
    samples: Any,
) -> list[Any]:
    """From each row's samples (snapshots, 1, wires) to the measurement's result per shot copy."""
    bits = np.asarray(samples).reshape(recipes.shape).astype(np.int8)
    out, start = [], 0
    for n in shots:
        part = slice(start, start + n)
        start += n
        rows = [_shadow(m, b[part], r[part]) for b, r in zip(bits, recipes, strict=True)]
        out.append(np.stack(rows) if batched else rows[0])
    return out


def _shadow(m: MeasurementProcess, bits: npt.NDArray[np.int8], bases: npt.NDArray[np.int64]) -> Any:
    if isinstance(m, ShadowExpvalMP):
        shadow = qml.ClassicalShadow(bits, bases, wire_map=m.wires.tolist())
        return np.asarray(shadow.expval(m.H, m.k))
    return np.stack([bits, bases.astype(np.int8)])
