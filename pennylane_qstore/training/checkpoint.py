"""Checkpoints of a training run: a JSON file of its state, and a JSON-lines file of its history.

Every number comes back bit for bit. The state file holds only values that change from step to
step and is replaced atomically; the history is appended to, and the state file says how many of
its lines count, so that a checkpoint takes the same time at every step and a process may be killed
between the two writes. No pickle: a checkpoint from somebody else can be wrong, but it cannot run
anything.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.history import StepRecord

FORMAT = 2
"""Version of the state file. Version 1, which holds the history too, is read as well."""

_SINCE_1 = {"learner": "adapter"}  # names in the state that have changed
_MARK = "$"  # a mapping with this name stands for something that JSON has not


def encode(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Numbers, texts, None, lists, tuples, sets and mappings of these, and arrays: NumPy, PennyLane
    tensors, torch, JAX, with type and ``requires_grad``; NumPy's generators.

    Raises:
        ConfigurationError: the value is of another kind.
    """
    if value is None or isinstance(value, bool | str) or type(value) in (int, float):
        return value
    if isinstance(value, Mapping):
        if all(isinstance(name, str) and name != _MARK for name in value):
            return {name: encode(item) for name, item in value.items()}
        return {_MARK: "mapping", "items": [[encode(k), encode(v)] for k, v in value.items()]}
    if type(value) is list:
        return [encode(item) for item in value]
    if type(value) is tuple:
        return {_MARK: "tuple", "items": [encode(item) for item in value]}
    if type(value) is set:
        return {_MARK: "set", "items": [encode(item) for item in sorted(value, key=repr)]}
    if isinstance(value, np.random.Generator):
        return {_MARK: "generator", "state": encode(value.bit_generator.state)}
    encoded = _encode_array(value)
    if encoded is None:
        raise ConfigurationError(
            f"A {type(value).__module__}.{type(value).__qualname__} cannot be kept in a "
            "checkpoint. Allowed: numbers, text, arrays, random generators, collections of these."
        )
    return encoded


