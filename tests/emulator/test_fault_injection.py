"""Faults at work, seen by a client."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from support.emulator_wire import BELL, Wire, faulty, single
from support.waiting import wait_until

from pennylane_qstore.emulator import Fault, VirtualClock
from pennylane_qstore.emulator.fault_injection import HOSTILE


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_status_before_the_job_is_accepted(serve: Callable[..., Wire], status: int) -> None:
    wire = faulty(serve, Fault("status", "submit", status=status, retry_after="3", times=2))
    for _ in range(2):
        answer = wire("POST", "/jobs", single())
        assert (answer.status, answer.headers["Retry-After"]) == (status, "3")
        assert answer.json["statusCode"] == status
    assert wire.emulator.jobs == []
    assert wire("POST", "/jobs", single()).status == 201
    assert wire.emulator.stats()["faults"] == 2


@pytest.mark.parametrize("value", ["nan", "1e309", "-5", "Wed, 21 Oct 2099 07:28:00 GMT", 0.5])
def test_retry_after_is_sent_verbatim(serve: Callable[..., Wire], value: Any) -> None:
    wire = faulty(serve, Fault("status", status=429, retry_after=value))
    assert wire("GET", "/jobs").headers["Retry-After"] == str(value)


def test_status_after_the_job_was_accepted(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("status", "submit", when="after", status=502))
    answer = wire("POST", "/jobs", single())
    assert answer.status == 502
    assert "Retry-After" not in answer.headers
    assert len(wire.emulator.jobs) == 1


def test_cloudflare_answers_in_html(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("status", status=522))
    answer = wire("GET", "/jobs")
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (522, "text/html")


@pytest.mark.parametrize("kind", ["close", "reset"])
@pytest.mark.parametrize(("when", "jobs"), [("before", 0), ("after", 1)])
def test_connection_lost(serve: Callable[..., Wire], kind: str, when: str, jobs: int) -> None:
    wire = faulty(serve, Fault(kind, "submit", when=when))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)) as caught:
        wire("POST", "/jobs", single())
    if kind == "reset":
        assert not isinstance(caught.value, http.client.RemoteDisconnected)
    assert len(wire.emulator.jobs) == jobs
    wire.connection.close()
    assert wire("GET", "/jobs").status == 200


@pytest.mark.parametrize(("when", "jobs"), [("", 1), ("after", 1), ("before", 0)])
def test_a_truncated_body(serve: Callable[..., Wire], when: str, jobs: int) -> None:
    wire = faulty(serve, Fault("truncate", "submit", when=when))
    with pytest.raises(http.client.IncompleteRead):
        wire("POST", "/jobs", single())
    assert len(wire.emulator.jobs) == jobs


@pytest.mark.parametrize("kind", ["trickle", "content_type"])
def test_an_answer_spoiled_before_the_job_is_accepted(
    serve: Callable[..., Wire], kind: str
) -> None:
    wire = faulty(serve, Fault(kind, "submit", when="before"))
    assert wire("POST", "/jobs", single()).status == 502
    assert wire.emulator.jobs == []


def test_a_trickled_body_arrives_whole(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(auto=True)
    wire = faulty(serve, Fault("trickle", "other", delay_s=1.0), clock=clock)
    before = clock.now()
    assert wire("GET", "/health").json == {"status": "pass"}
    assert clock.now() - before == len('{"status":"pass"}')


def test_late_accept_after_the_client_has_gone(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = faulty(serve, Fault("delay", "submit", delay_s=60.0), clock=clock)
    body = json.dumps(single()).encode()
    host, port = wire.emulator.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /v0.4/jobs HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: apiKey x\r\n"
            b"Content-Length: %d\r\n\r\n" % (host.encode(), port.encode(), len(body)) + body
        )
        wait_until(lambda: wire.emulator.stats()["posts"] == 1)
    assert wire.emulator.jobs == []
    assert wire("GET", "/jobs").json["jobs"] == []

    def late() -> bool:
        clock.advance(60.0)
        return len(wire.emulator.jobs) == 1

    wait_until(late)


def test_accepted_at_once_answered_late(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = faulty(serve, Fault("delay", "submit", when="after", delay_s=60.0), clock=clock)
    waiting = threading.Thread(target=wire.submit)
    waiting.start()
    wait_until(lambda: len(wire.emulator.jobs) == 1)
    assert waiting.is_alive()
    while waiting.is_alive():
        clock.advance(60.0)
        waiting.join(0.01)


def test_redirect_names_another_host(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("redirect", "submit", location="http://evil.example/"))
    answer = wire("POST", "/jobs", single())
    assert (answer.status, answer.headers["Location"]) == (307, "http://evil.example/")
    assert wire.emulator.jobs == []


def test_wrong_content_type(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("content_type", "job"))
    answer = wire("GET", f"/jobs/{wire.submit()}")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.json["type"] == "ionq.circuit.v1"


def test_a_job_can_be_made_to_fail(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("fail", code="SystemCancel", message="because"))
    job = wire.done(wire.submit())
    assert (job["status"], job["failure"]["code"]) == ("failed", "SystemCancel")
    assert wire.done(wire.submit())["status"] == "completed"


def test_list_lag(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = faulty(serve, Fault("list_lag", delay_s=2.0), clock=clock)
    job_id = wire.submit()
    assert wire("GET", "/jobs").json["jobs"] == []
    assert wire("GET", f"/jobs/{job_id}").status == 200
    clock.advance(2.0)
    assert [j["id"] for j in wire("GET", "/jobs").json["jobs"]] == [job_id]


def test_strange_lists(serve: Callable[..., Wire]) -> None:
    wire = serve()
    ids = [wire.submit() for _ in range(8)][::-1]

    def listed(fault: str) -> list[str]:
        wire.emulator.faults.add(Fault(fault))
        return [j["id"] for j in wire("GET", "/jobs").json["jobs"]]

    assert listed("list_duplicates") == [i for i in ids for _ in range(2)]
    shuffled = listed("list_shuffle")
    assert sorted(shuffled) == sorted(ids)
    assert shuffled != ids
    wire.emulator.faults.add(Fault("list_repeat", times=2))
    first = wire("GET", "/jobs?limit=3").json
    second = wire("GET", f"/jobs?limit=3&next={first['next']}").json
    assert [j["id"] for j in first["jobs"]] == [j["id"] for j in second["jobs"]] == ids[:3]
    assert first["next"] == second["next"]
    parent = wire.submit_many([BELL, BELL])
    children = wire.job(parent)["child_job_ids"]
    assert set(children) <= set(listed("list_children"))


@pytest.mark.parametrize("which", ["all", "parent", "ids"])
def test_a_repeated_page_is_the_same_page(serve: Callable[..., Wire], which: str) -> None:
    wire = serve()
    parent = wire.submit_many([BELL] * 5)
    children = wire.job(parent)["child_job_ids"]
    for _ in range(4):
        wire.submit()
    query = {
        "all": "limit=3",
        "parent": f"limit=3&parent_job_id={parent}",
        "ids": "limit=3&" + "&".join(f"ids={i}" for i in children),
    }[which]
    wire.emulator.faults.add(Fault("list_repeat", times=3))
    first = wire("GET", f"/jobs?{query}").json
    again = wire("GET", f"/jobs?{query}&next={first['next']}").json
    assert [j["id"] for j in first["jobs"]] == [j["id"] for j in again["jobs"]]
    assert (len(first["jobs"]), again["next"]) == (3, first["next"])
    wire("GET", f"/jobs?{query}&next={first['next']}")  # the last time it goes wrong
    following = wire("GET", f"/jobs?{query}&next={first['next']}").json
    assert [j["id"] for j in following["jobs"]] == [j["id"] for j in first["jobs"]]
    rest = wire("GET", f"/jobs?{query}&next={following['next']}").json
    assert not {j["id"] for j in rest["jobs"]} & {j["id"] for j in first["jobs"]}


@pytest.mark.parametrize("what", ["ids", "aggregate", "both"])
def test_shuffled_children(serve: Callable[..., Wire], what: str) -> None:
    wire = faulty(serve, Fault("shuffle_children", what=what))
    circuits = [[{"gate": "rx", "target": 0, "rotation": 0.2 * k}] for k in range(8)]
    parent = wire.submit_many([{"name": f"c{k}", "circuit": c} for k, c in enumerate(circuits)])
    job = wire.done(parent)
    aggregate = wire("GET", f"/jobs/{parent}/results/probabilities/aggregated").json
    names = {j["id"]: j["name"] for j in wire("GET", f"/jobs?parent_job_id={parent}").json["jobs"]}
    in_order = list(job["child_job_ids"]) == sorted(job["child_job_ids"])
    assert in_order == (what == "aggregate")
    assert (list(aggregate) == job["child_job_ids"]) == (what == "ids")
    from math import cos

    for child, p in aggregate.items():  # names always tell the truth
        assert p["0"] == pytest.approx(cos(0.1 * int(names[child][1:])) ** 2)


def test_lies_about_a_job(serve: Callable[..., Wire]) -> None:
    wire = serve()
    job_id = wire.done(wire.submit())["id"]
    add = wire.emulator.faults.add
    add(Fault("regress"))
    seen = wire.job(job_id)
    assert (seen["status"], seen["results"]) == ("started", None)
    add(Fault("job_status", value="hibernating"))
    assert wire.job(job_id)["status"] == "hibernating"
    add(Fault("null_results"))
    seen = wire.job(job_id)
    assert (seen["status"], seen["results"]) == ("completed", None)
    before = wire.job(job_id)["submitted_at"]
    add(Fault("clock_skew", delay_s=-86_400.0))
    assert wire.job(job_id)["submitted_at"] < before
    parent = wire.submit_many([{"name": "a", "circuit": BELL}])
    (child,) = wire.job(parent)["child_job_ids"]
    add(Fault("unnamed_children", times=None))
    assert wire.job(child)["name"] is None


def test_missing_and_extra_results(serve: Callable[..., Wire]) -> None:
    wire = serve()
    parent = wire.done(wire.submit_many([BELL] * 3))["id"]
    path = f"/jobs/{parent}/results/probabilities/aggregated"
    wire.emulator.faults.add(Fault("missing_result"))
    assert len(wire("GET", path).json) == 2
    wire.emulator.faults.add(Fault("extra_result"))
    assert len(wire("GET", path).json) == 4
    alone = wire.done(wire.submit())["id"]
    wire.emulator.faults.add(Fault("missing_result"))
    assert list(wire("GET", f"/jobs/{alone}/results/probabilities").json) == ["3"]
    sampled = wire.done(wire.submit(backend="qpu.forte-1", shots=50))["id"]
    wire.emulator.faults.add(Fault("missing_result", times=2))
    assert len(wire("GET", f"/jobs/{sampled}/results/shots").json) == 49
    assert len(wire("GET", f"/jobs/{sampled}/artifacts/shots-v2").json["shots"]) == 49


def test_a_fault_befalls_only_its_route(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("status", "results", times=None))
    job_id = wire.done(wire.submit())["id"]
    assert wire("GET", "/jobs").status == 200
    assert wire("GET", f"/jobs/{job_id}/results/probabilities").status == 503
    assert wire("GET", f"/jobs/{job_id}/artifacts/probabilities").status == 503


@pytest.mark.parametrize("body", sorted(HOSTILE))
def test_hostile_bodies_come_as_json(serve: Callable[..., Wire], body: str) -> None:
    wire = serve()
    job_id = wire.done(wire.submit())["id"]
    wire.emulator.faults.add(Fault("hostile", "results", body=body))
    answer = wire("GET", f"/jobs/{job_id}/results/probabilities")
    assert answer.status == 200
    assert answer.body == HOSTILE[body]
    assert answer.headers["Content-Type"].startswith("application/json")


def test_a_gzip_bomb_is_small_on_the_wire(serve: Callable[..., Wire]) -> None:
    wire = faulty(serve, Fault("hostile", "any", body="gzip_bomb"))
    answer = wire("GET", "/jobs")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 2_000_000
    unpacker, size, rest = zlib.decompressobj(31), 0, answer.body
    while rest:
        size += len(unpacker.decompress(rest, 1 << 22))
        rest = unpacker.unconsumed_tail
    assert (unpacker.eof, size) == (True, 1 << 30)
