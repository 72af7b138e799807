"""Against a service in memory: circuits that fail alone, and any sequence of mishaps."""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from support.ionq_fixtures import FakeClock

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConnectionFailed,
    InvalidResponse,
    JobCanceled,
    JobFailed,
    QStoreError,
)
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.endpoint import Endpoint
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost, RetryPolicy
from pennylane_qstore.ionq.http.transport import Response
from pennylane_qstore.ionq.jobs.call import begin_requests, collect_results, run_requests
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.ionq.jobs.results import JobRecord
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, Ledger, State
from pennylane_qstore.ionq.messages.job_request import JobRequest

SETTLE_S = 10.0


def reply(value, status=200):
    return Response(status, orjson.dumps(value))


class Service:
    """IonQ as far as the client sees it, in place of a transport."""

    endpoint = Endpoint("http://127.0.0.1:9/v0.4")
    last_date = None

    def __init__(self, time, seed=0):
        self.time = time
        self.rng = random.Random(seed)
        self.jobs = {}
        self.late = []  # accepted, but not there yet: (time, job)
        self.mishaps = []  # for the next requests: (method, what)
        self.posts = 0
        self.child_failures = {}  # circuit body -> how often it fails still
        self.parent_status = "completed"
        self.named = True
        self.in_aggregate = True

    def redact(self, text):
        return text

    def arrive(self):
        for due, job in list(self.late):
            if due <= self.time.now():
                self.late.remove((due, job))
                self.jobs[job["id"]] = job

    def new_id(self):
        # UUIDv7 in ascending order
        self.count = getattr(self, "count", 0) + 1
        return str(uuid.UUID(int=(0x7 << 76) | (0x2 << 62) | (self.count << 80) | self.count))

    def accept(self, body, delay_s=0.0):
        request = orjson.loads(body)
        source = request["input"]
        circuits = source.get("circuits") or [{"circuit": source["circuit"], "name": None}]
        job = {
            "id": self.new_id(), "status": "completed", "name": request["name"],
            "backend": request["backend"], "metadata": request["metadata"],
            "parent_job_id": None, "submitted_at": None, "shots": request["shots"],
        }  # fmt: skip
        job["children"] = []
        for circuit in circuits:
            value = orjson.dumps(circuit["circuit"])
            failing = self.child_failures.get(value, 0) > 0
            if failing:
                self.child_failures[value] -= 1
            job["children"].append(
                {
                    "id": self.new_id(), "parent_job_id": job["id"],
                    "metadata": request["metadata"],
                    "name": circuit["name"] if self.named else None,
                    "status": "failed" if failing else "completed",
                    "failure": {"code": "InternalError", "message": "ion"} if failing else None,
                    "result": {str(len(circuit["circuit"])): 1.0},
                }
            )  # fmt: skip
        if any(c["status"] == "failed" for c in job["children"]):
            job["status"] = self.parent_status if len(circuits) > 1 else "failed"
            job["failure"] = {"code": "InternalError", "message": "a circuit failed"}
        if delay_s:
            self.late.append((self.time.now() + delay_s, job))
        else:
            self.jobs[job["id"]] = job
        return job

    async def request(self, method, path, traffic, *, body=None, max_bytes=0, before=None):
        await asyncio.sleep(0)
        if before is not None:
            await before()
        self.arrive()
        traffic.requests += 1
        mishap = next((m for m in self.mishaps if m[0] == method), None)
        if mishap is not None:
            self.mishaps.remove(mishap)
        return self.answer(method, path, body, mishap[1] if mishap else None)

    def answer(self, method, path, body, mishap):
        if method == "POST":
            return self.answer_post(body, mishap)
        if mishap is not None:
            return Response(503, b"")
        if method == "PUT":
            ids = orjson.loads(body)["ids"] if body else [path.split("/")[2]]
            for job_id in ids:
                self.jobs[job_id]["status"] = "canceled"
            return reply({"ids": ids, "status": "canceled"})
        return self.answer_get(path)

    def answer_post(self, body, mishap):
        self.posts += 1
        if mishap == "unsent":
            raise NotSent("refused")
        if mishap == "throttled":
            return Response(429, b"{}", "3")
        if mishap == "dropped":
            raise ResponseLost("cut before")
        if mishap == "accepted late":
            self.accept(body, delay_s=SETTLE_S / 2)
            raise ResponseLost("cut, and accepted later")
        job = self.accept(body)
        if mishap == "cut after":
            raise ResponseLost("cut after")
        if mishap == "502 after":
            return Response(502, b"")
        return reply({"id": job["id"], "status": "submitted", "session_id": None}, 201)

    def answer_get(self, path):
        parts = urlsplit(path).path.strip("/").split("/")
        query = parse_qs(urlsplit(path).query)
        if len(parts) == 1:
            return self.listing(query)
        job = self.jobs.get(parts[1])
        child = next(
            (c for j in self.jobs.values() for c in j["children"] if c["id"] == parts[1]), None
        )
        if job is None and child is None:
            return Response(404, b"{}")
        if len(parts) == 2:
            return reply(self.shown(job))
        if parts[-1] == "cost":
            return reply({"cost": {"value": 1.0, "unit": "usd"}})
        if parts[-1] == "aggregated":
            if not self.in_aggregate:
                return reply({})
            good = [c for c in job["children"] if c["status"] == "completed"]
            return reply({c["id"]: c["result"] for c in good})
        one = child or job["children"][0]
        return reply(one["result"]) if one["status"] == "completed" else Response(404, b"{}")

    def shown(self, job):
        shown = {k: v for k, v in job.items() if k != "children"}
        if len(job["children"]) > 1:
            shown["child_job_ids"] = [c["id"] for c in job["children"]]
        return shown

    def listing(self, query):
        if "parent_job_id" in query:
            found = list(self.jobs[query["parent_job_id"][0]]["children"])
        else:
            found = [self.shown(job) for job in self.jobs.values()]
            found += [c for job in self.jobs.values() for c in job["children"]]
            if "ids" in query:
                found = [job for job in found if job["id"] in query["ids"]]
        self.rng.shuffle(found)
        start = int(query.get("next", ["0"])[0])
        follow = str(start + 7) if start + 7 < len(found) else None
        # A shuffled list has no stable pages: give it all at once unless it is short.
        return reply({"jobs": found, "next": None if start == 0 else follow})


