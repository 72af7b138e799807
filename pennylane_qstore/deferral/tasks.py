"""Cooperative tasks: several pieces of user code, one batch of circuits.

PennyLane evaluates QNode calls one after another and is not thread-safe, so free threads
are out. Here a thread is used as a coroutine: of all tasks exactly one runs at a time, and
tasks switch only inside ``device.execute``. When every task is blocked there, the caller's
thread sends whatever they wait for as one batch per device and configuration. Inside a task
the same can be done again: an inner session then hands its circuits to the outer one.

What PennyLane and autograd keep per process rather than per call (the output a QNode last
built, autograd's trace level) is put back whenever a task goes on. Between threads there is
a turn: sessions and ``deferred()`` scopes of two threads never record or compile circuits at
the same time, but while one waits for the service (:func:`waiting`) the other goes on.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pennylane_qstore import compat
from pennylane_qstore.compat import trace_stack
from pennylane_qstore.deferral.requests import Request, send_all
from pennylane_qstore.errors import QStoreError

MAX_PARKED = 1000
"""Tasks that may wait at the same time, each on a thread of its own; more are sent in waves."""

PATIENCE_S = 60.0
"""How long a thread waits for its turn: the other one may be waiting for this one."""


class TaskCancelled(BaseException):
    """Ends a waiting task whose session is over; not an error of that task."""


class Task:
    """A thread used as a coroutine. Made and driven by :class:`Session` only."""

    def __init__(self, thunk: Callable[[], Any], name: str, modes: _Modes) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.waits_for: tuple[Request, ...] = ()
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

    def park(self, requests: Iterable[Request]) -> bool:
        """Hand over requests and wait until the session has sent them.

        Called by whichever thread executes circuits for this task: its own, or a thread on
        which JAX runs a callback while the task's own thread waits.

        Returns:
            ``False`` if the caller has to send for itself: another thread of the same task
            is parked already, or JAX is compiling (it holds a lock that the next task would
            wait for).
        """
        if self._cancelled:
            raise TaskCancelled
        frames = compat.stack_of(self._thread)
        if any(compat.is_jax_compiling(frame) for frame in frames):
            return False
        if not self._parking.acquire(blocking=False):
            return False
        try:
            calls, top = compat.qnode_states(frames), trace_stack.top
            self.waits_for = tuple(requests)
            self._idle.set()
            self._go.acquire()
            self.waits_for = ()
            trace_stack.top = top
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
        if not self._idle.is_set():
            compat.interrupt((_running or self)._thread)
        self._go.release()
        self._thread.join()

    @property
    def ending(self) -> bool:
        """Whether :meth:`cancel` waits for the task to end."""
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


class Session:
    """Runs thunks as tasks until all are done; sends what they wait for in common.

    Args:
        pending: requests that nobody waits for yet; whatever stands there when something is
            sent travels with it and is taken out.
    """

    def __init__(self, pending: list[Request]) -> None:
        self._pending = pending
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
            return self._run(thunks)

    def _run(self, thunks: Sequence[Callable[[], Any]]) -> list[Any]:
        global _running
        top = trace_stack.top
        modes = _Modes()
        tasks = [Task(thunk, f"qstore-task-{i}", modes) for i, thunk in enumerate(thunks)]
        try:
            self._drive(tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            if _turn.is_mine or self._outer is not None:  # else another session may be running
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
                task.resume()
                if task.error is not None:
                    raise task.error
                waiting += not task.done
            if not waiting:
                return
            # Several tasks may wait for the same request: it is sent once.
            asked = dict.fromkeys(r for task in tasks for r in task.waits_for)
            asked_for = [request for request in asked if not request.finished]
            dispatch_all(asked_for, self._pending)


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Keep other threads' sessions and scopes from running at the same time.

    A thread may take its turn again inside. Tasks have that of their session.

    Raises:
        QStoreError: another thread kept the turn for longer than :data:`PATIENCE_S`.
    """
    if running_task() is not None:
        yield
        return
    _turn.take()
    try:
        yield
    finally:
        _turn.give_back()


@contextlib.contextmanager
def waiting(*, keep: bool = False) -> Iterator[None]:
    """Wait for something outside of this process: meanwhile other threads have their turn.

    Around nothing that builds operators or tapes: PennyLane is not thread-safe.

    Args:
        keep: the turn is kept, however long it takes; for what builds operators in this process.
    """
    if not _turn.is_mine:
        yield
        return
    depth = 0 if keep else _turn.give_up()
    if keep:
        _turn.at_service = True
    try:
        yield
    finally:
        if keep:
            _turn.at_service = False
        _turn.take(depth)


