"""The page at ``/`` and its data: server-sent events, one circuit, one curve; and cancelling."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.histories import Histories
from pennylane_qstore.server.jobs import read_ids
from pennylane_qstore.server.page import PageSource
from pennylane_qstore.server.responses import answer
from pennylane_qstore.server.runs import JobFilter, PageJob, RunTotals, totals_of

PAGE: web.AppKey[PageSource] = web.AppKey("page")
"""The jobs that the page of an application shows."""
HISTORIES: web.AppKey[Histories] = web.AppKey("histories")
"""The loss curves that it shows."""

_TICK_S = 0.25
_TICKS_OF_RUNS = 8
_SHOWN = 200
_SCANNED = 5000
"""The newest jobs, among which a filter chooses, and of which runs are summed up."""
_SPARK_POINTS = 40
routes = web.RouteTableDef()


@routes.get("/", allow_head=False)
async def page(_: web.Request) -> web.Response:
    """Send the page."""
    html = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    nonce = secrets.token_urlsafe(12)
    policy = (
        f"default-src 'none'; connect-src 'self'; img-src data:; script-src 'nonce-{nonce}'; "
        f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return web.Response(
        text=html.replace("NONCE", nonce),
        content_type="text/html",
        headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
    )


@routes.get("/admin/stats", allow_head=False)
async def stats(request: web.Request) -> web.Response:
    """Show the counters."""
    return answer((await request.app[PAGE].summary())["stats"])


@routes.get("/admin/events", allow_head=False)
async def events(request: web.Request) -> web.StreamResponse:
    """Send the changes four times a second; the query chooses jobs as :class:`JobFilter` does."""
    stream = web.StreamResponse(headers={"Cache-Control": "no-store"})
    stream.content_type = "text/event-stream"
    await stream.prepare(request)
    view = _View(request)
    while True:
        data = orjson.dumps(await view.changes())
        try:
            await stream.write(b"data: " + data + b"\n\n")
        except ConnectionResetError:
            return stream
        await asyncio.sleep(_TICK_S)


@routes.get("/admin/jobs/{id}/{k:[0-9]{1,5}}", allow_head=False)
async def circuit(request: web.Request) -> web.Response:
    """Show a circuit: its gates, times and likeliest outcomes."""
    job_id, k = request.match_info["id"], int(request.match_info["k"])
    return answer(await request.app[PAGE].detail(job_id, k))


@routes.get("/admin/curve", allow_head=False)
async def curve(request: web.Request) -> web.Response:
    """Show the loss curve of a run.

    Raises:
        BadRequest: 404, there is none.
    """
    app, run = request.app, request.query.get("run", "")
    # Whoever sees no job of a run does not see its curve either.
    shown = app[PAGE].shows_all or any(run in job.runs for job in _scanned(app[PAGE]))
    history = (await asyncio.to_thread(app[HISTORIES].by_run)).get(run) if shown else None
    if history is None:
        raise not_found()
    return answer(history.drawn())


@routes.post("/admin/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Cancel jobs.

    Raises:
        BadRequest: the body names none.
    """
    job_ids = read_ids(await request.read())
    return answer({"states": await request.app[PAGE].cancel(job_ids)})


class _View:
    """The jobs and runs that one open page has been sent."""

    def __init__(self, request: web.Request) -> None:
        self._app = request.app
        query = request.query
        self._filter = JobFilter(*(query.get(name, "") for name in JobFilter._fields))
        self._jobs: dict[str, tuple[int, str]] = {}
        self._runs: list[dict[str, Any]] = []
        self._ticks = 0

    async def changes(self) -> dict[str, Any]:
        """Return counters, and the jobs and runs that differ from what was sent."""
        page = self._app[PAGE]
        out = await page.summary()
        if not self._ticks % _TICKS_OF_RUNS:
            runs = await self._all_runs(page)
            if runs != self._runs or not self._ticks:
                out["runs"] = self._runs = runs
        self._ticks += 1
        newest = page.newest_first()
        if any(self._filter):
            newest = filter(self._filter.admits, _scanned(page))
        return {**out, **self._job_changes(list(islice(newest, _SHOWN)))}

    def _job_changes(self, newest: list[PageJob]) -> dict[str, Any]:
        changed = [job for job in newest if self._jobs.get(job.id) != (job.version, job.status)]
        gone = self._jobs.keys() - {job.id for job in newest}
        for job_id in gone:
            del self._jobs[job_id]
        self._jobs.update({job.id: (job.version, job.status) for job in changed})
        return {"changed": [job._asdict() for job in changed], "gone": list(gone)}

    async def _all_runs(self, page: PageSource) -> list[dict[str, Any]]:
        """Return the runs of the newest jobs, and those that have a curve alone."""
        histories = await asyncio.to_thread(self._app[HISTORIES].by_run)
        totals = totals_of(_scanned(page))
        if page.shows_all:
            known = {one.name for one in totals}
            totals += [
                RunTotals(name, billed_usd=history.spent_usd)
                for name, history in histories.items()
                if name not in known
            ]
        runs = [one.as_dict() for one in totals]
        for run in runs:
            history = histories.get(run["name"])
            if history is not None:
                spark = history.drawn(_SPARK_POINTS).get("loss", [])
                run |= {"steps": history.steps, "loss": history.loss, "spark": spark}
                run |= {"queue_s": history.queue_s}
        return runs


def _scanned(page: PageSource) -> Iterator[PageJob]:
    return islice(page.newest_first(), _SCANNED)
