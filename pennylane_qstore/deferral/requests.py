"""Requests of ``device.execute``, sent as few batches: one per device and configuration."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np
from pennylane.devices import ExecutionConfig
from pennylane.tape import QuantumScript

from pennylane_qstore.compat.pennylane import is_qnode_call
from pennylane_qstore.compat.python import current_frame, stack
from pennylane_qstore.deferral.parked_tapes import own_copies, with_results, with_standins
from pennylane_qstore.errors import InvalidResponse, QStoreError

_OURS = __name__.partition(".")[0]
DEFERRED = "qstore_deferred"
"""Key in ``ExecutionConfig.device_options`` that marks a call whose results may come late."""


class Executor(Protocol):
    """The part of a device that sends batches."""

    def run(self, tapes: Sequence[QuantumScript], tracker: Any) -> Sequence[Any]:
        """Execute tapes as one batch.

        Args:
            tapes: preprocessed tapes.
            tracker: of the device, told about the batch if it is active.

        Returns:
            One result per tape.
        """

    def batch_size(self, tape: QuantumScript) -> int | None:
        """Return the number of rows of a broadcast tape, told by PennyLane or not; else None."""


class BatchDevice(Protocol):
    """A device whose calls can be parked."""

    name: str
    executor: Executor
    tracker: Any


class Request:
    """Circuits that one ``device.execute`` call asked for, and what came of them.

    Args:
        device: the device that was called.
        circuits: its tapes.
        config: its execution configuration.
        origin: the QNode call they come from, for error messages.
        scope: the scope in which their results are deferred, if they are.
    """

    __slots__ = (
        "_asks",
        "_outcome",
        "circuits",
        "config",
        "device",
        "needs",
        "origin",
        "scope",
    )

    def __init__(
        self,
        device: BatchDevice,
        circuits: tuple[QuantumScript, ...],
        config: ExecutionConfig | None,
        origin: str | None = None,
        scope: object = None,
    ) -> None:
        self.device = device
        self.circuits, self.needs, self._asks = own_copies(circuits)
        self.config = config
        self.origin = origin
        self.scope = scope
        self._outcome: Future[tuple[Any, ...]] = Future()

    @property
    def finished(self) -> bool:
        """True once results or an error have arrived."""
        return self._outcome.done()

    @property
    def ready(self) -> bool:
        """True once the results that its circuits' parameters depend on have arrived."""
        return all(need.ready for need in self.needs)

    def batch_sizes(self) -> tuple[int | None, ...]:
        """Return the number of rows of each circuit; None for one that is not broadcast.

        Raises:
            Exception: only the real parameters tell.
        """
        known: dict[Hashable, int | None] = {}  # circuits of a gradient differ in values alone
        sizes = []
        for circuit in self.circuits:
            size = circuit.batch_size
            if size is None and self._asks:  # PennyLane tells no batch of layers' weights, for one
                key = tuple((op.name, *map(np.shape, op.data)) for op in circuit.operations)
                if key not in known:
                    known[key] = self.device.executor.batch_size(with_standins(circuit))
                size = known[key]
            sizes.append(size)
        return tuple(sizes)

    def bind(self) -> bool:
        """Put real numbers where parameters were deferred.

        Returns:
            ``False`` if a result it depends on is an error: then that is this one's, too.
        """
        if self.needs:
            try:
                self.circuits = tuple(with_results(circuit) for circuit in self.circuits)
            except Exception as error:  # noqa: BLE001 - raised where the result is looked at
                self.fail(error)
                return False
            self.needs = ()
        return True

    def succeed(self, results: tuple[Any, ...]) -> None:
        """Keep the results, one entry per circuit."""
        self._outcome.set_result(results)

    def fail(self, error: BaseException, origin: str | None = None) -> None:
        """Keep the error that :meth:`result` is to raise.

        Args:
            error: what was raised.
            origin: the QNode call it is about, if that is another request's.
        """
        self.origin = origin or self.origin
        self._outcome.set_exception(error)

    def result(self) -> tuple[Any, ...]:
        """The results, one entry per circuit; waits if another thread is fetching them.

        Raises:
            BaseException: what the device raised, as a copy of its own for each caller.
        """
        error = self._outcome.exception()
        if error is not None:
            raise _own_copy(error, self.origin)
        return self._outcome.result()


