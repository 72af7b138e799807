"""Fingerprints: what has to be the same when a run goes on, and what may change."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.fingerprint import CircuitCheck, describe, optimizer_settings
from pennylane_qstore.training.run import TrainingRun

X = np.linspace(0.1, 1.5, 6).reshape(6, 1)
Y = np.cos(X[:, 0])
SPSA = {"maxiter": 20, "seed": 1}


def plain(w, x):
    qml.RX(x[..., 0], 0)
    qml.RY(w[0], 0)
    qml.CNOT([0, 1])


def make(folder, *, body=plain, shots=50, spsa=SPSA, optimizer=None, measured=None, **options):
    """A small run on a device with the options that are no option of a run."""
    of_run = {name: options.pop(name) for name in ("steps", "resume", "batch_size", "patience",
              "callbacks", "budget_usd", "seed") if name in options}  # fmt: skip
    device = qml.device("qstore.ionq", **{"wires": 2, "seed": 3, **options})

    def circuit(w, x):
        body(w, x)
        return qml.expval(measured or qml.Z(0))

    node = qml.set_shots(qml.QNode(circuit, device, diff_method=None), shots)
    return TrainingRun(
        lambda w, x: node(w, x), qml.numpy.array([0.3], requires_grad=True),
        optimizer or SPSAOptimizer(**spsa), loss=lambda out, y: qml.numpy.mean((out - y) ** 2),
        data=(X, Y), device=device, progress=False, checkpoint=folder / "run.json",
        **{"batch_size": 3, "seed": 1, **of_run},
    )  # fmt: skip


def posts(run):
    return run._devices.counts()["requests"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"body": lambda w, x: (plain(w, x), qml.Hadamard(1))}, "circuit"),
        ({"body": lambda w, x: (qml.RX(x[..., 0], 0), qml.RY(w[0], 0))}, "circuit"),
        ({"body": lambda w, x: plain(w[::-1], x) or qml.CNOT([1, 0])}, "circuit"),
        ({"measured": qml.Z(1)}, "circuit"),
        ({"measured": qml.X(0)}, "circuit"),
        ({"shots": 60}, "shots: 50x1 there, 60x1 here"),
        ({"gateset": "qis"}, "device.gateset: 'native' there, 'qis' here"),
        ({"absorb": False}, "device.absorb"),
        ({"error_mitigation": {}}, "device.error_mitigation"),
        ({"seed": 2}, "seed: 1 there, 2 here"),
        ({"two_qubit": "ms"}, "device.two_qubit"),
        ({"batch": False}, "device.batch"),
        ({"max_circuits_per_job": 5}, "device.max_circuits_per_job"),
        ({"noise_model": "forte-1"}, "devices"),
        ({"wires": 3}, "device.wires"),
        ({"h": 0.1, "gradient": "spsa"}, "device.gradient"),
        ({"shot_order": False}, "device.shot_order"),
        ({"spsa": {**SPSA, "maxiter": 30}}, "planned for 20 steps"),
        ({"spsa": {**SPSA, "seed": 2}}, "optimizer.seed"),
        ({"spsa": {**SPSA, "a": 0.5}}, "optimizer.a"),
        ({"spsa": {**SPSA, "c": 0.1}}, "optimizer.c"),
        ({"batch_size": 2}, "batch_size"),
    ],
)  # fmt: skip
def test_a_change_is_refused_by_name_and_nothing_is_sent(change, named, tmp_path):
    make(tmp_path).train(2)
    for resume in ("edited", True):
        changed = make(tmp_path, **change, resume=resume)
        is_of_functions = resume is True and "body" in change
        with pytest.raises(ConfigurationError, match="body" if is_of_functions else named):
            changed.train(4)
        assert posts(changed) == 0
    assert make(tmp_path, resume=True).train(4).step == 4


def test_a_device_s_seed_is_its_own(tmp_path):
    def device_run(seed, **options):
        device = qml.device("qstore.ionq", wires=1, seed=seed)
        return TrainingRun(
            lambda w: float(np.sum(w**2)), np.ones(1), SPSAOptimizer(maxiter=5, seed=1),
            device=device, progress=False, checkpoint=tmp_path / "run.json", **options,
        )  # fmt: skip

    device_run(1).train(1)
    with pytest.raises(ConfigurationError, match=r"device\.seed: 1 there, 2 here"):
        device_run(2, resume=True).train(2)


@pytest.mark.parametrize(
    "change",
    [
        {"patience": 9}, {"callbacks": [print]}, {"budget_usd": 5.0}, {"pool_size": 2},
        {"max_wait": 60.0}, {"retry_failed": False}, {"cache": False}, {"job_name": "other"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_results_do_not_depend_on_may_change(change, tmp_path):
    make(tmp_path).train(2)
    whole = make(tmp_path / "whole").train(4)
    rest = make(tmp_path, **change, resume=True).train(4)
    assert [r.outcome() for r in rest.history] == [r.outcome() for r in whole.history]


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (qml.AdamOptimizer(0.1), qml.AdamOptimizer(0.2), "optimizer.stepsize: 0.1 there, 0.2"),
        (qml.MomentumOptimizer(0.1, 0.5), qml.MomentumOptimizer(0.1, 0.6), "optimizer.momentum"),
        (qml.SPSAOptimizer(maxiter=9), qml.SPSAOptimizer(maxiter=10), "optimizer.A"),
    ],
)
def test_the_step_size_of_pennylane_s_optimizers_is_theirs(first, second, named, tmp_path):
    def cost_run(optimizer, **options):
        return TrainingRun(
            lambda w: qml.numpy.sum(w**2), qml.numpy.ones(2, requires_grad=True), optimizer,
            device=(), progress=False, checkpoint=tmp_path / "run.json", **options,
        )  # fmt: skip

    cost_run(first).train(2)
    with pytest.raises(ConfigurationError, match=named):
        cost_run(second, resume=True).train(3)


@pytest.mark.parametrize("change", [{"nums_frequency": {"w": {(0,): 2}}}, {"spectra": None}, None])
def test_other_arguments_of_the_steps_are_refused_by_name(change, tmp_path):
    def run(step_kwargs, **options):
        return TrainingRun(
            lambda w: float(np.cos(w[0])), qml.numpy.array([0.3], requires_grad=True),
            qml.RotosolveOptimizer(), step_kwargs=step_kwargs, device=(), progress=False,
            checkpoint=tmp_path / "run.json", **options,
        )  # fmt: skip

    mine = {"nums_frequency": {"w": {(0,): 1}}}
    run(mine).train(1)
    with pytest.raises(ConfigurationError, match=r"step_kwargs: .*nums_frequency"):
        run(change, resume=True).train(2)
    assert run(mine, resume=True).train(2).step == 2


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("steps", [1, 2])
def test_circuits_that_the_data_choose_are_no_change(batch_size, steps, tmp_path):
    """Rows below 0.9 get another gate: the circuits of the steps differ."""

    def run(folder, body, **options):
        device = qml.device("qstore.ionq", wires=2, seed=3)

        @qml.set_shots(50)
        @qml.qnode(device, diff_method=None)
        def circuit(w, x):
            body(w, x)
            return qml.expval(qml.Z(0))

        return TrainingRun(
            lambda w, x, y: sum((circuit(w, a) - b) ** 2 for a, b in zip(x, y, strict=True)),
            qml.numpy.array([0.3], requires_grad=True), SPSAOptimizer(**SPSA), data=(X, Y),
            batch_size=batch_size, seed=1, device=device, progress=False,
            checkpoint=folder / "run.json", **options,
        )  # fmt: skip

    def chosen(w, x):
        (qml.S if x[0] < 0.9 else qml.T)(1)
        plain(w, x)

    whole = run(tmp_path / "whole", chosen).train(6)
    run(tmp_path / "a", chosen).train(steps)
    rest = run(tmp_path / "a", chosen, resume=True).train(6)
    assert [r.outcome() for r in rest.history] == [r.outcome() for r in whole.history]


def test_a_description_is_the_same_in_every_process_and_leaves_values_out(other_process):
    code = (
        "import pennylane as qml; from pennylane_qstore.training.fingerprint import describe\n"
        "ops = [qml.ctrl(qml.RX(0.2, 0), 'a', control_values=[1]), qml.adjoint(qml.S(0))]\n"
        "print(describe(qml.tape.QuantumScript(ops, [qml.probs(wires=[0])], shots=[5, 5])))"
    )

    def described(angle, value):
        ops = [qml.ctrl(qml.RX(angle, 0), "a", control_values=[value]), qml.adjoint(qml.S(0))]
        return describe(qml.tape.QuantumScript(ops, [qml.probs(wires=[0])], shots=[5, 5]))

    assert described(0.1, 1) == other_process(code).strip() != described(0.1, 0)
    assert described(0.1, 1).startswith("5x2:")


def test_a_broadcast_of_more_rows_is_the_same_circuit():
    tapes = [
        qml.tape.QuantumScript([qml.RX(np.ones(n), 0)], [qml.expval(qml.Z(0))]) for n in (2, 3)
    ]
    assert describe(tapes[0]) == describe(tapes[1])


def test_settings_are_those_that_an_optimizer_was_made_with():
    optimizer = SPSAOptimizer(maxiter=9, seed=4)
    before = optimizer_settings(optimizer)
    optimizer.step(lambda w: float(np.sum(w**2)), np.ones(2))
    optimizer.calibrate(lambda w: float(np.sum(w**2)), np.ones(2))
    assert optimizer_settings(optimizer) == before
    assert before["optimizer.seed"] == 4
    adam = qml.AdamOptimizer(0.1)
    before = optimizer_settings(adam)
    adam.step(lambda w: w**2, qml.numpy.array(0.3, requires_grad=True))
    assert optimizer_settings(adam) == before


def test_shots_that_are_chosen_are_not_compared():
    check = CircuitCheck(None)
    check.compares_shots = False
    for shots in (20, 60):
        check.begin_step()
        check([qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))], shots=shots)])
        assert check.recorded.startswith("auto:")
    assert check.recorded != CircuitCheck.VARYING
