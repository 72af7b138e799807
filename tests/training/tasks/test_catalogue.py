"""The tasks: their data, their circuits, what they reach, and the command that runs them."""

from __future__ import annotations

import json

import numpy as np
import pennylane as qml
import pytest
from typer.testing import CliRunner

from pennylane_qstore.bench import tables as compare
from pennylane_qstore.cli.main import app
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks import bars, centroid, tables
from pennylane_qstore.training.tasks.catalogue import TASKS, averaged
from pennylane_qstore.training.tasks.data import baseline_accuracy, constant_accuracy

pytest.importorskip("sklearn")
run = CliRunner().invoke


def device(seed=1, **options):
    return qml.device("qstore.ionq", wires=4, seed=seed, **options)


# --------------------------------------------------------------------------- nearest centroid


def test_nearest_centroid_is_one_post_of_450_circuits():
    dev = device()
    found = centroid.classify(dev)
    assert (dev.stats["jobs"], dev.stats["circuits"]) == (1, 450)
    assert found.baseline_accuracy == pytest.approx(0.927, abs=5e-4)
    assert found.constant_accuracy == pytest.approx(1 / 3)


def test_without_noise_distances_are_exact_and_shots_reach_090():
    exact = centroid.classify(device(), shots=None)
    np.testing.assert_allclose(exact.distances, exact.exact, atol=1e-6)
    assert exact.accuracy == exact.baseline_accuracy
    assert all(centroid.classify(device(seed)).accuracy >= 0.90 for seed in range(1, 5))


def test_with_forte_noise_it_stays_within_003_of_the_classical_accuracy():
    found = [centroid.classify(device(seed, noise_model="forte-1")) for seed in range(1, 5)]
    assert all(abs(f.accuracy - f.baseline_accuracy) <= 0.03 for f in found)
    assert all(0.9 < f.kept.mean() < 1 for f in found)


# --------------------------------------------------------------------------- bars and stripes


def test_the_patterns_are_the_six_bars_and_stripes():
    images = [np.array([p >> 3 & 1, p >> 2 & 1, p >> 1 & 1, p & 1]) for p in bars.PATTERNS]
    for bits in images:
        image = bits[np.array(bars.PIXELS)]
        assert (image == image[:, :1]).all() or (image == image[:1]).all()
    assert len(set(bars.PATTERNS)) == 6
    assert bars.TARGET.sum() == pytest.approx(1)


def test_divergences_of_known_models():
    assert float(bars.divergence(bars.TARGET)) == pytest.approx(0)
    assert bars.uniform_divergence() == pytest.approx(np.log(16 / 6))
    # Three pairs with P(equal) = 2/3 each hold log 2 - H(1/3) nats of information.
    h = -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    assert bars.tree_divergence() == pytest.approx(np.log(16 / 6) - 3 * (np.log(2) - h))
    draws = np.random.default_rng(0).multinomial(500, bars.TARGET, size=4000) / 500
    mean = np.mean([bars.divergence(p) for p in draws])
    assert bars.shot_noise_divergence(500) == pytest.approx(mean, rel=0.05)


def test_the_born_machine_learns_the_images_and_a_star_cannot():
    reached = {}
    for connectivity in ("all", "star"):
        dev = qml.device("default.qubit", wires=4, seed=101)
        made = bars.make_run(
            dev, seed=1, steps=80, connectivity=connectivity, progress=False
        ).train(80)
        exact = bars.make_circuit(qml.device("default.qubit", wires=4), None, connectivity)
        reached[connectivity] = float(bars.divergence(exact(averaged(made))))
    assert reached["all"] < 0.05
    assert reached["star"] > 0.2
    assert sum(p.size for p in bars.initial_params(0).values()) == 14
    assert sum(p.size for p in bars.initial_params(0, "star").values()) == 11


def test_a_step_is_one_post_of_nine_circuits():
    made = bars.make_run(device(), progress=False).train(2)
    assert [(r.posts, r.circuits) for r in made.history] == [(1, 9)] * 2


def test_other_connectivities_are_refused():
    with pytest.raises(ConfigurationError, match="'ring'"):
        bars.pairs("ring")


# --------------------------------------------------------------------------- wine, cancer


@pytest.mark.parametrize(("name", "classes", "rows"), [("wine", 3, 178), ("cancer", 2, 569)])
def test_tables_are_split_in_proportion_and_scaled_by_the_training_rows(name, classes, rows):
    data = tables.load_table(name)
    assert data.classes == classes
    assert len(data.train_y) + len(data.test_y) == rows
    np.testing.assert_allclose(data.train_x.mean(axis=0), 0, atol=1e-12)
    assert data.train_x[:, 0].std() == pytest.approx(1)
    share = [np.bincount(y) / len(y) for y in (data.train_y, data.test_y)]
    np.testing.assert_allclose(*share, atol=0.02)


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_choices_are_made_without_the_test_rows(name):
    def rows(x):
        return {tuple(np.round(row, 6)) for row in x}

    train, test, *_ = tables._divided(name)
    for seed in (1, 2):
        chosen_by, judged_by, *_ = tables._divided(name, validation=seed)
        assert rows(chosen_by) | rows(judged_by) == rows(train)
        assert not rows(judged_by) & rows(test)
    assert rows(tables._divided(name)[1]) == rows(test)


def test_cross_entropy_and_accuracy_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    found, y = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    chance = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    expected = metrics.log_loss(y, chance, labels=[0, 1, 2])
    assert float(tables.cross_entropy(found, y)) == pytest.approx(expected)
    assert tables.accuracy(found, y) == metrics.accuracy_score(y, found.argmax(axis=1))


