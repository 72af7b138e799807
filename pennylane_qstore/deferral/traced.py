"""Parameters of circuits that a machine learning framework is differentiating."""

from __future__ import annotations

import sys
from typing import Any

from pennylane.tape import QuantumScript

from pennylane_qstore.compat.interfaces import ArrayBox, trace_stack


def traced_parameters(tape: QuantumScript) -> list[int]:
    """Return the parameters of a circuit that autograd or torch differentiates.

    Args:
        tape: the circuit, with the framework's parameters.

    Returns:
        Indices in ``tape.get_parameters(trainable_only=False)``.
    """
    torch = sys.modules.get("torch")
    grads = torch is not None and torch.is_grad_enabled()
    if trace_stack.top < 0 and not grads:  # nearly always
        return []
    return [
        i
        for i, parameter in enumerate(tape.get_parameters(trainable_only=False))
        if isinstance(parameter, ArrayBox)
        or (torch is not None and grads and _requires_grad(torch, parameter))
    ]


def _requires_grad(torch: Any, parameter: Any) -> bool:
    return isinstance(parameter, torch.Tensor) and bool(parameter.requires_grad)


def tracers_of_jax(tape: QuantumScript) -> list[int]:
    """Return the parameters of a circuit that JAX traces, to differentiate or to compile.

    Args:
        tape: the circuit, with the framework's parameters.

    Returns:
        Indices in ``tape.get_parameters(trainable_only=False)``.
    """
    tracer = sys.modules["jax"].core.Tracer
    parameters = tape.get_parameters(trainable_only=False)
    return [i for i, parameter in enumerate(parameters) if isinstance(parameter, tracer)]
