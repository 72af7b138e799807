"""Loss curves of runs, read from what a run leaves beside its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.swept_runs import make_run

from pennylane_qstore.server.histories import Histories, RunHistory


@pytest.mark.parametrize("place", ["", "trial", "sweep/trial"])
def test_a_runs_curve_is_its_history(tmp_path: Path, place: str) -> None:
    path = tmp_path / place / "run.json"
    run = make_run(1, checkpoint=path, name="my/run").train(3)
    histories = Histories([tmp_path])
    ((name, found),) = histories.by_run().items()
    assert name == run.run_id.replace("/", "_")
    assert found.drawn() == {"steps": [1, 2, 3], "loss": [record.loss for record in run.history]}
    assert (found.steps, found.loss) == (3, run.history[-1].loss)
    run.train(4)
    assert histories.by_run()[name].steps == 4
    assert Histories([path]).by_run()[name].loss == run.history[-1].loss


def test_steps_that_the_checkpoint_does_not_count_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "a", steps=1, lines=[{"loss": 1.0}, {"loss": 2.0}])
    assert Histories([tmp_path]).by_run()["a"].curves["loss"] == [1.0]


def test_what_cannot_be_read_is_left_out_and_what_was_read_stays(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "a", steps=1, lines=[{"loss": 1.0}])
    write(tmp_path / "b.json", "b", steps=1, lines=[{"lost": 1.0}])
    (tmp_path / "c.json.history.jsonl").write_text("none")
    histories = Histories([tmp_path, tmp_path / "missing"])
    assert list(histories.by_run()) == ["a"]
    (tmp_path / "a.json").write_text("{")
    assert list(histories.by_run()) == ["a"]


def test_curves_are_thinned_out_and_keep_the_last_step() -> None:
    history = RunHistory("a")
    for step in range(1001):
        history.add({"loss": float(step), "metrics": {"val_loss": -1.0} if step % 4 == 0 else {}})
    drawn = history.drawn(100)
    assert len(drawn["steps"]) == len(drawn["loss"]) == len(drawn["val_loss"]) <= 100
    assert (drawn["steps"][-1], drawn["loss"][-1]) == (1001, 1000.0)
    assert RunHistory("b").drawn() == {"steps": []}


def write(path: Path, run: str, steps: int, lines: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"run": run, "steps": steps}))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.with_name(path.name + ".history.jsonl").write_text(text)
