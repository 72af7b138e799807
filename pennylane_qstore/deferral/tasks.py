"""Cooperative tasks: several pieces of user code, one batch of circuits.

PennyLane evaluates QNode calls one after another and is not thread-safe, so free threads
are out. Here a thread is used as a coroutine: of all tasks exactly one runs at a time, and
tasks switch only inside ``device.execute``. When every task is blocked there, the caller's
thread sends whatever they wait for as one batch per device and configuration. Inside a task
the same can be done again: an inner session then hands its circuits to the outer one.

What PennyLane and autograd keep per process rather than per call (the output a QNode last
built, autograd's trace level) is put back whenever a task goes on. Between threads there is
a turn: sessions and ``deferred()`` scopes of two threads never record or compile circuits at
the same time, but while one waits for the service (:func:`.turns.waiting`) the other goes on.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from pennylane_qstore.compat.interfaces import is_jax_compiling, trace_stack
from pennylane_qstore.compat.pennylane import holds_recording_lock, qnode_states
from pennylane_qstore.compat.python import interrupt, is_foreign_thread, stack_of
from pennylane_qstore.deferral.requests import Request, send_all
from pennylane_qstore.deferral.thread_modes import ThreadModes
from pennylane_qstore.deferral.turns import turn_lock

MAX_PARKED = 1000
"""Tasks that may wait at the same time, each on a thread of its own; more are sent in waves."""

_INTERRUPT_AGAIN_S = 5.0


class Awaited(Protocol):
    """Circuits or jobs that a task waits for."""

    @property
    def finished(self) -> bool:
        """True once results or an error have arrived."""


class TaskCancelled(BaseException):
    """Signal that ends a waiting task whose group is over; not an error of that task."""


class Task:
    """A thread used as a coroutine. Made and driven by :class:`TaskGroup` only."""

    def __init__(
        self,
        thunk: Callable[[], Any],
        name: str,
        modes: ThreadModes,
        *,
        parks_circuits: bool = True,
        keep: Callable[[], Callable[[], None]] | None = None,
    ) -> None:
        self.parks_circuits = parks_circuits
        self._keep = keep or _keep_nothing
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.waits_for: tuple[Awaited, ...] = ()
        self._thunk = thunk
        self._cancelled = False
        self._go = threading.Semaphore(0)
        self._idle = threading.Event()
        self._parking = threading.Lock()
        self._modes = modes
        context = contextvars.copy_context()
        context.run(_TASK.set, self)
        self._thread = threading.Thread(
            target=context.run, args=(self._main,), name=name, daemon=True
        )

    def resume(self) -> None:
        """Let the task run until it parks or ends. Called by the session's thread."""
        global _running
        before, top = _running, trace_stack.top
        self._idle.clear()
        _running = self
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._idle.wait()  # left by Ctrl-C, the task still runs: then cancel() cleans up
        _running, trace_stack.top = before, top
        if self.done:
            self._thread.join()

    def park(self, requests: Iterable[Awaited]) -> bool:
        """Hand over requests and wait until the session has sent them.

        Called by whichever thread executes circuits for this task: its own, or a thread on
        which JAX runs a callback while the task's own thread waits.

        Returns:
            ``False`` if the caller has to send for itself: another thread of the same task
            is parked already, or JAX is compiling (it holds a lock that the next task would
            wait for).

        Raises:
            TaskCancelled: the group has ended meanwhile.
        """
        if self._cancelled:
            raise TaskCancelled
        frames = stack_of(self._thread)
        if any(is_jax_compiling(frame) for frame in frames):
            return False
        if not self._parking.acquire(blocking=False):
            return False
        try:
            calls, top, bring_back = qnode_states(frames), trace_stack.top, self._keep()
            self.waits_for = tuple(requests)
            self._idle.set()
            self._go.acquire()
            self.waits_for = ()
            trace_stack.top = top
            bring_back()
            for qnode, state in calls:
                vars(qnode).update(state)
        finally:
            self._parking.release()
        if self._cancelled:
            raise TaskCancelled
        return True

    def cancel(self) -> None:
        """End the task and wait for its thread, also if it computes at the moment.

        From here on every circuit it calls raises :class:`TaskCancelled`, so it needs no
        baton to come to its end.
        """
        self._cancelled = True
        if self._thread.ident is None:
            return
        while self._thread.is_alive():
            # More than once: Python drops what is raised in a callback of its own, of a weak
            # reference for instance.
            if not self._idle.is_set():
                interrupt((_running or self)._thread)
            self._go.release()
            self._thread.join(_INTERRUPT_AGAIN_S)

    @property
    def ending(self) -> bool:
        """True while :meth:`cancel` waits for the task to end."""
        return self._cancelled and not self.done

    def _main(self) -> None:
        try:
            try:
                if not self._cancelled:
                    with self._modes.entered():
                        self.value = self._thunk()
            except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
                self.error = error
        except BaseException as error:  # noqa: BLE001 - Ctrl-C on the heels of another error
            self.error = error
        finally:
            self.done = True
            self._idle.set()


