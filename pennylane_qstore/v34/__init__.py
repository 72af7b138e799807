"""Q-Store v3.4's classes and options, implemented with this package.

``from q_store.ml import ...`` becomes ``from pennylane_qstore.v34 import ...``; the rest of a
program stays as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pennylane_qstore.execution.job_size import AdaptiveQueueManager as AdaptiveQueueManager
    from pennylane_qstore.native.compiler import IonQNativeGateCompiler as IonQNativeGateCompiler
    from pennylane_qstore.v34.cache import SmartCircuitCache as SmartCircuitCache
    from pennylane_qstore.v34.client import BatchJobResult as BatchJobResult
    from pennylane_qstore.v34.client import IonQBatchClient as IonQBatchClient
    from pennylane_qstore.v34.config import TrainingConfig as TrainingConfig
    from pennylane_qstore.v34.manager import CircuitBatchManagerV34 as CircuitBatchManagerV34
    from pennylane_qstore.v34.performance import PerformanceTracker as PerformanceTracker

_MODULES = {
    "AdaptiveQueueManager": "pennylane_qstore.execution.job_size",
    "BatchJobResult": "pennylane_qstore.v34.client",
    "CircuitBatchManagerV34": "pennylane_qstore.v34.manager",
    "IonQBatchClient": "pennylane_qstore.v34.client",
    "IonQNativeGateCompiler": "pennylane_qstore.native.compiler",
    "PerformanceTracker": "pennylane_qstore.v34.performance",
    "SmartCircuitCache": "pennylane_qstore.v34.cache",
    "TrainingConfig": "pennylane_qstore.v34.config",
}
"""Public names and their modules, imported when first asked for: the client brings aiohttp."""

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
