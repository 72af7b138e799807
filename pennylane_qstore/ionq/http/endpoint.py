"""The address of a service: a base URL that the API key may be sent to, and how to reach it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from yarl import URL

from pennylane_qstore.errors import ConfigurationError, InvalidResponse
from pennylane_qstore.secret import ProxyUrl

READ_S = 30.0
"""Longest wait for the response to a read, in seconds, unless a client has another."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service's base URL, checked.

    Args:
        base_url: https anywhere; http only to this machine (a literal loopback address or
            ``localhost``). No user, query or fragment.

    Raises:
        ConfigurationError: the URL is not allowed.
    """

    base_url: str

    def __post_init__(self) -> None:
        try:
            url = URL(self.base_url)
        except (ValueError, TypeError):
            raise ConfigurationError(_refusal(self.base_url)) from None
        if url.user is not None or url.password is not None or "@" in self.base_url:
            raise ConfigurationError("base_url must not carry a user or password.")
        if "?" in self.base_url or "#" in self.base_url:
            raise ConfigurationError("base_url must not have a query or fragment.")
        if ".." in url.raw_path or not url.raw_host:
            raise ConfigurationError(_refusal(self.base_url))
        if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.raw_host)):
            raise ConfigurationError(
                f"base_url {self.base_url!r}: https is required, except for http to this "
                "machine (127.0.0.1, [::1], localhost). The API key would travel in the clear."
            )
        object.__setattr__(self, "base_url", str(url).rstrip("/"))

    @property
    def is_loopback(self) -> bool:
        """True where the service runs on this machine."""
        return _is_loopback(URL(self.base_url).raw_host or "")

    def own_path(self, url: str) -> str:
        """Return the path, below the base URL, of a URL that the service named in a body.

        Raises:
            InvalidResponse: it leads to another scheme, host, port or API. It is not followed,
                since the API key would go with it.
        """
        base = URL(self.base_url)
        try:
            target = base.join(URL(url))
        except ValueError:
            raise InvalidResponse(
                f"The service named results at {url[:200]!r}, which is not a URL."
            ) from None
        inside = target.raw_path.startswith(f"{base.raw_path.rstrip('/')}/")
        own_origin = (base.scheme, None, base.raw_host, base.port)
        origin = (target.scheme, target.user, target.raw_host, target.port)
        if origin != own_origin or not inside or "%" in target.raw_path:
            raise InvalidResponse(
                f"The service named results at {url[:200]!r}, outside {self.base_url}; "
                "they were not fetched."
            )
        return target.raw_path_qs[len(base.raw_path.rstrip("/")) :]


@dataclass(frozen=True, slots=True)
class Connection:
    """Way to a service; clients that agree in it and in the key share connections.

    Args:
        endpoint: the service.
        pool_size: connections at most.
        timeout_s: longest wait for the response to a read, in seconds.
        ca_bundle: file of own certificate authorities, in place of the system's.
        proxy: URL of an HTTP proxy. The environment's proxies are not used.

    Raises:
        ConfigurationError: the proxy's URL is none.
    """

    endpoint: Endpoint
    pool_size: int = 5
    timeout_s: float = READ_S
    ca_bundle: str | None = None
    proxy: ProxyUrl | None = None

    def __post_init__(self) -> None:
        if self.proxy is not None:
            self.proxy.check()


def _refusal(base_url: object) -> str:
    return (
        f"base_url={str(base_url)[:200]!r} is not allowed. Allowed: an https URL such as "
        "'https://api.ionq.co/v0.4'."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
