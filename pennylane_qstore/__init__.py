"""Train quantum models on IonQ's computers from PennyLane: one step, one request."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennylane_qstore._version import __version__ as __version__

if TYPE_CHECKING:
    from pennylane_qstore.deferral.scope import deferred as deferred
    from pennylane_qstore.deferral.scope import gather as gather
    from pennylane_qstore.deferral.scope import map as map  # noqa: A004
    from pennylane_qstore.deferral.scope import run_tasks as run_tasks
    from pennylane_qstore.device import IonQDevice as IonQDevice
    from pennylane_qstore.drawing import draw as draw
    from pennylane_qstore.drawing import draw_mpl as draw_mpl
    from pennylane_qstore.estimators.kernel import (
        QuantumKernelClassifier as QuantumKernelClassifier,
    )
    from pennylane_qstore.estimators.variational import QuantumClassifier as QuantumClassifier
    from pennylane_qstore.estimators.variational import QuantumRegressor as QuantumRegressor
    from pennylane_qstore.execution.handle import BatchHandle as BatchHandle
    from pennylane_qstore.execution.job_size import AdaptiveQueueManager as AdaptiveQueueManager
    from pennylane_qstore.execution.session import session as session
    from pennylane_qstore.native.compiler import IonQNativeGateCompiler as IonQNativeGateCompiler
    from pennylane_qstore.native.transform import compile_native as compile_native
    from pennylane_qstore.native.verbatim import verbatim as verbatim
    from pennylane_qstore.sweeps.study import optimize as optimize
    from pennylane_qstore.sweeps.sweep import Sweep as Sweep
    from pennylane_qstore.sweeps.sweep import sweep as sweep
    from pennylane_qstore.sweeps.trials import MedianRule as MedianRule
    from pennylane_qstore.training.rehearsal import rehearse as rehearse
    from pennylane_qstore.training.run import TrainingRun as TrainingRun
    from pennylane_qstore.training.saved_model import SavedModel as SavedModel
    from pennylane_qstore.training.saved_model import load_model as load_model
    from pennylane_qstore.training.spsa import SPSAOptimizer as SPSAOptimizer
    from pennylane_qstore.training.value_and_grad import value_and_grad as value_and_grad
    from pennylane_qstore.transforms import correct_readout as correct_readout
    from pennylane_qstore.transforms import fold_native as fold_native
    from pennylane_qstore.transforms import with_errors as with_errors
    from pennylane_qstore.transforms import zne as zne
    from pennylane_qstore.v34.cache import SmartCircuitCache as SmartCircuitCache
    from pennylane_qstore.v34.client import IonQBatchClient as IonQBatchClient
    from pennylane_qstore.v34.config import TrainingConfig as TrainingConfig
    from pennylane_qstore.v34.manager import CircuitBatchManagerV34 as CircuitBatchManagerV34
    from pennylane_qstore.v34.performance import PerformanceTracker as PerformanceTracker

LOG_CONFIG = str(Path(__file__).parent / "log_config.toml")
"""For ``qml.logging.enable_logging(config_file=...)``: PennyLane's loggers and ours."""

_MODULES = {
    "AdaptiveQueueManager": "execution.job_size",
    "BatchHandle": "execution.handle",
    "CircuitBatchManagerV34": "v34.manager",
    "IonQBatchClient": "v34.client",
    "IonQDevice": "device",
    "IonQNativeGateCompiler": "native.compiler",
    "MedianRule": "sweeps.trials",
    "PerformanceTracker": "v34.performance",
    "QuantumClassifier": "estimators.variational",
    "QuantumKernelClassifier": "estimators.kernel",
    "QuantumRegressor": "estimators.variational",
    "SPSAOptimizer": "training.spsa",
    "SavedModel": "training.saved_model",
    "SmartCircuitCache": "v34.cache",
    "Sweep": "sweeps.sweep",
    "TrainingConfig": "v34.config",
    "TrainingRun": "training.run",
    "compile_native": "native.transform",
    "correct_readout": "transforms",
    "deferred": "deferral.scope",
    "draw": "drawing",
    "draw_mpl": "drawing",
    "fold_native": "transforms",
    "gather": "deferral.scope",
    "load_model": "training.saved_model",
    "map": "deferral.scope",
    "optimize": "sweeps.study",
    "rehearse": "training.rehearsal",
    "run_tasks": "deferral.scope",
    "session": "execution.session",
    "sweep": "sweeps.sweep",
    "value_and_grad": "training.value_and_grad",
    "verbatim": "native.verbatim",
    "with_errors": "transforms",
    "zne": "transforms",
}
"""Public names and their modules, imported when first asked for."""

_ROOMS = {
    "schedules": "training.schedules",
    "trackers": "training.trackers",
    "transforms": "transforms",
}
"""Public modules, likewise."""

__all__ = ["LOG_CONFIG", "__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{_ROOMS[name]}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
