"""SPSA, all of a step's evaluations in one batch: a drop-in for ``qml.SPSAOptimizer``."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pennylane as qml
from numpy.typing import ArrayLike, NDArray

from pennylane_qstore import validation as checks
from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import evaluate
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import (
    Arrays,
    Parameters,
    as_loss,
    check_scalar,
    from_plain,
    to_plain,
    without_graphs,
)

logger = logging.getLogger(__name__)

Objective = Callable[..., Any]
Mode = Literal["deferred", "tasks", "serial"]

_STATE_VERSION = 1


class SPSAOptimizer(qml.SPSAOptimizer):  # type: ignore[misc]
    r"""Simultaneous perturbation stochastic approximation; one request a step.

    A drop-in for :class:`qml.SPSAOptimizer <pennylane.SPSAOptimizer>` with the same gain
    sequences :math:`a_k = a / (A + k)^\alpha` and :math:`c_k = c / k^\gamma`. The
    perturbed evaluations of a step, and the forward value of ``step_and_cost``, run as
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
        checks.check_one_of("mode", mode, ("deferred", "tasks", "serial"))
        usable = projection is None or callable(projection)
        checks.check("projection", projection, usable, "a function, or None")
        history_length = checks.check_count("history_length", history_length, least=2)
        self.resamplings = checks.check_count("resamplings", resamplings)
        self.blocking = checks.check_flag("blocking", blocking)
        self.allowed_increase = number("allowed_increase", allowed_increase, optional=True)
        self.bounds = None if bounds is None else checks.check_bounds(bounds)
        self.projection = projection
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

        Returns:
            One array per trainable array, of its shape.
        """
        return tuple(self._gradient(objective_fn, self._parameters(args), kwargs, False)[0])

    def apply_grad(self, grad: Sequence[ArrayLike], args: tuple[Any, ...]) -> list[Any]:
        """Move the trainable arguments against a gradient and back within bounds.

        Returns:
            The new arguments.
        """
        self.ak = self.a / (self.A + self.k) ** self.alpha
        parameters = self._parameters(args)
        new = [
            self._clipped(value - self.ak * np.asarray(g, dtype=np.float64))
            for value, g in zip(parameters.values, grad, strict=True)
        ]
        return self._projected(parameters, new)

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
        ``2 * samples`` evaluations.

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
        before = self._rng.bit_generator.state
        try:
            deltas = [self._delta(parameters) for _ in range(samples)]
            losses, _ = self._evaluate(objective_fn, parameters, kwargs, deltas, self.c, False)
            slopes = [
                np.abs(self._slope(plus - minus, v, self.c * d)).ravel()
                for delta, (plus, minus) in zip(deltas, losses, strict=True)
                for v, d in zip(parameters.values, delta, strict=True)
            ]
        except BaseException:
            self._rng.bit_generator.state = before
            raise
        slope = float(np.mean(np.concatenate(slopes)))
        if slope == 0:
            logger.warning("The objective is flat at the start; a stays %g.", self.a)
        else:
            self.a = first_step / slope * (self.A + 1) ** self.alpha
            self.ak = self.a / (self.A + self.k) ** self.alpha
        return float(self.a)

    def averaged(self, *args: Any) -> Any:
        """The mean of the last iterates, in the form of ``args``.

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

    def state_dict(self) -> dict[str, Any]:
        """Everything that a continued run depends on; plain Python, ready for JSON."""
        return {
            "version": _STATE_VERSION,
            "settings": self._settings(),
            **{name: getattr(self, name) for name in _NUMBERS},
            "rng": _plain_chance(self._rng.bit_generator.state),
            "losses": list(self._losses),
            "iterates": [[to_plain(leaf) for leaf in leaves] for leaves in self._iterates],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken, bit for bit.

        Raises:
            ConfigurationError: the state is of another version or of other settings.
        """
        version = state.get("version") if isinstance(state, Mapping) else None
        if version != _STATE_VERSION:
            raise ConfigurationError(
                f"The optimizer state has version {version!r}; "
                f"this release reads version {_STATE_VERSION}."
            )
        try:
            saved, mine = dict(state["settings"]), self._settings()
            if saved != mine:
                differ = {k: mine.get(k) for k in (*mine, *saved) if saved.get(k) != mine.get(k)}
                raise ConfigurationError(
                    f"The optimizer state was saved with {saved}, but this optimizer has "
                    f"{differ}; make it with the settings that were saved."
                )
            self._restore(state)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"The optimizer state is damaged ({type(error).__name__}: {error}); the optimizer "
                "is as it was."
            ) from error

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state of the same settings, all of it or nothing."""
        kept = {
            **{name: state[name] for name in _NUMBERS},
            "_rng": _generator(state["rng"]),
            "_losses": deque(state["losses"], maxlen=self._losses.maxlen),
            "_iterates": deque(
                ([from_plain(leaf) for leaf in leaves] for leaves in state["iterates"]),
                maxlen=self._iterates.maxlen,
            ),
        }
        for name, value in kept.items():
            setattr(self, name, value)

    # ------------------------------------------------------------------ one step

    def _step(
        self,
        objective_fn: Objective,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        forward: bool,
    ) -> tuple[list[Any], Any]:
        before = self._rng.bit_generator.state, self.ak
        try:
            parameters = self._parameters(args)
            grad, value = self._gradient(objective_fn, parameters, kwargs, forward or self.blocking)
            new = self.apply_grad(grad, args)
            if self.blocking:
                new = self._accepted(
                    objective_fn, list(parameters.args), as_loss(value), new, kwargs
                )
        except BaseException:
            self._rng.bit_generator.state, self.ak = before
            raise
        self.k += 1
        if self._iterates.maxlen:
            self._iterates.append(self._parameters(tuple(new)).values)
        return new, value

    def _gradient(
        self,
        objective_fn: Objective,
        parameters: Parameters,
        kwargs: Mapping[str, Any],
        forward: bool,
    ) -> tuple[Arrays, Any]:
        ck = self.c / self.k**self.gamma
        deltas = [self._delta(parameters) for _ in range(self.resamplings)]
        losses, value = self._evaluate(objective_fn, parameters, kwargs, deltas, ck, forward)
        grad = [np.zeros_like(v) for v in parameters.values]
        for delta, (plus, minus) in zip(deltas, losses, strict=True):
            for g, d, v in zip(grad, delta, parameters.values, strict=True):
                g += self._slope(plus - minus, v, ck * d) / len(deltas)
        return self._shortened(grad), value

    def _delta(self, parameters: Parameters) -> Arrays:
        """A random sign for every parameter."""
        return [self._rng.choice((-1.0, 1.0), size=v.shape) for v in parameters.values]

    def _evaluate(
        self,
        objective_fn: Objective,
        parameters: Parameters,
        kwargs: Mapping[str, Any],
        deltas: Sequence[Arrays],
        ck: float,
        forward: bool,
    ) -> tuple[list[tuple[float, float]], Any]:
        points = []
        for delta in deltas:
            for sign in (ck, -ck):
                moved = [v + sign * d for v, d in zip(parameters.values, delta, strict=True)]
                points.append(parameters.rebuild([self._clipped(m) for m in moved]))
        if forward:
            points.append(list(parameters.args))
        values = self._values(objective_fn, points, kwargs)
        losses = [as_loss(value) for value in values]
        pairs = list(zip(losses[0 : 2 * len(deltas) : 2], losses[1::2], strict=False))
        return pairs, values[-1] if forward else None

    def _values(
        self, objective_fn: Objective, points: Sequence[list[Any]], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        def call(point: list[Any]) -> Any:
            value = objective_fn(*without_graphs(point), **kwargs)
            check_scalar(value)  # of a deferred value, before anything is sent
            return value

        if self.mode == "serial":
            # One after another also where somebody collects: inside deferred().
            return [real(call(point)) for point in points]
        return evaluate(*(partial(call, point) for point in points), lazy=self.mode == "deferred")

    def _accepted(
        self,
        objective_fn: Objective,
        old: list[Any],
        here: float,
        new: list[Any],
        kwargs: Mapping[str, Any],
    ) -> list[Any]:
        """The new arguments, or the old ones if the loss rose too much."""
        there = as_loss(self._values(objective_fn, [new], kwargs)[0])
        self._losses.append(here)
        allowed = self.allowed_increase
        if allowed is None:
            allowed = 2.0 * float(np.std(self._losses))
        if there <= here + allowed:
            return new
        self.rejected += 1
        return old

    def _slope(
        self, difference: float, value: NDArray[np.float64], shift: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self.bounds is None:
            return difference / (2 * shift)
        # At a bound the points are nearer to each other than 2 c; on it, if it has no width,
        # they are one.
        gap = self._clipped(value + shift) - self._clipped(value - shift)
        return np.divide(difference, gap, out=np.zeros_like(gap), where=gap != 0)

    def _shortened(self, grad: Arrays) -> Arrays:
        if self.max_norm is None:
            return grad
        norm = float(np.sqrt(sum(float(np.sum(g * g)) for g in grad)))
        return [g * (self.max_norm / norm) for g in grad] if norm > self.max_norm else grad

    def _clipped(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.bounds is None:
            return value
        shapes = [bound.shape for bound in self.bounds]
        checks.check(
            "bounds",
            self.bounds,
            _fits(shapes, value.shape),
            f"numbers, or arrays that broadcast to parameters of shape {value.shape}",
        )
        return np.clip(value, *self.bounds)

    def _projected(self, parameters: Parameters, values: Arrays) -> list[Any]:
        args = parameters.rebuild(values)
        if self.projection is None:
            return args
        projected = self.projection(*args)
        found = parameters.read([projected] if len(args) == 1 else projected)
        if found is None or not all(np.all(np.isfinite(v)) for v in found):
            raise ConfigurationError(
                f"The projection returned {projected!r}; it has to return finite parameters of "
                f"the form it was given: {_unwrapped(args)!r}."
            )
        return parameters.rebuild(found)

    def _parameters(self, args: tuple[Any, ...]) -> Parameters:
        return Parameters(args, self.argnums)

    def _settings(self) -> dict[str, Any]:
        return {
            "resamplings": self.resamplings,
            "blocking": self.blocking,
            "allowed_increase": self.allowed_increase,
            "history_length": self._losses.maxlen,
            "bounds": None if self.bounds is None else [bound.tolist() for bound in self.bounds],
            "max_norm": self.max_norm,
            "average": self._iterates.maxlen,
            "argnums": None if self.argnums is None else list(self.argnums),
        }


_NUMBERS = ("k", "a", "A", "c", "alpha", "gamma", "ak", "rejected")


def _fits(shapes: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(*shapes, shape) == shape
    except ValueError:
        return False


def _average_length(average: float | None, maxiter: float | None) -> int:
    """Return how many iterates to keep."""
    if average is None:
        return 0
    steps = checks.check_number("average", average, above=0)
    if steps >= 1:
        return round(steps)
    if maxiter is None:
        raise ConfigurationError(f"average={average} is a fraction of maxiter; give maxiter too.")
    return max(1, round(steps * maxiter))


def _unwrapped(args: list[Any]) -> Any:
    return args[0] if len(args) == 1 else args


def _plain_chance(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {key: _plain_chance(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _generator(state: Mapping[str, Any]) -> np.random.Generator:
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)
