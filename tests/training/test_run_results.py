"""Pretraining: exact, free, resumable; the report says what the later steps added. Prices."""

from __future__ import annotations

import pennylane as qml
import pytest
from support.training_runs import X, Y, make, outcomes

from pennylane_qstore import TrainingRun
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.run_results import WarmStartReport


def paid(emulator, **options):
    device = qml.device(
        "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
        base_url=emulator.url, ledger=":memory:" if options.pop("memory", False) else None,
    )  # fmt: skip
    return make(device=device, budget_usd=200.0, **options)


@pytest.fixture
def service(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with Emulator() as emulator:
        yield emulator


def test_pretraining_sends_nothing_and_costs_nothing(service) -> None:
    run = paid(service)
    start = run.params.copy()
    run.pretrain(3)
    assert service.billed_jobs == 0
    assert run.spent_usd == 0
    assert run.left_usd == 200.0
    assert [r.exact for r in run.history] == [True] * 3
    assert {(r.circuits, r.posts, r.cost_usd, r.sizes) for r in run.history} == {(0, 0, 0.0, ())}
    assert not (run.params == start).all()
    run.train(4)
    assert service.billed_jobs == run.history[-1].posts == 1
    assert [r.exact for r in run.history] == [True] * 3 + [False]
    assert run.history[-1].cost_usd > 0


def test_callbacks_that_execute_are_exact_meanwhile(service) -> None:
    run = paid(service, callbacks=[lambda record: run.evaluate()])
    run.pretrain(2)
    assert service.billed_jobs == 0


def test_exact_steps_do_not_depend_on_the_noise() -> None:
    losses = []
    for noise in (None, "forte-1", "aria-1"):
        run = make(noise=noise)
        run.pretrain(3)
        losses.append([record.loss for record in run.history])
    assert losses[1] == pytest.approx(losses[0], abs=1e-9)
    assert losses[2] == pytest.approx(losses[0], abs=1e-9)


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_a_pretrained_run_goes_on_bit_for_bit(tmp_path, stop_at) -> None:
    def trained(run):
        run.pretrain(3)
        if run.stopped == "steps":
            run.train(5)
        return run

    whole = trained(make(noise="forte-1"))
    broken = make(
        noise="forte-1", checkpoint=tmp_path / "run.json",
        callbacks=[lambda record: broken.stop() if record.step == stop_at else None],
    )  # fmt: skip
    trained(broken)
    again = trained(make(noise="forte-1", checkpoint=tmp_path / "run.json", resume=True))
    assert outcomes(again) == outcomes(whole)
    assert [r.exact for r in again.history] == [True] * 3 + [False] * 2
    assert again.warm_start() == whole.warm_start()


def test_the_report_says_what_later_steps_added(service) -> None:
    run = paid(service)
    run.pretrain(3)
    nothing = run.warm_start()
    assert nothing.steps == 0
    assert set(nothing.added.values()) == {0.0}
    assert "0 steps after pretraining, $0.00" in str(nothing)
    run.train(5)
    report = run.warm_start()
    assert (report.steps, report.cost_usd) == (2, sum(r.cost_usd for r in run.history))
    assert report.added["loss"] == report.after["loss"] - report.before["loss"] != 0
    assert report.before == nothing.before
    assert service.billed_jobs == 2, "the report was free"
    assert not run.warm_start(exact=False).exact
    assert service.billed_jobs == 4


def test_bills_and_list_prices_agree(service) -> None:
    run = paid(service)
    run.train(2)
    billed_usd = sum(record.cost_usd for record in run.history)
    assert run.would_cost_usd("qpu.forte-1") == pytest.approx(billed_usd)
    assert run.would_cost_usd() == pytest.approx(billed_usd), "the list that bills agree with"
    assert run.would_cost_usd("qpu.forte-1/circuit") > billed_usd


def test_the_order_is_checked() -> None:
    run = make()
    with pytest.raises(ConfigurationError, match="no pretraining"):
        run.warm_start()
    run.train(2)
    with pytest.raises(ConfigurationError, match="before train"):
        run.pretrain(4)
    run.pretrain(2)  # as a program that goes on calls it
    assert run.step == 2


def test_a_torch_module_starts_warm_and_stays_what_it_is() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    device = qml.device("qstore.ionq", wires=2, seed=3, noise_model="forte-1")

    @qml.set_shots(100)
    @qml.qnode(device, interface="torch", diff_method="parameter-shift")
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.StronglyEntanglingLayers(weights, wires=range(2))
        return qml.expval(qml.Z(0))

    module = torch.nn.Sequential(qml.qnn.TorchLayer(circuit, {"weights": (1, 2, 3)}))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    data = (torch.tensor(X), torch.tensor(Y))
    run = TrainingRun(
        module, None, optimizer, loss=lambda out, y: ((out - y) ** 2).mean(), data=data,
        batch_size=4, seed=1, progress=False, shots="auto",
    )  # fmt: skip
    run.pretrain(2)
    run.train(3)
    after = {name: value.clone() for name, value in module.state_dict().items()}
    report = run.warm_start()
    assert report.added["loss"] != 0
    assert all(torch.equal(after[name], value) for name, value in module.state_dict().items())
    assert [record.posts > 0 for record in run.history] == [False, False, True]


def test_a_run_says_what_it_is():
    run = make("adam", name="mine")
    assert repr(run) == "TrainingRun(AdamOptimizer(stepsize=0.1), name='mine', step=0)"
    run = make(name="mine").train(1)
    loss = run.history[-1].loss
    assert repr(run) == (
        f"TrainingRun(SPSAOptimizer(maxiter=20, seed=1), name='mine', step=1, loss={loss:.4g}, "
        "spent_usd=0.00)"
    )
    assert run.machines == ("backend='emulator'",)
    assert run.settings["name"] == "mine"


def test_the_report_says_what_was_added_and_where_it_was_measured():
    report = WarmStartReport(5, 120.5, {"loss": 0.5}, {"loss": 0.4}, {"loss": -0.1}, True)
    assert str(report) == "5 steps after pretraining, $120.50: loss 0.5 to 0.4 (-0.1) (exact)"
    assert str(report._replace(exact=False)).endswith("(on the run's backend)")
