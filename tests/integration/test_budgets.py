"""No cent over a budget: whoever sends, however often, and whatever happens in between."""

from __future__ import annotations

import copy
import itertools
import math
import multiprocessing
import pickle

import numpy as np
import pennylane as qml
import pytest
from support.threads import in_threads

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.emulator import Fault
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, QStoreError
from pennylane_qstore.ionq.ledger.ledger import Ledger, State
from pennylane_qstore.training.run import TrainingRun

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def price(emulator):
    """Price of a job of :func:`send`, in US dollars."""
    dev = device(emulator)
    tapes = qml.workflow.construct_batch(circuit(dev), level="top")(0.3)[0]
    return dev.estimate(tapes).cost_usd


def device(emulator, **options):
    options = {"backend": "qpu.forte-1", "seed": 3, **options}
    return qml.device("qstore.ionq", wires=1, base_url=emulator.url, api_key="k", **options)


def circuit(dev):
    @qml.qnode(dev, shots=100, diff_method=None)
    def node(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    return node


def tape(x=0.3):
    return qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))], shots=100)


def send(dev, x=0.3):
    """Send one job; return whether the budget held it."""
    try:
        dev.execute((tape(x),))
    except BudgetExceeded:
        return False
    return True


def billed_usd(emulator):
    return emulator.stats()["billed_usd"]


@pytest.mark.parametrize("stored", [True, False], ids=["file", "memory"])
def test_threads_of_one_device_share_its_budget(emulator, price, tmp_path, stored):
    options = {"ledger": tmp_path / "l"} if stored else {}
    dev = device(emulator, budget_usd=2.5 * price, **options)
    in_threads(lambda _: send(dev), range(8))
    assert billed_usd(emulator) == pytest.approx(2 * price)
    assert dev.spent_usd == pytest.approx(2 * price)
    assert dev.left_usd == pytest.approx(0.5 * price)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))]
)
@pytest.mark.parametrize("stored", [True, False], ids=["file", "memory"])
def test_copies_of_a_device_share_its_budget(
    emulator, price, tmp_path, duplicate, stored, monkeypatch
):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    options = {"ledger": tmp_path / "l"} if stored else {}
    dev = device(emulator, budget_usd=2.5 * price, **options)
    other = duplicate(dev)
    assert [send(d) for d in (dev, other, dev, other)] == [True, True, False, False]
    assert dev.spent_usd == other.spent_usd == pytest.approx(billed_usd(emulator))


@pytest.mark.filterwarnings("ignore::pennylane_qstore.errors.QStoreEfficiencyWarning")
@pytest.mark.parametrize("stored", [True, False], ids=["file", "memory"])
def test_a_budget_holds_the_jobs_that_it_is_the_price_of(emulator, price, tmp_path, stored):
    """13 times 25.79 is less than 25.79 added 13 times, in floating-point numbers."""
    options = {"ledger": tmp_path / "l"} if stored else {}
    dev = device(emulator, budget_usd=13 * price, **options)
    *_, added = itertools.accumulate([price] * 13)  # sum() compensates from Python 3.12 on
    assert added > 13 * price
    assert [send(dev, x) for x in np.linspace(0, 1, 14)] == [True] * 13 + [False]


def in_process(pickled, sent):
    try:
        sent.put(send(pickle.loads(pickled)))
    except ConfigurationError as error:
        sent.put(str(error))


@pytest.mark.parametrize("stored", [True, False], ids=["file", "memory"])
def test_a_copy_in_another_process_shares_the_budget_or_is_refused(
    emulator, price, tmp_path, stored, monkeypatch
):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    options = {"ledger": tmp_path / "l"} if stored else {}
    dev = device(emulator, budget_usd=1.5 * price, **options)
    assert send(dev)
    context = multiprocessing.get_context("fork")
    sent = context.Queue()
    process = context.Process(target=in_process, args=(pickle.dumps(dev), sent))
    process.start()
    answer = sent.get(timeout=60)
    process.join()
    if stored:
        assert answer is False
    else:
        assert "ledger in a file" in answer
    assert billed_usd(emulator) == pytest.approx(price)


