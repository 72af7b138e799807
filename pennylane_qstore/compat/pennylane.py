"""Private hooks of PennyLane 0.45.1."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from opcode import opmap
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.queuing import AnnotatedQueue, QueuingManager

_QNODE_STATE = ("_qfunc_output", "_tape")
"""Attributes in which a QNode keeps what its last call recorded."""


_QNODE_CALL: CodeType = qml.QNode.__call__.__code__
_QML_EXECUTE: CodeType = inspect.unwrap(qml.execute).__code__
_QML_DEVICE: CodeType = inspect.unwrap(qml.device).__code__
"""Code objects by which functions are recognised on a stack."""


def is_qnode_call(frame: FrameType) -> bool:
    """Return True for the frame of a QNode call; its ``self`` is the QNode."""
    return frame.f_code is _QNODE_CALL


def qnode_states(frames: list[FrameType]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the QNodes being called on a stack and what each keeps of its call.

    Args:
        frames: of a stack, in any order.

    Returns:
        Pairs of a QNode and attributes; ``vars(qnode).update(attributes)`` puts them back.
    """
    qnodes = [frame.f_locals["self"] for frame in frames if is_qnode_call(frame)]
    return [
        (qnode, {n: vars(qnode)[n] for n in _QNODE_STATE if n in vars(qnode)}) for qnode in qnodes
    ]


def called_by_qml_execute(frame: FrameType | None) -> bool:
    """Return True where a frame is that of ``qml.execute``, or was called by it."""
    callers = (frame, getattr(frame, "f_back", None))
    return any(caller is not None and caller.f_code is _QML_EXECUTE for caller in callers)


def tapes_resolved_by(frame: FrameType) -> tuple[Any, ...] | None:
    """Return the tapes that ``qml.execute`` is choosing a configuration for.

    Args:
        frame: that called a device's ``setup_execution_config``.

    Returns:
        All tapes of the call; None where it is not about an execution.
    """
    if not called_by_qml_execute(frame) or "tapes" not in frame.f_locals:
        return None
    return tuple(frame.f_locals["tapes"])


def without_told_batch(tape: Any) -> Any:
    """Return a copy of a tape that does not tell that it is broadcast.

    PennyLane's parameter-shift refuses broadcast parameters, of which its arithmetic gives the
    derivative of each row by its own parameter (PennyLane issue 4462).
    """
    copied = tape.copy()
    copied._batch_size = None
    return copied


def take_out_of_recording(tapes: Iterable[Any]) -> None:
    """Take out of a recording quantum function what PennyLane queued there to make these tapes.

    A QNode that is called while another one records, with parameters of autograd, torch or JAX:
    PennyLane 0.45.1 puts NumPy numbers into its tape without stopping the recording, and the new
    operations become gates of the outer circuit.

    Args:
        tapes: that a device is about to execute.
    """
    if not QueuingManager.recording():
        return
    for tape in tapes:
        for entry in (*tape.operations, *tape.measurements, *tape.observables):
            QueuingManager.remove(entry)


def holds_recording_lock() -> bool:
    """Return True where the calling thread is recording a quantum function, paused or not.

    PennyLane keeps a lock of the process until the function ends, also inside
    ``QueuingManager.stop_recording()``: no other thread can call a QNode before.
    """
    return bool(AnnotatedQueue._lock._is_owned())


def called_by_an_optimizer(frame: FrameType) -> bool:
    """Return True where a frame runs code of PennyLane's own optimizers."""
    return str(frame.f_globals.get("__name__", "")).startswith("pennylane.optimize")


def asks_before_an_update(frame: FrameType) -> bool:
    """Return True where PennyLane's own optimizer asks for a class, to update its parameters next.

    Not where NumPy asks amid its arithmetic: in C, where an error of a fetch would get lost. The
    operation itself fetches.
    """
    return called_by_an_optimizer(frame) and frame.f_code.co_code[frame.f_lasti] != _ARITHMETIC


_ARITHMETIC = opmap["BINARY_OP"]


def options_given_to(frame: FrameType) -> list[dict[str, Any]]:
    """Return the dictionaries in which ``qml.device`` holds the options of the device it makes.

    Args:
        frame: that calls a device's class.

    Returns:
        The dictionaries themselves; none for another frame.
    """
    if frame.f_code is not _QML_DEVICE:
        return []
    names = ("kwargs", "options")
    return [frame.f_locals[name] for name in names if isinstance(frame.f_locals.get(name), dict)]


def simulator_generator(device: Any) -> Any:
    """Return the NumPy generator that one of PennyLane's simulators samples with; None for others.

    Args:
        device: any device.
    """
    generator = getattr(device, "_rng", None)
    return generator if isinstance(generator, np.random.Generator) else None


def set_simulator_generator(device: Any, generator: Any) -> None:
    """Let a simulator of PennyLane sample with another NumPy generator.

    Args:
        device: one that :func:`simulator_generator` knows.
        generator: the generator.

    Raises:
        TypeError: the device has none, or this is none.
    """
    if simulator_generator(device) is None or type(generator).__name__ != "Generator":
        raise TypeError(f"{type(generator).__name__} is no generator for {device!r}")
    device._rng = generator
