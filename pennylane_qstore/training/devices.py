"""The devices of a training run: their state, what they count, and whose jobs they send."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import pennylane as qml

from pennylane_qstore.backends import MAX_CIRCUITS, JobLimits
from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import JobSize
from pennylane_qstore.training.checkpoint import device_state, set_device_state
from pennylane_qstore.training.parameters import arguments
from pennylane_qstore.validation import check

logger = logging.getLogger(__name__)

COUNTED = ("circuits", "jobs", "requests", "queue_s", "run_s", "cost_usd")


class Recorded(NamedTuple):
    """A batch that would be sent.

    Attributes:
        executor: of the device that would send it; its ``quote`` asks the service.
        tapes: preprocessed.
        sizes: of the jobs.
        device: index of the device among those of this package.
    """

    executor: Any
    tapes: Sequence[Any]
    sizes: tuple[JobSize, ...]
    device: int


class _Seen(Exception):  # noqa: N818 - not an error: it ends a look at circuits
    """End of a look at a batch, which is not sent; the argument is the value read."""


def _qnodes(model: Any) -> list[Any]:
    """Return a QNode itself, those of a torch module's layers, or those that a function names."""
    if isinstance(model, qml.QNode):
        return [model]
    if hasattr(model, "modules"):
        nodes = [getattr(module, "qnode", None) for module in model.modules()]
        return [node for node in nodes if node is not None]
    if not inspect.isfunction(model):
        return []
    names = inspect.getclosurevars(model)
    held = (*names.nonlocals.values(), *names.globals.values())
    return [value for value in held if isinstance(value, qml.QNode)]


def _sizes(executor: Any, tapes: Sequence[Any]) -> tuple[JobSize, ...]:
    """Return the sizes of the jobs of a batch."""
    return tuple(request.size for request in executor.requests(tapes))