class TaskGroup:
    """Functions run as tasks until all are done; the circuits they wait for are sent in common.

    Args:
        pending: requests that nobody waits for yet; whatever stands there when something is
            sent travels with it and is taken out.
        send: sends what tasks wait for that execute their circuits themselves, each on a device
            of its own, and park the jobs (:func:`park_jobs`).
        keep: takes a state of the process that each task has for itself, and returns a function
            that brings it back.
    """

    def __init__(
        self,
        pending: list[Request],
        send: Callable[[Sequence[Any]], None] | None = None,
        keep: Callable[[], Callable[[], None]] | None = None,
    ) -> None:
        self._send: Callable[[list[Any]], None] = send or functools.partial(
            dispatch_all, pending=pending
        )
        self._options: dict[str, Any] = {"parks_circuits": send is None, "keep": keep}
        self._outer = running_task()

    def run(self, thunks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Call every thunk as a task, until all are done.

        Args:
            thunks: functions without arguments.

        Returns:
            Their values, in order.

        Raises:
            BaseException: the first error of a thunk. It ends the other tasks, as Ctrl-C does.
            QStoreError: another thread's session or scope does not come to an end.
        """
        with turn():
            # Inside a quantum function a task could record nothing.
            if holds_recording_lock():
                return [thunk() for thunk in thunks]
            return self._run(thunks)

    def _run(self, thunks: Sequence[Callable[[], Any]]) -> list[Any]:
        global _running
        top = trace_stack.top
        modes = ThreadModes()
        tasks = [
            Task(thunk, f"qstore-task-{i}", modes, **self._options)
            for i, thunk in enumerate(thunks)
        ]
        try:
            self._drive(tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            if (
                turn_lock().is_mine or self._outer is not None
            ):  # else another session may be running
                _running, trace_stack.top = self._outer, top
            raise
        return [task.value for task in tasks]

    def _drive(self, tasks: list[Task]) -> None:
        while True:
            waiting = 0
            for task in tasks:
                if task.done:
                    continue
                if waiting == MAX_PARKED:
                    break
                if not task.parks_circuits and not all(r.finished for r in task.waits_for):
                    waiting += 1  # its jobs wait for those of others
                    continue
                task.resume()
                if task.error is not None:
                    raise task.error
                waiting += not task.done
            if not waiting:
                return
            # Several tasks may wait for the same request: it is sent once.
            asked = dict.fromkeys(r for task in tasks for r in task.waits_for)
            self._send([request for request in asked if not request.finished])


def _keep_nothing() -> Callable[[], None]:
    return lambda: None


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Keep other threads' sessions and scopes from running at the same time.

    A thread may take its turn again inside. Tasks have that of their session.

    Raises:
        QStoreError: another thread kept the turn for longer than :data:`.turns.TIMEOUT_S`.
    """
    if running_task() is not None:
        yield
        return
    turn_lock().take()
    try:
        yield
    finally:
        turn_lock().give_back()


def running_task() -> Task | None:
    """Return the task that the calling thread executes circuits for, or None.

    It is the task whose context the thread has inherited, as long as it holds the baton.
    Threads that Python did not start (JAX runs callbacks on such) have no context of their
    own: there it is whoever holds the baton.

    Raises:
        TaskCancelled: the task is being ended and may not execute anything more.
    """
    task = _TASK.get()
    if task is not None and task.ending:
        raise TaskCancelled
    if task is None and is_foreign_thread():
        task = _running
    return task if task is not None and task is _running else None


def is_parking() -> bool:
    """Return True inside a task whose circuits are sent with those of others."""
    task = running_task()
    return task is not None and task.parks_circuits


def park_jobs(jobs: Awaited) -> bool:
    """Hand over the jobs of a batch, and wait until the task's group has sent them.

    Returns:
        False if the caller has to send them itself: there is no group that does.
    """
    task = running_task()
    return task is not None and not task.parks_circuits and task.park((jobs,))


def dispatch(requests: Sequence[Request]) -> None:
    """Have requests sent: with the group's next batch inside a task, else at once.

    On return all of them are finished, unless another thread is fetching them already.
    """
    task = running_task()
    if task is None or not task.parks_circuits or not task.park(requests):
        send_all([request for request in requests if not request.finished])


def dispatch_all(requests: Sequence[Request], pending: list[Request]) -> None:
    """Dispatch requests, and those pending that are ready; the ones not sent stay pending.

    Args:
        requests: asked for now.
        pending: that nobody waits for yet; changed in place.
    """
    taken = [request for request in pending if request.ready]
    pending[:] = [request for request in pending if not request.ready]
    try:
        dispatch([*requests, *taken])
    except BaseException:
        pending[:0] = [request for request in taken if not request.finished]
        raise


# --------------------------------------------------------------------------- state

_TASK: contextvars.ContextVar[Task | None] = contextvars.ContextVar("qstore_task", default=None)
_running: Task | None = None  # the innermost task that holds the baton


def _after_fork() -> None:
    global _running
    _running = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