def running_task() -> Task | None:
    """The task that the calling thread executes circuits for, if any.

    That is the task whose context the thread has inherited, as long as it holds the baton.
    Threads that Python did not start (JAX runs callbacks on such) have no context of their
    own: there it is whoever holds the baton.

    Raises:
        TaskCancelled: the task is being ended and may not execute anything more.
    """
    task = _TASK.get()
    if task is not None and task.ending:
        raise TaskCancelled
    if task is None and compat.is_foreign_thread():
        task = _running
    return task if task is not None and task is _running else None


def dispatch(requests: Sequence[Request]) -> None:
    """See that requests are sent: with the session's next batch inside a task, else at once.

    On return all of them are finished, unless another thread is fetching them already.
    """
    task = running_task()
    if task is None or not task.park(requests):
        send_all([request for request in requests if not request.finished])


def dispatch_all(requests: Sequence[Request], pending: list[Request]) -> None:
    """Dispatch requests and what is pending and ready; what could not be sent stays pending."""
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


class _Turn:
    """A lock that its thread may take several times, and give up all at once for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        self._taken = 0
        self.at_service = False
        """Whether the owner waits for a service, and so for no other thread."""

    @property
    def is_mine(self) -> bool:
        return self._owner == threading.get_ident()

    @property
    def is_free(self) -> bool:
        return not self._lock.locked()

    def take(self, depth: int = 1) -> None:
        if not depth:
            return
        if not self.is_mine:
            taken = self._taken
            while not self._lock.acquire(timeout=PATIENCE_S):
                if self.at_service or self._taken != taken:
                    taken = self._taken
                    continue
                raise QStoreError(
                    f"Another thread has been in the middle of a step or a deferred() scope for "
                    f"{PATIENCE_S:g} s. PennyLane is not thread-safe, so this one has to wait; "
                    "if the other one waits for this one, neither can go on. Take the steps in "
                    "one thread, or in processes of their own."
                )
            self._owner = threading.get_ident()
            self._taken += 1
        self._depth += depth

    def give_back(self) -> None:
        if self.is_mine:  # else it could not be taken again after waiting()
            self._depth -= 1
            if not self._depth:
                self.give_up()

    def give_up(self) -> int:
        """Give back all; how often it had been taken."""
        if not self.is_mine:
            return 0
        depth, self._depth, self._owner = self._depth, 0, None
        self._lock.release()
        return depth


_turn = _Turn()


def _after_fork() -> None:
    global _turn, _running
    _turn, _running = _Turn(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# --------------------------------------------------------------------------- what a thread keeps


class _Modes:
    """What torch and JAX keep per thread: taken where this is made, entered elsewhere.

    With JAX that includes the transformation under way, so that a function that is being
    differentiated may hand its circuits to tasks.
    """

    def __init__(self) -> None:
        self._torch = sys.modules.get("torch")
        self._jax = sys.modules.get("jax")
        if self._torch is not None:
            self._inference = self._torch.is_inference_mode_enabled()
            self._grad = self._torch.is_grad_enabled()
            self._device = self._torch.get_default_device()
            self._autocast = {
                kind: self._torch.get_autocast_dtype(kind)
                for kind in ("cpu", "cuda")
                if self._torch.is_autocast_enabled(kind)
            }
        if self._jax is not None:
            self._settings = compat.jax_modes(self._jax)
            self._core = compat.jax_core()
            with self._core.take_current_trace() as trace:
                self._trace = trace

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """As there, here: on a thread that has just begun."""
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            if self._torch is not None:
                enter(self._torch.inference_mode(self._inference))
                enter(self._torch.set_grad_enabled(self._grad))
                if self._device.type != "cpu":
                    enter(self._device)
                for kind, dtype in self._autocast.items():
                    enter(self._torch.autocast(kind, dtype=dtype))
            if self._jax is not None:
                here = compat.jax_modes(self._jax)
                for name, value in self._settings.items():
                    if value != here[name]:
                        enter(getattr(self._jax, name)(value))
                enter(self._core.set_current_trace(self._trace))
            yield
