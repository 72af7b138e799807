"""``TrainingConfig``: Q-Store v3.4's settings, each with the effect its name promises."""

from __future__ import annotations

import difflib
import json
import logging
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pennylane_qstore.backends import backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.http.api_key import Secret
from pennylane_qstore.v34.settings import SECRETS, SETTINGS, SWITCHED, table

if TYPE_CHECKING:
    from pennylane_qstore.device import IonQDevice
    from pennylane_qstore.v34.training import History

logger = logging.getLogger(__name__)

_PACKAGE = "pennylane_qstore"


class OptimizerName(str):
    """The field ``optimizer``, which is also the method: calling it makes the optimizer."""

    make: Callable[..., Any]

    def __call__(self, **options: Any) -> Any:
        """The optimizer of the configuration; see :func:`.rules.make_optimizer`.

        Args:
            **options: further arguments of the optimizer.
        """
        return self.make(**options)


class TrainingConfig:
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
    >>> config.device_options()["batch_size"]
    'adaptive'
    """

    pinecone_api_key: Any
    pinecone_environment: str
    pinecone_index_name: str
    quantum_sdk: str | None
    quantum_api_key: Any
    quantum_target: str
    learning_rate: float
    batch_size: int
    epochs: int
    n_qubits: int
    circuit_depth: int
    entanglement: str
    optimizer: OptimizerName
    gradient_method: str
    momentum: float
    weight_decay: float
    shots_per_circuit: int
    max_concurrent_circuits: int
    use_gradient_clipping: bool
    gradient_clip_value: float
    checkpoint_interval: int
    checkpoint_directory: str
    log_interval: int
    track_gradients: bool
    enable_circuit_cache: bool
    enable_batch_execution: bool
    enable_circuit_batching: bool
    cache_size: int
    batch_timeout: float
    max_parallel_circuits: int
    hardware_efficient_ansatz: bool
    spsa_c_initial: float
    spsa_a_initial: float
    gradient_subsample_size: int
    batch_submission_timeout: float
    enable_performance_tracking: bool
    performance_log_dir: str | None
    use_batch_api: bool
    use_native_gates: bool
    enable_smart_caching: bool
    adaptive_batch_sizing: bool
    connection_pool_size: int
    max_queue_wait_time: float
    enable_all_v34_features: bool
    retry_failed_circuits: bool
    debug_mode: bool
    log_level: str | None

    def __init__(self, **settings: Any) -> None:
        object.__setattr__(self, "_given", {})
        for name, value in settings.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        setting = SETTINGS.get(name)
        if setting is None:
            raise ConfigurationError(_unknown(name))
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str) and name == "log_level":
            value = value.upper()
        if not setting.check(value):
            shown = "..." if name in SECRETS else repr(value)
            raise ConfigurationError(f"{name}={shown} is not allowed: give {setting.allowed}.")
        if name in SECRETS and isinstance(value, str):
            value = Secret(value)
        if setting.kind == "nothing":
            logger.debug("%s is accepted and has no effect: %s", name, setting.meaning)
        self._given[name] = value

    def __getattr__(self, name: str) -> Any:
        # Only for what is no attribute of the class: the fields.
        if name.startswith("_"):
            raise AttributeError(name)
        setting = SETTINGS.get(name)
        if setting is None:
            raise AttributeError(_unknown(name))
        value = self._given.get(name, setting.default)
        if name in SWITCHED and name not in self._given and self._given.get(_ALL):
            return True
        if name == "optimizer":
            from pennylane_qstore.v34.optimizers import make_optimizer

            value = OptimizerName(value)
            value.make = lambda **options: make_optimizer(self, **options)
        return value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *SETTINGS]

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self._given.items())
        return f"TrainingConfig({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrainingConfig) and other._given == self._given

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> TrainingConfig:
        return TrainingConfig(**self._given)

    def __deepcopy__(self, memo: dict[int, Any]) -> TrainingConfig:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def is_given(self, name: str) -> bool:
        """Whether a field was given or assigned, rather than left at its default."""
        return name in self._given

    def device_options(self) -> dict[str, Any]:
        """The options of ``qml.device("qstore.ionq", ...)`` that follow from the fields."""
        return {
            **self._where(),
            "batch": self.use_batch_api,
            "gateset": "native" if self.use_native_gates else "qis",
            "cache": self._cache(),
            "batch_size": self._job_size(),
            "pool_size": self._connections(),
            "max_wait": self._max_wait_s(),
            "retry_failed": self.retry_failed_circuits,
            "progress": _log_progress if self.debug_mode else None,
        }

    def device(self, wires: Any = None, **options: Any) -> IonQDevice:
        """A device with these settings.

        Args:
            wires: number or labels; by default ``n_qubits``.
            **options: further options of the device; they win.
        """
        from pennylane_qstore.device import IonQDevice

        self.apply_logging()
        return IonQDevice(
            wires=self.n_qubits if wires is None else wires, **{**self.device_options(), **options}
        )

    def run(
        self, cost: Callable[..., Any] | None = None, params: Any = None, **run: Any
    ) -> History:
        """Train; see :func:`pennylane_qstore.v34.training.run`."""
        from pennylane_qstore.v34 import training as loop

        self.apply_logging()
        return loop.run(self, cost, params, **run)

    def to_dict(self, *, complete: bool = False) -> dict[str, Any]:
        """What was given, without API keys; ``from_dict`` makes the same configuration of it.

        Args:
            complete: all fields, as they count; to look at. Made a configuration again, every
                default would be something that was asked for.
        """
        if complete:
            found = {name: getattr(self, name) for name in SETTINGS if name not in SECRETS}
            return {**found, "optimizer": str(found["optimizer"])}
        return {name: value for name, value in self._given.items() if name not in SECRETS}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """A configuration from a mapping of fields.

        Raises:
            ConfigurationError: it is no mapping, or a field is not allowed.
        """
        if not isinstance(settings, Mapping):
            raise ConfigurationError(f"{settings!r} is no table of fields.")
        return cls(**{str(name): value for name, value in settings.items()})

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """A configuration from a TOML or JSON file of fields; a table ``training`` is enough.

        Raises:
            ConfigurationError: the file cannot be read, or a field is not allowed.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"Cannot read {str(path)!r}: {error}") from error
        if not isinstance(found, dict):
            raise ConfigurationError(f"{str(path)!r} is no table of fields.")
        return cls.from_dict(found.get("training", found))

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

    def _where(self) -> dict[str, Any]:
        """Backend, key and noise."""
        cloud = self.quantum_api_key is not None or self.is_given("quantum_target")
        if self.quantum_sdk == "ionq" or (self.quantum_sdk is None and cloud):
            return {"backend": self.quantum_target, "api_key": self.quantum_api_key}
        target = backend(self.quantum_target)
        if not target.is_qpu:
            return {"backend": "emulator"}
        return {"backend": "emulator", "noise_model": target.noise}

    def _cache(self) -> bool | int:
        if not (self.enable_smart_caching and self.enable_circuit_cache):
            return False
        return self.cache_size if self.is_given("cache_size") else True

    def _job_size(self) -> Any:
        most = self.max_parallel_circuits if self.is_given("max_parallel_circuits") else None
        if not self.adaptive_batch_sizing:
            return most
        if most is None:
            return "adaptive"
        from pennylane_qstore.execution.job_size import AdaptiveQueueManager

        return AdaptiveQueueManager(max_batch_size=most, connections=self._connections())

    def _connections(self) -> int:
        older = self.is_given("max_concurrent_circuits")
        if older and not self.is_given("connection_pool_size"):
            return self.max_concurrent_circuits
        return self.connection_pool_size

    def _max_wait_s(self) -> float | None:
        names = ("max_queue_wait_time", "batch_timeout", "batch_submission_timeout")
        given = [float(getattr(self, name)) for name in names if self.is_given(name)]
        return min(given, default=None)


TrainingConfig.__doc__ = f"{TrainingConfig.__doc__}\n{textwrap.indent(table(), '    ')}\n    "

_ALL = "enable_all_v34_features"


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown field {name!r} of TrainingConfig.{hint} Known: {', '.join(SETTINGS)}."


def _log_progress(progress: Any) -> None:
    logger.debug(
        "Job %sof %d circuits: %s after %.2f s.",
        f"{progress.job_id} " if progress.job_id else "",
        *(progress.circuits, progress.state, progress.elapsed_s),
    )
