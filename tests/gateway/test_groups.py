"""Jobs that become one: gathered in a window, told apart, and untouched by each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.emulator_wire import BELL, Wire, multi, single
from support.gateways import PLAIN, WINDOW_S, Site, paid, paid_multi
from support.waiting import wait_until

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.gateway.store import Limits, Store, group_key
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

X = [{"gate": "x", "target": 0}]
XX = [*X, {"gate": "x", "target": 1}]


def likeliest(found: dict[str, float]) -> str:
    """Return the outcome that the others are the machine's errors of."""
    return max(found, key=lambda outcome: found[outcome])


def outcome(wire: Wire, job_id: str) -> str:
    return likeliest(wire.probabilities(job_id))


def share(wire: Wire, job_id: str) -> Decimal:
    return Decimal(repr(wire("GET", f"/jobs/{job_id}/cost").json["cost"]["value"]))


def test_a_window_is_one_job_and_each_client_has_its_own(site: Callable[..., Site]) -> None:
    here = site()
    ann, bob = here.user("ann"), here.user("bob")
    one = ann.post(paid(X, name="a"))
    many = bob.post(paid_multi([XX, {"circuit": X, "name": "own"}], name="b"))
    last = bob.post(paid([*X, *X], name="c"))
    assert bob.job(many)["status"] == "submitted"
    here.window.close()
    assert outcome(ann, one) == "1"
    assert outcome(bob, last) == "0"
    job = bob.done(many)
    assert (job["name"], len(job["child_job_ids"])) == ("b", 2)
    first, second = job["child_job_ids"]
    answer = bob("GET", f"/jobs/{many}/results/probabilities/aggregated").json
    assert {child: likeliest(found) for child, found in answer.items()} == {first: "3", second: "1"}
    assert bob.job(second)["name"] == "own"
    assert bob("GET", f"/jobs/{second}/results/probabilities").json == answer[second]
    (sent,) = here.emulator.jobs
    assert [len(sent.circuits), sent.shots] == [4, 200]
    shares = [share(ann, one), share(bob, many), share(bob, last)]
    assert sum(shares) == Decimal(repr(sent.billed_usd))
    assert shares[1] == max(shares)
    assert [row.state for row in here.gateway.ledger.submissions()] == [State.CONSUMED]


@pytest.mark.parametrize(
    "other",
    [
        {"shots": 300},
        {"backend": "qpu.forte-enterprise-1"},
        {"settings": {"error_mitigation": {"symmetry_verification": True, "debiasing": False}}},
        {"settings": PLAIN, "runtime_options": {"custom": 1}},
    ],
    ids=str,
)
def test_what_is_not_alike_is_not_merged(site: Callable[..., Site], other: dict[str, str]) -> None:
    here = site()
    ann = here.user()
    ids = [ann.post(paid(X)), ann.post(paid(X, **other))]
    here.window.close(1 if "runtime_options" in other else 2)
    for job_id in ids:
        assert outcome(ann, job_id) == "1"
    assert len(here.emulator.jobs) == 2


