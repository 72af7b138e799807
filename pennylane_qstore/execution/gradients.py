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
from pennylane.tape import QuantumScript
from pennylane.transforms.core import CompilePipeline

from pennylane_qstore.compat import ArrayBox, called_by_qml_execute, current_frame
from pennylane_qstore.deferral.autograd_traces import traced_here, tracing
from pennylane_qstore.deferral.tasks import running_task
from pennylane_qstore.validation import check_count, check_number, check_one_of

Jacobians: TypeAlias = Callable[[Sequence[Any]], tuple[Any, ...]]
"""From the results of gradient tapes to one Jacobian per circuit, in PennyLane's form."""

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

    def options(self, tape: QuantumScript, config: ExecutionConfig | None) -> dict[str, Any]:
        """Return the transform's keyword arguments; ``gradient_kwargs`` of the QNode win.

        Args:
            tape: the tape to differentiate.
            config: its configuration.

        Returns:
            The arguments by name.
        """
        chosen: dict[str, Any] = {}
        if self.method == "spsa":
            chosen["num_directions"] = self.num_directions
            chosen["h"] = spsa_step(tape.shots.total_shots) if self.h is None else self.h
            chosen["sampler_rng"] = self.rng
        if config is not None:
            chosen.update(config.gradient_keyword_arguments)
        return chosen

    def tapes(
        self, circuits: Sequence[QuantumScript], config: ExecutionConfig | None
    ) -> tuple[tuple[QuantumScript, ...], Jacobians]:
        """Return the tapes whose results give the Jacobians of circuits.

        Args:
            circuits: tapes with ``trainable_params`` set and NumPy parameters.
            config: their configuration.

        Returns:
            The tapes, and the function that makes one Jacobian per circuit of their results.
        """
        tapes: list[QuantumScript] = []
        parts: list[tuple[int, int, Callable[[Any], Any]]] = []
        for circuit in circuits:
            batch: Sequence[QuantumScript] = ()
            process: Callable[[Any], Any] = _no_jacobian
            if circuit.trainable_params:
                batch, process = self.transform(circuit, **self.options(circuit, config))
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
    return circuit is None or all(
        type(m) in (ExpectationMP, VarianceMP, ProbabilityMP) for m in circuit.measurements
    )


def adjust_config(config: ExecutionConfig, circuit: QuantumScript | None) -> ExecutionConfig:
    """Complete a configuration with ``gradient_method="device"``, and take one of no use away.

    The gradient travels with the forward pass where somebody is differentiating: an
    autograd trace, torch parameters that require a gradient. JAX asks by itself. Where nobody
    can, PennyLane need not expand the circuit for a gradient, which would take longer than all
    that is done here, nor make arrays of autograd's arrays. Only for a circuit that is
    executed: whoever asks what would be done (``qml.workflow.get_best_diff_method``) gets an
    answer for any call.

    Args:
        config: as PennyLane made it.
        circuit: the tape it is for, if known.

    Returns:
        The configuration.
    """
    method = config.gradient_method
    if (method is None or callable(method)) and _cannot_be_differentiated(config, circuit):
        changes: dict[str, Any] = {}
        if method is not None:
            changes = {"gradient_method": None, "gradient_keyword_arguments": {}}
        if config.interface == Interface.AUTOGRAD:
            changes["convert_to_numpy"] = False
        return replace(config, **changes) if changes and _is_executed() else config
    if method != "device":
        return config
    return replace(
        config,
        use_device_gradient=True,
        use_device_jacobian_product=False,
        grad_on_execution=circuit is not None and _is_differentiated(config, circuit),
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


def _no_jacobian(_: Any) -> tuple[()]:
    return ()


def _cannot_be_differentiated(config: ExecutionConfig, circuit: QuantumScript | None) -> bool:
    """Tell whether nobody can differentiate the circuit that is executed now."""
    if config.interface == Interface.AUTOGRAD:
        if not tracing(stale=0):
            return True
        # What autograd counts may be what an error has left behind. But a task's trace may be open
        # on the stack of who started it, and a thread may have been handed what another traces.
        if traced_here() or running_task() is not None or circuit is None:
            return False
        return not _is_differentiated(config, circuit)
    if config.interface == Interface.TORCH:
        return not sys.modules["torch"].is_grad_enabled()
    return bool(config.interface == Interface.NUMPY)


def _is_executed() -> bool:
    """Tell whether ``qml.execute`` asks for the configuration, as QNodes call it."""
    # Past adjust_config and setup_execution_config.
    return called_by_qml_execute(current_frame(3))


def _is_differentiated(config: ExecutionConfig, circuit: QuantumScript) -> bool:
    parameters = circuit.get_parameters(trainable_only=False)
    if config.interface == Interface.TORCH:
        torch = sys.modules["torch"]
        return bool(torch.is_grad_enabled()) and any(
            isinstance(p, torch.Tensor) and p.requires_grad for p in parameters
        )
    return any(isinstance(p, ArrayBox) for p in parameters)
