"""Verbatim boxes and barriers: what is written is what is sent, and results stay."""

import contextlib
import json

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane.exceptions import DeviceError
from support.circuits import (
    SPECIAL,
    angles,
    distribution,
    marginal,
    operations,
    tape_at,
    unitary_of,
    wide_tapes,
)

import pennylane_qstore as qstore
from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError, ConfigurationError
from pennylane_qstore.native.frontend.affine_fit import program_of
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.gates import GPI, GPI2, MS, ZZ
from pennylane_qstore.native.pipeline import compile_program
from pennylane_qstore.native.verbatim import VerbatimBegin, VerbatimEnd

families = pytest.mark.parametrize("family", ["ms", "zz"])
phases = st.floats(-1, 1).map(lambda x: round(x, 3))


@st.composite
def native(draw, wires, family):
    a, b, *_ = draw(st.permutations(range(wires)))
    kind = draw(st.sampled_from([GPI, GPI2, None]))
    with qml.QueuingManager.stop_recording():
        if kind is not None:
            return kind(draw(phases), wires=a)
        if family == "zz":
            return ZZ(draw(phases), wires=[a, b])
        return MS(draw(phases), draw(phases), abs(draw(phases)) / 4, wires=[a, b])


@st.composite
def fenced(draw, family, wires=3):
    """Operations, barriers and boxes of native and of other gates."""
    some = st.lists(operations(wires), max_size=4)
    ops = list(draw(some))
    for _ in range(draw(st.integers(1, 3))):
        with qml.QueuingManager.stop_recording():
            if draw(st.booleans()):
                on = draw(st.lists(st.sampled_from(range(wires)), unique=True))
                ops.append(qml.Barrier(on))
            else:
                inner = st.one_of(native(wires, family), operations(wires))
                ops += qstore.verbatim(draw(st.lists(inner, min_size=1, max_size=4)))
        ops += draw(some)
    return ops


def compiled(ops, family="zz", **options):
    options = {"optimize_fidelity": False, **options}
    return IonQNativeGateCompiler(family, **options).compile(qml.tape.QuantumScript(ops))


def as_sent(op):
    return op.name.lower(), tuple(op.wires), tuple(float(x) for x in op.data)


def sent(device, qnode):
    tape = qml.workflow.construct_tape(qnode)()
    (request,) = device.executor.requests([tape])
    found = []
    for gate in json.loads(request.circuits[0]):
        on = gate["targets"] if "targets" in gate else [gate["target"]]
        numbers = [*gate.get("phases", []), *(gate[k] for k in ("phase", "angle") if k in gate)]
        found.append((gate["gate"], tuple(on), tuple(numbers)))
    return found


@families
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_circuits_with_boxes_and_barriers_equal_the_tape_at_every_row(family, data):
    ops = [*map(qml.Identity, range(3)), *data.draw(fenced(family))]
    wires = {i: i for i in range(3)}
    (piece,) = extract_structure(qml.tape.QuantumScript(ops), wires)
    program = program_of(piece, wires)
    measured = data.draw(st.lists(st.sampled_from(range(3)), min_size=1, unique=True))
    absorb = data.draw(st.booleans())
    template = compile_program(
        program,
        measured=measured,
        family=family,
        absorb=absorb,
        effort=None,
        verbatim=data.draw(st.booleans()) and not any(op.name in ("MS", "ZZ") for op in ops),
    )
    p = piece.parameters.shape[1]
    rng = np.random.default_rng(len(ops))
    rows = np.concatenate(
        [piece.parameters, rng.choice(SPECIAL, (3, p)), rng.uniform(-4, 4, (2, p))]
    )
    # Numbers of native gates as they were: their limits are IonQ's.
    names = [op.name for op in piece.operations for _ in op.data if op.name != "QubitUnitary"]
    keep = [i for i, name in enumerate(names) if name in ("MS", "ZZ")]
    rows[:, keep] = piece.parameters[:, keep]
    batch = template.bind(program.columns(rows))
    seen = np.concatenate([block.rows for block in batch.blocks])
    assert sorted(seen) == list(range(len(rows)))
    for block in batch.blocks:
        for row, params in zip(block.rows, block.params, strict=True):
            state = unitary_of(tape_at(piece.operations, rows[row]), 3)[:, 0]
            want = marginal(np.abs(state) ** 2, measured)
            assert np.abs(distribution(batch, block.gates, params) - want).max() < 1e-9


@families
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_native_gates_in_a_box_are_sent_as_written_and_in_order(family, data):
    box = data.draw(st.lists(native(3, family), min_size=1, max_size=8))
    some = st.lists(operations(3).filter(lambda op: op.name != "SWAP"), max_size=4)
    before, after = data.draw(some), data.draw(some)
    every = [qml.Identity(q) for q in range(3)]
    circuit = compiled([*before, *qstore.verbatim([*every, *box]), *after], family, absorb=False)
    head = compiled([*before, *qstore.verbatim([*every, GPI(0.1, 0)])], family, absorb=False)
    first = len(head.gates) - 1
    got = circuit.gates[first : first + len(box)]
    assert [(g[0], g[2]) for g in got] == [(as_sent(op)[0], as_sent(op)[2]) for op in box]


