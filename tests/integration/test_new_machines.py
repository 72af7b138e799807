"""Machines that no release knows: taken as the service describes them, warned of once."""

from __future__ import annotations

import json
import pickle
import warnings

import pennylane as qml
import pytest
from support.renamed_machine import CHAIN, NAME
from typer.testing import CliRunner

import pennylane_qstore as qstore
from pennylane_qstore import backends
from pennylane_qstore.cli.main import app
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.prices import PRICES


def device(service, wires=2, **more):
    options = {"backend": NAME, "base_url": service.url, "api_key": "k", **more}
    return qml.device("qstore.ionq", wires=wires, **options)


def bell(device):
    @qml.set_shots(1000)
    @qml.qnode(device)
    def circuit():
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(0) @ qml.Z(1)), qml.expval(qml.Z(0))

    return circuit()


def test_a_machine_runs_as_it_is_described_and_is_warned_of_once(renamed_machine):
    with pytest.warns(UserWarning, match=NAME) as seen:
        first = device(renamed_machine)
    assert len(seen) == 1
    assert "36 qubits, native gates gpi, gpi2, zz" in str(seen[0].message)
    assert (first.target.gateset, first.target.family) == ("native", "zz")
    zz, z = bell(first)
    assert zz > 0.9
    assert abs(z) < 0.2
    assert first.spent_usd > 0
    count = len(renamed_machine.emulator.requests)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = device(renamed_machine)
    assert len(renamed_machine.emulator.requests) == count  # nobody is asked twice
    assert second.job_limits == first.job_limits
    with pytest.raises(ConfigurationError, match="36 qubits"):
        device(renamed_machine, wires=37)


def test_its_price_is_the_services_and_never_nothing(renamed_machine):
    with pytest.warns(UserWarning, match="prices"):
        paid = device(renamed_machine, budget_usd=1.0)
    with pytest.raises(BudgetExceeded):
        bell(paid)
    assert not renamed_machine.emulator.jobs
    plan = (circuit_of(paid), 0.1, qstore.SPSAOptimizer(maxiter=1))
    with pytest.raises(ConfigurationError, match=r"no price list of 'qpu\.forte-2'"):
        qstore.TrainingRun(*plan)
    planned = qstore.TrainingRun(*plan, prices="qpu.forte-1")
    assert planned.prices == (PRICES["qpu.forte-1"],)


def circuit_of(device):
    @qml.set_shots(100)
    @qml.qnode(device)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    return circuit


@pytest.mark.parametrize(
    ("entry", "measured", "reason"),
    [
        ({"supported_native_gates": ["xy"]}, {}, "no native gates known here"),
        ({}, {"connectivity": CHAIN}, "no gate for some pairs"),
    ],
)
def test_circuits_it_has_no_native_gates_for_are_compiled_by_the_service(
    renamed_machine, entry, measured, reason
):
    renamed_machine.entry, renamed_machine.measured = entry, measured
    with pytest.warns(UserWarning, match=reason):
        qis = device(renamed_machine)
    assert qis.target.gateset == "qis"
    assert bell(qis)[0] > 0.9
    assert [job["input"]["gateset"] for job in renamed_machine.posted] == ["qis"]
    for options in ({"symmetrize": True}, {"two_qubit": "zz"}, {"compile": "verbatim"}):
        with pytest.raises(ConfigurationError, match="compiled by the service"):
            device(renamed_machine, **options)


def test_a_machine_without_gates_to_send_is_refused_with_what_it_needs(renamed_machine):
    renamed_machine.entry = {"supported_native_gates": [], "supported_gates": []}
    with pytest.raises(ConfigurationError, match="OpenQASM 3"):
        device(renamed_machine)


def test_another_process_knows_the_machine_of_a_device_it_gets(renamed_machine, monkeypatch):
    with pytest.warns(UserWarning, match=NAME):
        data = pickle.dumps(device(renamed_machine))
    monkeypatch.setattr(backends, "_described", {})
    monkeypatch.setenv("IONQ_API_KEY", "k")
    copy = pickle.loads(data)
    assert backends.backend(NAME) == copy.target.backend
    assert bell(copy)[0] > 0.9


def test_a_device_on_another_backend_is_told_its_price(renamed_machine):
    free = device(renamed_machine, backend="simulator")
    tape = qml.tape.QuantumScript([qml.Hadamard(0)], [qml.probs(wires=0)], shots=100)
    with pytest.warns(UserWarning, match=NAME):
        assert free.estimate(tape, backend=NAME).cost_usd > 0


def test_a_machine_whose_noise_is_not_published_is_not_rehearsed(renamed_machine):
    with pytest.warns(UserWarning, match=NAME):
        device(renamed_machine)
    with pytest.raises(ConfigurationError, match="a published noise model"):
        qstore.rehearse(lambda seed: None, NAME)


def test_an_emulator_in_the_process_does_not_take_it_over(renamed_machine, serve):
    with pytest.warns(UserWarning, match=NAME):
        device(renamed_machine)
    assert NAME not in serve()("GET", "/backends").body.decode()


def test_the_commands_take_it_too(renamed_machine, tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_URL", renamed_machine.url)
    monkeypatch.setenv("IONQ_API_KEY", "k")
    command = ["train", "--backend", NAME, "--steps", "1", "--shots", "20", "--yes", "--json"]
    command += ["--prices", "qpu.forte-1", "--out", str(tmp_path), "--ledger", str(tmp_path / "l")]
    with pytest.warns(UserWarning, match=NAME):
        result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["runs"][0]["cost_usd"] > 0
    plan = ["train", "--task", "centroid", "--backend", NAME, "--dry-run", "--out", str(tmp_path)]
    refused = CliRunner().invoke(app, plan)
    assert refused.exit_code == 1
    assert "no price list" in refused.stderr
    planned = CliRunner().invoke(app, [*plan, "--prices", "qpu.forte-1"])
    assert planned.exit_code == 0, planned.output
    assert "the service's estimate" in planned.stdout
