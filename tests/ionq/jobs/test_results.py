"""Results of a job: matched to circuits by name, refused where they are wrong."""

from __future__ import annotations

import asyncio

import hypothesis.strategies as st
import pytest
from hypothesis import given
from support.results import outcomes, states

from pennylane_qstore.emulator import Emulator, Fault, ServiceBehaviour
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.results import JobRecord, fetch_results, in_order
from pennylane_qstore.ionq.ledger.ledger import State
from pennylane_qstore.ionq.messages.responses import JobState


def test_on_a_qpu_the_order_of_children_is_never_believed(client_for, request_of):
    with Emulator() as emulator:
        client_for(emulator.url).run([request_of(3, "qpu.forte-1")])
        assert any("parent_job_id" in r.path for r in emulator.requests)


@pytest.mark.parametrize("what", ["ids", "aggregate", "both"])
def test_shuffled_children_are_matched_by_name(client_for, marked_request, what):
    faults = [Fault("shuffle_children", what=what, times=None)]
    with Emulator(seed=3, faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(30)])
        assert outcomes(result) == list(range(30))


def test_children_without_names_are_taken_in_the_parents_order_with_a_warning(
    client_for, marked_request, caplog
):
    faults = [
        Fault("shuffle_children", what="aggregate", times=None),
        Fault("unnamed_children", times=None),
    ]
    with Emulator(seed=3, faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(10)])
        assert outcomes(result) == list(range(10))
        assert caplog.text.count("carry no circuit names") == 1


def test_a_circuit_missing_in_the_aggregate_is_read_by_itself(client_for, marked_request):
    with Emulator(faults=[Fault("missing_result")]) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(6)])
        assert outcomes(result) == list(range(6))


def test_a_circuit_read_by_itself_is_aggregated_like_the_others(client_for, request_of):
    settings = {"error_mitigation": {"debiasing": True}}
    request = request_of(3, "qpu.forte-1", shots=500, settings=settings, aggregation="voting")
    with Emulator(faults=[Fault("missing_result")]) as emulator:
        client_for(emulator.url).run([request])
        read = [r.path for r in emulator.requests if "/results/" in r.path]
    assert len(read) == 2
    assert all(path.endswith("?aggregation=voting") for path in read)


def test_what_came_of_a_job_that_failed_in_part_is_aggregated_too():
    class Service:
        async def children(self, job_id, traffic):
            return [
                JobState("a", "completed", name="c0", parent_id=job_id),
                JobState("b", "failed", name="c1", parent_id=job_id),
            ]

        async def read_results(self, path, decode, traffic):
            paths.append(path)
            return decode(b'{"0": 1.0}')

    paths = []
    state = JobState("j", "failed")
    got = asyncio.run(
        fetch_results(Service(), state, Traffic(), circuits=2, qubits=1, aggregation="voting")
    )
    assert paths == ["/jobs/a/results/probabilities?aggregation=voting"]
    assert list(got.failures) == [1]


def test_a_circuit_too_many_is_refused(client_for, marked_request):
    with Emulator(faults=[Fault("extra_result", times=None)]) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(InvalidResponse, match="not sent") as refused:
            client.run([marked_request(6)])
        assert refused.value.job_ids
        assert states(client) == [State.SUBMITTED]  # paid for: it can be fetched again


def test_children_listed_twice_or_in_pages_are_matched(client_for, marked_request):
    faults = [
        Fault("list_duplicates", times=None),
        Fault("shuffle_children", times=None),
        Fault("list_shuffle", times=None),
    ]
    behaviour = ServiceBehaviour(page_limit=4)
    with Emulator(seed=5, faults=faults, behaviour=behaviour) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(11)])
        assert outcomes(result) == list(range(11))


HOSTILE = ["empty", "null", "array", "not_json", "html", "nan", "infinity", "negative", "sum",
           "key", "range", "types", "nested", "surrogate", "deep", "huge"]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("circuits", [1, 3])
def test_hostile_results_are_refused(client_for, request_of, body, circuits):
    with Emulator(faults=[Fault("hostile", route="results", body=body, times=None)]) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(InvalidResponse):
            client.run([request_of(circuits)])
        assert emulator.billed_jobs == 1
        assert states(client) == [State.SUBMITTED]


@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_body_once_is_read_again(client_for, request_of, body):
    faults = [Fault("hostile", route=route, body=body) for route in ("job", "results")]
    with Emulator(faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([request_of(2)])
        assert len(result.histograms) == 2
        assert emulator.billed_jobs == 1


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=6, unique=True), st.data())
def test_only_ids_in_the_order_of_creation_prove_the_order_of_circuits(moments, data):
    ids = [f"{m:012x}"[:8] + "-" + f"{m:012x}"[8:] + "-7000-8000-000000000000" for m in moments]
    keys = data.draw(st.permutations(ids))
    assert in_order(ids, keys, len(ids)) == (ids == sorted(ids) and ids == keys)
    assert not in_order(ids, ids, len(ids) + 1)


# ------------------------------------------------------------------ counts of a request


def test_without_a_bill_the_cost_is_not_known():
    record = JobRecord()
    record.add_cost(None)
    assert record.cost_usd is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000))))
def test_bills_are_added_up(bills):
    record = JobRecord()
    for bill in bills:
        record.add_cost(bill)
    known = [bill for bill in bills if bill is not None]
    assert record.cost_usd == (sum(known) if known else None)


def test_each_record_counts_for_itself():
    one, other = JobRecord(), JobRecord()
    one.job_ids.append("a")
    one.traffic.requests += 1
    assert other.job_ids == []
    assert other.traffic.requests == 0
