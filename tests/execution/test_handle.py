"""Batches that are sent and not waited for: submit now, fetch later, here or elsewhere."""

import asyncio
import pickle

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore import BatchHandle
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import (
    BudgetExceeded,
    ConfigurationError,
    JobCanceled,
    JobFailed,
    JobTimeout,
    LedgerError,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.execution import fallback

X = np.linspace(0, 1, 4)


@pytest.fixture(scope="module")
def emulator():
    with Emulator(seed=1) as running:
        yield running


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "jobs.sqlite"


def paid(emulator, ledger=None, **options):
    options = {"backend": "qpu.forte-1", "base_url": emulator.url, "ledger": ledger, **options}
    return qml.device("qstore.ionq", wires=3, api_key="k", **options)


def tapes_of(dev, x=X, shots=200):
    @qml.qnode(dev, shots=shots)
    def circuit(x):
        qml.RX(x, 0)
        qml.CRY(x, [0, 1])
        return qml.expval(qml.X(1) + 0.5 * qml.Z(0)), qml.probs([0, 1]), qml.var(qml.Z(1))

    return qml.workflow.construct_batch(circuit, level="user")(x)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def posts(emulator):
    return emulator.stats()["posts"]


def test_exact_results_are_those_of_execute():
    dev = qml.device("qstore.ionq", wires=3)
    tapes, _ = tapes_of(dev, shots=None)
    handle = dev.submit(tapes)
    assert isinstance(handle, BatchHandle)
    expected = dev.execute(dev.preprocess_transforms()(tapes)[0])
    assert all(map(np.allclose, handle.results()[0], expected[0]))
    assert all(map(np.allclose, dev.submit(tapes[0]).results(), expected[0]))


def test_results_are_the_same_however_often_and_whoever_asks(emulator, ledger, monkeypatch):
    dev = paid(emulator, ledger, max_circuits_per_job=3)
    tapes, _ = tapes_of(dev)
    before = posts(emulator)
    handle = dev.submit(tapes)
    assert len(handle.job_ids) == 3, "two bases of four rows"
    kept = pickle.loads(pickle.dumps(handle))
    assert kept == handle
    (first,) = handle.results()
    (again,) = kept.results(paid(emulator, ledger))
    monkeypatch.setenv("IONQ_API_KEY", "another")
    (waited,) = asyncio.run(awaited(kept))
    assert same(first, again)
    assert same(first, waited)
    assert handle.state() == kept.state() == "completed"
    assert posts(emulator) - before == 3


async def awaited(handle):
    return await handle


def test_drawn_shots_are_kept_too(emulator):
    dev = qml.device("qstore.ionq", wires=3, emulator=emulator)
    tapes, _ = tapes_of(dev, shots=50)
    handle = dev.submit(tapes)
    assert same(handle.results()[0], handle.results()[0])
    assert not same(handle.results()[0], dev.submit(tapes).results()[0])


def measured(kind):
    m, n = qml.measure(0), qml.measure(1, postselect=1)
    return {
        "value": lambda: qml.expval(2 * m + m),
        "samples": lambda: qml.sample(m - 1),
        "counts": lambda: qml.counts(op=[m, n]),
        "all counts": lambda: qml.counts(m + 1, all_outcomes=True),
        "probabilities": lambda: qml.probs(op=[m, n]),
        "shadow": lambda: qml.classical_shadow(wires=[0, 1], seed=3),
        "shadow value": lambda: qml.shadow_expval(qml.Z(2), seed=3),
    }[kind]()


@pytest.mark.parametrize("kind", ["value", "samples", "counts", "all counts", "probabilities",
                                  "shadow", "shadow value"])  # fmt: skip
def test_measurements_that_need_work_afterwards_are_pickled(emulator, ledger, kind):
    dev = paid(emulator, ledger)

    @qml.qnode(dev, shots=40)
    def circuit(x):
        qml.RX(x, 0)
        qml.RY(x, 1)
        return measured(kind), qml.expval(qml.Z(2))

    tapes, _ = qml.workflow.construct_batch(circuit, level="user")(1.2)
    handle = dev.submit(tapes)
    ((here, value),) = handle.results()
    ((there, _),) = pickle.loads(pickle.dumps(handle)).results(dev)
    assert value == 1.0
    assert np.array_equal(here, there)


def test_samples_have_the_order_in_which_they_were_taken():
    with Emulator(noise_model="forte-1", seed=2) as emulator:
        dev = qml.device("qstore.ionq", wires=1, emulator=emulator, noise_model="forte-1")
        tape = qml.tape.QuantumScript([qml.RX(1.3, 0)], [qml.sample(qml.Z(0))], shots=60)
        handle = dev.submit(tape)
        samples = handle.results()
        assert len(set(samples)) == 2
        assert any(np.array_equal(samples, s) for s in [handle.results()])
        assert any("shots" in line.path for line in emulator.requests)


def test_budget_is_reserved_and_a_batch_too_dear_is_not_sent(emulator, ledger):
    dev = paid(emulator, ledger, budget_usd=40)
    tapes, _ = tapes_of(dev)
    handle = dev.submit(tapes)
    assert 20 < dev.spent_usd < 40
    before = posts(emulator)
    with pytest.raises(BudgetExceeded):
        dev.submit(tapes)
    assert posts(emulator) == before
    handle.results()
    assert dev.client.ledger.find(handle.job_ids[0]).billed_usd is not None


def test_failed_jobs_are_typed_errors_with_what_arrived(ledger):
    with Emulator(faults=[Fault("fail", "submit", skip=1)], seed=1) as emulator:
        dev = paid(emulator, ledger, max_circuits_per_job=1)
        tapes = [tapes_of(dev, x)[0][0] for x in (0.1, 0.2)]
        tapes = [t.copy(measurements=[qml.expval(qml.Z(0))]) for t in tapes]
        handle = dev.submit(tapes)
        before = posts(emulator)
        for _ in range(2):
            with pytest.raises(JobFailed) as raised:
                handle.results()
            assert raised.value.job_ids == handle.job_ids
            assert raised.value.details["failed_tapes"] == [1]
            assert raised.value.details["tape_results"][0] > 0.9
        assert handle.state() == "failed"
        assert posts(emulator) == before, "what failed is not sent again by itself"


def test_cancelled_jobs_are_typed_errors(ledger):
    with Emulator(profile={"execution_s": 600.0}, seed=1) as emulator:
        dev = paid(emulator, ledger)
        handle = dev.submit(tapes_of(dev)[0])
        assert handle.state() in ("submitted", "ready", "started")
        with pytest.raises(JobTimeout, match=r"qstore resume") as raised:
            handle.results(max_wait=0.01)
        assert raised.value.job_ids == handle.job_ids
        assert handle.cancel() == dict.fromkeys(handle.job_ids, "canceled")
        with pytest.raises(JobCanceled) as raised:
            asyncio.run(awaited(handle))
        assert raised.value.job_ids == handle.job_ids
        assert handle.state() == "canceled"


def test_services_that_refuse_many_circuits_get_one_job_each(ledger):
    faults = [Fault("status", "submit", status=404)]
    with Emulator(faults=faults, seed=1) as emulator:
        dev = paid(emulator, ledger)
        with pytest.warns(UserWarning, match="multi-circuit"):
            handle = dev.submit(tapes_of(dev)[0])
        assert len(handle.job_ids) == 8
        ((_, probs, _),) = pickle.loads(pickle.dumps(handle)).results(dev)
        assert probs.shape == (4, 4)
        assert posts(emulator) == 9


def test_a_handle_of_what_was_created_before_a_refusal(ledger):
    with Emulator(faults=[Fault("status", "submit", status=400, skip=1)], seed=1) as emulator:
        dev = paid(emulator, ledger, max_circuits_per_job=1, pool_size=1)
        tape = qml.tape.QuantumScript([qml.X(0)], [qml.expval(qml.Z(0))], shots=100)
        with pytest.raises(ServiceError) as raised:
            dev.submit([tape, tape])
        handle = raised.value.details["handle"]
        assert handle.job_ids == raised.value.job_ids
        assert len(handle.job_ids) == 1
        with pytest.raises(QStoreError, match="1 of 2 jobs of this batch were not sent") as raised:
            pickle.loads(pickle.dumps(handle)).results(dev)
        assert sorted(raised.value.details["tape_results"], key=str) == [-1.0, None]


def test_native_gates_refused_by_one_job_of_several_are_not_sent_twice(ledger, monkeypatch):
    with Emulator(faults=[Fault("status", "submit", status=400, skip=1)], seed=1) as emulator:
        dev = paid(emulator, ledger, max_circuits_per_job=1, pool_size=1)
        tape = qml.tape.QuantumScript([qml.X(0)], [qml.expval(qml.Z(0))], shots=100)
        monkeypatch.setattr(fallback, "_refuses_native", lambda _: True)
        with pytest.raises(ServiceError):
            dev.submit([tape, tape])
        assert len(emulator.jobs) == 1


def test_a_named_run_finds_the_jobs_that_it_has_submitted(emulator, ledger):
    def submitted():
        dev = paid(emulator, ledger, run="mine", seed=3)
        return dev.submit(tapes_of(dev)[0])

    before = posts(emulator)
    first, again = submitted(), submitted()
    assert first == again
    assert posts(emulator) - before == 1
    assert same(first.results()[0], again.results()[0])


def test_handles_know_where_they_belong(emulator, ledger, tmp_path):
    dev = paid(emulator, ledger)
    handle = dev.submit(tapes_of(dev)[0])
    with pytest.raises(ConfigurationError, match=r"ledger=.*jobs.sqlite"):
        handle.results(paid(emulator, tmp_path / "other.sqlite"))
    with pytest.raises(ConfigurationError, match="base_url"):
        handle.state(qml.device("qstore.ionq", wires=1))
    in_memory = qml.device("qstore.ionq", wires=3)
    lost = pickle.loads(pickle.dumps(in_memory.submit(tapes_of(in_memory, shots=10)[0])))
    with pytest.raises(ConfigurationError, match="ledger in memory"):
        lost.results()
    ledger.unlink()
    with pytest.raises(LedgerError, match="no job of"):
        pickle.loads(pickle.dumps(handle)).results(paid(emulator, ledger))


def test_no_key_in_a_handle(emulator, ledger):
    dev = qml.device("qstore.ionq", wires=3, backend="qpu.forte-1", base_url=emulator.url,
                     api_key="hush-hush", ledger=ledger)  # fmt: skip
    handle = dev.submit(tapes_of(dev)[0])
    assert "hush" not in repr(handle)
    assert b"hush" not in pickle.dumps(handle)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(st.floats(-3, 3), min_size=1, max_size=4),
    size=st.integers(1, 5),
    shots=st.sampled_from([20, (10, 10, 5)]),
)
def test_pickled_handles_give_what_the_device_reads(emulator, rows, size, shots):
    dev = qml.device(
        "qstore.ionq", wires=3, emulator=emulator, noise_model="forte-1", max_circuits_per_job=size
    )
    tapes, _ = tapes_of(dev, np.array(rows), shots)
    handle = dev.submit(tapes)
    here, there = handle.results(), pickle.loads(pickle.dumps(handle)).results(dev)
    assert qml.math.allclose(np.hstack(flat(here)), np.hstack(flat(there)), rtol=0, atol=0)


def flat(results):
    if isinstance(results, tuple):
        return [leaf for result in results for leaf in flat(result)]
    return [np.ravel(results)]
