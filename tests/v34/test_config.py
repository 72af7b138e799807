"""Every field of Q-Store v3.4 does what it says, or says that it does nothing."""

import json
import logging

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from support.v34_runs import X, Y, circuit, posts, quadratic, run, small

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import JobFailed, JobTimeout
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.v34.config import TrainingConfig
from pennylane_qstore.v34.model import make_circuit, pairs, weights_shape
from pennylane_qstore.v34.settings import SETTINGS, SWITCHED

SHOWN = set()
"""Fields whose effect a test of this file shows."""


def shows(*fields):
    """Marks the test that shows what these fields do; the last test misses the others."""
    SHOWN.update(fields)
    return lambda test: test


@shows("enable_all_v34_features")
def test_all_features_at_construction_or_later():
    for config in (TrainingConfig(enable_all_v34_features=True), TrainingConfig()):
        config.enable_all_v34_features = True
        assert all(getattr(config, name) for name in SWITCHED)
    config.enable_all_v34_features = False
    assert not config.adaptive_batch_sizing


@shows("pinecone_api_key", "pinecone_environment", "pinecone_index_name")
@pytest.mark.parametrize("name", [n for n, s in SETTINGS.items() if s.kind == "nothing"])
def test_what_does_nothing_says_so(name, caplog):
    with caplog.at_level(logging.DEBUG, "pennylane_qstore"):
        config = TrainingConfig(**{name: "anything"})
    assert f"{name} is accepted and has no effect" in caplog.text
    assert config.device_options() == TrainingConfig().device_options()
    assert all(SETTINGS[n].kind == "nothing" for n in SETTINGS if n.startswith("pinecone"))


@pytest.fixture
def log():
    logger = logging.getLogger("pennylane_qstore")
    before = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(before[0])
    logger.handlers[:] = before[1]


@shows("log_level")
def test_log_level_is_the_packages(log, emulator):
    config = small(log_level="error")
    config.device(emulator=emulator)
    assert log.level == logging.ERROR


@shows("debug_mode")
def test_debug_mode_logs_every_change_of_a_job(log, emulator, caplog):
    config = small(debug_mode=True)
    dev = config.device(emulator=emulator)
    assert log.level == logging.DEBUG
    circuit(dev)(0.3)
    assert "completed after" in caplog.text
    assert small(debug_mode=True, log_level="INFO").device_options()["progress"] is not None


@shows("use_batch_api")
def test_use_batch_api(emulator):
    config = small()
    assert posts(emulator, config) == 1
    config.use_batch_api = False  # takes effect on the next device
    assert posts(emulator, config) == 6


@shows("use_native_gates")
def test_use_native_gates(emulator):
    posts(emulator, small(use_native_gates=True))
    posts(emulator, small(use_native_gates=False))
    assert [job.gateset for job in emulator.jobs] == ["native", "qis"]


@shows("enable_smart_caching", "enable_circuit_cache")
@pytest.mark.parametrize("name", ["enable_smart_caching", "enable_circuit_cache"])
def test_caching(emulator, name):
    def compiled(config):
        dev = config.device(emulator=emulator)
        for _ in range(3):
            with qstore.deferred():
                values = [circuit(dev)(0.1 * i) for i in range(4)]
                assert np.isfinite(np.sum(values))
        stats = dev.cache.get_stats()
        return stats["template_misses"], stats["template_cache_size"]

    once, kept = compiled(small(**{name: True}, cache_size=50))
    assert kept == once
    assert compiled(small(**{name: False})) == (3 * once, 0), "once a batch, not once a circuit"


@shows("cache_size")
def test_cache_size(emulator):
    dev = small(cache_size=2).device(emulator=emulator)
    circuit(dev)(0.1)
    assert dev.cache.max_templates == 2
    assert len(dev.cache) == 2


@shows("adaptive_batch_sizing")
def test_adaptive_batch_sizing(emulator):
    assert posts(emulator, small(), 60) == 1
    assert posts(emulator, small(adaptive_batch_sizing=True), 60) == 3
    assert posts(emulator, small(enable_all_v34_features=True), 60) == 3


@shows("max_parallel_circuits")
def test_max_parallel_circuits(emulator):
    assert posts(emulator, small(max_parallel_circuits=30), 60) == 2
    both = small(max_parallel_circuits=6, adaptive_batch_sizing=True)
    assert isinstance(both.device_options()["max_circuits_per_job"], AdaptiveQueueManager)
    assert posts(emulator, both, 60) == 10


@shows("connection_pool_size")
def test_connection_pool_size():
    with Emulator(profile={"request_s": 0.02}) as emulator:
        posts(emulator, small(connection_pool_size=2, max_parallel_circuits=1))
        assert emulator.stats()["connections"] == 2


