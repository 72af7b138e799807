"""Train quantum models on IonQ's computers from PennyLane: one step, one request."""

from pathlib import Path

from pennylane_qstore._version import __version__
from pennylane_qstore.batching.deferred import deferred, gather, map, run_tasks  # noqa: A004
from pennylane_qstore.batching.service import session
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.native.compiler import IonQNativeGateCompiler
from pennylane_qstore.training.spsa import SPSAOptimizer

LOG_CONFIG = str(Path(__file__).parent / "log_config.toml")
"""For ``qml.logging.enable_logging(config_file=...)``: PennyLane's loggers and ours."""

__all__ = [
    "LOG_CONFIG",
    "IonQDevice",
    "IonQNativeGateCompiler",
    "SPSAOptimizer",
    "__version__",
    "deferred",
    "gather",
    "map",
    "run_tasks",
    "session",
]
