"""Products of factors that one basis serves, or not."""

from pennylane_qstore.measurement.products import Product, joined
from pennylane_qstore.measurement.recipes import Factor


def product(letters):
    labels = tuple(((wire,), letter) for wire, letter in letters.items())
    return Product(1.0, labels, (Factor(tuple(letters)),))


def test_products_that_agree_wire_by_wire_share_labels():
    together = joined([product({0: "X"}), product({0: "X", 2: "Y"}), product({1: "Z"})])
    assert together == (((0,), "X"), ((1,), "Z"), ((2,), "Y"))


def test_products_that_do_not_agree_share_none():
    assert joined([product({0: "X"}), product({0: "Z"})]) is None