@families
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_verbatim_device_sends_the_circuit_as_written(family, data):
    box = data.draw(st.lists(native(3, family), min_size=1, max_size=8))
    dev = qml.device("qstore.ionq", wires=4, two_qubit=family, compile="verbatim")

    @qml.qnode(dev)
    def circuit():
        for op in box:
            qml.apply(op)
        return qml.probs(wires=[0, 2])

    assert sent(dev, circuit) == [as_sent(op) for op in box]


@families
def test_nothing_in_a_box_is_merged_moved_or_dropped(family):
    def gates(*ops):
        return compiled(qstore.verbatim(list(ops)), family)

    assert [g[0] for g in gates(qml.X(0), qml.X(0)).gates] == ["gpi", "gpi"]
    assert gates(qml.SX(0)).n_1q == 1
    assert gates(qml.RX(0.0, 0)).n_1q == gates(qml.RX(0.3, 0)).n_1q == 3
    assert gates(qml.RZ(0.0, 0), qml.RZ(0.3, 0)).n_1q == 4
    assert gates(qml.IsingZZ(0.0, [0, 1])).n_2q == gates(qml.IsingZZ(5.0, [0, 1])).n_2q == 1
    assert gates(qml.CNOT([0, 1]), qml.CNOT([0, 1])).n_2q == 2
    assert gates(qml.SWAP([0, 1])).n_2q == 3
    assert gates(qml.IsingZZ(0.3, [0, 1])).n_1q == (0 if family == "zz" else 4)


def test_a_box_keeps_its_gates_where_angles_before_it_are_special():
    half = np.pi / 2
    ops = [qml.RZ(half, 0), qml.IsingXX(-half, [0, 1]), qml.RZ(-half, 0), qml.RX(0.7, 1)]
    tape = qml.tape.QuantumScript([*ops, *qstore.verbatim(qml.RX(0.3, 0))])
    (piece,) = extract_structure(tape, {0: 0, 1: 1})
    program = program_of(piece, {0: 0, 1: 1})
    template = compile_program(program, measured=[0, 1], family="ms", optimize_fidelity=False)
    rows = np.repeat(piece.parameters, 2, axis=0)
    rows[1, -1] = 0.0
    batch = template.bind(program.columns(rows))
    assert len({len(block.gates) for block in batch.blocks}) == 1


def test_an_entangler_of_the_other_family_is_refused():
    with pytest.raises(CompileError, match=r"MS in a verbatim box.*ZZ"):
        compiled(qstore.verbatim([MS(0, 0, 0.1, wires=[0, 1])]), "zz")
    with pytest.raises(CompileError, match=r"ZZ in a verbatim box.*MS"):
        compiled(qstore.verbatim([ZZ(0.1, wires=[0, 1])]), "ms")
    assert compiled([MS(0, 0, 0.1, wires=[0, 1])], "zz", absorb=False).n_2q == 1


def test_angles_that_ionq_does_not_take_are_refused():
    with pytest.raises(CompileError, match=r"MS with an angle of 0.3 turns.*0 to 0.25"):
        compiled(qstore.verbatim([MS(0, 0, 0.3, wires=[0, 1])]), "ms")
    circuit = compiled(qstore.verbatim([GPI(3.25, wires=0), GPI(-1, wires=0)]))
    assert [g[2] for g in circuit.gates] == [(0.25,), (-1.0,)]


def test_a_box_in_a_box_has_wires_of_its_own():
    def circuit():
        with qstore.verbatim():
            qml.X(0)
            with qstore.verbatim():
                qml.X(1)

    ops = qml.tape.make_qscript(circuit)().operations
    assert [op.wires.tolist() for op in ops] == [[0, 1], [0], [1], [1], [1], [0, 1]]


def test_a_box_that_ends_without_a_beginning_is_refused():
    with pytest.raises(CompileError, match="has not begun"):
        compiled([qml.X(0), VerbatimEnd(0)])
    assert compiled([qml.X(0), VerbatimBegin(0), qml.X(0), qml.X(0)]).n_1q == 3


