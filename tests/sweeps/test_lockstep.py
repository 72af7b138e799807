"""Runs side by side: common jobs, and for each the outcome that it has alone."""

from __future__ import annotations

import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.swept_runs import make_run, on, outcomes

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import (
    AmbiguousSubmission,
    BudgetExceeded,
    ConfigurationError,
    QStoreError,
)
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State
from pennylane_qstore.prices import PRICES
from pennylane_qstore.run_names import runs_of
from pennylane_qstore.sweeps.lockstep import (
    Lockstep,
    Manifest,
    SharedProgress,
    check_devices,
    merged_sizes,
    shared_estimate,
)
from pennylane_qstore.sweeps.sweep import Sweep


def train(runs, steps=3, lockstep=None):
    lockstep = lockstep or Lockstep()
    return lockstep, lockstep.call([partial(run.train, steps) for run in runs])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seeds=st.lists(st.integers(1, 50), min_size=2, max_size=4, unique=True),
    noise=st.sampled_from([None, "forte-1"]),
    stock=st.booleans(),
    shots=st.sampled_from([20, 100]),
)
def test_each_run_is_bit_for_bit_what_it_is_alone(seeds, noise, stock, shots):
    make = partial(make_run, stock=stock, shots=shots, device={"noise_model": noise})
    np.random.seed(seeds[0])  # noqa: NPY002
    together = [make(seed) for seed in seeds]
    train(together, 2)
    for seed, run in zip(seeds, together, strict=True):
        np.random.seed(seeds[0])  # noqa: NPY002
        assert outcomes(run) == outcomes(make(seed).train(2))


def test_a_round_of_all_runs_is_one_post(emulator, tmp_path):
    device = on(emulator, tmp_path / "ledger", "simulator")
    runs = [make_run(seed, device={**device, "seed": seed}) for seed in range(5)]
    before = emulator.stats()["posts"]
    lockstep, ends = train(runs)
    assert ends == runs
    assert emulator.stats()["posts"] - before == 3 == len(lockstep.sizes)
    assert lockstep.sizes == merged_sizes(
        [[record.sizes for record in run.history] for run in runs]
    )
    assert [size.circuits for size in lockstep.sizes] == [5 * runs[0].history[0].circuits] * 3
    assert {record.posts for run in runs for record in run.history} == {1}


def test_each_run_counts_the_circuits_of_its_own_that_were_simulated():
    runs = [make_run(seed) for seed in range(3)]
    train(runs, 2)
    for run in runs:
        circuits = sum(record.circuits for record in run.history)
        assert sum(run.devices[0].stats["engines"].values()) == circuits


def test_jobs_have_the_name_of_their_run_or_of_the_first_of_several(emulator):
    device = on(emulator, None, "simulator")
    runs = [make_run(seed, device={**device, "seed": seed}, name="H2/a") for seed in range(3)]
    runs[0].train(1)
    train(runs, 2)
    make_run(1, device={**device, "job_name": "mine"}).train(1)
    first = runs[0].run_id.replace("/", "_")
    names = [job.name[:-33] for job in emulator.jobs]
    assert names[0] == first
    assert f"{first} and 2 more" in names
    shared = next(job for job in emulator.jobs if (job.name or "").startswith(f"{first} and"))
    third = pytest.approx(1 / 3, abs=1e-6)
    assert runs_of(shared.name, shared.metadata) == {
        run.run_id.replace("/", "_"): third for run in runs
    }
    assert names[-1] == "mine"


def test_runs_with_other_shots_or_noise_seeds_travel_in_jobs_of_their_own_at_once(emulator):
    few, many = make_run(1, shots=20), make_run(2, shots=90)
    lockstep, _ = train([few, many], 1)
    assert len(lockstep.sizes) == 1  # an ideal simulator takes no shots
    noisy = {"noise_model": "forte-1"}
    lockstep, _ = train([make_run(seed, device=noisy) for seed in (1, 2)], 1)
    assert len(lockstep.sizes) == 2
    device = {"noise_model": "forte-1", "seed": None}
    lockstep, _ = train([make_run(seed, device=device) for seed in (1, 2)], 1)
    assert len(lockstep.sizes) == 1
    runs = [make_run(seed, shots=shots, device=device) for seed, shots in ((1, 20), (2, 90))]
    lockstep, _ = train(runs, 1)
    assert sorted(size.shots for size in lockstep.sizes) == [20, 90]


