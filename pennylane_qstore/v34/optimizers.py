"""Optimizers that v3.4's settings can name: SPSA's or PennyLane's gradient, several rules.

Adam is that of Kingma and Ba, arXiv:1412.6980, with its usual constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import ArrayLike

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import Arrays, from_plain, to_plain
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.v34.settings import Settings
from pennylane_qstore.validation import check_one_of

_RULES = ("adam", "sgd", "gd", "spsa")
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # Adam's usual ones, which Q-Store has too


class RuleOptimizer(SPSAOptimizer):
    """SPSA's gradient, in one batch, with another rule for the step.

    Args:
        rule: ``"adam"``, ``"sgd"`` (with momentum), ``"gd"``, or ``"spsa"`` (its own gains).
        learning_rate: of all rules but ``"spsa"``.
        momentum: of ``"sgd"``, 0 to below 1.
        weight_decay: share, times the learning rate (times the gain for ``"spsa"``), by which
            parameters shrink in a step.
        **options: of :class:`SPSAOptimizer`.
    """

    def __init__(
        self,
        *,
        rule: str = "adam",
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**{"directions": "shared", **options})
        self.rule = check_one_of("rule", rule, _RULES)
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._moments: list[Arrays] = []
        self.last_gradient_norm = 0.0
        """Euclidean, of the last step, after clipping."""

    def apply_grad(self, grad: Sequence[ArrayLike], args: tuple[Any, ...]) -> list[Any]:
        """Move the trainable arguments by the rule.

        Args:
            grad: one array per trainable array, of its shape.
            args: the objective's arguments.

        Returns:
            The new arguments.
        """
        slopes = [np.asarray(g, dtype=np.float64) for g in grad]
        self.last_gradient_norm = float(np.sqrt(sum(float(np.sum(g * g)) for g in slopes)))
        self.ak = self._step_size()
        rate = self.ak if self.rule == "spsa" else self.learning_rate
        parameters = self._parameters(args)
        new = [
            self.constraints.clip(value * (1.0 - rate * self.weight_decay) - rate * direction)
            for value, direction in zip(parameters.values, self._directions(slopes), strict=True)
        ]
        return self.constraints.project(parameters, new)

    def _capture(self) -> dict[str, Any]:
        moments = [[to_plain(m) for m in kind] for kind in self._moments]
        return {**super()._capture(), "moments": moments}

    def _step(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        before = self._moments
        try:
            return super()._step(*args, **kwargs)
        except BaseException:
            self._moments = before
            raise

    def _restore(self, state: Mapping[str, Any]) -> None:
        moments = [[from_plain(m) for m in kind] for kind in state["moments"]]
        super()._restore(state)
        self._moments = moments

    def _settings(self) -> dict[str, Any]:
        names = ("rule", "learning_rate", "momentum", "weight_decay")
        return {**super()._settings(), **{name: getattr(self, name) for name in names}}

    def _directions(self, grad: Arrays) -> Arrays:
        """Return the directions that parameters move against, per unit of the rate."""
        if self.rule in ("gd", "spsa"):
            return grad
        if not self._moments:
            kinds = 2 if self.rule == "adam" else 1
            self._moments = [[np.zeros_like(g) for g in grad] for _ in range(kinds)]
        if self.rule == "sgd":
            velocity = [self.momentum * v + g for v, g in zip(self._moments[0], grad, strict=True)]
            self._moments = [velocity]
            return velocity
        first, second = self._moments
        first = [_BETA1 * m + (1 - _BETA1) * g for m, g in zip(first, grad, strict=True)]
        second = [_BETA2 * m + (1 - _BETA2) * g * g for m, g in zip(second, grad, strict=True)]
        self._moments = [first, second]
        return [
            (m / (1 - _BETA1**self.k)) / (np.sqrt(v / (1 - _BETA2**self.k)) + _EPSILON)
            for m, v in zip(first, second, strict=True)
        ]


class _Regularised:
    """Clips the gradient and shrinks the weights of one of PennyLane's optimizers."""

    max_norm: float | None = None
    weight_decay: float = 0.0
    last_gradient_norm: float = 0.0

    def apply_grad(self, grad: Any, args: Any) -> Any:
        slopes = list(grad) if isinstance(grad, tuple | list) else [grad]
        norm = float(np.sqrt(sum(float(np.sum(np.asarray(g) ** 2)) for g in slopes)))
        if self.max_norm is not None and norm > self.max_norm:
            slopes = [g * (self.max_norm / norm) for g in slopes]
            norm = self.max_norm
        self.last_gradient_norm = norm
        new = super().apply_grad(tuple(slopes), args)  # type: ignore[misc]
        if not self.weight_decay:
            return new
        shrink = self.stepsize * self.weight_decay  # type: ignore[attr-defined]
        return [
            n - shrink * a if getattr(a, "requires_grad", False) else n
            for n, a in zip(new, args, strict=True)
        ]


