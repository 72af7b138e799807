"""Every compiled circuit equals its tape, at every row of a template."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import (
    SPECIAL,
    distribution,
    marginal,
    run,
    tape_at,
    tapes,
    unitary_of,
    wide_tapes,
    zero,
)

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.frontend.affine_fit import affine_program, program_of
from pennylane_qstore.native.frontend.program import bind_constants
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.pipeline import compile_program

families = pytest.mark.parametrize("family", ["ms", "zz"])
some_tapes = st.one_of(tapes(), wide_tapes(), tapes(max_wires=6, max_operations=26))


def rows_around(piece, seed):
    """The tape's own parameters, generic ones and special ones."""
    rng = np.random.default_rng(seed)
    p = piece.parameters.shape[1]
    return np.concatenate(
        [piece.parameters, rng.uniform(-4, 4, (2, p)), rng.choice(SPECIAL, (3, p))]
    )


@families
@settings(max_examples=60, deadline=None)
@given(made=some_tapes, data=st.data())
def test_template_equals_the_tape_at_every_row(family, made, data):
    tape, n = made
    wires = {i: i for i in range(n)}
    (piece,) = extract_structure(tape, wires)
    program = program_of(piece, wires)
    measured = data.draw(st.lists(st.sampled_from(range(n)), min_size=1, unique=True))
    thorough = data.draw(st.sampled_from([False, False, True]))
    template = compile_program(
        program, measured=measured, family=family, effort=10.0 if thorough else None
    )
    parameters = rows_around(piece, seed=len(tape.operations))
    rows = program.columns(parameters)
    batch = template.bind(rows)
    special = template.off_plan_rows
    seen = np.concatenate([block.rows for block in batch.blocks])
    assert sorted(seen) == list(range(len(rows)))
    for block in batch.blocks:
        assert np.isfinite(block.params).all()
        assert np.abs(block.params).max() <= 0.5 + 1e-12
        ends = np.cumsum([NATIVE[name].slots for name, _ in block.gates]) - 1
        for (name, _), angle in zip(block.gates, block.params[:, ends].T, strict=True):
            if name == "ms":  # IonQ takes no others; a negative angle is in the phases
                assert angle.min() >= 0
                assert angle.max() <= 0.25
            if name in ("ms", "zz"):
                assert np.abs(angle).max() <= 0.25 + 1e-9
        for row, params in zip(block.rows, block.params, strict=True):
            state = unitary_of(tape_at(piece.operations, parameters[row]), n)[:, 0]
            want = marginal(np.abs(state) ** 2, measured)
            got = distribution(batch, block.gates, params)
            assert np.abs(got - want).max() < 1e-9
            alone = template.bind(rows[row : row + 1])
            (its,) = alone.blocks
            assert its.gates == block.gates
            assert np.abs(distribution(alone, its.gates, its.params[0]) - want).max() < 1e-9
    assert template.off_plan_rows == 2 * special


@families
@pytest.mark.parametrize("layers", [1, 9])
def test_a_row_alone_has_the_numbers_it_has_among_others(family, layers):
    """Few turns are multiplied as numbers, many as arrays; few rows by a full matrix."""
    rng = np.random.default_rng(layers)
    wires = {i: i for i in range(5)}
    ops = [
        qml.AngleEmbedding(rng.uniform(-3, 3, (300, 5)), range(5)),
        qml.StronglyEntanglingLayers(rng.uniform(-3, 3, (300, layers, 5, 3)), range(5)),
        *(qml.IsingXX(rng.uniform(-7, 7, 300), [i, (i + 2) % 5]) for i in range(5)),
    ]
    piece, program = affine_program(extract_structure(qml.tape.QuantumScript(ops), wires)[0], wires)
    template = compile_program(program, measured=range(5), family=family, effort=None)
    together = template.bind(piece.parameters)
    for block in together.blocks:
        for row, params in zip(block.rows[:20], block.params, strict=False):
            (alone,) = template.bind(piece.parameters[row : row + 1]).blocks
            assert alone.gates == block.gates
            turns = alone.params[0] - params
            assert np.abs(turns - np.round(turns)).max() < 1e-12


