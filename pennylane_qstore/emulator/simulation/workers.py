"""Pool of simulations: daemon threads for small jobs, processes for large ones.

Threads, because a hop costs 0.1 ms and most jobs take a few; daemons, because a simulation
must not keep the interpreter from exiting. A large job is divided by circuits over worker
processes: circuit i draws its randomness from the job's seed and i, so the result does not
depend on the division. The processes are plain ``python -c`` children that read from a pipe:
nothing of the user's ``__main__`` is imported again, and they end when the pipe closes.

loky was tried in their place: it saves thirty lines, but its exit hook waits for running jobs
before any ``atexit`` function could end them, a killed parent leaves its workers waiting, and
it needs a process more (the resource tracker).
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

from pennylane_qstore.emulator.simulation.noise import DENSITY_MAX_QUBITS
from pennylane_qstore.emulator.simulation.run import Distribution, SimulationOptions, run
from pennylane_qstore.server.inputs.program import Program

_LOG = logging.getLogger(__name__)
LARGE_JOB = 2e9
"""Amplitudes touched (see :func:`amplitudes_touched`) from which on a job goes to processes: a
second or so."""
COMMAND = [sys.executable, "-c", f"from {__name__} import main; main()"]
"""Starts a worker process; with ``-m`` this module would be there twice."""
_Job = tuple[list[Program], SimulationOptions, int]
"""The arguments of :func:`~pennylane_qstore.emulator.simulation.run.run`."""


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
        """Run a call on one of the threads.

        Args:
            fn: function to call.
            *args: its arguments.
            **kwargs: its arguments by name.

        Returns:
            A future of the call's result.
        """
        future: Future[Any] = Future()
        self._todo.put((future, lambda: fn(*args, **kwargs)))
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they are idle.

        Args:
            wait: wait for them.
            cancel_futures: cancel calls that have not begun.
        """
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


class SimulationPool:
    """The threads and processes that simulate jobs.

    Args:
        threads: jobs at once (``None``: one per core, at least two).
        processes: worker processes that large jobs are divided over (``None``: one per core,
            0 or 1: none); they start when the first such job comes.
    """

    def __init__(self, threads: int | None = None, processes: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        cores = cores or 1
        self.threads = DaemonExecutor(threads or max(2, cores), "qstore-emulator-simulate")
        wanted = cores if processes is None else processes
        self._workers = [_Worker() for _ in range(wanted if wanted > 1 else 0)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._taking = threading.Lock()
        for worker in self._workers:
            self._idle.put(worker)

    def run(
        self, programs: Sequence[Program], options: SimulationOptions, seed: int
    ) -> list[Distribution]:
        """Simulate a job; blocks (call it on one of ``threads``).

        Args:
            programs: circuits of the job.
            options: noise, shots, simulator.
            seed: of the job.

        Returns:
            One distribution per circuit, in the order of the job.

        Raises:
            RuntimeError: a worker process died or raised, or the pool is closed.
        """
        rows = sum(program.rows for program in programs)
        small = rows < 2 or amplitudes_touched(programs, options) < LARGE_JOB
        # a simulator that was asked for divides its work itself (GPUs, OpenMP, MPI)
        if not self._workers or small or options.simulator is not None:
            return in_job_order(programs, run(programs, options, seed))
        parts = _divide(programs, len(self._workers))
        _LOG.info("A large job of %d circuits is divided over %d processes", rows, len(parts))
        answers = self._ask_workers([(part, options, seed) for part in parts])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return in_job_order(
            [program for part in parts for program in part],
            [result for answer in answers for result in answer],
        )

    def _ask_workers(self, jobs: list[_Job]) -> list[Any]:
        with self._taking:  # two jobs that wait for each other's workers would wait for ever
            workers = [self._idle.get() for _ in jobs]
        try:
            for worker in workers:  # all at once: each takes a second to import NumPy
                worker.start()
            for worker, job in zip(workers, jobs, strict=True):
                worker.send(job)
            return [worker.receive() for worker in workers]
        except _DEAD as error:
            for worker in workers:  # an answer left in a pipe would be taken for the next one
                worker.end()
            raise RuntimeError(f"A worker process died: {error!r}") from error
        finally:
            for worker in workers:
                self._idle.put(worker)

    def close(self) -> None:
        """End threads and processes; simulations under way in processes are cut off."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()


def amplitudes_touched(programs: Sequence[Program], options: SimulationOptions) -> float:
    """Estimate the amplitudes that simulating a job touches, to tell small jobs from large ones.

    Args:
        programs: circuits of the job.
        options: noise and shots: density matrices up to ten qubits, or else trajectories, of
            which one in two shots is taken to need its own.

    Returns:
        Amplitudes times gates, summed over circuits.
    """
    total = 0.0
    for program in programs:
        n = len({q for gate in program.gates for q in gate.targets + gate.controls})
        states = 2.0**n
        if options.noise is not None:
            density = 2.0 * 2.0**n if n <= DENSITY_MAX_QUBITS else float("inf")
            states *= min(density, 1.0 + options.shots / 2)
        total += states * program.rows * len(program.gates)
    return total


def in_job_order(
    programs: Sequence[Program], results: Sequence[Distribution]
) -> list[Distribution]:
    """Put results in the order of the job.

    Args:
        programs: circuits of the job, in any order.
        results: one per program and row, in their order.

    Returns:
        The results, by position of the circuit in the job.
    """
    places = [i for program in programs for i in program.index.tolist()]
    ordered = sorted(zip(places, range(len(places)), strict=True))
    return [results[k] for _, k in ordered]


def _divide(programs: Sequence[Program], count: int) -> list[list[Program]]:
    """Deal every program's rows out over so many parts, without empty ones."""
    parts: list[list[Program]] = [[] for _ in range(count)]
    first = 0
    for program in programs:
        for k in range(min(count, program.rows)):
            parts[(first + k) % count].append(program.part(slice(k, None, count)))
        first += program.rows
    return [part for part in parts if part]


_DEAD = (OSError, EOFError, TypeError, ValueError, pickle.UnpicklingError)
"""Errors of a pipe whose process has ended: broken, closed, gone, or cut off in mid-answer."""


class _Worker:
    """One child process, started when first needed and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def start(self) -> None:
        if self._closed:
            raise RuntimeError("The emulator has been closed.")
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )

    def send(self, job: _Job) -> None:
        pipe: Any = None if self._process is None else self._process.stdin
        pickle.dump(job, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        pipe.flush()

    def receive(self) -> Any:
        """Return the worker's results, or the exception that it raised."""
        pipe: Any = None if self._process is None else self._process.stdout
        return pickle.load(pipe)  # noqa: S301 - from our own child, never from input

    def close(self) -> None:
        self._closed = True
        self.end()

    def end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # killed in the middle of a job
                    pipe.close()


def main() -> None:
    """Simulate the jobs that come in by standard input until it closes: a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get into the answers
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
        except EOFError:
            return
        try:
            answer: object = run(*job)
        except Exception as error:  # noqa: BLE001 - the parent raises it
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main()
