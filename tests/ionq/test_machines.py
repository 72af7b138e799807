"""Machines as a service describes them: read in one place by clients, devices and gateways."""

from __future__ import annotations

import warnings

import pytest
from support.renamed_machine import NAME

from pennylane_qstore.backends import described
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.machines import take_as_described


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
