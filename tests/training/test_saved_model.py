"""Trained models in files."""

from __future__ import annotations

import json

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.saved_model import SavedModel, load_model
from pennylane_qstore.training.tasks.variational import Inputs, Variational, cross_entropy

RNG = np.random.default_rng(0)
X = RNG.normal(5.0, 2.0, (30, 3))


def made(circuit=None, **about):
    circuit = circuit or Variational(wires=3, outputs=2, layers=1)
    params = circuit.initial_params(1)
    return SavedModel(params=params, circuit=circuit, inputs=Inputs.learn(X, 3), **about)


def test_a_classifier_comes_back_with_the_same_predictions(tmp_path):
    model = made(classes=("no", "yes"))
    model.save(tmp_path / "model.json")
    read = load_model(tmp_path / "model.json")
    assert np.array_equal(read.predict_proba(X), model.predict_proba(X))
    assert read.predict(X).tolist() == model.predict(X).tolist()
    assert set(read.predict(X)) <= {"no", "yes"}
    assert read.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(30))
    assert read.versions == model.versions
    assert read.versions["pennylane"] == qml.__version__


def test_one_output_is_the_log_odds_of_the_second_class():
    model = made(Variational(wires=3, outputs=1, layers=1), classes=(3, 7))
    odds = model.outputs(X)[:, 0]
    assert model.predict_proba(X)[:, 1] == pytest.approx(1 / (1 + np.exp(-odds)))
    assert model.predict(X).tolist() == np.where(odds > 0, 7, 3).tolist()


def test_a_regression_gives_values_in_units_of_its_targets(tmp_path):
    model = made(Variational(wires=3, layers=1), target=(100.0, 10.0))
    assert model.predict(X) == pytest.approx(100.0 + 10.0 * model.outputs(X)[:, 0])
    with pytest.raises(ConfigurationError, match="no probabilities"):
        model.predict_proba(X)


def test_predictions_can_be_made_on_a_device():
    dev = qml.device("qstore.ionq", wires=3, seed=1)
    model = made(classes=(0, 1))
    assert model.outputs(X, dev) == pytest.approx(model.outputs(X), abs=1e-9)
    assert dev.stats["jobs"] == 1
    sampled = model.outputs(X, dev, shots=100)
    assert sampled == pytest.approx(model.outputs(X), abs=2.0)
    assert not np.array_equal(sampled, model.outputs(X))


def test_a_run_saves_what_it_has_trained_and_what_it_cost(tmp_path, other_process):
    dev = qml.device("qstore.ionq", wires=3, seed=1)
    family = Variational(wires=3, outputs=2, layers=1)
    inputs = Inputs.learn(X, 3, ["a", "b", "c"])
    run = qstore.TrainingRun(
        family.make(dev, 20), family.initial_params(1), qstore.SPSAOptimizer(maxiter=2, seed=1),
        loss=cross_entropy, data=(inputs(X), np.arange(30) % 2), batch_size=5, seed=1, device=dev,
        progress=False,
    ).train(2)  # fmt: skip
    run.save(tmp_path / "model.json", inputs=inputs, classes=np.array(["no", "yes"]))
    plain = json.loads((tmp_path / "model.json").read_text())
    assert plain["training"]["steps"] == plain["training"]["jobs"] == 2
    assert plain["training"]["would_cost_usd"] == pytest.approx(run.would_cost_usd(), abs=1e-4)
    assert plain["training"]["shots_total"] == 20 * plain["training"]["circuits"]
    assert plain["inputs"]["columns"] == ["a", "b", "c"]
    # In a process of its own, as the next person would.
    told = other_process(
        "import json, numpy as np, pennylane_qstore as qstore\n"
        f"model = qstore.load_model({str(tmp_path / 'model.json')!r})\n"
        f"print(json.dumps(model.predict(np.array({X.tolist()})).tolist()))"
    )
    expected = SavedModel(
        params=run.params, circuit=family, inputs=inputs, classes=("no", "yes")
    ).predict(X)
    assert json.loads(told) == expected.tolist()


def test_parameters_of_an_own_function_need_the_function(tmp_path):
    dev = qml.device("qstore.ionq", wires=1, seed=1)

    @qml.qnode(dev)
    def wave(params, x):
        qml.RY(params["slope"] * x + params["phase"][0], 0)
        return qml.expval(qml.Z(0))

    params = {"slope": np.array(2.0), "phase": [np.array(0.5)]}
    x, y = np.linspace(0, 1, 4), np.zeros(4)
    run = qstore.TrainingRun(
        wave, params, qstore.SPSAOptimizer(maxiter=1, seed=1), data=(x, y), device=dev,
        loss=lambda output, target: qml.math.mean((output - target) ** 2), progress=False,
    ).train(1)  # fmt: skip
    saved = run.save(tmp_path / "model.json")
    alone = load_model(tmp_path / "model.json")
    assert alone.params["slope"] == run.params["slope"]
    assert alone.params["phase"][0] == run.params["phase"][0]
    with pytest.raises(ConfigurationError, match=r"wave.*load_model\(path, model=\.\.\.\)"):
        alone.predict(x)
    again = load_model(tmp_path / "model.json", model=wave)
    assert again.predict(x) == pytest.approx(saved.predict(x))


def test_an_own_function_may_have_a_family_of_its_own(tmp_path):
    def mean(params):
        return qml.math.sum(params**2)

    mean.family = "squares"
    run = qstore.TrainingRun(
        mean, np.ones(2), qstore.SPSAOptimizer(maxiter=1, seed=1), device=(), progress=False
    ).train(1)
    assert run.save(tmp_path / "model.json").circuit is None
    assert "mean" in load_model(tmp_path / "model.json").function_name


def test_a_torch_module_leaves_its_numbers(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 1)
    SavedModel(params=layer.state_dict(), function_name="Linear").save(tmp_path / "model.json")
    params = load_model(tmp_path / "model.json").params
    assert np.array_equal(params["weight"], layer.weight.detach().numpy())


def test_a_model_that_describes_its_circuit_takes_no_function(tmp_path):
    made(classes=(0, 1)).save(tmp_path / "model.json")
    with pytest.raises(ConfigurationError, match="no effect"):
        load_model(tmp_path / "model.json", model=print)


DAMAGES = [
    lambda plain: plain.pop("schema"),
    lambda plain: plain.update(schema="another"),
    lambda plain: plain["circuit"].update(variational={"wires": 3}),
    lambda plain: plain["circuit"]["variational"].update(wires=10**9),
    lambda plain: plain["circuit"]["variational"].update(layers=-1),
    lambda plain: plain.update(target=[1.0]),
    lambda plain: plain["params"]["weights"].update(dtype="object"),
    lambda plain: plain["params"]["weights"].update(array=[[1.0], [1.0, 2.0]]),
    lambda plain: plain["inputs"].update(matrix=plain["inputs"]["offset"]),
    lambda plain: plain.pop("training"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_a_typed_error(tmp_path, damage):
    path = tmp_path / "model.json"
    made(classes=(0, 1)).save(path)
    plain = json.loads(path.read_text())
    damage(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(ConfigurationError, match=r"model\.json"):
        load_model(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[]", b"{" * 100_000, b"null"])
def test_no_model_is_a_typed_error(tmp_path, content):
    path = tmp_path / "model.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"model\.json"):
        load_model(path)


def test_what_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="complex128"):
        SavedModel(params={"a": np.array([1j])}, function_name="f").save(tmp_path / "model.json")
    assert not (tmp_path / "model.json").exists()
