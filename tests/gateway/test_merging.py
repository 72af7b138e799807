"""Merged bodies, what must be alike, and shares that are the bill exactly."""

from __future__ import annotations

from decimal import Decimal

import orjson
from hypothesis import given
from hypothesis import strategies as st
from support.emulator_wire import BELL, multi, single
from support.gateways import make_job, paid, paid_multi

from pennylane_qstore.backends import MAX_CIRCUITS
from pennylane_qstore.gateway.merging import Size, job_body, merge_key, shares, size_of
from pennylane_qstore.server.inputs.submission import read_submission
from pennylane_qstore.server.service import CircuitInfo, ServiceBehaviour

TOKEN = "0" * 32


def key_of(body: dict[str, object]) -> bytes | None:
    return merge_key(read_submission(orjson.dumps(body), ServiceBehaviour()))


@given(
    st.integers(1, 10**11),
    st.lists(
        st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 10**4)), min_size=1, max_size=4),
        min_size=1,
        max_size=20,
    ),
)
def test_shares_sum_to_the_bill(micro_usd: int, members: list[list[tuple[int, int]]]) -> None:
    jobs = [make_job(circuits=[CircuitInfo(None, 1, a, b, None) for a, b in m]) for m in members]
    bill = micro_usd / 1e6
    parts = shares(bill, jobs)
    assert sum(Decimal(repr(part)) for part in parts) == Decimal(repr(bill))
    assert min(parts) >= 0


def test_shares_follow_the_gates_and_their_prices() -> None:
    def job(n_1q: int, n_2q: int, **more: object) -> object:
        return make_job(circuits=[CircuitInfo(None, 2, n_1q, n_2q, None)], **more)

    assert shares(30.0, [job(10, 0), job(20, 0)]) == [10.0, 20.0]  # type: ignore[list-item]
    one, two = shares(100.0, [job(1, 0), job(0, 1)])  # type: ignore[list-item]
    assert two / one > 6
    assert shares(4.0, [job(0, 0), job(0, 0)]) == [2.0, 2.0]  # type: ignore[list-item]
    free = {"backend": "simulator"}
    assert shares(9.0, [job(1, 0, **free), job(0, 2, **free)]) == [3.0, 6.0]  # type: ignore[list-item]


def test_only_what_is_alike_has_the_same_key() -> None:
    key = key_of(paid())
    assert key is not None
    assert key_of(paid_multi([BELL, BELL], name="x", metadata={"a": "b"})) == key
    others = [paid(shots=300), paid(settings={}), paid(backend="qpu.forte-enterprise-1")]
    assert key not in [key_of(other) for other in others]
    mixed = paid_multi([BELL, {"gateset": "native", "circuit": []}])
    alone = [single(), multi([BELL]), paid(dry_run=True), paid(session_id="s"), mixed, paid(x=1)]
    assert [key_of(body) for body in alone] == [None] * len(alone)


def test_one_request_stays_what_it_is_but_for_the_token() -> None:
    body = paid(name="vqe " + "f" * 32, metadata={"k": "v", "qstore_token": "f" * 32})
    sent = orjson.loads(job_body([orjson.dumps(body)], TOKEN))
    assert sent == body | {
        "name": f"vqe {TOKEN}",
        "metadata": {"k": "v", "qstore_token": TOKEN},
    }


def test_many_requests_become_one_of_numbered_circuits() -> None:
    first = paid(qubits=3, name="private")
    second = paid_multi([BELL, {"circuit": [], "qubits": 1, "name": "own"}], metadata={"k": "v"})
    second["input"]["qubits"] = 2
    sent = orjson.loads(job_body([orjson.dumps(first), orjson.dumps(second)], TOKEN))
    circuits = sent["input"]["circuits"]
    assert [(c["name"], c["qubits"]) for c in circuits] == [("c0", 3), ("c1", 2), ("c2", 1)]
    assert (sent["name"], sent["metadata"]) == (f"gateway {TOKEN}", {"qstore_token": TOKEN})
    read = read_submission(orjson.dumps(sent), ServiceBehaviour())
    assert [info.qubits for info in read.circuits] == [3, 2, 1]


def test_a_size_is_within_the_limits_or_not() -> None:
    assert size_of(make_job(), b"12345") == Size(1, 1, 5)
    assert Size(1, 2, 3).plus(Size(4, 5, 6)) == Size(5, 7, 9)
    assert Size(MAX_CIRCUITS - 1, 5, 10).fits_with(Size(1, 1, 5))
    assert not Size(MAX_CIRCUITS, 5, 10).fits_with(Size(1, 1, 5))
