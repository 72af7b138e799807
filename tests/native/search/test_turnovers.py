"""Turnovers keep the product of the rotations, and leave as few as a path needs."""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pauli_strings import rotations_of, string

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.search.gadgets import Gadgets
from pennylane_qstore.native.search.pauli import GENERATORS, PauliTable, weight
from pennylane_qstore.native.search.turnovers import cheapest_word, turned_over

angles = st.one_of(
    st.floats(-4, 4), st.sampled_from([0.3, -0.3, math.pi / 2, math.pi, -math.pi / 4, 1e-7])
)


def ising(wires):
    """X_0, Z_0 Z_1, X_1, ...: codes of a path of 2 wires - 1 strings."""
    codes = np.zeros((2 * wires - 1, wires), dtype=np.int8)
    for q in range(wires):
        codes[2 * q, q] = 1
        if q:
            codes[2 * q - 1, [q - 1, q]] = 3
    return codes


def costs_of(places):
    return [place % 2 for place in range(places)]


def brickwork(wires, steps):
    """Steps of an Ising chain, each with angles of its own."""
    rng = np.random.default_rng(5)
    layers = (range(1, 2 * wires - 1, 2), range(0, 2 * wires - 1, 2)) * steps
    return [(at, float(rng.uniform(-1, 1))) for layer in layers for at in layer]


def gadgets_with(codes, angles, signs=None):
    """Rotations about strings, then no Clifford."""
    codes = np.asarray(codes, dtype=np.int8)
    n = codes.shape[1]
    frame = PauliTable.identities(2 * n, n)
    frame.codes[range(n), range(n)], frame.codes[range(n, 2 * n), range(n)] = 1, 3
    signs = np.ones(len(codes), dtype=np.int8) if signs is None else np.asarray(signs, np.int8)
    return Gadgets(PauliTable(codes, signs), tuple(angles), frame)


def images(gadgets, parameters=()):
    """U† P U for each row P of the frame's start: all that the gadgets do but the global phase."""
    u = rotations_of(gadgets, parameters)
    return [u.conj().T @ string(*row) @ u for row in zip(*gadgets.frame, strict=True)]


def cost(gadgets):
    return int((weight(gadgets.strings.codes) > 1).sum())


def product(word, codes):
    return rotations_of(
        gadgets_with(codes[[at for at, _ in word]], [Affine((), a) for _, a in word]), ()
    )


@settings(max_examples=80, deadline=None)
@given(data=st.data(), wires=st.integers(2, 4))
def test_a_word_keeps_its_product_and_costs_no_more(data, wires):
    codes = ising(wires)
    letters = st.tuples(st.integers(0, len(codes) - 1), angles)
    word = data.draw(st.lists(letters, min_size=1, max_size=40))
    costs = costs_of(len(codes))
    new = cheapest_word(word, costs)
    assert len(new) <= len(codes) * (len(codes) + 1) // 2
    before, after = product(word, codes), product(new, codes) if new else np.eye(2**wires)
    sign = np.sign(np.vdot(before, after).real)
    assert np.abs(before - sign * after).max() < 1e-11


@settings(max_examples=60, deadline=None)
@given(data=st.data(), wires=st.integers(2, 4), seed=st.integers(0, 1000))
def test_gadgets_keep_what_they_do(data, wires, seed):
    """Paths in any frame, with other rotations between them, some of them by a parameter."""
    rng = np.random.default_rng(seed)
    table = PauliTable(ising(wires), rng.choice([-1, 1], 2 * wires - 1).astype(np.int8))
    for _ in range(int(rng.integers(4))):
        a, b = (int(q) for q in rng.permutation(wires)[:2])
        table.conjugate_by_entangler(a, b, int(rng.integers(len(GENERATORS))))
    count = data.draw(st.integers(1, 40))
    rows = rng.integers(len(table.codes), size=count)
    codes, signs = table.codes[rows], table.signs[rows]
    chosen = [Affine((), data.draw(angles)) for _ in rows]
    for k in np.flatnonzero(rng.random(count) < 0.1):
        codes[k] = rng.integers(4, size=wires)
        codes[k, 0] = 1
        if rng.random() < 0.5:
            chosen[k] = Affine(((0, 1.0),), 0.1)
    gadgets = gadgets_with(codes, chosen, signs)
    new = turned_over(gadgets)
    if new is not None:
        assert np.allclose(images(gadgets, [0.7]), images(new, [0.7]), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("wires", "steps", "entanglers"),
    [(2, 5, 2), (3, 3, 5), (4, 3, 7), (4, 10, 10), (6, 6, 23), (8, 3, 19), (10, 4, 32)],
)
def test_a_chain_takes_few_entanglers(wires, steps, entanglers):
    costs = costs_of(2 * wires - 1)
    new = cheapest_word(brickwork(wires, steps), costs)
    assert sum(costs[at] for at, _ in new) == entanglers


@pytest.mark.parametrize(("wires", "steps"), [(3, 2), (3, 9), (4, 2), (4, 3)])
def test_no_shortest_word_is_cheaper(wires, steps):
    costs = costs_of(2 * wires - 1)
    word = brickwork(wires, steps)
    new = cheapest_word(word, costs)
    order = list(range(2 * wires))
    for at, _ in word:
        if order[at] < order[at + 1]:
            order[at], order[at + 1] = order[at + 1], order[at]
    paid, heap = {}, [(0, tuple(order))]
    while heap:
        cost, left = heapq.heappop(heap)
        if left not in paid:
            paid[left] = cost
            for at in np.flatnonzero(np.diff(left) < 0):
                following = list(left)
                following[at], following[at + 1] = left[at + 1], left[at]
                heapq.heappush(heap, (cost + costs[at], tuple(following)))
    assert sum(costs[at] for at, _ in new) == paid[tuple(range(2 * wires))]


def test_a_word_and_its_inverse_are_nothing():
    word = brickwork(4, 3)
    back = [(at, -angle) for at, angle in reversed(word)]
    assert cheapest_word(word + back, costs_of(7)) == []


def test_an_xy_chain_has_two_paths():
    rows, n = [], 5
    for _ in range(6):
        for q in (0, 2, 1, 3):
            for code in (1, 2):
                rows.append([code if k in (q, q + 1) else 0 for k in range(n)])
    rng = np.random.default_rng(2)
    gadgets = gadgets_with(rows, [Affine((), float(a)) for a in rng.uniform(-1, 1, len(rows))])
    new = turned_over(gadgets)
    assert len(new.angles) == cost(new) == n * (n - 1)
    assert np.allclose(images(gadgets), images(new), rtol=0, atol=1e-10)


def test_what_comes_between_stays_there():
    """Z_1 is in no path with X_1 between two bonds: each side of it is turned over alone."""
    codes = ising(3)
    side = brickwork(3, 3)
    rows = [codes[at] for at, _ in side]
    gadgets = gadgets_with(
        [*rows, [0, 3, 0], *rows],
        [Affine((), angle) for angle in (*(a for _, a in side), 0.3, *(a for _, a in side))],
    )
    new = turned_over(gadgets)
    assert cost(gadgets) == 12
    assert cost(new) <= 10
    assert np.allclose(images(gadgets), images(new), rtol=0, atol=1e-10)


def test_no_path_with_anything_to_gain_is_left_alone():
    angle = Affine(((0, 1.0),))
    unknown = gadgets_with([*ising(2)] * 3, [angle] * 9)
    assert turned_over(unknown) is None
    once = gadgets_with(ising(4), [Affine((), 0.3)] * 7)
    assert turned_over(once) is None
    assert turned_over(once.kept([])) is None
