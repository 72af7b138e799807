"""Extrapolation to zero noise: one job, templates kept, every kind of result and interface."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.transforms import _extrapolated

SCALES = (1, 3, 5)


def noisy(**options: Any) -> Any:
    settings = {"wires": 3, "noise_model": "aria-1", "absorb": False, "seed": 1} | options
    return qml.device("qstore.ionq", **settings)


def chain(device: Any, shots: int | None = 20_000) -> Any:
    @qml.qnode(device, shots=shots)
    def circuit(x: Any = 0.0) -> Any:
        qml.Hadamard(0)
        for _ in range(3):
            qml.CNOT([0, 1])
            qml.CNOT([1, 2])
            qml.RY(x, 2)
            qml.CNOT([1, 2])
            qml.CNOT([0, 1])
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(0) @ qml.Z(1))

    return circuit


def rotated(device: Any, angle: float) -> Any:
    """A QNode whose value is cos(x)·cos(angle)."""

    @qml.qnode(device)
    def circuit(x: Any) -> Any:
        qml.RY(x, 0)
        qml.CNOT([0, 1])
        qml.RX(angle, 1)
        return qml.expval(qml.Z(1))

    return circuit


def test_all_scales_are_one_job_of_one_template_and_are_nearer() -> None:
    device = noisy(cache=10)
    circuit = chain(device)
    raw, better = circuit(0.3), qstore.zne(circuit, scales=SCALES)(0.3)
    assert abs(better - 1) < abs(raw - 1) / 2
    stats = device.stats
    assert (stats["jobs"], stats["circuits"]) == (2, 4)
    assert stats["circuit_cache"]["template_misses"] == 3  # measurements, program, template


@pytest.mark.parametrize("method", ["linear", "richardson", "exponential"])
def test_a_decay_is_extrapolated(method: str) -> None:
    values = [0.9 * np.exp(-0.02 * scale) for scale in SCALES]
    tolerance = {"linear": 1e-2, "richardson": 1e-4, "exponential": 1e-12}[method]
    assert _extrapolated(method, SCALES, values) == pytest.approx(0.9, abs=tolerance)
    rows = _extrapolated(method, SCALES, [np.array([v, -v]) for v in values])
    np.testing.assert_allclose(rows, [0.9, -0.9], atol=tolerance)


def test_a_line_and_a_parabola_are_exact() -> None:
    assert _extrapolated("linear", (1, 2), [3.0, 5.0]) == pytest.approx(1)
    assert _extrapolated("richardson", (1, 2, 3), [2.0, 5.0, 10.0]) == pytest.approx(1)


def test_results_of_every_kind() -> None:
    device = noisy()

    @qml.qnode(device, shots=(500, 700))
    def circuit(x: Any) -> Any:
        qml.RY(x, 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(0)), qml.probs(wires=[0, 1])

    found = qstore.zne(circuit, scales=(1, 3))(np.array([0.1, 0.2]))
    assert [[np.shape(value) for value in copy] for copy in found] == [[(2,), (2, 4)]] * 2
    assert np.allclose(np.sum(found[0][1], axis=-1), 1)


def test_gradients_and_deferred_calls() -> None:
    device = noisy(noise_model=None, absorb=True)
    circuit = chain(device, None)
    mitigated = qstore.zne(circuit, extrapolate="richardson")
    assert mitigated(0.3) == pytest.approx(1)

    turned = rotated(device, 0.3)
    slope = qml.grad(qstore.zne(turned))(pnp.array(0.5, requires_grad=True))
    assert slope == pytest.approx(-np.sin(0.5) * np.cos(0.3))
    before = device.stats["jobs"]
    with qstore.deferred():
        values = [qstore.zne(turned)(x) for x in (0.1, 0.2)]
    assert np.allclose(np.array(values, float), np.cos([0.1, 0.2]) * np.cos(0.3))
    assert device.stats["jobs"] == before + 1


def test_pennylanes_own_transform_folds_natively() -> None:
    circuit = chain(noisy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mitigated = qml.noise.mitigate_with_zne(
            circuit, [1, 3], qstore.transforms.fold_native, qml.noise.richardson_extrapolate
        )
        assert abs(mitigated(0.3) - 1) < abs(circuit(0.3) - 1) / 2


@pytest.mark.filterwarnings("ignore:.*compiler cancels the folds")
def test_pennylanes_own_transform_takes_a_batch_and_may_wait() -> None:
    device = noisy(noise_model=None, absorb=True)
    mitigated = qml.noise.mitigate_with_zne(
        rotated(device, 0.6),
        SCALES,
        qml.noise.fold_global,
        qml.noise.poly_extrapolate,
        extrapolate_kwargs={"order": 1},
    )
    x = np.array([0.2, 1.3, -0.7])
    with qstore.deferred():
        late = mitigated(x)
    for found in (mitigated(x), np.asarray(late)):
        np.testing.assert_allclose(found, np.cos(x) * np.cos(0.6), atol=1e-8)
    assert device.stats["jobs"] == 2


def test_tapes_that_are_folded_first_are_warned_of() -> None:
    mitigated = qml.noise.mitigate_with_zne(
        chain(noisy(), 100), [1, 3], qml.noise.fold_global, qml.noise.richardson_extrapolate
    )
    with pytest.warns(UserWarning, match="compiler cancels the folds"):
        mitigated(0.3)


def test_the_cost_is_in_the_estimate() -> None:
    device = noisy()
    circuit = chain(device)
    tapes, _ = qml.workflow.construct_batch(qstore.zne(circuit), level="user")(0.3)
    plain, _ = qml.workflow.construct_batch(circuit, level="user")(0.3)
    sizes = [sum(r.size.n_2q for r in device._own.requests(some)) for some in (plain, tapes)]
    assert sizes[1] == 9 * sizes[0] > 0


def test_other_devices_run_the_circuit_as_it_is() -> None:
    circuit = chain(qml.device("default.qubit"), None)
    assert qstore.zne(circuit)(0.3) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": (1,)}, "two or more different numbers"),
        ({"scales": (3, 3)}, "two or more different numbers"),
        ({"scales": (0.5, 3)}, "scales"),
        ({"extrapolate": "cubic"}, "extrapolate='cubic'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"scales|extrapolate") as error:
        qstore.zne(chain(noisy()), **options)(0.3)
    assert message in str(error.value)


def test_samples_and_the_abstract_gateset_are_refused() -> None:
    @qml.qnode(noisy(), shots=10)
    def counted() -> Any:
        qml.Hadamard(0)
        return qml.counts()

    with pytest.raises(ConfigurationError, match="expval, var and probs"):
        qstore.zne(counted)()
    with pytest.raises(qml.exceptions.DeviceError, match="gateset='native'"):
        qstore.zne(chain(noisy(gateset="qis", absorb=True), 10))(0.3)


MISREAD = {"machine_noise": {"one_qubit": 0, "two_qubit": 0, "readout": (0.02, 0.3), "seed": 3}}
SENTENCE = 0.5 * qml.Z(0) @ qml.X(1) - 0.3 * qml.Y(2) + qml.Z(0) @ qml.Z(2) + 0.25


def misread(**options: Any) -> Any:
    return noisy(noise_model="forte-1", absorb=True, emulator=MISREAD, **options)


def turning(device: Any, shots: Any = 40_000) -> Any:
    @qml.qnode(device, shots=shots)
    def circuit(x: Any) -> Any:
        qml.RX(x, 0)
        qml.IsingXX(0.8, [0, 1])
        qml.CRY(0.7, [1, 2])
        qml.CNOT([0, 2])
        return qml.expval(qml.Z(0)), qml.expval(SENTENCE)

    return circuit


def exact(x: Any) -> np.ndarray:
    return np.array(turning(qml.device("default.qubit"), None)(x))


@pytest.mark.parametrize("symmetrize", [False, True])
def test_misread_bits_are_corrected_in_one_job(symmetrize: bool) -> None:
    device, x = misread(symmetrize=symmetrize), np.linspace(0, 3, 12)
    circuit = turning(device)
    assert np.abs(circuit(x) - exact(x)).max() > 0.1
    found = qstore.correct_readout(circuit, copies=16)(x)
    np.testing.assert_allclose(found, exact(x), atol=0.04)
    assert (device.stats["jobs"], device.stats["circuits"]) == (2, 24 + 24 + 16)
    copies = qstore.correct_readout(turning(device, (20_000, 30_000)))(0.4)
    np.testing.assert_allclose(copies, [exact(0.4)] * 2, atol=0.05)


def test_without_misread_bits_a_corrected_value_is_the_plain_one() -> None:
    quiet = MISREAD["machine_noise"] | {"readout": 0.0}
    for options in ({"emulator": {"machine_noise": quiet}}, {"noise_model": None}):
        device = noisy(**({"noise_model": "forte-1"} | options))
        found = qstore.correct_readout(turning(device))(0.4)
        np.testing.assert_allclose(found, exact(0.4), atol=0.03)
    elsewhere = qstore.correct_readout(turning(qml.device("default.qubit"), None))
    np.testing.assert_allclose(elsewhere(0.4), exact(0.4))


def test_correction_goes_with_zne_in_either_order() -> None:
    device = misread()
    for mitigated in (
        qstore.zne(qstore.correct_readout(turning(device)), scales=(1, 3)),
        qstore.correct_readout(qstore.zne(turning(device), scales=(1, 3))),
    ):
        np.testing.assert_allclose(mitigated(0.4), exact(0.4), atol=0.1)
    assert (device.stats["jobs"], device.stats["circuits"]) == (2, 2 * (2 * 2 + 8))


def test_gradients_and_deferred_calls_share_one_calibration() -> None:
    device = misread()

    def cost(x: Any) -> Any:
        return qstore.correct_readout(turning(device))(x)[1]

    def ideal(x: Any) -> Any:
        return turning(qml.device("default.qubit"), None)(x)[1]

    x = pnp.array(0.4, requires_grad=True)
    assert qml.grad(cost)(x) == pytest.approx(qml.grad(ideal)(x), abs=0.05)
    before = device.stats["circuits"], device.stats["jobs"]
    with qstore.deferred():
        values = [cost(angle) for angle in (0.1, 0.2, 0.3)]
    np.testing.assert_allclose(values, [exact(a)[1] for a in (0.1, 0.2, 0.3)], atol=0.06)
    assert (device.stats["circuits"], device.stats["jobs"]) == (
        before[0] + 3 * 2 + 8,
        before[1] + 1,
    )


def test_a_corrected_batch_may_be_submitted_and_asked_elsewhere() -> None:
    device = misread()
    mitigated = qstore.correct_readout(turning(device))
    (tape,), _ = qml.workflow.construct_batch(mitigated, level="user")(0.4)
    handle = pickle.loads(pickle.dumps(device.submit([tape])))
    np.testing.assert_allclose(handle.results(device=device)[0], exact(0.4), atol=0.05)


@pytest.mark.parametrize(
    ("measured", "copies", "message"),
    [
        (lambda: qml.probs(wires=0), 8, r"probs.*expval of Pauli words"),
        (lambda: qml.var(qml.Z(0)), 8, "expval of Pauli words"),
        (lambda: qml.expval(qml.Projector([0], 0)), 8, "expval of Pauli words"),
        (lambda: qml.expval(qml.Z(0)), 3, "an even number"),
        (lambda: qml.expval(qml.Z(0)), 0, "copies"),
    ],
)
def test_what_is_not_corrected_is_refused(measured: Any, copies: int, message: str) -> None:
    circuit = qml.QNode(measured, misread(), shots=10)
    with pytest.raises(ConfigurationError, match=message):
        qstore.correct_readout(circuit, copies=copies)()


def test_errors_of_corrected_values_and_postselection_are_refused() -> None:
    circuit = turning(misread())

    @qml.qnode(misread(), shots=10)
    def selected() -> Any:
        qml.Hadamard(0)
        qml.measure(0, postselect=1)
        return qml.expval(qml.Z(1))

    with pytest.raises(qml.exceptions.DeviceError, match="without postselection"):
        qstore.correct_readout(selected)()
    with pytest.raises(qml.exceptions.DeviceError, match="not their standard errors"):
        qstore.with_errors(qstore.correct_readout(circuit))(0.4)
    with pytest.raises(ConfigurationError, match="expval of Pauli words"):
        qstore.correct_readout(qstore.with_errors(circuit))(0.4)
