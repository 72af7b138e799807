"""Estimates of runs side by side: common jobs have one floor price."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.swept_runs import make_run

from pennylane_qstore.prices import PRICES
from pennylane_qstore.sweeps.estimates import shared_estimate


def test_steps_and_evaluations_are_priced_by_the_jobs_that_runs_share():
    """A step costs the floor, alone or shared; an evaluation is beyond it."""
    runs = [make_run(seed, shots=10_000, batch_size=1) for seed in (1, 2, 3)]
    model = PRICES["qpu.forte-1"]
    alone = [run.estimate(2, prices=model, evaluate=[None]) for run in runs]
    planned = [run.planned_sizes(2, [None]) for run in runs]
    found = shared_estimate(runs, alone, planned, model)
    assert (alone[0].step_usd, found.step_usd) == (model.floor_usd, model.floor_usd)
    assert alone[0].evaluation_usd > 1.5 * model.floor_usd
    assert found.evaluation_usd == pytest.approx(3 * alone[0].evaluation_usd, abs=0.02)
    assert found.usd == pytest.approx(2 * found.step_usd + found.evaluation_usd, abs=0.02)
    assert found.jobs == 3


def test_runs_whose_jobs_hold_one_circuit_share_none():
    runs = [make_run(seed, batch_size=1) for seed in (1, 2)]
    model = PRICES["qpu.forte-1"]
    alone = [run.estimate(1, prices=model) for run in runs]
    planned = [run.planned_sizes(1) for run in runs]
    together = shared_estimate(runs, alone, planned, model)
    single = SimpleNamespace(devices=[SimpleNamespace(job_limits=SimpleNamespace(circuits=1))])
    apart = shared_estimate([single, single], alone, planned, model)
    assert apart.usd == pytest.approx(sum(one.usd for one in alone))
    assert together.usd < apart.usd
