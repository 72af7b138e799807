"""The compiler's public face: measurements, options, dictionaries, figures, statistics."""

import functools
import math
import warnings

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import distribution, run, tapes, zero

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError, ConfigurationError, QStoreEfficiencyWarning
from pennylane_qstore.native.pipeline import _warn_of_time
from pennylane_qstore.native.transform import compile_native

families = pytest.mark.parametrize("family", ["ms", "zz"])
rng = np.random.default_rng(11)
SEL = qml.StronglyEntanglingLayers(rng.uniform(-3, 3, (2, 4, 3)), range(4))


def outcomes(circuit):
    gates = [(name, on) for name, on, _ in circuit.gates]
    params = [p for _, _, ps in circuit.gates for p in ps]
    return distribution(circuit, gates, params)


def exact(tape):
    (result,) = qml.execute([tape], qml.device("default.qubit"))
    return result


def toffolis():
    ops = [qml.Hadamard(q) for q in range(4)]
    for on in ([0, 1, 2], [3, 1, 0]):
        ops += qml.Toffoli(on).decomposition()
    return qml.tape.QuantumScript(ops, [qml.probs(wires=range(4))])


@functools.cache
def toffolis_by(family, absorb, depth, fidelity):
    """Compiled once by each choice of options: searching takes seconds."""
    return IonQNativeGateCompiler(family, absorb, depth, fidelity).compile(toffolis())


@families
@settings(max_examples=40, deadline=None)
@given(made=tapes(max_wires=3, max_operations=10), word=st.text("IXYZ", min_size=3, max_size=3))
def test_pauli_words_are_turned_to_z(family, made, word):
    tape, n = made
    labels = [q for q in range(n) if word[q] != "I"]
    ops = [*map(qml.Identity, range(n)), *tape.operations]
    observable = qml.prod(*(getattr(qml, word[q])(q) for q in labels)) if labels else qml.Z(0)
    tape = qml.tape.QuantumScript(ops, [qml.expval(observable)])
    circuit = IonQNativeGateCompiler(family).compile(tape)
    weights = outcomes(circuit)
    parity = np.array([(-1) ** bin(i).count("1") for i in range(len(weights))])
    want = exact(tape)
    assert weights @ parity == pytest.approx(want, abs=1e-9)


def test_words_may_share_one_basis_qubit_by_qubit():
    measurements = [qml.expval(qml.X(0) @ qml.Z(1)), qml.var(2 * qml.X(0)), qml.probs(wires=1)]
    circuit = IonQNativeGateCompiler().compile(
        qml.tape.QuantumScript([qml.Hadamard(0)], measurements)
    )
    assert outcomes(circuit) == pytest.approx([1, 0, 0, 0])
    hamiltonian = qml.expval(qml.X(0) + 0.5 * qml.Y(1))
    IonQNativeGateCompiler().compile(qml.tape.QuantumScript([qml.Hadamard(0)], [hamiltonian]))


def test_a_broadcast_tape_is_refused():
    with pytest.raises(CompileError, match="broadcast"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([qml.RX([0.1, 0.2], 0)]))


@pytest.mark.parametrize("operations", [[], [qml.Snapshot("here")]])
@pytest.mark.parametrize("absorb", [True, False])
def test_a_tape_without_wires_is_refused(operations, absorb):
    with pytest.raises(CompileError, match="on no wire"):
        IonQNativeGateCompiler(absorb=absorb).compile(qml.tape.QuantumScript(operations))


@pytest.mark.ml
def test_parameters_of_every_interface_are_constants():
    def compiled(x):
        ops = [qml.RX(x, 0), qml.PauliRot(x, "XY", [0, 1])]
        return IonQNativeGateCompiler(optimize_fidelity=False).compile(qml.tape.QuantumScript(ops))

    want = compiled(0.25)
    assert compiled(qml.numpy.array(0.25, requires_grad=True)) == want
    qml.grad(lambda x: x * len(compiled(x).gates))(qml.numpy.array(0.25, requires_grad=True))
    torch = pytest.importorskip("torch")
    assert compiled(torch.tensor(0.25, requires_grad=True)) == want
    assert compiled(torch.nn.Parameter(torch.tensor(0.25))) == want


