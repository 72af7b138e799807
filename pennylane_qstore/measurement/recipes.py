"""Data of a measurement plan: bases to run, and a recipe for each result."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import pennylane as qml
from pennylane.measurements import CountsMP, MeasurementProcess
from pennylane.wires import Wires

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.native.frontend.program import FloatArray, Gate


class NotSupported(QStoreError, qml.exceptions.DeviceError):  # type: ignore[misc]  # noqa: N818
    """A measurement or operation this device cannot do. Nothing was sent."""


class ImpossiblePostselection(QStoreError, RuntimeError):  # noqa: N818
    """Shots were to be filled with outcomes that never happen; as PennyLane, a RuntimeError."""


class Postselected(MeasurementProcess):  # type: ignore[misc]
    """Selection of the outcomes in which some wires have some values; no result of its own.

    Args:
        wires: labels.
        values: 0 or 1 for each.
        fill: whether all shots are drawn from what is kept (``postselect_mode="fill-shots"``),
            which only an exact simulator can do. Otherwise fewer shots are left.
    """

    def __init__(self, wires: Sequence[Any], values: Sequence[int], *, fill: bool = False) -> None:
        super().__init__(wires=Wires(wires))
        self.values = tuple(values)
        self.fill = fill


class Factor(NamedTuple):
    """±1 by the parity of some wires, or a value looked up by the state of some wires.

    Attributes:
        wires: tape wires, most significant first.
        values: by state, shape (2 ** wires,); None for the parity.
    """

    wires: tuple[int, ...]
    values: FloatArray | None = None


class Term(NamedTuple):
    """A number times a product of factors, read in one basis (its position in the plan)."""

    coefficient: float
    basis: int
    factors: tuple[Factor, ...]


class Basis(NamedTuple):
    """Gates before the measurement, and the wires measured, ascending."""

    gates: tuple[Gate, ...]
    wires: tuple[int, ...]
    key: Hashable


class Recipe(NamedTuple):
    """The way from outcomes to one measurement's result.

    ``kind`` is "expval" (Σ terms), "var" (of Σ terms, all in one basis), "moment" (⟨H²⟩ - ⟨H⟩²,
    from ``squared`` and ``terms``), "probs" (of ``wires`` in ``basis``), "values" (samples or
    counts of Σ terms), "bits" (samples or counts of wires) or "selected" (no result).
    """

    kind: str
    measurement: MeasurementProcess
    basis: int = 0
    terms: tuple[Term, ...] = ()
    squared: tuple[Term, ...] = ()
    constant: float = 0.0
    squared_constant: float = 0.0
    wires: tuple[int, ...] = ()

    @property
    def is_ordered(self) -> bool:
        """True where the result depends on the order of shots."""
        return self.kind in ("values", "bits") and not isinstance(self.measurement, CountsMP)


class Plan(NamedTuple):
    """Bases to run, a recipe per measurement, and the (wire, value) pairs that are selected.

    With ``fill``, every shot is one that was selected.
    """

    bases: tuple[Basis, ...]
    recipes: tuple[Recipe, ...]
    selected: tuple[tuple[int, int], ...] = ()
    fill: bool = False
