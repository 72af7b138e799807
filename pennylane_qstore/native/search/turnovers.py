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

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.search.gadgets import Gadgets, simplified
from pennylane_qstore.native.search.pauli import anticommuting, weight

_TOL = 1e-12
_MOST = 400
"""Rotations of a circuit that is looked at: more take too long."""
_WIDTH = 32
"""Permutations that are looked at further at each step."""

Word = list[tuple[int, float]]
"""Rotations about strings of a path in time order: place in the path, radians."""


def turned_over(gadgets: Gadgets) -> Gadgets | None:
    """Write rotations about paths of strings with fewer entanglers.

    Args:
        gadgets: rotations; those by parameters stay as they are.

    Returns:
        Gadgets of the same unitary; None where no path gets cheaper.
    """
    found, start = gadgets, 0
    codes = gadgets.strings.codes
    anti = anticommuting(codes, codes) if len(codes) <= _MOST else np.zeros((0, 0), dtype=bool)
    bits = _bits(anti)
    looked_at: set[int] = set()
    while start < len(bits):
        members, paths = _window(found, bits, start)
        new = None
        if not looked_at.issuperset(members):
            looked_at.update(members)
            new = _rewritten(found, members, paths)
        if new is None:
            start += 1
        else:
            rows, found = new
            looked_at = set(range(start, start + len(members) + len(rows) - len(bits)))
            anti = anti[np.ix_(rows, rows)]
            bits = _bits(anti)
    return None if found is gadgets else simplified(found)


def cheapest_word(word: Word, costs: Sequence[int]) -> Word:
    """Write rotations about a path as few that cost little.

    Args:
        word: rotations in time order.
        costs: entanglers of a rotation about each string of the path.

    Returns:
        Rotations with the same product, up to its sign.
    """
    short: Word = []
    order = list(range(len(costs) + 1))
    for at, angle in word:
        if order[at] > order[at + 1]:  # then a shortest word of this order ends with this string
            _bring(short, at, len(short) - 1)
            angle += short.pop()[1]
            _exchange(order, at)
        if abs(math.sin(angle / 2)) > _TOL:
            short.append((at, angle))
            _exchange(order, at)
    # Words from the end, and from the start: the search finds one or the other cheaper.
    from_end = _searched(tuple(order), tuple(costs))[::-1]
    from_start = _searched(tuple(np.argsort(order).tolist()), tuple(costs))
    words = [_rewritten_as(short, places) for places in (from_end, from_start)]
    return min(words, key=lambda new: _price(new, costs))


def _exchange(order: list[int], at: int) -> None:
    order[at], order[at + 1] = order[at + 1], order[at]


def _price(word: Word, costs: Sequence[int]) -> tuple[int, float]:
    """Return the entanglers of a word, and their angle; by half a turn more it is as good."""
    costly = [abs(math.remainder(angle, math.pi)) for at, angle in word if costs[at]]
    return sum(costs[at] for at, _ in word), round(sum(costly), 9)


@functools.lru_cache(maxsize=1024)
def _searched(order: tuple[int, ...], costs: tuple[int, ...]) -> tuple[int, ...]:
    """Search a shortest word of a permutation that costs little, from its end.

    Args:
        order: the permutation: what is at each place at the end.
        costs: of exchanging the places k and k + 1.

    Returns:
        Places, the last of the word first.
    """
    price = np.array(costs)
    left, paid = np.array([order]), np.zeros(1, dtype=int)
    ends: list[tuple[int, ...]] = [()]
    for _ in range(sum(a > b for a, b in itertools.combinations(order, 2))):
        from_, at = np.nonzero(left[:, :-1] > left[:, 1:])
        new, row = left[from_], np.arange(len(at))
        new[row, at], new[row, at + 1] = new[row, at + 1], new[row, at]
        new_paid = paid[from_] + price[at]
        # Of as cheap ones first what more that is free can come before.
        free = ((new[:, :-1] > new[:, 1:]) & (price == 0)).sum(axis=1)
        chosen: dict[bytes, int] = {}
        for i in np.lexsort((-free, new_paid)):
            chosen.setdefault(new[i].tobytes(), int(i))
            if len(chosen) == _WIDTH:
                break
        kept = list(chosen.values())
        left, paid = new[kept], new_paid[kept]
        ends = [(*ends[from_[i]], int(at[i])) for i in kept]
    return ends[0]


def _rewritten_as(word: Word, places: Sequence[int]) -> Word:
    """Turn a shortest word into another one of the same permutation."""
    word = list(word)
    for end in range(len(word) - 1, -1, -1):
        _bring(word, places[end], end)
    return word


def _bring(word: Word, at: int, end: int) -> None:
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


def _bits(anti: npt.NDArray[np.bool_]) -> list[int]:
    """Return each row of a mask as the bits of a number."""
    packed = np.packbits(anti, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _window(gadgets: Gadgets, anti: Sequence[int], start: int) -> tuple[list[int], list[list[int]]]:
    """Gather rotations from one on that nothing else comes between, about strings in paths.

    Args:
        gadgets: all rotations.
        anti: for each the bits of those that it does not commute with.
        start: the first of them that is gathered.

    Returns:
        The rotations, and each path: a rotation about each of its strings, from end to end.
    """
    codes = gadgets.strings.codes
    blocked, every = 0, (1 << len(codes)) - 1
    members: list[int] = []
    neighbours: dict[int, list[int]] = {}
    by_string: dict[bytes, int] = {}
    for j in range(start, len(codes)):
        if not blocked >> j & 1 and not gadgets.angles[j].terms:
            node = by_string.get(codes[j].tobytes())
            if node is None:
                near = [k for k in neighbours if anti[j] >> k & 1]
                if _extends(neighbours, near):
                    by_string[codes[j].tobytes()] = node = j
                    neighbours[j] = near
                    for k in near:
                        neighbours[k].append(j)
            if node is not None:
                members.append(j)
                continue
        blocked |= anti[j]
        if not every >> j + 1 << j + 1 & ~blocked:
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


def _rewritten(
    gadgets: Gadgets, members: list[int], paths: list[list[int]]
) -> tuple[list[int], Gadgets] | None:
    """Write the rotations of a window path by path; None where no path gets cheaper.

    The first of the result are the rotations that the new ones have their strings of.
    """
    codes, signs = gadgets.strings
    costs = np.maximum(2 * weight(codes) - 3, 0).tolist()
    place = {
        codes[j].tobytes(): (p, at) for p, path in enumerate(paths) for at, j in enumerate(path)
    }
    words: list[Word] = [[] for _ in paths]
    for j in members:
        p, at = place[codes[j].tobytes()]
        words[p].append((at, float(signs[j]) * gadgets.angles[j].const))
    turned: Word = []
    cheaper = False
    for path, word in zip(paths, words, strict=True):
        path_costs = [costs[j] for j in path]
        cost = sum(path_costs[at] for at, _ in word)
        if cost > sum(path_costs):  # something that costs is there twice
            new = cheapest_word(word, path_costs)
            if sum(path_costs[at] for at, _ in new) < cost:
                word, cheaper = new, True
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
    return rows, replace(gadgets, strings=strings, angles=tuple(angles))
