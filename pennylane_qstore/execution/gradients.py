"""Forward and gradient in one batch: ``diff_method="device"``.

PennyLane executes a circuit first and its gradient's circuits later, in a second batch. With
a device gradient both are known at the time of the forward pass. The circuits and the
arithmetic are those of PennyLane's own transforms; only the batch is ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from pennylane.devices import ExecutionConfig
from pennylane.math.interface_utils import Interface
from pennylane.measurements import ExpectationMP, ProbabilityMP, VarianceMP
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript
from pennylane.transforms.core import CompilePipeline

from pennylane_qstore.compat.interfaces import ArrayBox
from pennylane_qstore.compat.pennylane import tapes_resolved_by, without_told_batch
from pennylane_qstore.compat.python import current_frame
from pennylane_qstore.deferral.scope import current_scope
from pennylane_qstore.deferral.traced import traced_parameters, tracers_of_jax
from pennylane_qstore.validation import check_count, check_number, check_one_of

Jacobians: TypeAlias = Callable[[Sequence[Any]], tuple[Any, ...]]
"""From the results of gradient tapes to one Jacobian per circuit, in PennyLane's form."""

FRAMEWORK = "qstore_framework"
"""Key in ``ExecutionConfig.device_options`` that marks a call whose results the device hands to
the machine learning framework itself, see :mod:`.differentiation`; the framework's interface."""

_JAX = (Interface.JAX, Interface.JAX_JIT)
METHODS = ("parameter-shift", "spsa")

_EXACT_STEP = 1e-3  # radians; well above the rounding of probabilities a service returns


