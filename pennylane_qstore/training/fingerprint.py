"""Fingerprints of what stays the same when a run goes on: optimizer, devices, start, circuit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.checkpoint import Checkpoint
from pennylane_qstore.training.optimizer_state import ResumableOptimizer, as_json, call_text
from pennylane_qstore.training.parameters import leaves_of, without_torch

_OPTIMIZER_NAMES = (
    *("stepsize", "momentum", "beta1", "beta2", "eps", "decay", "approx", "lam"),
    *("maxiter", "alpha", "gamma", "c", "A", "a", "resamplings", "blocking", "regularization"),
)
"""Attributes in which PennyLane's optimizers keep their arguments."""

_RECORD = re.compile(r"[^:]+:[0-9a-f]{16}")
_MAY_CHANGE = (
    *("api_key", "base_url", "cache", "pool_size", "max_wait", "retry_failed", "retry_policy"),
    *("ledger", "on_ambiguous", "session_id", "job_name", "metadata", "progress", "budget_usd"),
    *("confirm", "ca_bundle", "proxy", "emulator", "outage_s"),
)
"""Options of a device that its results do not depend on."""
_ALWAYS_KEPT = (
    *("name", "seed", "batch_size", "drop_last", "data", "validation", "validate_every"),
    *("optimizer", "devices"),
)
_OPTIONAL = ("step_shots", "lr")
"""Settings that a run has where its steps have shots and learning rates of their own."""
_PLANNED = {"optimizer.maxiter", "optimizer.A", "optimizer.average"}
"""Settings that follow from the number of steps that an optimizer was planned for."""


def optimizer_settings(optimizer: Any) -> dict[str, Any]:
    """Return the arguments that made an optimizer, by name.

    Args:
        optimizer: ours, of PennyLane or of torch.
    """
    settings = getattr(optimizer, "given", None) or getattr(optimizer, "defaults", None)
    if not isinstance(settings, Mapping):
        held = {name.lstrip("_"): value for name, value in vars(optimizer).items()}
        settings = {name: held[name] for name in _OPTIMIZER_NAMES if name in held}
    return {
        f"optimizer.{name}": as_json(value)
        for name, value in settings.items()
        if value is None or isinstance(value, bool | int | float | str | tuple | np.generic)
    }


def optimizer_text(optimizer: Any) -> str:
    """Return an optimizer as the call that makes it, defaults left out.

    Args:
        optimizer: ours, of PennyLane or of torch.
    """
    if isinstance(optimizer, ResumableOptimizer):
        return repr(optimizer)
    settings = optimizer_settings(optimizer)
    return call_text(optimizer, {n.partition(".")[2]: value for n, value in settings.items()})


