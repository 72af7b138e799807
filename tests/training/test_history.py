"""History: records as a table."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from support.training_runs import X, Y, make

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import JobSize
from pennylane_qstore.training.history import StepRecord, read_records, table
from pennylane_qstore.training.step_shape import Shape


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


def test_the_shape_and_the_jobs_of_a_step_come_back_from_a_file():
    size = JobSize(10, 5, 4, 20)
    record = StepRecord(1, 1, 0.5, shape=Shape(2, 1, 20, False), sizes=(size, size), exact=True)
    row = json.loads(json.dumps(asdict(record)))
    assert read_records([row]) == [record]
    assert record.would_cost_usd("braket.forte-1") == pytest.approx(2 * (0.3 + 0.08 * 80))
    assert record.as_dict()["shots"] == record.outcome()["shots"] == 20
    assert "sizes" not in record.as_dict()
    for wrong in ({"shape": [2, 1, -1]}, {"sizes": [[1, 1, 1, "many"]]}, {"exact": 2}):
        with pytest.raises(ConfigurationError):
            read_records([{**row, **wrong}])
