"""SPSA, all of a step's evaluations in one batch: a drop-in for ``qml.SPSAOptimizer``."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pennylane as qml
from numpy.typing import ArrayLike, NDArray

from pennylane_qstore import validation as checks
from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.constraints import Constraints
from pennylane_qstore.training.evaluation import MODES, Evaluator, Mode
from pennylane_qstore.training.optimizer_state import (
    ResumableOptimizer,
    as_json,
    call_text,
)
from pennylane_qstore.training.parameters import Arrays, Parameters, as_loss, from_plain, to_plain
from pennylane_qstore.training.perturbations import (
    Gradient,
    draw_directions,
    estimate_gradient,
    shortened,
)
from pennylane_qstore.training.row_steps import RowSteps
from pennylane_qstore.training.rows import RowEvaluator
from pennylane_qstore.training.step_rule import (
    FIRST_STEP,
    StepRule,
    most_directions,
    perturbation_size,
)
from pennylane_qstore.training.values import generator

logger = logging.getLogger(__name__)

Source = Evaluator | RowEvaluator
Directions = Literal["shared", "per-sample", "auto"]
_DIRECTIONS = (None, "shared", "per-sample", "auto")
_PERTURBATION = 0.2  # of the stock optimizer
_HOW_PER_SAMPLE = (
    'directions="per-sample" needs model, loss and data apart: write opt.step_rows(model, loss, '
    "params, x, y), or TrainingRun(model, params, opt, loss=loss, data=(x, y)), where the loss is "
    'the mean over rows. A cost alone is trained with directions="shared".'
)


class SPSAOptimizer(RowSteps, ResumableOptimizer, qml.SPSAOptimizer):  # type: ignore[misc]
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

    Where model, loss and data are known apart (:meth:`step_rows`, ``TrainingRun(..., loss=,
    data=)``) each sample can have a random direction of its own, which averages the directions out
    at no further circuit, and the sizes of steps and perturbations come from the steps
    themselves (:mod:`~pennylane_qstore.training.step_rule`); ``a`` and ``c``, if given, or
    :meth:`calibrate` take their place.

    Args:
        maxiter: expected number of steps; sets ``A`` to a tenth of it.
        alpha: exponent of the step size.
        gamma: exponent of the perturbation.
        c: size of the first perturbation (radians, for angles); 0.2, or chosen by the number of
            parameters where the step size is.
        A: stability constant, in steps.
        a: scale of the step size; see also :meth:`calibrate`.
        seed: of the perturbations; an int, a ``numpy.random.Generator`` or None.
        resamplings: directions a step (a sample, if each has its own), whose gradients are
            averaged; all in one batch. ``"auto"`` takes as many as the measured variance asks for.
        directions: ``"shared"``, one random direction for all samples; ``"per-sample"``; or
            ``"auto"``, a direction a sample while the measured variances favour it, then shared.
            By default ``"shared"`` in :meth:`step`, and ``"auto"`` where model, loss and data
            are known apart. A cost alone has shared directions, with ``"auto"`` in chosen steps.
        first_step: root mean square change of a parameter in the first step, where step sizes
            are chosen (radians, for angles).
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
            a fraction of the steps made if it is below 1 (of ``maxiter`` at most).
        argnums: positions of the trained arguments, instead of the rule above.
        mode: ``"deferred"``; ``"tasks"`` for no deferred results (a batch per call in a loop,
            common to all evaluations); ``"serial"`` for one evaluation after another.

    **Example**

    >>> opt = qstore.SPSAOptimizer(maxiter=100, seed=1)
    >>> weights, loss = opt.step_and_cost(cost, weights)
    """

    later_settings = ("directions", "first_step", "c")
    a: float
    A: float
    ak: float
    k: int

    def __init__(
        self,
        maxiter: int | None = None,
        alpha: float = 0.602,
        gamma: float = 0.101,
        c: float | None = None,
        A: float | None = None,
        a: float | None = None,
        *,
        seed: int | np.random.Generator | None = None,
        resamplings: int | Literal["auto"] = 1,
        directions: Directions | None = None,
        first_step: float = FIRST_STEP,
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
            maxiter=number("maxiter", maxiter, above=0, optional=True),
            alpha=number("alpha", alpha),
            gamma=number("gamma", gamma),
            c=_PERTURBATION if c is None else number("c", c, above=0),
            A=number("A", A, least=0, optional=True),
            a=number("a", a, above=0, optional=True),
        )
        self.given = {"maxiter": maxiter, "alpha": alpha, "gamma": gamma, "A": A, "a": a}
        known = int(seed) if isinstance(seed, int | np.integer) else None
        self.given |= {"c": self.c, "seed": known}
        """Arguments that the state replaces; a run goes on with the same ones only."""
        checks.check_one_of("mode", mode, MODES)
        history_length = checks.check_count("history_length", history_length, least=2)
        self.resamplings = _checked_resamplings(resamplings)
        self.directions = checks.check_one_of("directions", directions, _DIRECTIONS)
        self.first_step = number("first_step", first_step, above=0)
        self.gradient: Gradient | None = None
        """The last step's gradient and its variance, one array per trainable array."""
        self.blocking = checks.check_flag("blocking", blocking)
        self.allowed_increase = number("allowed_increase", allowed_increase, optional=True)
        self.constraints = Constraints(bounds, projection)
        self.max_norm = number("max_norm", max_norm, above=0, optional=True)
        self.argnums = None if argnums is None else checks.check_positions(argnums)
        self.mode = mode
        self.step_size: float | None = None
        """Change per unit of the gradient; None for that of the gain sequence."""
        self.rejected = 0
        """Steps that ``blocking`` did not take."""
        self._rng = checks.check_seed(seed)
        self._rule = StepRule()
        self._chooses_gain = a is None  # until calibrate() has chosen it
        self._chooses_c, self._is_sharing, self._by_rule = c is None, False, False
        self._losses: deque[float] = deque(maxlen=history_length)
        self._iterates: deque[Arrays] = deque(maxlen=_average_length(average, maxiter))
        self._average = average

    @also_unmade
    def __repr__(self) -> str:
        return call_text(self, {**self.given, **self._settings(), "average": self._average})

    def step(self, objective_fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
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
        evaluator = Evaluator(objective_fn, kwargs, self.mode)
        return _unwrapped(self._step(evaluator, args, forward=False)[0])

    def step_and_cost(
        self, objective_fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Update the trainable arguments; see :meth:`step`.

        Args:
            objective_fn: returns one real number.
            *args: its arguments.
            **kwargs: further arguments, never trained.

        Returns:
            The new arguments and the objective's value before the step. It comes from the
            same batch.
        """
        evaluator = Evaluator(objective_fn, kwargs, self.mode)
        new, value = self._step(evaluator, args, forward=True)
        return _unwrapped(new), value

    def compute_grad(
        self, objective_fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
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
        parameters = self._parameters(args)
        gradient, _ = self._measure(evaluator, parameters, False)
        return tuple(shortened(gradient.mean, self.max_norm))

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
        objective_fn: Callable[..., Any],
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
            slopes, _ = self._slopes(evaluator, parameters, samples, self.c, False)
            sizes = [np.abs(slope).ravel() for slope in slopes]
        except BaseException:
            self._rng.bit_generator.state = before
            raise
        mean = float(np.mean(np.concatenate(sizes)))
        if mean == 0:
            logger.warning("The objective is flat at the start; a stays %g.", self.a)
        else:
            self._chooses_gain = self._by_rule = False
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
        iterates = list(self._iterates)
        if self._average is not None and self._average < 1:
            iterates = iterates[-max(1, round(self._average * (self.k - 1))) :]
        mean = [
            np.asarray(np.mean(leaf, axis=0), dtype=np.float64)
            for leaf in zip(*iterates, strict=True)
        ]
        return _unwrapped(parameters.rebuild(mean))

    # ------------------------------------------------------------------ gains and directions

    def _step_size(self) -> float:
        """Return the gain a_k of the current step."""
        if self.step_size is not None:
            return self.step_size
        if self._by_rule and self.gradient is not None:
            decay = ((self.A + 1) / (self.A + self.k)) ** self.alpha
            return self._rule.gain(self.first_step, self.gradient.rms, decay)
        return float(self.a / (self.A + self.k) ** self.alpha)

    def _perturbation_size(self, parameters: Parameters) -> float:
        """Return the gain c_k of the current step."""
        is_chosen = self._by_rule and self._chooses_c
        c = perturbation_size(parameters.count) if is_chosen else self.c
        return float(c / self.k**self.gamma)

    def _count(self, parameters: Parameters, per_sample: bool) -> int:
        """Return the number of directions of the step, of each sample if it has its own."""
        if self.resamplings != "auto":
            return int(self.resamplings)
        return self._rule.directions(parameters.count, most_directions(per_sample))

    # ------------------------------------------------------------------ one step

    def _step(self, source: Source, args: tuple[Any, ...], forward: bool) -> tuple[list[Any], Any]:
        """Return the new arguments, and the value before the step (None for a cost without it)."""
        if isinstance(source, Evaluator) and self.directions == "per-sample":
            raise ConfigurationError(_HOW_PER_SAMPLE)
        before = self._rng.bit_generator.state, self.ak, self.gradient, self._rule, self._by_rule
        in_rows = isinstance(source, RowEvaluator) and self.directions != "shared"
        try:
            self._by_rule = self._chooses_gain and (in_rows or self.directions == "auto")
            parameters = self._parameters(args)
            self.gradient, value = self._measure(source, parameters, forward or self.blocking)
            trial = isinstance(source, RowEvaluator) and not source.each and not self.is_sharing
            self._rule = self._rule.updated(self.gradient, trial=trial)
            new = self.apply_grad(shortened(self.gradient.mean, self.max_norm), args)
            if self.blocking:
                new = self._accepted(source, list(parameters.args), as_loss(value), new)
        except BaseException:
            state, self.ak, self.gradient, self._rule, self._by_rule = before
            self._rng.bit_generator.state = state
            raise
        self.k += 1
        if self.directions != "per-sample" and self._rule.favours_shared and not self._is_sharing:
            logger.info("Samples share directions from here on: the variance is smaller.")
            self._is_sharing = True
        if self._iterates.maxlen:
            self._iterates.append(self._parameters(tuple(new)).values)
        return new, value

    def _measure(
        self, source: Source, parameters: Parameters, forward: bool
    ) -> tuple[Gradient, Any]:
        """Return the gradient, and the loss: where we are, or the mean of the points' losses."""
        by_rows = isinstance(source, RowEvaluator) and not self.is_sharing
        pairs = count = self._count(parameters, by_rows)
        each = 0
        if isinstance(source, RowEvaluator):
            if by_rows and not self._tries_shared(source, parameters):
                each, pairs = count, count * source.rows
            source.each = each
        size = self._perturbation_size(parameters)
        slopes, value = self._slopes(source, parameters, pairs, size, forward)
        return estimate_gradient(slopes, each), value

    def _tries_shared(self, rows: RowEvaluator, parameters: Parameters) -> bool:
        return self.directions != "per-sample" and self._rule.tries_shared(
            parameters.count, rows.rows, rows.total
        )

    def _slopes(
        self,
        source: Source,
        parameters: Parameters,
        pairs: int,
        size: float,
        forward: bool,
    ) -> tuple[Arrays, Any]:
        """Return slopes along random directions, all in one batch, and the loss."""
        values, constraints = parameters.values, self.constraints
        shifts = [size * d for d in draw_directions(self._rng, values, pairs)]
        points = [constraints.pairs(v, s) for v, s in zip(values, shifts, strict=True)]
        losses, here = source.losses(parameters, points, forward)
        slopes = [
            constraints.slopes(losses[::2] - losses[1::2], v, s)
            for v, s in zip(values, shifts, strict=True)
        ]
        return slopes, here if forward else float(np.mean(losses))

    def _accepted(
        self, source: Source, old: list[Any], old_loss: float, new: list[Any]
    ) -> list[Any]:
        """Return the new arguments, or the old ones if the loss rose too much."""
        new_loss = source.loss_at(new)
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
            "directions": self.directions,
            "first_step": self.first_step,
            "c": None if self._chooses_c else self.c,
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
            "chooses_gain": self._chooses_gain,
            "is_sharing": self._is_sharing,
            "rule": asdict(self._rule),
            "rng": as_json(self._rng.bit_generator.state),
            "losses": list(self._losses),
            "iterates": [[to_plain(leaf) for leaf in leaves] for leaves in self._iterates],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        values = {
            **{name: state[name] for name in _NUMBERS},
            # Earlier releases had shared directions and no rule.
            "_chooses_gain": state.get("chooses_gain", False),
            "_is_sharing": state.get("is_sharing", True),
            "_rule": StepRule(**state.get("rule", {})),
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


def _checked_resamplings(resamplings: Any) -> int | str:
    if isinstance(resamplings, str) and resamplings == "auto":
        return resamplings
    return int(checks.check_count("resamplings", resamplings))


def _unwrapped(args: list[Any]) -> Any:
    return args[0] if len(args) == 1 else args
