"""Trained models in files: readable JSON from which no code runs when it is loaded."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from scipy.special import softmax

from pennylane_qstore._version import __version__
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.files import replace_file
from pennylane_qstore.training.tasks.variational import Inputs, Variational, VariationalModel
from pennylane_qstore.training.values import naming_damage

_SCHEMA = "pennylane-qstore model, 1"
_MOST_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SavedModel:
    """A trained model, with what its predictions need and what it has cost.

    Attributes:
        params: arrays, in the form in which they were trained.
        circuit: the variational model; None where ``function`` is needed.
        function_name: of the model that was trained, where it was a user's own function.
        function: that model, of parameters and features.
        inputs: rows of a table as features; None where features are given as they are.
        classes: labels, in the order of the outputs; None for a regression and own functions.
        target: mean and spread of a regression's targets, which were standardised.
        training: how it was trained, and the price.
        versions: of the packages that trained it.
    """

    params: Any
    circuit: Variational | None = None
    function_name: str = ""
    function: Callable[..., Any] | None = None
    inputs: Inputs | None = None
    classes: tuple[Any, ...] | None = None
    target: tuple[float, float] = (0.0, 1.0)
    training: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=lambda: _versions())

    def outputs(self, x: Any, device: Any = None, shots: int | None = None) -> Any:
        """Return the outputs of the model.

        Args:
            x: rows, ``[rows, columns]``.
            device: to evaluate on; None for an exact simulation in this process, which is free.
            shots: per circuit, on the device.

        Returns:
            Log-odds of the second class ``[rows, 1]``, or logits ``[rows, classes]``; values
            ``[rows, 1]`` of a regression; the value of an own function.

        Raises:
            ConfigurationError: rows of another form, or a function that was not given.
        """
        features = x if self.inputs is None else self.inputs(x)
        if self.circuit is None:
            if self.function is None:
                raise ConfigurationError(
                    f"This file holds the parameters of the function {self.function_name!r} and "
                    "not its code. Give it: load_model(path, model=...)."
                )
            return self.function(self.params, features)
        if device is None:
            device, shots = qml.device("default.qubit", wires=self.circuit.wires), None
        return np.asarray(self.circuit.make(device, shots)(self.params, features))

    def predict_proba(self, x: Any, **where: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes.

        Args:
            x: rows, ``[rows, columns]``.
            **where: ``device`` and ``shots``, as in :meth:`outputs`.

        Returns:
            ``[rows, classes]``.

        Raises:
            ConfigurationError: the model has no classes, or as in :meth:`outputs`.
        """
        if self.classes is None:
            raise ConfigurationError("A model without classes has no probabilities.")
        logits = self.outputs(x, **where)
        if logits.shape[-1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
        return np.asarray(softmax(logits, axis=-1))

    def predict(self, x: Any, **where: Any) -> Any:
        """Return predictions.

        Args:
            x: rows, ``[rows, columns]``.
            **where: ``device`` and ``shots``, as in :meth:`outputs`.

        Returns:
            Labels or values, ``[rows]``; outputs of an own function.

        Raises:
            ConfigurationError: as in :meth:`outputs`.
        """
        if self.classes is not None:
            return np.asarray(self.classes)[self.predict_proba(x, **where).argmax(axis=-1)]
        outputs = self.outputs(x, **where)
        if self.circuit is None:
            return outputs
        mean, spread = self.target
        return mean + spread * outputs[..., 0]

    def save(self, path: str | Path) -> None:
        """Write the model.

        Args:
            path: of the file, which is replaced atomically.

        Raises:
            ConfigurationError: parameters or labels that JSON cannot hold.
        """
        plain: dict[str, Any] = {"schema": _SCHEMA, "versions": dict(self.versions)}
        if self.circuit is None:
            plain["circuit"] = {"function": self.function_name}
        else:
            plain["circuit"] = {"variational": asdict(self.circuit)}
        plain["params"] = _plain(self.params)
        if self.inputs is not None:
            plain["inputs"] = _plain(asdict(self.inputs))
        if self.classes is not None:
            plain["classes"] = [_plain(label) for label in self.classes]
        plain |= {"target": list(self.target), "training": dict(self.training)}
        replace_file(Path(path), (json.dumps(plain, indent=1) + "\n").encode())


def load_model(path: str | Path, model: Callable[..., Any] | None = None) -> SavedModel:
    """Return a model from its file. No code of the file runs.

    Args:
        path: of a file that ``run.save`` or :meth:`SavedModel.save` has written.
        model: the function that was trained, where it was a user's own.

    Returns:
        The model.

    Raises:
        ConfigurationError: no such file, or not such a one.

    **Example**

    >>> run.save("model.json")
    >>> qstore.load_model("model.json", model=model).predict(X)
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{str(path)!r} is too large for a model.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The model {str(path)!r} cannot be read: {error}") from error
    with naming_damage(f"The model {str(path)!r}"):
        plain = json.loads(text)
        if plain["schema"] != _SCHEMA:
            raise ConfigurationError(
                f"It is of the format {plain['schema']!r}; this version reads {_SCHEMA!r}."
            )
        circuit = plain["circuit"]
        inputs = plain.get("inputs")
        classes = plain.get("classes")
        mean, spread = map(float, plain["target"])
        found = SavedModel(
            params=_read(plain["params"]),
            circuit=_circuit(circuit["variational"]) if "variational" in circuit else None,
            function_name=str(circuit.get("function", "")),
            function=model,
            inputs=None if inputs is None else _inputs(inputs),
            classes=None if classes is None else tuple(classes),
            target=(mean, spread),
            training=dict(plain["training"]),
            versions=dict(plain["versions"]),
        )
        if found.circuit is not None:
            _check_shapes(found.params, found.circuit.shapes)
    if model is not None and found.circuit is not None:
        raise ConfigurationError(
            f"{str(path)!r} describes its own circuit: model= has no effect. Leave it out."
        )
    return found


def described(model: Any) -> dict[str, Any]:
    """Return the circuit of a model, or the name of a user's own function.

    Args:
        model: that was trained.

    Returns:
        Attributes of a :class:`SavedModel`, by name.
    """
    if isinstance(model, VariationalModel):
        return {"circuit": model.family}
    named = getattr(model, "func", model)  # of a QNode, its function
    name = str(getattr(named, "__qualname__", type(named).__qualname__))
    return {"function_name": name, "function": model}


def _versions() -> dict[str, str]:
    return {
        "pennylane-qstore": __version__,
        "pennylane": qml.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _circuit(plain: Mapping[str, Any]) -> Variational:
    counts = {name: int(plain[name]) for name in ("wires", "outputs", "uploads", "layers")}
    if not all(0 < count <= 1000 for count in counts.values()):
        raise ConfigurationError(f"Its circuit has sizes that no circuit has: {counts}.")
    return Variational(**counts, angle=float(plain["angle"]))


def _check_shapes(params: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    found = {name: np.shape(params.get(name)) for name in shapes}
    if found != shapes:
        raise ConfigurationError(f"Its parameters have shapes {found}; its circuit's: {shapes}.")


def _inputs(plain: Mapping[str, Any]) -> Inputs:
    offset, matrix = _read(plain["offset"]), _read(plain["matrix"])
    if matrix.ndim != 2 or offset.shape != matrix.shape[:1]:
        raise ConfigurationError(f"Its inputs have shapes {offset.shape} and {matrix.shape}.")
    return Inputs(offset, matrix, tuple(map(str, plain["columns"])))


def _plain(value: Any) -> Any:
    """Return arrays as lists of numbers, also in collections."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    array = np.asarray(qml.math.toarray(value) if hasattr(value, "shape") else value)
    if array.dtype.kind not in "bif":
        raise ConfigurationError(
            f"A {type(value).__name__} of {array.dtype} cannot be kept in a model's file. Allowed: "
            "arrays of real numbers, texts, and collections of these."
        )
    return {"array": array.tolist(), "dtype": str(array.dtype)}


def _read(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_read(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if set(plain) == {"array", "dtype"}:
        dtype = np.dtype(str(plain["dtype"]))
        if dtype.kind not in "bif":
            raise ConfigurationError(f"Arrays of {dtype} are not allowed.")
        return np.array(plain["array"], dtype=dtype)
    return {name: _read(item) for name, item in plain.items()}