@shows("max_concurrent_circuits")
def test_max_concurrent_circuits_is_the_older_name():
    with Emulator(profile={"request_s": 0.02}) as emulator:
        posts(emulator, small(max_concurrent_circuits=3, max_parallel_circuits=1))
        assert emulator.stats()["connections"] == 3
    both = small(max_concurrent_circuits=3, connection_pool_size=4)
    assert both.device_options()["pool_size"] == 4


@shows("max_queue_wait_time", "batch_timeout", "batch_submission_timeout")
@pytest.mark.parametrize(
    "name", ["max_queue_wait_time", "batch_timeout", "batch_submission_timeout"]
)
def test_waiting_ends(name):
    with Emulator(profile=60.0) as emulator, pytest.raises(JobTimeout):
        posts(emulator, small(**{name: 0.05}))


@shows("retry_failed_circuits")
def test_retry_failed_circuits():
    def run(config):
        with Emulator(faults=[Fault("fail", "submit")]) as emulator:
            posts(emulator, config)
            return emulator.stats()["posts"]

    assert run(small(retry_failed_circuits=True)) == 2
    with pytest.raises(JobFailed):
        run(small(retry_failed_circuits=False))


@shows("quantum_sdk", "quantum_target", "quantum_api_key")
def test_quantum_sdk_target_and_key(monkeypatch, emulator):
    assert small().device_options()["backend"] == "emulator"
    assert small(quantum_api_key="k").device_options()["backend"] == "simulator"
    assert small(quantum_sdk="ionq").device_options()["backend"] == "simulator"
    mock = small(quantum_sdk="mock", quantum_api_key="k", quantum_target="qpu.forte-1")
    assert mock.device_options()["backend"] == "emulator"
    assert mock.device_options()["noise_model"] == "forte-1"
    monkeypatch.setenv("IONQ_API_URL", emulator.url)
    dev = small(quantum_sdk="ionq", quantum_api_key="k", quantum_target="qpu.forte-1").device()
    circuit(dev)(0.1)
    assert emulator.jobs[-1].backend == "qpu.forte-1"


def tape_of(config, emulator):
    node = make_circuit(config, config.device(emulator=emulator))
    weights = np.full(weights_shape(config), 0.1)
    return qml.workflow.construct_tape(node)(X[0], weights)


@shows("n_qubits", "circuit_depth", "shots_per_circuit")
def test_n_qubits_circuit_depth_and_shots(emulator):
    config = small(n_qubits=3, circuit_depth=2, shots_per_circuit=77)
    tape = tape_of(config, emulator)
    assert len(tape.wires) == 3
    assert sum(op.name == "CZ" for op in tape.operations) == 2 * 2
    assert tape.shots.total_shots == 77


@shows("hardware_efficient_ansatz")
def test_hardware_efficient_ansatz(emulator):
    assert {"RY", "RZ", "CZ"} <= {op.name for op in tape_of(small(), emulator).operations}
    other = tape_of(small(hardware_efficient_ansatz=False), emulator).operations
    assert {"Rot", "CNOT"} <= {op.name for op in other}


@shows("entanglement")
@pytest.mark.parametrize(
    ("kind", "count"), [("linear", 3), ("circular", 4), ("full", 6), ("none", 0)]
)
def test_entanglement(kind, count):
    assert len(set(pairs(kind, 4))) == count


def first_step(**settings):
    config = TrainingConfig(gradient_method="spsa", **settings)
    return config.optimizer(seed=1).step(quadratic, np.zeros(3))


@shows("learning_rate", "spsa_a_initial", "gradient_clip_value", "use_gradient_clipping")
@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ({"learning_rate": 0.01}, {"learning_rate": 0.02}),
        ({"optimizer": "spsa", "spsa_a_initial": 0.01}, {"optimizer": "spsa", "spsa_a_initial": 1}),
        ({"optimizer": "gd", "gradient_clip_value": 1.0}, {"optimizer": "gd",
         "gradient_clip_value": 0.1}),
        ({"optimizer": "gd"}, {"optimizer": "gd", "use_gradient_clipping": False}),
    ],
)  # fmt: skip
def test_what_shapes_the_first_step(settings, other):
    assert not np.allclose(first_step(**settings), first_step(**other))


@shows("spsa_c_initial")
def test_spsa_c_initial():
    points = []

    def cost(w):
        points.append(np.asarray(w))
        return float(np.sum(w))

    TrainingConfig(gradient_method="spsa", spsa_c_initial=0.37).optimizer(seed=1).step(
        cost, np.zeros(2)
    )
    assert np.allclose(np.abs(points), 0.37)


def test_clipping_bounds_the_step():
    for value in (1.0, 0.25):
        settings = {"optimizer": "gd", "learning_rate": 1.0, "gradient_clip_value": value}
        assert np.linalg.norm(first_step(**settings)) == pytest.approx(value)


@shows("momentum")
def test_momentum_remembers():
    def path(momentum):
        config = TrainingConfig(optimizer="sgd", gradient_method="spsa", momentum=momentum)
        w, optimizer = np.zeros(3), config.optimizer(seed=1)
        for _ in range(3):
            w = optimizer.step(quadratic, w)
        return w

    assert not np.allclose(path(0.0), path(0.9))


