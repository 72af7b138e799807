"""Services that take less: no multi-circuit jobs, no native gates."""

import threading
import time
import warnings
from typing import ClassVar

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.emulator import Emulator, Fault, VirtualClock
from pennylane_qstore.errors import JobFailed, ServiceError
from pennylane_qstore.execution.batch import Batch
from pennylane_qstore.execution.circuits import Circuits
from pennylane_qstore.execution.fallback import Fallback
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.ionq.jobs.request_runner import JobResult
from pennylane_qstore.ionq.messages.job_request import JobRequest

X = np.linspace(0, 1, 6)


def circuit(emulator, **options):
    dev = qml.device("qstore.ionq", wires=2, emulator=emulator, **options)

    @qml.qnode(dev, diff_method=None)
    def run(x):
        qml.RX(x, 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    return run


def result(request):
    return JobResult(
        "id", [None] * len(request.circuits), 0.1, 0.1, 0.1, 0.4, 1, 3, None, "completed"
    )


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
    clock = VirtualClock()
    faults = [Fault("status", "submit", status=404)]
    with Emulator(faults=faults, profile={"execution_s": 60.0}, clock=clock) as emulator:
        run = circuit(emulator, max_wait=60.0)

        def finish():
            while len(emulator.jobs) < len(X):
                time.sleep(0.001)
            clock.advance(60.0)  # none was over before all were there

        finishing = threading.Thread(target=finish, daemon=True)
        finishing.start()
        with pytest.warns(UserWarning, match="multi-circuit"):
            run(X)
        finishing.join()


def test_what_was_accepted_is_not_sent_again():
    with Emulator(faults=[Fault("status", "submit", status=404)]) as emulator:
        run = circuit(emulator, max_circuits_per_job=3)  # two jobs, one of them refused
        with pytest.warns(UserWarning, match="multi-circuit"):
            assert np.allclose(run(X), np.cos(X))
        assert sorted(len(job.circuits) for job in emulator.jobs) == [1, 1, 1, 3]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", "list", status=404, times=None),
        Fault("status", "job", status=405, times=None),
        Fault("status", "results", status=405),
    ],
    ids=lambda fault: fault.route,
)
def test_a_job_that_cannot_be_read_is_not_paid_again_circuit_by_circuit(fault):
    with Emulator(faults=[fault]) as emulator:
        paid = {"backend": "qpu.forte-1", "base_url": emulator.url, "api_key": "k"}
        run = qml.set_shots(circuit(None, **paid), shots=100)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*refuses")
            with pytest.raises(ServiceError, match=str(fault.status)) as raised:
                run(X)
        assert [len(job.circuits) for job in emulator.jobs] == [len(X)]
        assert raised.value.job_ids == (emulator.jobs[0].id,)


def test_what_arrived_before_a_refusal_is_in_the_error():
    faults = [Fault("status", "submit", status=404), Fault("fail", "submit", skip=2)]
    with Emulator(faults=faults) as emulator:
        dev = qml.device(
            "qstore.ionq",
            wires=1,
            emulator=emulator,
            max_circuits_per_job=3,
            retry_failed=False,
            pool_size=1,
        )
        tapes = [qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))]) for x in X]
        with pytest.warns(UserWarning, match="multi-circuit"), pytest.raises(JobFailed) as raised:
            dev.batch_execute(tapes)
        assert sorted(len(job.circuits) for job in emulator.jobs) == [1, 1, 1, 3]
        found = raised.value.details["tape_results"]
        there = [i for i, value in enumerate(found) if value is not None]
        assert len(there) == 5
        assert np.allclose([found[i] for i in there], np.cos(X)[there])


def refusal(status, body):
    return ServiceError("no", status=status, body=body)


