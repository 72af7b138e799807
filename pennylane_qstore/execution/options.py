"""The device's options, checked once, and what follows from them."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from pennylane_qstore.backends import MAX_CIRCUITS, NOISE_MODELS, add_described, noise_model
from pennylane_qstore.errors import ConfigurationError, QStoreDeprecationWarning
from pennylane_qstore.execution.batch import JobSettings
from pennylane_qstore.execution.circuits import Target
from pennylane_qstore.execution.gradients import Gradient
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.execution.machines import find_backend
from pennylane_qstore.execution.option_values import (
    check_config_file,
    check_emulator,
    check_ledger,
    check_machine_noise,
    check_mitigation,
    is_path,
    is_text,
)
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.rows import run_account
from pennylane_qstore.ionq.messages.job_request import AGGREGATIONS
from pennylane_qstore.ionq.messages.labels import check_labels
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.secret import ProxyUrl, hide_secrets
from pennylane_qstore.validation import check, check_count, check_known, check_number, check_one_of

_JOB_SIZES = {"adaptive": "tiers", "throughput": "throughput"}
"""Names of ``max_circuits_per_job``, and the policies of :class:`AdaptiveQueueManager`."""


@dataclass
class Options:
    """Constructor keywords of the device; see :class:`~pennylane_qstore.IonQDevice`."""

    backend: str | None = None
    api_key: Any = field(default=None, repr=False)
    base_url: str | None = None
    gateset: str = "native"
    two_qubit: str | None = None
    absorb: bool = True
    symmetrize: bool = False
    compile: str = "optimize"
    effort: float | None = None
    batch: bool = True
    cache: bool | int | SmartCircuitCache = True
    max_circuits_per_job: int | str | AdaptiveQueueManager | None = None
    pool_size: int = 5
    max_wait: float | None = None
    retry_failed: bool = True
    retry_policy: RetryPolicy | None = None
    outage_s: float | None = None
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
    proxy: ProxyUrl | None = None
    emulator: Any = None
    gradient: str = "parameter-shift"
    num_directions: int = 1
    h: float | None = None
    shot_order: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Return options from keywords.

        Raises:
            ConfigurationError: an unknown keyword (the nearest known one is named) or a value
                that is not allowed.
        """
        options = given = hide_secrets(options)  # before anything can raise
        if "batch_size" in given:
            check("batch_size", given["batch_size"], "max_circuits_per_job" not in given,
                  "max_circuits_per_job= alone, which is its new name")  # fmt: skip
            warnings.warn(
                "The device option batch_size= is called max_circuits_per_job= now; the old name "
                "will be removed.",
                QStoreDeprecationWarning,
                stacklevel=4,
            )
            given["max_circuits_per_job"] = given.pop("batch_size")
        known = [f.name for f in fields(cls)]
        for name in given:
            check_known("option", name, known, of="qstore.ionq")
        return cls(**given)

    def __post_init__(self) -> None:
        self._check_kinds()
        if self.backend is None:
            local = self.api_key is None and self.base_url is None
            self.backend = "emulator" if local else "simulator"
        if self.api_key is not None:
            check_config_file(self.api_key)
            self.api_key = find_key(self.api_key)
        check_one_of("gateset", self.gateset, ("native", "qis"))
        check_one_of("two_qubit", self.two_qubit, (None, "ms", "zz"))
        if check_one_of("compile", self.compile, ("optimize", "verbatim")) == "verbatim":
            check("gateset", self.gateset, self.gateset == "native",
                  "'native', the only one with compile='verbatim'")  # fmt: skip
            check("symmetrize", self.symmetrize, self.symmetrize is False,
                  "False with compile='verbatim'")  # fmt: skip
        check_one_of("on_ambiguous", self.on_ambiguous, ("raise", "resubmit"))
        check_one_of("aggregation", self.aggregation, (None, *AGGREGATIONS))
        for name in ("absorb", "symmetrize", "batch", "retry_failed", "shot_order"):
            check_one_of(name, getattr(self, name), (True, False))
        policy = self.retry_policy
        check("retry_policy", policy, policy is None or isinstance(policy, RetryPolicy),
              "a RetryPolicy, or None")  # fmt: skip
        check_number("outage_s", self.outage_s, least=0, unit="seconds", optional=True)
        if self.outage_s is not None:
            self.retry_policy = replace(policy or RetryPolicy(), outage_s=self.outage_s)
        self.pool_size = check_count("pool_size", self.pool_size)
        self.queue = self._queue()
        """Chooser of job sizes; None where sizes are fixed."""
        self.seed = check_count("seed", self.seed, least=0, optional=True)
        self.num_directions = check_count("num_directions", self.num_directions)
        self.gradient_settings()
        check_number("max_wait", self.max_wait, above=0, unit="seconds", optional=True)
        check_number("effort", self.effort, least=0, unit="seconds", optional=True)
        check_number("budget_usd", self.budget_usd, least=0, unit="US dollars", optional=True)
        self.target = self.target_of()
        check_mitigation(self.error_mitigation, self.target.backend, self.described)
        cloud = None if self.is_emulated else self.described
        check_machine_noise(self.emulator, cloud, self.noise_model)
        if not isinstance(self.cache, SmartCircuitCache):
            self.cache_of(SmartCircuitCache())
        self.accounts: tuple[str, ...] = (f"device:{secrets.token_hex(8)}",)
        """Account in the ledger that pays for the jobs of the device and of its copies."""
        if self.run is not None:
            self.accounts = (*self.accounts, run_account(self.run))
        self.process = os.getpid()
        """Process in which the device was made; copies of it may be in others."""
        if not self.is_emulated:  # a cloud backend without a key is refused at once
            find_key(self.api_key)

    @property
    def is_emulated(self) -> bool:
        """True where the service runs inside this process."""
        return self.backend == "emulator"

    @property
    def described(self) -> str:
        """Backend and noise model, for messages."""
        noise = f", noise_model={self.noise_model!r}" if self.noise_model else ""
        return f"backend={self.backend!r}{noise}"

    @property
    def connection(self) -> dict[str, Any]:
        """The service, as ``IonQClient`` takes it."""
        names = ("api_key", "base_url", "pool_size", "retry_policy", "ca_bundle", "proxy")
        return {name: getattr(self, name) for name in names}

    @property
    def fixed_job_size(self) -> int | None:
        """Most circuits per job where that is a number; None where it is chosen or as allowed."""
        size = self.max_circuits_per_job
        return min(size, MAX_CIRCUITS) if isinstance(size, int) else None

    @property
    def sends_batches(self) -> bool:
        """True unless ``batch=False``, or there are no multi-circuit jobs for the backend."""
        return self.batch and not self.target.backend.qasm_only

    @property
    def job_settings(self) -> JobSettings:
        """Size of jobs, and what goes with each."""
        fields = {name: getattr(self, name) for name in ("metadata", "session_id", "aggregation")}
        fields["name"] = self.job_name
        if self.error_mitigation is not None:
            fields["settings"] = {"error_mitigation": dict(self.error_mitigation)}
        return JobSettings((self.queue or self.fixed_job_size) if self.sends_batches else 1, fields)

    def gradient_settings(self) -> Gradient:
        """Return how ``diff_method="device"`` differentiates, with a random generator of its own.

        Raises:
            ConfigurationError: an unknown method, or a number out of range.
        """
        seed = None if self.seed is None else [self.seed, 2]
        return Gradient(
            self.gradient,
            num_directions=self.num_directions,
            h=self.h,
            rng=np.random.default_rng(seed),
        )

    def cache_of(self, shared: SmartCircuitCache) -> SmartCircuitCache:
        """Return the template cache of the option ``cache``; ``shared`` if that is True."""
        if isinstance(self.cache, SmartCircuitCache):
            return self.cache
        if self.cache is True:
            return shared
        return SmartCircuitCache(0 if self.cache is False else self.cache)

    def emulated(self, noise_model: str | None, seed: int | None) -> Options:
        """Return the same options on the emulator in this process.

        Args:
            noise_model: of the emulator's results; None for none.
            seed: instead of the options' own.

        Returns:
            Options without a service; with noise they keep the emulator's errors by qubit and pair.
        """
        given = (
            *("gateset", "two_qubit", "absorb", "compile", "symmetrize", "batch", "cache"),
            *("effort", "gradient", "num_directions", "h", "shot_order"),
        )
        settings = self.emulator if isinstance(self.emulator, Mapping) else {}
        noisy = noise_model not in (None, "ideal") and "machine_noise" in settings
        return Options(
            backend="emulator",
            emulator={"machine_noise": settings["machine_noise"]} if noisy else None,
            noise_model=noise_model,
            seed=self.seed if seed is None else seed,
            max_circuits_per_job=self.fixed_job_size,
            **{name: getattr(self, name) for name in given},
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "api_key": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        add_described(self.target.backend)  # perhaps in another process

    def __deepcopy__(self, memo: dict[int, Any]) -> Options:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        copy = Options(**given)
        copy.accounts, copy.process = self.accounts, self.process
        return copy

    def target_of(self, name: str | None = None) -> Target:
        """Return backend and gates to compile for.

        Args:
            name: of another backend than the device's own.

        Raises:
            ConfigurationError: no such backend, or options that do not go with it.
        """
        name = name or ("simulator" if self.is_emulated else str(self.backend))
        figures = find_backend(name, None if self.is_emulated else self.connection)
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
        gateset = self.gateset if figures.takes_native else "qis"
        family = self.two_qubit or ("zz" if "zz" in gates else "ms")
        if gateset == "native" and family not in gates:
            raise ConfigurationError(
                f"two_qubit={family!r} is not a native gate of {self.described}. "
                f"Allowed: {', '.join(repr(g) for g in gates if g in ('ms', 'zz'))}."
            )
        if self.symmetrize and self.gateset == "qis":
            raise ConfigurationError(
                "symmetrize=True is not allowed with gateset='qis', which leaves the compiling to "
                "the service. Use gateset='native'."
            )
        verbatim = self.compile == "verbatim"
        if not figures.takes_native and (verbatim or self.symmetrize or self.two_qubit):
            raise ConfigurationError(
                f"Circuits for {self.described} are compiled by the service: leave out "
                "compile='verbatim', symmetrize=True and two_qubit=, which need native gates."
            )
        return Target(
            figures,
            gateset,
            family,
            self.absorb and not verbatim,
            exact,
            noise=None if exact else self.noise_model,
            verbatim=verbatim,
            effort=self.effort,
            described=self.described,
            symmetrize=(self.seed or 0) if self.symmetrize and not exact else None,
        )

    def _queue(self) -> AdaptiveQueueManager | None:
        name, size = "max_circuits_per_job", self.max_circuits_per_job
        if isinstance(size, str):
            policy = _JOB_SIZES[check_one_of(name, size, tuple(_JOB_SIZES))]
            queue = AdaptiveQueueManager(policy, connections=self.pool_size)
        elif isinstance(size, AdaptiveQueueManager):
            queue = size
        else:
            self.max_circuits_per_job = check_count(name, size, optional=True)
            return None
        if self.run is not None:
            raise ConfigurationError(
                f"run={self.run!r} is not allowed with {name}={size!r}: a batch repeated after a "
                f"crash could be divided into other jobs than those already paid for. Give a "
                f"fixed {name}, or no run."
            )
        return queue

    def _check_kinds(self) -> None:
        """Refuse values of a kind that would only be found out when a job is sent."""
        for name in ("backend", "base_url", "noise_model", "run"):
            value = getattr(self, name)
            check(name, value, value is None or is_text(value), "a text, or None")
        if not (self.api_key is None or self.api_key.is_text):
            raise ConfigurationError("api_key= is a text, or None.")  # it may hold a secret
        if self.proxy is not None:
            self.proxy.check()
        bundle, confirm = self.ca_bundle, self.confirm
        check("ca_bundle", bundle, bundle is None or is_path(bundle), "a path, or None")
        check("confirm", confirm, confirm is None or callable(confirm), "a function, or None")
        if not callable(self.progress):
            check_one_of("progress", self.progress, (True, False, None))
        check_labels(self.job_name, self.metadata, self.session_id)
        check_ledger(self.ledger)
        check_emulator(self.emulator)