@pytest.mark.ml
@pytest.mark.parametrize("compiled", ["compile", "compile_native"])
def test_what_jax_traces_is_refused(compiled):
    jax = pytest.importorskip("jax")

    def cost(x):
        tape = qml.tape.QuantumScript([qml.RX(x, "a")], [qml.probs(wires="a")])
        if compiled == "compile":
            return IonQNativeGateCompiler().compile(tape).n_1q
        return len(compile_native(tape)[0][0].operations)

    for trace in (jax.jit, jax.grad):
        with pytest.raises(CompileError, match=r"RX on wires \['a'\].*trace"):
            trace(cost)(0.3)


@families
def test_optimize_fidelity_finds_fewer_entanglers_with_no_more_pulses(family):
    for absorb in (True, False):
        plain, searched = (toffolis_by(family, absorb, True, flag) for flag in (False, True))
        assert searched.n_2q < plain.n_2q
        assert searched.entangling < plain.entangling
        assert searched.n_1q <= plain.n_1q


def test_optimize_depth_leaves_fewer_pulses_in_sequence():
    tape = qml.tape.QuantumScript([SEL])
    plain, pushed = (
        IonQNativeGateCompiler("ms", absorb=False, optimize_depth=flag).compile(tape)
        for flag in (False, True)
    )
    assert pushed.n_2q == plain.n_2q
    assert pushed.n_1q < plain.n_1q
    assert pushed.depth < plain.depth


def clifford_and_rotations():
    """Forty gates whose fewest entanglers cost more pulses and depth."""
    rng = np.random.default_rng(1)
    ops = []
    for _ in range(40):
        a, b = (int(q) for q in rng.permutation(4)[:2])
        some = (qml.CNOT([a, b]), qml.Hadamard(a), qml.T(a), qml.RY(rng.uniform(-3, 3), b))
        ops.append(some[int(rng.integers(4))])
    return qml.tape.QuantumScript(ops, [qml.probs(wires=range(4))])


def test_an_entangler_less_is_worth_a_few_pulses_and_depth_counts_beside():
    both, fidelity, depth = (
        IonQNativeGateCompiler(
            "ms", absorb=False, optimize_depth=one, optimize_fidelity=other
        ).compile(clifford_and_rotations())
        for one, other in ((True, True), (False, True), (True, False))
    )
    assert fidelity.n_2q == both.n_2q < depth.n_2q
    assert depth.n_1q < both.n_1q < fidelity.n_1q
    assert both.depth <= fidelity.depth


@families
@pytest.mark.parametrize("depth", [True, False])
@pytest.mark.parametrize("fidelity", [True, False])
def test_every_option_keeps_the_outcomes(family, depth, fidelity):
    layers = qml.tape.QuantumScript([SEL], [qml.probs(wires=range(4))])
    compiler = IonQNativeGateCompiler(family, True, depth, fidelity)
    made = [(toffolis(), toffolis_by(family, True, depth, fidelity))]
    made += [(layers, compiler.compile(layers))]
    for tape, circuit in made:
        assert np.allclose(outcomes(circuit), exact(tape), atol=1e-9)


def test_compiling_twice_gives_the_same_circuit():
    again = IonQNativeGateCompiler("zz", absorb=False).compile(toffolis())
    assert again == toffolis_by("zz", False, True, True)
    assert hash(again) == hash(toffolis_by("zz", False, True, True))
    assert again != toffolis_by("zz", True, True, True)


def test_circuits_that_differ_in_what_they_leave_to_the_readout_are_not_equal():
    one, other = (
        IonQNativeGateCompiler().compile(
            qml.tape.QuantumScript([qml.RX(0.3, 0), qml.RX(0.4, 1), *last])
        )
        for last in ([], [qml.CNOT([0, 1])])
    )
    assert one.gates == other.gates
    assert one != other


