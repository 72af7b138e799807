"""History: records as a table."""

from __future__ import annotations

import numpy as np
import pytest
from support.training_runs import X, Y, make

from pennylane_qstore.training.history import StepRecord, table


def test_history_is_a_table_for_pandas():
    run = make(validation=(X[:6], Y[:6]), validate_every=2).train(3)
    table = run.table()
    assert {len(column) for column in table.values()} == {3}
    assert table["step"] == [1, 2, 3]
    assert np.isnan(table["val_loss"]).tolist() == [True, False, True]
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(table).loc[1, "val_accuracy"] <= 1


def test_a_record_s_values_are_found_by_name_and_its_outcome_leaves_times_out():
    record = StepRecord(3, 1, 0.5, {"accuracy": 0.9}, circuits=12, seconds=1.5, cost_usd=2.0)
    assert (record.value("loss"), record.value("accuracy")) == (0.5, 0.9)
    assert record.value("val_loss") is None
    assert record.outcome() == {
        "step": 3, "epoch": 1, "loss": 0.5, "accuracy": 0.9, "circuits": 12,
    }  # fmt: skip
    assert record.as_dict()["cost_usd"] == 2.0
    assert "metrics" not in record.as_dict()
    assert table([]) == {}