@dataclass(frozen=True, slots=True)
class Gradient:
    """Method and settings of the device's own gradient.

    Attributes:
        method: ``"parameter-shift"`` or ``"spsa"``.
        num_directions: of SPSA; each costs two circuits.
        h: SPSA's step (radians); None chooses it for the shots, see :func:`spsa_step`.
        rng: of SPSA's directions.

    Raises:
        ConfigurationError: an unknown method or a number out of range.
    """

    method: str = "parameter-shift"
    num_directions: int = 1
    h: float | None = None
    rng: np.random.Generator = field(default_factory=np.random.default_rng, compare=False)

    def __post_init__(self) -> None:
        check_one_of("gradient", self.method, METHODS)
        check_count("num_directions", self.num_directions)
        check_number("h", self.h, above=0, unit="radians", optional=True)

    @property
    def transform(self) -> Any:
        """PennyLane's gradient transform."""
        return (
            qml.gradients.param_shift
            if self.method == "parameter-shift"
            else qml.gradients.spsa_grad
        )

    def of_call(
        self, tape: QuantumScript, config: ExecutionConfig | None
    ) -> tuple[Any, dict[str, Any]]:
        """Return the transform of a call and its keyword arguments.

        A method that the QNode names is PennyLane's, with its defaults; with
        ``diff_method="device"`` it is this one, and ``gradient_kwargs`` of the QNode win.

        Args:
            tape: the tape to differentiate.
            config: its configuration.

        Returns:
            The transform, and the arguments by name.
        """
        if config is not None and callable(config.gradient_method):
            return config.gradient_method, dict(config.gradient_keyword_arguments)
        chosen: dict[str, Any] = {}
        if self.method == "spsa":
            chosen["num_directions"] = self.num_directions
            chosen["h"] = spsa_step(tape.shots.total_shots) if self.h is None else self.h
            chosen["sampler_rng"] = self.rng
        if config is not None:
            chosen.update(config.gradient_keyword_arguments)
        return self.transform, chosen

    def tapes(
        self,
        circuits: Sequence[QuantumScript],
        config: ExecutionConfig | None,
        *,
        by_row: bool = False,
    ) -> tuple[tuple[QuantumScript, ...], Jacobians]:
        """Return the tapes whose results give the Jacobians of circuits.

        Args:
            circuits: tapes with ``trainable_params`` set and NumPy parameters.
            config: their configuration.
            by_row: a broadcast parameter has the derivatives of each row by its own value, as
                many as there are rows, in the Jacobian; else PennyLane refuses it.

        Returns:
            The tapes, and the function that makes one Jacobian per circuit of their results.
        """
        tapes: list[QuantumScript] = []
        parts: list[tuple[int, int, Callable[[Any], Any]]] = []
        for circuit in circuits:
            batch: Sequence[QuantumScript] = ()
            process: Callable[[Any], Any] = tuple
            if circuit.trainable_params:
                transform, options = self.of_call(circuit, config)
                if by_row and transform is qml.gradients.param_shift:
                    circuit = without_told_batch(circuit)
                with QueuingManager.stop_recording():  # another QNode's, around this one
                    batch, process = transform(circuit, **options)
            parts.append((len(tapes), len(tapes) + len(batch), process))
            tapes.extend(batch)

        def jacobians(results: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(process(tuple(results[start:stop])) for start, stop, process in parts)

        return tuple(tapes), jacobians


def spsa_step(shots: int | None) -> float:
    """Return the step (radians) at which shot noise and curvature spoil a central difference least.

    With noise ``s = 1 / sqrt(shots)`` in each evaluation and third derivatives of order one,
    ``s^2 / (2 h^2) + (h^2 / 6)^2`` is least at ``h = (3 s)^(1/3)``.
    """
    if shots is None:
        return _EXACT_STEP
    return float((3.0 / np.sqrt(shots)) ** (1.0 / 3.0))


def supports_derivatives(
    config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
) -> bool:
    """Tell whether the device differentiates: first derivatives, with ``diff_method="device"``.

    ``"best"`` stays with PennyLane: a gradient on execution is paid for even if nobody
    calls ``backward`` after all.

    Args:
        config: the execution configuration.
        circuit: the tape.

    Returns:
        True if :meth:`Gradient.tapes` can differentiate it.
    """
    if config is None:
        return True
    if config.gradient_method != "device" or config.derivative_order != 1:
        return False
    return circuit is None or _is_differentiable(circuit)


def adjust_config(config: ExecutionConfig, circuit: QuantumScript | None) -> ExecutionConfig:
    """Complete a configuration with ``gradient_method="device"``, and take one of no use away.

    The gradient travels with the forward pass where somebody is differentiating: an
    autograd trace, torch parameters that require a gradient. JAX asks by itself. Where nobody
    can, PennyLane need not expand the circuit for a gradient, which would take longer than all
    that is done here, nor make arrays of autograd's arrays. Only for a circuit that is
    executed: whoever asks what would be done (``qml.workflow.get_best_diff_method``) gets an
    answer for any call.

    A call whose results the device hands to autograd, torch or JAX itself is marked with
    :data:`FRAMEWORK`; PennyLane then treats it as a NumPy call.

    Args:
        config: as PennyLane made it.
        circuit: the tape it is for, if known.

    Returns:
        The configuration.
    """
    method = config.gradient_method
    tapes = tapes_resolved_by(current_frame(2))  # none where nothing is going to be executed
    if _is_handed_over(config, tapes):
        is_jax = config.interface in _JAX
        if not is_jax and not any(map(traced_parameters, tapes or ())):
            method = None
        return replace(
            config,
            interface=Interface.NUMPY,
            gradient_method=method,
            use_device_gradient=method == "device",
            use_device_jacobian_product=False,
            grad_on_execution=False,
            device_options={**config.device_options, FRAMEWORK: Interface(config.interface).value},
        )
    if _waits_in_jax(config, tapes):
        return replace(config, use_device_gradient=True, grad_on_execution=False)
    if (method is None or callable(method)) and _cannot_be_differentiated(config, tapes):
        changes: dict[str, Any] = {}
        if method is not None:
            changes = {"gradient_method": None, "gradient_keyword_arguments": {}}
        if config.interface == Interface.AUTOGRAD:
            changes["convert_to_numpy"] = False
        return replace(config, **changes) if changes else config
    if method != "device":
        return config
    return replace(
        config,
        use_device_gradient=True,
        use_device_jacobian_product=False,
        grad_on_execution=circuit is not None and bool(traced_parameters(circuit)),
    )


def add_expansion(pipeline: CompilePipeline, gradient: Gradient) -> None:
    """Add the expansion into gates that can be differentiated one by one.

    For the pipeline that ``preprocess_transforms`` returns if ``use_device_gradient`` is set:
    PennyLane then applies it outside of the machine learning framework's boundary, so that
    the framework differentiates the arithmetic of decompositions.

    Args:
        pipeline: is changed.
        gradient: whose gates they are.
    """
    pipeline.add_transform(qml.transform(gradient.transform.expand_transform))


def _is_handed_over(config: ExecutionConfig, tapes: tuple[QuantumScript, ...] | None) -> bool:
    """Tell whether the device hands a call's results to the framework itself.

    It does so in a deferred scope, for ``diff_method="device"``, and where PennyLane would refuse
    a broadcast parameter; without a gradient for torch alone, whose tensors are its own.
    """
    method = config.gradient_method
    if not tapes or not all(map(_is_differentiable, tapes)):
        return False
    if config.interface in _JAX:
        return _is_broadcast_in_jax(config, tapes)
    if config.interface not in (Interface.AUTOGRAD, Interface.TORCH):
        return False
    traced = [(tape, index) for tape in tapes for index in traced_parameters(tape)]
    is_in_scope = current_scope() is not None
    if not traced:
        return config.interface == Interface.TORCH and is_in_scope and _is_on_cpu(tapes)
    transforms = ("device", qml.gradients.param_shift, qml.gradients.spsa_grad)
    if method not in transforms or config.derivative_order != 1 or not _is_on_cpu(tapes):
        return False
    if any(_is_nested(tape.get_parameters(False)[index]) for tape, index in traced):
        return False
    if method == "device" or is_in_scope:
        return True
    return method is qml.gradients.param_shift and _is_broadcast(traced)


def _is_broadcast_in_jax(config: ExecutionConfig, tapes: tuple[QuantumScript, ...]) -> bool:
    """Tell whether JAX traces a broadcast parameter, which PennyLane does not differentiate."""
    if config.gradient_method not in ("device", qml.gradients.param_shift):
        return False
    traced = [(tape, index) for tape in tapes for index in tracers_of_jax(tape)]
    floats = all(tape.get_parameters(False)[index].dtype.kind == "f" for tape, index in traced)
    return config.derivative_order == 1 and floats and _is_broadcast(traced)


def _is_broadcast(traced: Sequence[tuple[QuantumScript, int]]) -> bool:
    return any(tape.par_info[index]["op"].batch_size is not None for tape, index in traced)


def _waits_in_jax(config: ExecutionConfig, tapes: tuple[QuantumScript, ...] | None) -> bool:
    """Tell whether values and gradient of a JAX call are to be one callback."""
    return (
        config.interface in _JAX
        and config.gradient_method in (qml.gradients.param_shift, qml.gradients.spsa_grad)
        and config.derivative_order == 1
        and current_scope() is not None
        and bool(tapes)
        and all(map(_is_differentiable, tapes or ()))
    )


def _is_on_cpu(tapes: Sequence[QuantumScript]) -> bool:
    return not any(getattr(p, "is_cuda", False) for t in tapes for p in t.get_parameters(False))


def _is_nested(parameter: Any) -> bool:
    """Return True for a parameter of a second derivative."""
    return isinstance(parameter, ArrayBox) and isinstance(parameter._value, ArrayBox)


def _is_differentiable(tape: QuantumScript) -> bool:
    return all(type(m) in (ExpectationMP, VarianceMP, ProbabilityMP) for m in tape.measurements)


def _cannot_be_differentiated(
    config: ExecutionConfig, tapes: tuple[QuantumScript, ...] | None
) -> bool:
    """Tell whether nobody can differentiate the circuits that are executed now."""
    if tapes is None:
        return False
    if config.interface == Interface.AUTOGRAD:
        return not any(map(traced_parameters, tapes))
    if config.interface == Interface.TORCH:
        return not sys.modules["torch"].is_grad_enabled()
    return bool(config.interface == Interface.NUMPY)