def test_a_row_with_undetermined_push_angles_gets_the_same_gates_alone_as_in_a_batch():
    """An atan2 of two zeros must not follow the rounding noise of either arithmetic."""
    turns = [0.5, 0.5, 2, 0.25, 0.25, 2, 0.5, -0.5, 4 / 3, 2, 4 / 3, -0.5, 1, 0.5, 0.5, -0.5]
    special = np.pi * np.array(turns)
    rows = np.stack([special, np.random.default_rng(6).uniform(-4, 4, 16)])
    p = rows.T
    ops = [
        qml.Rot(*p[:3], 5),
        qml.SingleExcitation(p[3], [4, 2]),
        qml.Rot(*p[4:7], 1),
        qml.IsingZZ(p[7], [5, 4]),
        qml.SWAP([2, 4]),
        qml.Rot(*p[8:11], 4),
        qml.CY([1, 5]),
        qml.SWAP([2, 4]),
        qml.Rot(*p[11:14], 4),
        qml.IsingXY(p[14], [4, 5]),
        qml.CRY(p[15], [4, 0]),
    ]
    wires = {i: i for i in range(6)}
    piece, program = affine_program(extract_structure(qml.tape.QuantumScript(ops), wires)[0], wires)
    template = compile_program(
        program, measured=[3, 2, 4, 5, 1, 0], family="ms", optimize_fidelity=False
    )
    assert np.array_equal(piece.parameters, rows)
    (together,) = (block for block in template.bind(rows).blocks if 0 in block.rows)
    (alone,) = template.bind(rows[:1]).blocks
    assert alone.gates == together.gates
    assert np.allclose(alone.params[0], together.params[0], atol=1e-9)


@families
@settings(max_examples=35, deadline=None)
@given(made=some_tapes, search=st.booleans())
def test_without_absorption_the_unitary_is_kept(family, made, search):
    tape, n = made
    compiler = IonQNativeGateCompiler(two_qubit=family, absorb=False, optimize_fidelity=search)
    ordered = qml.tape.QuantumScript([*map(qml.Identity, range(n)), *tape.operations])
    circuit = compiler.compile(ordered)
    gates = [(name, on) for name, on, _ in circuit.gates]
    params = [p for _, _, ps in circuit.gates for p in ps]
    total = run(n, gates, params, np.eye(2**n, dtype=complex).reshape((2,) * n + (-1,)))
    for q, turns in enumerate(circuit.frames):
        phase = np.exp(-1j * np.pi * turns)
        total = np.moveaxis(np.tensordot(np.diag([phase, 1 / phase]), total, (1, q)), 0, q)
    total = np.moveaxis(total, circuit.permutation, range(n)).reshape(2**n, 2**n)
    overlap = abs(np.vdot(unitary_of(tape, n), total)) / 2**n
    assert abs(overlap - 1) < 1e-9


@families
@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_binding_equals_a_fresh_compile(family, made):
    tape, n = made
    wires = {i: i for i in range(n)}
    piece, program = affine_program(extract_structure(tape, wires)[0], wires)
    options = {"measured": range(n), "family": family, "effort": None}
    bound = compile_program(program, **options).bind(piece.parameters)
    fresh = compile_program(bind_constants(program, piece.parameters), **options).bind(
        np.zeros((1, 0))
    )
    one, other = (
        distribution(batch, batch.blocks[0].gates, batch.blocks[0].params[0])
        for batch in (bound, fresh)
    )
    assert np.abs(one - other).max() < 1e-9


