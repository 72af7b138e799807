"""The table of Q-Store v3.4's settings: default, what is allowed, what each does here.

Fields of the kind ``"nothing"`` are accepted, and a debug log line says that they do nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pennylane_qstore.ionq.http.api_key import Secret

GRADIENTS = (
    *("spsa", "spsa_parallel", "spsa_subsampled", "adaptive"),
    *("parameter_shift", "finite_diff", "natural_gradient"),
)
OPTIMIZERS = ("adam", "sgd", "gd", "gradient_descent", "spsa", "natural_gradient")
ENTANGLEMENTS = ("linear", "circular", "full", "none")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

SWITCHED = (
    *("use_batch_api", "use_native_gates", "enable_smart_caching", "adaptive_batch_sizing"),
    *("enable_circuit_cache", "enable_batch_execution", "hardware_efficient_ansatz"),
)
"""What ``enable_all_v34_features`` turns on; an explicit False beside it wins."""

_CACHE = 1000


class Setting(NamedTuple):
    """One field.

    Attributes:
        default: its value when it is not given.
        check: whether a value is allowed.
        allowed: in words.
        kind: who reads it: ``"device"``, ``"optimizer"``, ``"model"``, ``"run"``, ``"log"``,
            ``"all"`` or ``"nothing"``.
        meaning: what it does.
    """

    default: Any
    check: Callable[[Any], bool]
    allowed: str
    kind: str
    meaning: str


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value < 1


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _secret(value: Any) -> bool:
    return value is None or isinstance(value, str | Secret)


def _one_of(*allowed: str) -> tuple[Callable[[Any], bool], str]:
    words = "one of " + ", ".join(map(repr, allowed))
    return lambda value: isinstance(value, str) and value in allowed, words


_FLAG = (_flag, "True or False")
_COUNT = (_count, "a whole number, 1 or more")
_SECONDS = (_positive, "seconds, more than 0")
_PLUS = (_positive, "a number above 0")
_SHARE = (_share, "a number from 0, below 1")
_TEXT = (_text, "a text")
_SECRET = (_secret, "a text, or None")

SETTINGS: Mapping[str, Setting] = {
    "pinecone_api_key": Setting(None, *_SECRET, "nothing", "Nothing is sent to Pinecone."),
    "pinecone_environment": Setting("us-east-1", *_TEXT, "nothing", "As above."),
    "pinecone_index_name": Setting("quantum-ml-training", *_TEXT, "nothing", "As above."),
    "quantum_sdk": Setting(
        None,
        lambda v: v in (None, "mock", "ionq"),
        "'mock' (the embedded emulator), 'ionq', or None",
        "device",
        "'mock': the embedded emulator. 'ionq': IonQ's service. None: the service if a key or a "
        "target is given, else the emulator.",
    ),
    "quantum_api_key": Setting(
        None, *_SECRET, "device", "`api_key`; else the environment's IONQ_API_KEY."
    ),
    "quantum_target": Setting(
        "simulator",
        *_TEXT,
        "device",
        "`backend`. With quantum_sdk='mock', the machine whose noise the emulator imitates.",
    ),
    "learning_rate": Setting(
        0.01, *_PLUS, "optimizer", "Step of adam, sgd, gd and natural_gradient."
    ),
    "batch_size": Setting(32, *_COUNT, "run", "Samples of a mini-batch."),
    "epochs": Setting(
        100,
        *_COUNT,
        "run",
        "Passes over the data; steps where there is none, and what SPSA's gains expect.",
    ),
    "n_qubits": Setting(10, *_COUNT, "model", "Wires of `device()` and of the model."),
    "circuit_depth": Setting(4, *_COUNT, "model", "Layers of the model."),
    "entanglement": Setting(
        "linear", *_one_of(*ENTANGLEMENTS), "model", "Which wires of the model are entangled."
    ),
    "optimizer": Setting(
        "adam",
        *_one_of(*OPTIMIZERS),
        "optimizer",
        "How a gradient becomes a step; 'spsa': by the gain sequence of SPSA itself.",
    ),
    "gradient_method": Setting(
        "spsa_subsampled",
        *_one_of(*GRADIENTS),
        "optimizer",
        "'spsa', 'spsa_parallel': all samples at two points, one batch. 'spsa_subsampled': "
        "gradient_subsample_size of them. 'adaptive': steps that raise the loss are not taken. "
        "'parameter_shift', 'finite_diff': PennyLane's. 'natural_gradient': "
        "qml.QNGOptimizer, for an objective that is a QNode, without data.",
    ),
    "momentum": Setting(0.9, *_SHARE, "optimizer", "Of sgd."),
    "weight_decay": Setting(
        0.0, *_SHARE, "optimizer", "Share, times learning_rate, by which weights shrink each step."
    ),
    "shots_per_circuit": Setting(1000, *_COUNT, "model", "Shots of the model's circuits."),
    "max_concurrent_circuits": Setting(
        5, *_COUNT, "device", "`pool_size`, where connection_pool_size is not given."
    ),
    "use_gradient_clipping": Setting(
        True, *_FLAG, "optimizer", "Whether gradient_clip_value counts."
    ),
    "gradient_clip_value": Setting(
        1.0, *_PLUS, "optimizer", "Longer gradients (Euclidean) are shortened to this."
    ),
    "checkpoint_interval": Setting(10, *_COUNT, "run", "Epochs between checkpoints."),
    "checkpoint_directory": Setting("./checkpoints", *_TEXT, "run", "Where they are written."),
    "log_interval": Setting(10, *_COUNT, "run", "Steps between log lines."),
    "track_gradients": Setting(True, *_FLAG, "run", "Whether the history has gradient norms."),
    "enable_circuit_cache": Setting(
        True, *_FLAG, "device", "False: `cache=False`, as enable_smart_caching."
    ),
    "enable_batch_execution": Setting(
        True, *_FLAG, "optimizer", "False: SPSA's points one after another (`mode='serial'`)."
    ),
    "enable_circuit_batching": Setting(
        True,
        *_FLAG,
        "optimizer",
        "False: circuits called in a loop are not collected (`mode='tasks'`): a batch per call.",
    ),
    "cache_size": Setting(
        _CACHE, *_COUNT, "device", "`cache`: templates kept, in a cache of the device's own."
    ),
    "batch_timeout": Setting(60.0, *_SECONDS, "device", "`max_wait`, where it is the shortest."),
    "max_parallel_circuits": Setting(
        50, *_COUNT, "device", "Most circuits per job, where given: `batch_size`."
    ),
    "hardware_efficient_ansatz": Setting(
        True,
        *_FLAG,
        "model",
        "True: RY, RZ and CZ, one native gate each. False: general rotations and CNOT.",
    ),
    "spsa_c_initial": Setting(0.1, *_PLUS, "optimizer", "`c` of SPSA: its first perturbation."),
    "spsa_a_initial": Setting(0.01, *_PLUS, "optimizer", "`a` of optimizer='spsa'."),
    "gradient_subsample_size": Setting(
        5, *_COUNT, "run", "Samples of gradient_method='spsa_subsampled'."
    ),
    "batch_submission_timeout": Setting(60.0, *_SECONDS, "device", "As batch_timeout."),
    "enable_performance_tracking": Setting(
        True, *_FLAG, "run", "Whether the history has a PerformanceTracker."
    ),
    "performance_log_dir": Setting(
        None, lambda v: v is None or _text(v), "a text, or None", "run", "Where it writes."
    ),
    "use_batch_api": Setting(
        True, *_FLAG, "device", "`batch`: one job for many circuits, or one each, in sequence."
    ),
    "use_native_gates": Setting(
        True, *_FLAG, "device", "`gateset`: compiled here to GPi, GPi2, MS or ZZ, or by IonQ."
    ),
    "enable_smart_caching": Setting(True, *_FLAG, "device", "`cache`: templates by structure."),
    "adaptive_batch_sizing": Setting(
        False, *_FLAG, "device", "`batch_size='adaptive'`: 20, 10 or 5 circuits per job."
    ),
    "connection_pool_size": Setting(5, *_COUNT, "device", "`pool_size`: HTTP connections."),
    "max_queue_wait_time": Setting(
        120.0,
        *_SECONDS,
        "device",
        "`max_wait`: then JobTimeout with the job's id; the job goes on. Not given, a QPU's queue "
        "is waited for without limit.",
    ),
    "enable_all_v34_features": Setting(
        False, *_FLAG, "all", "True: " + ", ".join(SWITCHED) + "; an explicit False wins."
    ),
    "retry_failed_circuits": Setting(
        True, *_FLAG, "device", "`retry_failed`: circuits that failed are sent again, once."
    ),
    "debug_mode": Setting(
        False, *_FLAG, "log", "log_level 'DEBUG' where none is given, and every change of a job."
    ),
    "log_level": Setting(
        None,
        lambda v: v is None or (isinstance(v, str) and v.upper() in LEVELS),
        "one of " + ", ".join(map(repr, LEVELS)) + ", or None",
        "log",
        "Level of this package's log, shown on stderr if the program has no log of its own.",
    ),
}
"""Every field of Q-Store v3.4, and the three that its documentation uses beside them."""

KINDS: Mapping[str, str] = {
    "all": "turns others on",
    "device": "read by device()",
    "optimizer": "read by optimizer()",
    "model": "read by the model of run()",
    "run": "read by run()",
    "log": "read by device() and run(), for the log",
    "nothing": "accepted, without meaning here",
}
"""Who reads the fields of a kind."""

SECRETS = tuple(name for name, setting in SETTINGS.items() if setting.check is _secret)
"""Fields that are never shown."""


def table() -> str:
    """All fields in a Markdown table: by who reads them, with default and meaning."""
    lines = ["| field | default | what it does |", "|---|---|---|"]
    for kind, reader in KINDS.items():
        lines.append(f"| **{reader}** | | |")
        lines += [
            f"| `{name}` | `{setting.default!r}` | {setting.meaning} |"
            for name, setting in SETTINGS.items()
            if setting.kind == kind
        ]
    return "\n".join(lines)
