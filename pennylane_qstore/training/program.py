"""The functions of a run, and the constants that they read, compared when it goes on.

A run that goes on with another loss would have two of them in one history. So the bytecode of the
user's functions, and of those that they call by name, is compared: it has no line numbers and no
comments, and there is one in a notebook, too. Versions of Python differ in it; a record of another
version is not compared. Functions of installed packages are compared by name.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.compat.python import current_frame, stack
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import is_jax, is_torch, leaves_of, without_torch

_OURS = __name__.partition(".")[0]
_INSTALLED = tuple(map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")))
_CODE = f"code {sys.version_info.major}.{sys.version_info.minor}"
"""Kind of the digests of functions; those of another Python version differ by it."""
_VARYING = "varying"
_MOST_NUMBERS, _MOST_ITEMS = 10_000, 1_000
"""Largest array and largest collection that are compared."""
_SCOPES = ("GLOBAL", "NAME", "DEREF", "FAST")  # in the names of instructions that load variables
_SHOWN = 40  # characters of a constant in a message, and in a checkpoint


class Program:
    """The functions of a run, compared with those of the steps before.

    Args:
        functions: by the name of the run's option.
    """

    def __init__(self, **functions: Any) -> None:
        self.recorded: dict[str, str] | None = None
        """Texts of the functions and constants that made the last step, by name; None before."""
        self._texts: dict[str, str] = {}  # of this start: recorded with its next step
        self._functions = {n: function for n, function in functions.items() if function is not None}
        self._steps: int | None = None  # since the last comparison

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
            ConfigurationError: they differ, and another start made the record. Within one start
                they are warned of.
        """
        is_first = self._steps is None
        texts, before = self._read(), self.recorded if steps and self.recorded else {}
        differences = list(_differences(before, texts))
        if differences and not (edited and is_first):
            where = "" if path is None else f" in {str(path)!r}"
            listed = "; ".join(differences)
            shown = f"The steps so far{where} were made by another program ({listed})"
            if is_first:
                raise ConfigurationError(
                    f"{shown}. Nothing was sent. Go on with the functions as they were, start "
                    "anew with another file or resume=False (--force), or go on with the new ones "
                    'by resume="edited".'
                )
            _warn(f"{shown}; the steps from here on are made by the new one.")
        varying = {name: text for name, text in before.items() if text == _VARYING}
        self._texts, self._steps = texts | varying, 0

    def record(self) -> None:
        """Record the functions that made a step."""
        self._steps = (self._steps or 0) + 1
        if self._steps & (self._steps - 1) == 0:  # reading takes time: ever more rarely
            self._find_varying()
        self.recorded = dict(self._texts)

    def finish(self) -> bool:
        """Look for changed constants after the last step; return True if the record changed."""
        if not self._steps:
            return False
        before = self.recorded
        self._find_varying()
        self.recorded = dict(self._texts)
        return self.recorded != before

    def _find_varying(self) -> None:
        """Mark functions and constants that have changed since; they are compared no more."""
        texts = self._read()
        for name, text in self._texts.items():
            if texts.get(name) != text:
                self._texts[name] = _VARYING

    def _read(self) -> dict[str, str]:
        reader = _Reader()
        for name, function in self._functions.items():
            reader.read(name, function)
        return reader.texts


class _Reader:
    """Texts of functions and of the constants that they read, by name."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._seen: dict[tuple[int, int], Any] = {}  # kept, so that no other object gets the number

    def read(self, key: str, value: Any) -> None:
        """Add a constant, or a function with all that it reads.

        Args:
            key: its name.
            value: the constant or the function; anything else is left out.
        """
        text = constant_text(value)
        if text is not None:
            self.texts.setdefault(key, text)
        elif callable(value) and not isinstance(value, type):
            number = id(getattr(value, "__func__", value)), id(getattr(value, "__self__", None))
            if number not in self._seen:
                self._seen[number] = value
                self._callable(key, value)

    def _callable(self, key: str, value: Any) -> None:
        if isinstance(value, partial):
            for i, argument in enumerate(value.args):
                self.read(f"{key}, argument {i}", argument)
            for name, argument in value.keywords.items():
                self.read(f"{name} of {key}", argument)
            self.read(key, value.func)
            return
        value = inspect.unwrap(value.func if isinstance(value, qml.QNode) else value)
        function = value.__func__ if isinstance(value, MethodType) else value
        if str(getattr(function, "__module__", "")).partition(".")[0] == _OURS:
            return
        if isinstance(function, FunctionType) and is_users(function):
            self._function(key, function, getattr(value, "__self__", None))
        elif isinstance(function, FunctionType | BuiltinFunctionType | np.ufunc):
            self.texts.setdefault(key, f"function {function.__name__}")
        else:
            self._object(key, value)

    def _function(self, key: str, function: FunctionType, owner: Any) -> None:
        self.texts.setdefault(key, f"{_CODE} {_digest(_code_text(function.__code__).encode())}")
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.default is not parameter.empty:
                self.read(f"{name} of {key}", parameter.default)
        variables, attributes = _reads(function, owner)
        for name, value in variables.items():
            if owner is None or value is not owner:
                self.read(name, value)
        for name, attribute in attributes:
            if is_users(variables[name]):
                self.read(f"{name}.{attribute}", _attribute(variables[name], attribute))

    def _object(self, key: str, made: Any) -> None:
        """Add an object that is called: its class's function, or its class's name."""
        kind = type(made)
        for name in ("forward", "__call__"):  # of torch's modules, and of others
            function = inspect.getattr_static(kind, name, None)
            if isinstance(function, FunctionType) and is_users(function):
                self._function(key, function, made)
                return
        self.texts.setdefault(key, f"object {kind.__name__}")
        for name, value in getattr(made, "__dict__", {}).items():
            text = constant_text(value)
            if text is not None and not name.startswith("_") and name != "training":
                self.texts.setdefault(f"{key}.{name}", text)


def _code_text(code: CodeType) -> str:
    """Return a function's instructions, without its lines, name and docstring."""
    parts = [f"{inspect.getargs(code)} {code.co_posonlyargcount} {code.co_kwonlyargcount}"]
    for instruction in dis.get_instructions(code):
        value = instruction.argval
        if isinstance(value, CodeType):
            value = _code_text(value)
        elif isinstance(value, frozenset):  # in the order of its hashes, which processes draw
            value = sorted(map(repr, value))
        parts.append(f"{instruction.opname} {value!r}")
    return "\n".join(parts)


