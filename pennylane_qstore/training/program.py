"""The functions of a run as they are written, and the constants that they read.

A run that goes on by another loss would have two of them in one history. Whether two functions
return the same nobody can tell; whether they are written the same can be told, by the syntax tree
of each function of the user's, and of those that it calls by name. Functions whose source is not
certain, and those of installed packages but for their names, are not compared.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.compat.python import current_frame, stack
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.function_source import is_ours, is_users, source_of
from pennylane_qstore.training.parameters import is_jax, leaves_of

_OURS = __name__.partition(".")[0]
_VARYING = "varying"
_MOST_NUMBERS, _MOST_ITEMS = 10_000, 1_000
"""Of an array and of a collection that are compared; larger ones would slow every step down."""
_SHOWN = 40  # characters of a constant in a message, and in a checkpoint


class Program:
    """The functions of a run, compared with those of the steps before.

    Args:
        functions: by the name of the run's option.
    """

    def __init__(self, **functions: Any) -> None:
        self.recorded: dict[str, str] | None = None
        """What the steps so far were made by: texts by name, ready for JSON."""
        self._found: dict[str, str] = {}  # recorded with the next step
        self._functions = functions
        self._constants: dict[str, Callable[[], Any]] = {}
        self._compared = False

    def restore(self, recorded: Any) -> None:
        """Go on from a record of the steps before; None, or damage, for none."""
        items = recorded.items() if isinstance(recorded, Mapping) else ()
        self.recorded = {n: text for n, text in items if isinstance(text, str)} or None

    def compare(self, path: Path | None, steps: int, *, edited: bool) -> None:
        """Compare the functions with those of the steps before.

        Args:
            path: of the checkpoint, for the messages.
            steps: made so far.
            edited: differences are meant.

        Raises:
            ConfigurationError: they differ, and another start made the record. Within one start a
                warning tells it.
        """
        reader = _Reader()
        for name, function in self._functions.items():
            if function is not None:
                reader.read(name, partial(_same, function))
        found, before = reader.texts(), self.recorded if steps and self.recorded else {}
        differences = list(_differences(before, found))
        if differences and not (edited and not self._compared):
            where = "" if path is None else f" in {str(path)!r}"
            listed = "; ".join(differences)
            shown = f"The steps so far{where} were made by another program ({listed})"
            if not self._compared:
                raise ConfigurationError(
                    f"{shown}. Nothing was sent. Go on with the functions as they were, start "
                    "anew with another file or resume=False (--force), or go on with the new ones "
                    'by resume="edited".'
                )
            _warn(f"{shown}; the steps from here on are made by the new one.")
        varying = {name: text for name, text in before.items() if text == _VARYING}
        self._found, self._constants, self._compared = found | varying, reader.constants, True

    def record(self) -> None:
        """Record what a step was made by; constants that change by themselves are told by that."""
        for name, get in self._constants.items():
            if constant_text(get()) != self._found.get(name):
                self._found[name] = _VARYING
        self.recorded = dict(self._found)


class _Reader:
    """Code of functions, by name, and how to get each constant that they read."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.constants: dict[str, Callable[[], Any]] = {}
        self._seen: dict[int, Any] = {}  # kept, so that no other object gets the number

    def texts(self) -> dict[str, str]:
        """Return code and constants as texts."""
        constants = {name: constant_text(get()) for name, get in self.constants.items()}
        return self.codes | {name: text for name, text in constants.items() if text is not None}

    def read(self, key: str, get: Callable[[], Any]) -> None:
        """Take a value in: a constant, or a function with all that it reads.

        Args:
            key: its name.
            get: returns it as it stands.
        """
        value = get()
        if constant_text(value) is not None:
            self.constants.setdefault(key, get)
        elif callable(value) and not isinstance(value, type) and id(value) not in self._seen:
            self._seen[id(value)] = value
            self._callable(key, value)

    def _callable(self, key: str, value: Any) -> None:
        owner = None
        if isinstance(value, qml.QNode):
            value = value.func
        if isinstance(value, partial):
            for i, argument in enumerate(value.args):
                self.read(f"{key}, argument {i}", partial(_same, argument))
            for name, argument in value.keywords.items():
                self.read(f"{name} of {key}", partial(_same, argument))
            self.read(key, partial(_same, value.func))
            return
        if hasattr(value, "__wrapped__"):
            value = inspect.unwrap(value)
        if isinstance(value, MethodType):
            value, owner = value.__func__, value.__self__
        if is_ours(value) or is_ours(type(value)):
            return
        if isinstance(value, FunctionType) and is_users(value):
            self._function(key, value, owner)
        elif isinstance(value, FunctionType | BuiltinFunctionType | np.ufunc):
            self.codes.setdefault(key, f"function {value.__name__}")
        else:
            self._object(key, value)

    def _function(self, key: str, function: FunctionType, owner: Any) -> None:
        source = source_of(function)
        if source is None:
            return
        self.codes.setdefault(key, f"code {source.digest}")
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.default is not parameter.empty:
                self.read(f"{name} of {key}", partial(_same, parameter.default))
        code = function.__code__
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        variables: dict[str, Callable[[], Any]] = {}
        for name in source.names:
            if name in cells:
                variables[name] = partial(_content, cells[name])
            elif name in function.__globals__:
                variables[name] = partial(function.__globals__.get, name)
        if owner is not None and code.co_argcount:
            variables[code.co_varnames[0]] = partial(_same, owner)
        for name, get in variables.items():
            if get() is not owner or owner is None:
                self.read(name, get)
        for name, attribute in source.attributes:
            if name in variables and _has_users_attributes(variables[name]()):
                self.read(f"{name}.{attribute}", partial(_attribute, variables[name], attribute))

    def _object(self, key: str, made: Any) -> None:
        """Take in an object that is called: its class's function, or its class's name."""
        kind = type(made)
        for name in ("forward", "__call__"):  # of torch's modules, and of others
            function = inspect.getattr_static(kind, name, None)
            if isinstance(function, FunctionType) and is_users(function):
                self._function(key, function, made)
                return
        self.codes.setdefault(key, f"object {kind.__name__}")
        for name in vars(made) if hasattr(made, "__dict__") else ():
            if not name.startswith("_") and name != "training":
                get = partial(_attribute, partial(_same, made), name)
                if constant_text(get()) is not None:
                    self.read(f"{key}.{name}", get)


