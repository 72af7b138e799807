"""Q-Store v3.4's calls: submit now, fetch later, by id."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger, State
from pennylane_qstore.v34.client import CircuitId, IonQBatchClient


def flip(qubit, qubits=3):
    """A circuit that flips one qubit."""
    return {"qubits": qubits, "circuit": [{"gate": "x", "target": qubit}]}


def gate(**fields):
    """A circuit of two qubits with one gate."""
    return {"qubits": 2, "circuit": [fields]}


def use(url, scenario, **options):
    async def main():
        async with IonQBatchClient("key", base_url=url, **options) as client:
            return await scenario(client)

    return asyncio.run(main())


def test_a_batch_is_one_post_and_results_are_in_order(emulator):
    async def scenario(client):
        ids = await client.submit_batch([flip(q) for q in range(3)], shots=50)
        results = await client.get_results_parallel(ids)
        return ids, results, client.get_stats(), client.ledger.submissions()

    ids, results, stats, rows = use(emulator.url, scenario)
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert [r.status for r in results] == ["completed"] * 3
    # Outcomes are bitstrings with qubit 0 first.
    assert [r.measurements for r in results] == [{"100": 1.0}, {"010": 1.0}, {"001": 1.0}]
    assert emulator.stats()["posts"] == 1
    assert stats["api_calls_saved"] == 2
    assert stats["total_circuits_submitted"] == 3
    assert rows[0].state is State.DONE


def test_a_client_that_cannot_send_writes_no_intent():
    async def scenario(client):
        with pytest.raises(ConfigurationError, match="ca_bundle"):
            await client.submit_batch([flip(0)])
        return client.ledger.submissions()

    options = {"ca_bundle": "/nowhere.pem", "ledger": Ledger()}
    assert use("https://127.0.0.1:1/v0.4", scenario, **options) == []


def test_some_of_the_results_in_any_order(emulator):
    async def scenario(client):
        ids = await client.submit_batch([flip(q) for q in range(3)])
        return await client.get_results_parallel([ids[2], ids[0]])

    found = use(emulator.url, scenario)
    assert [r.measurements for r in found] == [{"001": 1.0}, {"100": 1.0}]


def test_plain_strings_stand_for_the_circuits_in_turn(emulator):
    async def scenario(client):
        ids = await client.submit_batch([flip(q) for q in range(2)])
        return await client.get_results_parallel([str(ids[0])] * 3)

    found = use(emulator.url, scenario)
    assert [r.measurements for r in found[:2]] == [{"100": 1.0}, {"010": 1.0}]
    assert found[2].status == "failed"
    assert "2 circuits" in found[2].error


def test_several_batches_are_fetched_at_the_same_time():
    async def scenario(client):
        ids = []
        for _ in range(3):
            ids += await client.submit_batch([flip(0), flip(1)])
        return await client.get_results_parallel(ids, polling_interval=0.05)

    with Emulator(profile=0.2, concurrency=3) as emulator:
        found = use(emulator.url, scenario)
        assert [r.measurements for r in found] == [{"100": 1.0}, {"010": 1.0}] * 3
        assert emulator.billed_jobs == 3


def test_the_polling_interval_bounds_the_pause_between_looks(fake_clock):
    async def scenario(client):
        ids = await client.submit_batch([flip(0)])
        fake_clock.sleeps.clear()
        await client.get_results_parallel(ids, polling_interval=0.005, timeout=None)

    with Emulator(profile=0.4, clock=fake_clock.services) as emulator:
        use(emulator.url, scenario, clock=fake_clock.clock())
        assert max(fake_clock.sleeps) <= 0.00501  # a tenth of the time gone by, without


def test_native_circuits_are_sent_as_native(emulator):
    async def scenario(client):
        native = {"qubits": 2, "circuit": [{"gate": "gpi", "target": 1, "phase": 0.0}]}
        ids = await client.submit_batch([native, {"qubits": 2, "circuit": []}])
        return await client.get_results_parallel(ids)

    assert [r.measurements for r in use(emulator.url, scenario)] == [{"01": 1.0}, {"00": 1.0}]


def test_failures_are_results():
    async def scenario(client):
        ids = await client.submit_batch([flip(0), flip(1)])
        return await client.get_results_parallel(ids)

    with Emulator(faults=[Fault("fail", code="InternalError", message="lost ion")]) as emulator:
        found = use(emulator.url, scenario)
        assert [r.status for r in found] == ["failed", "failed"]
        assert "lost ion" in found[0].error


def test_a_wait_that_is_too_long_is_a_result_and_the_job_can_be_cancelled():
    async def scenario(client):
        ids = await client.submit_batch([flip(0), flip(1)])
        late = await client.get_results_parallel(ids, timeout=0.05)
        await client.cancel_jobs(ids)
        ended = await client.get_results_parallel(ids)
        return late, ended

    with Emulator(profile=30.0) as emulator:
        late, ended = use(emulator.url, scenario)
        assert [r.status for r in late] == ["timeout"] * 2
        assert [r.status for r in ended] == ["canceled"] * 2


@pytest.mark.parametrize("count", [1, 3])
def test_jobs_of_another_ledger_are_read_from_the_service(count, emulator):
    async def submit(client):
        return await client.submit_batch([flip(k) for k in range(count)])

    ids = [str(i) for i in use(emulator.url, submit)]

    async def fetch(client):
        return await client.get_results_parallel(ids), list(client.ledger.submissions())

    found, rows = use(emulator.url, fetch)
    assert [r.status for r in found] == ["completed"] * count
    wanted = ["".join("1" if q == k else "0" for q in range(3)) for k in range(count)]
    assert [max(r.measurements, key=r.measurements.get) for r in found] == wanted
    assert rows == []


def test_waiting_for_a_job_of_another_ledger():
    async def submit(client):
        return await client.submit_batch([flip(0)])

    async def fetch(client):
        return await client.get_results_parallel(ids, timeout=0.05)

    with Emulator(profile=30.0) as emulator:
        ids = [str(i) for i in use(emulator.url, submit)]
        (late,) = use(emulator.url, fetch)
        assert late.status == "timeout"


def test_an_id_that_nobody_knows_is_a_failed_result(emulator):
    async def scenario(client):
        return await client.get_results_parallel(["0198097d-3888-72ad-a9dd-9ace842cf182"])

    (found,) = use(emulator.url, scenario)
    assert found.status == "failed"
    assert "not in" in found.error


def test_no_circuits_no_job(emulator):
    async def scenario(client):
        return await client.submit_batch([])

    assert use(emulator.url, scenario) == []
    assert emulator.requests == []


@pytest.mark.parametrize(
    "circuits",
    [
        [{"circuit": [{"target": 0}]}],
        [{"qubits": 1}],
        ["h 0"],
        [flip(0), {"qubits": 1, "circuit": [{"gate": "gpi", "target": 0, "phase": 0}]}],
        [gate(gate="rx", target=0, rotation=float("nan"))],
        [gate(gate="gpi", target=0, phase=float("inf"))],
        [gate(gate="zz", targets=[0, 1], angle=-float("inf"))],
        [gate(gate="ms", targets=[0, 1], phases=(0.0, float("nan")))],
        [gate(gate="rx", target=0, rotation="half a turn")],
        [flip(0), flip(3)],
        [flip(0), flip(-1)],
        [flip(True)],
        [flip(0.0)],
        [gate(gate="cnot", target=0, control=2)],
        [gate(gate="cnot", target=0, controls=[1, 2])],
        [gate(gate="swap", targets=[0, "1"])],
    ],
)
def test_what_is_no_batch_is_refused_before_anything_is_sent(emulator, circuits):
    async def scenario(client):
        await client.submit_batch(circuits)

    with pytest.raises(ConfigurationError):
        use(emulator.url, scenario)
    assert emulator.requests == []


def test_a_circuit_that_names_no_qubits_has_those_of_its_batch(emulator):
    async def scenario(client):
        ids = await client.submit_batch([flip(0), {"circuit": flip(2)["circuit"]}])
        return await client.get_results_parallel(ids)

    assert [r.measurements for r in use(emulator.url, scenario)] == [{"100": 1.0}, {"001": 1.0}]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"polling_interval": value} for value in (0, -1.0, float("nan"), float("inf"), True)),
        {"timeout": float("nan")},
    ],
)
def test_a_wait_that_is_no_time_is_refused_before_anything_is_sent(emulator, wrong):
    async def scenario(client):
        await client.get_results_parallel(["0198097d-3888-72ad-a9dd-9ace842cf182"], **wrong)

    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        use(emulator.url, scenario)
    assert emulator.requests == []


def test_a_circuit_id_is_its_jobs_id_and_travels():
    one = CircuitId("abc", 3)
    assert one == "abc"
    again = pickle.loads(pickle.dumps(one))
    assert (again, again.circuit) == ("abc", 3)


def test_a_lost_answer_does_not_pay_twice(emulator):
    async def scenario(client):
        ids = await client.submit_batch([flip(0)])
        return await client.get_results_parallel(ids)

    emulator.faults.add(Fault("close", route="submit", when="after"))
    found = use(emulator.url, scenario, retry_policy=RetryPolicy(settle_s=0.2))
    assert found[0].status == "completed"
    assert emulator.billed_jobs == 1
