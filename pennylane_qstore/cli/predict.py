"""The command ``qstore predict``: a saved model's answers for the rows of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.cli.output import Json, show, typed_errors
from pennylane_qstore.errors import ConfigurationError

if TYPE_CHECKING:
    from pennylane_qstore.training.csv_table import CsvTable


@typed_errors()
def predict(
    model: Annotated[Path, typer.Option(help="File of qstore train --save or run.save.")],
    data: Annotated[
        Path, typer.Option(help="CSV with the model's columns; others may stand beside them.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="CSV to write: the rows of --data with their predictions."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict the rows of a table, one line each: exactly, in this process, for nothing."""
    from pennylane_qstore.training.csv_table import read_csv
    from pennylane_qstore.training.files import replace_file
    from pennylane_qstore.training.saved_model import load_model

    saved, table = load_model(model), read_csv(data)
    columns = () if saved.inputs is None else saved.inputs.columns
    rows = table.numbers(columns or table.columns)
    payload: dict[str, Any] = {}
    if saved.classes is None:
        new = {"prediction": saved.predict(rows).tolist()}
    else:
        shares = saved.predict_proba(rows)
        payload = {"classes": list(saved.classes), "probabilities": shares.tolist()}
        labels = [saved.classes[place] for place in shares.argmax(axis=-1)]
        new = {"prediction": labels, "probability": shares.max(axis=-1).tolist()}
    payload["predictions"] = new["prediction"]
    lines = [str(value) for value in new["prediction"]]
    if out is not None:
        replace_file(out, _with_columns(table, new))
        lines = [f"{len(rows)} row(s) written to {out}."]
    show(as_json, payload, lines)


def _with_columns(table: CsvTable, new: Mapping[str, Sequence[Any]]) -> bytes:
    """Return the text of a table with further columns."""
    for name in new:
        if name in table.columns:
            raise ConfigurationError(
                f"{table.path!r} has a column {name!r} already: rename it, or leave --out away."
            )
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*table.columns, *new])
    for row, *cells in zip(table.rows, *new.values(), strict=True):
        writer.writerow([*row, *cells])
    return text.getvalue().encode()