def _same(value: Any) -> Any:
    return value


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return cell


def _attribute(get: Callable[[], Any], name: str) -> Any:
    """Return an attribute without calling anything of the user's; a property is not read."""
    owner = get()
    held = getattr(owner, "__dict__", {})
    if name in held:
        return held[name]
    found = inspect.getattr_static(type(owner), name, owner)
    return MethodType(found, owner) if isinstance(found, FunctionType) else found


def _has_users_attributes(value: Any) -> bool:
    return is_users(value if isinstance(value, ModuleType) else type(value))


def constant_text(value: Any) -> str | None:
    """Return a constant as a short text, equal in every process; None for what is none.

    Args:
        value: numbers, names and arrays of numbers, also in lists, tuples and dictionaries. Texts
            that are no names are left out: paths and dates change from start to start.
    """
    if value is None or type(value) in (bool, int, float, complex):
        return repr(value)
    if isinstance(value, str):
        return repr(value) if value.isidentifier() else None
    torch_tensor = hasattr(value, "detach") and hasattr(value, "requires_grad")
    if isinstance(value, np.ndarray | np.generic) or torch_tensor or is_jax(value):
        return _array_text(value)
    if not isinstance(value, list | tuple | dict):
        return None
    texts = [constant_text(leaf) for leaf in islice(leaves_of(value), _MOST_ITEMS + 1)]
    if None in texts or not 0 < len(texts) <= _MOST_ITEMS:
        return None
    names = list(value) if isinstance(value, dict) else []
    if not all(isinstance(name, str | int) for name in names):
        return None
    text = f"{type(value).__name__} {names or ''}{', '.join(map(str, texts))}"
    return text if len(text) <= _SHOWN else f"{type(value).__name__} of {_digest(text.encode())}"


def _array_text(value: Any) -> str | None:
    if getattr(value, "requires_grad", False) and hasattr(value, "detach"):
        return None  # trained
    if int(np.prod(value.shape)) > _MOST_NUMBERS:
        return None
    array = np.asarray(value.detach().cpu().double() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "biufc":
        return None
    if array.ndim == 0:
        return repr(array.item())
    return f"array {list(array.shape)} {_digest(np.ascontiguousarray(array).tobytes())}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _differences(before: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs, in words; what only one side knows is not compared."""
    for name, text in found.items():
        earlier = before.get(name, text)
        if earlier in (text, _VARYING):
            continue
        if earlier.startswith("code ") and text.startswith("code "):
            yield f"{name} is written in another way"
        else:
            yield f"{name}: {earlier} there, {text} here"


def start_of(params: Any) -> dict[str, Any]:
    """Return what tells initial parameters from others, ready for JSON.

    Args:
        params: arrays in any collection.

    Returns:
        Their shapes, and a hash of their values.
    """
    shapes: list[Sequence[int]] = []
    content = hashlib.sha256()
    for leaf in leaves_of(params):
        value = leaf.detach().cpu().double() if hasattr(leaf, "detach") else leaf
        array = np.asarray(value)
        shapes.append(list(array.shape))
        numbers = array.dtype.kind in "biuf"
        content.update(array.astype(float).tobytes() if numbers else repr(array).encode())
    return {"shapes": shapes, "hash": content.hexdigest()[:16]}


def warn_of_another_start(path: Path, steps: int) -> None:
    """Warn that the initial parameters of a run that goes on are not used.

    Args:
        path: of its checkpoint.
        steps: made so far.
    """
    _warn(
        f"The run goes on with the parameters of step {steps} in {str(path)!r}. The initial ones "
        "that are given here differ from those that it began with, and are not used. To train "
        "from them, start anew with another file or resume=False (--force)."
    )


def _warn(message: str) -> None:
    """Warn at the line of the user's program that came here."""
    frames = list(stack(current_frame(1)))
    outside = [f for f in frames if not str(f.f_globals.get("__name__")).startswith(_OURS)]
    frame = (outside or frames)[0]
    warnings.warn_explicit(message, UserWarning, frame.f_code.co_filename, frame.f_lineno)
