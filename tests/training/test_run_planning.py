"""Runs before their steps: configured by who trains them with others, and their jobs' sizes."""

from __future__ import annotations

import pytest
from support.swept_runs import make_run

from pennylane_qstore.errors import ConfigurationError


def test_a_run_gets_a_checkpoint_and_further_callbacks(tmp_path):
    seen = []
    run = make_run(callbacks=[lambda record: seen.append("own")])
    run.configure(
        callbacks=[lambda record: seen.append("more")], checkpoint=tmp_path / "c", resume=True
    )
    run.train(1)
    assert seen == ["own", "more"]
    again = make_run()
    again.configure(checkpoint=tmp_path / "c", resume=True)
    assert again.load().step == 1
    with pytest.raises(ConfigurationError, match="checkpoint of its own"):
        again.configure(checkpoint=tmp_path / "d")


def test_planned_sizes_are_those_that_are_sent_then():
    run = make_run(validation=(make_run()._data.train[0][:3], make_run()._data.train[1][:3]))
    planned = run.estimate(3, evaluate=[None]).sizes
    assert run.step == 0
    run.train(3)
    assert planned[0] == ()
    assert planned[1:-1] == [record.sizes for record in run.history]
    assert planned[-1][0].circuits == 12
    assert len(run.estimate(5).sizes) == 3
