r"""Rotations moved through entanglers, so that fewer pulses are left: the 1q rule for MS and ZZ.

An MS gate commutes, at every angle, with rotations about its own axis. In the frame where
that axis is X, RX(c) may be moved from one run to the next on the same wire: run i becomes
:math:`V_i = RX(c_{i+1}) U_i RX(-c_i)` with :math:`c_0 = c_{k+1} = 0`. With M the yz-block of
U_i as a rotation in space,

.. math:: F_i = (\sin c_{i+1}, \cos c_{i+1})\, M_i\, (\sin c_i, \cos c_i)^T

is the cosine of the angle by which V_i tilts Z, and V_i costs, RZ being virtual, no pulse
(F = 1), one GPi (F = -1), one GPi2 (F = 0) or two GPi2. A wire with k generic MS gates is
left with k+2 pulses, against 2(k+1) without pushing; constants do better.

The plan is structural: each c is a constant, or follows from its neighbour (forward or
backward) so that a run costs one pulse less, or is the Euler angle that frees a run. All of
it vectorises over rows of parameters. For ZZ only half turns can move: they flip the sign of
the angles they pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray
from pennylane_qstore.native.su2 import so3

_TOL = 1e-7
_MAX_CANDIDATES = 240

Kind = Literal["const", "forward", "backward", "euler"]


class PushRule(NamedTuple):
    """Rule for a pushed angle c: its kind, and a constant (radians) that is added."""

    kind: Kind
    offset: float


def plan_ms(runs: Sequence[ComplexArray], constant: Sequence[bool]) -> list[PushRule]:
    """Return the rules for c_0 .. c_{k+1} that leave the fewest pulses at one sample of the runs.

    Args:
        runs: the k+1 runs in time order at the sample, 2x2 unitaries, entanglers about X.
        constant: for each run, whether it is independent of the parameters.

    Returns:
        k+2 rules.
    """
    rotations = [so3(u) for u in runs]
    angles = _fewest_pulses(rotations)
    return _rules(rotations, angles, constant)


def chain(k: int) -> list[PushRule]:
    """Return the rules that fit any runs: each run but the last is left with one pulse."""
    return [
        PushRule("const", 0.0),
        *(PushRule("forward", np.pi / 2) for _ in range(k)),
        PushRule("const", 0.0),
    ]


def plan_zz(runs: Sequence[ComplexArray]) -> list[PushRule]:
    """Return rules of constant angles, each 0 or π, that leave the fewest GPi at one sample."""
    tilts = [so3(u)[2, 2] for u in runs]
    k = len(runs) - 1
    cost = np.array([0.0, np.inf])
    back: list[list[int]] = []
    for i, tilt in enumerate(tilts):
        following, choice = [], []
        for state in (0, 1):
            options = [
                cost[before] + _tilt_cost(tilt * (1 if state == before else -1)) + 1e-6 * state
                for before in (0, 1)
            ]
            if i == k and state == 1:
                options = [np.inf, np.inf]
            choice.append(int(np.argmin(options)))
            following.append(min(options))
        cost = np.array(following)
        back.append(choice)
    states = [0]
    for choice in reversed(back):
        states.append(choice[states[-1]])
    return [PushRule("const", np.pi * state) for state in reversed(states)]


def _tilt_cost(f: float) -> int:
    """Pulses of a run by the cosine of its tilt."""
    if f > 1 - 1e-9:
        return 0
    return 1 if f < -1 + 1e-9 or abs(f) < _TOL else 2


def _fewest_pulses(rotations: Sequence[FloatArray]) -> list[float]:
    """Shortest path over candidate angles, layer by layer."""
    layers = _candidates(rotations)
    cost = np.zeros(1)
    back = []
    for i, m in enumerate(rotations):
        left, right = layers[i], layers[i + 1]
        f = np.stack([np.sin(right), np.cos(right)], 1) @ m[1:, 1:]
        f = f @ np.stack([np.sin(left), np.cos(left)])
        pulses = np.full(f.shape, 2.0)
        pulses[(np.abs(f) < _TOL) | (f < -1 + 1e-9)] = 1
        pulses[f > 1 - 1e-9] = 0
        # Small angles first among equals: c = 0 saves the binder a multiplication.
        ties = 1e-6 * np.minimum(right, 2 * np.pi - right)
        total = pulses + cost[None, :] + ties[:, None]
        choice = total.argmin(axis=1)
        back.append(choice)
        cost = total[np.arange(len(right)), choice]
    at = int(cost.argmin())
    angles = [float(layers[-1][at])]
    for i in range(len(rotations) - 1, -1, -1):
        at = int(back[i][at])
        angles.append(float(layers[i][at]))
    return angles[::-1]


def _candidates(rotations: Sequence[FloatArray]) -> list[FloatArray]:
    """Angles worth trying at each place.

    0 and π/2, the Euler angles that free a run, and whatever follows from them through a run
    at F = 0 or |F| = 1, both ways; closed under half a turn.
    """
    k = len(rotations) - 1
    sets: list[list[float]] = [[] for _ in range(k + 2)]
    sets[0] = sets[k + 1] = [0.0]
    for i in range(1, k + 1):
        sets[i] = [0.0, np.pi / 2]
    for i, m in enumerate(rotations):
        u, _, vh = np.linalg.svd(m[1:, 1:])
        if i >= 1:
            sets[i].append(float(np.arctan2(vh[0, 0], vh[0, 1])))
        if i < k:
            sets[i + 1].append(float(np.arctan2(u[0, 0], u[1, 0])))
    for i in range(k):
        sets[i + 1] = _distinct([*sets[i + 1], *_propagated(rotations[i], sets[i])])
    for i in range(k, 0, -1):
        sets[i] = _distinct([*sets[i], *_propagated(rotations[i].T, sets[i + 1])])
    layers = [np.array([0.0])]
    for i in range(1, k + 1):
        half = np.array(sets[i])
        layers.append(np.concatenate([half, half + np.pi]))
    return [*layers, np.array([0.0])]


def _propagated(m: FloatArray, angles: Sequence[float]) -> list[float]:
    """Angles on the far side of a run for which it costs one pulse, or none."""
    c = np.array(angles)
    w = m @ np.stack([np.zeros_like(c), np.sin(c), np.cos(c)])
    reach = np.hypot(w[1], w[2])
    onward = np.arctan2(w[1], w[2])
    keep = reach > _TOL
    one = onward[keep] + np.pi / 2
    none = onward[keep & (np.abs(w[0]) < _TOL)]
    return [*one, *none]


def _distinct(angles: Sequence[float]) -> list[float]:
    """Angles modulo half a turn, without repeats, not too many."""
    c = np.mod(np.array(angles) + 1e-9, np.pi)
    _, first = np.unique(np.round(c / 1e-7), return_index=True)
    return [float(c[i] - 1e-9) for i in sorted(first)[:_MAX_CANDIDATES]]


def _rules(
    rotations: Sequence[FloatArray], angles: Sequence[float], constant: Sequence[bool]
) -> list[PushRule]:
    """Explain the planned angles by their neighbours, so that other rows can follow."""
    k = len(rotations) - 1
    rules: list[PushRule | None] = [None] * (k + 2)
    rules[0] = rules[k + 1] = PushRule("const", 0.0)
    costs = [
        _tilt_cost(float(_vector(angles[i + 1]) @ m @ _vector(angles[i])))
        for i, m in enumerate(rotations)
    ]
    while True:
        _explain(rules, rotations, angles, costs)
        open_ = [i for i, rule in enumerate(rules) if rule is None]
        if not open_:
            return [rule for rule in rules if rule is not None]
        for i in open_:
            if costs[i] == 0 and not constant[i] and (rule := _euler(rotations[i], angles[i])):
                rules[i] = rule
                break
        else:
            rules[open_[0]] = PushRule("const", angles[open_[0]])


def _explain(
    rules: list[PushRule | None],
    rotations: Sequence[FloatArray],
    angles: Sequence[float],
    costs: Sequence[int],
) -> None:
    changed = True
    while changed:
        changed = False
        for i, m in enumerate(rotations):
            for known, new, kind, r in ((i, i + 1, "forward", m), (i + 1, i, "backward", m.T)):
                if rules[known] is None or rules[new] is not None or costs[i] == 2:
                    continue
                w = r @ _vector(angles[known])
                if np.hypot(w[1], w[2]) < 1e-6:
                    continue
                offset = angles[new] - np.arctan2(w[1], w[2])
                quarter = np.round(offset / (np.pi / 2))
                if abs(offset - quarter * np.pi / 2) < 1e-6:
                    snapped = float(quarter % 4 * np.pi / 2)
                    rules[new] = PushRule("forward" if kind == "forward" else "backward", snapped)
                    changed = True


def _euler(m: FloatArray, angle: float) -> PushRule | None:
    """The right X angle of the run as RX·RZ·RX, if that is what was planned."""
    if abs(m[0, 0]) > 1 - 1e-6:
        return None
    offset = angle - np.arctan2(-m[0, 2], m[0, 1])
    halves = np.round(offset / np.pi)
    if abs(offset - halves * np.pi) > 1e-6:
        return None
    return PushRule("euler", float(halves % 2 * np.pi))


def _vector(c: float) -> FloatArray:
    return np.array([0.0, np.sin(c), np.cos(c)])
