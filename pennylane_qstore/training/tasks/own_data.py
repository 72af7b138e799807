"""A user's table as a task: a column is learnt from others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.csv_table import CsvTable, read_number
from pennylane_qstore.training.tasks.catalogue import classification, regression
from pennylane_qstore.training.tasks.data import Floats, Split, split_rows
from pennylane_qstore.training.tasks.task import Task
from pennylane_qstore.training.tasks.variational import Inputs, Variational, chosen_wires
from pennylane_qstore.validation import check_one_of

MOST_CLASSES = 10
KINDS = (None, "classification", "regression")
_TEST_SHARE = 0.2
_FEWEST_ROWS = 10


@dataclass(frozen=True, slots=True, eq=False)
class OwnData:
    """Rows of a table, and the column that is learnt from them.

    Attributes:
        source: name of the file, without folder.
        target: the column that is learnt.
        columns: those that it is learnt from.
        x: these, ``[rows, columns]``.
        y: classes from 0, or values, ``[rows]``.
        classes: labels of the classes; None for a regression.
    """

    source: str
    target: str
    columns: tuple[str, ...]
    x: Floats
    y: Any
    classes: tuple[Any, ...] | None

    @classmethod
    def of(
        cls,
        table: CsvTable,
        target: str,
        features: Sequence[str] = (),
        kind: str | None = None,
    ) -> OwnData:
        """Return features and targets of a table.

        Args:
            table: with at least 10 rows.
            target: the column that is learnt.
            features: columns that it is learnt from; by default all others.
            kind: ``"classification"`` or ``"regression"``; by default the first for texts and for
                whole numbers of at most 10 values, each more than once, the other for numbers.

        Returns:
            The data.

        Raises:
            ConfigurationError: no such column, cells that are no numbers, or too little to learn.
        """
        check_one_of("kind", kind, KINDS)
        texts = table.texts(target)
        columns = tuple(features) or tuple(name for name in table.columns if name != target)
        if target in columns or len(set(columns)) < len(columns) or not columns:
            raise ConfigurationError(
                f"{target!r} cannot be learnt from the columns {', '.join(map(repr, columns))}. "
                "Allowed: at least one, each once, and not the target."
            )
        if len(texts) < _FEWEST_ROWS:
            raise ConfigurationError(
                f"{table.path!r} has {len(texts)} rows; at least {_FEWEST_ROWS} are needed."
            )
        is_classes = kind == "classification" or (kind is None and _are_labels(texts))
        y, classes = _classes(texts, target) if is_classes else (_values(table, target), None)
        return cls(Path(table.path).name, target, columns, table.numbers(columns), y, classes)

    @property
    def name(self) -> str:
        """Name of trainings on the data, and of their jobs."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(self.source).stem)[:40]

    @property
    def task(self) -> Task:
        """The training of a variational circuit, tested on a fifth of the rows."""
        load = lru_cache(lambda seed: self._prepared(seed)[0])
        title = f"{self.target} of {self.source}"
        if self.classes is None:
            return regression(load, f"{title}, a regression", self._model)
        return classification(load, f"{title}, {len(self.classes)} classes", self._model)

    @property
    def _model(self) -> Variational:
        count = 1 if self.classes is None else len(self.classes)
        outputs = 1 if count == 2 else count
        wires = chosen_wires(None, len(self.columns), outputs)
        return Variational(wires, outputs, uploads=2, layers=1)

    def about(self, seed: int) -> Mapping[str, Any]:
        """Return inputs, classes and target of a seed's saved model, by name.

        Args:
            seed: of the split.
        """
        return self._prepared(seed)[1]

    def _prepared(self, seed: int) -> tuple[Split, dict[str, Any]]:
        """Return features and targets, by means and deviations of the training rows alone."""
        classifies = self.classes is not None
        fewest = 1 if self.classes is None else len(self.classes)  # to test on, one of each
        size = max(round(_TEST_SHARE * len(self.x)), fewest)
        rows = split_rows(self.x, self.y, size, seed, by_class=classifies)
        inputs = Inputs.learn(rows.train_x, self._model.wires, self.columns)
        about: dict[str, Any] = {"inputs": inputs, "classes": self.classes}
        train_y, test_y = rows.train_y, rows.test_y
        if not classifies:
            mean, spread = float(train_y.mean()), float(train_y.std()) or 1.0
            train_y, test_y = (train_y - mean) / spread, (test_y - mean) / spread
            about["target"] = (mean, spread)
        return Split(inputs(rows.train_x), train_y, inputs(rows.test_x), test_y), about


def _are_labels(texts: Sequence[str]) -> bool:
    numbers = [read_number(text) for text in texts]
    if any(number is None for number in numbers):
        return True
    counts = Counter(numbers)
    whole = all(number == int(number) for number in counts if number is not None)
    return whole and len(counts) <= MOST_CLASSES and min(counts.values()) > 1


def _classes(texts: Sequence[str], target: str) -> tuple[Any, tuple[Any, ...]]:
    """Return the place of each label, and the labels in order: of whole numbers, as numbers."""
    numbers = [read_number(text) for text in texts]
    is_whole = all(number is not None and number == int(number) for number in numbers)
    labels: list[Any] = [int(n) for n in numbers if n is not None] if is_whole else list(texts)
    counts = Counter(labels)
    if not 2 <= len(counts) <= MOST_CLASSES:
        raise ConfigurationError(
            f"The column {target!r} has {len(counts)} classes. Allowed: 2 to {MOST_CLASSES}. "
            "Numbers can be learnt as values, too: --kind regression."
        )
    rare = [label for label, count in counts.items() if count < 2]
    if rare:
        raise ConfigurationError(
            f"The class {rare[0]!r} of the column {target!r} has one row. Two are needed, one to "
            "train on and one to test on: add rows, or leave it out."
        )
    places = {label: place for place, label in enumerate(sorted(counts))}
    return np.array([places[label] for label in labels]), tuple(places)


def _values(table: CsvTable, target: str) -> Floats:
    values = np.asarray(table.numbers([target])[:, 0])
    if np.ptp(values) == 0:
        raise ConfigurationError(
            f"The column {target!r} has the value {values[0]:g} in every row: there is nothing to "
            "learn."
        )
    return values
