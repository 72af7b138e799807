"""Q-Store v3.4's page, snippet by snippet, and its components under their names."""

import ast
import asyncio
import inspect

import numpy as np
import pennylane as qml
import pytest
from support.v34_runs import circuits

import pennylane_qstore as qstore
import pennylane_qstore.v34 as v34
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.v34 import (
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
