"""Where requests may go."""

from __future__ import annotations

import pytest

from pennylane_qstore.errors import ConfigurationError, InvalidResponse
from pennylane_qstore.ionq.http.endpoint import Endpoint


@pytest.mark.parametrize(
    "url",
    [
        "http://api.ionq.co/v0.4",
        "http://127.0.0.1.evil.com/v0.4",
        "http://127.1/v0.4",
        "http://2130706433/v0.4",
        "http://0.0.0.0/v0.4",
        "http://[::]/v0.4",
        "http://localhost.evil.com/v0.4",
        "http://user@127.0.0.1/v0.4",
        "http://127.0.0.1@evil.com/v0.4",
        "https://user:pass@api.ionq.co/v0.4",
        "https://@evil.com/v0.4",
        "https://api.ionq.co/v0.4?x=1",
        "https://api.ionq.co/v0.4#x",
        "ftp://127.0.0.1/v0.4",
        "file:///etc/passwd",
        "//127.0.0.1/v0.4",
        "api.ionq.co/v0.4",
        "",
        None,
        "https://",
    ],
)
def test_addresses_that_would_leak_the_key_are_refused(url):
    with pytest.raises(ConfigurationError):
        Endpoint(url)


@pytest.mark.parametrize(
    "url",
    ["https://api.ionq.co/v0.4", "http://127.0.0.1:8123/v0.4", "http://localhost:1/v0.4",
     "http://[::1]:8/v0.4", "http://127.9.9.9/v0.4", "https://proxy.corp/ionq/v0.4/"],
)  # fmt: skip
def test_addresses_that_are_fine(url):
    assert Endpoint(url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "named",
    [
        "https://evil.com/v0.4/jobs/x/results/probabilities",
        "//evil.com/v0.4/jobs/x",
        "http://api.ionq.co/v0.4/jobs/x",
        "https://api.ionq.co:444/v0.4/jobs/x",
        "https://user@api.ionq.co/v0.4/jobs/x",
        "/v0.3/jobs/x",
        "/v0.4x/jobs",
        "/v0.4/../admin",
        "/v0.4/%2e%2e/admin",
        "javascript:alert(1)",
    ],
)
def test_places_outside_the_service_are_not_followed(named):
    with pytest.raises(InvalidResponse):
        Endpoint("https://api.ionq.co/v0.4").own_path(named)


def test_places_inside_the_service_are_paths():
    endpoint = Endpoint("https://api.ionq.co/v0.4")
    assert endpoint.own_path("/v0.4/jobs/x/results") == "/jobs/x/results"
    assert endpoint.own_path("https://api.ionq.co/v0.4/jobs/x?a=1") == "/jobs/x?a=1"