def step_settings(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of an optimizer's steps; of a function its name."""
    return {
        name: getattr(value, "__qualname__", None) or as_json(value)
        for name, value in kwargs.items()
    }


def device_settings(devices: Sequence[Any]) -> dict[str, Any]:
    """Return the options of our devices that results depend on, by name.

    Args:
        devices: of a run, ours or others.
    """
    settings = {}
    for i, device in enumerate(devices):
        where = f"device.{i}" if i else "device"
        settings[f"{where}.wires"] = None if device.wires is None else as_json(list(device.wires))
        options = getattr(getattr(device, "executor", None), "options", None)
        if options is not None:
            for field in fields(options):
                if field.name not in _MAY_CHANGE:
                    settings[f"{where}.{field.name}"] = as_json(getattr(options, field.name))
    return settings


def model_shots(model: Any) -> list[Any] | None:
    """Return the shots of a QNode, ``[[shots, copies], ...]``; None for other models."""
    if not isinstance(model, qml.QNode):
        return None
    return [[pair.shots, pair.copies] for pair in model.shots.shot_vector]


def start_of(params: Any) -> dict[str, Any]:
    """Return the fingerprint of initial parameters, ready for JSON.

    Args:
        params: arrays in any collection.

    Returns:
        Their shapes, and a hash of their values.
    """
    shapes: list[Sequence[int]] = []
    content = hashlib.sha256()
    for leaf in leaves_of(params):
        array = np.asarray(without_torch(leaf))
        shapes.append(list(array.shape))
        numbers = array.dtype.kind in "biuf"
        content.update(array.astype(float).tobytes() if numbers else repr(array).encode())
    return {"shapes": shapes, "hash": content.hexdigest()[:16]}


def check_settings(
    checkpoint: Checkpoint, saved: Mapping[str, Any], mine: Mapping[str, Any]
) -> None:
    """Refuse the checkpoint of a run with other settings.

    Args:
        checkpoint: for the message.
        saved: settings in the checkpoint.
        mine: settings of this run.

    Raises:
        ConfigurationError: they differ; the message names the differences.
    """
    # Earlier releases kept fewer settings.
    kept = [name for name in mine if name in saved or name in (*_ALWAYS_KEPT, *_OPTIONAL)]
    kept += [name for name in _OPTIONAL if name in saved and name not in mine]
    other = [name for name in kept if saved.get(name) != mine.get(name)]
    if other and set(other) <= _PLANNED and "optimizer.maxiter" in other:
        planned, steps = saved.get("optimizer.maxiter"), mine.get("optimizer.maxiter")
        raise ConfigurationError(
            f"{str(checkpoint.path)!r} is the checkpoint of a run that was planned for {planned} "
            f"steps (maxiter), on which the sizes of its steps depend; {steps} are asked for here. "
            f"Go on to {planned}, or start anew with another file or resume=False (--force)."
        )
    if other:
        differences = "; ".join(f"{n}: {saved.get(n)!r} there, {mine.get(n)!r} here" for n in other)
        raise ConfigurationError(
            f"{str(checkpoint.path)!r} is the checkpoint of another run ({differences}). Go on "
            "with the same program, data and seed, or start anew with another file or resume=False "
            "(--force)."
        )


class CircuitsDiffer(ConfigurationError):  # noqa: N818
    """The first circuit of a step is another one than that of the steps before. Nothing was sent.

    A run catches it once, to see whether the data choose the circuit.
    """


class CircuitCheck:
    """The first circuit of each step: its structure and its shots, which stay the same.

    Circuits that change between the steps of one start (with the data, with a schedule) are no
    longer compared.

    Args:
        optimizer: of the run; some change circuits by themselves.
    """

    VARYING = "varying:0000000000000000"

    def __init__(self, optimizer: Any) -> None:
        self.recorded: str | None = None
        self.compares_shots = True
        """False where shots change from step to step."""
        self._enabled = not isinstance(optimizer, _CHANGING)
        self._resumed, self._seen = False, True

    def restore(self, recorded: Any) -> None:
        """Go on from a record of the steps before; None, or damage, for none."""
        valid = isinstance(recorded, str) and _RECORD.fullmatch(recorded)
        self.recorded = recorded if valid else None

    def compare_next(self) -> None:
        """Refuse another circuit in the next step: another start made the record."""
        self._resumed = True

    def begin_step(self) -> None:
        """Look at the next circuit that is executed."""
        self._seen = not self._enabled or self.recorded == self.VARYING

    def __call__(self, tapes: Sequence[QuantumScript]) -> None:
        """Look at a batch that is about to be sent.

        Args:
            tapes: the batch.

        Raises:
            CircuitsDiffer: the first batch of a resumed run begins with another circuit.
        """
        if self._seen or not tapes:
            return
        self._seen = True
        found = describe(tapes[0])
        if not self.compares_shots:
            found = f"auto:{found.split(':')[1]}"
        if self.recorded is not None and found != self.recorded:
            if self._resumed:
                raise CircuitsDiffer(_difference(self.recorded, found))
            found = self.VARYING
        self.recorded, self._resumed = found, False

    def accept(self) -> None:
        """Take circuits as varying from here on."""
        self.recorded, self._resumed = self.VARYING, False


_CHANGING = tuple(
    getattr(qml, name)
    for name in ("ShotAdaptiveOptimizer", "RotoselectOptimizer", "QNSPSAOptimizer")
    if hasattr(qml, name)
)


def describe(tape: QuantumScript) -> str:
    """Return shots and structure of a circuit, the same in every process.

    Parameters are left out, and so is the number of rows of a broadcast circuit.

    Args:
        tape: the circuit.

    Returns:
        Shots, a colon, and a hash of operations and measurements with their wires.
    """
    parts = [_operation(op) for op in tape.operations]
    for measurement in tape.measurements:
        observable = "" if measurement.obs is None else _operation(measurement.obs)
        parts.append(f"{type(measurement).__name__} {measurement.wires.tolist()} {observable}")
    shots = "+".join(f"{pair.shots}x{pair.copies}" for pair in tape.shots.shot_vector)
    return f"{shots or 'no'}:{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"


def _operation(op: Operator) -> str:
    hyperparameters = [
        f"{name}={_operation(value) if isinstance(value, Operator) else value}"
        for name, value in op.hyperparameters.items()
        if isinstance(value, Operator) or _is_simple(value)
    ]
    return f"{op.name} {op.wires.tolist()} {len(op.data)} {hyperparameters}"


def _is_simple(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) < 100 and all(map(_is_simple, value))
    return value is None or isinstance(value, bool | int | str)


def _difference(recorded: str, found: str) -> str:
    (shots, circuit), (new_shots, new_circuit) = recorded.split(":"), found.split(":")
    differences = ["circuit"] if circuit != new_circuit else []
    if shots != new_shots:
        differences.append(f"shots: {shots} there, {new_shots} here")
    return (
        f"The checkpoint is that of another run ({'; '.join(differences)}). Nothing was sent. Go "
        "on with the same program, or start anew with another file or resume=False (--force)."
    )