def test_a_service_that_takes_one_circuit_a_job_still_trains_all():
    fault = Fault("status", route="submit", status=400)
    with Emulator(seed=1, profile="none", faults=[fault]) as emulator:
        device = on(emulator, None, "simulator")
        runs = [make_run(seed, device={**device, "seed": seed}) for seed in (1, 2)]
        _, ends = train(runs, 2)
        assert ends == runs
        assert outcomes(runs[0]) == outcomes(make_run(1).train(2))


def test_a_run_that_stops_or_fails_does_not_stop_the_others():
    def fail(record):
        raise RuntimeError("mine alone")

    first = make_run(1, callbacks=[lambda record: first.stop()])
    second, third = make_run(2, callbacks=[fail]), make_run(3)
    _, ends = train([first, second, third])
    assert [run.step for run in (first, second, third)] == [1, 0, 3]
    assert first.stopped == "callback"
    assert isinstance(ends[1], RuntimeError)
    assert outcomes(third) == outcomes(make_run(3).train(3))


def test_runs_do_not_share_devices():
    device, other = object(), object()
    check_devices([[device, device], [other]])
    with pytest.raises(ConfigurationError, match="inside make_run"):
        check_devices([[device], [other, device]])


def paid(emulator, tmp_path, seed, **options):
    device = on(emulator, tmp_path / "ledger.sqlite")
    return make_run(
        seed, device=device, checkpoint=tmp_path / f"{seed}.json", resume=True, **options
    )


@settings(max_examples=8, deadline=None)
@given(
    batches=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    steps=st.integers(1, 2),
)
def test_shares_of_bills_sum_to_the_bills(tmp_path_factory, batches, steps):
    folder = tmp_path_factory.mktemp("bills")
    with Emulator(seed=1, profile="none") as emulator:
        runs = [paid(emulator, folder, seed, batch_size=many) for seed, many in enumerate(batches)]
        _, ends = train(runs, steps, Lockstep("all"))
        assert ends == runs
        assert emulator.billed_jobs == steps
        billed = emulator.stats()["billed_usd"]
        assert billed > 0
        assert sum(run.spent_usd for run in runs) == pytest.approx(billed, rel=1e-9)
        for run in runs:
            assert run.spent_usd == pytest.approx(sum(r.cost_usd for r in run.history), rel=1e-9)
        gates = [sum(s.n_1q + s.n_2q for r in run.history for s in r.sizes) for run in runs]
        shares = [run.spent_usd / billed for run in runs]
        if steps == 1:
            assert shares == pytest.approx([g / sum(gates) for g in gates])
        ledger = Ledger(folder / "ledger.sqlite")
        assert ledger.account_usd(["run:all"]) == pytest.approx(billed)
        assert [ledger.spent_usd(run.run_id) for run in runs] == pytest.approx(
            [run.spent_usd for run in runs]
        )
        ledger.close()


def test_every_run_has_its_key_and_finds_its_part_again(emulator, tmp_path):
    runs = [paid(emulator, tmp_path, seed) for seed in (1, 2, 3)]
    train(runs, 2)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    rows = [ledger.history(JobKey(run.run_id, step, 0)) for run in runs for step in (0, 1)]
    assert all(row.state is State.CONSUMED for (row,) in rows)
    assert len({row.id for (row,) in rows}) == 2
    assert len({(row.id, row.share.start) for (row,) in rows}) == 6
    assert {row.share.stop - row.share.start for (row,) in rows} == {runs[0].history[0].circuits}
    ledger.close()