def request_for(number, circuits=1, backend="simulator"):
    """Circuit k of request n has n + k gates, and its outcome is that number."""
    bodies = tuple(
        orjson.dumps([{"gate": "gpi", "target": 0, "phase": 0.0}] * (number + k))
        for k in range(circuits)
    )
    return JobRequest(backend, "native", 8, bodies, 1, 10)


def run(service, time, ledger, requests, keys=None, on_ambiguous="raise"):
    policy = RetryPolicy(settle_s=SETTLE_S, attempts=4)
    api = Api(service, policy, time.clock(), random.Random(0))
    pending = begin_requests(ledger, service.endpoint.base_url, requests, keys)

    async def main():
        jobs = JobRunner(api, ledger, Poller(api), on_ambiguous=on_ambiguous)
        return await run_requests(jobs, pending)

    results = collect_results(pending, asyncio.run(main()), ledger)
    ledger.consumed([row for entry in pending for row in entry.record.row_ids])
    return results


def resume(service, time, ledger):
    """Every open row to its end, as ``qstore resume`` does; nothing is sent."""
    api = Api(service, RetryPolicy(settle_s=SETTLE_S), time.clock(), random.Random(0))
    posts = service.posts

    async def main(row):
        await JobRunner(api, ledger, Poller(api)).complete(row, JobRecord())

    for row in ledger.submissions(OPEN_STATES):
        try:
            asyncio.run(main(row))
        except QStoreError:
            continue
    assert service.posts == posts


