r"""Fewer entanglers for rotations about Pauli strings that form a path: :func:`turned_over`.

In a path each string anticommutes with its neighbours and commutes with all others: X_0, Z_0 Z_1,
X_1, Z_1 Z_2, ... of an Ising chain; X_0 X_1, Y_1 Y_2, X_2 X_3, ... of an XY chain. Rotations about
them are Givens rotations of neighbouring Majorana modes. Any three :math:`R_i R_{i+1} R_i` are some
:math:`R_{i+1} R_i R_{i+1}` as well, the turnover of Kökcü, Camps et al. ("Algebraic compression of
quantum circuits for Hamiltonian evolution", 2022): both are all of SU(2), by Euler angles. Since
equal neighbours merge besides, words of rotations can be rewritten as words of transpositions are:
to any shortest word of a permutation, among which one with few entanglers is searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.search.gadgets import Gadgets, simplified
from pennylane_qstore.native.search.pauli import anticommuting, weight

_MOST = 600
"""Rotations of a circuit that is looked at: more take too long."""
_WIDTH = 16
"""Words that are looked at further at each step."""

Word = tuple[tuple[int, float], ...]
"""Rotations about strings of a path in time order: place in the path, radians."""


def turned_over(gadgets: Gadgets) -> Gadgets | None:
    """Write rotations about paths of strings with fewer entanglers.

    Args:
        gadgets: rotations; those by parameters stay as they are.

    Returns:
        Gadgets of the same unitary; None where no path gets cheaper.
    """
    found, start = gadgets, 0
    anti = _anti(gadgets)
    looked_at: set[int] = set()
    while start < len(found.angles) <= _MOST:
        members, paths = _window(found, anti, start)
        new = None
        if not looked_at.issuperset(members):
            looked_at.update(members)
            new = _rewritten(found, members, paths)
        if new is None:
            start += 1
        else:
            gone = len(found.angles) - len(new.angles)
            looked_at = set(range(start, start + len(members) - gone))
            found, anti = new, _anti(new)
    return None if found is gadgets else simplified(found)


def cheapest_word(word: Word, costs: Sequence[int]) -> Word:
    """Write rotations about a path as few that cost little.

    Args:
        word: rotations in time order.
        costs: entanglers of a rotation about each string of the path.

    Returns:
        Rotations with the same product, up to its sign.
    """
    short: list[tuple[int, float]] = []
    order = tuple(range(len(costs) + 1))
    for at, angle in word:
        if order[at] > order[at + 1]:  # then a shortest word of this order ends with this string
            _bring(short, at, len(short) - 1)
            short[-1] = at, short[-1][1] + angle
        else:
            order = _exchanged(order, at)
            short.append((at, angle))
    back = tuple(int(i) for i in np.argsort(order))
    forward, backward = _searched(short, order, costs), _searched(short[::-1], back, costs)
    return min(forward, _State(*backward[:3], backward.tail[::-1])).tail


class _State(NamedTuple):
    """A word of which the end is chosen.

    Attributes:
        cost: entanglers of the end.
        waiting: minus the free rotations that may come next.
        angle: total entangling angle of the end, radians.
        tail: the end.
        rest: what stands before it.
        order: its permutation.
    """

    cost: int
    waiting: int
    angle: float
    tail: Word
    rest: tuple[tuple[int, float], ...] = ()
    order: tuple[int, ...] = ()


def _searched(
    word: Sequence[tuple[int, float]], order: tuple[int, ...], costs: Sequence[int]
) -> _State:
    """Choose a shortest word of little cost rotation by rotation, from its end: a beam search."""
    beam = [_State(0, 0, 0.0, (), tuple(word), order)]
    for _ in word:
        following = sorted(_ending(state, at, costs) for state in beam for at in _last(state.order))
        best: dict[tuple[int, ...], _State] = {}
        for state in following:
            best.setdefault(state.order, state)
        beam = list(best.values())[:_WIDTH]
    return beam[0]


def _last(order: Sequence[int]) -> list[int]:
    """Return the strings that a shortest word of a permutation may end with."""
    return [at for at in range(len(order) - 1) if order[at] > order[at + 1]]


def _ending(state: _State, at: int, costs: Sequence[int]) -> _State:
    """Choose a string for the end of what has not been chosen."""
    word = list(state.rest)
    _bring(word, at, len(word) - 1)
    order = _exchanged(state.order, at)
    # A rotation by half a turn is a Pauli.
    angle = abs(math.remainder(word[-1][1], math.pi)) if costs[at] else 0.0
    return _State(
        state.cost + costs[at],
        -sum(not costs[k] for k in _last(order)),
        state.angle + angle,
        (word[-1], *state.tail),
        tuple(word[:-1]),
        order,
    )


def _exchanged(order: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*order[:at], order[at + 1], order[at], *order[at + 2 :])


def _bring(word: list[tuple[int, float]], at: int, end: int) -> None:
    """Make a shortest word up to an index end with a string, with which one of its order ends.

    By the exchange property of Coxeter groups what stands before a neighbour can end with the
    string, and what stands before that with the neighbour again.
    """
    last = word[end][0]
    if last == at:
        return
    _bring(word, at, end - 1)
    if abs(last - at) > 1:
        word[end - 1], word[end] = word[end], word[end - 1]
    else:
        _bring(word, last, end - 2)
        a, b, c = _turnover(*(angle for _, angle in word[end - 2 : end + 1]))
        word[end - 2 : end + 1] = (at, a), (last, b), (at, c)


def _turnover(a: float, b: float, c: float) -> tuple[float, float, float]:
    """Return angles of R' R R' where R R' R has these; R and R' are about anticommuting strings."""
    # The quaternion: 1, the axes of R' and of R, and the third one, whose sign changes.
    w = math.cos(b / 2) * math.cos((a + c) / 2)
    outer = math.sin(b / 2) * math.cos((c - a) / 2)
    inner = math.cos(b / 2) * math.sin((a + c) / 2)
    third = -math.sin(b / 2) * math.sin((c - a) / 2)
    total, difference = 2 * math.atan2(outer, w), 2 * math.atan2(third, inner)
    middle = 2 * math.atan2(math.hypot(inner, third), math.hypot(w, outer))
    return (total - difference) / 2, middle, (total + difference) / 2


def _anti(gadgets: Gadgets) -> npt.NDArray[np.bool_]:
    return anticommuting(gadgets.strings.codes, gadgets.strings.codes)


def _window(
    gadgets: Gadgets, anti: npt.NDArray[np.bool_], start: int
) -> tuple[list[int], list[list[int]]]:
    """Gather rotations from one on that nothing else comes between, about strings in paths.

    Args:
        gadgets: all rotations.
        anti: True where two of them do not commute.
        start: the first of them that is gathered.

    Returns:
        The rotations, and each path: a rotation about each of its strings, from end to end.
    """
    codes = gadgets.strings.codes
    blocked = np.zeros(len(codes), dtype=bool)
    members: list[int] = []
    neighbours: dict[int, list[int]] = {}
    by_string: dict[bytes, int] = {}
    for j in range(start, len(codes)):
        node = by_string.get(codes[j].tobytes())
        if not blocked[j] and not gadgets.angles[j].terms:
            if node is None:
                near = [k for k in neighbours if anti[j, k]]
                if _extends(neighbours, near):
                    by_string[codes[j].tobytes()] = node = j
                    neighbours[j] = near
                    for k in near:
                        neighbours[k].append(j)
            if node is not None:
                members.append(j)
                continue
        blocked |= anti[j]
        if blocked[j + 1 :].all():
            break
    ends = [k for k, near in neighbours.items() if len(near) < 2]
    paths = [_walked(neighbours, end) for end in ends]
    return members, [path for path in paths if path[0] <= path[-1]]


def _extends(neighbours: dict[int, list[int]], near: list[int]) -> bool:
    """Return whether a string next to these leaves paths paths."""
    if len(near) > 2 or any(len(neighbours[k]) > 1 for k in near):
        return False
    return len(near) < 2 or near[1] not in _walked(neighbours, near[0])


def _walked(neighbours: dict[int, list[int]], end: int) -> list[int]:
    """Return a path from one of its ends to the other."""
    path, following = [end], list(neighbours[end])
    while following:
        path.append(following[0])
        following = [k for k in neighbours[path[-1]] if k != path[-2]]
    return path


def _rewritten(gadgets: Gadgets, members: list[int], paths: list[list[int]]) -> Gadgets | None:
    """Write the rotations of a window path by path; None where no path gets cheaper."""
    codes, signs = gadgets.strings
    costs = np.maximum(2 * weight(codes) - 3, 0).tolist()
    place = {
        codes[j].tobytes(): (p, at) for p, path in enumerate(paths) for at, j in enumerate(path)
    }
    words: list[list[tuple[int, float]]] = [[] for _ in paths]
    for j in members:
        p, at = place[codes[j].tobytes()]
        words[p].append((at, float(signs[j]) * gadgets.angles[j].const))
    turned: list[tuple[int, float]] = []
    cheaper = False
    for path, word in zip(paths, words, strict=True):
        path_costs = [costs[j] for j in path]
        cost = sum(path_costs[at] for at, _ in word)
        if cost > sum(path_costs):  # something that costs is there twice
            new = cheapest_word(tuple(word), path_costs)
            if sum(path_costs[at] for at, _ in new) < cost:
                word, cheaper = list(new), True
        turned += [(path[at], angle) for at, angle in word]
    if not cheaper:
        return None
    after = sorted(set(range(members[0], len(codes))).difference(members))
    rows = [*range(members[0]), *(j for j, _ in turned), *after]
    strings = gadgets.strings.rows(rows)
    inside = slice(members[0], members[0] + len(turned))
    strings.signs[inside] = 1
    angles = [gadgets.angles[j] for j in rows]
    angles[inside] = [Affine((), angle) for _, angle in turned]
    return replace(gadgets, strings=strings, angles=tuple(angles))
