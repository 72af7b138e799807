"""The devices of a training run: their state, what they count, and whose jobs they send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pennylane as qml

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.checkpoint import device_state, set_device_state
from pennylane_qstore.validation import check

COUNTED = ("circuits", "jobs", "requests", "queue_s", "run_s", "cost_usd")


class Devices:
    """The devices of a run, ours or others.

    Args:
        devices: one that is listed twice counts once.
    """

    def __init__(self, devices: Sequence[Any]) -> None:
        self.all = tuple({id(d): d for d in devices}.values())
        self._ours = [d for d in self.all if hasattr(d, "run_scope")]

    @classmethod
    def of(cls, model: Any, device: Any) -> Devices:
        """Return the devices that were given, or those of a QNode or a torch module's layers.

        Args:
            model: cost, QNode or torch module.
            device: one or several devices; None to ask the model.

        Returns:
            The devices.

        Raises:
            ConfigurationError: none were given, and a function does not tell its own.
        """
        if device is not None:
            devices = device if isinstance(device, list | tuple) else [device]
            valid = all(isinstance(d, qml.devices.Device) for d in devices)
            check("device", device, valid, "devices as qml.device makes them, () for none, or None")
            return cls(devices)
        if isinstance(model, qml.QNode):
            return cls([model.device])
        if hasattr(model, "modules"):
            nodes = [getattr(module, "qnode", None) for module in model.modules()]
            return cls([node.device for node in nodes if node is not None])
        raise ConfigurationError(
            "device= is missing: give the device, or devices, that the cost runs on. The run keeps "
            "their random states and names their jobs. device=() if there is none."
        )

    @property
    def spent_usd(self) -> float:
        """Billed, in US dollars."""
        return float(sum(device.spent_usd for device in self._ours))

    def left_of(self, run: str, budget_usd: float | None) -> float | None:
        """Return the rest of a run's budget, or of a device's own where that is less.

        Args:
            run: name of the run.
            budget_usd: its budget, in US dollars; None without one.

        Returns:
            US dollars; None without any budget.
        """
        rests = [d.left_usd for d in self._ours if d.left_usd is not None]
        if budget_usd is not None:
            spent_usd = self._ours[0].run_usd(run, self._ours) if self._ours else 0.0
            rests.append(budget_usd - spent_usd)
        return min(rests, default=None)

    @property
    def described(self) -> list[str]:
        """Backend and noise of ours, names of others."""
        return [d.target.described if d in self._ours else str(d.name) for d in self.all]

    def counts(self) -> dict[str, float]:
        """Return the sums of what the devices have counted so far, by name."""
        totals = [device.totals() for device in self._ours]
        return {name: sum(total[name] for total in totals) for name in COUNTED}

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

        Options that were given to a device itself (``run=``, ``budget_usd=``, ``progress=``)
        stay.

        Args:
            run: name of the run in the ledger; further devices add their number.
            budget_usd: limit of the run's spending over all devices, in US dollars.
            progress: called with each change of a job's state.
            part: name of what is executed beside the run's steps.
            spent_usd: what the run had spent, in US dollars, for a ledger that does not know it.

        Yields:
            Nothing.
        """
        with ExitStack() as scopes:
            for i, device in enumerate(self._ours):
                name = f"{run}.{i}" if i else run
                lent = device.run_scope(
                    name, part=part, budget_usd=budget_usd, progress=progress, account=run,
                    sharing=self._ours, spent_usd=0.0 if i else spent_usd,
                )  # fmt: skip
                scopes.enter_context(lent)
            yield

    @contextmanager
    def watched(self, look: Callable[[Any], None]) -> Iterator[None]:
        """Show the batches of our devices to a function before they are sent.

        Args:
            look: called with the tapes of each batch.

        Yields:
            Nothing.
        """
        before = [device.executor.look for device in self._ours]
        for device in self._ours:
            device.executor.look = look
        try:
            yield
        finally:
            for device, own in zip(self._ours, before, strict=True):
                device.executor.look = own

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Keep what is executed inside from changing later results; its cost counts."""
        others = [d for d in self.all if d not in self._ours]
        before = [device_state(device) for device in others]
        with ExitStack() as scopes:
            for device in self._ours:
                scopes.enter_context(device.isolated())
            try:
                yield
            finally:
                for device, state in zip(others, before, strict=True):
                    set_device_state(device, state)

    def check_sizes(self) -> None:
        """Refuse job sizes that a repeated step would not choose again.

        Raises:
            ConfigurationError: a device whose ledger is kept chooses its jobs' sizes by the queue.
        """
        for device in self._ours:
            if device.adaptive_job_size and device.client.ledger.path is not None:
                raise ConfigurationError(
                    "A device whose max_circuits_per_job is 'adaptive' is not allowed with a "
                    "checkpoint: a step repeated after a crash could be divided into other jobs "
                    "than those already paid for. Give the device a fixed max_circuits_per_job, "
                    "or the run no checkpoint."
                )