@pytest.mark.parametrize(
    ("error", "falls_back"),
    [
        (refusal(404, ""), True),
        (refusal(405, ""), True),
        (refusal(400, '{"message": "unknown type ionq.multi-circuit.v1"}'), True),
        (refusal(422, '{"message": "\\"type\\" must be ionq.circuit.v1"}'), True),
        (refusal(400, '{"message": "shots must be positive"}'), False),
        (refusal(404, '{"message": "no such session"}'), False),
        (refusal(500, '{"message": "multi-circuit"}'), False),
        (ServiceError("no children", job_ids=["a job"], status=404, body=""), False),
        (ServiceError("multi-circuit", job_ids=["a job"], status=400, body=""), False),
    ],
)
def test_what_counts_as_a_refusal_of_many(error, falls_back):
    class Sender:
        sent: ClassVar = []

        def send(self, requests, meter, first_chunk=0, *, wait=True):
            self.sent.append(requests)
            if len(self.sent) == 1:
                raise error
            return [result(r) for r in requests]

    request = JobRequest("simulator", "native", 1, (b"[]", b"[]"), 0, 100)
    batch = Batch([], [], Circuits([], [], 1, []), Options().target, [[0, 1]], [request])
    fallback = Fallback(Sender(), "a service")
    if not falls_back:
        with pytest.raises(ServiceError):
            fallback.send(batch, BatchMeter())
        return
    with pytest.warns(UserWarning, match="a service refuses multi-circuit jobs"):
        jobs = fallback.send(batch, BatchMeter())
    assert len(batch.histograms(jobs)) == 2
    assert [len(r.circuits) for r in Sender.sent[1]] == [1, 1]


def test_circuits_of_divided_jobs_come_behind_the_others():
    text = b'[{"gate":"gpi","target":0,"phase":0.0}]'
    requests = [
        JobRequest("simulator", "native", 1, (text,) * n, n, 100, name=str(n)) for n in (2, 1, 2)
    ]
    target = Options().target
    batch = Batch([], [], Circuits([], [], 1, []), target, [[0, 3], [1], [2, 4]], requests)
    batch.divide([0, 2])
    assert batch.chunks == [[1], [0], [3], [2], [4]]
    assert [(r.name, r.gate_counts) for r in batch.requests] == [
        *(("1", 1), ("2", 1), ("2", 1), ("2", 1), ("2", 1)),
    ]


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (JobFailed("no", code="UnsupportedGate"), True),
        (refusal(400, '{"message": "gateset native is not available"}'), True),
        (refusal(422, '{"message": "native gates need another plan"}'), True),
        (JobFailed("no", code="TooManyShots"), False),
        (refusal(400, '{"message": "shots must be positive"}'), False),
        (refusal(500, '{"message": "gateset"}'), False),
        (ServiceError("gateset", job_ids=["a job"], status=400, body=""), False),
    ],
)
def test_what_counts_as_a_refusal_of_native_gates(error, refused):
    fallback = Fallback(None, "a service")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert fallback.refuses_native(error) is refused
        assert not fallback.refuses_native(error), "once"
    assert len(seen) == refused


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


def test_samples_of_jobs_of_one_circuit_have_the_order_in_which_they_were_taken():
    with Emulator(noise_model="forte-1", seed=2) as emulator:
        dev = qml.device("qstore.ionq", wires=1, emulator=emulator, noise_model="forte-1")
        dev.executor.fallback.single = True
        operations = [qml.RX(np.array([1.3, 0.4]), 0)]
        dev.execute([qml.tape.QuantumScript(operations, [qml.sample(qml.Z(0))], shots=60)])
        assert sum("shots" in line.path for line in emulator.requests) == 2


def test_one_job_per_circuit_on_request_waits_for_each():
    with Emulator(profile={"execution_s": 0.02}) as emulator:
        run = circuit(emulator, batch=False)
        run(X)
        assert emulator.stats()["posts"] == len(X)
        assert run.device.stats["seconds"]["service"] >= 0.02 * len(X)
        assert run.device.stats["effective_parallelization"] <= 1.01
