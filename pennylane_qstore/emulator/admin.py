"""Routes that control a running emulator over HTTP: its faults and its virtual clock."""

from __future__ import annotations

from aiohttp import web

from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.clock import Clock, VirtualClock
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.submission import parse_json
from pennylane_qstore.server.responses import answer


def add_admin_routes(app: web.Application, faults: Faults, clock: Clock) -> None:
    """Add the routes of faults and of the clock, outside ``/v0.4``.

    Args:
        app: the application.
        faults: the plan that is shown and changed.
        clock: the clock; only a virtual one is advanced.

    Raises:
        BadRequest: from the handlers, where a request is not valid.
    """

    async def show_faults(_: web.Request) -> web.Response:
        return answer(faults.as_json())

    async def add_faults(request: web.Request) -> web.Response:
        data = parse_json(await request.read())
        try:
            faults.add(*(data if isinstance(data, list) else [data]))
        except ConfigurationError as error:
            raise BadRequest(str(error), keys=["faults"]) from error
        return answer(faults.as_json(), 201)

    async def clear_faults(_: web.Request) -> web.Response:
        faults.clear()
        return answer([])

    async def advance_clock(request: web.Request) -> web.Response:
        data = parse_json(await request.read())
        seconds = data.get("advance") if isinstance(data, dict) else None
        if not isinstance(clock, VirtualClock):
            raise BadRequest("This emulator runs on the machine's clock.", status=409)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise BadRequest('"advance" must be a number of seconds.', keys=["advance"])
        try:
            clock.advance(seconds)
        except ValueError as error:
            raise BadRequest(str(error), keys=["advance"]) from error
        return answer({"now": clock.now()})

    app.add_routes(
        [
            web.get("/admin/faults", show_faults, allow_head=False),
            web.post("/admin/faults", add_faults),
            web.delete("/admin/faults", clear_faults),
            web.post("/admin/clock", advance_clock),
        ]
    )
