"""Services that take less: no multi-circuit jobs, no native gates."""

import warnings

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import JobFailed, ServiceError

X = np.linspace(0, 1, 6)


def circuit(emulator, **options):
    dev = qml.device("qstore.ionq", wires=2, emulator=emulator, **options)

    @qml.qnode(dev, diff_method=None)
    def run(x):
        qml.RX(x, 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    return run


def gatesets(emulator):
    return [job.gateset for job in emulator.jobs]


def test_refused_multi_circuit_jobs_become_one_job_per_circuit_with_one_warning():
    with Emulator(faults=[Fault("status", "submit", status=404)]) as emulator:
        run = circuit(emulator)
        with pytest.warns(UserWarning, match="multi-circuit") as seen:
            assert np.allclose(run(X), np.cos(X))
        assert len(seen) == 1
        assert emulator.stats()["posts"] == 1 + len(X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.allclose(run(X), np.cos(X))
        assert emulator.stats()["posts"] == 1 + 2 * len(X), "it is not asked again"
        assert run.device.stats["jobs"] == 2 * len(X)


def test_jobs_of_one_circuit_travel_at_the_same_time():
    with Emulator(
        faults=[Fault("status", "submit", status=404)], profile={"execution_s": 0.2}
    ) as emulator:
        run = circuit(emulator)
        with pytest.warns(UserWarning, match="multi-circuit"):
            run(X)
        assert run.device.stats["seconds"]["service"] < 0.2 * len(X)


def test_what_was_accepted_is_not_sent_again():
    with Emulator(faults=[Fault("status", "submit", status=404)]) as emulator:
        run = circuit(emulator, batch_size=3)  # two jobs, one of them refused
        with pytest.warns(UserWarning, match="multi-circuit"):
            assert np.allclose(run(X), np.cos(X))
        assert sorted(len(job.circuits) for job in emulator.jobs) == [1, 1, 1, 3]


def test_other_refusals_are_errors():
    with Emulator(faults=[Fault("status", "submit", status=400)]) as emulator:
        with pytest.raises(ServiceError, match="400"):
            circuit(emulator)(X)
        assert emulator.stats()["posts"] == 1


def test_refused_native_gates_become_qis_with_one_warning():
    with Emulator(faults=[Fault("fail", "submit", code="UnsupportedGate")]) as emulator:
        run = circuit(emulator)
        with pytest.warns(UserWarning, match="native gates") as seen:
            assert np.allclose(run(X), np.cos(X))
        assert len(seen) == 1
        assert gatesets(emulator) == ["native", "qis"]
        assert np.allclose(run(X), np.cos(X))
        assert gatesets(emulator) == ["native", "qis", "qis"], "it is not asked again"


def test_gates_that_qis_has_not_either_are_an_error():
    faults = [Fault("fail", "submit", code="UnsupportedGate", times=None)]
    with Emulator(faults=faults) as emulator:
        with pytest.warns(UserWarning, match="native"), pytest.raises(JobFailed):
            circuit(emulator)(X)
        assert gatesets(emulator) == ["native", "qis"]


def test_a_named_run_finds_its_jobs_again(tmp_path):
    with Emulator(faults=[Fault("status", "submit", status=404)]) as emulator:
        with pytest.warns(UserWarning, match="multi-circuit"):
            circuit(emulator, run="r", ledger=tmp_path / "l.db")(X)
        emulator.faults.add(Fault("status", "submit", status=404))
        posts = emulator.stats()["posts"]
        with pytest.warns(UserWarning, match="multi-circuit"):
            again = circuit(emulator, run="r", ledger=tmp_path / "l.db")(X)
        assert np.allclose(again, np.cos(X))
        assert emulator.stats()["posts"] == posts + 1, "only the refused job was tried again"


def test_one_job_per_circuit_on_request_waits_for_each():
    with Emulator(profile={"execution_s": 0.02}) as emulator:
        run = circuit(emulator, batch=False)
        run(X)
        assert emulator.stats()["posts"] == len(X)
        assert run.device.stats["seconds"]["service"] >= 0.02 * len(X)
        assert run.device.stats["effective_parallelization"] == pytest.approx(1, abs=0.2)
