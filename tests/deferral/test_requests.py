"""Requests: grouped into few batches, each with what it would have had by itself."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from pennylane.devices import ExecutionConfig, MCMConfig

from pennylane_qstore.deferral.requests import DEFERRED, Request, send_all
from pennylane_qstore.errors import InvalidResponse, JobFailed, QStoreError


class Device:
    """Executes a tape to its first parameter; notes each batch."""

    name, tracker = "noting", None

    def __init__(self, fail=None):
        self.batches, self.fail, self.executor = [], fail, self

    def run(self, circuits, tracker):
        self.batches.append(len(circuits))
        if self.fail is not None:
            raise self.fail
        return tuple(c.get_parameters(trainable_only=False)[0] for c in circuits)


def request(device, *angles, config=None, origin=None):
    tapes = tuple(qml.tape.QuantumScript([qml.RX(a, 0)], [qml.expval(qml.Z(0))]) for a in angles)
    return Request(device, tapes, config, origin)


def test_requests_of_one_device_travel_in_one_batch():
    device = Device()
    first, second = request(device, 0.1, 0.2), request(device, 0.3)
    send_all([first, second])
    assert device.batches == [3]
    assert first.result() == (0.1, 0.2)
    assert second.result() == (0.3,)


def test_each_device_gets_a_batch_of_its_own():
    one, other = Device(), Device()
    send_all([request(one, 0.1), request(other, 0.2), request(one, 0.3)])
    assert one.batches == [2]
    assert other.batches == [1]


def test_interface_and_marks_of_deferral_part_no_batch_but_the_mcm_method_does():
    device = Device()
    configs = [
        ExecutionConfig(interface="autograd", device_options={DEFERRED: "autograd"}),
        ExecutionConfig(interface="numpy", device_options={}),
        ExecutionConfig(mcm_config=MCMConfig(postselect_mode="fill-shots")),
    ]
    send_all([request(device, 0.1, config=config) for config in configs])
    assert sorted(device.batches) == [1, 2]


def test_arrays_are_taken_as_they_are_when_asked_for():
    device, angle = Device(), np.array(0.1)
    waiting = request(device, angle)
    angle[...] = 5.0
    send_all([waiting])
    assert waiting.result() == (0.1,)


def test_an_error_is_raised_to_each_as_a_copy_with_its_own_call():
    device = Device(JobFailed("no ions", job_ids=["j"]))
    first, second = request(device, 0.1, origin="QNode 'a'"), request(device, 0.2)
    send_all([first, second])
    with pytest.raises(JobFailed, match="no ions") as one:
        first.result()
    with pytest.raises(JobFailed, match="no ions") as other:
        second.result()
    assert one.value is not other.value
    assert one.value.job_ids == ("j",)
    assert one.value.__notes__ == ["In QNode 'a'."]
    assert not hasattr(other.value, "__notes__") or other.value.__notes__ == []


def test_what_arrived_is_shared_out_and_only_the_rest_fails():
    error = JobFailed("one circuit", tape_results=(1.0, 2.0, None), failed_tapes=[2])
    device = Device(error)
    whole, partial = request(device, 0.1), request(device, 0.2, 0.3)
    send_all([whole, partial])
    assert whole.result() == (1.0,)
    with pytest.raises(JobFailed) as caught:
        partial.result()
    assert caught.value.details["tape_results"] == (2.0, None)
    assert caught.value.details["failed_tapes"] == [1]


def test_a_batch_refused_for_one_circuit_names_that_call():
    device = Device(JobFailed("bad", refused_tape=1))
    first, second = (request(device, 0.1, origin=f"QNode {n!r}") for n in "ab")
    send_all([first, second])
    with pytest.raises(JobFailed) as caught:
        first.result()
    assert caught.value.__notes__ == ["In QNode 'b', call 2 of 2."]


def test_a_refused_circuit_of_a_call_with_several_names_the_call():
    device = Device(JobFailed("bad", refused_tape=3))
    calls = [request(device, 0.1), request(device, 0.2, 0.3), request(device, 0.4, 0.5)]
    send_all(calls)
    with pytest.raises(JobFailed) as caught:
        calls[0].result()
    assert caught.value.__notes__ == ["In call 3 of 3."]


def test_a_device_that_returns_too_few_results_is_refused():
    device = Device()
    device.run = lambda circuits, tracker: (1.0,)
    broken = request(device, 0.1, 0.2)
    send_all([broken])
    with pytest.raises(InvalidResponse, match="returned 1 results for a batch of 2"):
        broken.result()


def test_ctrl_c_leaves_nobody_waiting():
    device = Device(KeyboardInterrupt())
    first, second = request(device, 0.1), request(Device(), 0.2)
    with pytest.raises(KeyboardInterrupt):
        send_all([first, second])
    with pytest.raises(QStoreError, match="KeyboardInterrupt was raised before"):
        first.result()
    assert second.finished