def test_options_that_do_not_go_with_it_are_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"gateset='qis'.*compile='verbatim'"):
        qml.device("qstore.ionq", wires=1, compile="verbatim", gateset="qis")
    with pytest.raises(ConfigurationError, match=r"symmetrize=True.*compile='verbatim'"):
        qml.device("qstore.ionq", wires=1, compile="verbatim", symmetrize=True)
    dev = qml.device("qstore.ionq", wires=1, symmetrize=True, noise_model="forte-1")
    boxed = qml.QNode(lambda: (qstore.verbatim(qml.X(0)), qml.probs())[1], dev, shots=10)
    with pytest.raises(DeviceError, match=r"symmetrize=True.*verbatim\(\)"):
        boxed()
    with pytest.raises(ConfigurationError, match="compile='other'"):
        qml.device("qstore.ionq", wires=1, compile="other")
    with pytest.raises(CompileError, match="quantum function"):
        qstore.verbatim([1])

    @qml.qnode(qml.device("qstore.ionq", wires=2, gateset="qis"))
    def circuit(boxed):
        qml.Barrier([0, 1])
        with qstore.verbatim() if boxed else contextlib.nullcontext():
            qml.X(0)
        return qml.probs()

    assert circuit(False) == pytest.approx([0, 0, 1, 0])
    with pytest.raises(CompileError, match=r"verbatim.*needs gateset='native'"):
        circuit(True)
    dev = qml.device("qstore.ionq", wires=1, compile="verbatim")
    with dev.executor.job_scope(gateset="qis"), pytest.raises(CompileError, match="verbatim"):
        qml.QNode(lambda: qml.probs(), dev)()


def body(x, weights):
    GPI2(0.1, wires=0)
    ZZ(x / 20, wires=[0, 1])
    qml.StronglyEntanglingLayers(weights, wires=[0, 1])
    qml.CRX(x, [1, 0])


WEIGHTS = np.linspace(-2, 3, 6).reshape(1, 2, 3)
WAYS = {
    "context": lambda x, w: _with(body, x, w),
    "function": lambda x, w: qstore.verbatim(body)(x, w),
    "operation": lambda x, w: qstore.verbatim(qml.RX(x, 0)),
    "operations": lambda x, w: qstore.verbatim([qml.RX(x, 0), GPI(0.2, wires=1)]),
    "adjoint": lambda x, w: qml.adjoint(qstore.verbatim(body))(x, w),
    "adjoint inside": lambda x, w: qstore.verbatim(qml.adjoint(body))(x, w),
    "controlled": lambda x, w: qml.ctrl(qstore.verbatim(qml.CRX), 2)(x, [1, 0]),
    "nested": lambda x, w: qstore.verbatim(qstore.verbatim(body))(x, w),
    "empty": lambda x, w: qstore.verbatim(lambda: None)(),
}


def _with(function, *args):
    with qstore.verbatim():
        function(*args)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("option", ["optimize", "verbatim"])
def test_values_and_gradients_are_those_of_default_qubit(way, option):
    def circuit(x, w):
        qml.H(0)
        qml.H(2)
        qml.RY(x, 1)
        way(x, w)
        qml.RX(x, 1)
        return qml.expval(qml.X(0) @ qml.Y(1) + qml.Z(0))

    ours = qml.QNode(circuit, qml.device("qstore.ionq", wires=3, compile=option))
    theirs = qml.QNode(circuit, qml.device("default.qubit"), diff_method="parameter-shift")
    x, w = qml.numpy.array(0.7), qml.numpy.array(WEIGHTS)
    assert ours(x, w) == pytest.approx(theirs(x, w), abs=1e-9)
    got, want = qml.grad(ours)(x, w), qml.grad(theirs)(x, w)
    assert np.allclose(got[0], want[0], atol=1e-8)
    assert np.allclose(got[1], want[1], atol=1e-8)
    rows = np.array([0.3, 0.0, np.pi, -4.0])
    assert np.allclose(ours(rows, WEIGHTS), theirs(rows, WEIGHTS), atol=1e-9)
    with qstore.deferred():
        values = [ours(r, WEIGHTS) for r in rows]
    assert np.allclose(values, theirs(rows, WEIGHTS), atol=1e-9)


def test_the_queue_has_the_operations_once():
    with qml.queuing.AnnotatedQueue() as queue:
        op = qml.X(0)
        qstore.verbatim(op)
        with qstore.verbatim():
            qml.adjoint(qml.T(1))
    names = [op.name for op in queue.queue]
    assert names == [
        *("VerbatimBegin", "PauliX", "VerbatimEnd"),
        *("VerbatimBegin", "Adjoint(T)", "VerbatimEnd"),
    ]
    assert [op.wires.tolist() for op in queue.queue] == [[0]] * 3 + [[1]] * 3


@settings(max_examples=20, deadline=None)
@given(made=wide_tapes(max_wires=3, max_operations=3), x=angles)
def test_a_box_takes_every_operation(made, x):
    tape, n = made
    ops = [qml.RX(x, 0), *tape.operations, qml.RY(x, 1)]
    ops = [op for op in ops if op.name not in ("MS", "ZZ", "Adjoint(MS)")]
    want = np.abs(unitary_of(qml.tape.QuantumScript(ops), n)[:, 0]) ** 2
    circuit = compiled([*map(qml.Identity, range(n)), *qstore.verbatim(ops)], absorb=False)
    gates = [(name, on) for name, on, _ in circuit.gates]
    params = [p for _, _, ps in circuit.gates for p in ps]
    assert np.abs(distribution(circuit, gates, params) - want).max() < 1e-9
