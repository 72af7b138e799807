"""Q-Store v3.4's page, snippet by snippet, and its components under their names."""

import ast
import asyncio
import inspect
import pickle
import threading
import warnings

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pennylane_qstore as qstore
import pennylane_qstore.v34 as v34
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import CompileError, ConfigurationError, JobFailed
from pennylane_qstore.v34 import (
    CircuitBatchManagerV34,
    PerformanceTracker,
    SmartCircuitCache,
    TrainingConfig,
)

SNIPPETS = {
    "enable all": '''
from q_store.ml import TrainingConfig

config = TrainingConfig(
    pinecone_api_key="your_key",
    quantum_sdk="ionq",
    quantum_api_key="your_ionq_key",

    # Single flag to enable all optimizations
    enable_all_v34_features=True
)
''',
    "selective": '''
config = TrainingConfig(
    # Choose specific optimizations
    use_batch_api=True,          # 12x faster submission (recommended)
    use_native_gates=True,       # 30% faster execution (recommended)
    enable_smart_caching=True,   # 10x faster preparation (recommended)
    adaptive_batch_sizing=False, # Optional queue optimization

    # Advanced tuning
    connection_pool_size=5,      # HTTP connections to IonQ
    max_queue_wait_time=120.0,   # Timeout for queue (seconds)
    retry_failed_circuits=True,  # Auto-retry on failure
)
''',
    "metrics": '''
from q_store.ml import CircuitBatchManagerV34

async with CircuitBatchManagerV34(
    api_key="your_ionq_key",
    use_batch_api=True,
    use_native_gates=True
) as manager:

    results = await manager.execute_batch(circuits, shots=1000)

    # Get detailed statistics
    stats = manager.get_performance_stats()
    print(f"Throughput: {stats['throughput_circuits_per_sec']:.2f} circuits/sec")
    print(f"Cache hit rate: {stats['circuit_cache']['template_hit_rate']:.1%}")

    # Or print comprehensive report
    manager.print_performance_report()
''',
    "gradual": '''
# Week 1: Enable batch API
config.use_batch_api = True  # 5x improvement

# Week 2: Add native gates
config.use_native_gates = True  # Additional 1.3x

# Week 3: Enable caching
config.enable_smart_caching = True  # Additional 2x
''',
    "immediate": '''
# Enable everything at once
config.enable_all_v34_features = True  # 8-10x improvement
''',
    "maximum performance": '''
config = TrainingConfig(
    enable_all_v34_features=True,
    connection_pool_size=5,
    batch_size=20
)
''',
    "stability": '''
config = TrainingConfig(
    use_batch_api=True,
    use_native_gates=True,
    enable_smart_caching=True,
    adaptive_batch_sizing=False,  # Disable for predictable behavior
    max_queue_wait_time=180.0     # Longer timeout
)
''',
    "debugging": '''
config = TrainingConfig(
    enable_all_v34_features=True,
    debug_mode=True,
    log_level='DEBUG'
)
''',
}  # fmt: skip
"""Every Python snippet of the page, as it stands there (but for spaces at ends of lines)."""


def circuits(count=20, qubits=3):
    return [
        {
            "qubits": qubits,
            "circuit": [
                {"gate": "ry", "target": 0, "rotation": 0.1 * i},
                {"gate": "cnot", "control": 0, "target": 1},
                {"gate": "h", "target": 2},
            ],
        }
        for i in range(count)
    ]


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.fixture
def emulator(monkeypatch):
    with Emulator() as running:
        monkeypatch.setenv("IONQ_API_URL", running.url)
        yield running