@families
def test_a_dictionary_compiles_to_a_dictionary_with_the_same_outcomes(family):
    circuit = {
        "qubits": 3,
        "circuit": [
            {"gate": "h", "target": 0},
            {"gate": "ry", "target": 1, "rotation": 0.7},
            {"gate": "cnot", "control": 0, "target": 2},
            {"gate": "swap", "targets": [1, 2]},
            {"gate": "x", "target": 0, "controls": [1, 2]},
            {"gate": "ti", "target": 1},
            {"gate": "zz", "targets": [0, 1], "rotation": 0.3},
            {"gate": "gpi2", "target": 1, "phase": 0.1},
            {"gate": "ms", "targets": [0, 1], "phases": [0.2, 0.3], "angle": 0.1},
            {"gate": "cz", "control": 2, "target": 0},
            {"gate": "swap", "targets": [0, 1]},
        ],
    }
    made = IonQNativeGateCompiler(family, optimize_fidelity=False).compile_circuit(circuit)
    assert made["gateset"] == "native"
    assert made["qubits"] == 3
    gates, params = [], []
    for gate in made["circuit"]:
        assert gate["gate"] in ("gpi", "gpi2", family)
        on = tuple(gate.get("targets", [gate.get("target")]))
        gates.append((gate["gate"], on))
        values = [gate["phase"]] if "phase" in gate else [*gate.get("phases", []), gate["angle"]]
        assert all(-1 <= v <= 1 for v in values)
        params += values
    got = np.abs(run(3, gates, params, zero(3)).reshape(-1)) ** 2
    from pennylane_qstore.native.frontend.json_circuit import tape_from_json

    want = exact(tape_from_json(circuit))
    assert np.allclose(got, want, atol=1e-9)


@families
def test_to_tape_runs_on_any_device(family):
    tape = qml.tape.QuantumScript([SEL], [qml.probs(wires=range(4))])
    circuit = IonQNativeGateCompiler(family).compile(tape)
    native = circuit.to_tape()
    weights = exact(native)
    bits = np.array(list(np.ndindex(*(2,) * len(circuit.measured))), dtype=np.uint8)
    index = circuit.readout.apply(bits).astype(int) @ (1 << np.arange(4)[::-1])
    got = np.bincount(index, weights, 16)
    assert np.allclose(got, exact(tape), atol=1e-9)


def test_statistics_are_measured():
    compiler = IonQNativeGateCompiler()
    assert compiler.get_stats()["avg_reduction_pct"] == 0
    tape = qml.tape.QuantumScript([qml.Hadamard(1), *qml.Toffoli([0, 1, 2]).decomposition()])
    sizes = [len(compiler.compile(tape).gates) for _ in range(2)]
    stats = compiler.get_stats()
    assert stats["circuits_compiled"] == 2
    assert stats["total_gates_compiled"] - stats["total_gates_reduced"] == sum(sizes)
    assert 0 < stats["avg_reduction_pct"] < 100
    assert stats["avg_compilation_time_ms"] > 0


def test_an_unknown_gate_family_is_refused():
    with pytest.raises(CompileError, match="'ms', 'zz'"):
        IonQNativeGateCompiler("cx")


def test_a_search_that_runs_out_of_time_says_so_once():
    _warn_of_time.cache_clear()
    stopped = IonQNativeGateCompiler(absorb=False, effort=0)
    with pytest.warns(QStoreEfficiencyWarning, match=r"stopped after 0 s.*effort="):
        quick = stopped.compile(toffolis())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stopped.compile(toffolis()).gates == quick.gates
        full = IonQNativeGateCompiler(absorb=False)
        assert full.compile(toffolis()).n_2q < quick.n_2q
    assert (stopped.get_stats()["searches_stopped"], full.get_stats()["searches_stopped"]) == (2, 0)


@pytest.mark.parametrize("effort", [-1, "long", math.nan])
def test_a_time_that_is_none_is_refused_by_name(effort):
    with pytest.raises(ConfigurationError, match="effort"):
        IonQNativeGateCompiler(effort=effort)
