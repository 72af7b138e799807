"""Polling: when to look whether a job is done, and many jobs looked at in one request."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pennylane_qstore.errors import InvalidResponse, JobTimeout, ServiceError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.messages.responses import JobState

logger = logging.getLogger(__name__)

MIN_DELAY_S = 0.1
"""Shortest delay between looks at a distant service."""
MAX_DELAY_S = 15.0
"""Longest delay by the 10 % rule."""
MAX_PREDICTED_S = 60.0
"""Longest sleep on the strength of a prediction: queues also get shorter."""

_FRACTION = 0.1  # of the time elapsed: the result is never more than 10 % late
_JITTER = 0.1
_NEAR_S = 0.01  # a service on the same machine answers in a millisecond, on a busy one in some
_NEAR_DELAY_S = 0.003
_SOON_S = 1.0  # jobs next door that take less are looked for at once: it costs a millisecond
_GROWTH = 1.4  # from the round trip time up to MIN_DELAY_S
_EARLY, _LATE, _FINE = 0.98, 1.15, 0.022  # of the duration seen last; two looks end just behind it
_GROUP = 25  # jobs per request
_TOGETHER = 0.25  # of its delay by which a job may be looked at early, with others
_REMEMBERED = 256


class JobKind(NamedTuple):
    """Properties of a job that decide how long it takes, about."""

    backend: str
    circuits: int
    shots: int


class Durations:
    """Durations of jobs by their kind, in seconds, as far as remembered."""

    def __init__(self) -> None:
        self._seen: OrderedDict[JobKind, deque[float]] = OrderedDict()

    def remember(self, kind: JobKind, seconds: float) -> None:
        """Remember a duration.

        Args:
            kind: of the job.
            seconds: from its submission to its end.
        """
        self._seen.setdefault(kind, deque(maxlen=5)).append(seconds)
        self._seen.move_to_end(kind)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def expect(self, kind: JobKind) -> float | None:
        """Return the lower median of the last five durations; ``None`` where there is none.

        One slow job does not delay the next.
        """
        seen = self._seen.get(kind)
        return sorted(seen)[(len(seen) - 1) // 2] if seen else None


def next_delay_s(
    *,
    elapsed_s: float,
    polls: int,
    round_trip_s: float,
    predicted_s: float | None,
    expected_s: float | None,
    rng: random.Random,
) -> float:
    """Return the seconds until the next look at a job.

    Args:
        elapsed_s: since the job was submitted.
        polls: looks so far.
        round_trip_s: how long the last request took: a near service is asked sooner.
        predicted_s: time in the queue still, as the service predicts it.
        expected_s: how long a job of this kind took before.
        rng: for jitter.

    Returns:
        The predicted wait first; then 10 % of the time elapsed, between 0.1 s (less on the
        same machine, growing from its round trip) and 15 s, with 10 % jitter. Where the
        duration is known from before, it is slept through, and looks are close around it.
        A service on the same machine is asked at once unless that takes long: it may have
        done the job before it answered the POST.
    """
    if predicted_s is not None and predicted_s > MIN_DELAY_S:
        return min(predicted_s, MAX_PREDICTED_S)
    if not polls and round_trip_s < _NEAR_S and (expected_s or 0.0) < _SOON_S:
        return 0.0
    floor = min(max(2 * round_trip_s, _NEAR_DELAY_S), MIN_DELAY_S)
    if expected_s is not None and expected_s <= MAX_PREDICTED_S:
        ahead = _EARLY * expected_s - elapsed_s
        if ahead > floor:
            return ahead
        if elapsed_s < _LATE * expected_s:
            return max(floor, _FINE * expected_s)
    ramp = min(floor * _GROWTH ** min(polls, 60), MIN_DELAY_S)
    delay = min(max(ramp, _FRACTION * elapsed_s), MAX_DELAY_S)
    return delay * (1 + _JITTER * (2 * rng.random() - 1))


@dataclass(eq=False, slots=True)
class Watch:
    """A job that somebody waits for. Times are monotonic seconds."""

    job_id: str
    kind: JobKind
    since: float
    deadline: float
    traffic: Traffic
    report: Callable[[JobState], None]
    done: asyncio.Future[None]
    due: float = 0.0
    delay_s: float = 0.0
    polls: int = 0
    asking: bool = False
    last: JobState | None = None
    running_since: float | None = None
    unknown_since: float | None = None
    max_delay_s: float = math.inf


class Poller:
    """Watches every job in flight on one service. Runs on the loop.

    Args:
        api: the service.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._durations = Durations()
        self._watches: set[Watch] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._group_size = _GROUP
        self._round_trips: deque[float] = deque(maxlen=8)
        self._first_round_trip_s = 0.0 if api.transport.endpoint.is_loopback else MIN_DELAY_S

    async def wait(
        self,
        job_id: str,
        kind: JobKind,
        traffic: Traffic,
        *,
        since: float,
        max_wait_s: float | None,
        report: Callable[[JobState], None],
        max_delay_s: float | None = None,
    ) -> Watch:
        """Wait until a job ends.

        Args:
            job_id: which.
            kind: for the duration to expect.
            traffic: counters.
            since: monotonic time of the submission.
            max_wait_s: longest wait from now, ``None`` for ever.
            report: told every state that is read.
            max_delay_s: never let more time than this pass between looks.

        Returns:
            What was seen of the job; ``last`` is its terminal state.

        Raises:
            JobTimeout: the job has not ended in time; it goes on at the service.
        """
        now = self._api.clock.monotonic()
        deadline = math.inf if max_wait_s is None else now + max_wait_s
        watch = Watch(
            job_id, kind, since, deadline, traffic, report,
            asyncio.get_running_loop().create_future(),
            max_delay_s=math.inf if max_delay_s is None else max_delay_s,
        )  # fmt: skip
        self._schedule(watch, now)
        self._watches.add(watch)
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch_all())
            self._task.add_done_callback(self._pass_on_error)
        try:
            await watch.done
            return watch
        finally:
            self._watches.discard(watch)
            if not self._watches:  # nobody waits for an answer any more
                self._wake.set()
                for task in self._asking:
                    task.cancel()

    async def _watch_all(self) -> None:
        clock = self._api.clock
        while self._watches:
            self._wake.clear()
            now = clock.monotonic()
            self._expire(now)
            ready = [w for w in self._watches if not w.asking and not w.done.done()]
            if any(watch.due <= now for watch in ready):
                group = [w for w in ready if w.due - _TOGETHER * w.delay_s <= now]
                for start in range(0, len(group), self._group_size):
                    self._ask(group[start : start + self._group_size])
                ready = [w for w in ready if not w.asking]
            soonest = min(
                [watch.due for watch in ready]
                + [watch.deadline for watch in self._watches if not watch.done.done()],
                default=math.inf,
            )
            await self._sleep(soonest - now)

    def _pass_on_error(self, task: asyncio.Task[None]) -> None:
        """Let nobody wait for a watcher that is gone."""
        if not task.cancelled() and (error := task.exception()) is not None:
            for watch in self._watches:
                if not watch.done.done():
                    watch.done.set_exception(error)

    async def _sleep(self, delay_s: float) -> None:
        pending: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wake.wait())]
        if math.isfinite(delay_s):
            pending.append(asyncio.ensure_future(self._api.clock.sleep(max(delay_s, 0.0))))
        try:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in pending:
                future.cancel()

    def _expire(self, now: float) -> None:
        for watch in self._watches:
            if watch.deadline <= now and not watch.done.done():
                state = watch.last.status if watch.last else "submitted"
                watch.done.set_exception(
                    JobTimeout(
                        f"Job {watch.job_id} is still {state!r} after max_wait; it goes on at the "
                        "service and its results can be fetched later.",
                        job_ids=[watch.job_id], status=state,
                    )
                )  # fmt: skip

    def _ask(self, group: list[Watch]) -> None:
        for watch in group:
            watch.asking = True
        task = asyncio.create_task(self._look(group))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _look(self, group: list[Watch]) -> None:
        # The request is counted once, for the first of those it serves.
        group[0].traffic.polls += 1
        started = self._api.clock.monotonic()
        try:
            states = await self._listed(group) if len(group) > 1 else {}
            for watch in group:
                await self._look_at(watch, states.get(watch.job_id))
            self._round_trips.append(self._api.clock.monotonic() - started)
        except Exception as error:  # noqa: BLE001  (handed to everyone who waits)
            for watch in group:
                if not watch.done.done():
                    watch.done.set_exception(error)
        finally:
            for watch in group:
                watch.asking = False
            self._wake.set()

    async def _listed(self, group: list[Watch]) -> dict[str, JobState]:
        """Return the states that one request tells; none from a service that cannot list by id."""
        job_ids = [watch.job_id for watch in group]
        try:
            return await self._api.jobs(job_ids, group[0].traffic, patient=True)
        except (InvalidResponse, ServiceError) as error:
            logger.warning("Jobs are looked at one by one, since their list fails: %s", error)
            self._group_size = 1
            return {}

    async def _look_at(self, watch: Watch, state: JobState | None) -> None:
        """Tell a state; where none is known, ask for it. What fails, fails for this job alone."""
        try:
            if state is None:
                state = await self._api.job(watch.job_id, watch.traffic, patient=True)
            self._tell(watch, state, self._api.clock.monotonic())
        except (InvalidResponse, ServiceError) as error:
            if not watch.done.done():
                watch.done.set_exception(error)

    def _tell(self, watch: Watch, state: JobState, now: float) -> None:
        watch.polls += 1
        if watch.done.done():
            return
        if state.status == "deleted":
            # One that is new, or asked for at a copy of the service that lags, is unknown too.
            watch.unknown_since = now if watch.unknown_since is None else watch.unknown_since
            if now < watch.unknown_since + self._api.settle_s:
                self._schedule(watch, now)
                return
        else:
            watch.unknown_since = None
        watch.last = state
        if state.status == "started" and watch.running_since is None:
            watch.running_since = now
        watch.report(state)
        if state.is_terminal:
            if state.status == "completed":
                self._durations.remember(watch.kind, _duration_s(state, now - watch.since))
            watch.done.set_result(None)
        else:
            self._schedule(watch, now)

    def _schedule(self, watch: Watch, now: float) -> None:
        last = watch.last
        predicted = last.predicted_wait_ms if last and last.status != "started" else None
        watch.delay_s = next_delay_s(
            elapsed_s=now - watch.since,
            polls=watch.polls,
            # The shortest of the last: a look that waited for the simulation says nothing.
            round_trip_s=min(self._round_trips, default=self._first_round_trip_s),
            predicted_s=None if predicted is None else predicted / 1e3,
            expected_s=self._durations.expect(watch.kind),
            rng=self._api.rng,
        )
        watch.delay_s = min(watch.delay_s, watch.max_delay_s)
        watch.due = now + watch.delay_s


def _duration_s(state: JobState, observed_s: float) -> float:
    """Return a job's duration: the service's own where it is sensible; looks only bound it."""
    if state.submitted_at is None or state.completed_at is None:
        return observed_s
    return min(max(state.completed_at - state.submitted_at, 0.0), observed_s)