def outcomes(result):
    return [None if h is None else int(h.states[0]) for h in result.histograms]


@pytest.fixture
def time():
    return FakeClock(1_790_000_000.0)


@pytest.fixture
def service(time):
    return Service(time)


@pytest.fixture
def memory(time):
    ledger = Ledger(now=time.now)
    yield ledger
    ledger.close()


def body_of(number):
    return orjson.dumps([{"gate": "gpi", "target": 0, "phase": 0.0}] * number)


@pytest.mark.parametrize("backend", ["simulator", "qpu.forte-1"])
def test_what_was_surely_not_sent_waits_for_the_service(service, time, memory, backend):
    began = time.now()
    service.mishaps = [("POST", "unsent")] * 60
    (result,) = run(service, time, memory, [request_for(3, backend=backend)])
    assert outcomes(result) == [3]
    assert (service.posts, len(service.jobs)) == (61, 1)
    assert 60 < time.now() - began < RetryPolicy().outage_s


def test_an_outage_takes_no_attempt_from_a_lost_answer_after_it(service, time, memory):
    service.mishaps = [("POST", "unsent")] * 20 + [("POST", "dropped")]
    (result,) = run(service, time, memory, [request_for(3)])
    assert outcomes(result) == [3]
    assert (service.posts, len(service.jobs)) == (22, 1)


def test_a_lost_answer_in_an_outage_stays_in_doubt(service, time, memory):
    """The job is sent again where that is free, and then the service is away for good."""
    service.mishaps = [("POST", "dropped")] + [("POST", "unsent")] * 1000
    with pytest.raises(ConnectionFailed, match="the same call again"):
        run(service, time, memory, [request_for(3)])
    assert [row.state for row in memory.submissions()] == [State.AMBIGUOUS]


@pytest.mark.parametrize("parent_status", ["completed", "failed"])
def test_only_circuits_that_failed_are_sent_again(service, time, memory, parent_status):
    service.parent_status = parent_status
    service.child_failures = {body_of(2): 1, body_of(4): 1}
    (result,) = run(service, time, memory, [request_for(1, 5)])
    assert outcomes(result) == [1, 2, 3, 4, 5]
    first, second = service.jobs.values()
    assert len(first["children"]) == 5
    assert [c["name"] for c in second["children"]] == ["c0", "c1"]
    rows = memory.submissions()
    assert [row.part for row in rows] == [None, (1, 3)]
    assert result.job_ids == (first["id"], second["id"])


def test_a_single_circuit_that_failed_is_sent_again_as_a_single_job(service, time, memory):
    service.child_failures = {body_of(3): 1}
    (result,) = run(service, time, memory, [request_for(1, 5)])
    assert outcomes(result) == [1, 2, 3, 4, 5]


def test_what_fails_twice_is_one_error_with_everything_that_arrived(service, time, memory):
    service.child_failures = {body_of(2): 9}
    with pytest.raises(JobFailed, match="1 of its 3 circuits") as failed:
        run(service, time, memory, [request_for(1, 3), request_for(7, 2)])
    details = failed.value.details
    assert details["failed"] == [0]
    assert details["circuits"] == (1,)
    assert details["code"] == "InternalError"
    assert [outcomes(r) for r in details["results"]] == [[1, None, 3], [7, 8]]
    assert details["results"][0].status == "partial"
    assert len(failed.value.job_ids) == 3


def test_a_run_that_starts_again_sends_only_what_is_missing(service, time, memory):
    service.child_failures = {body_of(2): 2}
    with pytest.raises(JobFailed):
        run(service, time, memory, [request_for(1, 3)], [("r", 0, 0)])
    (result,) = run(service, time, memory, [request_for(1, 3)], [("r", 0, 0)])
    assert outcomes(result) == [1, 2, 3]
    assert [row.part for row in memory.submissions()] == [None, (1,), (1,)]
    posts = service.posts
    (again,) = run(service, time, memory, [request_for(1, 3)], [("r", 0, 0)])
    assert outcomes(again) == [1, 2, 3]
    assert service.posts == posts


