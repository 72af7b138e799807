"""Steps whose shape is chosen: by the price list, within limits, and again after a resume."""

from __future__ import annotations

import pennylane as qml
import pytest
from support.training_runs import X, Y, make, outcomes

from pennylane_qstore import SPSAOptimizer, TrainingRun
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PRICES, JobSize, PriceModel
from pennylane_qstore.training.auto_shape import charged_by, joined, price_models
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.step_shape import EARLY, FIRST_SHOTS, LAST_SHOTS

CIRCUIT = "qpu.forte-1/circuit"


def auto(**options):
    optimizer = SPSAOptimizer(maxiter=10, seed=1, resamplings="auto")
    settings = {"noise": "forte-1", "shots": "auto", "batch_size": None}
    return make(optimizer_object=optimizer, **{**settings, **options})


def shapes(run):
    return [record.shape for record in run.history]


def test_a_step_has_the_shape_that_was_chosen() -> None:
    run = auto(prices="braket.forte-1")
    run.train(10)
    assert [shape.shots for shape in shapes(run)] == [FIRST_SHOTS] * 7 + [LAST_SHOTS] * 3
    for record in run.history:
        (size,) = record.sizes
        assert (size.shots, size.circuits) == (record.shape.shots, record.shape.evaluations)
    assert run.optimizer.resamplings == "auto"
    table = run.table()
    assert table["shots"] == [shape.shots for shape in shapes(run)]
    assert table["rows"] == [shape.rows for shape in shapes(run)]


def test_another_price_list_gives_another_shape() -> None:
    per_job, per_circuit = (auto(prices=prices) for prices in ("qpu.forte-1", CIRCUIT))
    per_job.train(1)
    per_circuit.train(1)
    (many,), (few,) = shapes(per_job), shapes(per_circuit)
    assert many.evaluations > few.evaluations
    assert many.shots < few.shots
    assert per_job.history[0].would_cost_usd("qpu.forte-1") == pytest.approx(25.79, rel=0.02)


def test_the_chosen_shape_is_no_dearer_than_the_best_fixed_one() -> None:
    """The best of five that take as many looks at the gradient, or more, in as many steps."""
    steps, prices = 4, "qpu.forte-1"
    chosen = auto(prices=prices)
    chosen.train(steps)
    usd = sum(record.would_cost_usd(prices) for record in chosen.history)
    fixed_usd = []
    for shots in (100, 200, 300, 500, 1000):
        run = auto(shots=shots, prices=prices, batch_size=20)
        run.train(steps)
        fixed_usd.append(sum(record.would_cost_usd(prices) for record in run.history))
    assert usd <= 1.02 * min(fixed_usd)


def test_a_run_does_not_go_on_with_other_prices(tmp_path) -> None:
    auto(prices="braket.forte-1", checkpoint=tmp_path / "run.json").train(2)
    other = auto(prices=CIRCUIT, checkpoint=tmp_path / "run.json", resume=True)
    with pytest.raises(ConfigurationError, match="prices"):
        other.train(8)


def test_late_steps_take_no_more_circuits_than_early_ones() -> None:
    run = auto(prices="compute-second")
    run.train(EARLY + 6)
    early, late = shapes(run)[:EARLY], shapes(run)[EARLY:]
    most = max(shape.evaluations for shape in early)
    assert all(shape.evaluations <= most for shape in late)


def test_a_run_with_the_same_number_of_steps_goes_on_bit_for_bit(tmp_path) -> None:
    def run(**options):
        return auto(prices="azure.aria-1", **options)

    whole = run()
    whole.train(6)

    def stop(record):
        if record.step == 3:
            broken.stop()

    broken = run(checkpoint=tmp_path / "run.json", callbacks=[stop])
    broken.train(6)
    again = run(checkpoint=tmp_path / "run.json", resume=True)
    again.train(6)
    assert outcomes(again) == outcomes(whole)
    assert shapes(again) == shapes(whole)


def test_shots_of_a_run_may_be_fixed() -> None:
    run = make(shots=30, noise="forte-1")
    run.train(2)
    assert {size.shots for record in run.history for size in record.sizes} == {30}
    assert shapes(run) == [None, None]