def decode(plain: Any) -> Any:
    """Return the value that :func:`encode` was given."""
    if isinstance(plain, list):
        return [decode(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kind = plain.get(_MARK)
    if kind is None:
        return {name: decode(item) for name, item in plain.items()}
    if kind == "mapping":
        return {decode(key): decode(item) for key, item in plain["items"]}
    if kind == "tuple":
        return tuple(decode(item) for item in plain["items"])
    if kind == "set":
        return {decode(item) for item in plain["items"]}
    if kind == "generator":
        return generator(decode(plain["state"]))
    return _decode_array(plain, kind)


def generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a NumPy generator that goes on from the state of a ``bit_generator``."""
    bits = getattr(np.random, str(state["bit_generator"]))()
    bits.state = dict(state)
    return np.random.Generator(bits)


class Checkpoint:
    """The two files of a run.

    Args:
        path: of the state file; the history is beside it, in ``<name>.history.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history_path = path.with_name(f"{path.name}.history.jsonl")
        self._steps = self._bytes = 0  # of the history, as the state file on disk counts them

    def save(self, state: Mapping[str, Any], history: Sequence[StepRecord]) -> None:
        """Append the steps since the last call, then replace the state.

        Killed before the state is replaced, the run goes on from the state before: lines beyond
        those that it counts are written over.

        Args:
            state: of the run, ready for JSON.
            history: all steps of the run.
        """
        end = self._append(history[self._steps :]) if len(history) > self._steps else self._bytes
        write(self.path, {**state, "steps": len(history)})
        self._steps, self._bytes = len(history), end

    def load(self) -> tuple[dict[str, Any], list[StepRecord]]:
        """Read the state and the steps that it counts.

        Returns:
            The state, and the history.

        Raises:
            ConfigurationError: a file cannot be read, or is no checkpoint.
        """
        state = read(self.path)
        if state["format"] == 1:
            state = {_SINCE_1.get(name, name): value for name, value in state.items()}
        rows = state.pop(
            "history", None
        )  # of version 1: in a file of its own from the next save on
        if rows is None:
            rows = self._read_history(state.get("steps", 0))
        else:
            state["steps"] = len(rows)
        return state, [StepRecord(**row) for row in rows]

    def _append(self, records: Sequence[StepRecord]) -> int:
        """Write lines behind those that count; the size of the file after that."""
        text = "".join(f"{json.dumps(asdict(record))}\n" for record in records).encode()
        is_new = not self._bytes
        self.path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(self.history_path, os.O_RDWR | os.O_CREAT, 0o666)
        with open(number, "r+b") as file:
            file.truncate(self._bytes)
            file.seek(self._bytes)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(self.path.parent)
        return self._bytes + len(text)

    def _read_history(self, steps: int) -> list[dict[str, Any]]:
        if steps == 0:
            return []  # not written yet, or another run's
        try:
            with self.history_path.open("rb") as file:
                lines = list(islice(file, steps))
            rows = [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The history {str(self.history_path)!r} cannot be read: {error}"
            ) from error
        if len(rows) < steps:
            raise ConfigurationError(
                f"The history {str(self.history_path)!r} has {len(rows)} steps, but its checkpoint "
                f"{str(self.path)!r} counts {steps}: one of them is another run's."
            )
        self._steps, self._bytes = steps, sum(map(len, lines))
        return rows


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a file by a state; a reader, or a process killed meanwhile, finds the old or the new.

    Args:
        path: of the file; its folder is made.
        state: ready for JSON.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            # Not json.dump: only dumps is written in C.
            file.write(json.dumps({"format": FORMAT, **state}).encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read(path: Path) -> dict[str, Any]:
    """Return the state in a file.

    Raises:
        ConfigurationError: it cannot be read, or is no checkpoint of a version that is known.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The checkpoint {str(path)!r} cannot be read: {error}") from error
    version = state.get("format") if isinstance(state, dict) else None
    if version not in (1, FORMAT):
        raise ConfigurationError(
            f"{str(path)!r} is no checkpoint that this release reads: its format is {version!r}, "
            f"allowed are 1 and {FORMAT}."
        )
    return dict(state)


def _sync_folder(folder: Path) -> None:
    """Let a new name in a folder outlive a power cut."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def random_states() -> dict[str, Any]:
    """Return the states of the random generators of Python, NumPy, and torch if it is loaded."""
    version, words, gauss = random.getstate()
    states = {
        "python": encode((version, np.array(words, dtype=np.uint32), gauss)),
        "numpy": encode(np.random.get_state(legacy=False)),  # noqa: NPY002 - stock SPSA's
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = encode(torch.get_rng_state())
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Bring the process's random generators to the states of :func:`random_states`."""
    version, words, gauss = decode(states["python"])
    random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(decode(states["numpy"]))  # noqa: NPY002
    if "torch" in states:
        import torch

        torch.set_rng_state(decode(states["torch"]))


def device_state(device: Any) -> Any:
    """Return the state that a device's next results depend on; None if it has none to tell."""
    if hasattr(device, "state_dict"):
        return encode(device.state_dict())
    rng = getattr(device, "_rng", None)  # PennyLane's simulators
    return encode(rng) if isinstance(rng, np.random.Generator) else None


def set_device_state(device: Any, state: Any) -> None:
    """Bring a device back to a state.

    Args:
        device: ours, or a simulator of PennyLane.
        state: from :func:`device_state`.
    """
    if state is None:
        return
    if hasattr(device, "load_state_dict"):
        device.load_state_dict(decode(state))
    else:
        device._rng = decode(state)


# --------------------------------------------------------------------------- arrays


def _encode_array(value: Any) -> dict[str, Any] | None:
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and isinstance(value, torch.Tensor):
        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header = {
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "grad": value.requires_grad,
            "device": str(value.device),
            "parameter": isinstance(value, torch.nn.Parameter),
        }
        return {_MARK: "torch", **header, "data": _text(raw)}
    kind, extra = "numpy", {}
    if isinstance(value, tensor):
        kind, extra = "tensor", {"grad": bool(value.requires_grad)}
    elif jax is not None and isinstance(value, jax.Array):
        kind = "jax"
    elif isinstance(value, np.generic):
        kind = "scalar"
    elif type(value) is not np.ndarray:
        return None
    array = np.asarray(value)
    if array.dtype.hasobject:
        return None
    header = {"dtype": str(array.dtype), "shape": list(array.shape), **extra}
    return {_MARK: kind, **header, "data": _text(np.ascontiguousarray(array).tobytes())}


def _decode_array(plain: Mapping[str, Any], kind: str) -> Any:
    raw, shape = base64.b64decode(plain["data"]), plain["shape"]
    if kind == "torch":
        import torch

        dtype = getattr(torch, plain["dtype"])
        if raw:
            array = torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
        else:
            array = torch.empty(shape, dtype=dtype)
        array = array.to(plain["device"])
        if plain["parameter"]:
            return torch.nn.Parameter(array, requires_grad=plain["grad"])
        return array.requires_grad_(plain["grad"])
    array = np.frombuffer(raw, dtype=np.dtype(plain["dtype"])).reshape(shape).copy()
    if kind == "tensor":
        return tensor(array, requires_grad=plain["grad"])
    if kind == "scalar":
        return array[()]
    if kind == "jax":
        import jax

        return jax.numpy.asarray(array)
    return array


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
