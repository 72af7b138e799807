"""Transforms of QNodes that the device takes up: folds, corrected readout, standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.devices.preprocess import null_postprocessing
from pennylane.measurements import CountsMP, ExpectationMP, SampleMP
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript, QuantumScriptBatch
from pennylane.typing import PostprocessingFn

from pennylane_qstore.compat.interfaces import ArrayBox
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.measurement.recipes import StandardErrorMP, standard_error_of
from pennylane_qstore.native.marks import CORRECT, FOLD, Mark
from pennylane_qstore.validation import check, check_count, check_number, check_one_of

_ODD = (1, 3, 5)
_METHODS = ("linear", "richardson", "exponential")
_LEAST = 1e-6
"""The least size of a value that decays, so that it has a logarithm."""


@qml.transform  # type: ignore[untyped-decorator]
def fold_native(
    tape: QuantumScript, scale_factor: float
) -> tuple[QuantumScriptBatch, PostprocessingFn]:
    """Ask for a compiled circuit with more noise: followed by its inverse and itself again.

    The device folds what it sends, after the compiler, which would cancel the folds of a tape
    (:mod:`pennylane_qstore.native.folding`). Other devices run the circuit as it is. It goes with
    ``qml.noise.mitigate_with_zne(folding=fold_native)`` as well.

    Args:
        tape: a tape or QNode.
        scale_factor: factor of the noise, at least 1. Odd numbers are exact; others fold the last
            entanglers only, as many as come nearest.

    Returns:
        The transformed QNode, or a tape and a function that does nothing.

    Raises:
        ConfigurationError: a factor below 1.
    """
    return _marked(tape, FOLD, check_number("scale_factor", scale_factor, least=1))


@qml.transform  # type: ignore[untyped-decorator]
def correct_readout(
    tape: QuantumScript, copies: int = 8
) -> tuple[QuantumScriptBatch, PostprocessingFn]:
    """Correct expectation values for misread bits, by circuits that calibrate the readout.

    The device adds circuits that only flip qubits, ``copies`` in each batch whatever is in it,
    with the same shots and in the same job. Each Pauli word is divided by what misreading leaves
    of it there, on the qubits that it was read on, gates left to the readout included. That is
    twirled readout error extinction (van den Berg, Minev and Temme, arXiv:2012.09738): it takes
    no model of the readout where rows run in frames of their own (``symmetrize=True``), on
    average over rows. Without these, qubits are taken to be misread independently, zeros and ones
    at rates of their own (:mod:`pennylane_qstore.measurement.calibration`).

    Values are right on average, have a little more noise of shots, and may leave [-1, 1]. Errors
    of gates stay: :func:`zne` goes with it, in either order. Ideal backends misread nothing, get
    no circuits and have their plain values; other devices run the circuit as it is.

    Args:
        tape: a tape or QNode that returns expectation values of Pauli words and their sums.
        copies: calibration circuits of a batch, an even number: each qubit is as often one as
            zero. Their shots together decide how well the correction is known: with 8 × 1,000
            shots and 1 % of misread bits to 0.003 for one qubit.

    Returns:
        The transformed QNode, or a tape and a function that does nothing.

    Raises:
        ConfigurationError: a number of copies that is not allowed, or another measurement.
        NotSupported: standard errors, postselection, ``gateset="qis"``.
        UnreliableCalibration: when results arrive, a word of which misreading leaves nothing.

    **Example**

    >>> import pennylane as qml
    >>> noise = {"machine_noise": {"readout": (0.02, 0.1), "seed": 3}}
    >>> dev = qml.device("qstore.ionq", wires=1, noise_model="forte-1", emulator=noise, seed=1)
    >>> @qml.qnode(dev, shots=10_000)
    ... def circuit(x):
    ...     qml.RX(x, 0)
    ...     return qml.expval(qml.Z(0))
    >>> print(f"{circuit(0.5):.2f} -> {correct_readout(circuit)(0.5):.2f} of {np.cos(0.5):.2f}")
    0.85 -> 0.89 of 0.88
    """
    check_count("copies", copies, least=2)
    check("copies", copies, copies % 2 == 0, "an even number")
    for m in tape.measurements:
        if not isinstance(m, ExpectationMP) or m.obs is None or m.obs.pauli_rep is None:
            raise ConfigurationError(
                f"correct_readout corrects Pauli words, and {m} is not made of them. Allowed: "
                "expval of Pauli words and their sums."
            )
    return _marked(tape, CORRECT, copies)


@qml.transform  # type: ignore[untyped-decorator]
def zne(
    tape: QuantumScript,
    scales: Sequence[float] = _ODD,
    extrapolate: str | Callable[[Sequence[float], Sequence[Any]], Any] = "linear",
) -> tuple[QuantumScriptBatch, PostprocessingFn]:
    """Extrapolate results to zero noise, from compiled circuits folded to several scales.

    All scales are circuits of one batch, so of one job, and each takes the tape's shots: with
    ``scales=(1, 3, 5)`` three times the shots and nine times the gates, which estimates show.
    Coherent errors are not made larger by folding, and so not taken away.

    Args:
        tape: a tape or QNode that returns numbers: expval, var, probs.
        scales: factors of the noise, different ones, at least two; odd ones are exact.
        extrapolate: ``"linear"`` (least squares; the least noise of shots), ``"richardson"`` (the
            polynomial through all scales; the least bias and the most noise of shots),
            ``"exponential"`` (a decay towards zero: expectation values of Pauli words), or a
            function of scales and results.

    Returns:
        The transformed QNode, or tapes and the function that extrapolates.

    Raises:
        ConfigurationError: scales or a method that are not allowed, or results that are not
            numbers.

    **Example**

    >>> import pennylane as qml
    >>> dev = qml.device("qstore.ionq", wires=2, noise_model="forte-1", seed=1)
    >>> @qml.qnode(dev, shots=1000)
    ... def bell():
    ...     qml.Hadamard(0)
    ...     qml.CNOT([0, 1])
    ...     return qml.expval(qml.Z(0) @ qml.Z(1))
    >>> bool(abs(zne(bell, scales=(1, 3))() - 1) < 0.1)
    True
    """
    for scale in scales:
        check_number("scales", scale, least=1)
    check("scales", scales, len(set(scales)) == len(scales) > 1, "two or more different numbers")
    if not callable(extrapolate):
        check_one_of("extrapolate", extrapolate, _METHODS)
    for m in tape.measurements:
        if isinstance(m, StandardErrorMP):
            raise ConfigurationError("Write with_errors(zne(qnode)), not zne(with_errors(qnode)).")
        if isinstance(m, (CountsMP, SampleMP)):
            raise ConfigurationError(
                f"zne extrapolates numbers, and {m} has none. Allowed: expval, var and probs."
            )
    tapes = [fold_native(tape, scale)[0][0] for scale in scales]
    function = extrapolate if callable(extrapolate) else partial(_extrapolated, extrapolate)
    return tapes, partial(_by_number, partial(function, scales))


class WithError(NamedTuple):
    """A value and its standard error."""

    value: Any
    error: Any


@qml.transform  # type: ignore[untyped-decorator]
def with_errors(tape: QuantumScript) -> tuple[QuantumScriptBatch, PostprocessingFn]:
    """Return each result with its standard error, from the same shots: no circuit more.

    The error is that of shot noise: how far the value would lie, on average, from that of
    infinitely many shots on the same machine. Terms measured in one basis have their covariances
    in it; bases are independent. That of a variance is by the delta method (the value's own
    dependence on the mean is linearised), right for many shots. It is 0 without shots, NaN for a
    single one; where all shots agree it is 0 as well, which only says that it is small.

    Results are NumPy numbers, for a report and not for a gradient; inside :func:`.deferred` they
    are fetched with all others. Around :func:`zne`, ``with_errors(zne(qnode))`` has the error of
    the extrapolated value.

    Args:
        tape: a tape or QNode that returns expval, var or probs.

    Returns:
        The transformed QNode, whose results are pairs ``(value, error)`` of equal shapes, rows and
        copies of shots as they are without it; or a tape and the function that pairs its results.

    Raises:
        NotSupported: another measurement.
        ConfigurationError: the call is being differentiated.

    **Example**

    >>> import pennylane as qml
    >>> dev = qml.device("qstore.ionq", wires=1, seed=1)
    >>> @qml.qnode(dev, shots=10_000)
    ... def circuit(x):
    ...     qml.RX(x, 0)
    ...     return qml.expval(qml.Z(0))
    >>> value, error = with_errors(circuit)(np.pi / 2)
    >>> print(f"{error:.3f}", bool(abs(value) < 5 * error))
    0.010 True
    """
    if any(isinstance(p, ArrayBox) for p in tape.get_parameters(trainable_only=False)):
        raise ConfigurationError(
            "with_errors() is not differentiated. Take the gradient of the QNode without it."
        )
    measurements = [part for m in tape.measurements for part in (m, standard_error_of(m))]
    (plain,), _ = qml.transforms.convert_to_numpy_parameters(tape)
    return [plain.copy(measurements=measurements)], partial(_paired, tape.shots.num_copies)


def _paired(copies: int, results: Sequence[Any]) -> Any:
    if copies > 1:
        return tuple(_paired(1, [copy]) for copy in results[0])
    pairs = tuple(starmap(WithError, zip(results[0][::2], results[0][1::2], strict=True)))
    return pairs[0] if len(pairs) == 1 else pairs


def _marked(
    tape: QuantumScript, wish: str, value: float
) -> tuple[QuantumScriptBatch, PostprocessingFn]:
    with QueuingManager.stop_recording():
        mark = Mark(wish, value)
    # a list, by which mitigate_with_zne knows a transform
    return [tape.copy(operations=[*tape.operations, mark])], null_postprocessing


def _by_number(function: Callable[[Sequence[Any]], Any], results: Sequence[Any]) -> Any:
    """Return a function of the results of each measurement, and copy of shots.

    Scales are different shots: errors of their results are independent, and propagated by half of
    the difference that each makes to the function (exact where it is linear).
    """
    if isinstance(results[0], WithError):
        values = [value for value, _ in results]
        changes = []
        for i, (value, error) in enumerate(results):
            ends = [function([*values[:i], value + e, *values[i + 1 :]]) for e in (error, -error)]
            changes.append((ends[0] - ends[1]) / 2)
        return WithError(function(values), np.sqrt(sum(change**2 for change in changes)))
    if isinstance(results[0], (tuple, list)):
        return tuple(_by_number(function, values) for values in zip(*results, strict=True))
    return function(results)


def _extrapolated(method: str, scales: Sequence[float], values: Sequence[Any]) -> Any:
    """Return the value at no noise.

    Args:
        method: one of the names that :func:`zne` takes.
        scales: factors of the noise, K of them.
        values: K numbers or arrays of one shape, of any interface.

    Returns:
        A number or an array of that shape.
    """
    degree = len(scales) - 1 if method == "richardson" else 1
    weights = np.linalg.pinv(np.vander(np.asarray(scales, float), degree + 1, increasing=True))[0]
    if method != "exponential":
        return sum(float(w) * value for w, value in zip(weights, values, strict=True))
    # Signs that differ are noise around zero: the value is taken to stay what it is.
    sizes = [qml.math.log(qml.math.maximum(qml.math.abs(v), _LEAST)) for v in values]
    size = sum(float(w) * s for w, s in zip(weights, sizes, strict=True))
    return qml.math.sign(values[0]) * qml.math.exp(size)
