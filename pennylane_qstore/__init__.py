"""Train quantum models on IonQ's computers from PennyLane: one step, one request."""

from pennylane_qstore._version import __version__
from pennylane_qstore.batching.deferred import deferred, gather, map, run_tasks  # noqa: A004
from pennylane_qstore.batching.service import session
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.native.compiler import IonQNativeGateCompiler
from pennylane_qstore.training.spsa import SPSAOptimizer

__all__ = [
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
