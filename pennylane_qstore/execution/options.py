"""The device's options, validated once, and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pennylane import default_config

from pennylane_qstore.backends import (
    DEBIASING_MIN_SHOTS,
    NOISE_MODELS,
    Backend,
    backend,
    noise_model,
)
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution.batch import Packing, Target
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.validation import check_count, check_known, check_number, check_one_of


@dataclass
class Options:
    """Constructor keywords of the device; see :class:`~pennylane_qstore.IonQDevice`."""

    backend: str | None = None
    api_key: Any = field(default=None, repr=False)
    base_url: str | None = None
    gateset: str = "native"
    two_qubit: str | None = None
    absorb: bool = True
    batch: bool = True
    cache: bool | int | SmartCircuitCache = True
    batch_size: int | str | AdaptiveQueueManager | None = None
    pool_size: int = 5
    max_wait: float | None = None
    retry_failed: bool = True
    noise_model: str | None = None
    seed: int | None = None
    error_mitigation: Mapping[str, bool] | None = None
    aggregation: str | None = None
    ledger: Any = None
    on_ambiguous: str = "raise"
    session_id: str | None = None
    job_name: str | None = None
    metadata: Mapping[str, str] | None = None
    progress: bool | Callable[[Any], None] | None = None
    run: str | None = None
    budget_usd: float | None = None
    confirm: Callable[[Any], bool] | None = None
    ca_bundle: str | None = None
    proxy: str | None = None
    emulator: Any = None
    gradient: str = "parameter-shift"
    num_directions: int = 1
    h: float | None = None
    shot_order: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Options from keywords.

        Raises:
            ConfigurationError: an unknown keyword (the nearest known one is named) or a value
                that is not allowed.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            check_known("option", name, known, of="qstore.ionq")
        return cls(**options)

    def __post_init__(self) -> None:
        if self.backend is None:
            local = self.api_key is None and self.base_url is None
            self.backend = "emulator" if local else "simulator"
        if isinstance(self.api_key, str):
            _check_config_file(self.api_key)
            self.api_key = find_key(self.api_key)
        check_one_of("gateset", self.gateset, ("native", "qis"))
        check_one_of("gradient", self.gradient, ("parameter-shift", "spsa"))
        self.num_directions = check_count("num_directions", self.num_directions)
        check_one_of("two_qubit", self.two_qubit, (None, "ms", "zz"))
        check_one_of("on_ambiguous", self.on_ambiguous, ("raise", "resubmit"))
        check_one_of("aggregation", self.aggregation, (None, "average", "voting", "dnl"))
        for name in ("absorb", "batch", "retry_failed", "shot_order"):
            check_one_of(name, getattr(self, name), (True, False))
        self.pool_size = check_count("pool_size", self.pool_size)
        if self.batch_size is not None and not isinstance(
            self.batch_size, (str, AdaptiveQueueManager)
        ):
            self.batch_size = check_count("batch_size", self.batch_size)
        self.queue = self._queue()
        if self.run is not None and self.queue is not None:
            raise ConfigurationError(
                f"run={self.run!r} with batch_size={self.batch_size!r}: a batch that is repeated "
                "after a crash would be other jobs than those that were paid for. Give a fixed "
                "batch_size, or no run."
            )
        self.seed = check_count("seed", self.seed, least=0, optional=True)
        check_number("max_wait", self.max_wait, above=0, unit="seconds", optional=True)
        check_number("budget_usd", self.budget_usd, least=0, unit="US dollars", optional=True)
        self.target = self.target_of()
        self._check_mitigation()
        if not isinstance(self.cache, SmartCircuitCache):
            self.cache_of(SmartCircuitCache())
        if not self.is_emulated:
            self._check_key()

    @property
    def is_emulated(self) -> bool:
        """Whether the service runs inside this process."""
        return self.backend == "emulator"

    @property
    def described(self) -> str:
        """Backend and noise model, for messages."""
        noise = f", noise_model={self.noise_model!r}" if self.noise_model else ""
        return f"backend={self.backend!r}{noise}"

    @property
    def packing(self) -> Packing:
        """How circuits are put into jobs."""
        settings = None
        if self.error_mitigation is not None:
            settings = {"error_mitigation": dict(self.error_mitigation)}
        return Packing(
            batch=self.batch,
            size=self._size,
            observe=None if self.queue is None else self._observe,
            name=self.job_name,
            metadata=self.metadata,
            settings=settings,
            session_id=self.session_id,
            aggregation=self.aggregation,
        )

    def cache_of(self, shared: SmartCircuitCache) -> SmartCircuitCache:
        """The template cache that was asked for."""
        if isinstance(self.cache, SmartCircuitCache):
            return self.cache
        if self.cache is True:
            return shared
        return SmartCircuitCache(0 if self.cache is False else self.cache)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "api_key": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Options:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return Options(**given)

    def target_of(self, name: str | None = None) -> Target:
        """What circuits are compiled for: the device's backend, or another one."""
        name = name or ("simulator" if self.is_emulated else str(self.backend))
        try:
            figures: Backend = backend(name)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} Or 'emulator', which needs no key.") from None
        gates = figures.native_gates
        if self.noise_model is not None:
            model = noise_model(self.noise_model)
            if figures.is_qpu:
                raise ConfigurationError(
                    f"noise_model={self.noise_model!r} is for simulators; {self.backend!r} is a "
                    "quantum computer, with noise of its own."
                )
            gates = model.native_gates
        exact = not figures.is_qpu and NOISE_MODELS[self.noise_model or "ideal"].r2 == 0
        family = self.two_qubit or ("zz" if "zz" in gates else "ms")
        if self.gateset == "native" and family not in gates:
            raise ConfigurationError(
                f"two_qubit={family!r} is not a native gate of {self.described}. "
                f"Allowed: {', '.join(repr(g) for g in gates if g in ('ms', 'zz'))}."
            )
        noise = None if exact else self.noise_model
        return Target(
            figures, self.gateset, family, self.absorb, exact, noise, described=self.described
        )

    def _queue(self) -> AdaptiveQueueManager | None:
        """Who chooses the size of jobs, if it is not fixed."""
        if isinstance(self.batch_size, AdaptiveQueueManager):
            return self.batch_size
        if self.batch_size == "adaptive":
            return AdaptiveQueueManager(connections=self.pool_size)
        if self.batch_size == "throughput":
            return AdaptiveQueueManager("throughput", connections=self.pool_size)
        if isinstance(self.batch_size, str):
            check_one_of("batch_size", self.batch_size, ("adaptive", "throughput"))
        return None

    def _size(self, circuits: int) -> int | None:
        if self.queue is not None:
            return self.queue.get_optimal_batch_size(circuits)
        return self.batch_size if isinstance(self.batch_size, int) else None

    def _observe(self, jobs: Sequence[Any], requests: Sequence[Any], seconds: float) -> None:
        if self.queue is not None and jobs:
            self.queue.record_batch(
                [len(request.circuits) for request in requests],
                [job.queue_s for job in jobs],
                [job.run_s for job in jobs],
                seconds,
            )

    def _check_mitigation(self) -> None:
        allowed = self.target.backend.error_mitigations
        for name in self.error_mitigation or ():
            if name not in allowed:
                known = ", ".join(map(repr, allowed)) or "none"
                raise ConfigurationError(
                    f"error_mitigation {name!r} is not offered by {self.described}. "
                    f"Allowed: {known} (debiasing needs {DEBIASING_MIN_SHOTS} shots)."
                )

    def _check_key(self) -> None:
        """A cloud backend without a key is refused when the device is made."""
        find_key(self.api_key)


def _check_config_file(key: str) -> None:
    """A key that came from PennyLane's configuration file must be for its owner's eyes only."""
    sections = [default_config[name] for name in ("main", "qstore.global", "qstore.ionq")]
    if os.name != "posix" or key not in [section.get("api_key") for section in sections]:
        return
    path = Path(default_config.path)
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"The API key is in {path}, which others can read: `chmod 600 {path}`, or keep it in "
            "the environment variable IONQ_API_KEY."
        )