@pytest.mark.parametrize("name", ["wine", "cancer"])
def test_the_classifier_comes_near_logistic_regression(name):
    """Ideal simulator, one seed each: shots are seeded, so no luck is involved."""
    data = tables.load_table(name)
    dev = qml.device("default.qubit", wires=4, seed=1)
    made = tables.make_run(dev, data, seed=1, progress=False).train(200)
    reached = made.evaluate(data.test, averaged(made))["accuracy"]
    assert reached >= baseline_accuracy(data) - 0.08
    assert reached > constant_accuracy(data) + 0.2


# --------------------------------------------------------------------------- the command


@pytest.mark.parametrize("task", [*TASKS, "centroid"])
def test_train_reports_each_task_beside_its_baselines(task, tmp_path):
    result = run(app, ["train", "--task", task, "--out", str(tmp_path), *_steps(task, 4)])
    assert result.exit_code == 0, result.output
    assert "Constant guess" in result.stdout
    assert "POSTs" in result.stdout
    assert "on the emulator" in result.stdout
    if task != "centroid":
        assert (tmp_path / "training.png").exists()
        assert len(json.loads((tmp_path / "history.json").read_text())["history"]) == 4


def _steps(task, steps):
    return [] if task == "centroid" else ["--steps", str(steps)]


def test_a_training_that_is_done_and_resumed_is_told_again(tmp_path):
    def history(folder, *steps):
        for n in steps:
            options = ["--steps", str(n), "--seed", "2", "--resume", "--out", str(folder), "--json"]
            result = run(app, ["train", "--task", "bas", *options])
            assert result.exit_code == 0, result.output
        return json.loads((folder / "history.json").read_text())["history"]

    whole = history(tmp_path / "a", 6)
    again = history(tmp_path / "a", 6)
    assert again == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [(["--task", "bas", "--steps", "40"], "planned for other steps"), (["--task", "wine"], "name")],
)
def test_another_training_does_not_go_on_in_the_folder(change, said, tmp_path):
    first = run(app, ["train", "--task", "bas", "--steps", "2", "--out", str(tmp_path)])
    assert first.exit_code == 0
    other = run(app, ["train", *change, "--resume", "--out", str(tmp_path)])
    assert other.exit_code == 1
    assert said in other.stderr


@pytest.mark.parametrize(
    ("task", "option"),
    [("centroid", ["--steps", "3"]), ("centroid", ["--resume"]), ("bas", ["--batch-size", "5"])],
)
def test_options_that_would_have_no_effect_are_refused(task, option, tmp_path):
    result = run(app, ["train", "--task", task, *option, "--out", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert f"{option[0]} means nothing" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_budget_holds_for_the_evaluation_too_and_the_history_is_told(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator(profile="none") as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")

        def train(budget):
            options = ["--task", "bas", "--backend", "qpu.forte-1", "--steps", "5", "--resume"]
            paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
            return run(app, ["train", *options, *paths, "--shots", "200", "--budget-usd", budget])

        early = train("40")
        assert early.exit_code == 1
        assert "before the first step" in early.stderr
        result = train("100")
        assert result.exit_code == 0, result.output
        assert "Not evaluated" in result.stdout
        assert "budget after 2 steps" in result.stdout
        assert emulator.stats()["billed_usd"] <= 100
        assert len(json.loads((tmp_path / "history.json").read_text())["history"]) == 2
        assert (tmp_path / "training.png").exists()


def test_an_unknown_task_is_named(tmp_path):
    result = run(app, ["train", "--task", "mnist", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "'mnist'" in result.stderr
    assert "'centroid'" in result.stderr


def test_a_run_on_a_machine_is_not_replaced_by_accident(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator(profile="none") as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
        options = ["train", "--task", "bas", "--backend", "qpu.forte-1", "--steps", "1", "--seed"]
        paths = ["1", "--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
        first = run(app, [*options, *paths])
        assert first.exit_code == 0, first.output
        assert "Billed" in first.stdout
        second = run(app, [*options, *paths])
        assert second.exit_code == 1
        assert "resume=True goes on" in second.stderr
        paid = emulator.billed_jobs
        assert run(app, [*options, *paths, "--resume"]).exit_code == 0
        assert emulator.billed_jobs == paid


# --------------------------------------------------------------------------- ours and plain


def test_the_plain_loop_gives_the_same_numbers_merged_and_one_by_one():
    data = tables.load_table("wine")
    found = [device(3), device(3)]
    accuracies = [
        compare.train_plain(dev, data, 1, 2, 2, merged=merged)
        for dev, merged in zip(found, (True, False), strict=True)
    ]
    assert accuracies[0] == accuracies[1]
    assert found[0].stats["circuits"] == found[1].stats["circuits"]
    assert found[1].stats["jobs"] - 1 == 2 * 60  # the test rows are one more
    assert found[0].stats["jobs"] == 5
    assert found[0].state_dict()["rng"] == found[1].state_dict()["rng"]


def test_the_comparison_counts_posts_and_seconds_of_a_step():
    ours, plain = compare.compare(["wine"], steps=2, scale=0.002)
    assert (ours.posts, ours.circuits) == (1, 60)
    assert (plain.posts, plain.circuits) == (60, 60)
    assert ours.step_s < plain.step_s
    assert "POSTs/step" in compare.text([ours, plain])