@shows("weight_decay")
@pytest.mark.parametrize("method", ["spsa", "parameter_shift"])
def test_weight_decay_shrinks(method):
    def step(decay):
        config = TrainingConfig(gradient_method=method, optimizer="gd", weight_decay=decay)
        w = pnp.array([2.0, 2.0], requires_grad=True)
        optimizer = config.optimizer(seed=1) if method == "spsa" else config.optimizer()
        return np.asarray(optimizer.step(lambda w: pnp.sum(0.0 * w), w))

    assert np.allclose(step(0.0), 2.0)
    assert np.allclose(step(0.5), 2.0 * (1 - 0.01 * 0.5))


@shows("optimizer")
@pytest.mark.parametrize(
    ("rule", "kind"),
    [("adam", qml.AdamOptimizer), ("sgd", qml.MomentumOptimizer),
     ("gd", qml.GradientDescentOptimizer)],
)  # fmt: skip
def test_parameter_shift_takes_pennylanes_optimizers(rule, kind):
    config = TrainingConfig(gradient_method="parameter_shift", optimizer=rule, learning_rate=0.3)
    optimizer = config.optimizer()
    assert isinstance(optimizer, kind)
    w = optimizer.step(lambda w: pnp.sum((w - 1) ** 2), pnp.zeros(2, requires_grad=True))
    assert optimizer.last_gradient_norm == pytest.approx(1.0), "clipped"
    assert np.linalg.norm(w) > 0


@shows("gradient_method")
def test_the_adaptive_method_takes_no_step_up():
    assert TrainingConfig(gradient_method="adaptive").optimizer().blocking
    assert not TrainingConfig(gradient_method="spsa").optimizer().blocking


@shows("enable_circuit_batching", "enable_batch_execution")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, 1), ({"enable_circuit_batching": False}, 6), ({"enable_batch_execution": False}, 18)],
)
def test_batching_of_a_step(emulator, settings, expected):
    """Plus, minus and forward over six samples in a loop."""
    config = small(gradient_method="spsa", **settings)
    run = circuit(config.device(emulator=emulator))

    def cost(w):
        return sum((run(w[0] * x) - y) ** 2 for x, y in zip(X[:, 0], Y, strict=True))

    config.optimizer(seed=1).step_and_cost(cost, np.array([0.4]))
    assert emulator.stats()["posts"] == expected


@shows("epochs", "batch_size")
def test_epochs_and_batch_size(emulator):
    history = run(emulator, epochs=2, batch_size=4, gradient_method="spsa")
    assert [(s.epoch, s.circuits) for s in history.steps] == [(1, 12), (1, 6), (2, 12), (2, 6)]
    assert emulator.stats()["posts"] == 4, "a step is one request"


@shows("gradient_subsample_size")
def test_gradient_subsample_size(emulator):
    history = run(emulator, gradient_subsample_size=2)
    assert [s.circuits for s in history.steps] == [6]


@shows("track_gradients")
def test_track_gradients(emulator):
    assert run(emulator).steps[0].gradient_norm > 0
    assert run(emulator, track_gradients=False).steps[0].gradient_norm is None


@shows("checkpoint_interval", "checkpoint_directory")
def test_checkpoints(emulator, tmp_path):
    folder = tmp_path / "c"
    history = run(emulator, epochs=4, checkpoint_interval=2, checkpoint_directory=str(folder))
    assert [p.name for p in history.checkpoints] == ["epoch_00002.json", "epoch_00004.json"]
    last = json.loads(history.checkpoints[-1].read_text())
    assert np.allclose(last["params"], history.params)
    assert last["step"] == last["optimizer"]["k"] - 1 == 4
    assert sorted(p.name for p in folder.iterdir()) == [p.name for p in history.checkpoints]


@shows("enable_performance_tracking", "performance_log_dir")
def test_performance_tracking(emulator, tmp_path):
    assert run(emulator, enable_performance_tracking=False).performance is None
    history = run(emulator, epochs=3, performance_log_dir=str(tmp_path / "p"))
    assert history.performance.get_statistics()["total_batches"] == 3
    saved = json.loads((tmp_path / "p" / "batch_metrics.json").read_text())
    assert [b["loss"] for b in saved] == history.losses
    assert len(json.loads((tmp_path / "p" / "epoch_metrics.json").read_text())) == 3


@shows("log_interval")
def test_log_interval(emulator, caplog):
    with caplog.at_level(logging.INFO, "pennylane_qstore.v34"):
        run(emulator, epochs=4, log_interval=2)
    assert [r.getMessage()[:6] for r in caplog.records] == ["Step 2", "Step 4"]


def test_every_field_is_shown_by_a_test():
    assert set(SETTINGS) == SHOWN
