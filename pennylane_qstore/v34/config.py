"""``TrainingConfig``: Q-Store v3.4's settings, each with the effect its name promises."""

from __future__ import annotations

import textwrap
from typing import Any

from pennylane_qstore.v34 import device, training
from pennylane_qstore.v34.fields import OptimizerName
from pennylane_qstore.v34.optimizers import make_optimizer
from pennylane_qstore.v34.settings import SETTINGS, Settings, field_list


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

    device_options = device.device_options
    device = device.make_device
    run = training.run


TrainingConfig.__doc__ = f"{TrainingConfig.__doc__}\n{textwrap.indent(field_list(), '    ')}    "
