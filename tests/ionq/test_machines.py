"""Machines as a service describes them: read in one place by clients, devices and gateways."""

from __future__ import annotations

import warnings

import pytest
from support.renamed_machine import NAME

from pennylane_qstore.backends import BACKENDS, backend, described
from pennylane_qstore.errors import ConfigurationError, InvalidResponse
from pennylane_qstore.execution.options import Options
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.machines import find_backend, take_as_described


def test_a_machine_is_read_with_its_pairs(renamed_machine):
    renamed_machine.measured = {"connectivity": [[0, 1]]}
    with IonQClient("k", base_url=renamed_machine.url) as client:
        machine = client.machine(NAME)
        assert client.machine("qpu.no-1") is None
    assert (machine.name, machine.qubits, machine.all_to_all) == (NAME, 36, False)


def test_a_list_that_is_none_is_refused(renamed_machine, monkeypatch):
    monkeypatch.setattr(renamed_machine, "told", lambda path, answer: b"{}")
    with (
        IonQClient("k", base_url=renamed_machine.url) as client,
        pytest.raises(InvalidResponse, match="list of backends"),
    ):
        client.machine(NAME)


def test_it_is_warned_of_once(renamed_machine):
    with IonQClient("k", base_url=renamed_machine.url) as client:
        machine = client.machine(NAME)
    with pytest.warns(UserWarning, match="Said once"):
        take_as_described(machine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        take_as_described(machine)
    assert described(NAME) is machine


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
