"""Cooperative tasks: who runs when, what is sent together, and how it all ends."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import signal
import sys
import threading
import time
from contextlib import nullcontext

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice
from support.threads import in_threads

from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.deferral import tasks, turns
from pennylane_qstore.deferral.thread_modes import ThreadModes
from pennylane_qstore.errors import InvalidResponse, JobFailed, QStoreError
from pennylane_qstore.training.spsa import SPSAOptimizer

X = 0.3


@pytest.fixture
def dev():
    return CountingDevice(wires=2)


@pytest.fixture
def circuit(dev):
    @qml.qnode(dev)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    return circuit


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    # Of the process, from the first device on:
    service = ("qstore-emulator", "qstore-ionq", "qstore-ledger")
    left = {t for t in threading.enumerate() if not t.name.startswith(service)}
    assert left <= before
    assert tasks._running is None
    assert turns.turn_lock().is_free


def test_tasks_waiting_at_the_same_time_share_a_batch(dev, circuit):
    values = deferred.run_tasks(*(lambda x=x: circuit(x) for x in (0.1, 0.2, 0.3)))
    assert values == pytest.approx(np.cos([0.1, 0.2, 0.3]), abs=1e-12)
    assert dev.posts == [3]


def test_loops_advance_in_step(dev, circuit):
    def loop(x):
        return sum(float(circuit(x * i)) for i in range(4))

    values = deferred.run_tasks(lambda: loop(0.1), lambda: loop(0.2))
    assert dev.posts == [2, 2, 2, 2]
    assert values == pytest.approx([sum(np.cos(x * i) for i in range(4)) for x in (0.1, 0.2)])


def test_only_one_task_runs_at_a_time_and_in_order(circuit):
    seen = []

    def task(name):
        seen.append((name, "start"))
        time.sleep(0.001)
        circuit(X)
        seen.append((name, "end"))

    deferred.run_tasks(*(lambda n=n: task(n) for n in "abc"))
    assert seen == [(n, when) for when in ("start", "end") for n in "abc"]


def test_tasks_of_different_length_share_what_they_can(dev, circuit):
    def loop(n):
        for _ in range(n):
            circuit(X)

    deferred.run_tasks(lambda: loop(1), lambda: loop(3), lambda: loop(2))
    assert dev.posts == [3, 2, 1]


def test_no_tasks_no_values():
    assert deferred.run_tasks() == []


def test_inner_session_hands_its_circuits_to_the_outer_one(dev, circuit):
    def inner(x):
        return sum(deferred.run_tasks(lambda: circuit(x), lambda: circuit(2 * x)))

    values = deferred.run_tasks(lambda: inner(0.1), lambda: inner(0.2), lambda: circuit(0.5))
    assert dev.posts == [5]
    assert values[0] == pytest.approx(np.cos(0.1) + np.cos(0.2))
    assert values[2] == pytest.approx(np.cos(0.5))


def _gathered(dev, circuit):
    return deferred.gather(dev, lambda: circuit(X), lambda: circuit(2 * X))


def _gathered_in_a_pause(dev, circuit):
    with qml.QueuingManager.stop_recording():
        return _gathered(dev, circuit)


def _gathered_outside(dev, circuit):
    return deferred.gather(dev, lambda: _inside(dev, circuit), lambda: _inside(dev, circuit))[0]


def _inside(dev, circuit):
    with qml.queuing.AnnotatedQueue(), qml.QueuingManager.stop_recording():
        return [circuit(X), circuit(2 * X)]


@pytest.mark.parametrize("gathered", [_gathered, _gathered_in_a_pause, _gathered_outside])
def test_tasks_in_a_quantum_function_do_not_wait_for_its_end(dev, circuit, gathered):
    """PennyLane holds a lock while it records; a task in another thread would wait for ever."""
    found = []

    def record():
        with qml.queuing.AnnotatedQueue() if gathered is not _gathered_outside else nullcontext():
            found.extend(gathered(dev, circuit))

    thread = threading.Thread(target=record, daemon=True)
    thread.start()
    thread.join(60)
    np.testing.assert_allclose(found, np.cos([X, 2 * X]))


def test_each_device_gets_a_batch_of_its_own(dev, circuit):
    other = CountingDevice(wires=1)

    @qml.qnode(other)
    def second(x):
        qml.RY(x, 0)
        return qml.expval(qml.X(0))

    values = deferred.run_tasks(*(lambda f=f: f(X) for f in (circuit, second, circuit, second)))
    assert (dev.posts, other.posts) == ([2], [2])
    assert values == pytest.approx([np.cos(X), np.sin(X)] * 2)


def test_each_configuration_gets_a_batch_of_its_own(dev):
    def call(options):
        tape = qml.tape.QuantumScript([qml.RX(X, 0)], [qml.expval(qml.Z(0))])
        config = qml.devices.ExecutionConfig(device_options=options)
        return dev.execute((tape,), execution_config=config)[0]

    options = [{"a": 1}, {"a": 2}, {"a": 1}, {"a": [3]}]
    deferred.run_tasks(*(lambda o=o: call(o) for o in options))
    assert dev.posts == [2, 1, 1]


def test_interfaces_and_gradient_methods_do_not_split_a_batch(dev):
    @qml.qnode(dev, diff_method=None)
    def plain(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    @qml.qnode(dev, diff_method="parameter-shift")
    def other(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    deferred.run_tasks(lambda: plain(X), lambda: other(qml.numpy.array(X)))
    assert dev.posts == [2]


def test_more_tasks_than_may_wait_are_sent_in_waves(dev, circuit, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PARKED", 4)
    values = deferred.run_tasks(*(lambda i=i: circuit(i) for i in range(10)))
    assert values == pytest.approx(np.cos(range(10)))
    assert dev.posts == [4, 4, 2]


def test_qnode_whose_output_differs_from_call_to_call_keeps_each_output(dev):
    @qml.qnode(dev)
    def circuit(x, both):
        qml.RX(x, 0)
        if both:
            return {"z": qml.expval(qml.Z(0)), "y": qml.expval(qml.Y(0))}
        return qml.expval(qml.Z(0))

    one, two = deferred.run_tasks(lambda: circuit(X, True), lambda: circuit(X, False))
    assert set(one) == {"z", "y"}
    assert two == pytest.approx(np.cos(X))


def test_context_variables_are_inherited_and_changes_stay_inside(circuit):
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(1)

    def task(value):
        assert variable.get() == 1
        variable.set(value)
        circuit(X)
        return variable.get()

    with np.errstate(divide="raise"):
        assert deferred.run_tasks(lambda: task(2), lambda: task(3)) == [2, 3]
        with pytest.raises(FloatingPointError):
            deferred.run_tasks(lambda: np.float64(1) / np.float64(0))
    assert variable.get() == 1


def test_second_derivatives_in_tasks_are_not_confused():
    dev = CountingDevice(wires=1)

    @qml.qnode(dev, diff_method="parameter-shift", max_diff=2)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    x = qml.numpy.array(X)
    second = qml.grad(qml.grad(circuit))
    short = qml.grad(circuit)
    values = deferred.run_tasks(lambda: second(x), lambda: short(x), lambda: second(2 * x))
    assert values == pytest.approx([-np.cos(X), -np.sin(X), -np.cos(2 * X)])


@pytest.mark.ml
@pytest.mark.parametrize(
    ("mode", "look"),
    [
        (lambda t: t.no_grad(), lambda t: t.is_grad_enabled()),
        (lambda t: t.inference_mode(), lambda t: t.is_inference_mode_enabled()),
        (lambda t: t.device("meta"), lambda t: t.ones(1).device),
        (lambda t: t.autocast("cpu", dtype=t.bfloat16), lambda t: (t.ones(1, 1) @ t.ones(1)).dtype),
    ],
    ids=["no_grad", "inference", "default device", "autocast"],
)
def test_modes_of_torch_are_inherited(mode, look):
    torch = pytest.importorskip("torch")
    plain = look(torch)
    with mode(torch):
        assert deferred.run_tasks(lambda: look(torch)) == [look(torch)] != [plain]
    assert deferred.run_tasks(lambda: look(torch)) == [plain]


@pytest.mark.ml
@pytest.mark.parametrize(
    ("mode", "value"),
    [
        *(("enable_x64", value) for value in (True, False)),
        ("default_matmul_precision", "float32"),
        ("numpy_dtype_promotion", "strict"),
        ("numpy_rank_promotion", "raise"),
        ("default_prng_impl", "rbg"),
        ("debug_infs", True),
    ],
)
def test_modes_of_jax_are_inherited(mode, value):
    jax = pytest.importorskip("jax")

    def look():
        return getattr(jax.config, f"jax_{mode}"), jax.numpy.ones(1).dtype

    with getattr(jax, mode)(value):
        wanted = look()
        assert deferred.run_tasks(look, look) == [wanted, wanted]


@pytest.mark.ml
def test_jitted_function_compiles_alone_and_shares_batches_from_then_on():
    jax = pytest.importorskip("jax")
    dev = CountingDevice(wires=1)

    @jax.jit
    @qml.qnode(dev)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    for posts in ([1, 2], [3]):
        del dev.posts[:]
        values = deferred.run_tasks(*(lambda x=x: circuit(x) for x in (0.1, 0.2, 0.3)))
        np.testing.assert_allclose(values, np.cos([0.1, 0.2, 0.3]), atol=1e-6)
        assert dev.posts == posts


# --------------------------------------------------------------------------- errors


def test_error_of_user_code_is_raised_and_nothing_more_is_sent(dev, circuit):
    cleaned = []

    def waits():
        try:
            circuit(X)
        finally:
            cleaned.append(True)

    def fails():
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        deferred.run_tasks(waits, fails, waits)
    assert dev.posts == []
    assert cleaned == [True]
    assert any(entry.name == "fails" for entry in caught.traceback)


def test_task_that_is_ended_executes_nothing_more(dev, circuit):
    seen = []

    def waits():
        try:
            circuit(X)
        finally:
            try:
                circuit(X)
            except tasks.TaskCancelled:
                seen.append("refused")
                raise

    with pytest.raises(ZeroDivisionError):
        deferred.run_tasks(waits, lambda: 1 / 0)
    assert dev.posts == []
    assert seen == ["refused"]


def test_device_error_reaches_the_frame_that_called(dev, circuit):
    def fail(_):
        raise JobFailed("no ions", job_ids=["j1"])

    dev.fail = fail

    def handles():
        try:
            return circuit(X)
        except JobFailed as error:
            return error.job_ids

    assert deferred.run_tasks(handles, handles) == [("j1",), ("j1",)]
    with pytest.raises(JobFailed, match="no ions") as caught:
        deferred.run_tasks(handles, lambda: circuit(X))
    assert caught.value.job_ids == ("j1",)


def test_error_of_one_device_leaves_the_others_alone(dev, circuit):
    broken = CountingDevice(wires=1, fail=lambda _: 1 / 0)

    @qml.qnode(broken)
    def other(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    def handles():
        with pytest.raises(ZeroDivisionError):
            other(X)
        return "handled"

    assert deferred.run_tasks(handles, lambda: circuit(X)) == ["handled", pytest.approx(np.cos(X))]


def test_wrong_number_of_results_is_refused(circuit, dev):
    dev.run = lambda circuits, tracker: (1.0,)
    with pytest.raises(InvalidResponse, match="1 results for a batch of 2"):
        deferred.run_tasks(lambda: circuit(X), lambda: circuit(X))


# --------------------------------------------------------------------------- Ctrl-C


def press_ctrl_c():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def compute():
    # A function of its own: a handler around the loop itself is passed over by Python 3.13
    # (https://github.com/python/cpython/issues/130279), with tasks or without.
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pass


def test_ctrl_c_while_waiting_for_the_service_ends_all_tasks(dev, circuit):
    cleaned = []
    dev.fail = lambda _: (press_ctrl_c(), time.sleep(5))

    def waits():
        try:
            circuit(X)
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        deferred.run_tasks(waits, waits)
    assert cleaned == [True, True]


def test_ctrl_c_while_a_task_computes_ends_all_tasks(circuit):
    ended = []

    def waits():
        try:
            circuit(X)
        finally:
            ended.append("waits")

    def computes():
        try:
            press_ctrl_c()
            compute()
            ended.append("never interrupted")
        except KeyboardInterrupt:
            ended.append("interrupted")
            raise

    with pytest.raises(KeyboardInterrupt):
        deferred.run_tasks(waits, computes, waits)
    assert sorted(ended) == ["interrupted", "waits"]


def test_ctrl_c_reaches_a_task_of_an_inner_session(circuit):
    ended = []

    def computes():
        try:
            press_ctrl_c()
            compute()
            ended.append("never interrupted")
        except KeyboardInterrupt:
            ended.append("interrupted")
            raise

    with pytest.raises(KeyboardInterrupt):
        deferred.run_tasks(lambda: deferred.run_tasks(lambda: circuit(X), computes))
    assert ended == ["interrupted"]


# --------------------------------------------------------------------------- other threads


def test_works_inside_a_running_event_loop(dev, circuit):
    async def main():
        return deferred.run_tasks(lambda: circuit(X), lambda: circuit(X))

    assert asyncio.run(main()) == pytest.approx([np.cos(X)] * 2)
    assert dev.posts == [2]


def test_sessions_in_two_threads_are_kept_apart():
    """Both run, never at the same time, and no circuit lands in the other's batch."""
    results, batches = {}, {}

    def train(n):
        dev = CountingDevice(wires=1)

        @qml.qnode(dev)
        def circuit(x):
            qml.RX(x, 0)
            return qml.expval(qml.Z(0))

        for _ in range(10):
            results[f"t{n}"] = deferred.run_tasks(*(lambda i=i: circuit(n * i) for i in range(n)))
        batches[f"t{n}"] = dev.posts

    in_threads(train, (2, 3))
    assert batches == {"t2": [2] * 10, "t3": [3] * 10}
    assert results["t3"] == pytest.approx(np.cos([0, 3, 6]))