class Devices:
    """The devices of a run, ours or others.

    Args:
        devices: one that is listed twice counts once.
    """

    def __init__(self, devices: Sequence[Any]) -> None:
        self.all = tuple({id(d): d for d in devices}.values())
        self.ours = [d for d in self.all if hasattr(d, "run_scope")]

    @classmethod
    def of(cls, model: Any, device: Any) -> Devices:
        """Return the devices that were given, or those of a QNode or a torch module's layers.

        Args:
            model: cost, QNode or torch module.
            device: one or several devices; None to ask the model.

        Returns:
            The devices.

        Raises:
            ConfigurationError: none were given, and the model is a function.
        """
        if device is not None:
            devices = device if isinstance(device, list | tuple) else [device]
            valid = all(isinstance(d, qml.devices.Device) for d in devices)
            check("device", device, valid, "devices as qml.device makes them, () for none, or None")
            used = [node.device for node in _qnodes(model)]
            if devices and used and not any(own is other for own in used for other in devices):
                raise ConfigurationError(
                    f"device= is not the device that the model runs on, {used[0]!r}. Give that "
                    "one, or leave device= out for a QNode."
                )
            return cls(devices)
        if isinstance(model, qml.QNode) or hasattr(model, "modules"):
            return cls([node.device for node in _qnodes(model)])
        raise ConfigurationError(
            "device= is missing: give the device, or devices, that the cost runs on. The run keeps "
            "their random states and names their jobs. device=() if there is none."
        )

    @property
    def spent_usd(self) -> float:
        """Billed, in US dollars."""
        return float(sum(device.spent_usd for device in self.ours))

    def left_of(self, run: str, budget_usd: float | None) -> float | None:
        """Return the rest of a run's budget, or of a device's or a ledger's where that is less.

        Args:
            run: name of the run.
            budget_usd: its budget, in US dollars; None without one.

        Returns:
            US dollars; None without any budget.
        """
        rests = [d.left_usd for d in self.ours if d.left_usd is not None]
        if budget_usd is not None:
            spent_usd = self.ours[0].run_usd(run, self.ours) if self.ours else 0.0
            rests.append(budget_usd - spent_usd)
        return min(rests, default=None)

    @property
    def described(self) -> list[str]:
        """Backend and noise of ours, names of others."""
        return [d.target.described if d in self.ours else str(d.name) for d in self.all]

    def counts(self) -> dict[str, float]:
        """Return the sums of what the devices have counted so far, by name."""
        totals = [device.totals() for device in self.ours]
        return {name: sum(total[name] for total in totals) for name in COUNTED}

    @property
    def backends(self) -> list[str]:
        """Names of the backends of our devices."""
        return [device.target.backend.name for device in self.ours]

    @property
    def bills(self) -> bool:
        """True where one of our devices costs money."""
        return any(device.target.backend.is_qpu for device in self.ours)

    def sent(self) -> list[int]:
        """Return the number of jobs with results, of each of our devices."""
        return [int(device.totals()["sizes"]) for device in self.ours]

    def sizes(self, since: Sequence[int]) -> tuple[JobSize, ...]:
        """Return the sizes of the jobs that have results, of those after :meth:`sent`."""
        counts = zip(self.ours, since, strict=True)
        return tuple(size for device, n in counts for size in device.job_sizes(n))

    def state(self) -> list[Any]:
        """Return the state of each device, ready for JSON."""
        return [device_state(device) for device in self.all]

    def restore(self, states: Sequence[Any]) -> None:
        """Go on from :meth:`state`.

        Raises:
            ConfigurationError: the states are damaged, or of other devices.
        """
        if len(states) != len(self.all):
            raise ConfigurationError(
                f"The state is of {len(states)} devices; the run has {len(self.all)}."
            )
        for device, state in zip(self.all, states, strict=True):
            set_device_state(device, state)

    @contextmanager
    def attach(
        self,
        run: str,
        budget_usd: float | None,
        progress: Callable[[Any], None],
        part: str = "",
        spent_usd: float = 0.0,
    ) -> Iterator[None]:
        """Let the jobs sent inside belong to a run (or a part of it), within its budget.

        A device's own options (``run=``, ``budget_usd=``, ``progress=``) stay.

        Args:
            run: name of the run in the ledger; further devices add their number.
            budget_usd: limit of the run's spending over all devices, in US dollars.
            progress: called with each change of a job's state.
            part: name of an evaluation beside the run's steps.
            spent_usd: spent by the run, in US dollars, for a ledger that does not know it.

        Yields:
            Nothing.
        """
        with ExitStack() as scopes:
            for i, device in enumerate(self.ours):
                name = f"{run}.{i}" if i else run
                lent = device.run_scope(
                    name, part=part, budget_usd=budget_usd, progress=progress, account=run,
                    sharing=self.ours, spent_usd=0.0 if i else spent_usd,
                )  # fmt: skip
                scopes.enter_context(lent)
            yield

    def watched(self, look: Callable[[Any], None]) -> AbstractContextManager[None]:
        """Show the tapes of each batch of our devices to a function before they are sent."""
        return self._looked_at(lambda _: look)

    @contextmanager
    def _looked_at(self, look_of: Callable[[Any], Callable[[Any], None]]) -> Iterator[None]:
        """Show the batches of each of our devices to a function of its own."""
        before = [device.executor.look for device in self.ours]
        for device in self.ours:
            device.executor.look = look_of(device)
        try:
            yield
        finally:
            for device, own in zip(self.ours, before, strict=True):
                device.executor.look = own

    @contextmanager
    def _in_all(self, scope: Callable[[Any], AbstractContextManager[None]]) -> Iterator[None]:
        """Enter a scope of each of our devices."""
        with ExitStack() as scopes:
            for device in self.ours:
                scopes.enter_context(scope(device))
            yield

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Leave the devices' states as they were before; costs count."""
        others = [d for d in self.all if d not in self.ours]
        before = [device_state(device) for device in others]
        with self._in_all(lambda device: device.isolated()):
            try:
                yield
            finally:
                for device, state in zip(others, before, strict=True):
                    set_device_state(device, state)

    def with_shots(self, shots: int) -> AbstractContextManager[None]:
        """Give every circuit of our devices that is executed inside so many shots."""
        return self._in_all(lambda device: device.job_scope(shots=shots))

    def exact(self) -> AbstractContextManager[None]:
        """Execute what is inside exactly; our devices send nothing."""
        return self._in_all(lambda device: device.exact_scope())

    def emulated(
        self, noise_model: str | None = None, seed: int | None = None
    ) -> AbstractContextManager[None]:
        """Let our devices be others on the emulator in this process.

        Args:
            noise_model: as the device option.
            seed: instead of the devices' own.

        Returns:
            A context manager.
        """
        return self._in_all(lambda device: device.emulated_scope(noise_model, seed))

    @contextmanager
    def recorded(self, seed: int) -> Iterator[list[Recorded]]:
        """Send nothing, and list the jobs of the circuits executed inside.

        Results come from the emulator in this process, without noise, by the seed.

        Yields:
            The batches, added as they come.
        """
        batches: list[Recorded] = []
        senders = [device.executor for device in self.ours]

        def record(sender: Any, tapes: Sequence[Any]) -> None:
            batches.append(Recorded(sender, tapes, _sizes(sender, tapes), senders.index(sender)))

        with self.isolated(), self.emulated(seed=seed):
            for device, sender in zip(self.ours, senders, strict=True):
                device.executor.look = partial(record, sender)
            yield batches

    def first_batch(
        self, cost: Callable[..., Any], params: Any, read: Callable[[Any, Sequence[Any]], Any]
    ) -> Any:
        """Look at a function's first batch. Nothing is sent.

        Args:
            cost: of the parameters.
            params: where it is evaluated.
            read: called with the executor and the tapes of that batch.

        Returns:
            Value of ``read``; None where the function executes nothing.
        """

        def look(executor: Any, tapes: Sequence[Any]) -> None:
            raise _Seen(read(executor, tapes))

        try:
            with self._looked_at(lambda d: partial(look, d.executor)), self.isolated(), deferred():
                real(cost(*arguments(params)))
        except _Seen as seen:
            return seen.args[0]
        return None

    def look(self, cost: Callable[..., Any], params: Any) -> tuple[JobSize, ...]:
        """Return the sizes of the jobs of a function's first batch; () where it cannot be seen.

        Args:
            cost: as for :meth:`first_batch`.
            params: likewise.

        Returns:
            The sizes.
        """
        try:
            return self.first_batch(cost, params, _sizes) or ()
        except Exception:  # the step itself raises it with its circuit
            logger.debug("The circuits of a step are not known beforehand.", exc_info=True)
            return ()

    def limits(self) -> JobLimits:
        """Return the limits that the jobs of all our devices stay within."""
        found = [device.job_limits for device in self.ours]
        return JobLimits(
            min((limits.circuits for limits in found), default=MAX_CIRCUITS),
            max((limits.fewest_shots for limits in found), default=1),
            any(limits.mitigated for limits in found),
        )

    def check_sizes(self) -> None:
        """Refuse job sizes that a repeated step would not choose again.

        Raises:
            ConfigurationError: a device whose ledger is kept chooses its jobs' sizes by the queue.
        """
        for device in self.ours:
            if device.adaptive_job_size and device.client.ledger.path is not None:
                raise ConfigurationError(
                    "A device whose max_circuits_per_job is 'adaptive' is not allowed with a "
                    "checkpoint: a step repeated after a crash could be divided into other jobs "
                    "than those already paid for. Give the device a fixed max_circuits_per_job, "
                    "or the run no checkpoint."
                )
