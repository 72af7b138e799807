"""Jobs are accepted at most once, within limits, and seen by their user only."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.emulator_wire import BELL, Wire, multi, single
from support.gateways import Site, paid

from pennylane_qstore.emulator import Fault
from pennylane_qstore.gateway.store import Limits

X = [{"gate": "x", "target": 0}]
TOKEN = {"qstore_token": "0" * 32}


def test_a_job_passes_through(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    job_id = ann.post(single(X, name="flip", metadata={"k": "v"}))
    assert ann.probabilities(job_id) == {"1": 1.0}
    job = ann.job(job_id)
    assert (job["name"], job["metadata"], job["noise"]) == ("flip", {"k": "v"}, {"model": "ideal"})
    (sent,) = here.emulator.jobs
    assert sent.name is not None
    assert sent.name.startswith("flip ")
    assert sent.metadata is not None
    assert sent.metadata["k"] == "v"
    assert sent.id != job_id


def test_programs_dry_runs_and_failures_pass_through(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    text = 'OPENQASM 3.0;include "stdgates.inc";qubit[1] q;bit[1] c;x q[0];c[0] = measure q[0];'
    qasm = {"type": "ionq.qasm3.v1", "backend": "simulator", "input": {"data": text}}
    assert ann.probabilities(ann.post(qasm)) == {"1": 1.0}
    dry = ann.done(ann.post(paid(dry_run=True)))
    assert (dry["status"], dry["results"]) == ("completed", None)
    assert ann("GET", f"/jobs/{dry['id']}/cost").json["estimated_cost"]["value"] > 0
    assert here.emulator.billed_jobs == 1
    here.emulator.faults.add(Fault("fail", code="InternalError", message="It broke."))
    failed = ann.done(ann.post(single(X)))
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "InternalError")


def test_what_ionq_fails_is_ionqs_to_fail(site: Callable[..., Site]) -> None:
    here = site(window_s=0)
    ann = here.user()
    foreign = paid([{"gate": "ms", "targets": [0, 1], "phases": [0, 0]}], gateset="native")
    program = {"data": "OPENQASM 3.0; nonsense"}
    unreadable = paid() | {"type": "ionq.qasm3.v1", "input": program}
    codes = [ann.done(ann.post(body))["failure"]["code"] for body in (foreign, unreadable)]
    assert codes == ["UnsupportedGate", "PreflightError"]
    assert [job.billed_usd for job in here.gateway.jobs] == [0, 0]


def test_nobody_sees_anothers_jobs(site: Callable[..., Site]) -> None:
    here = site()
    ann, bob = here.user("ann"), here.user("bob")
    job_id = ann.post(single(X))
    ann.done(job_id)
    for method, path in (
        ("GET", ""), ("GET", "/cost"), ("GET", "/results/probabilities"), ("PUT", "/status/cancel"),
        ("DELETE", ""), ("POST", "/clone"),
    ):  # fmt: skip
        assert bob(method, f"/jobs/{job_id}{path}").status == 404
    assert bob("GET", "/jobs").json["jobs"] == []
    assert bob("PUT", "/jobs/status/cancel", {"ids": [job_id]}).json["ids"] == []
    assert [job["id"] for job in ann("GET", "/jobs").json["jobs"]] == [job_id]
    assert (ann("GET", "/whoami").json["key_name"], bob("GET", "/whoami").json["key_name"]) == (
        "ann", "bob",
    )  # fmt: skip


def test_a_retry_gets_the_job_that_there_is(site: Callable[..., Site]) -> None:
    here = site()
    ann, bob = here.user("ann"), here.user("bob")
    first = ann.post(single(X))
    ann.connection.close()  # as after an answer that did not come
    assert ann.post(single(X)) == first
    ann.connection.close()
    assert bob.post(single(X)) != first
    assert ann.post(single(X, name="another")) != first
    ann.done(first)  # it knows the id: what it sends now, it means
    again = ann.post(single(X))
    assert again != first
    ann.connection.close()
    assert ann.post(single(X)) == again


def test_the_time_of_packing_makes_no_other_request(site: Callable[..., Site]) -> None:
    ann = site().user()
    packed = [
        base64.b64encode(gzip.compress(text, mtime=time)).decode()
        for text, time in ((b"a", 1), (b"a", 2), (b"b", 2))
    ]
    ids = []
    for value in packed:
        ids.append(ann.post(single(X, metadata={"qiskit_header": value})))
        ann.connection.close()
    assert ids[0] == ids[1] != ids[2]


def test_who_goes_on_with_a_connection_has_got_the_answer(site: Callable[..., Site]) -> None:
    here = site()
    ann, behind = here.user("ann"), {"X-Forwarded-For": "10.0.0.1"}
    assert ann.post(single(X)) != ann.post(single(X))
    first, second = (ann("POST", "/jobs", single(BELL), behind).json["id"] for _ in range(2))
    assert first == second  # a proxy's connection tells nothing of its client's


def test_a_marked_submission_is_the_same_for_ever(site: Callable[..., Site]) -> None:
    here = site(retry_window_s=0)
    ann = here.user()
    first = ann.post(single(X, metadata=TOKEN))
    ann.done(first)
    assert ann.post(single(X, metadata=TOKEN)) == first
    assert ann.post(single(BELL, metadata=TOKEN)) != first
    assert ann.job(first)["metadata"] == TOKEN
    assert ann.post(single(X)) != ann.post(single(X))  # no window for others


def test_equal_requests_at_the_same_time_are_one_job(site: Callable[..., Site]) -> None:
    here = site()
    wires = [here.user() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda wire: wire.post(single(X)), wires))
    assert len(ids) == 1
    wires[0].done(ids.pop())
    assert len(here.emulator.jobs) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("close", route="submit", when="after"),
        Fault("reset", route="submit", when="after"),
        Fault("status", route="submit", status=502, when="after"),
        Fault("truncate", route="submit", when="after"),
    ],
    ids=lambda fault: fault.kind,
)
@pytest.mark.parametrize("side", ["to IonQ", "to the client"])
def test_a_lost_answer_is_one_job(site: Callable[..., Site], fault: Fault, side: str) -> None:
    near = side == "to the client"
    here = site({"faults": [] if near else [fault]}, faults=[fault] if near else [], window_s=0)
    ann = here.user()
    for _ in range(5):  # as the most stubborn of clients
        try:
            answer = ann("POST", "/jobs", paid())
        except OSError:
            ann.connection.close()
            continue
        except Exception:
            ann.connection.close()
            continue
        if answer.status == 201:
            break
    assert ann.done(answer.json["id"])["status"] == "completed"
    assert here.emulator.billed_jobs == 1


def test_limits_are_kept_for_all_for_users_and_for_runs(site: Callable[..., Site]) -> None:
    here = site(limits=Limits(total_usd=130, user_usd=80, run_usd=60), window_s=0)
    ann, bob, rich = here.user("ann"), here.user("bob"), here.user("rich", budget_usd=100)

    def refusal(wire: Wire, **more: object) -> str:
        answer = wire("POST", "/jobs", paid(**more))
        assert answer.status == 402
        assert answer.json["error"] == "Payment Required"
        return str(answer.json["message"])

    for k in range(2):  # a job costs $25.79
        ann.done(ann.post(paid(name="vqe", metadata={"k": str(k)})))
    assert "$8.42 of the limit of $60.00 of run 'vqe'" in refusal(ann, name="vqe")
    ann.done(ann.post(paid(name="other")))
    assert "$2.63 of the limit of $80.00 of user ann" in refusal(ann)
    bob.post(paid())
    rich.post(paid())
    assert "limit of $130.00 of this gateway" in refusal(rich, name="more")
    assert ann.post(single(X))  # simulators cost nothing
    assert here.emulator.stats()["billed_usd"] <= 130


def test_too_many_jobs_are_pushed_back(site: Callable[..., Site]) -> None:
    here = site(max_open=2)
    ann = here.user()
    ids = [ann.post(paid(name=str(k))) for k in range(2)]  # they wait in the window
    busy = ann("POST", "/jobs", paid(name="more"))
    assert (busy.status, busy.json["error"]) == (429, "Too Many Requests")
    assert int(busy.headers["Retry-After"]) > 0
    ann("PUT", f"/jobs/{ids[0]}/status/cancel")
    ann.post(paid(name="more"))


def test_what_the_gateway_does_not_take_is_refused(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    function = {
        "type": "quantum-function", "backend": "simulator",
        "input": {"data": {"type": "hamiltonian-energy", "data": {
            "hamiltonian": [{"pauli_string": "Z", "coefficient": 1.0}],
            "ansatz": {"data": 'OPENQASM 3.0;include "stdgates.inc";qubit[1] q;x q[0];'},
        }}, "params": []},
    }  # fmt: skip
    assert "does not take" in ann("POST", "/jobs", function).json["message"]
    here.emulator.close()
    away = ann("POST", "/jobs", paid())
    assert (away.status, "Retry-After" in away.headers) == (503, True)
    assert here.gateway.jobs == []


def test_clones_lists_and_deletions(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    first = ann.post(multi([X, BELL], metadata=TOKEN))
    ann.done(first)
    child = ann.job(first)["child_job_ids"][0]
    copies = [
        str(ann("POST", f"/jobs/{original}/clone", {}).json["id"]) for original in (first, first)
    ]
    assert len({first, *copies}) == 3
    alone = str(ann("POST", f"/jobs/{child}/clone", {"name": "x"}).json["id"])
    assert ann.probabilities(alone) == {"1": 1.0}
    listed = ann("GET", "/jobs?limit=2").json
    assert [job["id"] for job in listed["jobs"]] == [alone, copies[1]]
    assert ann("GET", f"/jobs?parent_job_id={first}").json["jobs"][0]["id"] == child
    assert ann("DELETE", f"/jobs/{first}").json["status"] == "deleted"
    assert ann("GET", f"/jobs/{first}").status == 404
    assert ann("GET", "/sessions/nonsense/jobs").status == 404


def test_a_later_gateway_goes_on(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    ended, gone = ann.post(single(X)), ann.post(single(BELL))
    for job_id in (ended, gone):
        ann.done(job_id)
    ann("DELETE", f"/jobs/{gone}")
    waiting = ann.post(paid(X))
    here.gateway.close()
    here.gateway.start()
    ann.connection.close()
    assert ann.probabilities(ended) == {"1": 1.0}
    assert ann("GET", f"/jobs/{gone}").status == 404
    assert ann.post(paid(X)) == waiting
    here.window.close()
    assert ann.done(waiting)["status"] == "completed"
    assert here.emulator.billed_jobs == 3
    assert {job.user for job in here.gateway.jobs} == {"ann"}
    assert here.gateway.ledger.spent_usd() == here.emulator.stats()["billed_usd"]