def training(devices, **options):
    nodes = [circuit(dev) for dev in devices]

    def cost(x):
        return sum(node(x) for node in nodes)

    start = qml.numpy.array(0.3, requires_grad=True)
    settings = {"device": devices, "progress": False, **options}
    return TrainingRun(cost, start, SPSAOptimizer(maxiter=20, seed=1, a=0.1), **settings)


@pytest.mark.parametrize("ledgers", ["one", "two", "memory"])
def test_a_run_on_two_devices_has_one_budget(emulator, price, tmp_path, ledgers):
    names = {"one": ("l", "l"), "two": ("l", "m"), "memory": (None, None)}[ledgers]
    devices = [device(emulator, ledger=name and tmp_path / name) for name in names]
    budget = 8.5 * price
    run = training(devices, budget_usd=budget).train(9)
    assert run.stopped == "budget"
    assert price <= billed_usd(emulator) <= budget
    assert run.left_usd == pytest.approx(budget - billed_usd(emulator))
    assert run.spent_usd == pytest.approx(billed_usd(emulator))


def test_all_budgets_that_are_set_apply(emulator, price, tmp_path):
    ledger = Ledger(tmp_path / "l", budget_usd=4.5 * price)
    first, second = (device(emulator, ledger=tmp_path / "l", budget_usd=2.5 * price) for _ in "ab")
    with first.run_scope("r", budget_usd=1.5 * price):
        assert [send(first), send(first)] == [True, False]
    assert [send(first), send(first)] == [True, False]
    assert [send(second, x) for x in (0.1, 0.2, 0.3)] == [True, True, False]
    third = device(emulator, ledger=tmp_path / "l")
    assert send(third) is False
    assert ledger.spent_usd() == pytest.approx(billed_usd(emulator)) == pytest.approx(4 * price)
    Ledger(tmp_path / "l", budget_usd=9 * price).close()
    assert send(third)


@pytest.mark.parametrize("tightest", ["device", "run", "ledger"])
def test_what_is_left_is_that_of_the_tightest_budget(emulator, price, tmp_path, tightest):
    usd = {"device": 8 * price, "run": 9 * price, "ledger": 10 * price, tightest: 5 * price}
    dev = device(
        emulator,
        budget_usd=usd["device"],
        ledger=Ledger(tmp_path / "ledger", budget_usd=usd["ledger"]),
    )
    run = TrainingRun(
        circuit(dev), np.array(0.3), SPSAOptimizer(maxiter=5, seed=1), budget_usd=usd["run"]
    )
    run.train(1)
    assert run.spent_usd > 0
    assert run.left_usd == pytest.approx(5 * price - run.spent_usd)
    if tightest != "run":
        assert dev.left_usd == pytest.approx(5 * price - run.spent_usd)


def test_circuits_that_failed_are_sent_again_within_the_budget_only(emulator, price, tmp_path):
    emulator.faults.add(Fault("fail", code="InternalError", message="ion", times=None))
    dev = device(emulator, ledger=tmp_path / "l", budget_usd=1.5 * price)
    reserved = []
    begin = dev.client.ledger.begin

    def noted(intents):
        # A job that failed is paid, too.
        for row in dev.client.ledger.submissions([State.FAILED]):
            dev.client.ledger.billed(row.id, price)
        reserved.append(len(intents))
        return begin(intents)

    dev.client.ledger.begin = noted
    with pytest.raises(BudgetExceeded, match="once more"):
        dev.execute((tape(),))
    assert reserved == [1, 1]
    assert emulator.stats()["posts"] == 1


def test_an_adopted_job_that_failed_is_sent_again_at_its_price(emulator, price, tmp_path):
    emulator.faults.add(Fault("fail", code="InternalError", message="ion"))
    options = {"ledger": tmp_path / "l", "run": "r"}
    first = device(emulator, retry_failed=False, max_wait=1e-3, **options)
    with pytest.raises(QStoreError):
        first.execute((tape(),))
    again = device(emulator, **options)
    again.execute((tape(),))
    rows = again.client.ledger.submissions()
    assert [row.estimated_usd for row in rows] == [price, price]
    assert again.spent_usd == pytest.approx(sum(row.billed_usd for row in rows))