def execute(code, namespace, package="pennylane_qstore"):
    """A snippet as a notebook would run it, with nothing but the import changed."""
    code = code.replace("q_store.ml", package)
    compiled = compile(code, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        run(eval(compiled, namespace))
    else:
        exec(compiled, namespace)


@pytest.mark.parametrize("package", ["pennylane_qstore", "pennylane_qstore.v34"])
def test_the_page_runs_from_top_to_bottom(emulator, capsys, package):
    namespace = {"circuits": circuits()}
    for code in SNIPPETS.values():
        execute(code, namespace, package)
    assert emulator.stats()["posts"] == 1
    assert [r["status"] for r in namespace["results"]] == ["completed"] * 20
    printed = capsys.readouterr().out
    for words in ("Throughput: ", "Cache hit rate: ", "Execution Summary", "Batch Client"):
        assert words in printed


@pytest.mark.parametrize("name", [name for name in SNIPPETS if name != "metrics"])
def test_every_configuration_of_the_page_makes_a_device_that_runs(emulator, name):
    namespace = {"TrainingConfig": TrainingConfig, "config": TrainingConfig()}
    execute(SNIPPETS[name], namespace)
    config = namespace["config"]
    config.debug_mode = False  # the log of this process is the test's
    config.log_level = None
    dev = config.device(wires=2)

    @qml.set_shots(shots=10)
    @qml.qnode(dev, diff_method=None)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    assert np.allclose(circuit(np.zeros(20)), 1)
    assert dev.stats["jobs"] == 1


def test_all_names_are_there():
    assert set(v34.__all__) <= set(dir(v34))
    for name in v34.__all__:
        assert getattr(v34, name).__name__ == name
        if name != "BatchJobResult":
            assert getattr(qstore, name) is getattr(v34, name)
    with pytest.raises(AttributeError, match="IonQClient"):
        v34.IonQClient  # noqa: B018


# ------------------------------------------------------------------ the client


def test_the_client_sends_one_post_for_many_circuits(emulator):
    async def use():
        async with v34.IonQBatchClient("key", max_connections=3) as client:
            ids = await client.submit_batch(circuits(), target="simulator", shots=500)
            results = await client.get_results_parallel(ids)
            return ids, results, client.get_stats()

    ids, results, stats = run(use())
    assert emulator.stats()["posts"] == 1
    assert len(ids) == len(results) == 20
    assert all(r.status == "completed" for r in results)
    assert results[3].measurements["000"] == pytest.approx(np.cos(0.15) ** 2 / 2)
    assert stats["api_calls_saved"] == 19
    assert stats["avg_circuits_per_call"] == 20


# ------------------------------------------------------------------ the manager


def manage(*args, manager=None, **options):
    async def use():
        async with manager or CircuitBatchManagerV34(**options) as batches:
            results = await batches.execute_batch(*args)
            return batches, results

    return run(use())


def test_without_a_key_the_emulator_serves():
    manager, results = manage(circuits(4))
    assert manager.device.emulator is not None
    assert results[0]["measurements"] == pytest.approx({"000": 0.5, "001": 0.5}, abs=0.1)


def test_tapes_calls_functions_and_dictionaries_travel_together(emulator):
    manager = CircuitBatchManagerV34(emulator=emulator, seed=1)

    @qml.qnode(qml.device("default.qubit"))
    def elsewhere(x, wire=0):
        qml.RX(x, wire)
        return qml.expval(qml.Z(wire))

    @qml.set_shots(shots=100)
    @qml.qnode(manager.device, diff_method=None)
    def here():
        qml.X(0)
        return qml.expval(qml.Z(0))

    tape = qml.tape.QuantumScript([qml.RY(0.0, "a")], [qml.probs(wires="a")])
    batch = [here, tape, *circuits(2), (elsewhere, (0.0,)), (elsewhere, (np.pi,), {"wire": 1})]
    _, results = manage(batch, 400, manager=manager)
    assert emulator.stats()["posts"] == 1
    assert results[0]["result"] == -1
    assert results[1]["measurements"] == {"0": 1.0}
    assert sum(results[3]["measurements"].values()) == pytest.approx(1)
    assert [results[i]["result"] for i in (4, 5)] == [1, -1]
    assert {r["job_id"] for r in results[1:]} == {emulator.jobs[0].id}
    assert all(r["execution_time_ms"] >= 0 for r in results[1:])


def test_a_function_whose_circuits_depend_on_another_is_executed_too(emulator):
    manager = CircuitBatchManagerV34(emulator=emulator, seed=1)

    @qml.set_shots(shots=100)
    @qml.qnode(manager.device, diff_method=None)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    def twice():
        return float(circuit(np.pi * float(circuit(0.0))))

    _, results = manage([*circuits(2), twice], manager=manager)
    assert results[2]["result"] == -1
    assert {r["job_id"] for r in results[:2]} == {emulator.jobs[0].id}


def test_each_circuit_knows_its_job(emulator):
    manager, results = manage(circuits(6), emulator=emulator, max_batch_size=2)
    by_job = [r["job_id"] for r in results]
    assert len(set(by_job)) == 3
    assert by_job == [by_job[0]] * 2 + [by_job[2]] * 2 + [by_job[4]] * 2
    assert set(by_job) == {job.id for job in emulator.jobs}
    assert manager.get_recommended_batch_size() == 2


@pytest.mark.parametrize(
    ("options", "posts", "gateset"),
    [
        ({}, 1, "native"),
        ({"use_batch_api": False}, 8, "native"),
        ({"use_native_gates": False}, 1, "qis"),
        ({"adaptive_batch_sizing": True, "max_batch_size": 4}, 2, "native"),
        ({"max_batch_size": 3}, 3, "native"),
    ],
)
def test_every_option_has_its_effect(emulator, options, posts, gateset):
    manage(circuits(8), emulator=emulator, **options)
    assert emulator.stats()["posts"] == posts
    assert {job.gateset for job in emulator.jobs} == {gateset}


def test_caching_compiles_once(emulator):
    cached, _ = manage(circuits(8), emulator=emulator)
    plain, _ = manage(circuits(8), emulator=emulator, use_smart_caching=False)
    assert cached.get_performance_stats()["cache_hit_rate"] > 0.8
    stats = plain.get_performance_stats()
    assert stats["cache_hit_rate"] == 0
    assert stats["circuit_cache"] is None


def test_native_gates_can_be_chosen_for_a_batch_and_jobs_be_named(emulator):
    async def use():
        async with CircuitBatchManagerV34(emulator=emulator) as manager:
            await manager.execute_batch(circuits(2), compile_to_native=False, name_prefix="epoch")
            await manager.execute_batch(circuits(2))

    run(use())
    assert [job.gateset for job in emulator.jobs] == ["qis", "native"]
    assert emulator.jobs[0].name.startswith("epoch")


def test_batches_of_one_manager_may_be_asked_for_at_the_same_time(emulator):
    async def use():
        async with CircuitBatchManagerV34(emulator=emulator) as manager:
            return await asyncio.gather(*(manager.execute_batch(circuits(n)) for n in (2, 3)))

    assert [len(results) for results in run(use())] == [2, 3]
    assert emulator.stats()["posts"] == 2


def test_who_gives_up_waiting_is_not_kept():
    async def use(emulator):
        async with CircuitBatchManagerV34(emulator=emulator, max_wait=3.0) as manager:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(manager.execute_batch(circuits(2)), 0.3)
            return [t for t in threading.enumerate() if t.name == "qstore-batch"]

    with Emulator(profile=600.0) as emulator:
        (waiting,) = run(use(emulator))
        assert waiting.is_alive(), "a loop's own thread would have been waited for"
        assert waiting.daemon
        waiting.join(60)  # until max_wait
        assert not waiting.is_alive()


def test_the_promised_figures_are_measured(emulator):
    manager, _ = manage(circuits(), emulator=emulator)
    stats = manager.get_performance_stats()
    assert stats["total_circuits"] == 20
    assert stats["total_batches"] == 1
    assert stats["avg_batch_time_ms"] == pytest.approx(1e3 * stats["total_time_s"])
    assert stats["throughput_circuits_per_sec"] == pytest.approx(20 / stats["total_time_s"])
    assert stats["native_compiler"]["total_gates_compiled"] == 60
    assert stats["native_compiler"]["total_native_gates"] == stats["gates"] > 0
    assert stats["batch_client"]["posts"] == 1
    assert stats["api_calls_saved"] == 19
    assert all(stats["features_enabled"][name] for name in ("batch_api", "native_gates"))


def test_features_that_a_service_refuses_are_off():
    with Emulator(faults=[Fault("status", "submit", status=404)]) as emulator:
        with pytest.warns(UserWarning, match="multi-circuit"):
            manager, results = manage(circuits(3), emulator=emulator)
        assert not manager.get_performance_stats()["features_enabled"]["batch_api"]
        assert emulator.stats()["posts"] == 4
        assert len(results) == 3


def test_what_arrived_is_in_the_error():
    with Emulator(faults=[Fault("fail", "submit", skip=1)]) as emulator:
        with pytest.raises(JobFailed) as raised:
            manage(circuits(6), emulator=emulator, max_batch_size=3, retry_failed=False)
        found = raised.value.details["tape_results"]
        assert sorted(value is None for value in found) == [False] * 3 + [True] * 3
        assert {sum(value.values()) for value in found if value is not None} == {1000}


def test_what_is_no_circuit_is_refused_before_anything_is_sent(emulator):
    with pytest.raises(ConfigurationError, match="Circuit 2 is a str"):
        manage([*circuits(2), "circuit"], emulator=emulator)
    with pytest.raises(CompileError, match="target"):
        manage([{"qubits": 1, "circuit": [{"gate": "h"}]}], emulator=emulator)
    for one in (circuits(1)[0], qml.tape.QuantumScript([], [qml.expval(qml.Z(0))]), 3):
        with pytest.raises(ConfigurationError, match="in a list"):
            manage(one, emulator=emulator)
    node = qml.QNode(lambda x: qml.expval(qml.Z(0)), qml.device("default.qubit", wires=1))
    with pytest.raises(ConfigurationError, match="are a tuple"):
        manage([(node, 0.3)], emulator=emulator)
    assert emulator.stats()["posts"] == 0


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        ({}, "a gate is a dictionary"),
        ({"qubits": 0, "circuit": []}, "n from 1 to 64"),
        ({"qubits": 10**9, "circuit": []}, "n from 1 to 64"),
        ({"qubits": 1, "circuit": "h 0"}, "a gate is a dictionary"),
        ({"qubits": 1, "circuit": [["h", 0]]}, "a gate is a dictionary"),
        ({"qubits": 1, "circuit": [{"gate": "h", "target": "0"}]}, "acts on qubit '0'"),
        ({"qubits": 1, "circuit": [{"gate": "u3", "target": 0}]}, "Allowed: cnot"),
        ({"qubits": 1, "circuit": [{"gate": "rx", "target": 0, "rotation": "x"}]}, "no number"),
        ({"qubits": 1, "circuit": [{"gate": "rx", "target": 0}]}, "in radians"),
    ],
)
def test_a_malformed_circuit_is_described(emulator, circuit, words):
    with pytest.raises(CompileError, match=words):
        manage([circuit], emulator=emulator)
    assert emulator.stats()["posts"] == 0