def test_children_are_read_one_by_one_where_the_aggregate_lacks_them(service, time, memory):
    service.in_aggregate = False
    (result,) = run(service, time, memory, [request_for(1, 4)])
    assert outcomes(result) == [1, 2, 3, 4]


def test_a_missing_child_is_not_made_up(service, time, memory):
    def forgetful(query, listing=service.listing):
        answer = listing(query)
        page = orjson.loads(answer.body)
        page["jobs"] = page["jobs"][:-1]
        return reply(page)

    service.in_aggregate = False
    service.listing = forgetful
    with pytest.raises(InvalidResponse):
        run(service, time, memory, [request_for(1, 4)])


def test_a_cancelled_job_is_sent_again_by_the_next_call_with_its_key(service, time, memory):
    real = service.answer

    def cancelled(method, path, body, mishap):
        for job in service.jobs.values():
            job["status"] = "canceled"
        return real(method, path, body, mishap)

    service.answer = cancelled
    with pytest.raises(JobCanceled):
        run(service, time, memory, [request_for(1, 2)], [("r", 0, 0)])
    service.answer = real
    (result,) = run(service, time, memory, [request_for(1, 2)], [("r", 0, 0)])
    assert outcomes(result) == [1, 2]


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("before", ["throttled", "dropped"])
def test_the_settle_time_counts_from_the_last_post(service, time, tmp_path, before):
    """Killed in a POST long after its intent: the job may still turn up, and is waited for."""
    posts = {"throttled": 5, "dropped": 1}[before]
    service.mishaps = [("POST", before)] * posts + [("POST", "accepted late")]

    def observe(point):
        if point == "before:ambiguous" and service.posts == posts + 1:
            raise Crash

    ledger = Ledger(tmp_path / "ledger", now=time.now, observer=observe)
    begun = time.now()
    with pytest.raises(Crash):
        run(service, time, ledger, [request_for(1)], [("r", 0, 0)])
    assert time.now() - begun >= SETTLE_S
    (row,) = ledger.submissions()
    ledger.release(row.id, row.owner)  # as a dead process does
    (result,) = run(service, time, ledger, [request_for(1)], [("r", 0, 0)])
    assert result.adopted
    assert len(service.jobs) == 1
    ledger.close()


POINTS = [
    f"{when}:{event}"
    for event in ("intent", "sending", "submitted", "done", "consumed", "ambiguous", "claim")
    for when in ("before", "after")
]


