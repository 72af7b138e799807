"""Q-Store v3.4's settings: their defaults, the values they take, and their effects here.

Fields of the kind ``"nothing"`` are accepted, and a debug log line says that they do nothing.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.secret import Secret
from pennylane_qstore.v34 import fields
from pennylane_qstore.v34.fields import KINDS, OptimizerName, Setting
from pennylane_qstore.validation import check_count, check_flag, unknown

logger = logging.getLogger(__name__)

GRADIENTS = (
    *("spsa", "spsa_parallel", "spsa_subsampled", "adaptive"),
    *("parameter_shift", "finite_diff", "natural_gradient"),
)
OPTIMIZERS = ("adam", "sgd", "gd", "gradient_descent", "spsa", "natural_gradient")
ENTANGLEMENTS = ("linear", "circular", "full", "none")

SWITCHED = (
    *("use_batch_api", "use_native_gates", "enable_smart_caching", "adaptive_batch_sizing"),
    *("enable_circuit_cache", "enable_batch_execution", "hardware_efficient_ansatz"),
)
"""Fields that ``enable_all_v34_features`` turns on; an explicit False beside it wins."""

# One for each kind of fields. Any: a field stands in the class where its value is typed.
_all: Any
_device: Any
_optimizer: Any
_model: Any
_run: Any
_log: Any
_nothing: Any
_all, _device, _optimizer, _model, _run, _log, _nothing = (partial(Setting, k) for k in KINDS)


class Settings:
    """Fields of Q-Store v3.4, all optional, that may be assigned at any time.

    API keys are kept from ``repr``, ``to_dict`` and pickles.

    Args:
        **settings: any of the fields.

    Raises:
        ConfigurationError: an unknown field (the nearest is named) or a value not allowed.
    """

    pinecone_api_key: Any = _nothing(None, fields.secret, "Nothing is sent to Pinecone.")
    pinecone_environment: str = _nothing("us-east-1", fields.text, "As above.")
    pinecone_index_name: str = _nothing("quantum-ml-training", fields.text, "As above.")
    quantum_sdk: str | None = _device(
        None,
        fields.one_of(None, "mock", "ionq"),
        "'mock': the embedded emulator. 'ionq': IonQ's service. None: the service if a key or "
        "a target is given, else the emulator.",
    )
    quantum_api_key: Any = _device(
        None, fields.secret, "`api_key`; else the environment's IONQ_API_KEY."
    )
    quantum_target: str = _device(
        "simulator",
        fields.text,
        "`backend`. With quantum_sdk='mock', the machine whose noise the emulator imitates.",
    )
    learning_rate: float = _optimizer(
        0.01, fields.positive, "Step of adam, sgd, gd and natural_gradient."
    )
    batch_size: int = _run(32, check_count, "Samples of a mini-batch.")
    epochs: int = _run(
        100,
        check_count,
        "Passes over the data; steps where there is none, and what SPSA's gains expect.",
    )
    n_qubits: int = _model(10, check_count, "Wires of `device()` and of the model.")
    circuit_depth: int = _model(4, check_count, "Layers of the model.")
    entanglement: str = _model(
        "linear", fields.one_of(*ENTANGLEMENTS), "Pairs of wires that the model entangles."
    )
    optimizer: OptimizerName = _optimizer(
        "adam",
        fields.one_of(*OPTIMIZERS),
        "How a gradient becomes a step; 'spsa': by the gain sequence of SPSA itself.",
    )
    gradient_method: str = _optimizer(
        "spsa_subsampled",
        fields.one_of(*GRADIENTS),
        "'spsa', 'spsa_parallel': all samples at two points, one batch. 'spsa_subsampled': "
        "gradient_subsample_size of them. 'adaptive': steps that raise the loss are not "
        "taken. 'parameter_shift', 'finite_diff': PennyLane's. 'natural_gradient': "
        "qml.QNGOptimizer, for an objective that is a QNode, without data.",
    )
    momentum: float = _optimizer(0.9, fields.share, "Of sgd.")
    weight_decay: float = _optimizer(
        0.0, fields.share, "Share, times learning_rate, by which weights shrink each step."
    )
    shots_per_circuit: int = _model(1000, check_count, "Shots of the model's circuits.")
    max_concurrent_circuits: int = _device(
        5, check_count, "`pool_size`, where connection_pool_size is not given."
    )
    use_gradient_clipping: bool = _optimizer(
        True, check_flag, "False: gradient_clip_value has no effect."
    )
    gradient_clip_value: float = _optimizer(
        1.0, fields.positive, "Longer gradients (Euclidean) are shortened to this."
    )
    checkpoint_interval: int = _run(10, check_count, "Epochs between checkpoints.")
    checkpoint_directory: str = _run("./checkpoints", fields.text, "Where they are written.")
    log_interval: int = _run(10, check_count, "Steps between log lines.")
    track_gradients: bool = _run(True, check_flag, "Record gradient norms in the history.")
    enable_circuit_cache: bool = _device(
        True, check_flag, "False: `cache=False`, as enable_smart_caching."
    )
    enable_batch_execution: bool = _optimizer(
        True, check_flag, "False: SPSA's points one after another (`mode='serial'`)."
    )
    enable_circuit_batching: bool = _optimizer(
        True,
        check_flag,
        "False: circuits called in a loop are not collected (`mode='tasks'`): a batch per call.",
    )
    cache_size: int = _device(
        1000, check_count, "`cache`: templates kept, in a cache of the device's own."
    )
    batch_timeout: float = _device(60.0, fields.seconds, "`max_wait`, where it is the shortest.")
    max_parallel_circuits: int = _device(
        50, check_count, "Most circuits per job, where given: `max_circuits_per_job`."
    )
    hardware_efficient_ansatz: bool = _model(
        True,
        check_flag,
        "True: RY, RZ and CZ, one native gate each. False: general rotations and CNOT.",
    )
    spsa_c_initial: float = _optimizer(0.1, fields.positive, "`c` of SPSA: its first perturbation.")
    spsa_a_initial: float = _optimizer(0.01, fields.positive, "`a` of optimizer='spsa'.")
    gradient_subsample_size: int = _run(
        5, check_count, "Samples of gradient_method='spsa_subsampled'."
    )
    batch_submission_timeout: float = _device(60.0, fields.seconds, "As batch_timeout.")
    enable_performance_tracking: bool = _run(
        True, check_flag, "Keep a PerformanceTracker with the history."
    )
    performance_log_dir: str | None = _run(None, fields.optional_text, "Where it writes.")
    use_batch_api: bool = _device(
        True, check_flag, "`batch`: one job for many circuits, or one each, in sequence."
    )
    use_native_gates: bool = _device(
        True, check_flag, "`gateset`: compiled here to GPi, GPi2, MS or ZZ, or by IonQ."
    )
    enable_smart_caching: bool = _device(True, check_flag, "`cache`: templates by structure.")
    adaptive_batch_sizing: bool = _device(
        False, check_flag, "`max_circuits_per_job='adaptive'`: 20, 10 or 5 circuits per job."
    )
    connection_pool_size: int = _device(5, check_count, "`pool_size`: HTTP connections.")
    max_queue_wait_time: float = _device(
        120.0,
        fields.seconds,
        "`max_wait`: then JobTimeout with the job's id; the job goes on. Not given, a QPU's "
        "queue is waited for without limit.",
    )
    enable_all_v34_features: bool = _all(
        False, check_flag, "True: " + ", ".join(SWITCHED) + "; an explicit False wins."
    )
    retry_failed_circuits: bool = _device(
        True, check_flag, "`retry_failed`: circuits that failed are sent again, once."
    )
    debug_mode: bool = _log(
        False, check_flag, "log_level 'DEBUG' where none is given, and every change of a job."
    )
    log_level: str | None = _log(
        None,
        fields.level,
        "Level of this package's log, shown on stderr if the program has no log of its own.",
    )

    def __init__(self, **settings: Any) -> None:
        settings = _hidden(settings)  # before anything can raise
        object.__setattr__(self, "_given", {})
        for name, value in settings.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SECRETS or name not in SETTINGS:
            value = Secret.hold(value)  # before anything can raise
        if name not in SETTINGS:
            raise ConfigurationError(_unknown(name))
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name if name.startswith("_") else _unknown(name))

    @also_unmade
    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.given.items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and other.given == self.given

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        return type(self)(**self.given)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def given(self) -> dict[str, Any]:
        """Values of the fields that were given or assigned."""
        values: dict[str, Any] = self.__dict__["_given"]
        return values

    def value_of(self, name: str) -> Any:
        """Return a field's value as it counts."""
        if name in SWITCHED and name not in self.given and self.given.get(_ALL):
            return True
        return self.given.get(name, SETTINGS[name].default)

    def is_given(self, name: str) -> bool:
        """Return True for a field that was given or assigned, rather than left at its default."""
        return name in self.given

    def to_dict(self, *, complete: bool = False) -> dict[str, Any]:
        """Return the given fields, without API keys; ``from_dict`` makes them settings again.

        Args:
            complete: all fields, as they count; to look at. Made settings again, every default
                would be something that was asked for.
        """
        names = SETTINGS if complete else self.given
        return {name: Settings.value_of(self, name) for name in names if name not in SECRETS}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Make settings of a mapping of fields.

        Raises:
            ConfigurationError: it is no mapping, or a field is not allowed.
        """
        if isinstance(settings, Mapping):
            settings = _hidden(settings)
        else:
            raise ConfigurationError(
                f"{settings!r} is not allowed. Allowed: a dictionary of fields and values."
            )
        return cls(**{str(name): value for name, value in settings.items()})

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read settings from a TOML or JSON file of fields; a table ``training`` is enough.

        Raises:
            ConfigurationError: the file cannot be read, or a field is not allowed.
        """
        return cls.from_dict(_read_table(Path(path)))


