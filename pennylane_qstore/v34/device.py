"""The device that v3.4's settings describe."""

from __future__ import annotations

import logging
from typing import Any

from pennylane_qstore.backends import backend
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.secret import hide_secrets
from pennylane_qstore.v34.settings import Settings

logger = logging.getLogger(__name__)

_PACKAGE = "pennylane_qstore"
_WAITS = ("max_queue_wait_time", "batch_timeout", "batch_submission_timeout")


def device_options(settings: Settings) -> dict[str, Any]:
    """Return the options of ``qml.device("qstore.ionq", ...)`` that follow from the fields."""
    waits_s = [float(getattr(settings, name)) for name in _WAITS if settings.is_given(name)]
    cached = settings.enable_smart_caching and settings.enable_circuit_cache
    size = settings.cache_size if settings.is_given("cache_size") else True
    return {
        **_service(settings),
        "batch": settings.use_batch_api,
        "gateset": "native" if settings.use_native_gates else "qis",
        "cache": size if cached else False,
        "max_circuits_per_job": _job_size(settings),
        "pool_size": _connections(settings),
        "max_wait": min(waits_s, default=None),
        "retry_failed": settings.retry_failed_circuits,
        "progress": _log_progress if settings.debug_mode else None,
    }


def make_device(settings: Settings, wires: Any = None, **options: Any) -> IonQDevice:
    """Return a device with these settings.

    Args:
        settings: their fields of the kind ``"device"``.
        wires: number or labels; by default ``n_qubits``.
        **options: further options of the device; they win.

    Returns:
        The device.
    """
    options = hide_secrets(options)  # before anything can raise
    set_log_level(settings)
    wires = settings.n_qubits if wires is None else wires
    return IonQDevice(wires=wires, **{**device_options(settings), **options})


def set_log_level(settings: Settings) -> None:
    """Set the level of this package's log, if one was asked for."""
    level = settings.log_level or ("DEBUG" if settings.debug_mode else None)
    if level is None:
        return
    log = logging.getLogger(_PACKAGE)
    log.setLevel(level)
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        log.addHandler(handler)


def _service(settings: Settings) -> dict[str, Any]:
    """Return backend, key and noise."""
    cloud = settings.quantum_api_key is not None or settings.is_given("quantum_target")
    if settings.quantum_sdk == "ionq" or (settings.quantum_sdk is None and cloud):
        return {"backend": settings.quantum_target, "api_key": settings.quantum_api_key}
    target = backend(settings.quantum_target)
    if not target.is_qpu:
        return {"backend": "emulator"}
    return {"backend": "emulator", "noise_model": target.noise}


def _job_size(settings: Settings) -> int | str | AdaptiveQueueManager | None:
    limited = settings.is_given("max_parallel_circuits")
    limit = settings.max_parallel_circuits if limited else None
    if not settings.adaptive_batch_sizing:
        return limit
    if limit is None:
        return "adaptive"
    return AdaptiveQueueManager(max_batch_size=limit, connections=_connections(settings))


def _connections(settings: Settings) -> int:
    older = settings.is_given("max_concurrent_circuits")
    if older and not settings.is_given("connection_pool_size"):
        return settings.max_concurrent_circuits
    return settings.connection_pool_size


def _log_progress(progress: Any) -> None:
    logger.debug(
        "Job %sof %d circuits: %s after %.2f s.",
        f"{progress.job_id} " if progress.job_id else "",
        *(progress.circuits, progress.state, progress.elapsed_s),
    )