class Mishaps(RuleBasedStateMachine):
    """Submit, crash, restart, lose answers, cancel, in any order; then look at the bill."""

    requests = Bundle("requests")

    @initialize(backend=st.sampled_from(["simulator", "qpu.forte-1"]), seed=st.integers(0, 999))
    def start(self, backend, seed):
        self.backend = backend
        self.time = FakeClock(1_790_000_000.0)
        self.service = Service(self.time, seed)
        self.folder = tempfile.TemporaryDirectory()
        self.crash_at = None
        self.finished = {}
        self.known = {}
        self.open_ledger()

    def open_ledger(self):
        self.ledger = Ledger(
            Path(self.folder.name) / "ledger", now=self.time.now, observer=self.observe
        )

    def observe(self, point):
        if point == self.crash_at:
            self.crash_at = None
            raise Crash(point)

    @rule(target=requests, circuits=st.integers(1, 3))
    def intend(self, circuits):
        number = 1 + 4 * len(self.known)
        if number > 200:
            return multiple()
        self.known[number] = request_for(number, circuits, self.backend)
        return number

    @rule(point=st.sampled_from(POINTS))
    def crash_next_time(self, point):
        self.crash_at = point

    @rule(
        method=st.sampled_from(["POST", "GET"]),
        what=st.sampled_from(
            ["unsent", "throttled", "dropped", "accepted late", "cut after", "502 after"]
        ),
        times=st.integers(1, 3),
    )
    def plan_a_mishap(self, method, what, times):
        self.service.mishaps += [(method, what)] * times

    @rule(number=requests)
    def run_it(self, number):
        self.attempt(number)

    @rule(number=requests)
    def a_second_process_runs_it(self, number):
        other = Ledger(self.ledger.path, now=self.time.now)
        mine, self.ledger = self.ledger, other
        try:
            self.attempt(number)
        finally:
            self.ledger = mine
            other.close()

    @rule()
    def somebody_resumes(self):
        try:
            resume(self.service, self.time, self.ledger)
        except Crash:
            self.restart()

    @rule(which=st.integers(0, 99))
    def somebody_cancels(self, which):
        stored = {
            row.token for row in self.ledger.submissions([State.DONE, State.CONSUMED, State.FAILED])
        }
        jobs = [
            job
            for job in self.service.jobs.values()
            if job["metadata"]["qstore_token"] not in stored
        ]
        if jobs:
            jobs[which % len(jobs)]["status"] = "canceled"

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds):
        self.time.ahead += seconds

    def restart(self):
        # The process is dead: its lease runs out, a new one opens the ledger.
        self.ledger.close()
        self.time.ahead += 600
        self.open_ledger()

    def attempt(self, number):
        request = self.known[number]
        try:
            (result,) = run(self.service, self.time, self.ledger, [request], [("run", number, 0)])
        except Crash:
            self.restart()
        except JobCanceled:
            pass  # the next attempt sends it again
        except QStoreError as error:
            # Too many mishaps in a row; the next attempt, or the end, settles it.
            if not isinstance(error, AmbiguousSubmission):
                allowed = ("429", "refused", "503")
                if not any(word in str(error) for word in allowed):
                    raise
        else:
            expected = [number + k for k in range(len(request.circuits))]
            assert outcomes(result) == expected
            self.finished[number] = expected

    @invariant()
    def no_job_is_paid_twice(self):
        if not hasattr(self, "service"):
            return
        tokens = Counter(
            job["metadata"]["qstore_token"]
            for job in self.service.jobs.values()
            if job["status"] != "canceled"
        )
        assert not [token for token, times in tokens.items() if times > 1]
        rows = {row.token: row for row in self.ledger.submissions()}
        assert set(tokens) <= set(rows), "a job that was never intended"
        doubles = {row.job_id for row in self.ledger.submissions([State.DUPLICATE])}
        assert doubles <= set(self.service.jobs), "a child was taken for a second job"
        paid = Counter(rows[token].key for token in tokens)
        assert not [key for key, times in paid.items() if times > 1]

    def teardown(self):
        if not hasattr(self, "service"):
            return
        # The end of all mishaps: what was accepted is found, what was asked for is done.
        self.crash_at = None
        self.service.mishaps.clear()
        self.time.ahead += 1000
        resume(self.service, self.time, self.ledger)  # after which nothing is found cancelled
        for number, request in self.known.items():
            try:
                (result,) = run(
                    self.service, self.time, self.ledger, [request], [("run", number, 0)]
                )
                assert outcomes(result)[0] == number
            except AmbiguousSubmission:
                assert self.backend != "simulator"
        self.no_job_is_paid_twice()
        rows = self.ledger.submissions()
        tokens = {
            job["metadata"]["qstore_token"]
            for job in self.service.jobs.values()
            if job["status"] != "canceled"
        }
        done = {row.token for row in rows if row.state in (State.DONE, State.CONSUMED)}
        assert done <= tokens, "results without a job"
        lost = tokens - done - {row.token for row in rows if row.state is State.DUPLICATE}
        assert not lost, "a paid job whose results nobody has"
        self.ledger.close()
        self.folder.cleanup()


TestMishaps = Mishaps.TestCase
TestMishaps.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
