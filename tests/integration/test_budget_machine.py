"""Any sequence of devices, runs, threads, retries, kills and resumes keeps every budget."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import threading
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from integration.test_ledger_machine import (
    SETTLE_S,
    Crash,
    Service,
    Time,
    body_of,
    reply,
    request_for,
    resume,
)

from pennylane_qstore.errors import BudgetExceeded, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.jobs.call import begin_requests, run_requests
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.ionq.jobs.request_runner import RequestRunner
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.jobs.submitter import Submitter
from pennylane_qstore.ionq.ledger.ledger import Account, Ledger, State

QPU = "qpu.forte-1"
CIRCUIT_USD = 10.0
EVENTS = ("intent", "submitted", "done", "billed", "failed", "consumed", "ambiguous", "claim")
POINTS = [f"{when}:{event}" for event in EVENTS for when in ("before", "after")]
BUDGETS = st.sampled_from([15.0, 25.0, 40.0, 75.0, None])


class PaidService(Service):
    """Every circuit of a job is paid, also one that fails."""

    def answer(self, method, path, body, mishap):
        if method == "GET" and path.endswith("/cost") and mishap is None:
            job = self.jobs[path.split("/")[2]]
            return reply({"cost": {"value": self.price(job), "unit": "usd"}})
        return super().answer(method, path, body, mishap)

    def price(self, job):
        return CIRCUIT_USD * len(job["children"])

    def billed_usd(self):
        return sum(self.price(job) for job in (*self.jobs.values(), *(j for _, j in self.late)))


class Budgets(RuleBasedStateMachine):
    """Devices 0 and 1; run ``r`` over both; a budget of the ledger; all may be set."""

    @initialize(own=st.tuples(BUDGETS, BUDGETS), run=BUDGETS, whole=BUDGETS, seed=st.integers(0, 9))
    def start(self, own, run, whole, seed):
        self.time = Time()
        self.service = PaidService(self.time, seed)
        self.folder = tempfile.TemporaryDirectory()
        self.devices = [Account((f"device:{k}",), usd) for k, usd in enumerate(own)]
        self.run = Account(("run:r",), run)
        self.whole_usd = whole
        self.crash_at, self.steps, self.senders = None, 0, {}
        self.open_ledger()

    def open_ledger(self):
        path = Path(self.folder.name) / "ledger"
        self.ledger = Ledger(
            path, budget_usd=self.whole_usd, now=lambda: self.time.t, observer=self.observe
        )

    def observe(self, point):
        if point == self.crash_at:
            self.crash_at = None
            raise Crash(point)

    def begin(self, device, in_run, circuits, step):
        self.senders[step] = device, in_run, circuits
        accounts = [self.devices[device], *([self.run] if in_run else [])]
        request = request_for(1 + 4 * (step % 50), circuits, QPU)
        url, price = self.service.endpoint.base_url, CIRCUIT_USD * circuits
        return begin_requests(self.ledger, url, [request], [("r", step, 0)], [price], accounts)

    def finish(self, pending, retry_failed):
        policy = RetryPolicy(settle_s=SETTLE_S, attempts=4)
        api = Api(self.service, policy, self.time.clock(), random.Random(0))

        async def main():
            jobs = JobRunner(Submitter(api, self.ledger), Poller(api))
            return await run_requests(RequestRunner(jobs, retry_failed=retry_failed), pending)

        for end in asyncio.run(main()):
            if isinstance(end, BaseException) and not isinstance(end, QStoreError):
                raise end

    def send(self, device, in_run, circuits, step, retry_failed=True):
        try:
            self.finish(self.begin(device, in_run, circuits, step), retry_failed)
        except BudgetExceeded:
            pass
        except Crash:
            self.kill()

    @rule(device=st.integers(0, 1), in_run=st.booleans(), circuits=st.integers(1, 3))
    def a_device_sends(self, device, in_run, circuits):
        self.steps += 1
        self.send(device, in_run, circuits, self.steps)

    @rule(device=st.integers(0, 1), in_run=st.booleans(), retry=st.booleans())
    def a_job_fails(self, device, in_run, retry):
        self.steps += 1
        self.service.child_failures = {body_of(1 + 4 * (self.steps % 50)): 1}
        self.send(device, in_run, 1, self.steps, retry)
        self.service.child_failures = {}

    @rule(back=st.integers(0, 3))
    def an_earlier_step_again(self, back):
        if self.steps - back in self.senders:
            self.send(*self.senders[self.steps - back], self.steps - back)

    @rule(device=st.integers(0, 1), in_run=st.booleans(), threads=st.integers(2, 6))
    def threads_send(self, device, in_run, threads):
        begun, crash_at = [], self.crash_at
        self.crash_at = None
        steps = range(self.steps + 1, self.steps + 1 + threads)
        self.steps += threads

        def work(step):
            with contextlib.suppress(BudgetExceeded):
                begun.append(self.begin(device, in_run, 1, step))

        workers = [threading.Thread(target=work, args=(step,)) for step in steps]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.crash_at = crash_at
        for pending in begun:
            try:
                self.finish(pending, True)
            except Crash:
                self.kill()
                break

    @rule(point=st.sampled_from(POINTS))
    def a_kill_is_near(self, point):
        self.crash_at = point

    @rule()
    def kill(self):
        self.ledger.close()
        self.crash_at = None
        self.time.t += 600
        self.open_ledger()

    @rule(what=st.sampled_from(["unsent", "dropped", "accepted late", "cut after", "502 after"]))
    def an_answer_is_lost(self, what):
        self.service.mishaps.append(("POST", what))

    @rule()
    def somebody_resumes(self):
        try:
            resume(self.service, self.time, self.ledger)
        except Crash:
            self.kill()

    def rows_of(self, account):
        for row in self.ledger.submissions():
            if row.key is not None and row.state is not State.REJECTED:
                device, in_run, _ = self.senders[row.key.step]
                if account is self.devices[device] or (in_run and account is self.run):
                    yield row

    def cost_usd(self, row):
        return row.estimated_usd if row.billed_usd is None else row.billed_usd

    @invariant()
    def bills_and_reservations_are_within_every_budget(self):
        if not hasattr(self, "ledger"):
            return
        for account in (*self.devices, self.run):
            spent_usd = self.ledger.account_usd(account.names)
            assert spent_usd == sum(self.cost_usd(row) for row in self.rows_of(account))
            assert account.budget_usd is None or spent_usd <= account.budget_usd
        reserved_usd = self.ledger.spent_usd()
        assert self.service.billed_usd() <= reserved_usd, "the ledger knows of all that is paid"
        if self.whole_usd is not None:
            assert reserved_usd <= self.whole_usd

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()


TestBudgets = Budgets.TestCase
TestBudgets.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_a_failure_that_the_budget_does_not_hold_twice_is_told():
    machine = Budgets()
    machine.start((15.0, None), None, None, 0)
    machine.service.child_failures = {body_of(5): 1}
    pending = machine.begin(0, False, 1, 1)
    machine.finish(pending, True)
    assert machine.service.posts == 1
    assert machine.ledger.account_usd(["device:0"]) == 10.0
    machine.teardown()
