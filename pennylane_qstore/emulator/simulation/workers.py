"""Where simulations run: daemon threads for small jobs, processes for large ones.

Threads, because a hop costs 0.1 ms and most jobs take a few; daemons, because a simulation
must not keep the interpreter from exiting. A large job is divided by circuits over worker
processes: circuit i draws its randomness from the job's seed and i, so the result does not
depend on the division. The processes are plain ``python -m`` children that read from a pipe:
nothing of the user's ``__main__`` is imported again, and they end when the pipe closes.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import IO, Any

from pennylane_qstore.emulator.simulation.run import Distribution, SimulationOptions, run
from pennylane_qstore.server.inputs.program import Program

_LOG = logging.getLogger(__name__)
LARGE_JOB = 2e9
"""Amplitudes touched (see :func:`work`) from which on a job goes to processes: a second or so."""
_LENGTH = struct.Struct("<Q")


class DaemonExecutor(Executor):
    """A pool of daemon threads.

    Args:
        workers: how many.
        name: of the threads.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._todo: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._todo = queue.SimpleQueue()
        self._workers, self._name = workers, name
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call on one of the threads."""
        future: Future[Any] = Future()
        self._todo.put((future, lambda: fn(*args, **kwargs)))
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they are idle."""
        if cancel_futures:
            while not self._todo.empty():
                entry = self._todo.get()
                if entry is not None:
                    entry[0].cancel()
        for _ in self._threads:
            self._todo.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self) -> None:
        while (entry := self._todo.get()) is not None:
            future, call = entry
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
                future.set_exception(error)
            else:
                future.set_result(result)
            del entry, future, call


class Simulators:
    """Runs jobs, choosing where.

    Args:
        threads: how many jobs at once (``None``: one per core, at least two).
        processes: how many worker processes large jobs are divided over (``None``: one per
            core, 0: none).
    """

    def __init__(self, threads: int | None = None, processes: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        cores = cores or 1
        self.threads = DaemonExecutor(threads or max(2, cores), "qstore-emulator-simulate")
        wanted = cores if processes is None else processes
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._processes = wanted if wanted > 1 else 0
        self._hands: DaemonExecutor | None = None
        self._workers: list[_Worker] = []
        if self._processes:
            self._hands = DaemonExecutor(self._processes, "qstore-emulator-worker")
            self._workers = [_Worker() for _ in range(self._processes)]
            for worker in self._workers:
                self._idle.put(worker)

    def run(
        self, programs: Sequence[Program], options: SimulationOptions, seed: int
    ) -> list[Distribution]:
        """Simulate a job; blocks (call it on one of ``threads``)."""
        rows = sum(program.rows for program in programs)
        small = rows < 2 or work(programs, options) < LARGE_JOB
        # a simulator that was asked for divides its work itself (GPUs, OpenMP, MPI)
        if self._hands is None or small or options.simulator is not None:
            return merge(programs, run(programs, options, seed))
        parts = _divide(programs, self._processes)
        _LOG.info("A large job of %d circuits is divided over %d processes", rows, len(parts))
        futures = [self._hands.submit(self._on_worker, part, options, seed) for part in parts]
        results = [future.result() for future in futures]
        return merge(
            [program for part in parts for program in part],
            [one for part in results for one in part],
        )

    def close(self) -> None:
        """End threads and processes."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self._hands is not None:
            self._hands.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def _on_worker(
        self, programs: list[Program], options: SimulationOptions, seed: int
    ) -> list[Distribution]:
        worker = self._idle.get()
        try:
            return worker.run(programs, options, seed)
        finally:
            self._idle.put(worker)


def work(programs: Sequence[Program], options: SimulationOptions) -> float:
    """A rough number of amplitudes touched, to tell small jobs from large ones."""
    total = 0.0
    for program in programs:
        n = len({q for gate in program.gates for q in gate.targets + gate.controls})
        states = 2.0**n
        if options.noise is not None:
            states *= min(2.0 * 2.0**n if n <= 10 else float("inf"), 1.0 + options.shots / 2)
        total += states * program.rows * len(program.gates)
    return total


def merge(programs: Sequence[Program], results: Sequence[Distribution]) -> list[Distribution]:
    """Results in the order of programs and rows, put in the order of the job."""
    places = [i for program in programs for i in program.index.tolist()]
    ordered = sorted(zip(places, range(len(places)), strict=True))
    return [results[k] for _, k in ordered]


def _divide(programs: Sequence[Program], count: int) -> list[list[Program]]:
    """Every program's rows dealt out over so many parts; empty parts are left out."""
    parts: list[list[Program]] = [[] for _ in range(count)]
    first = 0
    for program in programs:
        for k in range(min(count, program.rows)):
            parts[(first + k) % count].append(program.part(slice(k, None, count)))
        first += program.rows
    return [part for part in parts if part]


class _Worker:
    """One child process, started when first needed and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def run(
        self, programs: list[Program], options: SimulationOptions, seed: int
    ) -> list[Distribution]:
        if self._closed:
            raise RuntimeError("The emulator has been closed.")
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            command = [sys.executable, "-m", "pennylane_qstore.emulator.simulation.worker"]
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        pipes = self._process
        if pipes.stdin is None or pipes.stdout is None:
            raise RuntimeError("The worker process has no pipes.")
        try:
            send(pipes.stdin, (programs, options, seed))
            kind, value = receive(pipes.stdout)
        except (OSError, EOFError) as error:
            raise RuntimeError(f"A worker process died: {error!r}") from error
        if kind == "error":
            raise RuntimeError(value)
        return list(value)

    def close(self) -> None:
        self._closed = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    _LOG.debug("A worker process was ended in the middle of a job")


def send(pipe: IO[bytes], value: Any) -> None:
    """Write a value to a pipe of this package's own processes."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read a value from a pipe of this package's own processes.

    Raises:
        EOFError: the other side has closed it.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("the pipe is closed")
    (length,) = _LENGTH.unpack(head)
    return pickle.loads(pipe.read(length))  # noqa: S301 - from our own child, never from input
