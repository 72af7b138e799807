"""The page over a ledger as an object: its options, its server."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.secret import Secret
from pennylane_qstore.server.access import Access, is_loopback
from pennylane_qstore.server.host import HttpHost

if TYPE_CHECKING:
    from aiohttp import web


class Watch(HttpHost):
    """A page, on this machine only, of the jobs in a ledger and the runs that they belong to.

    A context manager. It reads what other processes write, and asks IonQ nothing but to cancel.

    Args:
        ledger: to read, in a file.
        runs: folders of checkpoints of training runs, whose loss curves the page shows.
        base_url: of the service that jobs are cancelled at; by default that of each job.
        host: a loopback address to listen on.
        port: port, 0 for a free one.

    Raises:
        ConfigurationError: an address that other machines reach, or a ledger in memory.
        QStoreError: the address cannot be listened on (on :meth:`start`).
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        runs: Iterable[str | os.PathLike[str]] = (),
        base_url: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not is_loopback(host):
            raise ConfigurationError(
                f"host={host!r} is reachable from other machines. Allowed: 127.0.0.1; from another "
                "machine, come through ssh -L."
            )
        if ledger.path is None:
            raise ConfigurationError("A ledger in memory is nobody else's to watch: name a file.")
        self._token = Secret(secrets.token_urlsafe(32))
        super().__init__(host, port, Access(self._token), runs=runs)
        self._ledger, self._base_url = ledger, base_url

    @also_unmade
    def __repr__(self) -> str:
        where = self.address if self.is_running else "not started"
        return f"<Watch {where} over {self._ledger!r}>"

    @property
    def page(self) -> str:
        """URL of the page, with its token."""
        return f"{self.address}/?token={self._token.reveal()}"

    def _application(self) -> web.Application:
        from pennylane_qstore.server.server import page_app
        from pennylane_qstore.watch.ledger_page import LedgerPage

        page = LedgerPage(self._ledger, self._base_url)
        return page_app(page, self._access, self._log, self._histories)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        yield
        self._ledger.close()