def send_all(requests: Sequence[Request]) -> None:
    """Send requests for real: one batch per device and configuration."""
    groups: dict[Hashable, list[Request]] = {}
    for request in requests:
        if request.bind():
            groups.setdefault(_batch_key(request), []).append(request)
    try:
        for group in groups.values():
            _send_batch(group)
    except BaseException as error:  # Ctrl-C: nobody shall wait for what was not sent
        for request in requests:
            if not request.finished:
                request.fail(
                    QStoreError(
                        f"{type(error).__name__} was raised before this result was fetched."
                    )
                )
        raise


def _batch_key(request: Request) -> Hashable:
    """Return a key of all that calls must share to travel in one batch.

    Interface and gradient method are settled before tapes reach a device: calls that differ
    in these alone still share a batch.
    """
    config = request.config
    if config is None:
        return id(request.device), None
    try:
        options = frozenset((k, v) for k, v in config.device_options.items() if k != DEFERRED)
        key = (id(request.device), options, config.mcm_config, config.executor_backend)
        hash(key)
    except TypeError:  # an option that does not hash
        return id(request.device), id(config)
    return key


def _send_batch(group: Sequence[Request]) -> None:
    circuits = tuple(circuit for request in group for circuit in request.circuits)
    stops = list(itertools.accumulate(len(request.circuits) for request in group))
    parts = [slice(a, b) for a, b in itertools.pairwise([0, *stops])]
    try:
        results = _execute(group[0], circuits)
    except Exception as error:  # noqa: BLE001 - raised where each result is looked at
        _share(error, group, parts)
        return
    for request, part in zip(group, parts, strict=True):
        request.succeed(results[part])


def _share(error: Exception, group: Sequence[Request], parts: Sequence[slice]) -> None:
    """Give each request of a failed batch the outcome that it would have had by itself.

    These are its results if all of them arrived, else the error with results and indices of its
    own circuits; where the batch was refused for one circuit, with the call that has it.
    """
    details = error.details if isinstance(error, QStoreError) else {}
    arrived, refused = details.get("tape_results"), details.get("refused_tape")
    origin = None
    if refused is not None:
        number = next(i for i, part in enumerate(parts) if refused < part.stop)
        place = f"call {number + 1} of {len(group)}"
        origin = group[number].origin
        if len(group) > 1:
            origin = place if origin is None else f"{origin}, {place}"
    for request, part in zip(group, parts, strict=True):
        if arrived is None:
            request.fail(error, origin)
            continue
        own = tuple(arrived[part])
        missing = [i for i, result in enumerate(own) if result is None]
        if not missing:
            request.succeed(own)
            continue
        mine = _own_copy(error, None)
        assert isinstance(mine, QStoreError)  # noqa: S101 - since it has details
        mine.details = {**details, "tape_results": own, "failed_tapes": missing}
        request.fail(mine)


def _execute(first: Request, circuits: tuple[QuantumScript, ...]) -> tuple[Any, ...]:
    results = tuple(first.device.executor.run(circuits, first.device.tracker))
    if len(results) != len(circuits):
        raise InvalidResponse(
            f"{first.device.name} returned {len(results)} results for a batch of "
            f"{len(circuits)} circuits; it has to return one for each."
        )
    return results


def _own_copy(error: BaseException, origin: str | None) -> BaseException:
    """Copy an error, so that callers do not share traceback and notes."""
    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001 - an error that cannot be rebuilt is raised as it is
        own = error
    if type(own) is not type(error) or own.args != error.args:
        own = error
    if own is not error:
        own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
        own.__notes__ = list(getattr(error, "__notes__", ()))
        own = own.with_traceback(error.__traceback__)
    if origin is not None and (note := f"In {origin}.") not in getattr(own, "__notes__", ()):
        own.add_note(note)
    return own


def call_origin() -> str | None:
    """Return the QNode call on this thread's stack, as ``"QNode 'f', called at train.py:7"``.

    The line is left out where a function of this package has called it, as ``map`` does.
    """
    for frame in stack(current_frame(1)):
        if is_qnode_call(frame):
            name = getattr(frame.f_locals["self"].func, "__name__", "?")
            caller = frame.f_back
            module = "" if caller is None else str(caller.f_globals.get("__name__"))
            if caller is None or module.partition(".")[0] == _OURS:
                return f"QNode {name!r}"
            file = os.path.basename(caller.f_code.co_filename)
            return f"QNode {name!r}, called at {file}:{caller.f_lineno}"
    return None
