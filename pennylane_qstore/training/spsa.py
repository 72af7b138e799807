"""SPSA, all of a step's evaluations in one batch: a drop-in for ``qml.SPSAOptimizer``."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import ArrayLike, NDArray

from pennylane_qstore import validation as checks
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.constraints import Constraints
from pennylane_qstore.training.evaluation import MODES, Evaluator, Mode
from pennylane_qstore.training.optimizer_state import ResumableOptimizer, plain_rng_state
from pennylane_qstore.training.parameters import Arrays, Parameters, as_loss, from_plain, to_plain
from pennylane_qstore.training.values import generator

logger = logging.getLogger(__name__)

Objective = Callable[..., Any]


class SPSAOptimizer(ResumableOptimizer, qml.SPSAOptimizer):  # type: ignore[misc]
    r"""Simultaneous perturbation stochastic approximation; one request a step.

    J. C. Spall, IEEE Trans. Automat. Contr. 37, 332 (1992); the gain sequences
    :math:`a_k = a / (A + k)^\alpha` and :math:`c_k = c / k^\gamma`, and their exponents, are those
    of Spall, IEEE Trans. Aerosp. Electron. Syst. 34, 817 (1998). A drop-in for
    :class:`qml.SPSAOptimizer <pennylane.SPSAOptimizer>`, which has the same.

    The perturbed evaluations of a step, and the forward value of ``step_and_cost``, run as
    cooperative tasks with deferred results: however the objective calls its circuits, they
    travel in one batch unless one of them depends on another's result.

    NumPy, autograd, torch and JAX parameters are trained, also inside tuples, lists,
    dictionaries and JAX's pytrees; :mod:`~pennylane_qstore.training.parameters` has the rule.
    Each keeps its kind, data type and ``requires_grad``. A step that fails leaves the optimizer
    as it was.

    Args:
        maxiter: expected number of steps; sets ``A`` to a tenth of it.
        alpha: exponent of the step size.
        gamma: exponent of the perturbation.
        c: size of the first perturbation (radians, for angles).
        A: stability constant, in steps.
        a: scale of the step size; see also :meth:`calibrate`.
        seed: of the perturbations; an int, a ``numpy.random.Generator`` or None.
        resamplings: pairs of evaluations a step, whose gradients are averaged. Same batch.
        blocking: evaluate the new point too (a second batch, since it depends on the first)
            and stay where we are if the loss rose by more than ``allowed_increase``.
        allowed_increase: None means twice the standard deviation of the last
            ``history_length`` losses.
        history_length: number of losses kept for that.
        bounds: ``(low, high)``, numbers or arrays. Neither iterates nor perturbed points
            leave them.
        projection: called with the new arguments, returns them projected where they are
            allowed to be (a list or tuple of the same form, or the argument if there is one).
        max_norm: gradients longer than this (Euclidean, over all parameters) are shortened.
        average: how many of the last iterates :meth:`averaged` averages, as a number, or as
            a fraction of ``maxiter`` if it is below 1.
        argnums: positions of the trained arguments, instead of the rule above.
        mode: ``"deferred"``; ``"tasks"`` for no deferred results (a batch per call in a loop,
            common to all evaluations); ``"serial"`` for one evaluation after another.

    **Example**

    >>> opt = qstore.SPSAOptimizer(maxiter=100, seed=1)
    >>> weights, loss = opt.step_and_cost(cost, weights)
    """

    a: float
    A: float
    ak: float
    k: int

    def __init__(
        self,
        maxiter: int | None = None,
        alpha: float = 0.602,
        gamma: float = 0.101,
        c: float = 0.2,
        A: float | None = None,
        a: float | None = None,
        *,
        seed: int | np.random.Generator | None = None,
        resamplings: int = 1,
        blocking: bool = False,
        allowed_increase: float | None = None,
        history_length: int = 5,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        projection: Callable[..., Any] | None = None,
        max_norm: float | None = None,
        average: float | None = None,
        argnums: int | Sequence[int] | None = None,
        mode: Mode = "deferred",
    ) -> None:
        number = checks.check_number
        super().__init__(
            maxiter=number("maxiter", maxiter, least=0, optional=True),
            alpha=number("alpha", alpha),
            gamma=number("gamma", gamma),
            c=number("c", c, above=0),
            A=number("A", A, least=0, optional=True),
            a=number("a", a, above=0, optional=True),
        )
        self.given = {
            "maxiter": maxiter,
            "alpha": alpha,
            "gamma": gamma,
            "c": c,
            "A": A,
            "a": a,
            "seed": int(seed) if isinstance(seed, int | np.integer) else None,
        }
        """Arguments that the state replaces; a run goes on with the same ones only."""
        checks.check_one_of("mode", mode, MODES)
        history_length = checks.check_count("history_length", history_length, least=2)
        self.resamplings = checks.check_count("resamplings", resamplings)
        self.blocking = checks.check_flag("blocking", blocking)
        self.allowed_increase = number("allowed_increase", allowed_increase, optional=True)
        self.constraints = Constraints(bounds, projection)
        self.max_norm = number("max_norm", max_norm, above=0, optional=True)
        self.argnums = None if argnums is None else checks.check_positions(argnums)
        self.mode = mode
        self.rejected = 0
        """Steps that ``blocking`` did not take."""
        self._rng = checks.check_seed(seed)
        self._losses: deque[float] = deque(maxlen=history_length)
        self._iterates: deque[Arrays] = deque(maxlen=_average_length(average, maxiter))

    def step(self, objective_fn: Objective, *args: Any, **kwargs: Any) -> Any:
        """Update the trainable arguments.

        Args:
            objective_fn: returns one real number.
            *args: its arguments.
            **kwargs: further arguments, never trained.

        Returns:
            The new arguments: a list, or the argument if there is only one.

        Raises:
            ConfigurationError: nothing is trainable, or the objective is no finite real scalar.
        """
        return _unwrapped(self._step(objective_fn, args, kwargs, forward=False)[0])

    def step_and_cost(self, objective_fn: Objective, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Update the trainable arguments; see :meth:`step`.

        Args:
            objective_fn: returns one real number.
            *args: its arguments.
            **kwargs: further arguments, never trained.

        Returns:
            The new arguments and the objective's value before the step. It comes from the
            same batch.
        """
        new, value = self._step(objective_fn, args, kwargs, forward=True)
        return _unwrapped(new), value

    def compute_grad(
        self, objective_fn: Objective, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[NDArray[np.float64], ...]:
        """Approximate the gradient, in one batch.

        Args:
            objective_fn: returns one real number.
            args: its arguments.
            kwargs: further arguments, never trained.

        Returns:
            One array per trainable array, of its shape.
        """
        evaluator = Evaluator(objective_fn, kwargs, self.mode)
        return tuple(self._gradient(evaluator, self._parameters(args), False)[0])

    def apply_grad(self, grad: Sequence[ArrayLike], args: tuple[Any, ...]) -> list[Any]:
        """Move the trainable arguments against a gradient and back within bounds.

        Args:
            grad: one array per trainable array, of its shape.
            args: the objective's arguments.

        Returns:
            The new arguments.
        """
        self.ak = self._step_size()
        parameters = self._parameters(args)
        new = [
            self.constraints.clip(value - self.ak * np.asarray(g, dtype=np.float64))
            for value, g in zip(parameters.values, grad, strict=True)
        ]
        return self.constraints.project(parameters, new)

    def calibrate(
        self,
        objective_fn: Objective,
        *args: Any,
        first_step: float = 2 * np.pi / 10,
        samples: int = 25,
        **kwargs: Any,
    ) -> float:
        """Choose ``a`` so that the first step changes each parameter by ``first_step``.

        On average, that is, over random perturbations at ``args``; all in one batch of
        ``2 * samples`` evaluations. As in Kandala et al., Nature 549, 242 (2017), supplement.

        Args:
            objective_fn: the objective that will be trained.
            *args: where training starts.
            first_step: wanted change of a parameter (radians, for angles).
            samples: pairs of evaluations.
            **kwargs: further arguments of the objective.

        Returns:
            The new ``a``.
        """
        first_step = checks.check_number("first_step", first_step, above=0)
        samples = checks.check_count("samples", samples)
        parameters = self._parameters(args)
        evaluator = Evaluator(objective_fn, kwargs, self.mode)
        before = self._rng.bit_generator.state
        try:
            estimates, _ = self._estimates(evaluator, parameters, samples, self.c, False)
            sizes = [np.abs(slope).ravel() for estimate in estimates for slope in estimate]
        except BaseException:
            self._rng.bit_generator.state = before
            raise
        mean = float(np.mean(np.concatenate(sizes)))
        if mean == 0:
            logger.warning("The objective is flat at the start; a stays %g.", self.a)
        else:
            self.a = first_step / mean * (self.A + 1) ** self.alpha
            self.ak = self._step_size()
        return float(self.a)

    def averaged(self, *args: Any) -> Any:
        """Return the mean of the last iterates, in the form of ``args``.

        Averaging of iterates: Polyak and Juditsky, SIAM J. Control Optim. 30, 838 (1992).

        Args:
            *args: the arguments that :meth:`step` returned last.

        Returns:
            As :meth:`step`; the arguments themselves if no step was taken yet.
        """
        parameters = self._parameters(args)
        if not self._iterates:
            return _unwrapped(list(args))
        mean = [
            np.asarray(np.mean(leaf, axis=0), dtype=np.float64)
            for leaf in zip(*self._iterates, strict=True)
        ]
        return _unwrapped(parameters.rebuild(mean))

    # ------------------------------------------------------------------ gains and directions

    def _step_size(self) -> float:
        """Return the gain a_k of the current step."""
        return float(self.a / (self.A + self.k) ** self.alpha)

    def _perturbation_size(self) -> float:
        """Return the gain c_k of the current step."""
        return float(self.c / self.k**self.gamma)

    def _direction(self, parameters: Parameters) -> Arrays:
        """Return a random sign for every parameter."""
        return [self._rng.choice((-1.0, 1.0), size=v.shape) for v in parameters.values]

    # ------------------------------------------------------------------ one step

    def _step(
        self,
        objective_fn: Objective,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        forward: bool,
    ) -> tuple[list[Any], Any]:
        """Return the new arguments, and the value before the step (None unless ``forward``)."""
        evaluator = Evaluator(objective_fn, kwargs, self.mode)
        before = self._rng.bit_generator.state, self.ak
        try:
            parameters = self._parameters(args)
            grad, value = self._gradient(evaluator, parameters, forward or self.blocking)
            new = self.apply_grad(grad, args)
            if self.blocking:
                new = self._accepted(evaluator, list(parameters.args), as_loss(value), new)
        except BaseException:
            self._rng.bit_generator.state, self.ak = before
            raise
        self.k += 1
        if self._iterates.maxlen:
            self._iterates.append(self._parameters(tuple(new)).values)
        return new, value

    def _gradient(
        self, evaluator: Evaluator, parameters: Parameters, forward: bool
    ) -> tuple[Arrays, Any]:
        """Return the mean of the step's estimates, shortened, and the value before the step."""
        estimates, value = self._estimates(
            evaluator, parameters, self.resamplings, self._perturbation_size(), forward
        )
        grad = [np.zeros_like(v) for v in parameters.values]
        for estimate in estimates:
            for total, slope in zip(grad, estimate, strict=True):
                total += slope / len(estimates)
        if self.max_norm is not None:
            norm = float(np.sqrt(sum(float(np.sum(g * g)) for g in grad)))
            if norm > self.max_norm:
                grad = [g * (self.max_norm / norm) for g in grad]
        return grad, value

    def _estimates(
        self, evaluator: Evaluator, parameters: Parameters, count: int, ck: float, forward: bool
    ) -> tuple[list[Arrays], Any]:
        """Return estimates of the gradient, from a pair of points each, all in one batch."""
        directions = [self._direction(parameters) for _ in range(count)]
        points = []
        for direction in directions:
            for sign in (ck, -ck):
                moved = [v + sign * d for v, d in zip(parameters.values, direction, strict=True)]
                points.append(parameters.rebuild([self.constraints.clip(m) for m in moved]))
        if forward:
            points.append(list(parameters.args))
        values = evaluator(points)
        losses = [as_loss(value) for value in values]
        estimates = [
            [
                self.constraints.slope(losses[2 * i] - losses[2 * i + 1], v, ck * d)
                for v, d in zip(parameters.values, direction, strict=True)
            ]
            for i, direction in enumerate(directions)
        ]
        return estimates, values[-1] if forward else None

    def _accepted(
        self, evaluator: Evaluator, old: list[Any], old_loss: float, new: list[Any]
    ) -> list[Any]:
        """Return the new arguments, or the old ones if the loss rose too much."""
        new_loss = as_loss(evaluator([new])[0])
        self._losses.append(old_loss)
        allowed = self.allowed_increase
        if allowed is None:
            allowed = 2.0 * float(np.std(self._losses))
        if new_loss <= old_loss + allowed:
            return new
        self.rejected += 1
        return old

    def _parameters(self, args: tuple[Any, ...]) -> Parameters:
        return Parameters(args, self.argnums)

    # ------------------------------------------------------------------ state

    def _settings(self) -> dict[str, Any]:
        bounds = self.constraints.bounds
        return {
            "resamplings": self.resamplings,
            "blocking": self.blocking,
            "allowed_increase": self.allowed_increase,
            "history_length": self._losses.maxlen,
            "bounds": None if bounds is None else [bound.tolist() for bound in bounds],
            "max_norm": self.max_norm,
            "average": self._iterates.maxlen,
            "argnums": None if self.argnums is None else list(self.argnums),
        }

    def _capture(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            "rng": plain_rng_state(self._rng.bit_generator.state),
            "losses": list(self._losses),
            "iterates": [[to_plain(leaf) for leaf in leaves] for leaves in self._iterates],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        values = {
            **{name: state[name] for name in _NUMBERS},
            "_rng": generator(state["rng"]),
            "_losses": deque(state["losses"], maxlen=self._losses.maxlen),
            "_iterates": deque(
                ([from_plain(leaf) for leaf in leaves] for leaves in state["iterates"]),
                maxlen=self._iterates.maxlen,
            ),
        }
        for name, value in values.items():
            setattr(self, name, value)


_NUMBERS = ("k", "a", "A", "c", "alpha", "gamma", "ak", "rejected")


def _average_length(average: float | None, maxiter: float | None) -> int:
    """Return how many iterates to keep."""
    if average is None:
        return 0
    steps: float = checks.check_number("average", average, above=0)
    if steps >= 1:
        return round(steps)
    if maxiter is None:
        raise ConfigurationError(f"average={average} is a fraction of maxiter; give maxiter too.")
    return max(1, round(steps * maxiter))


def _unwrapped(args: list[Any]) -> Any:
    return args[0] if len(args) == 1 else args
