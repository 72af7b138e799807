"""Any sequence of devices, runs, threads, retries, kills and resumes keeps every budget."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from integration.test_ledger_machine import (
    SETTLE_S,
    Crash,
    Service,
    body_of,
    reply,
    request_for,
    resume,
)
from support.ionq_fixtures import FakeClock
from support.threads import in_threads

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.retry import ResponseLost, RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.call import begin_requests, run_requests
from pennylane_qstore.ionq.jobs.job_finder import JobFinder
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import Account, Ledger, State

QPU = "qpu.forte-1"
CIRCUIT_USD = 10.0
EVENTS = (
    *("intent", "submitted", "done", "billed", "failed", "consumed", "ambiguous", "claim"),
    *("expect duplicate", "no duplicate", "duplicate"),
)
POINTS = [f"{when}:{event}" for event in EVENTS for when in ("before", "after")]
LOSSES = st.sampled_from(
    ["unsent", "dropped", "accepted late", "accepted too late", "cut after", "502 after"]
)
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

    def answer_post(self, body, mishap):
        if mishap == "accepted too late":
            self.posts += 1
            self.accept(body, delay_s=1.5 * SETTLE_S)
            raise ResponseLost("cut, and accepted after the settle time")
        return super().answer_post(body, mishap)

    def billed_usd(self):
        return sum(self.price(job) for job in (*self.jobs.values(), *(j for _, j in self.late)))


class Budgets(RuleBasedStateMachine):
    """Devices 0 and 1; run ``r`` over both; a budget of the ledger; all may be set."""

    @initialize(
        own=st.tuples(BUDGETS, BUDGETS),
        run=BUDGETS,
        whole=BUDGETS,
        seed=st.integers(0, 9),
        on_ambiguous=st.sampled_from(["raise", "resubmit"]),
    )
    def start(self, own, run, whole, seed, on_ambiguous="raise"):
        self.on_ambiguous = on_ambiguous
        self.time = FakeClock(1_790_000_000.0)
        self.service = PaidService(self.time, seed)
        self.folder = tempfile.TemporaryDirectory()
        self.devices = [Account((f"device:{k}",), usd) for k, usd in enumerate(own)]
        self.run = Account(("run:r",), run)
        self.whole_usd = whole
        self.crash_at, self.steps, self.senders, self.ledgers = None, 0, {}, 0
        self.before_usd = dict.fromkeys((*self.devices, self.run), 0.0)
        self.open_ledger()

    def open_ledger(self):
        path = Path(self.folder.name) / f"ledger-{self.ledgers}"
        self.ledger = Ledger(
            path, budget_usd=self.whole_usd, now=self.time.now, observer=self.observe
        )

    def observe(self, point):
        if point == self.crash_at:
            self.crash_at = None
            raise Crash(point)

    def begin(self, device, in_run, circuits, step, price=None):
        self.senders[step] = device, in_run, circuits
        accounts = [self.devices[device], *([self.run] if in_run else [])]
        request = request_for(1 + 4 * (step % 50), circuits, QPU)
        price = CIRCUIT_USD * circuits if price is None else price
        url, key = self.service.endpoint.base_url, ("r", step, 0)
        return begin_requests(self.ledger, url, [request], [key], [price], accounts)

    def api(self):
        policy = RetryPolicy(settle_s=SETTLE_S, attempts=4)
        return Api(self.service, policy, self.time.clock(), random.Random(0))

    def finish(self, pending, retry_failed):
        api, accounts = self.api(), pending[0].accounts

        async def main():
            jobs = JobRunner(
                api, self.ledger, Poller(api), on_ambiguous=self.on_ambiguous, accounts=accounts,
                retry_failed=retry_failed,
            )  # fmt: skip
            return await run_requests(jobs, pending)

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

        in_threads(work, steps)
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
        self.time.ahead += 600
        self.open_ledger()

    @rule(what=LOSSES, times=st.integers(1, 2))
    def an_answer_is_lost(self, what, times):
        self.service.mishaps += [("POST", what)] * times

    @rule(device=st.integers(0, 1), what=LOSSES, times=st.integers(1, 3))
    def a_device_sends_and_loses_answers(self, device, what, times):
        self.service.mishaps[:] = [("POST", what)] * times
        self.a_device_sends(device, True, 1)

    @rule(device=st.integers(0, 1), price=st.sampled_from([-1000.0, float("nan"), float("-inf")]))
    def the_service_names_an_absurd_price(self, device, price):
        before = self.ledger.spent_usd()
        with pytest.raises(ConfigurationError, match="estimates"):
            self.begin(device, True, 1, self.steps + 1, price)
        assert self.ledger.spent_usd() == before

    @precondition(lambda self: self.whole_usd is None)
    @rule()
    def a_checkpoint_goes_on_without_its_ledger(self):
        spent_usd = {a: self.ledger.account_usd(a.names) for a in self.before_usd}
        self.ledger.close()
        self.crash_at, self.senders = None, {}
        self.ledgers += 1
        self.open_ledger()
        self.before_usd = spent_usd
        for account, usd in spent_usd.items():
            self.ledger.open_account(account.names[0], usd)

    @rule()
    def somebody_looks_for_duplicates(self):
        finder = JobFinder(self.api(), self.ledger)
        try:
            for row in self.ledger.with_expected_duplicates():
                if row.job_id is not None:
                    asyncio.run(finder.cancel_duplicates(row, row.job_id, Traffic()))
        except Crash:
            self.kill()

    @rule()
    def somebody_resumes(self):
        try:
            resume(self.service, self.time, self.ledger)
        except Crash:
            self.kill()

    def rows_of(self, account):
        for row in self.ledger.submissions():
            if row.state is not State.REJECTED:
                first = row if row.key else self.ledger.get(int(row.failure.split()[-1]))
                device, in_run, _ = self.senders[first.key.step]
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
            own_usd = sum(self.cost_usd(row) for row in self.rows_of(account))
            assert spent_usd == self.before_usd[account] + own_usd
            assert account.budget_usd is None or spent_usd <= account.budget_usd
        reserved_usd = self.ledger.spent_usd()
        known_usd = reserved_usd + sum(self.before_usd[device] for device in self.devices)
        assert self.service.billed_usd() <= known_usd, "the ledger knows of all that is paid"
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


@pytest.mark.parametrize(("budget_usd", "posts"), [(15.0, 1), (25.0, 2)])
def test_a_second_post_is_sent_only_where_the_budget_holds_both_jobs(budget_usd, posts):
    machine = Budgets()
    machine.start((budget_usd, None), None, None, 0, "resubmit")
    machine.service.mishaps = [("POST", "accepted too late")]
    pending = machine.begin(0, False, 1, 1)
    machine.finish(pending, True)
    assert machine.service.posts == posts
    assert machine.ledger.account_usd(["device:0"]) == 10.0 * posts
    machine.time.ahead += 2 * SETTLE_S
    machine.somebody_looks_for_duplicates()
    assert [row.job_id is None for row in machine.ledger.submissions()] == [posts == 1] * posts
    machine.bills_and_reservations_are_within_every_budget()
    machine.teardown()