def test_a_checkpoint_without_its_ledger_goes_on_with_what_it_has_spent(emulator, price, tmp_path):
    def start(**options):
        dev = device(emulator, ledger=tmp_path / "l")
        settings = {"checkpoint": tmp_path / "c", "resume": True, "budget_usd": 7.5 * price}
        return training([dev], **settings, **options)

    run = start().train(1)
    paid = billed_usd(emulator)
    assert paid > 0
    for file in tmp_path.glob("l*"):
        file.unlink()
    run = start().train(9)
    assert run.stopped == "budget"
    assert paid < billed_usd(emulator) <= 7.5 * price
    assert run.spent_usd == pytest.approx(billed_usd(emulator))
    assert run.left_usd == pytest.approx(7.5 * price - billed_usd(emulator))


def test_a_device_budget_goes_on_with_the_checkpoint(emulator, price, tmp_path):
    def start():
        dev = device(emulator, ledger=tmp_path / "l", budget_usd=7.5 * price)
        return training([dev], checkpoint=tmp_path / "c", resume=True)

    start().train(1)
    run = start().train(9)
    assert run.stopped == "budget"
    assert billed_usd(emulator) <= 7.5 * price


@pytest.mark.parametrize("way", ["run", "resume", "reconcile"])
def test_a_bill_that_a_kill_left_unread_is_read(emulator, price, tmp_path, way):
    options = {"ledger": tmp_path / "l", "run": "r"}
    dev = device(emulator, **options)
    dev.client.ledger.billed = lambda row, usd: None  # killed before that
    dev.execute((tape(),))
    (row,) = dev.client.ledger.submissions()
    assert row.billed_usd is None
    again = device(emulator, **options)
    if way == "run":
        again.execute((tape(),))
    else:
        getattr(again.client, way)()
    (row,) = again.client.ledger.submissions()
    assert row.billed_usd == pytest.approx(billed_usd(emulator)) == pytest.approx(price)
    assert emulator.stats()["posts"] == 1


@pytest.mark.parametrize("usd", [-1000, math.nan, math.inf])
def test_a_price_that_is_no_price_is_refused(emulator, tmp_path, usd, monkeypatch):
    dev = device(emulator, ledger=tmp_path / "l", budget_usd=5.0)
    estimate = dev.client.estimate
    monkeypatch.setattr(
        dev.client, "estimate", lambda *a, **o: estimate(*a, **o)._replace(cost_usd=usd)
    )
    with pytest.raises(QStoreError):
        dev.execute((tape(),))
    assert emulator.stats()["posts"] == 0


@pytest.mark.parametrize("usd", [-1, math.nan, math.inf, "much", True])
def test_a_budget_that_is_no_number_of_dollars_is_refused(emulator, usd, tmp_path):
    dev = device(emulator)
    with pytest.raises(ConfigurationError, match="budget_usd"):
        training([dev], budget_usd=usd)
    with pytest.raises(ConfigurationError, match="budget_usd"):
        dev.run_scope("r", budget_usd=usd)
    with pytest.raises(ConfigurationError, match="budget_usd"):
        Ledger(tmp_path / "l", budget_usd=usd)


def test_a_ledger_with_a_budget_takes_no_paid_job_without_a_price(emulator, tmp_path):
    dev = device(emulator, ledger=Ledger(tmp_path / "l", budget_usd=1000))
    tapes, _ = dev.preprocess_transforms()((tape(),))
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        dev.client.run(dev.executor.requests(tapes))
    assert dev.client.ledger.submissions() == []
    free = device(emulator, backend="simulator", ledger=dev.client.ledger)
    free.execute((tape(),))
    assert emulator.stats()["posts"] == 1
