"""The training loop: batches, gradients, objectives of any kind, data, seeds."""

import numpy as np
import pytest
from support.renamed_machine import NAME
from support.v34_runs import X, Y, quadratic, run, small

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34.config import TrainingConfig


def test_batching_of_a_runs_step(emulator):
    """Plus, minus and forward, of rows that are one circuit call."""
    for settings, posts in ({}, 1), ({"enable_batch_execution": False}, 3):
        before = emulator.stats()["posts"]
        run(emulator, gradient_method="spsa", **settings)
        assert emulator.stats()["posts"] - before == posts


@pytest.mark.parametrize("method", ["parameter_shift", "finite_diff"])
def test_pennylanes_gradients_train_too(emulator, method):
    history = run(emulator, gradient_method=method, batch_size=3)
    assert len(history.steps) == 2
    assert all(np.isfinite(history.losses))
    assert history.steps[0].circuits > 9


def test_an_objective_of_ones_own():
    config = TrainingConfig(epochs=100, gradient_method="spsa", learning_rate=0.05,
                            checkpoint_interval=1000)  # fmt: skip
    seen = []
    history = config.run(quadratic, np.zeros(3), seed=1, on_step=seen.append)
    assert len(seen) == len(history.steps) == 100
    assert quadratic(history.params) < 0.3 < history.losses[0]


def test_a_run_of_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="data"):
        TrainingConfig().run()
    with pytest.raises(ConfigurationError, match="parameters"):
        TrainingConfig().run(quadratic)


def test_a_run_of_one_seed_is_one_run():
    def losses(seed):
        return small(epochs=2, batch_size=3).run(data=(X, Y), seed=seed, progress=False).losses

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


@pytest.mark.parametrize(
    ("data", "said"), [(X, "not 1"), ((X, Y, Y), "not 3"), ((X[:0], Y[:0]), "no rows")]
)
def test_data_are_features_and_labels(data, said):
    with pytest.raises(ConfigurationError, match=said):
        small().run(data=data)


def test_a_machine_that_no_release_knows_is_taken_as_it_is_described(renamed_machine, monkeypatch):
    monkeypatch.setenv("IONQ_API_URL", renamed_machine.url)
    config = small(
        quantum_target=NAME, quantum_api_key="k", gradient_method="spsa", shots_per_circuit=50
    )
    with pytest.warns(UserWarning, match=NAME):
        history = config.run(data=(X, Y), seed=1)
    assert len(history.steps) == 1
    assert {job["backend"] for job in renamed_machine.posted} == {NAME}
