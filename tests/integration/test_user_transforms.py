"""Transforms of PennyLane before the device: what they give on default.qubit."""

from functools import partial

import numpy as np
import pennylane as qml
import pytest

TRANSFORMS = {
    "cancel_inverses": qml.transforms.cancel_inverses,
    "commute_controlled": qml.transforms.commute_controlled,
    "merge_rotations": qml.transforms.merge_rotations,
    "single_qubit_fusion": qml.transforms.single_qubit_fusion,
    "compile": qml.compile,
    "undo_swaps": qml.transforms.undo_swaps,
    "unitary_to_rot": qml.transforms.unitary_to_rot,
    "combine_global_phases": qml.transforms.combine_global_phases,
    "remove_barrier": qml.transforms.remove_barrier,
    "decompose": partial(
        qml.transforms.decompose, gate_set={qml.RX, qml.RY, qml.RZ, qml.CNOT, qml.GlobalPhase}
    ),
    "defer_measurements": qml.defer_measurements,
    "split_non_commuting": qml.transforms.split_non_commuting,
    "split_to_single_terms": qml.transforms.split_to_single_terms,
    "diagonalize_measurements": lambda node: qml.transforms.diagonalize_measurements(
        qml.transforms.split_non_commuting(node)  # it takes commuting ones only
    ),
    "broadcast_expand": qml.transforms.broadcast_expand,
    "map_wires": partial(qml.map_wires, wire_map={0: 1, 1: 0}),
    "simplify": qml.simplify,
    "fold_global": partial(qml.noise.fold_global, scale_factor=3),
    "insert": partial(qml.noise.insert, op=qml.RX, op_args=0.1),
}
X = {"one row": 0.3, "broadcast": np.array([0.3, -1.2, 2.0])}


def circuit(x):
    qml.RX(x, 0)
    qml.Barrier([0, 1])
    qml.SWAP([0, 1])
    qml.RY(0.2, 1)
    qml.Hadamard(0)
    qml.Hadamard(0)
    qml.CNOT([0, 1])
    qml.RX(-0.1, 0)
    return qml.expval(qml.Z(0) @ qml.X(1)), qml.expval(qml.X(0) + 0.5 * qml.Z(1))


@pytest.mark.parametrize("x", X.values(), ids=X)
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_transform_gives_what_it_gives_on_default_qubit(transform, x):
    ours, default = (
        transform(qml.QNode(circuit, qml.device(name, wires=2)))
        for name in ("qstore.ionq", "default.qubit")
    )
    try:
        want = default(x)
    except ValueError as error:  # 0.46.0.dev46 does not fuse gates of a broadcast
        with pytest.raises(ValueError, match=str(error)):
            ours(x)
        return
    got = ours(x)
    assert np.shape(got) == np.shape(want)
    assert np.allclose(got, want, atol=1e-8)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_transform_takes_shots(transform):
    dev = qml.device("qstore.ionq", wires=2, seed=1)
    node = transform(qml.QNode(circuit, dev, shots=20_000))
    exact = transform(qml.QNode(circuit, qml.device("default.qubit", wires=2)))(0.3)
    assert np.allclose(node(0.3), exact, atol=0.05)


@pytest.mark.parametrize("transform", [lambda node: node, qml.transforms.split_non_commuting])
def test_rows_of_a_sum_are_within_the_copies_of_a_shot_vector(transform):
    def rotated(x):
        qml.RY(x, 0)
        return qml.expval(qml.Hamiltonian([0.5, 2.0], [qml.Z(0), qml.X(0)]))

    x = np.array([0.2, 1.3, -0.7])
    node = qml.QNode(rotated, qml.device("qstore.ionq", wires=1, seed=1), shots=(4000, 3000))
    copies = transform(node)(x)
    assert [np.shape(copy) for copy in copies] == [(3,)] * 2
    for copy in copies:
        np.testing.assert_allclose(copy, 0.5 * np.cos(x) + 2 * np.sin(x), atol=0.2)


def test_the_pipeline_needs_no_configuration():
    dev = qml.device("qstore.ionq", wires=2)
    pipeline = dev.preprocess_transforms()
    assert pipeline is dev.preprocess_transforms()
    tape = qml.tape.QuantumScript([qml.RX(0.3, 0)], [qml.expval(qml.Z(0))])
    (same,), _ = pipeline((tape,))
    assert same is tape
    assert dev.setup_execution_config().device_options == {}
    assert dev.execute((tape,))[0] == pytest.approx(np.cos(0.3))
    assert dev.execute(tape) == pytest.approx(np.cos(0.3))


def test_unknown_device_options_are_named():
    dev = qml.device("qstore.ionq", wires=1)
    config = qml.devices.ExecutionConfig(device_options={"max_workers": 3})
    with pytest.raises(ValueError, match="max_workers"):
        dev.setup_execution_config(config)
