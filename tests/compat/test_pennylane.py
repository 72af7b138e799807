"""The private hooks of PennyLane: each one is what it was when it was read."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.compat.pennylane import (
    asks_before_an_update,
    called_by_an_optimizer,
    called_by_qml_execute,
    holds_recording_lock,
    is_qnode_call,
    options_given_to,
    qnode_states,
    set_simulator_generator,
    simulator_generator,
    take_out_of_recording,
    tapes_resolved_by,
    without_told_batch,
)
from pennylane_qstore.compat.python import current_frame, stack


def make_qnode(looks):
    """A QNode that calls ``looks`` while it records."""

    @qml.qnode(qml.device("default.qubit"))
    def circuit(x):
        looks.append(list(stack(current_frame(0))))
        qml.RX(x, wires=0)
        return qml.expval(qml.Z(0))

    return circuit


def set_up_and_seen(look):
    """A device, and what ``look`` returned of each frame that set it up."""
    seen = []

    class Looking(qml.devices.DefaultQubit):
        def setup_execution_config(self, config=None, circuit=None):
            seen.append(look(current_frame(1)))
            return super().setup_execution_config(config, circuit)

    return Looking(), seen


def test_a_qnode_call_is_recognised_on_the_stack():
    looks = []
    circuit = make_qnode(looks)
    circuit(0.1)
    (frames,) = looks
    assert [f.f_locals["self"] for f in frames if is_qnode_call(f)] == [circuit]


def test_what_a_qnode_keeps_of_its_last_call_is_what_two_attributes_hold():
    looks = []
    circuit = make_qnode(looks)
    circuit(0.1)
    circuit(0.2)
    kept = []

    class Looking(qml.devices.DefaultQubit):
        def execute(self, circuits, execution_config=None):
            kept.extend(qnode_states(list(stack(current_frame(0)))))
            return super().execute(circuits, execution_config)

    looking = qml.QNode(circuit.func, Looking())
    before = {name for name in vars(looking) if vars(looking)[name] is not None}
    looking(0.3)
    ((qnode, state),) = kept
    assert qnode is looking
    assert state["_tape"].get_parameters(trainable_only=False) == [0.3]
    # Nothing else of a QNode changes with a call.
    changed = {name for name in vars(looking) if vars(looking)[name] is not None} - before
    assert changed <= set(state)


@pytest.mark.parametrize("name", ["default.qubit", "default.mixed", "reference.qubit"])
def test_a_simulator_of_pennylane_samples_with_its_generator(name):
    device = qml.device(name, wires=1, seed=1)
    circuit = qml.set_shots(
        qml.QNode(lambda: (qml.Hadamard(0), qml.sample(wires=0))[1], device), shots=50
    )
    state = simulator_generator(device).bit_generator.state
    first, second = circuit(), circuit()
    assert first.tolist() != second.tolist()
    generator = np.random.default_rng(0)
    generator.bit_generator.state = state
    set_simulator_generator(device, generator)
    assert circuit().tolist() == first.tolist()
    with pytest.raises(TypeError):
        set_simulator_generator(device, 5)


def test_a_device_without_such_a_generator_has_none():
    device = qml.device("null.qubit", wires=1)
    device._rng = 5
    assert simulator_generator(device) is None
    with pytest.raises(TypeError):
        set_simulator_generator(device, np.random.default_rng(1))


def test_qml_execute_is_recognised_by_the_frame_that_sets_a_device_up():
    tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))])
    device, seen = set_up_and_seen(called_by_qml_execute)
    qml.execute([tape], device)
    assert any(seen)
    seen.clear()
    device.setup_execution_config(None, tape)
    assert seen == [False]


def test_an_optimizers_frames_are_told_by_their_module():
    seen = []

    def gradient(x):
        seen.append([called_by_an_optimizer(f) for f in stack(sys._getframe(0))])
        return (np.zeros_like(x),)

    qml.GradientDescentOptimizer().step(lambda x: x, np.array(0.1), grad_fn=gradient)
    assert seen[0][0] is False
    assert any(seen[0])


def test_the_tapes_of_a_call_are_seen_by_who_chooses_its_configuration():
    tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))])
    device, seen = set_up_and_seen(tapes_resolved_by)
    qml.execute([tape, tape], device)
    assert [len(tapes) for tapes in seen] == [2]
    device.setup_execution_config(None, tape)
    assert seen.pop() is None


def test_a_broadcast_tape_that_does_not_tell_is_shifted_row_by_row():
    angles = np.array([0.1, 0.2])
    tape = qml.tape.QuantumScript([qml.RX(angles, 0)], [qml.expval(qml.Z(0))])
    with pytest.raises(NotImplementedError, match="4462"):
        qml.gradients.param_shift(tape)
    assert tape.batch_size == 2
    tapes, process = qml.gradients.param_shift(without_told_batch(tape))
    found = process(qml.device("default.qubit").execute(tapes))
    assert found == pytest.approx(-np.sin(angles))
    assert tape.batch_size == 2


def test_the_options_that_qml_device_holds_are_found_where_it_makes_a_device():
    held = []

    class Looking(qml.devices.DefaultQubit):
        def __init__(self, **options):
            held.extend(options_given_to(current_frame(1)))
            super().__init__(**options)

    with pytest.MonkeyPatch.context() as patch:
        entry = SimpleNamespace(load=lambda: Looking)
        patch.setitem(qml.devices.device_constructor.plugin_devices, "looking", entry)
        qml.device("looking", wires=2, seed=3)
    assert held == [{"wires": 2, "seed": 3}] * 2
    assert options_given_to(current_frame(0)) == []


def test_an_optimizer_that_asks_for_a_class_is_told_from_its_arithmetic():
    seen = []

    class Array(np.ndarray):
        @property
        def __class__(self):
            seen.append(asks_before_an_update(current_frame(1)))
            return np.ndarray

    def ask(value):
        return isinstance(value, float)

    value = np.ones(2).view(Array)
    names = {"__name__": "pennylane.optimize.some", "value": value}
    exec("isinstance(value, float)\n1.0 - value", names)
    ask(value)
    assert seen[0] is True
    assert not any(seen[1:])


def test_the_lock_of_a_recording_is_held_until_its_function_ends_paused_or_not():
    with qml.queuing.AnnotatedQueue():
        assert holds_recording_lock()
        with qml.QueuingManager.stop_recording():
            assert holds_recording_lock()
        with ThreadPoolExecutor(1) as pool:
            assert not pool.submit(holds_recording_lock).result()
    assert not holds_recording_lock()


def test_what_was_queued_to_make_a_tape_is_taken_out_of_a_recording():
    with qml.queuing.AnnotatedQueue() as queue:
        kept = qml.RX(0.1, 0)
        made = qml.tape.QuantumScript([qml.RX(0.2, 0)], [qml.expval(qml.Hermitian(np.eye(2), 0))])
        take_out_of_recording([made])
    assert queue.queue == [kept]