def test_a_run_that_was_killed_goes_on_alone_or_with_others_and_pays_nothing(emulator, tmp_path):
    runs = [paid(emulator, tmp_path, seed) for seed in (1, 2, 3)]
    train(runs, 1)
    for name in ("1", "2"):
        for end in (".json", ".json.history.jsonl"):
            shutil.copy(tmp_path / f"{name}{end}", tmp_path / f"kept-{name}{end}")
    train(runs, 2)
    posts, billed = emulator.stats()["posts"], emulator.stats()["billed_usd"]
    for name in ("1", "2"):
        for end in (".json", ".json.history.jsonl"):
            shutil.copy(tmp_path / f"kept-{name}{end}", tmp_path / f"{name}{end}")
    alone = paid(emulator, tmp_path, 2).train(2)
    assert outcomes(alone) == outcomes(runs[1])
    assert alone.spent_usd == pytest.approx(runs[1].spent_usd)
    again = [paid(emulator, tmp_path, seed) for seed in (1, 3)]
    _, ends = train(again, 2)
    assert ends == again
    assert [outcomes(run) for run in again] == [outcomes(runs[0]), outcomes(runs[2])]
    assert (emulator.stats()["posts"], emulator.stats()["billed_usd"]) == (posts, billed)
    _, ends = train([*again, alone], 3)
    assert emulator.stats()["posts"] == posts + 1


def test_a_job_that_fails_is_sent_again_and_its_bills_are_shared(emulator, tmp_path):
    emulator.faults.add(Fault("fail"))
    runs = [paid(emulator, tmp_path, seed, batch_size=6) for seed in (1, 2)]
    _, ends = train(runs, 1)
    assert ends == runs
    assert emulator.stats()["posts"] == 2
    assert sum(run.spent_usd for run in runs) == pytest.approx(emulator.stats()["billed_usd"])


def test_a_budget_of_one_run_stops_it_alone_and_one_of_all_stops_all(emulator, tmp_path):
    first = paid(emulator, tmp_path, 1, budget_usd=1e-6)
    second = paid(emulator, tmp_path, 2)
    _, ends = train([first, second], 2)
    assert first.stopped == "budget" or isinstance(ends[0], BudgetExceeded)
    assert (first.step, second.step) == (0, 2)
    spent = emulator.stats()["billed_usd"]
    runs = [paid(emulator, tmp_path, seed) for seed in (3, 4)]
    _, ends = train(runs, 5, Lockstep("sweep", budget_usd=1.6 * spent))
    assert {run.stopped for run in runs} == {"budget"}
    assert len({run.step for run in runs}) == 1
    assert 0 < emulator.stats()["billed_usd"] - spent <= 1.6 * spent


def test_a_lost_answer_is_found_again_for_all(tmp_path):
    fault = Fault("close", route="submit", when="after")
    with Emulator(seed=1, profile="none", faults=[fault]) as emulator:
        runs = [paid(emulator, tmp_path, seed) for seed in (1, 2)]
        _, ends = train(runs, 1)
        assert ends == runs
        assert emulator.billed_jobs == 1


def test_jobs_that_were_refused_for_good_travel_together_again(tmp_path):
    fault = Fault("status", route="submit", status=403)
    with Emulator(seed=1, profile="none", faults=[fault]) as emulator:
        runs = [paid(emulator, tmp_path, seed) for seed in (1, 2)]
        _, ends = train(runs, 1)
        assert all(isinstance(end, QStoreError) for end in ends)
        again = [paid(emulator, tmp_path, seed) for seed in (1, 2)]
        _, ends = train(again, 1)
        assert ends == again
        assert emulator.billed_jobs == 1


