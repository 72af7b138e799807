"""Q-Store v3.4's classes and options, implemented with this package.

``from q_store.ml import ...`` becomes ``from pennylane_qstore.v34 import ...``; the rest of a
program stays as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pennylane_qstore.execution.job_size import AdaptiveQueueManager
    from pennylane_qstore.native.compiler import IonQNativeGateCompiler
    from pennylane_qstore.v34.cache import SmartCircuitCache
    from pennylane_qstore.v34.client import BatchJobResult, IonQBatchClient
    from pennylane_qstore.v34.config import TrainingConfig
    from pennylane_qstore.v34.manager import CircuitBatchManagerV34
    from pennylane_qstore.v34.performance import PerformanceTracker

_WHERE = {
    "AdaptiveQueueManager": "pennylane_qstore.execution.job_size",
    "BatchJobResult": "pennylane_qstore.v34.client",
    "CircuitBatchManagerV34": "pennylane_qstore.v34.manager",
    "IonQBatchClient": "pennylane_qstore.v34.client",
    "IonQNativeGateCompiler": "pennylane_qstore.native.compiler",
    "PerformanceTracker": "pennylane_qstore.v34.performance",
    "SmartCircuitCache": "pennylane_qstore.v34.cache",
    "TrainingConfig": "pennylane_qstore.v34.config",
}

__all__ = [
    "AdaptiveQueueManager",
    "BatchJobResult",
    "CircuitBatchManagerV34",
    "IonQBatchClient",
    "IonQNativeGateCompiler",
    "PerformanceTracker",
    "SmartCircuitCache",
    "TrainingConfig",
]


def __getattr__(name: str) -> Any:
    # The client brings aiohttp: imported when asked for.
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