@families
def test_known_counts(family):
    """Counts that must not grow: entanglers and pulses of common circuits."""
    compiler = IonQNativeGateCompiler(two_qubit=family, absorb=False)
    rng = np.random.default_rng(3)
    sel = qml.StronglyEntanglingLayers(rng.uniform(-3, 3, (2, 4, 3)), range(4))
    circuit = compiler.compile(qml.tape.QuantumScript([sel]))
    assert (circuit.n_2q, circuit.n_1q) == (6, 16 if family == "ms" else 22)
    absorbed = IonQNativeGateCompiler(two_qubit=family).compile(qml.tape.QuantumScript([sel]))
    assert (absorbed.n_2q, absorbed.n_1q) == (4, 16 if family == "ms" else 20)
    bell = qml.tape.QuantumScript([qml.Hadamard(0), qml.CNOT([0, 1])])
    assert IonQNativeGateCompiler(two_qubit=family).compile(bell).n_2q == 0


@pytest.mark.parametrize("excess", [1e-10, -1e-10, 1e-9, 1e-15])
@pytest.mark.parametrize("full", [np.pi / 2, -np.pi / 2, 3 * np.pi / 2])
def test_no_angle_of_an_ms_is_beyond_a_quarter(full, excess):
    """Not by rounding either: IonQ refuses the job."""
    tape = qml.tape.QuantumScript([qml.IsingXX(full + excess, [0, 1])])
    constant = IonQNativeGateCompiler("ms", absorb=False).compile(tape)
    wires = {0: 0, 1: 1}
    piece, program = affine_program(extract_structure(tape, wires)[0], wires)
    batch = compile_program(program, measured=[0, 1], family="ms").bind(piece.parameters)
    (bound,) = ([p[n] for p in b.params for n in _angles_of_ms(b.gates)] for b in batch.blocks)
    for angle in (*bound, *(p[2] for name, _, p in constant.gates if name == "ms")):
        assert 0.2499 < angle <= 0.25


def _angles_of_ms(gates):
    ends = np.cumsum([NATIVE[name].slots for name, _ in gates]) - 1
    return [end for (name, _), end in zip(gates, ends, strict=True) if name == "ms"]


@families
@pytest.mark.parametrize("small", [3e-9, 6e-8, 1e-6, 1e-5])
def test_a_constant_near_a_special_angle_is_not_taken_for_it(family, small):
    """Its cosine is 1 to many digits, its effect after a Hadamard is not."""
    ops = [qml.RX(small, 0), qml.RZ(0.4, 0), qml.RX(np.pi / 2 + small, 1), qml.CNOT([0, 1])]
    ops += [qml.RY(small, 0), qml.Hadamard(0), qml.RY(np.pi / 2, 1), qml.CNOT([1, 0])]
    tape = qml.tape.QuantumScript([*ops, qml.RX(0.3, 1)])
    circuit = IonQNativeGateCompiler(family).compile(tape)
    gates = [(name, on) for name, on, _ in circuit.gates]
    got = distribution(circuit, gates, [p for _, _, ps in circuit.gates for p in ps])
    assert np.abs(got - np.abs(unitary_of(tape, 2)[:, 0]) ** 2).max() < 1e-10


def test_the_zero_state_survives_an_empty_circuit():
    wires = {0: 0}
    piece, program = affine_program(extract_structure(qml.tape.QuantumScript([]), wires)[0], wires)
    batch = compile_program(program, measured=[0]).bind(piece.parameters)
    (block,) = batch.blocks
    assert block.gates
    assert abs(run(1, block.gates, block.params[0], zero(1))[0]) == pytest.approx(1)
    assert distribution(batch, block.gates, block.params[0]) == pytest.approx([1, 0])


@pytest.mark.parametrize("value", [0.0, np.pi / 2, np.pi])
def test_special_angles_cost_no_more_than_generic_ones(value):
    """A plan for generic angles degenerates there; other plans stand by."""
    wires = {i: i for i in range(6)}
    layers = qml.BasicEntanglerLayers(np.ones((4, 6)), range(6))
    _, program = affine_program(
        extract_structure(qml.tape.QuantumScript([layers]), wires)[0], wires
    )
    template = compile_program(program, measured=range(6), family="ms", absorb=False)
    batch = template.bind(np.full((3, program.parameters), value))
    for block in batch.blocks:
        pulses = sum(len(on) == 1 for _, on in block.gates)
        assert pulses <= template.pulses
        assert len(block.gates) - pulses <= template.entanglers