def test_of_runs_that_shared_a_lost_job_one_sends_its_part_again_at_a_price(emulator, tmp_path):
    """A row without a price would count nothing until its bill."""
    emulator.faults.add(Fault("close", route="submit", when="before", times=1))
    quick = on(emulator, tmp_path / "ledger.sqlite", retry_policy=RetryPolicy(settle_s=0.05))
    asks = {"on_ambiguous": "raise"}, {"on_ambiguous": "resubmit"}

    def runs(*decisions):
        saved = [
            {"checkpoint": tmp_path / f"{seed}.json", "resume": True, "device": {**quick, **own}}
            for seed, own in enumerate(decisions)
        ]
        return [make_run(seed, **options) for seed, options in enumerate(saved)]

    _, ends = train(runs(asks[0], asks[0]), 1)
    assert all(isinstance(end, AmbiguousSubmission) for end in ends)
    again = runs(*asks)
    _, ends = train(again, 1)
    assert isinstance(ends[0], AmbiguousSubmission)
    assert ends[1] is again[1]
    ledger = Ledger(tmp_path / "ledger.sqlite")
    lost, part = ledger.submissions()
    assert (lost.state, part.state) == (State.AMBIGUOUS, State.CONSUMED)
    assert part.estimated_usd
    ledger.close()


def test_lines_tell_the_dollars_of_all_runs_and_their_budget(tmp_path, capsys):
    with Emulator(seed=1, profile="none") as emulator:

        def make(seed):
            return make_run(seed, device=on(emulator, tmp_path / "ledger"))

        found = Sweep(make, seeds=3, budget_usd=1000, progress="log").train(2)
        billed_usd = emulator.stats()["billed_usd"]
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("run x 3 1/2: spent $")
    assert last.startswith(f"run x 3 2/2: spent ${billed_usd:,.2f}/$1,000.00, loss ")
    assert billed_usd > 1.5 * found.trials[0].run.spent_usd


def test_without_a_terminal_short_runs_are_quiet_and_the_bar_tells_steps(capsys):
    Sweep(make_run, seeds=2).train(1)
    assert capsys.readouterr().err == ""
    runs = [make_run(1), make_run(2)]
    runs[0].configure(callbacks=[SharedProgress(runs, None, True)])
    runs[0].train(2)
    assert "run x 2 2/2" in capsys.readouterr().err


def test_steps_and_evaluations_are_priced_by_the_jobs_that_runs_share():
    """A step costs the floor, alone or shared; an evaluation is beyond it."""
    runs = [make_run(seed, shots=10_000, batch_size=1) for seed in (1, 2, 3)]
    model = PRICES["qpu.forte-1"]
    alone = [run.estimate(2, prices=model, evaluate=[None]) for run in runs]
    found = shared_estimate(runs, alone, model)
    assert (alone[0].step_usd, found.step_usd) == (model.floor_usd, model.floor_usd)
    assert alone[0].evaluation_usd > 1.5 * model.floor_usd
    assert found.evaluation_usd == pytest.approx(3 * alone[0].evaluation_usd, abs=0.02)
    assert found.usd == pytest.approx(2 * found.step_usd + found.evaluation_usd, abs=0.02)
    assert found.jobs == 3


def test_runs_whose_jobs_hold_one_circuit_share_none():
    runs = [make_run(seed, batch_size=1) for seed in (1, 2)]
    model = PRICES["qpu.forte-1"]
    alone = [run.estimate(1, prices=model) for run in runs]
    together = shared_estimate(runs, alone, model)
    single = SimpleNamespace(devices=[SimpleNamespace(job_limits=SimpleNamespace(circuits=1))])
    apart = shared_estimate([single, single], alone, model)
    assert apart.usd == pytest.approx(sum(one.usd for one in alone))
    assert together.usd < apart.usd


def test_a_sweep_goes_on_or_is_replaced_as_asked(tmp_path):
    first = Manifest(tmp_path / "new", None)
    first.pruned.add("seed-1")
    first.save()
    again = Manifest(tmp_path / "new", True)
    assert (again.account, again.pruned) == (first.account, {"seed-1"})
    other = Manifest(tmp_path / "new", False)
    assert other.account != first.account
    assert other.pruned == set()
    with pytest.raises(ConfigurationError, match="--resume"):
        Manifest(tmp_path / "new", None)


def test_without_a_folder_nothing_is_kept(tmp_path):
    Manifest(None, None).save()
    assert Manifest(None, True).account != Manifest(None, True).account


@pytest.mark.parametrize("text", ["{", "[]", '{"account": "a"}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ConfigurationError, match="damaged"):
        Manifest(tmp_path, True)