def test_numpys_numbers_are_numbers(emulator):
    gate = {"gate": "ry", "target": np.int64(1), "rotation": np.array(np.pi)}
    _, results = manage(
        [{"qubits": np.int64(2), "circuit": [gate]}], np.int64(9), emulator=emulator
    )
    assert results[0]["measurements"] == {"01": 1.0}


@pytest.mark.parametrize("shots", [0, -1, 1.5, "many"])
def test_a_number_of_shots_that_is_none_is_refused(emulator, shots):
    with pytest.raises(ConfigurationError, match="shots="):
        manage(circuits(1), shots, emulator=emulator)


@pytest.mark.parametrize("shots", [None, 100])
def test_tapes_whose_results_could_wait_do_not(emulator, shots):
    tapes = [qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))]) for x in (0.0, np.pi)]
    _, results = manage(tapes, shots, emulator=emulator)
    assert [type(r["result"]) for r in results] == [np.float64] * 2
    assert [r["result"] for r in results] == pytest.approx([1, -1])
    assert {r["job_id"] for r in results} == {emulator.jobs[0].id}


def test_without_shots_probabilities_are_exact(emulator):
    _, results = manage(circuits(2), None, emulator=emulator)
    assert results[1]["measurements"]["000"] == pytest.approx(np.cos(0.05) ** 2 / 2)