@pytest.mark.parametrize(
    "run",
    [
        lambda cost: deferred.run_tasks(lambda: cost(X), lambda: cost(2 * X)),
        lambda cost: deferred.evaluate(lambda: cost(X)),
        lambda cost: deferred.evaluate(lambda: float(cost(X)), lazy=False),
        lambda cost: deferred.run_tasks(lambda: deferred.evaluate(lambda: cost(X))),
        lambda cost: in_scope(lambda: float(cost(X))),
        lambda cost: in_scope(lambda: cost(X)),
        lambda cost: SPSAOptimizer(maxiter=10).step(cost, np.array(X)),
    ],
    ids=["tasks", "evaluate", "not lazy", "nested", "looked at", "end of scope", "optimizer"],
)
def test_circuits_are_recorded_and_compiled_in_turn_only(dev, circuit, run):
    """Any thread but this one has to wait: PennyLane records into one queue per process."""
    others = []

    def compile_(_):
        thread = threading.Thread(target=lambda: others.append(turns.turn_lock().is_free))
        thread.start()
        thread.join(30)

    dev.fail = compile_
    run(lambda x: circuit(x) + circuit(2 * x))
    assert others
    assert not any(others)


def in_scope(look):
    with deferred.deferred():
        look()


@pytest.fixture
def busy_threads():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def ours(cost, w):
    opt = SPSAOptimizer(maxiter=10, seed=1)
    for _ in range(6):
        w = opt.step(cost, w)
    return w


