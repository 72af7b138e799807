"""Compilers in processes of their own, which end when a circuit takes too long."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Self

import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.bench.compile_check import Compiled
from pennylane_qstore.bench.compile_circuits import Circuit
from pennylane_qstore.bench.compilers import Compiler

_STARTING_S = 300.0
_START_METHOD = "spawn"
_BELL = QuantumScript([qml.Hadamard(0), qml.CNOT([0, 1])], [qml.probs(wires=[0, 1])])


def timed(compiler: Compiler, circuit: Circuit) -> tuple[Compiled, float]:
    """Compile a circuit.

    Args:
        compiler: to be called.
        circuit: its argument.

    Returns:
        The compiled circuit, and the seconds that processors spent on it, child processes included.
    """
    began = _processor_s()
    made = compiler(circuit)
    return made, _processor_s() - began


class Worker:
    """A compiler in a process, which is started anew after one that has run out of time.

    Args:
        make: makes the compiler of a family; importable.
        family: ``"zz"`` or ``"ms"``.
    """

    def __init__(self, make: Callable[[str], Compiler], family: str) -> None:
        self._make, self._family = make, family
        self._process: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def compile(self, circuit: Circuit, limit_s: float) -> tuple[Compiled, float]:
        """Compile a circuit as :func:`timed` does.

        Args:
            circuit: to be compiled.
            limit_s: seconds that this may take, by the clock.

        Returns:
            The compiled circuit and the processors' seconds.

        Raises:
            TimeoutError: it took longer.
            RuntimeError: the compiler failed; the message is its own.
        """
        pipe = self._pipe or self._start()
        pipe.send(circuit)
        made, problem = self._answer(pipe, limit_s)
        if problem:
            raise RuntimeError(problem)
        return made  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process, and those that it has started."""
        if self._pipe is not None:
            if hasattr(os, "killpg"):
                with suppress(ProcessLookupError):  # dead, or not the first of a group yet
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._pipe = None

    def _start(self) -> Connection:
        context: Any = multiprocessing.get_context(_START_METHOD)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._make, self._family))
        self._process.start()
        theirs.close()
        _, problem = self._answer(self._pipe, _STARTING_S)
        if problem:
            self.close()
            raise RuntimeError(problem)
        return self._pipe

    def _answer(self, pipe: Connection, limit_s: float) -> Any:
        try:
            if pipe.poll(limit_s):
                return pipe.recv()
        except EOFError:
            self.close()
            raise RuntimeError("its process has died") from None
        self.close()
        raise TimeoutError(f"over {limit_s:g} s")


def _serve(pipe: Connection, make: Callable[[str], Compiler], family: str) -> None:
    """Compile what comes through the pipe; the first circuit is not told, nor is its time."""
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's
    warnings.simplefilter("ignore")
    compiler: Any = None
    circuit: Circuit | None = Circuit("warm up", _BELL)
    while circuit is not None:
        answer: tuple[Any, str] = None, ""
        try:
            compiler = compiler or make(family)
            answer = timed(compiler, circuit), ""
        except Exception as error:  # noqa: BLE001 - of any library
            answer = None, f"{type(error).__name__}: {error}"
        pipe.send(answer)
        try:
            circuit = pipe.recv()
        except EOFError:
            circuit = None


def _processor_s() -> float:
    return sum(os.times()[:4])