def test_validation_and_evaluation_have_the_shots_of_the_qnode() -> None:
    with Emulator() as emulator:
        device = qml.device(
            "qstore.ionq", wires=2, seed=3, noise_model="forte-1", emulator=emulator
        )
        run = auto(device=device, validation=(X[:2], Y[:2]))
        run.train(1)
        assert {job.shots for job in emulator.jobs} == {100, run.history[0].shape.shots}


def test_an_optimizer_of_pennylane_has_its_shots_chosen() -> None:
    run = make("adam", noise="forte-1", shots="auto", batch_size=4, prices="qpu.forte-1")
    run.train(2)
    for record in run.history:
        assert record.shape.rows == 4
        assert record.shape.shots > FIRST_SHOTS, "below the floor shots are free"
        assert {size.shots for size in record.sizes} == {record.shape.shots}
        assert record.would_cost_usd("qpu.forte-1") == pytest.approx(record.posts * 25.79)


@pytest.mark.parametrize("shots", [0, "many", 1.5, 10**9])
def test_other_shots_are_refused(shots) -> None:
    with pytest.raises(ConfigurationError, match="shots"):
        make(shots=shots)


def test_a_cost_without_data_has_its_directions_chosen() -> None:
    device = qml.device("qstore.ionq", wires=2, seed=3, noise_model="forte-1")

    @qml.set_shots(100)
    @qml.qnode(device, diff_method=None)
    def energy(w):
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RX(w[1], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1) + 0.5 * qml.X(0))

    start = qml.numpy.array([0.1, 0.2])
    optimizer = SPSAOptimizer(maxiter=10, seed=1, resamplings="auto")
    run = TrainingRun(energy, start, optimizer, shots="auto", prices="qpu.forte-1", progress=False)
    run.train(2)
    for record in run.history:
        assert record.shape.rows == 0
        assert record.shape.directions > 1
        assert {size.shots for size in record.sizes} == {record.shape.shots}


def test_the_lists_that_may_hold() -> None:
    assert [m.name for m in price_models(None, ["qpu.aria-1"])] == [
        "qpu.aria-1/circuit",
        "qpu.aria-1",
    ]
    assert [m.name for m in price_models(None, ["simulator"])] == ["qpu.forte-1"]
    own = PriceModel(name="contract")
    assert price_models(own, ["qpu.aria-1"]) == (own,)


def test_bills_tell_which_list_holds() -> None:
    models = price_models(None, ["qpu.forte-1"])
    size = JobSize(100, 10, 10, 20)
    unpaid = StepRecord(1, 1, 0.5, sizes=(size,))
    assert charged_by(models, [unpaid]).name == CIRCUIT, "the dearer until bills tell"
    paid = StepRecord(1, 1, 0.5, sizes=(size,), cost_usd=25.79)
    assert charged_by(models, [unpaid, paid]).name == "qpu.forte-1"
    dear = StepRecord(1, 1, 0.5, sizes=(size,), cost_usd=PRICES[CIRCUIT].price(size))
    assert charged_by(models, [dear]).name == CIRCUIT


def test_sizes_are_summed() -> None:
    assert joined([JobSize(1, 2, 3, 4), JobSize(10, 20, 30, 4)]) == JobSize(11, 22, 33, 4)


def test_a_paid_step_is_found_again_by_a_start_of_fewer_steps(tmp_path) -> None:
    """The optimizer's number of steps decides the shapes, not those of a start."""

    def power_cut(record):
        if record.step == 4:
            raise RuntimeError("the power went out")

    with Emulator(seed=1) as emulator:

        def run(**options):
            device = qml.device("qstore.ionq", wires=2, seed=3, emulator=emulator, ledger=ledger)
            kept = {"checkpoint": tmp_path / "run.json", "resume": True}
            return auto(device=device, prices="braket.forte-1", **kept, **options)

        ledger = tmp_path / "ledger.sqlite"
        with pytest.raises(RuntimeError):
            run(callbacks=[power_cut]).train(10)
        jobs = emulator.stats()["jobs"]
        again = run()
        again.train(4)
        assert emulator.stats()["jobs"] == jobs
        assert [shape.shots for shape in shapes(again)] == [FIRST_SHOTS] * 4
