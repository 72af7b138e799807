"""Train quantum models on IonQ's computers from PennyLane: one step, one request."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennylane_qstore._version import __version__
from pennylane_qstore.deferral.scope import deferred, gather, map, run_tasks  # noqa: A004
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.drawing import draw, draw_mpl
from pennylane_qstore.execution.sender import session
from pennylane_qstore.native.compiler import IonQNativeGateCompiler
from pennylane_qstore.native.transform import compile_native
from pennylane_qstore.training.spsa import SPSAOptimizer

if TYPE_CHECKING:
    from pennylane_qstore.training.run import TrainingRun
    from pennylane_qstore.v34 import (
        AdaptiveQueueManager,
        CircuitBatchManagerV34,
        IonQBatchClient,
        PerformanceTracker,
        SmartCircuitCache,
        TrainingConfig,
    )

LOG_CONFIG = str(Path(__file__).parent / "log_config.toml")
"""For ``qml.logging.enable_logging(config_file=...)``: PennyLane's loggers and ours."""

__all__ = [
    "LOG_CONFIG",
    "AdaptiveQueueManager",
    "CircuitBatchManagerV34",
    "IonQBatchClient",
    "IonQDevice",
    "IonQNativeGateCompiler",
    "PerformanceTracker",
    "SPSAOptimizer",
    "SmartCircuitCache",
    "TrainingConfig",
    "TrainingRun",
    "__version__",
    "compile_native",
    "deferred",
    "draw",
    "draw_mpl",
    "gather",
    "map",
    "run_tasks",
    "session",
]

_LATE = {
    "AdaptiveQueueManager": "v34",
    "CircuitBatchManagerV34": "v34",
    "IonQBatchClient": "v34",
    "PerformanceTracker": "v34",
    "SmartCircuitCache": "v34",
    "TrainingConfig": "v34",
    "TrainingRun": "training.run",
}
"""Imported when asked for: what ``import pennylane_qstore`` should not cost everybody."""


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f"pennylane_qstore.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_LATE]
