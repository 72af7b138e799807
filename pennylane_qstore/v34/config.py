"""``TrainingConfig``: Q-Store v3.4's settings, each with the effect its name promises."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pennylane_qstore.secret import hide_secrets
from pennylane_qstore.v34 import training
from pennylane_qstore.v34.device import device_options, make_device
from pennylane_qstore.v34.fields import OptimizerName
from pennylane_qstore.v34.optimizers import make_optimizer
from pennylane_qstore.v34.settings import SETTINGS, Settings, field_list

if TYPE_CHECKING:
    from pennylane_qstore.device import IonQDevice

_PACKAGE = "pennylane_qstore"


class TrainingConfig(Settings):
    """Settings under Q-Store v3.4's names, all optional.

    Fields may be assigned at any time and count from the next ``device()``, ``optimizer()`` or
    ``run()`` on. API keys are kept from ``repr``, ``to_dict`` and pickles.

    Args:
        **settings: any of the fields.

    Raises:
        ConfigurationError: an unknown field (the nearest is named) or a value not allowed.

    **Example**

    >>> config = TrainingConfig(enable_all_v34_features=True, n_qubits=4)
    >>> config.adaptive_batch_sizing
    True
    >>> config.device_options()["max_circuits_per_job"]
    'adaptive'
    """

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *SETTINGS]

    def value_of(self, name: str) -> Any:
        """Return a field's value as it counts; the optimizer's name makes the optimizer too."""
        value = super().value_of(name)
        if name == "optimizer":
            value = OptimizerName(value)
            value.make = lambda **options: make_optimizer(self, **options)
        return value

    def device_options(self) -> dict[str, Any]:
        """Return the options of ``qml.device("qstore.ionq", ...)`` that follow from the fields."""
        return device_options(self)

    def device(self, wires: Any = None, **options: Any) -> IonQDevice:
        """Return a device with these settings.

        Args:
            wires: number or labels; by default ``n_qubits``.
            **options: further options of the device; they win.

        Returns:
            The device.
        """
        options = hide_secrets(options)  # before anything can raise
        self.apply_logging()
        return make_device(self, wires, **options)

    def run(
        self, cost: Callable[..., Any] | None = None, params: Any = None, **options: Any
    ) -> training.History:
        """Train; see :func:`pennylane_qstore.v34.training.run`.

        Args:
            cost: objective; by default the squared error of the configured model.
            params: where to start.
            **options: further arguments of :func:`.training.run`.

        Returns:
            The history of the run.
        """
        self.apply_logging()
        return training.run(self, cost, params, **options)

    def apply_logging(self) -> None:
        """Set the level of this package's log, if one was asked for."""
        level = self.log_level or ("DEBUG" if self.debug_mode else None)
        if level is None:
            return
        log = logging.getLogger(_PACKAGE)
        log.setLevel(level)
        if not log.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(
                logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s")
            )
            log.addHandler(handler)


TrainingConfig.__doc__ = f"{TrainingConfig.__doc__}\n{textwrap.indent(field_list(), '    ')}    "
