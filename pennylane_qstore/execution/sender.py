"""The way to the service: the client, the run that jobs belong to, what they cost."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.batch_numbers import BatchNumbers
from pennylane_qstore.execution.budget import agreed_prices
from pennylane_qstore.execution.partial_results import count_failed
from pennylane_qstore.execution.progress import progress_of
from pennylane_qstore.execution.run_scope import RunScope
from pennylane_qstore.execution.stats import BatchMeter, Stats
from pennylane_qstore.ionq.ledger.ledger import Account, Ledger, part_of, run_account
from pennylane_qstore.ionq.ledger.rows import OPEN_STATES, JobKey, State

if TYPE_CHECKING:
    from pennylane_qstore.execution.options import Options
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.messages.job_request import JobRequest

logger = logging.getLogger(__name__)

_EMULATOR_KEY = "emulator"
_DEFAULT_MAX_WAIT_S = 120.0

_in_memory: WeakValueDictionary[str, Ledger] = WeakValueDictionary()
"""Ledgers of devices on paid backends that have none in a file, by the device's account."""

Keys = list[tuple[str, int, int]]


class Sender:
    """Send jobs by the client, within the budget.

    Args:
        options: of the device.
        stats: the device's tally, which knows what was spent.
    """

    def __init__(self, options: Options, stats: Stats) -> None:
        self.options = options
        self.scope = RunScope(options.run, "", None, options.progress)
        self._run_account: Account | None = None  # of the run that the device is lent to
        self.is_copy = False
        """True for a device that was copied from another one, perhaps in another process."""
        self._process = os.getpid()
        self._numbers = BatchNumbers()
        self._stats = stats
        self._client: IonQClient | None = None

    @property
    def batch(self) -> int:
        """Number of the run's next batch."""
        return self._numbers.next

    @batch.setter
    def batch(self, number: int) -> None:
        self._numbers.restart(number)

    def give_back(self, meter: BatchMeter) -> None:
        """Let a batch that failed be the same one when it is executed again.

        The ledger knows it by its number and its content.

        Args:
            meter: of the batch; jobs that were sent one by one have numbers of their own.
        """
        numbers = [*meter.numbers, *([] if meter.number is None else [meter.number])]
        meter.number, meter.numbers = None, []
        if self._numbers_are_claimed:
            run, start = self._run_name(), self.options.accounts[0]
            self.client.ledger.release_batches(run, start, numbers)
        else:
            self._numbers.give_back(numbers)

    @property
    def emulator(self) -> Any:
        """The emulator behind the device, started when first asked for; None for a service."""
        if not self.options.is_emulated:
            return None
        from pennylane_qstore.emulator import Emulator, embedded

        if isinstance(self.options.emulator, Emulator):
            return self.options.emulator
        return embedded(**(self.options.emulator or {}))

    @property
    def spent_usd(self) -> float:
        """Billed, or else estimated: by this device and its copies, or by all starts of its run."""
        if not self._is_paid_backend:
            return self._stats.spent_usd
        return self.client.ledger.account_usd(self.options.accounts)

    @property
    def left_usd(self) -> float | None:
        """Rest of the device's own budget, or else of the run's that it is lent to, or None."""
        if self.options.budget_usd is not None:
            return float(self.options.budget_usd) - self.spent_usd
        if self.scope.budget_usd is None:
            return None
        return float(self.scope.budget_usd) - self._spent_usd(self._run_account)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Accounts that the device's jobs are charged to; none where jobs are free."""
        if not self._is_paid_backend:
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
        if not self._is_paid_backend or account in options.accounts:
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
        paid = [sender for sender in (self, *sharing) if sender._is_paid_backend]
        if not paid:
            return 0.0
        return paid[0]._spent_usd(paid[0]._account_of(run, None, paid))

    @property
    def client(self) -> IonQClient:
        """The client, made when first asked for."""
        if self._client is None:
            from pennylane_qstore.ionq.client import IonQClient

            options, emulator = self.options, self.emulator
            client = IonQClient(
                api_key=_EMULATOR_KEY if emulator is not None else options.api_key,
                base_url=emulator.url if emulator is not None else options.base_url,
                pool_size=options.pool_size,
                ledger=self._ledger(),
                on_ambiguous=options.on_ambiguous,
                retry_failed=options.retry_failed,
                retry_policy=options.retry_policy,
                ca_bundle=options.ca_bundle,
                proxy=options.proxy,
            )
            if options.ledger is None and client.ledger.path is None and self._is_paid_backend:
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
        if scope.run is not None and self._is_paid_backend:
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
        self, requests: Sequence[JobRequest], meter: BatchMeter, first_chunk: int = 0
    ) -> list[JobResult]:
        """Send jobs and wait for their results.

        Args:
            requests: the jobs.
            meter: counts what they cost.
            first_chunk: number of the first one in a named run's ledger.

        Returns:
            One result per job.

        Raises:
            BudgetExceeded: they would cost more than is left. Nothing was sent.
            QStoreError: see :meth:`IonQClient.run`.
        """
        options = self.options
        keys = self._keys(requests, meter, first_chunk)
        estimates = self._estimates(requests, keys)
        max_wait = options.max_wait
        if max_wait is None and not options.target.backend.is_qpu:
            max_wait = _DEFAULT_MAX_WAIT_S
        try:
            with progress_of(self.scope.progress) as progress:
                jobs = self.client.run(
                    requests,
                    max_wait=max_wait,
                    progress=progress,
                    keys=keys,
                    estimates=estimates,
                    accounts=self.accounts,
                )
        except QStoreError as error:
            count_failed(meter, error, requests, estimates)
            raise
        except BaseException:  # an interrupt: what may have been sent may be billed
            meter.spent_usd += sum(estimate or 0.0 for estimate in estimates)
            raise
        if meter.number is not None:
            meter.numbers.append(meter.number)
            meter.number = None
        for job, request, estimate in zip(jobs, requests, estimates, strict=True):
            meter.count(job, request, estimate)
        return list(jobs)

    def client_stats(self) -> Mapping[str, Any]:
        """The client's figures; empty before it is made."""
        return {} if self._client is None else self._client.get_stats()

    def reported_queue_s(self) -> float | None:
        """Return the service's own figure of the wait for the backend, in seconds, or None."""
        try:
            backends = self.client.backends()
        except QStoreError as error:  # without it, the queue is not known yet: no reason to stop
            logger.info("The backend's queue time could not be read: %s", error)
            return None
        name = self.options.target.backend.name
        wait_ms = next(
            (b.get("average_queue_time") for b in backends if b.get("backend") == name), 0
        )
        return wait_ms / 1e3 if isinstance(wait_ms, int | float) else None

    def _ledger(self) -> Any:
        """Return the ledger to keep jobs in; None leaves it to the client."""
        options = self.options
        if options.ledger is None and options.run is not None and not options.is_emulated:
            # A run that is to be found again needs a file, also for a service on this machine.
            from pennylane_qstore.ionq.ledger.database import default_path

            return default_path()
        return options.ledger

    @property
    def _is_paid_backend(self) -> bool:
        return self.options.target.backend.is_qpu

    def _account_of(self, run: str, budget_usd: float | None, sharing: Sequence[Sender]) -> Account:
        """Return the account of a run whose devices may have ledgers of their own."""
        mine = self.client.ledger
        ledgers = [sender.client.ledger for sender in sharing if sender._is_paid_backend]
        others = {ledger.path or id(ledger): ledger for ledger in ledgers}
        others.pop(mine.path or id(mine), None)
        return Account((run_account(run),), budget_usd, tuple(others.values()))

    def _spent_usd(self, account: Account | None) -> float:
        if account is None:
            return 0.0
        ledgers = (self.client.ledger, *account.elsewhere)
        return float(sum(ledger.account_usd(account.names) for ledger in ledgers))

    def _estimates(self, requests: Sequence[JobRequest], keys: Keys | None) -> list[float | None]:
        """Return prices of what is not paid yet, within the budget and confirmed."""
        if not self.options.target.backend.is_qpu:
            return [0.0] * len(requests)
        new = [i for i in range(len(requests)) if keys is None or not self._is_paid(keys[i])]
        estimates: list[float | None] = [None] * len(requests)
        if not new:
            return estimates
        fresh = [requests[i] for i in new]
        budgets = [a for a in self.accounts if a.budget_usd is not None]
        rests = {(a.budget_usd or 0.0) - self._spent_usd(a): a.budget_usd for a in budgets}
        left_usd = min(rests, default=None)
        budget_usd = None if left_usd is None else rests[left_usd]
        must_know = self.client.ledger.budget_usd is not None
        prices = agreed_prices(
            self.client, fresh, self.options, budget_usd, left_usd, must_know=must_know
        )
        for i, price in zip(new, prices, strict=True):
            estimates[i] = price
        return estimates

    def _is_paid(self, key: tuple[str, int, int]) -> bool:
        """Tell whether the ledger has a job under this key, which is adopted."""
        paid = (*OPEN_STATES, State.DONE, State.CONSUMED)
        return any(row.state in paid for row in self.client.ledger.history(JobKey(*key)))

    def _keys(self, requests: Sequence[JobRequest], meter: BatchMeter, first: int) -> Keys | None:
        """Return the names by which a restarted run finds its jobs: run, batch, job in it."""
        run = self._run_name()
        chunks = range(first, first + len(requests))
        if meter.number is None:  # else a part of the batch was refused, and goes in other jobs
            if self._numbers_are_claimed:
                payloads = [(c, r.payload_sha256) for c, r in zip(chunks, requests, strict=True)]
                start = self.options.accounts[0]
                meter.number = self.client.ledger.claim_batch(run, start, payloads)
            else:
                meter.number = self._numbers.take()
        return None if self.scope.run is None else [(run, meter.number, c) for c in chunks]

    @property
    def _numbers_are_claimed(self) -> bool:
        """True for a copy in a run: its batches are numbered by the ledger, which all copies share.

        Which copy sends what may differ from start to start; so a batch is known by its content.
        """
        is_copy = self.is_copy or self._process != os.getpid()
        return is_copy and self.scope.run is not None

    def _run_name(self) -> str:
        """Return the run's name in keys; copies have a part of their own."""
        scope = self.scope
        if not self._numbers_are_claimed:
            return part_of(scope.run or "", scope.part)
        return part_of(scope.run or "", f"{scope.part}.copies" if scope.part else "copies")