def _reads(
    function: FunctionType, owner: Any
) -> tuple[dict[str, Any], dict[tuple[str, str], None]]:
    """Return the variables that a function reads and does not set, and attributes of these.

    The owner is its first argument, where that is known. Attributes are pairs of two names.
    """
    code = function.__code__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    enclosed = {name: cell.cell_contents for name, cell in cells if cell != CellType()}
    if owner is not None and code.co_argcount:
        enclosed[code.co_varnames[0]] = owner
    variables: dict[str, Any] = {}
    attributes: dict[tuple[str, str], None] = {}
    before = None
    for instruction in _all_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation in ("LOAD_ATTR", "LOAD_METHOD") and before is not None:
            attributes[before, name] = None
        before = None
        if "LOAD" in operation and any(kind in operation for kind in _SCOPES):
            is_global = "GLOBAL" in operation or "NAME" in operation
            scope = function.__globals__ if is_global else enclosed
            name = name[-1] if isinstance(name, tuple) else name  # of two in one instruction
            if name in scope:
                before, variables[name] = name, scope[name]
    return variables, attributes


def _all_instructions(code: CodeType) -> Iterator[dis.Instruction]:
    for instruction in dis.get_instructions(code):
        yield instruction
        if isinstance(instruction.argval, CodeType):
            yield from _all_instructions(instruction.argval)


def _attribute(owner: Any, name: str) -> Any:
    """Return an attribute without calling anything of the user's; a property is not read."""
    found = inspect.getattr_static(owner, name, owner)
    is_method = isinstance(found, FunctionType) and name not in getattr(owner, "__dict__", {})
    return MethodType(found, owner) if is_method else found


def is_users(made: Any) -> bool:
    """Return True for a function, class or module of the user's program, not of a package.

    Args:
        made: the function, class or module; of anything else its class counts.
    """
    if not isinstance(made, FunctionType | type | ModuleType):
        made = type(made)
    module = str(made.__name__ if isinstance(made, ModuleType) else made.__module__)
    if isinstance(made, FunctionType) and not made.__code__.co_filename.startswith("<"):
        file = made.__code__.co_filename
    elif module == "__main__" or module not in sys.modules:
        return True
    else:  # made without a file, or written in C
        file = getattr(sys.modules[module], "__file__", None) or _INSTALLED[0]
    return module.partition(".")[0] != _OURS and not is_installed(file)


def is_installed(file: str) -> bool:
    """Return True for a file of the standard library or of an installed package."""
    path = Path(file)
    is_inside = any(path.is_relative_to(folder) for folder in _INSTALLED)
    return is_inside or bool({"site-packages", "dist-packages"} & set(path.parts))


def constant_text(value: Any) -> str | None:
    """Return a constant as a short text, equal in every process; None for other values.

    Args:
        value: numbers, names and arrays of numbers, also in lists, tuples and dictionaries. Texts
            that are no names are left out: paths and dates change from start to start.
    """
    if value is None or type(value) in (bool, int, float, complex):
        return repr(value)
    if isinstance(value, str):
        return repr(value) if value.isidentifier() else None
    if isinstance(value, np.ndarray | np.generic) or is_torch(value) or is_jax(value):
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
    if is_torch(value) and value.requires_grad:
        return None  # trained
    if int(np.prod(value.shape)) > _MOST_NUMBERS:
        return None
    array = np.asarray(without_torch(value))
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
            if earlier.startswith(f"{_CODE} "):
                yield f"{name} is written in another way"
        else:
            yield f"{name}: {earlier} there, {text} here"


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
