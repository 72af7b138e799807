"""A run's state as a file: JSON that gives every number back bit for bit, replaced atomically.

No pickle: a checkpoint from somebody else can be wrong, but it cannot run anything.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.errors import ConfigurationError

FORMAT = 1
"""Version of the file; another one is refused."""

_MARK = "$"  # a mapping with this name stands for something that JSON has not


def encode(value: Any) -> Any:
    """What JSON can hold of a value.

    Numbers, texts, None, lists, tuples, sets and mappings of these, and arrays: NumPy, PennyLane
    tensors, torch, JAX, with type and ``requires_grad``; NumPy's generators.

    Raises:
        ConfigurationError: anything else.
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
    made = _encode_array(value)
    if made is None:
        raise ConfigurationError(
            f"A {type(value).__module__}.{type(value).__qualname__} cannot be kept in a checkpoint."
        )
    return made


def decode(plain: Any) -> Any:
    """The value that :func:`encode` was given."""
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
    """A NumPy generator that goes on from the state of another one's ``bit_generator``."""
    bits = getattr(np.random, str(state["bit_generator"]))()
    bits.state = dict(state)
    return np.random.Generator(bits)


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a file by a state; whoever reads, or is killed, finds the old or the new one."""
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
    if os.name == "posix":  # the new name has to outlive a power cut too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(path: Path) -> dict[str, Any]:
    """The state in a file.

    Raises:
        ConfigurationError: it cannot be read, or is no checkpoint of this version.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The checkpoint {str(path)!r} cannot be read: {error}") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ConfigurationError(
            f"{str(path)!r} is no checkpoint that this release reads: its format is {found!r}, "
            f"allowed is {FORMAT}."
        )
    return dict(state)


def random_states() -> dict[str, Any]:
    """States of the process's own random generators: Python's, NumPy's, torch's if loaded."""
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
    """Bring the process's random generators to where :func:`random_states` found them."""
    version, words, gauss = decode(states["python"])
    random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(decode(states["numpy"]))  # noqa: NPY002
    if "torch" in states:
        import torch

        torch.set_rng_state(decode(states["torch"]))


def device_state(device: Any) -> Any:
    """What a device's next results depend on, beside the circuits; None if it does not tell."""
    if hasattr(device, "state_dict"):
        return encode(device.state_dict())
    rng = getattr(device, "_rng", None)  # PennyLane's simulators
    return encode(rng) if isinstance(rng, np.random.Generator) else None


def set_device_state(device: Any, state: Any) -> None:
    """Bring a device to where :func:`device_state` found it."""
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
        about = {
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "grad": value.requires_grad,
            "device": str(value.device),
            "parameter": isinstance(value, torch.nn.Parameter),
        }
        return {_MARK: "torch", **about, "data": _text(raw)}
    kind, more = "numpy", {}
    if isinstance(value, tensor):
        kind, more = "tensor", {"grad": bool(value.requires_grad)}
    elif jax is not None and isinstance(value, jax.Array):
        kind = "jax"
    elif isinstance(value, np.generic):
        kind = "scalar"
    elif type(value) is not np.ndarray:
        return None
    array = np.asarray(value)
    if array.dtype.hasobject:
        return None
    about = {"dtype": str(array.dtype), "shape": list(array.shape), **more}
    return {_MARK: kind, **about, "data": _text(np.ascontiguousarray(array).tobytes())}


def _decode_array(plain: Mapping[str, Any], kind: str) -> Any:
    raw, shape = base64.b64decode(plain["data"]), plain["shape"]
    if kind == "torch":
        import torch

        dtype = getattr(torch, plain["dtype"])
        if raw:
            made = torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
        else:
            made = torch.empty(shape, dtype=dtype)
        made = made.to(plain["device"])
        if plain["parameter"]:
            return torch.nn.Parameter(made, requires_grad=plain["grad"])
        return made.requires_grad_(plain["grad"])
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
