"""The HTTP server: access, request log and error bodies around the routes.

Imported only when a server starts, because aiohttp is.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware

from pennylane_qstore.backends import MAX_BODY_BYTES
from pennylane_qstore.server import about, account, dashboard, jobs
from pennylane_qstore.server.access import Access, RequestLog
from pennylane_qstore.server.dashboard import HISTORIES, PAGE
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.histories import Histories
from pennylane_qstore.server.page import PageSource, ServicePage
from pennylane_qstore.server.responses import ACCOUNT, LOG, SERVICE, error_response
from pennylane_qstore.server.service import JobService, Service

_LOG = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_READ_S = 60.0
"""Seconds in which a request's body must have arrived."""


def make_app(
    service: JobService,
    access: Access,
    log: RequestLog,
    middlewares: Sequence[Middleware] = (),
    routes: Iterable[web.AbstractRouteDef] = (),
    histories: Histories | None = None,
) -> web.Application:
    """Return the application that serves a service.

    Args:
        service: the service.
        access: the requests that are answered.
        log: gets every request below ``/v0.4``.
        middlewares: run once a request is authorized and its body has arrived, around the handler.
        routes: of the account, where the service does not answer for it.
        histories: the loss curves that the page shows.

    Returns:
        The application.
    """
    app = page_app(ServicePage(service, log), access, log, histories, middlewares)
    app[SERVICE] = service
    app.add_routes(routes)  # fixed paths come before /jobs/{id}
    if isinstance(service, Service):
        app[ACCOUNT] = service
        app.add_routes(account.routes)
    for part in (jobs, about):
        app.add_routes(part.routes)
    return app


def page_app(
    page: PageSource,
    access: Access,
    log: RequestLog,
    histories: Histories | None = None,
    middlewares: Sequence[Middleware] = (),
) -> web.Application:
    """Return the application that serves the page alone.

    Args:
        page: what it shows.
        access: the requests that are answered.
        log: gets every request below ``/v0.4``.
        histories: the loss curves that it shows.
        middlewares: as of :func:`make_app`.

    Returns:
        The application.
    """

    @web.middleware
    async def admit(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not access.check_origin(request):
            return error_response(403, "This server answers to its own address only.")
        is_api = request.path.startswith("/v0.4")
        if not access.authorize(request):
            if is_api:
                log.add(request, 0)
            return _unauthorized(request, access.refusal)
        if is_api:
            refusal = await _read_body(request, log)
            if refusal is not None:
                return refusal
        return await handler(request)

    app = web.Application(middlewares=[admit, *middlewares, _guard], client_max_size=MAX_BODY_BYTES)
    app[PAGE], app[LOG], app[HISTORIES] = page, log, histories or Histories()
    app.add_routes(dashboard.routes)
    return app


async def _read_body(request: web.Request, log: RequestLog) -> web.Response | None:
    """Wait for the body and log the request; return the response where it cannot be read."""
    try:
        async with asyncio.timeout(_READ_S):
            body = await request.read()
    except TimeoutError:
        return error_response(408, f"The body did not arrive within {_READ_S:g} s.")
    except (web.RequestPayloadError, ConnectionError):  # in the second case nobody reads this
        return error_response(400, "The body cannot be decoded, or is not whole.")
    except web.HTTPRequestEntityTooLarge:
        log.add(request, request.content_length or 0)
        return error_response(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    log.add(request, len(body))
    return None


def _unauthorized(request: web.Request, message: str) -> web.Response:
    """Return the response to a request without the key; of its body nothing is kept."""
    response = error_response(401, message)
    if request.can_read_body:  # who has sent no key yet does not hold a connection, either
        response.force_close()
    return response


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Handle a request, and turn errors into IonQ's error bodies."""
    try:
        response = await handler(request)
    except BadRequest as error:
        refusal = error_response(error.status, error.message, error.keys)
        if error.retry_after_s is not None:
            refusal.headers["Retry-After"] = str(error.retry_after_s)
        return refusal
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(error.status, error.reason)
    except Exception:  # noqa: BLE001 - a service answers 500
        _LOG.exception("Error while serving %s %s", request.method, request.path)
        return error_response(500, "Internal service outage. Please email support@ionq.co.")
    if not response.prepared:
        response.headers.setdefault("x-request-id", str(uuid.uuid4()))
    return response
