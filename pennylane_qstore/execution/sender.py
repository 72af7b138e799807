"""The way to the service: the client, the run that jobs belong to, what they cost."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from pennylane_qstore.deferral.tasks import park_jobs
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.budget import agreed_prices
from pennylane_qstore.execution.job_call import JobCall
from pennylane_qstore.execution.partial_results import count_failed
from pennylane_qstore.execution.run_scope import BatchNumbers, RunScope
from pennylane_qstore.execution.stats import BatchMeter, Stats
from pennylane_qstore.ionq.ledger.database import default_path
from pennylane_qstore.ionq.ledger.ledger import Account, Ledger, part_of, run_account
from pennylane_qstore.ionq.ledger.rows import OPEN_STATES, JobKey, State
from pennylane_qstore.ionq.progress import progress_of

if TYPE_CHECKING:
    from pennylane_qstore.execution.options import Options
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.messages.job_request import JobRequest

_EMULATOR_KEY = "emulator"
_DEFAULT_MAX_WAIT_S = 120.0

_in_memory: WeakValueDictionary[str, Ledger] = WeakValueDictionary()
"""Ledgers of devices on paid backends that have none in a file, by the device's account."""


class Sender:
    """Send jobs by the client, within the budget.

    Args:
        options: of the device.
        stats: the device's tally, which knows what was spent.
    """

    def __init__(self, options: Options, stats: Stats) -> None:
        self.options = options
        self.scope = RunScope(options.run, progress=options.progress, repeats=bool(options.run))
        self._run_account: Account | None = None  # of the run that the device is lent to
        self.is_copy = False  # of another device, perhaps in another process
        self._process = os.getpid()
        self.numbers = BatchNumbers()  # of the run's batches
        self.engines: Counter[str] = Counter()  # circuits, by what simulated them in this process
        self._stats = stats
        self._client: IonQClient | None = None

    def give_back(self, meter: BatchMeter) -> None:
        """Let a batch that failed be the same one when it is executed again.

        The ledger knows it by its number and its content.

        Args:
            meter: of the batch; jobs that were sent one by one have numbers of their own.
        """
        run = self._run_name()
        numbers = [n for n in (*meter.numbers, meter.number) if n is not None]
        meter.number, meter.numbers = None, []
        if self._numbers_are_claimed or self.numbers.are_by_content(run):
            self.client.ledger.release_batches(run, self.options.accounts[0], numbers)
        else:
            self.numbers.give_back(numbers)

    @property
    def emulator(self) -> Any:
        """The emulator behind the device, started when first asked for; None for a service."""
        if not self.options.is_emulated:
            return None
        from pennylane_qstore.emulator import Emulator, embedded

        if isinstance(self.options.emulator, Emulator):
            return self.options.emulator
        return embedded(**(self.options.emulator or {}))

    @cached_property
    def waits(self) -> bool:
        """True where jobs wait or cost: on computers, and emulators that imitate their times."""
        emulator = self.emulator
        return self.is_paid or not (emulator is None or emulator.service.profile.instant)

    @property
    def spent_usd(self) -> float:
        """Billed, or else estimated: by this device and its copies, or by all starts of its run."""
        if not self.is_paid:
            return self._stats.spent_usd
        return self.client.ledger.account_usd(self.options.accounts)

    @property
    def left_usd(self) -> float | None:
        """Least rest of the budgets of the device, its run and its ledger; None without any."""
        rests = []
        if self.options.budget_usd is not None:
            rests.append(float(self.options.budget_usd) - self.spent_usd)
        if self.scope.budget_usd is not None:
            rests.append(float(self.scope.budget_usd) - self._spent_usd(self._run_account))
        if self.is_paid and (whole_usd := self.client.ledger.budget_usd) is not None:
            rests.append(whole_usd - self.client.ledger.spent_usd())
        return min(rests, default=None)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Accounts that the device's jobs are charged to; none where jobs are free."""
        if not self.is_paid:
            return ()
        options = self.options
        own = Account(options.accounts, options.budget_usd, process=options.process)
        return (own,) if self._run_account is None else (own, self._run_account)

    def go_on(self, account: str | None, spent_usd: float) -> None:
        """Go on with an account, perhaps of another process.

        Args:
            account: its name; None for the device's own.
            spent_usd: what it had spent, in US dollars, for a ledger that does not know it.
        """
        options = self.options
        if not self.is_paid or account in options.accounts:
            return
        if account is not None:
            options.accounts = (*options.accounts, account)
        self.client.ledger.open_account(options.accounts[-1], spent_usd)

    def run_usd(self, run: str, sharing: Sequence[Sender] = ()) -> float:
        """Return what a run has spent, in US dollars.

        Args:
            run: its name.
            sharing: the senders of all its devices.

        Returns:
            The spending; 0 where jobs are free.
        """
        paid = [sender for sender in (self, *sharing) if sender.is_paid]
        if not paid:
            return 0.0
        return paid[0]._spent_usd(paid[0]._account_of(run, None, paid))

    @property
    def client(self) -> IonQClient:
        """The client, made when first asked for."""
        if self._client is None:
            from pennylane_qstore.ionq.client import IonQClient

            options, emulator = self.options, self.emulator
            local = {} if emulator is None else {"api_key": _EMULATOR_KEY, "base_url": emulator.url}
            client = IonQClient(
                **{**options.connection, **local},
                ledger=self._ledger(),
                on_ambiguous=options.on_ambiguous,
                retry_failed=options.retry_failed,
            )
            if options.ledger is None and client.ledger.path is None and self.is_paid:
                # Copies of a device share its budget: those in this process also in memory.
                client.ledger = _in_memory.setdefault(options.accounts[0], client.ledger)
            self._client = client
        return self._client

    @contextmanager
    def in_run(
        self, scope: RunScope, sharing: Sequence[Sender] = (), spent_usd: float = 0.0
    ) -> Iterator[None]:
        """Send the jobs inside as part of a run.

        What the device was told itself (``run=``, ``budget_usd=``, ``progress=``) stays, and the
        run's budget applies as well. A device whose ledger ends with the process has no jobs to
        find again and takes no run's name.

        Args:
            scope: the run.
            sharing: the senders of all its devices, which share its budget.
            spent_usd: what it had spent, in US dollars, for a ledger that does not know it.

        Yields:
            None.
        """
        own, account = self.scope, None
        if scope.run is not None and self.is_paid:
            account = self._account_of(scope.account or scope.run, scope.budget_usd, sharing)
            self.client.ledger.open_account(account.names[0], spent_usd)
        if own.run is not None or self.client.ledger.path is None:
            scope = replace(scope, run=own.run)
        if own.progress is not None:
            scope = replace(scope, progress=own.progress)
        self.scope, before = scope, self._run_account
        self._run_account = account
        try:
            yield
        finally:
            self.scope, self._run_account = own, before

    def send(
        self,
        requests: Sequence[JobRequest],
        meter: BatchMeter,
        first_chunk: int = 0,
        *,
        wait: bool = True,
    ) -> list[JobResult]:
        """Send jobs and wait for their results.

        Args:
            requests: the jobs.
            meter: counts what they cost.
            first_chunk: number of the first one in a named run's ledger.
            wait: False returns when they are created; each has a key in the ledger.

        Returns:
            One result per job.

        Raises:
            BudgetExceeded: they would cost more than is left. Nothing was sent.
            QStoreError: see :meth:`IonQClient.run`.
        """
        call = JobCall(self, requests, self._keys(requests, meter, first_chunk, wait))
        try:
            if not wait or not park_jobs(call):
                call.estimates = self._estimates(call)
                with progress_of(self.scope.progress) as progress:
                    call.results[:] = self.client.run(
                        requests,
                        max_wait=self.max_wait_s,
                        progress=progress,
                        keys=call.keys,
                        estimates=call.estimates,
                        accounts=self.accounts,
                        wait=wait,
                    )
            jobs = call.result()
        except QStoreError as error:
            count_failed(meter, error, requests, call.estimates)
            raise
        except BaseException:  # an interrupt: what may have been sent may be billed
            meter.spent_usd += sum(estimate or 0.0 for estimate in call.estimates)
            raise
        if meter.number is not None:
            meter.numbers.append(meter.number)
            meter.number = None
        for job, request, estimate in zip(jobs, requests, call.estimates, strict=True):
            meter.count(job, request, estimate)
        if wait and (emulator := self.emulator) is not None:
            self.engines += emulator.service.engines((job.job_ids, job.own) for job in jobs)
        return jobs

    @property
    def max_wait_s(self) -> float | None:
        """Longest wait for a job, in seconds; None for ever."""
        return self.options.max_wait or (None if self.is_paid else _DEFAULT_MAX_WAIT_S)

    def rests(self) -> list[tuple[float, float]]:
        """Return each budget that applies and its rest, in US dollars."""
        budgets = [(a, a.budget_usd) for a in self.accounts if a.budget_usd is not None]
        return [(usd, usd - self._spent_usd(account)) for account, usd in budgets]

    def client_stats(self) -> Mapping[str, Any]:
        """The client's figures; empty before it is made."""
        return {} if self._client is None else self._client.get_stats()

    def reported_queue_s(self) -> float | None:
        """Return the service's own figure of the wait for the backend, in seconds, or None."""
        return self.client.average_queue_s(self.options.target.backend.name)

    def _ledger(self) -> Any:
        """Return the ledger to keep jobs in; None leaves it to the client."""
        options = self.options
        if options.ledger is None and options.run is not None and not options.is_emulated:
            # A run that is to be found again needs a file, also for a service on this machine.
            return default_path()
        return options.ledger

    @property
    def is_paid(self) -> bool:
        """True where jobs cost money."""
        return self.options.target.backend.is_qpu

    def _account_of(self, run: str, budget_usd: float | None, sharing: Sequence[Sender]) -> Account:
        """Return the account of a run whose devices may have ledgers of their own."""
        mine = self.client.ledger
        ledgers = [sender.client.ledger for sender in sharing if sender.is_paid]
        others = {ledger.path or id(ledger): ledger for ledger in ledgers}
        others.pop(mine.path or id(mine), None)
        return Account((run_account(run),), budget_usd, tuple(others.values()))

    def _spent_usd(self, account: Account | None) -> float:
        if account is None:
            return 0.0
        ledgers = (self.client.ledger, *account.elsewhere)
        return float(sum(ledger.account_usd(account.names) for ledger in ledgers))

    def _estimates(self, call: JobCall) -> list[float | None]:
        """Return prices of what is not paid yet, within the budget and confirmed."""
        requests, keys = call.requests, call.keys
        if not self.is_paid:
            return [0.0] * len(requests)
        new = {i: r for i, r in enumerate(requests) if keys is None or not self._is_paid(keys[i])}
        if not new:
            return [None] * len(requests)
        rest = min(self.rests(), key=lambda rest: rest[1], default=(None, None))
        must_know = self.client.ledger.budget_usd is not None
        fresh = list(new.values())
        prices = agreed_prices(self.client, fresh, self.options, *rest, must_know=must_know)
        known = dict(zip(new, prices, strict=True))
        return [known.get(i) for i in range(len(requests))]

    def _is_paid(self, key: JobKey) -> bool:
        """Tell whether the ledger has a job under this key, which is adopted."""
        paid = (*OPEN_STATES, State.DONE, State.CONSUMED)
        return any(row.state in paid for row in self.client.ledger.history(key))

    def _keys(
        self, requests: Sequence[JobRequest], meter: BatchMeter, first: int, wait: bool
    ) -> list[JobKey] | None:
        """Return the names by which a restarted run finds its jobs: run, batch, job in it."""
        if self.scope.run is None:
            meter.number = self.numbers.take() if meter.number is None else meter.number
            name = "" if wait else f"submit-{secrets.token_hex(8)}"
            return [JobKey(name, 0, first + i) for i in range(len(requests))] if name else None
        run, jobs = self._run_name(), dict(enumerate(requests, first))
        if meter.number is None:  # else a part of the batch was refused, and goes in other jobs
            ledger, start = self.client.ledger, self.options.accounts[0]
            claimed = self._numbers_are_claimed
            meter.number = self.numbers.take_in(ledger, run, start, jobs, by_content=claimed)
        return [JobKey(run, meter.number, chunk) for chunk in jobs]

    @property
    def _numbers_are_claimed(self) -> bool:
        """True for a copy in a run: its batches are numbered by the ledger, which all copies share.

        Which copy sends what may differ from start to start; so a batch is known by its content.
        """
        return self.scope.run is not None and (self.is_copy or self._process != os.getpid())

    def _run_name(self) -> str:
        """Return the run's name in keys; copies have a part of their own."""
        part = self.scope.part
        if self._numbers_are_claimed:
            part = f"{part}.copies" if part else "copies"
        return part_of(self.scope.run or "", part)
