"""Studies of Optuna: any sampler and pruner, a file that processes share, trials left behind."""

from __future__ import annotations

import multiprocessing

import pytest
from support.swept_runs import make_run, outcomes

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = {
    "lr": optuna.distributions.FloatDistribution(0.05, 0.5),
    "seed": optuna.distributions.IntDistribution(1, 9),
}
PROCESSES = multiprocessing.get_context("spawn")


def journal(path):
    from optuna.storages.journal import JournalFileBackend

    return optuna.storages.JournalStorage(JournalFileBackend(path))


def storage_of(kind, folder):
    return f"sqlite:///{folder}/study.db" if kind == "sqlite" else journal(f"{folder}/journal")


def join(kind, folder, seed, trials):
    """One process of a study."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    qstore.optimize(
        make_run, SPACE, trials=trials, storage=storage_of(kind, folder), study_name="joint",
        sampler=optuna.samplers.RandomSampler(seed=seed), steps=2, folder=f"{folder}/runs",
    )  # fmt: skip


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.RandomSampler])
def test_a_study_chooses_arguments_and_gets_what_they_reach(sampler):
    study = qstore.optimize(make_run, SPACE, trials=5, together=3, steps=2, sampler=sampler(seed=1))
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 5
    assert study.best_value == min(t.value for t in study.trials)
    for trial in study.trials:
        run = make_run(**trial.params).train(2)
        assert trial.value == run.history[-1].loss
        assert trial.intermediate_values[1] == run.history[0].loss


def test_pruned_and_failed_trials_do_not_stop_the_others():
    def make(seed, lr):
        def fail(record):
            raise RuntimeError("mine alone")

        return make_run(seed, lr, callbacks=[fail] if seed == 1 else [])

    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=-1, n_warmup_steps=2))
    study.enqueue_trial({"seed": 1, "lr": 0.1})
    study.enqueue_trial({"seed": 2, "lr": 0.1})
    qstore.optimize(make, SPACE, trials=2, study=study, steps=4)
    assert [t.state.name for t in study.trials] == ["FAIL", "PRUNED"]
    assert study.trials[1].last_step == 2


def test_what_a_process_left_behind_is_gone_on_with(tmp_path):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    def make(seed, lr):
        return make_run(seed, lr, callbacks=[lambda record: kill() if record.step == 2 else None])

    def kill():
        raise SystemExit  # ends the process, as far as it goes here

    with pytest.raises(SystemExit):
        qstore.optimize(make, SPACE, trials=2, study=study, steps=3, folder=tmp_path)
    assert [t.state.name for t in study.trials] == ["RUNNING", "RUNNING"]
    qstore.optimize(make_run, SPACE, trials=0, study=study, steps=3, folder=tmp_path, resume=True)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "COMPLETE"]
    for trial in study.trials:
        run = make_run(**trial.params).train(3)
        assert trial.value == sum(r.loss for r in run.history[-2:]) / 2
        kept = make_run(**trial.params)
        kept.configure(checkpoint=tmp_path / f"trial-{trial.number}" / "checkpoint.json")
        assert outcomes(kept.load()) == outcomes(run)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_processes_join_one_study(kind, tmp_path):
    optuna.create_study(storage=storage_of(kind, tmp_path), study_name="joint")
    processes = [
        PROCESSES.Process(target=join, args=(kind, str(tmp_path), seed, 3)) for seed in (1, 2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    study = optuna.load_study(study_name="joint", storage=storage_of(kind, tmp_path))
    assert [t.number for t in study.trials] == list(range(6))
    assert {t.state.name for t in study.trials} == {"COMPLETE"}
    for trial in study.trials[::3]:
        assert trial.value == make_run(**trial.params).train(2).history[-1].loss


def test_going_on_needs_a_folder():
    with pytest.raises(ConfigurationError, match="folder"):
        qstore.optimize(make_run, SPACE, trials=1, resume=True)
