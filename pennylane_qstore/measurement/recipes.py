"""Data of a measurement plan: bases to run, and a recipe for each result."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import pennylane as qml
from pennylane.measurements import (
    CountsMP,
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    VarianceMP,
)
from pennylane.queuing import QueuingManager
from pennylane.wires import Wires

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.native.frontend.program import FloatArray, Gate
from pennylane_qstore.validation import check_entries

_Kind = TypeVar("_Kind", bound=MeasurementProcess)


class NotSupported(QStoreError, qml.exceptions.DeviceError):  # type: ignore[misc]  # noqa: N818
    """A measurement or operation this device cannot do. Nothing was sent."""


class NoResult(QStoreError):  # noqa: N818
    """Outcomes arrived from which a tape's result does not follow."""


class ImpossiblePostselection(NoResult, RuntimeError):  # noqa: N818
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


class StandardErrorMP(MeasurementProcess):  # type: ignore[misc]
    """The standard error of another measurement on the same shots: ``of`` is its type."""

    of: type[MeasurementProcess] = ExpectationMP

    @property
    def measured(self) -> MeasurementProcess:
        """The measurement whose error it is."""
        return _of_the_same(self, self.of)

    @property
    def numeric_type(self) -> type:
        """A float."""
        return float

    def shape(self, shots: int | None = None, num_device_wires: int = 0) -> tuple[int, ...]:
        """Return the shape of the other measurement's result.

        Args:
            shots: of the circuit.
            num_device_wires: of the device.

        Returns:
            The shape.
        """
        return tuple(self.measured.shape(shots, num_device_wires))


class ExpectationErrorMP(StandardErrorMP):
    """The standard error of an expectation value."""


class VarianceErrorMP(StandardErrorMP):
    """The standard error of a variance."""

    of = VarianceMP


class ProbabilityErrorMP(StandardErrorMP):
    """The standard errors of probabilities."""

    of = ProbabilityMP


_ERRORS = {kind.of: kind for kind in (ExpectationErrorMP, VarianceErrorMP, ProbabilityErrorMP)}


def standard_error_of(m: MeasurementProcess) -> StandardErrorMP:
    """Return the measurement of another one's standard error.

    Raises:
        NotSupported: it is none of a number or of probabilities.
    """
    if type(m) not in _ERRORS:
        raise NotSupported(
            f"Standard errors are of expval, var and probs; {m} has none. Take it out of the "
            "circuit that with_errors() is given."
        )
    return _of_the_same(m, _ERRORS[type(m)])


def _of_the_same(m: MeasurementProcess, kind: Callable[..., _Kind]) -> _Kind:
    """Return a measurement of another kind of the same observable, values or wires."""
    with QueuingManager.stop_recording():
        if m.obs is not None or m.mv is not None:
            return kind(obs=m.mv if m.obs is None else m.obs)
        return kind(wires=m.raw_wires, eigvals=m._eigvals)


_ENTRIES_PER_OUTCOME = 32
"""Numbers that a key and a value of a dictionary take as much memory as."""


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
    counts of Σ terms), "bits" (samples or counts of wires) or "selected" (no result); the standard
    error of one is "expval error", and so on.
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

    def check_size(self, rows: int) -> None:
        """Refuse results with a number for each state of more wires than memory is there for.

        Args:
            rows: rows of the tape.

        Raises:
            ConfigurationError: such a result is too large.
        """
        for recipe in self.recipes:
            if recipe.kind.startswith("probs"):
                per_state = 1
            elif getattr(recipe.measurement, "all_outcomes", False):
                per_state = _ENTRIES_PER_OUTCOME
            else:
                continue
            wires = len(recipe.measurement.wires or recipe.wires)
            check_entries(
                f"{type(recipe.measurement).__name__} of {wires} wires and {rows} rows",
                rows * per_state * 2**wires,
                "Measure fewer wires, or ask for counts without all_outcomes, or for samples",
            )


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
