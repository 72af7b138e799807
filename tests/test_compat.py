"""The private hooks: each one is what it was when it was read."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
from autograd import grad
from autograd.tracer import trace_stack
from support.waiting import wait_until

import pennylane_qstore
from pennylane_qstore import compat

ROOT = Path(pennylane_qstore.__file__).parent


def make_qnode(looks):
    """A QNode that calls ``looks`` while it records."""

    @qml.qnode(qml.device("default.qubit"))
    def circuit(x):
        looks.append(list(compat.stack(compat.current_frame(0))))
        qml.RX(x, wires=0)
        return qml.expval(qml.Z(0))

    return circuit


def test_a_qnode_call_is_recognised_on_the_stack():
    looks = []
    circuit = make_qnode(looks)
    circuit(0.1)
    (frames,) = looks
    assert [f.f_locals["self"] for f in frames if compat.is_qnode_call(f)] == [circuit]


def test_what_a_qnode_keeps_of_its_last_call_is_what_two_attributes_hold():
    looks = []
    circuit = make_qnode(looks)
    circuit(0.1)
    circuit(0.2)
    kept = []

    class Looking(qml.devices.DefaultQubit):
        def execute(self, circuits, execution_config=None):
            kept.extend(compat.qnode_states(list(compat.stack(compat.current_frame(0)))))
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
    state = compat.simulator_generator(device).bit_generator.state
    first, second = circuit(), circuit()
    assert first.tolist() != second.tolist()
    generator = np.random.default_rng(0)
    generator.bit_generator.state = state
    compat.set_simulator_generator(device, generator)
    assert circuit().tolist() == first.tolist()
    with pytest.raises(TypeError):
        compat.set_simulator_generator(device, 5)


def test_a_device_without_such_a_generator_has_none():
    device = qml.device("null.qubit", wires=1)
    device._rng = 5
    assert compat.simulator_generator(device) is None
    with pytest.raises(TypeError):
        compat.set_simulator_generator(device, np.random.default_rng(1))


def test_qml_execute_is_recognised_by_the_frame_that_sets_a_device_up():
    seen = []

    class Looking(qml.devices.DefaultQubit):
        def setup_execution_config(self, config=None, circuit=None):
            seen.append(compat.called_by_qml_execute(compat.current_frame(1)))
            return super().setup_execution_config(config, circuit)

    tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))])
    device = Looking()
    qml.execute([tape], device)
    assert any(seen)
    seen.clear()
    device.setup_execution_config(None, tape)
    assert seen == [False]


def test_an_optimizers_frames_are_told_by_their_module():
    seen = []

    def gradient(x):
        seen.append([compat.called_by_an_optimizer(f) for f in compat.stack(sys._getframe(0))])
        return (np.zeros_like(x),)

    qml.GradientDescentOptimizer().step(lambda x: x, np.array(0.1), grad_fn=gradient)
    assert seen[0][0] is False
    assert any(seen[0])


def test_importing_the_package_changes_nothing_global():
    """Registries, PennyLane's tensor class and the log record factory stay as they are."""
    code = """
import logging, autoray, pennylane as qml, autoray.autoray as inside
registries = [k for k in vars(inside) if k.isupper() and "CACHE" not in k]
filled_by_use = {"_FUNCS", "_DISPATCHERS", "_DTYPE_MAP"}
def state():
    return (
        {k: dict(vars(inside)[k]) for k in registries
         if isinstance(vars(inside)[k], dict) and k not in filled_by_use},
        dict(vars(qml.numpy.tensor)), logging.getLogRecordFactory(), logging.getLoggerClass(),
        dict(vars(qml.QNode)), dict(vars(qml.tape.QuantumScript)),
    )
before = state()
import pennylane_qstore
for name in pennylane_qstore.__all__:
    getattr(pennylane_qstore, name)
import pennylane_qstore.emulator, pennylane_qstore.v34, pennylane_qstore.compat
assert state() == before
qml.device("qstore.ionq", wires=1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_tensor_leaves_operations_to_a_class_it_was_taught():
    class Late:
        __array_priority__ = 1000

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return "late"

    tensor = qml.numpy.array([1.0, 2.0])
    assert tensor + tensor == pytest.approx([2, 4])
    before = qml.numpy.tensor.__array_ufunc__
    try:
        compat.teach_deferred_arrays(Late)
        assert tensor + Late() == "late"
        assert np.add(tensor, Late()) == "late"
        assert tensor + tensor == pytest.approx([2, 4])
        assert qml.math.get_interface(Late()) == "numpy"
    finally:
        qml.numpy.tensor.__array_ufunc__ = before


def test_autograds_function_is_on_the_stack_while_it_differentiates():
    seen = []

    def f(x):
        seen.append((compat.open_traces(compat.current_frame(0)), trace_stack.top))
        return x * x

    assert compat.open_traces(compat.current_frame(0)) == 0
    grad(lambda x: grad(f)(x) + f(x))(1.0)
    assert seen == [(2, 1), (1, 0)]


def test_autograd_forgets_to_take_a_trace_back_after_an_error():
    """The reason why frames are counted; should autograd mend this, ``open_traces`` may go."""
    before = trace_stack.top
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 / 0)(1.0)
    top, trace_stack.top = trace_stack.top, before
    assert top == before + 1
    assert compat.open_traces(compat.current_frame(0)) == 0


@pytest.mark.ml
def test_every_jax_mode_is_a_setting_and_a_context_manager():
    jax = pytest.importorskip("jax")
    modes = compat.jax_modes(jax)
    assert {"enable_x64", "disable_jit", "debug_nans"} <= modes.keys()
    with jax.debug_nans(not modes["debug_nans"]):
        assert compat.jax_modes(jax)["debug_nans"] is not modes["debug_nans"]


@pytest.mark.ml
def test_jax_has_a_current_trace():
    jax = pytest.importorskip("jax")
    core = compat.jax_core()
    traces = []

    def f(x):
        with core.take_current_trace() as trace:
            traces.append(trace)
        with core.set_current_trace(traces[-1]):
            return x * x

    assert jax.grad(f)(2.0) == 4.0
    assert len(traces) == 1


@pytest.mark.ml
def test_jax_compiles_in_a_frame_that_is_recognised():
    jax = pytest.importorskip("jax")
    seen = []

    def look(x):
        seen.append(any(compat.is_jax_compiling(f) for f in compat.stack(sys._getframe(0))))
        return np.asarray(x)

    def f(x):
        return jax.pure_callback(look, jax.ShapeDtypeStruct((), x.dtype), x)

    jax.jit(f).lower(1.0).compile()
    assert seen == []
    jax.jit(lambda x: (seen.append(
        any(compat.is_jax_compiling(frame) for frame in compat.stack(sys._getframe(0)))
    ), x)[1])(1.0)  # fmt: skip
    assert seen == [True]


def test_the_stack_of_another_thread():
    go = threading.Event()

    def waits_here():
        go.wait()

    thread = threading.Thread(target=waits_here)
    thread.start()
    try:
        wait_until(lambda: any(f.f_code is waits_here.__code__ for f in compat.stack_of(thread)))
    finally:
        go.set()
        thread.join()
    own = compat.stack_of(threading.current_thread())
    assert own[0].f_code is sys._getframe(0).f_code
    assert compat.stack_of(thread) == []


def test_a_thread_that_python_did_not_start_is_told():
    import _thread

    seen = []
    assert not compat.is_foreign_thread()
    _thread.start_new_thread(lambda: seen.append(compat.is_foreign_thread()), ())
    wait_until(lambda: seen)
    assert seen == [True]


def test_another_thread_is_interrupted():
    started, ended = threading.Event(), []

    def run():
        try:
            started.set()
            while True:
                sum(range(10))
        except KeyboardInterrupt:
            ended.append("KeyboardInterrupt")

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    compat.interrupt(thread)
    thread.join(timeout=60)
    assert ended == ["KeyboardInterrupt"]


def test_what_is_kept_forever_is_not_destroyed():
    code = """
from pennylane_qstore import compat
class Loud:
    def __del__(self):
        print("destroyed")
kept, dropped = Loud(), Loud()
compat.keep_forever(kept)
del kept
del dropped
"""
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "destroyed\n"


def test_the_client_imports_no_pennylane():
    code = """
import sys
import pennylane_qstore.ionq.client
print([m for m in ("pennylane", "autograd", "autoray") if m in sys.modules])
"""
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"


PRIVATE = ("_src", "_getframe", "_current_frames", "_DummyThread", "pythonapi", "_qfunc_output")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_else_uses_a_private_hook(path):
    """Private names of other libraries are imported, and looked up, in ``compat.py`` alone."""
    if path == ROOT / "compat.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not str(node.module).startswith("autograd.")
            own = str(node.module).startswith("pennylane_qstore")
            assert own or not [a.name for a in node.names if a.name.startswith("_")]
        if isinstance(node, ast.Attribute):
            assert node.attr not in PRIVATE, node.lineno
