"""Machines that this release does not know: who is asked, and the errors where that ends."""

from __future__ import annotations

import pytest
from support.renamed_machine import NAME

from pennylane_qstore.backends import BACKENDS, backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution.machines import find_backend
from pennylane_qstore.execution.options import Options


@pytest.fixture
def cloud(renamed_machine):
    """The connection of a device on the service's simulator."""
    options = {"backend": "simulator", "base_url": renamed_machine.url, "api_key": "k"}
    return Options.of(options).connection


def test_a_machine_is_asked_for_once(renamed_machine, cloud):
    with pytest.warns(UserWarning, match="Said once") as seen:
        machine = find_backend(NAME, cloud)
    assert len(seen) == 1
    count = len(renamed_machine.emulator.requests)
    assert find_backend(NAME, cloud) is machine is backend(NAME)
    assert len(renamed_machine.emulator.requests) == count > 0


def test_a_typo_is_refused_by_both(cloud):
    with pytest.raises(ConfigurationError, match=r"mean 'qpu\.forte-1'.*not know it, either"):
        find_backend("qpu.fort-1", cloud)


@pytest.mark.parametrize("name", [*BACKENDS, "forte-1", "simulater", ""])
def test_nobody_is_asked_for_what_is_known_or_no_machine(name, renamed_machine, cloud):
    if name in BACKENDS:
        assert find_backend(name, cloud) is BACKENDS[name]
    else:
        with pytest.raises(ConfigurationError, match=r"Unknown backend.*Or 'emulator'"):
            find_backend(name, cloud)
    assert not renamed_machine.emulator.requests


def test_nobody_is_asked_without_a_key_or_by_the_emulator(renamed_machine, monkeypatch):
    monkeypatch.setenv("IONQ_API_URL", renamed_machine.url)
    monkeypatch.setenv("IONQ_API_KEY", "k")
    cloud = Options(backend="simulator").connection
    monkeypatch.delenv("IONQ_API_KEY")
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    for connection in (None, cloud):
        with pytest.raises(ConfigurationError, match="Unknown backend"):
            find_backend(NAME, connection)
    assert not renamed_machine.emulator.requests


def test_a_service_that_is_away_leaves_the_error_and_its_reason(renamed_machine, cloud):
    renamed_machine.emulator.close()
    with pytest.raises(ConfigurationError, match=r"Unknown backend .* asked in vain"):
        find_backend(NAME, cloud)
