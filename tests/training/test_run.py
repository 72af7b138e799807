"""TrainingRun: what a step sees and records, when it stops, and that it goes on bit for bit."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, JobFailed
from pennylane_qstore.training.callbacks import Callback, ProgressBar
from pennylane_qstore.training.minibatches import MiniBatches
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.sign(X[:, 0])
WEIGHTS = np.random.default_rng(1).normal(size=(1, 2, 3))


def mean_square(out, y):
    return qml.numpy.mean((out - y) ** 2)


def right(out, y):
    return np.mean(np.sign(out) == y)


def make(optimizer="spsa", *, device=None, noise=None, params=None, **options):
    """A small run; everything seeded."""
    device = device or qml.device("qstore.ionq", wires=2, seed=3, noise_model=noise)

    def circuit(w, x):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    gradient_free = "spsa" in optimizer
    node = qml.set_shots(
        qml.QNode(circuit, device, diff_method=None if gradient_free else "parameter-shift"), 100
    )
    model = node if gradient_free else lambda w, x: qml.numpy.stack([node(w, row) for row in x])
    made = {
        "spsa": lambda: SPSAOptimizer(maxiter=20, seed=1),
        "stock spsa": lambda: qml.SPSAOptimizer(maxiter=20),
        "adam": lambda: qml.AdamOptimizer(0.1),
        "momentum": lambda: qml.MomentumOptimizer(0.1),
        "gradient descent": lambda: qml.GradientDescentOptimizer(0.1),
    }[optimizer]()
    settings = {
        "loss": mean_square, "metrics": {"accuracy": right}, "data": (X, Y), "batch_size": 4,
        "seed": 1, "device": device, "progress": False,
    }  # fmt: skip
    start = qml.numpy.array(WEIGHTS, requires_grad=True) if params is None else params
    return TrainingRun(model, start, made, **{**settings, **options})


def outcomes(run):
    return [record.outcome() for record in run.history]


# --------------------------------------------------------------------------- steps


def test_a_step_is_one_post_and_is_recorded_as_the_emulator_saw_it():
    with Emulator() as emulator:
        run = make(device=qml.device("qstore.ionq", wires=2, seed=3, emulator=emulator)).train(5)
        served = emulator.stats()
    assert [record.step for record in run.history] == [1, 2, 3, 4, 5]
    assert [record.epoch for record in run.history] == [1] * 5
    assert all(record.posts == 1 and record.circuits == 12 for record in run.history)
    assert served["posts"] == 5
    assert served["requests"] == sum(record.requests for record in run.history)
    assert all(0 <= record.metrics["accuracy"] <= 1 for record in run.history)
    assert run.stopped == "steps"


@pytest.mark.ml
@pytest.mark.parametrize("kind", ["torch", "list", "dict"])
def test_metrics_are_measured_where_the_run_stands_whatever_the_parameters(kind):
    if kind == "torch":
        torch = pytest.importorskip("torch")
        params = torch.tensor(WEIGHTS, requires_grad=True)
    else:
        params = [np.array(WEIGHTS)] if kind == "list" else {"w": np.array(WEIGHTS)}

    def model(w, x):
        w = w if kind == "torch" else w[0 if kind == "list" else "w"]
        return w.reshape(-1)[:4]

    seen = TrainingRun(
        model,
        params,
        SPSAOptimizer(maxiter=10, seed=1),
        loss=lambda out, y: (out**2).mean(),
        metrics={"first": lambda out, y: out[0]},
        data=(np.ones((4, 2)), np.ones(4)),
        batch_size=4,
        seed=1,
        progress=False,
        device=(),
    ).train(2)
    assert seen.history[0].metrics["first"] == np.ravel(WEIGHTS)[0]


@pytest.mark.parametrize(("mode", "posts"), [("deferred", 1), ("tasks", 4), ("serial", 12)])
def test_our_optimizer_decides_itself_how_a_step_travels(mode, posts):
    device = qml.device("qstore.ionq", wires=1, seed=0)

    @qml.qnode(device, diff_method=None)
    def circuit(w, x):
        qml.RY(w[0] * x, 0)
        return qml.expval(qml.Z(0))

    def cost(w, x, y):
        return sum((circuit(w, row[0]) - label) ** 2 for row, label in zip(x, y, strict=True))

    optimizer = SPSAOptimizer(maxiter=3, seed=1, mode=mode)
    settings = {"data": (X, Y), "batch_size": 4, "device": device, "progress": False}
    run = TrainingRun(cost, np.array([0.4]), optimizer, **settings).train(1)
    assert run.history[0].posts == posts


def test_history_is_a_table_for_pandas():
    run = make(validation=(X[:6], Y[:6]), validate_every=2).train(3)
    table = run.table()
    assert {len(column) for column in table.values()} == {3}
    assert table["step"] == [1, 2, 3]
    assert np.isnan(table["val_loss"]).tolist() == [True, False, True]
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(table).loc[1, "val_accuracy"] <= 1


def test_a_qnode_without_data_is_a_cost():
    device = qml.device("qstore.ionq", wires=1, seed=0)

    @qml.qnode(device, diff_method=None)
    def energy(angle):
        qml.RY(angle, 0)
        return qml.expval(qml.Z(0))

    run = TrainingRun(
        energy, np.array(0.3), SPSAOptimizer(maxiter=60, seed=1, a=2.0), progress=False
    )
    assert run.train(60).history[-1].loss < -0.9


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: qml.QNGOptimizer(0.1),
        lambda: qml.MomentumQNGOptimizer(0.1),
        lambda: qml.QNSPSAOptimizer(0.1, seed=1),
        lambda: qml.ShotAdaptiveOptimizer(min_shots=10),
    ],
    ids=["QNG", "MomentumQNG", "QNSPSA", "ShotAdaptive"],
)
def test_optimizers_that_ask_for_a_qnode_get_it_and_go_on_exactly(make_optimizer, tmp_path):
    def run(**options):
        dev = qml.device("qstore.ionq", wires=1, seed=3)

        @qml.set_shots(100)
        @qml.qnode(dev)
        def cost(w):
            qml.RX(w[0], 0)
            qml.RY(w[1], 0)
            return qml.expval(qml.Z(0))

        start = qml.numpy.array([0.4, 0.3], requires_grad=True)
        return TrainingRun(cost, start, make_optimizer(), progress=False, seed=1, **options)

    np.random.seed(5)  # noqa: NPY002 - what some stock optimizers draw from
    whole = run().train(3)
    np.random.seed(5)  # noqa: NPY002
    run(checkpoint=tmp_path / "run.json").train(1)
    assert outcomes(run(checkpoint=tmp_path / "run.json", resume=True).train(3)) == outcomes(whole)


def test_a_tuple_of_parameters_is_several_arguments():
    def cost(a, b):
        return (a - 1.0) ** 2 + (b + 2.0) ** 2

    start = tuple(qml.numpy.array(0.0, requires_grad=True) for _ in range(2))
    optimizer = qml.GradientDescentOptimizer(0.3)
    run = TrainingRun(cost, start, optimizer, device=(), progress=False).train(40)
    assert [round(float(p), 3) for p in run.params] == [1.0, -2.0]


def test_all_rows_are_seen_once_an_epoch_in_an_order_of_the_seed():
    batches = MiniBatches(10, 4, seed=5)
    epochs = [np.concatenate([batches(s) for s in range(k, k + 3)]) for k in (1, 4)]
    assert [sorted(rows) for rows in epochs] == [list(range(10))] * 2
    assert list(epochs[0]) != list(epochs[1])
    assert [len(batches(s)) for s in (1, 2, 3)] == [4, 4, 2]
    assert [batches.epoch(s) for s in (1, 3, 4)] == [1, 1, 2]
    np.testing.assert_array_equal(batches(5), MiniBatches(10, 4, seed=5)(5))
    equal = MiniBatches(10, 4, seed=5, drop_last=True)
    assert {len(equal(s)) for s in range(1, 20)} == {4}
    assert equal.epoch(3) == 2


def test_epochs_count_in_steps():
    assert make().train(epochs=2).step == 10


# --------------------------------------------------------------------------- resume


@pytest.mark.parametrize("noise", [None, "forte-1"])
@pytest.mark.parametrize(
    "optimizer", ["spsa", "stock spsa", "adam", "momentum", "gradient descent"]
)
def test_a_resumed_run_is_the_uninterrupted_one(optimizer, noise, tmp_path):
    options = {"noise": noise, "validation": (X[:3], Y[:3]), "validate_every": 2}
    np.random.seed(5)  # noqa: NPY002 - what stock SPSA draws from
    whole = make(optimizer, **options).train(6)
    np.random.seed(5)  # noqa: NPY002
    make(optimizer, **options, checkpoint=tmp_path / "run.json").train(3)
    np.random.seed(99)  # noqa: NPY002
    rest = make(optimizer, **options, checkpoint=tmp_path / "run.json", resume=True).train(6)
    assert outcomes(rest) == outcomes(whole)
    np.testing.assert_array_equal(rest.params, whole.params)
    np.testing.assert_array_equal(rest.best_params, whole.best_params)
    assert rest.best == whole.history[rest.best.step - 1] or rest.best.step == whole.best.step


def test_parameters_keep_their_form(tmp_path):
    params = {"w": WEIGHTS.copy(), "more": [np.float32([0.5]), np.zeros(2)]}

    def model(p, x):
        return x @ p["more"][1] + p["more"][0] + np.sum(p["w"])

    def run(**options):
        optimizer = SPSAOptimizer(maxiter=9, seed=1)
        return TrainingRun(
            model, params, optimizer, loss=mean_square, data=(X, Y), device=(), seed=1,
            progress=False, **options,
        )  # fmt: skip

    first = run(checkpoint=tmp_path / "a").train(4)
    rest = run(checkpoint=tmp_path / "a", resume=True).train(8)
    whole = run().train(8)
    assert rest.params["more"][0].dtype == np.float32
    np.testing.assert_array_equal(rest.params["w"], whole.params["w"])
    assert first.step == 4


def test_use_of_the_device_between_two_calls_changes_nothing():
    whole = make().train(4)
    device = qml.device("qstore.ionq", wires=2, seed=3)
    parts = make(device=device).train(2)
    other = make(device=device)
    other.train(1)
    first = parts.evaluate((X, Y))
    assert parts.evaluate((X, Y)) == first
    assert outcomes(parts.train(4)) == outcomes(whole)


def test_a_checkpoint_is_not_replaced_by_accident(tmp_path):
    make(checkpoint=tmp_path / "a").train(2)
    with pytest.raises(ConfigurationError, match="resume=True goes on"):
        make(checkpoint=tmp_path / "a").train(2)
    assert make(checkpoint=tmp_path / "a", resume=False).train(1).step == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "seed"),
        ({"data": (X + 1, Y)}, "data"),
        ({"batch_size": 5}, "batch_size"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"noise": "forte-1"}, "devices"),
        ({"name": "other"}, "name"),
    ],
)
def test_another_run_does_not_go_on_with_the_checkpoint(change, named, tmp_path):
    make(checkpoint=tmp_path / "a").train(1)
    with pytest.raises(ConfigurationError, match=f"another run.*{named}"):
        make(**change, checkpoint=tmp_path / "a", resume=True).train(2)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"a": 1}', '{"format": 1}'])
def test_what_is_no_checkpoint_is_said_to_be_none(text, tmp_path):
    (tmp_path / "a").write_text(text)
    with pytest.raises(ConfigurationError, match="checkpoint"):
        make(checkpoint=tmp_path / "a", resume=True).train(2)


def test_a_seed_that_was_drawn_is_remembered(tmp_path):
    make(seed=None, checkpoint=tmp_path / "a").train(2)
    rest = make(seed=None, checkpoint=tmp_path / "a", resume=True).train(4)
    assert rest.step == 4
    assert json.loads((tmp_path / "a").read_text())["settings"]["seed"] is not None


def test_a_job_in_flight_is_adopted_and_the_failed_step_repeated_exactly(tmp_path):
    """It breaks after the job was paid for; the same process goes on, and then another."""
    whole = make().train(4)
    with Emulator(seed=0) as emulator:

        def device():
            return qml.device(
                "qstore.ionq", wires=2, seed=3, backend="simulator", api_key="key",
                base_url=emulator.url, ledger=tmp_path / "ledger",
            )  # fmt: skip

        class Break(Callback):
            def on_step(self, run, record):
                if record.step == 3:
                    raise RuntimeError("killed before the checkpoint")

        run = make(device=device(), checkpoint=tmp_path / "a", callbacks=[Break()])
        with pytest.raises(RuntimeError, match="killed"):
            run.train(4)
        assert run.step == 2
        assert emulator.billed_jobs == 3
        run._observers.callbacks[:] = [Callback()]
        run.train(3)
        assert emulator.billed_jobs == 3  # the third was found, not sent again
        rest = make(device=device(), checkpoint=tmp_path / "a", resume=True).train(4)
        assert emulator.billed_jobs == 4
    assert outcomes(rest) == outcomes(whole)


def test_two_runs_of_one_name_do_not_meet_in_the_ledger(tmp_path):
    with Emulator() as emulator:
        for seed in (1, 2):
            device = qml.device(
                "qstore.ionq", wires=2, seed=seed, backend="simulator", api_key="key",
                base_url=emulator.url, ledger=tmp_path / "ledger",
            )  # fmt: skip
            make(device=device, name="same").train(2)
        assert emulator.billed_jobs == 4


# --------------------------------------------------------------------------- stopping


def test_it_stops_when_the_validation_loss_no_longer_improves(tmp_path):
    options = {
        "validation": (X[:4], Y[:4]), "validate_every": 2, "patience": 2, "min_delta": 10.0,
        "checkpoint": tmp_path / "a",
    }  # fmt: skip
    run = make(**options).train(50)
    assert (run.stopped, run.step, run.best.step) == ("patience", 6, 2)
    again = make(**options, resume=True).train(50)
    assert (again.stopped, again.step) == ("patience", 6)


def test_best_parameters_are_those_of_the_least_validation_loss():
    run = make(validation=(X, Y)).train(8)
    losses = run.table()["val_loss"]
    assert run.best.step == 1 + int(np.argmin(losses))
    assert run.evaluate((X, Y), run.best_params)["loss"] == pytest.approx(min(losses), abs=0.3)


def test_a_callback_hears_everything_and_may_stop_the_run():
    heard = []

    class Listener(Callback):
        def on_begin(self, run):
            heard.append("begin")

        def on_start(self, run, steps):
            heard.append(f"start {steps}")

        def on_wait(self, run, progress):
            heard.append(progress.state)

        def on_step(self, run, record):
            heard.append(f"step {record.step}")
            if record.step == 2:
                run.stop()

        def on_stop(self, run):
            heard.append("stop")

    records = []
    run = make(callbacks=[Listener(), records.append]).train(9)
    assert run.stopped == "callback"
    assert records == run.history
    assert heard[:2] == ["start 9", "begin"]
    assert [h for h in heard if h.startswith("step")] == ["step 1", "step 2"]
    assert "completed" in heard
    run.train(3)
    assert heard.count("begin") == 1


def test_a_callback_with_a_state_is_kept_in_the_checkpoint(tmp_path):
    class Counter(Callback):
        seen = 0

        def on_step(self, run, record):
            self.seen += 1

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    make(checkpoint=tmp_path / "a", callbacks=[Counter()]).train(3)
    counter = Counter()
    watching = [lambda record: None, counter]
    make(checkpoint=tmp_path / "a", resume=True, callbacks=watching).train(5)
    assert counter.seen == 5


def test_ctrl_c_ends_the_run_after_the_step():
    def interrupt(record):
        if record.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    run = make(callbacks=[interrupt]).train(9)
    assert (run.stopped, run.step) == ("interrupt", 2)
    assert signal.getsignal(signal.SIGINT) is before
    assert run.train(3).step == 3


def test_a_second_ctrl_c_ends_it_at_once_and_the_step_can_be_repeated():
    whole = make().train(3)
    pressed = []

    def interrupt(record):
        if record.step == 2 and not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    run = make(callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        run.train(9)
    assert run.step == 1
    assert outcomes(run.train(3)) == outcomes(whole)


def test_it_stops_before_the_budget_is_exceeded(tmp_path):
    def device(budget_usd=None):
        return qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=budget_usd,
        )  # fmt: skip

    with Emulator(profile="none") as emulator:
        once = make(device=device()).train(1).history[0].cost_usd
        assert once > 0
        paid = emulator.stats()["billed_usd"]
        options = {"checkpoint": tmp_path / "a", "budget_usd": 2.5 * once}
        run = make(device=device(), **options).train(9)
        assert (run.stopped, run.step) == ("budget", 2)
        assert run.left_usd == pytest.approx(0.5 * once)
        assert emulator.stats()["billed_usd"] - paid == pytest.approx(2 * once)
        more = {**options, "budget_usd": 3.5 * once}
        rest = make(device=device(), **more, resume=True).train(9)
        assert (rest.stopped, rest.step) == ("budget", 3)
        assert emulator.stats()["billed_usd"] - paid == pytest.approx(3 * once)


@pytest.mark.parametrize("name", [None, "mine"])
def test_evaluations_count_in_the_budget_and_do_not_disturb_the_run(name, tmp_path):
    def device(budget_usd):
        return qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=budget_usd, run=name,
        )  # fmt: skip

    def look(record):
        if record.step == 2:
            seen.append(run.evaluate())

    with Emulator(profile="none") as emulator:
        seen, run = [], make(device=device(None), checkpoint=tmp_path / "a", callbacks=[look])
        run.train(3)
        once, paid = run.history[0].cost_usd, emulator.stats()["billed_usd"]
        seen.append(run.evaluate())
        assert emulator.stats()["billed_usd"] > paid
        assert run.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        assert run.history[2].spent_usd == pytest.approx(paid)
        budget = emulator.stats()["billed_usd"] + 1.5 * once
        run = make(device=device(budget), checkpoint=tmp_path / "a", resume=True).train(9)
        assert (run.stopped, run.step) == ("budget", 4)
        assert run.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        with pytest.raises(BudgetExceeded):
            run.evaluate()
        assert emulator.stats()["billed_usd"] <= budget


def test_what_a_device_spent_before_counts_in_its_budget(tmp_path):
    with Emulator(profile="none") as emulator:
        dev = qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=100.0,
        )  # fmt: skip
        tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))], shots=100)
        qml.execute([tape], dev, diff_method=None)
        assert dev.spent_usd > 0
        run = make(device=dev).train(2)
        run.train(99)
        assert run.stopped == "budget"
        assert dev.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        assert dev.spent_usd <= 100.0


def test_a_failed_step_leaves_the_run_where_it_was():
    fail = []

    def cost(w):
        if fail:
            raise JobFailed("no luck")
        return np.sum(w**2)

    run = TrainingRun(
        cost, np.ones(3), SPSAOptimizer(maxiter=9, seed=1), device=(), progress=False
    ).train(2)
    params, fail[:] = run.params.copy(), [True]
    with pytest.raises(JobFailed):
        run.train(4)
    np.testing.assert_array_equal(run.params, params)
    fail.clear()
    other = TrainingRun(
        cost, np.ones(3), SPSAOptimizer(maxiter=9, seed=1), device=(), progress=False
    ).train(4)
    assert outcomes(run.train(4)) == outcomes(other)


# --------------------------------------------------------------------------- settings, progress


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 21}, "batch_size=21"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"data": (X, Y[:3])}, "one length"),
        ({"data": None}, "needs data"),
        ({"patience": 0}, "patience=0"),
        ({"loss": None}, "give loss= too"),
    ],
)
def test_settings_that_are_not_possible_are_refused(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        make(**wrong)


def test_a_function_needs_its_device_named():
    with pytest.raises(ConfigurationError, match="device= is missing"):
        TrainingRun(lambda w: w, np.ones(1), SPSAOptimizer(maxiter=1))


def test_an_optimizer_that_cannot_step_is_refused():
    with pytest.raises(ConfigurationError, match="makes no steps"):
        TrainingRun(lambda w: w, np.ones(1), object(), device=())


@pytest.mark.parametrize("total", [{}, {"steps": 1, "epochs": 1}, {"steps": 0}])
def test_how_far_to_train_has_to_be_said(total):
    with pytest.raises(ConfigurationError, match="steps"):
        make().train(**total)


def test_sizes_that_follow_the_queue_do_not_go_with_a_checkpoint(tmp_path):
    device = qml.device(
        "qstore.ionq", wires=2, max_circuits_per_job="adaptive", ledger=tmp_path / "ledger"
    )
    with pytest.raises(ConfigurationError, match="fixed max_circuits_per_job"):
        make(device=device, checkpoint=tmp_path / "a").train(1)


def test_the_bar_tells_loss_posts_rate_and_is_quiet_elsewhere(capsys):
    make(progress=True).train(3)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    for word in ("loss=", "POSTs=3", "circuits/s="):
        assert word in shown
    make(progress=None).train(1)
    assert capsys.readouterr().err == ""


def test_the_bar_tells_queue_spending_and_budget():
    class Run:
        name, step, history, spent_usd, left_usd = "r", 0, [], 12.5, 87.5

    class Wait:
        state, predicted_wait_s, elapsed_s = "ready", 1800.0, 2.0

    bar = ProgressBar(True)
    bar.on_start(Run, 10)
    try:
        bar.on_wait(Run, Wait)
        assert "about 30 min in the queue" in bar._bar.postfix
        record = make().train(1).history[0]
        bar.on_step(Run, record)
        assert "spent=$12.50" in bar._bar.postfix
        assert "left=$87.50" in bar._bar.postfix
    finally:
        bar.on_stop(Run)


def test_it_runs_in_a_thread_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(make().train(2).step))
    thread.start()
    thread.join()
    assert found == [2]


# --------------------------------------------------------------------------- torch


def torch_run(**options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(4)
    device = qml.device("qstore.ionq", wires=2, seed=3)

    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.BasicEntanglerLayers(weights, wires=range(2))
        return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))]

    node = qml.set_shots(qml.QNode(circuit, device, diff_method="device"), 100)
    layer = qml.qnn.TorchLayer(node, {"weights": (1, 2)})
    module = torch.nn.Sequential(layer, torch.nn.Linear(2, 1))
    return TrainingRun(
        module, None, torch.optim.Adam(module.parameters(), lr=0.05),
        loss=lambda out, y: torch.mean((out[:, 0] - y) ** 2),
        metrics={"accuracy": lambda out, y: np.mean(np.sign(out[:, 0]) == y)},
        data=(torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)),
        batch_size=4, seed=1, progress=False, **options,
    )  # fmt: skip


@pytest.mark.ml
def test_a_torch_module_is_trained_and_resumed_bit_for_bit(tmp_path):
    whole = torch_run().train(6)
    torch_run(checkpoint=tmp_path / "a").train(3)
    rest = torch_run(checkpoint=tmp_path / "a", resume=True).train(6)
    assert outcomes(rest) == outcomes(whole)
    for one, other in zip(rest.params.parameters(), whole.params.parameters(), strict=True):
        assert one.equal(other)
    assert all(record.posts == 1 for record in whole.history)