class Adam(_Regularised, qml.AdamOptimizer):  # type: ignore[misc]
    """``qml.AdamOptimizer`` with clipping and weight decay."""


class Momentum(_Regularised, qml.MomentumOptimizer):  # type: ignore[misc]
    """``qml.MomentumOptimizer`` with clipping and weight decay."""


class GradientDescent(_Regularised, qml.GradientDescentOptimizer):  # type: ignore[misc]
    """``qml.GradientDescentOptimizer`` with clipping and weight decay."""


def is_natural(settings: Settings) -> bool:
    """Return True where steps are PennyLane's natural gradient's."""
    return "natural_gradient" in (settings.gradient_method, settings.optimizer)


def diff_method(settings: Settings) -> str | None:
    """Return how QNodes are differentiated; None where SPSA needs no derivative."""
    methods = {"parameter_shift": "parameter-shift", "finite_diff": "finite-diff"}
    if is_natural(settings):
        return "parameter-shift"
    return methods.get(settings.gradient_method)


def make_optimizer(settings: Settings, **options: Any) -> Any:
    """Return the optimizer that settings name.

    Args:
        settings: their fields of the kind ``"optimizer"``.
        **options: further arguments of the optimizer (``seed``, ``maxiter``, ``bounds``, ...).

    Returns:
        An optimizer with ``step_and_cost``.

    Raises:
        ConfigurationError: ``optimizer="spsa"`` with a gradient that is not SPSA's.
    """
    rate = settings.learning_rate
    if is_natural(settings):
        return qml.QNGOptimizer(stepsize=rate, **options)
    rule = str(settings.optimizer).replace("gradient_descent", "gd")
    max_norm = settings.gradient_clip_value if settings.use_gradient_clipping else None
    if diff_method(settings) is None:
        mode = "deferred" if settings.enable_circuit_batching else "tasks"
        defaults = {
            "maxiter": None if "A" in options else settings.epochs,
            "c": settings.spsa_c_initial,
            "a": settings.spsa_a_initial,
            "max_norm": max_norm,
            "blocking": settings.gradient_method == "adaptive",
            "mode": mode if settings.enable_batch_execution else "serial",
        }
        return RuleOptimizer(
            rule=rule,
            learning_rate=rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            **{**defaults, **options},
        )
    if rule == "spsa":
        raise ConfigurationError(
            f"optimizer='spsa' takes SPSA's gradient, not gradient_method="
            f"{settings.gradient_method!r}. Use 'adam', 'sgd' or 'gd', or gradient_method='spsa'."
        )
    if rule == "sgd":
        options = {"momentum": settings.momentum, **options}
    kinds = {"adam": Adam, "sgd": Momentum, "gd": GradientDescent}
    optimizer = kinds[rule](stepsize=rate, **options)
    optimizer.max_norm, optimizer.weight_decay = max_norm, settings.weight_decay
    return optimizer
