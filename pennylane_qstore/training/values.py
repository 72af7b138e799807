"""Values of a training run as JSON can hold them, and back again bit for bit.

Names in a file are looked up in short lists only, never in a module: a foreign file can be wrong,
but it cannot call anything.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.errors import ConfigurationError

_MARK = "$"  # a mapping with this name stands for something that JSON has not

_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
_DAMAGE = (
    *(ArithmeticError, AttributeError, ImportError, LookupError, RuntimeError, TypeError),
    *(ValueError, ConfigurationError),
)
"""Errors of reading values that are not what they should be; RuntimeError is torch's, and that of
too deep a nesting."""


@contextmanager
def naming_damage(subject: str) -> Iterator[None]:
    """Let errors of damaged values say whose they are.

    Args:
        subject: start of the message, such as ``"The checkpoint 'run.json'"``.

    Yields:
        None.

    Raises:
        ConfigurationError: the values inside could not be taken over.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = str(error) if isinstance(error, ConfigurationError) else _reason(error)
        raise ConfigurationError(f"{subject} is damaged or another run's: {reason}") from error


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__} {text[:200]}".strip() + "."


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
    """Return the value that :func:`encode` was given; damaged values raise errors of all kinds."""
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
    """Return a NumPy generator that goes on from the state of a ``bit_generator``.

    Raises:
        ConfigurationError: it is none of NumPy's own.
    """
    kind = state["bit_generator"]
    if kind not in _BIT_GENERATORS:
        raise ConfigurationError(
            f"The state of a generator is damaged: bit_generator={kind!r}. "
            f"Allowed: {', '.join(_BIT_GENERATORS)}."
        )
    bits: Any = getattr(np.random, kind)()
    bits.state = dict(state)
    return np.random.Generator(bits)


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

        dtype = vars(torch).get(plain["dtype"])
        if not isinstance(dtype, torch.dtype):
            raise ConfigurationError(f"{plain['dtype']!r} is no type of torch's numbers.")
        if raw or math.prod(shape):
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