SETTINGS: Mapping[str, Setting] = {
    name: setting for name, setting in vars(Settings).items() if isinstance(setting, Setting)
}
"""Every field of Q-Store v3.4, and the three that its documentation uses beside them."""

SECRETS = tuple(name for name, setting in SETTINGS.items() if setting.check is fields.secret)
"""Fields that are never shown."""

_ALL = "enable_all_v34_features"


def _read_table(path: Path) -> Any:
    """Return the fields in a file; a key in it is no local variable of any frame."""
    load = json.loads if path.suffix.lower() == ".json" else tomllib.loads
    problem = "holds no table of fields and values"
    try:
        content = _fields(load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # left behind: a parser's error holds the text
        content, problem = None, f"cannot be read: {error}"
    if content is None:
        raise ConfigurationError(f"{str(path)!r} {problem}.")
    return content["training"]


def _fields(content: Any) -> dict[str, Any] | None:
    """Return the table ``training`` of a file's content, or all of it; None for no table."""
    if not isinstance(content, dict):
        return None
    table = content.get("training", content)
    return {"training": _hidden(table) if isinstance(table, dict) else table}


def _hidden(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with their keys hidden, and what may be a key under a misspelt name."""
    return {
        name: value if name in SETTINGS and name not in SECRETS else Secret.hold(value)
        for name, value in settings.items()
    }


def _unknown(name: str) -> str:
    return unknown("field", name, SETTINGS, of="TrainingConfig")


def field_list() -> str:
    """Return all fields in a list: by their readers, with default and meaning."""
    lines = []
    for kind, reader in KINDS.items():
        lines += [f"**{reader}**", ""]
        lines += [
            f"* ``{name}`` (``{setting.default!r}``): {setting.meaning.replace('`', '``')}"
            for name, setting in SETTINGS.items()
            if setting.kind == kind
        ]
        lines.append("")
    return "\n".join(lines)