def test_an_empty_batch_is_no_job(emulator):
    assert manage([], emulator=emulator)[1] == []
    assert manage(iter(()), emulator=emulator)[1] == []
    assert emulator.stats()["posts"] == 0


# ------------------------------------------------------------------ the cache


def layer(parameters, inputs):
    gates = [
        {"gate": "ry", "target": i, "rotation": float(inputs[i]) if plain(inputs) else inputs[i]}
        for i in range(2)
    ]
    gates += [
        {"gate": "rz", "target": i, "rotation": 2 * parameters[i] - inputs[i] / 2 + 0.5}
        for i in range(2)
    ]
    return {"qubits": 2, "circuit": [*gates, {"gate": "cnot", "control": 0, "target": 1}]}


def plain(values):
    return values.dtype != object


def conditional(parameters, inputs):
    name = "ry" if parameters[0] > 0 else "rx"
    return {"qubits": 1, "circuit": [{"gate": name, "target": 0, "rotation": parameters[0]}]}


def curved(parameters, inputs):
    angle = np.sin(parameters[0]) * inputs[0]
    return {"qubits": 1, "circuit": [{"gate": "rx", "target": 0, "rotation": angle}]}


def product(parameters, inputs):
    angle = parameters[0] * inputs[0]
    return {"qubits": 1, "circuit": [{"gate": "rx", "target": 0, "rotation": angle}]}


