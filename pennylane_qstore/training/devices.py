"""The devices of a training run: their state, what they count, and whose jobs they send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pennylane as qml

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.checkpoint import device_state, set_device_state

COUNTED = ("circuits", "jobs", "requests", "queue_s", "run_s", "cost_usd")


class Devices:
    """Some devices, ours or others.

    Args:
        devices: each once.
    """

    def __init__(self, devices: Sequence[Any]) -> None:
        self.all = tuple({id(d): d for d in devices}.values())
        self._ours = [d for d in self.all if hasattr(d, "_options")]

    @classmethod
    def of(cls, model: Any, device: Any) -> Devices:
        """Those that were given, or those of a QNode or of a torch module's layers.

        Raises:
            ConfigurationError: none were given, and a function does not tell its own.
        """
        if device is not None:
            return cls(device if isinstance(device, list | tuple) else [device])
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

    @property
    def left_usd(self) -> float | None:
        """Least that is left of a budget, in US dollars; None without one."""
        return min((d.left_usd for d in self._ours if d.left_usd is not None), default=None)

    @property
    def described(self) -> list[str]:
        """Backend and noise of ours, names of others."""
        return [d._options.described if d in self._ours else str(d.name) for d in self.all]

    def counts(self) -> dict[str, float]:
        """What they have counted so far."""
        totals = [device._stats.totals() for device in self._ours]
        return {name: sum(found[name] for found in totals) for name in COUNTED}

    def state(self) -> list[Any]:
        """Of each device, ready for JSON."""
        return [device_state(device) for device in self.all]

    def restore(self, states: Sequence[Any]) -> None:
        """Go on from :meth:`state`."""
        for device, found in zip(self.all, states, strict=True):
            set_device_state(device, found)

    @contextmanager
    def joined(
        self, run: str, budget_usd: float | None, progress: Callable[[Any], None], part: str = ""
    ) -> Iterator[None]:
        """While inside, jobs belong to a run (or a part of it), keep its budget, report to it.

        What a device was told itself (``run=``, ``budget_usd=``, ``progress=``) stays.
        """
        before = [(d._options, vars(d._options).copy()) for d in self._ours]
        for i, device in enumerate(self._ours):
            options = device._options
            device._service.part = part
            if options.run is None and _remembers(device):
                before_usd = device.spent_usd
                options.run = f"{run}.{i}" if i else run
                if options.budget_usd is not None:
                    # From here on only the run's spending is looked at: the rest is set aside.
                    options.budget_usd -= max(before_usd - device.spent_usd, 0.0)
            if options.budget_usd is None:
                options.budget_usd = budget_usd
            if options.progress is None:
                options.progress = progress
        try:
            yield
        finally:
            for device in self._ours:
                device._service.part = ""
                # The ledger knows what earlier starts of the run have spent.
                service = device._service
                service.counted_usd = max(service.counted_usd, service.spent_usd)
            for options, values in before:
                for name in ("run", "budget_usd", "progress"):
                    setattr(options, name, values[name])

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What executes inside leaves chance and the place in the run alone; its cost counts."""
        before = self.state()
        try:
            yield
        finally:
            spent = [device._service.counted_usd for device in self._ours]
            self.restore(before)
            for device, usd in zip(self._ours, spent, strict=True):
                device._service.counted_usd = usd

    def check_sizes(self) -> None:
        """Refuse job sizes that a repeated step would not choose again.

        Raises:
            ConfigurationError: a device whose ledger is kept chooses its jobs' sizes by the queue.
        """
        for device in self._ours:
            options = device._options
            if options.queue is not None and _remembers(device):
                raise ConfigurationError(
                    f"batch_size={options.batch_size!r} of the device follows the queue, so that a "
                    "step that is repeated after a crash would be other jobs than those that were "
                    "paid for. Give the device a fixed batch_size, or the run no checkpoint."
                )


def _remembers(device: Any) -> bool:
    """Whether the device's ledger outlives the process."""
    return device.client.ledger.path is not None