def test_simulators_sessions_and_native_gates_stay_alone(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    session = ann("POST", "/sessions", {"backend": "qpu.forte-1"}).json["id"]
    ids = [
        ann.post(single(X, noise={"model": "aria-1", "seed": seed}, shots=50)) for seed in (1, 2)
    ]
    ids += [ann.post(single(X)), ann.post(paid(X, session_id=session))]
    for job_id in ids:
        assert ann.done(job_id)["status"] == "completed"
    assert len(here.emulator.jobs) == 4
    assert [job["id"] for job in ann("GET", f"/sessions/{session}/jobs").json["jobs"]] == ids[3:]
    gpi = [{"gate": "gpi", "target": 0, "phase": 0.0}]
    ids = [ann.post(paid(X)), ann.post(paid(gpi, gateset="native"))]
    here.window.close(2)
    assert [outcome(ann, job_id) for job_id in ids] == ["1", "1"]
    assert len(here.emulator.jobs) == 6


def test_a_job_too_large_for_the_window_opens_another(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    first = ann.post(paid_multi([X] * 3000))
    second = ann.post(paid_multi([X] * 2500))
    assert ann.done(first)["status"] == "completed"  # there was no room any more
    here.window.close()
    assert ann.done(second)["status"] == "completed"
    assert [len(job.circuits) for job in here.emulator.jobs] == [3000, 2500]


def test_a_cancelled_member_does_not_touch_the_others(site: Callable[..., Site]) -> None:
    here = site({"profile": 3600.0})
    ann, bob = here.user("ann"), here.user("bob")
    early, late, stays = (w.post(paid(X, name=n)) for w, n in ((ann, "a"), (ann, "b"), (bob, "c")))
    ann("PUT", f"/jobs/{early}/status/cancel")
    here.window.close()
    wait_until(lambda: here.emulator.jobs)
    (sent,) = here.emulator.jobs
    assert len(sent.circuits) == 2
    ann("PUT", f"/jobs/{late}/status/cancel")
    assert ann.job(late)["status"] == "canceled"
    assert bob.job(stays)["status"] in ("submitted", "ready", "started")
    assert sent.canceled_at is None
    bob("PUT", f"/jobs/{stays}/status/cancel")  # the last one: nobody wants it any more
    wait_until(lambda: sent.canceled_at is not None)
    wait_until(lambda: all(job.settled for job in here.gateway.jobs))
    assert {job.state for job in here.gateway.jobs} == {"canceled"}
    total = sum(Decimal(repr(job.billed_usd)) for job in here.gateway.jobs)
    assert total == Decimal(repr(sent.billed_usd))


def test_a_job_cancelled_before_it_is_sent_costs_nothing(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    job_id = ann.post(paid(X))
    ann("PUT", f"/jobs/{job_id}/status/cancel")
    here.window.close()
    assert ann.job(job_id)["status"] == "canceled"
    assert ann("GET", f"/jobs/{job_id}/cost").json["cost"]["value"] == 0
    assert here.emulator.jobs == []
    assert here.gateway.ledger.submissions() == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", route="submit", status=400),
        Fault("fail", code="PreflightError", message="One of them is wrong."),
    ],
    ids=["refused", "failed"],
)
def test_members_of_a_job_that_fails_are_sent_alone(
    site: Callable[..., Site], fault: Fault
) -> None:
    here = site({"faults": [fault]})
    ann, bob = here.user("ann"), here.user("bob")
    ids = [ann.post(paid(X)), bob.post(paid(XX))]
    here.window.close()
    assert outcome(ann, ids[0]) == "1"
    assert outcome(bob, ids[1]) == "3"
    wait_until(lambda: all(job.settled for job in here.gateway.jobs))
    billed = sum(Decimal(repr(job.billed_usd)) for job in here.gateway.jobs)
    assert float(billed) == here.emulator.stats()["billed_usd"]


def test_a_job_that_may_exist_unseen_fails_and_stays_reserved(site: Callable[..., Site]) -> None:
    here = site({"faults": [Fault("close", route="submit")]})  # lost, and not accepted
    ann = here.user()
    job_id = ann.post(paid(X))
    here.window.close()
    job = ann.done(job_id)
    assert job["failure"]["code"] == "AmbiguousSubmission"
    assert here.emulator.jobs == []
    (kept,) = here.gateway.jobs
    assert (kept.is_billed, kept.cost_usd) == (False, 25.79)


def test_the_ledgers_own_limit_counts_as_well(site: Callable[..., Site]) -> None:
    here = site()
    Ledger(here.gateway.ledger.path, budget_usd=1.0).close()
    ann = here.user()
    job_id = ann.post(paid(X))
    here.window.close()
    assert ann.done(job_id)["failure"]["code"] == "QuotaExhaustedError"
    assert here.emulator.jobs == []


def test_what_waits_for_nobody_is_refused_at_once(site: Callable[..., Site]) -> None:
    here = site(window_s=0)
    Ledger(here.gateway.ledger.path, budget_usd=1.0).close()
    ann = here.user()
    answer = ann("POST", "/jobs", paid(X))
    assert (answer.status, here.gateway.jobs, here.emulator.jobs) == (402, [], [])
    assert "$1.00" in answer.json["message"]
    assert ann("POST", "/jobs", single(X)).status == 201  # the refused one has left nothing


@pytest.mark.parametrize(
    ("window_s", "begun"), [(0.0, ["gateway job"]), (WINDOW_S, ["gateway job", "intent"])]
)
def test_a_job_is_written_down_in_few_transactions(
    site: Callable[..., Site], tmp_path: Path, window_s: float, begun: list[str]
) -> None:
    events: list[str] = []
    ledger = Ledger(tmp_path / "observed.sqlite3", observer=events.append)
    # A POST that is late writes down that it is: by this policy none is.
    policy = RetryPolicy(settle_s=3600.0)
    here = site(window_s=window_s, ledger=ledger, retry_policy=policy)
    ann = here.user()
    events.clear()
    job_id = ann.post(paid(X))
    if window_s:
        assert [event for event in events if event.startswith("after")] == ["after:gateway job"]
        here.window.close()
    assert ann.done(job_id)["status"] == "completed"
    wait_until(lambda: events[-1] == "after:gateway change")
    written = [f"after:{event}" for event in (*begun, "submitted", "done", "billed")]
    assert [e for e in events if e.startswith("after")] == [*written, "after:gateway change"]


def test_an_end_is_told_once_it_is_written_down(site: Callable[..., Site], tmp_path: Path) -> None:
    told: list[str] = []

    def observe(event: str) -> None:
        if event == "before:gateway change":
            told.extend(job.state for job in here.gateway.jobs)

    here = site(ledger=Ledger(tmp_path / "observed.sqlite3", observer=observe))
    ann = here.user()
    job_id = ann.post(paid(X))
    here.window.close()
    assert ann.done(job_id)["status"] == "completed"
    assert told[0] in ("submitted", "ready", "started")


def test_a_job_that_is_cancelled_while_its_end_is_written_down_stays_so(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    pressed: list[str] = []

    def observe(event: str) -> None:
        if event == "before:gateway change" and not pressed:
            (job,) = here.gateway.jobs
            pressed.append(job.id)
            service = here.gateway._service
            here.gateway._loop.call_soon_threadsafe(service._groups.cancel, job)

    path = tmp_path / "observed.sqlite3"
    here = site(ledger=Ledger(path, observer=observe))
    ann = here.user()
    job_id = ann.post(paid(X))
    here.window.close()
    wait_until(lambda: here.gateway.jobs[0].settled)
    assert pressed == [job_id]
    assert ann.job(job_id)["status"] == "canceled"
    (kept, _), *_ = Store(Ledger(path), Limits()).load(10)
    assert (kept.state, kept.settled) == ("canceled", True)
    assert kept.billed_usd == here.emulator.jobs[0].billed_usd


@pytest.mark.parametrize("window_s", [0.0, WINDOW_S])
@pytest.mark.parametrize("make", [single, paid])
def test_a_gateway_that_stops_while_ionq_is_away_goes_on_later(
    site: Callable[..., Site], window_s: float, make: Callable[..., Any]
) -> None:
    here = site(window_s=window_s)
    ann = here.user()
    job_id = ann.post(make(X))  # so that the price is known
    if window_s:
        here.window.close(make is paid)
    ann.done(job_id)
    port = int(here.emulator.address.rpartition(":")[2])
    here.emulator.close()
    job_id = ann.post(make(X, name="later"))
    if window_s:
        here.window.close(make is paid)
    traffic = here.gateway._service._groups.traffic  # type: ignore[union-attr]
    wait_until(lambda: traffic.retries)
    here.gateway.close()
    ann.connection.close()
    here.emulator = Emulator(seed=1, port=port).start()
    here.gateway.start()
    ann = here.user()
    assert outcome(ann, job_id) == "1"
    states = [row.state for row in here.gateway.ledger.history(group_key(2))]
    assert states == [State.REJECTED, State.CONSUMED]


def test_a_bill_that_comes_late_is_shared_late(site: Callable[..., Site]) -> None:
    here = site({"faults": [Fault("status", route="cost", skip=2, status=400)]})
    ann, bob = here.user("ann"), here.user("bob")
    ids = [ann.post(paid(X)), bob.post(paid(BELL))]
    here.window.close()
    for wire, job_id in ((ann, ids[0]), (bob, ids[1])):
        assert wire.done(job_id)["status"] == "completed"
    wait_until(lambda: all(job.is_billed for job in here.gateway.jobs))
    billed = sum(Decimal(repr(job.billed_usd)) for job in here.gateway.jobs)
    assert float(billed) == here.emulator.jobs[0].billed_usd


def test_multi_circuit_jobs_of_one_client_keep_their_order(site: Callable[..., Site]) -> None:
    here = site({"faults": [Fault("shuffle_children", times=None)]})
    ann = here.user()
    job_id = ann.post(multi([X, XX, [*X, *X]]))
    children = ann.done(job_id)["child_job_ids"]
    found = ann("GET", f"/jobs/{job_id}/results/probabilities/aggregated").json
    assert [found[child] for child in children] == [{"1": 1.0}, {"3": 1.0}, {"0": 1.0}]


def test_eight_workers_are_one_job_a_window(site: Callable[..., Site]) -> None:
    here = site()
    workers = [here.user(f"worker{k}") for k in range(8)]
    for round_ in range(3):
        with ThreadPoolExecutor(8) as pool:
            bodies = [paid(X, name=f"round{round_}")] * 8
            ids = list(pool.map(Wire.post, workers, bodies))
        here.window.close()
        assert [outcome(worker, job) for worker, job in zip(workers, ids, strict=True)] == ["1"] * 8
        assert len(here.emulator.jobs) == round_ + 1
    assert here.emulator.stats()["posts"] == 3