def converted(parameters, inputs):
    angle = float(parameters[0]) ** 2
    return {"qubits": 1, "circuit": [{"gate": "rx", "target": 0, "rotation": angle}]}


def typed(parameters, inputs):
    angle = parameters[0] if isinstance(parameters[0], float) else 0.0 * parameters[0]
    return {"qubits": 1, "circuit": [{"gate": "rx", "target": 0, "rotation": angle}]}


def native(parameters, inputs):
    phases = [parameters[0], -parameters[1]]
    return {
        "qubits": 2,
        "circuit": [{"gate": "ms", "targets": [0, 1], "phases": phases, "angle": 0.25}],
    }


BUILDERS = (layer, conditional, curved, product, converted, typed, native)
numbers = st.lists(st.floats(-10, 10), min_size=2, max_size=2).map(np.array)


def flat(value):
    if isinstance(value, dict):
        return [x for key in sorted(value) for x in (key, *flat(value[key]))]
    if isinstance(value, list | tuple):
        return [x for item in value for x in flat(item)]
    return [pytest.approx(float(value), abs=1e-9) if isinstance(value, float) else value]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(BUILDERS), numbers, numbers), min_size=1, max_size=12))
def test_what_is_cached_equals_what_is_built(calls):
    cache = SmartCircuitCache(max_templates=3, max_bound_circuits=4)
    for builder, parameters, inputs in calls:
        # All under one key: what distinguishes them is what they do.
        found = cache.get_or_build("one key", parameters, inputs, builder, 2)
        assert flat(found) == flat(builder(parameters, inputs))


@pytest.mark.parametrize(
    ("builder", "calls"),
    [(layer, 3), (native, 3), (conditional, 11), (curved, 11), (product, 11), (typed, 12)],
)
def test_only_affine_builders_are_spared(builder, calls):
    counted = []

    def counting(parameters, inputs):
        counted.append(1)
        return builder(parameters, inputs)

    cache = SmartCircuitCache()
    for i in range(10):
        cache.get_or_build("k", np.array([0.1 * i, 1.0]), np.array([0.3, 0.2]), counting, 2)
    assert len(counted) == calls  # one to three of them to find out
    stats = cache.get_stats()
    assert (stats["template_hits"], stats["template_misses"]) == (9, 1)
    assert stats["template_hit_rate"] == 0.9
    assert stats["bound_cache_size"] == 10


def test_equal_values_are_found_again_and_are_the_callers_own():
    cache = SmartCircuitCache()
    x = np.array([0.1, 0.2])
    first = cache.get_or_build("k", x, x, layer, 2)
    first["circuit"].clear()
    second = cache.get_or_build("k", x, x, layer, 2)
    assert len(second["circuit"]) == 5
    assert cache.get_stats()["bound_hits"] == 1


