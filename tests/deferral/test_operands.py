"""Trees of operands: looked into, copied, replaced."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.compat.python import current_frame
from pennylane_qstore.deferral import operands

Pair = namedtuple("Pair", "a b")


class Later(operands.Deferred):
    """A value of 2 that counts how often it is fetched."""

    def __init__(self):
        self.standin, self.fetched = np.float64(1), 0

    def fetch(self):
        self.fetched += 1
        return np.float64(2)

    @property
    def __class__(self):
        return np.float64  # as a deferred array whose value is there


leaves = st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.none(), st.booleans())
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.text(), inner),
        st.builds(Pair, inner, inner),
    ),
)


@given(trees)
def test_a_tree_without_deferred_arrays_is_returned_as_it_is(tree):
    assert operands.real(tree) is tree
    assert list(operands.deferred_in(tree)) == []
    assert operands.copied(tree) == tree
    assert operands.standins(tree) == tree


@given(trees)
def test_deferred_arrays_are_found_and_replaced_wherever_they_stand(tree):
    later = Later()
    inside = {"a": [tree, (later, tree)], "b": Pair(later, tree)}
    assert [id(node) for node in operands.deferred_in(inside)] == [id(later)] * 2
    assert operands.real(inside) == {"a": [tree, (2.0, tree)], "b": Pair(2.0, tree)}
    assert operands.standins(inside)["b"] == Pair(1.0, tree)
    assert later.fetched == 2


def test_what_is_deferred_is_told_by_its_type_not_by_its_class():
    assert isinstance(Later(), np.float64)
    assert operands.is_deferred(Later())
    assert not operands.is_deferred(np.float64(1))


def test_arrays_are_copied_and_deferred_ones_are_not():
    array, later = np.ones(2), Later()
    copy, same = operands.copied([array, later])
    array[:] = 5
    assert copy.tolist() == [1, 1]
    assert same is later


@pytest.mark.parametrize(
    ("index", "static"),
    [
        (0, True), (slice(1), True), (None, True), (..., True), ((0, slice(2)), True),
        ([0, 1], True), (np.array([0, 1]), True), (np.array([True, False]), False),
        ([True, False], False), (True, False), (np.bool_(True), False), ((0, True), False),
    ],
)  # fmt: skip
def test_an_index_tells_the_shape_or_its_values_do(index, static):
    assert operands.is_static(index) is static


def test_a_deferred_index_decides_by_its_value():
    assert not operands.is_static(Later())
    assert not operands.is_static((0, Later()))


@pytest.mark.parametrize(
    "value",
    [1, 1.0, 1j, True, np.ones(1), np.float32(1), [1], (1,), pytest.param(Later(), id="deferred")],
)
def test_arithmetic_may_wait_for_numbers(value):
    assert operands.is_numeric(value)


@pytest.mark.parametrize("value", [None, "1", {}, object()])
def test_arithmetic_does_not_wait_for_other_things(value):
    assert not operands.is_numeric(value)


def test_only_an_optimizer_updates_trainable_tensors():
    here = current_frame(0)
    trainable = qml.numpy.array([1.0], requires_grad=True)
    assert not operands.updates_parameters((trainable,), here)
    optimizer = qml.GradientDescentOptimizer()
    frames = []
    optimizer.step(lambda x: x, trainable, grad_fn=lambda x: frames.append(current_frame(1)) or x)
    (frame,) = frames
    assert operands.updates_parameters((trainable,), frame)
    assert not operands.updates_parameters((np.ones(1),), frame)
    assert not operands.updates_parameters((qml.numpy.array([1.0], requires_grad=False),), frame)


def test_a_view_and_its_base_are_thawed_together():
    base = np.arange(4.0)
    base.flags.writeable = False
    view = base[1:]
    assert [id(a) for a in operands.thaw(view)] == [id(base), id(view)]
    view[0] = 7
    assert base[1] == 7
