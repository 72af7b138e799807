"""PennyLane's tracker sees batches that are waited for, and those that are not."""

import pennylane as qml

from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.execution.tracking import track


def tape(shots):
    return qml.tape.QuantumScript([qml.X(0)], [qml.expval(qml.Z(0))], shots=shots)


def test_submitted_batches_count_as_executed_ones():
    dev = qml.device("qstore.ionq", wires=1, max_circuits_per_job=1)
    with qml.Tracker(dev) as executed:
        dev.execute([tape(10), tape(20)])
    with qml.Tracker(dev) as submitted:
        handle = dev.submit([tape(10), tape(20)])
    for name in ("batches", "executions", "shots", "jobs", "circuits"):
        assert executed.totals[name] == submitted.totals[name]
    assert submitted.history["job_id"] == list(handle.job_ids)


def test_shots_are_summed_over_circuits():
    tracker = qml.Tracker()
    tracker.active = True
    track(tracker, [tape(10), tape(20)], BatchMeter().record(circuits_by_tape=(3, 1)))
    assert tracker.totals["shots"] == 50
    assert tracker.totals["executions"] == 4
    assert tracker.latest["job_id"] is None