def test_enclosed_values_are_part_of_the_builder():
    def builder(factor):
        return lambda p, x: {"qubits": 1, "circuit": [{"gate": "rx", "target": 0,
                                                       "rotation": factor * p[0]}]}  # fmt: skip

    cache = SmartCircuitCache()
    p = np.array([1.0])
    angles = [
        cache.get_or_build("k", p, None, builder(f), 1)["circuit"][0]["rotation"]
        for f in (1.0, 2.0, 1.0)
    ]
    assert angles == [1.0, 2.0, 1.0]
    assert cache.get_stats()["bound_hits"] == 1


def test_clearing(capsys):
    cache = SmartCircuitCache(enable_statistics=False)
    cache.get_or_build("k", np.zeros(2), np.zeros(2), layer, 2, metadata={"depth": 1})
    assert cache.metadata("k") == {"depth": 1}
    cache.clear_bound_cache()
    assert (len(cache), cache.get_stats()["bound_cache_size"]) == (1, 0)
    cache.clear()
    assert len(cache) == 0
    assert "avg_bind_time_ms" not in cache.get_stats()
    cache.print_stats()
    assert "template_hit_rate" in capsys.readouterr().out
    assert pickle.loads(pickle.dumps(cache)).max_bound_circuits == 1000


def test_sizes_below_zero_are_refused():
    for sizes in ({"max_templates": -1}, {"max_bound_circuits": -1}):
        with pytest.raises(ConfigurationError, match=next(iter(sizes))):
            SmartCircuitCache(**sizes)


def test_a_builder_that_fails_says_why():
    def broken(parameters, inputs):
        raise ZeroDivisionError("no such layer")

    with pytest.raises(ZeroDivisionError, match="no such layer"):
        SmartCircuitCache().get_or_build("k", np.zeros(1), None, broken, 1)


def test_the_devices_templates_live_in_the_same_cache(emulator):
    cache = SmartCircuitCache()
    dev = qml.device("qstore.ionq", wires=1, emulator=emulator, cache=cache)
    cache.get_or_build("k", np.zeros(2), np.zeros(2), layer, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qml.execute([qml.tape.QuantumScript([qml.X(0)], [qml.expval(qml.Z(0))])], dev)
    assert len(cache) > 1


# ------------------------------------------------------------------ the tracker


def test_the_tracker_measures_by_step_and_epoch(tmp_path):
    tracker = PerformanceTracker(tmp_path, save_interval=2)
    assert tracker.get_statistics() == {} == tracker.estimate_speedup()
    for i in range(4):
        tracker.log_batch(
            i, i // 2, 1.0 - 0.1 * i, 0.5, 20, 4000.0, 0.01, {"template_hit_rate": 0.9}
        )
    for epoch in range(2):
        tracker.log_epoch(epoch)
    stats = tracker.get_statistics()
    assert stats["circuits_per_second"] == pytest.approx(5.0)
    assert stats["ms_per_circuit"] == pytest.approx(200.0)
    assert (stats["total_batches"], stats["total_epochs"]) == (4, 2)
    assert stats["avg_cache_hit_rate"] == 0.9
    assert tracker.get_convergence_data()["loss"] == pytest.approx([1.0, 0.9, 0.8, 0.7])
    assert (tmp_path / "statistics.json").exists()
    assert tracker.identify_bottlenecks() == []
    tracker.reset()
    assert tracker.get_statistics() == {}


def test_a_speed_up_in_time_needs_a_measured_baseline():
    tracker = PerformanceTracker()
    tracker.log_batch(0, 0, 1.0, 0.5, 20, 4000.0, 0.01)
    assert tracker.estimate_speedup()["circuit_reduction"] == pytest.approx(4.8)
    assert tracker.estimate_speedup()["time_speedup"] is None
    assert tracker.estimate_speedup(96, 35_000.0)["time_speedup"] == pytest.approx(8.75)


def test_the_tracker_names_what_stands_out():
    tracker = PerformanceTracker()
    for i, took in enumerate((1000.0, 1000.0, 9000.0)):
        tracker.log_batch(i, 0, 1.0, 0.5, 1, took, 0.01, {"template_hit_rate": 0.2})
    notes = " ".join(tracker.identify_bottlenecks())
    assert "three times the median" in notes
    assert "20%" in notes
    assert "use_batch_api" in notes