def by_hand(cost, w):
    for _ in range(4):
        with deferred.deferred():
            w = w - 0.1 * (cost(w + 0.1) - cost(w - 0.1))
    return w


@pytest.mark.parametrize("train", [ours, by_hand])
def test_threads_that_train_at_the_same_time_train_as_if_alone(busy_threads, train):
    """Every step has a new structure: circuits are recorded and compiled all the time."""

    def run(start):
        calls = itertools.count()

        @qml.qnode(qml.device("qstore.ionq", wires=2, cache=False))
        def circuit(x, w, layers):
            for _ in range(1 + layers % 5):
                qml.Hadamard(0)
                qml.CRX(x, wires=[0, 1])
            qml.StronglyEntanglingLayers(w * np.ones((1, 2, 3)), wires=range(2))
            return qml.expval(qml.Z(0) @ qml.Z(1)), qml.expval(qml.X(0))

        def cost(w):
            layers = next(calls)
            return sum(sum(circuit(x, w, layers)) for x in (0.1, 0.2, 0.3))

        return train(cost, np.array(start))

    wanted = {start: run(start) for start in (0.1, 0.2, 0.3)}
    found = {}
    threads = [
        threading.Thread(target=lambda s=start: found.update({s: run(s)}), daemon=True)
        for start in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found.keys() == wanted.keys()
    for start, w in wanted.items():
        np.testing.assert_allclose(found[start], w, atol=1e-12)


def test_while_one_thread_waits_for_the_service_another_has_its_turn():
    """Both wait at the same time, or neither would ever come back."""
    both = threading.Barrier(2)
    results = {}

    def wait(_):
        with turns.waiting():
            both.wait(30)

    def train(x):
        dev = CountingDevice(wires=1, fail=wait)

        @qml.qnode(dev)
        def circuit(x):
            qml.RX(x, 0)
            return qml.expval(qml.Z(0))

        with deferred.deferred():
            results[x] = deferred.run_tasks(lambda: circuit(x), lambda: circuit(2 * x))

    in_threads(train, (0.1, 0.2))
    assert results == {x: pytest.approx(np.cos([x, 2 * x])) for x in (0.1, 0.2)}


@pytest.mark.parametrize(
    ("options", "others_go_on"),
    [
        ({"backend": "simulator"}, True),
        ({"backend": "simulator", "run": "mine"}, False),
        ({"backend": "simulator", "budget_usd": 5.0}, False),
        ({}, False),
    ],
    ids=["service", "named run", "budget", "embedded emulator"],
)
def test_others_go_on_while_a_device_waits_unless_batches_have_an_order(
    options, others_go_on, tmp_path
):
    url = qml.device("qstore.ionq", wires=1).emulator.url
    if options:
        options = {**options, "api_key": "key", "base_url": url, "ledger": tmp_path / "ledger"}
    dev = qml.device("qstore.ionq", wires=1, **options)

    @qml.qnode(dev)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    free, send = [], dev.executor.fallback.send

    def watched(requests, meter, **options):
        free.append(turns.turn_lock().is_free)
        return send(requests, meter, **options)

    dev.executor.fallback.send = watched
    assert deferred.run_tasks(lambda: circuit(X)) == [pytest.approx(np.cos(X))]
    assert free == [others_go_on]


def test_thread_whose_turn_never_comes_is_told_why(dev, circuit, monkeypatch):
    monkeypatch.setattr(turns, "TIMEOUT_S", 0.05)
    told = []

    def step():
        try:
            deferred.run_tasks(lambda: circuit(X))
        except QStoreError as error:
            told.append(str(error))

    def task():
        thread = threading.Thread(target=step)
        thread.start()
        thread.join(30)  # for one that waits for this one
        return circuit(X)

    assert deferred.run_tasks(task) == [pytest.approx(np.cos(X))]
    (message,) = told
    assert "the other one waits for this one" in message
    assert dev.posts == [1]


def test_results_that_were_paid_for_are_named_if_the_turn_does_not_come_back(tmp_path, monkeypatch):
    url = qml.device("qstore.ionq", wires=1).emulator.url
    dev = qml.device(
        "qstore.ionq",
        wires=1,
        backend="simulator",
        api_key="key",
        base_url=url,
        ledger=tmp_path / "ledger",
    )
    circuit = qml.QNode(lambda x: (qml.RX(x, 0), qml.expval(qml.Z(0)))[1], dev)
    taken, over = threading.Event(), threading.Event()
    send = dev.executor.fallback.send

    def hold():
        with deferred.deferred():
            taken.set()
            over.wait(30)

    other = threading.Thread(target=hold)

    def interrupted(requests, meter, **options):
        found = send(requests, meter, **options)
        other.start()
        taken.wait(30)
        monkeypatch.setattr(turns, "TIMEOUT_S", 0.01)
        return found

    dev.executor.fallback.send = interrupted
    try:
        with pytest.raises(QStoreError, match="in the middle of a step") as late:
            deferred.run_tasks(lambda: circuit(X))
    finally:
        over.set()
        other.join(30)
    assert late.value.job_ids


def test_thread_waits_as_long_as_the_other_one_waits_for_a_service_in_this_process(
    dev, circuit, monkeypatch
):
    monkeypatch.setattr(turns, "TIMEOUT_S", 0.01)
    order, threads = [], []

    def step():
        deferred.run_tasks(lambda: order.append("second"))

    def serve(_):
        with turns.waiting(keep=True):
            threads.append(threading.Thread(target=step))
            threads[0].start()
            threads[0].join(0.1)
            monkeypatch.setattr(turns, "TIMEOUT_S", 60.0)  # what is left of the step may take time
            threads[0].join(0.2)
            order.append("first")

    dev.fail = serve
    deferred.run_tasks(lambda: circuit(X))
    threads[0].join(30)
    assert order == ["first", "second"]


def test_thread_that_a_task_starts_sends_for_itself(dev, circuit):
    """It has no part in the session: no waiting for tasks, no place in their batch."""

    def task():
        values = []
        thread = threading.Thread(target=lambda: values.append(circuit(X)))
        thread.start()
        thread.join(30)
        return values[0]

    assert deferred.run_tasks(task, lambda: circuit(X)) == pytest.approx([np.cos(X)] * 2)
    assert dev.posts == [1, 1]


def test_circuit_called_while_another_is_recorded_is_sent_at_once(dev, circuit):
    @qml.qnode(qml.device("default.qubit", wires=1))
    def outer(x):
        qml.RX(circuit.device.execute(_tape(x)), 0)
        return qml.expval(qml.Z(0))

    def _tape(x):
        with qml.QueuingManager.stop_recording():
            return qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))])

    values = deferred.run_tasks(lambda: outer(X), lambda: outer(2 * X))
    assert values == pytest.approx(np.cos(np.cos([X, 2 * X])))
    assert dev.posts == [1, 1]


def test_an_interrupt_that_python_drops_is_repeated(monkeypatch):
    begun, interrupts, interrupt = threading.Event(), [], tasks.interrupt

    def compute():
        begun.set()
        while True:
            pass

    def dropped_at_first(thread):
        interrupts.append(thread)
        if len(interrupts) > 1:
            interrupt(thread)

    monkeypatch.setattr(tasks, "_INTERRUPT_AGAIN_S", 0.01)
    monkeypatch.setattr(tasks, "interrupt", dropped_at_first)
    task = tasks.Task(compute, "busy", ThreadModes())
    driver = threading.Thread(target=task.resume)
    driver.start()
    begun.wait(30)
    task.cancel()
    driver.join()
    assert task.done
    assert len(interrupts) > 1
