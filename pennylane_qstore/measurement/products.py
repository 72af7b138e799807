"""Terms of an observable before they have bases: products of factors, and what they measure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeAlias

from pennylane_qstore.measurement.recipes import Factor

Label: TypeAlias = tuple[tuple[int, ...], Hashable]
"""Wires and what is measured on them: a Pauli letter, or the key of some gates."""
Labels: TypeAlias = tuple[Label, ...]


class Product(NamedTuple):
    """A term before it has a basis: its labels by wire group, and its factors."""

    coefficient: float
    labels: Labels
    factors: tuple[Factor, ...]


def joined(
    products: Sequence[Product],
) -> Labels | None:
    """Return labels that serve all products at once, or None."""
    together: dict[int, Label] = {}
    for product in products:
        for on, label in product.labels:
            for w in on:
                if together.setdefault(w, (on, label)) != (on, label):
                    return None
    return tuple(sorted(set(together.values()), key=lambda x: x[0]))
