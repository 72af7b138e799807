"""The template cache: what it holds, what it measures, and many threads at once."""

import warnings

import numpy as np
import pennylane as qml
import pytest
from support.circuits import distribution
from support.threads import in_threads

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.pipeline import compile_program


def template(family="ms"):
    wires = {i: i for i in range(3)}
    ops = [qml.StronglyEntanglingLayers(np.ones((2, 3, 3)), range(3)), qml.IsingXX(0.3, [0, 2])]
    _, program = affine_program(extract_structure(qml.tape.QuantumScript(ops), wires)[0], wires)
    return compile_program(program, measured=range(3), family=family, absorb=False), program


def test_the_least_recently_used_leaves_first():
    cache = SmartCircuitCache(2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: key.upper())
    built = []
    for key in ("a", "c", "b"):
        cache.get(key, lambda key=key: built.append(key))
    assert built == ["b"]
    stats = cache.get_stats()
    assert (stats["template_hits"], stats["template_misses"], stats["evictions"]) == (3, 4, 2)
    assert stats["template_hit_rate"] == pytest.approx(3 / 7)


def test_one_thread_builds_and_the_others_wait():
    cache = SmartCircuitCache()
    built = []

    def work(_):
        assert cache.get("key", lambda: built.append(1) or "value") == "value"

    in_threads(work, range(6))
    assert built == [1]
    stats = cache.get_stats()
    assert (stats["template_hits"], stats["template_misses"]) == (5, 1)


def test_a_failed_build_is_not_remembered_and_blocks_nobody():
    cache = SmartCircuitCache()

    def fail():
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cache.get("key", fail)
    assert cache.get("key", lambda: 3) == 3
    assert len(cache) == 1


def test_no_templates_means_no_cache():
    cache = SmartCircuitCache(0)
    assert [cache.get("key", lambda i=i: i) for i in range(3)] == [0, 1, 2]
    assert cache.get_stats()["template_misses"] == 3


@pytest.mark.parametrize("size", [2.5, "10", "abc", None, True, np.nan, np.inf, [3], -1])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ConfigurationError, match="max_templates"):
        SmartCircuitCache(size)


def test_sizes_are_bytes():
    cache = SmartCircuitCache()
    cache.get("array", lambda: np.zeros(10_000))
    one = cache.get_stats()["estimated_memory_kb"]
    assert 80 <= one < 81
    cache.get("nested", lambda: {"a": [np.zeros((100, 100)), (np.ones(1250),)]})
    assert 170 <= cache.get_stats()["estimated_memory_kb"] < 172


def test_a_template_s_size_grows_with_the_patterns_it_meets():
    cache = SmartCircuitCache()
    made, program = template()
    cache.get("key", lambda: made)
    before = cache.get_stats()["estimated_memory_kb"]
    assert before * 1e3 > made.nbytes
    made.bind(np.zeros((1, program.parameters)))
    stats = cache.get_stats()
    assert stats["estimated_memory_kb"] > before
    assert stats["off_plan_rows"] == 1


def test_threads_bind_one_template_as_one_thread_does():
    rng = np.random.default_rng(3)
    special = (0.0, np.pi / 2, np.pi, 0.3)
    shared, program = template()
    rows = [rng.choice(special, (40, program.parameters)) for _ in range(6)]
    serial = [template()[0] for _ in rows]
    alone = [made.bind(r) for made, r in zip(serial, rows, strict=True)]
    for one, other in zip(in_threads(shared.bind, rows), alone, strict=True):
        for a, b in zip(one.blocks, other.blocks, strict=True):
            assert a.gates == b.gates
            assert np.array_equal(a.rows, b.rows)
            assert np.array_equal(a.params, b.params)
    assert shared.off_plan_rows == sum(made.off_plan_rows for made in serial) > 0


def test_results_are_the_same_without_the_cache():
    weights = np.random.default_rng(5).uniform(-3, 3, (4, 2, 3, 3))
    results = []
    for cache in (True, False, 1):
        device = qml.device("qstore.ionq", wires=3, cache=cache, seed=4)

        @qml.qnode(device)
        def circuit(w):
            qml.StronglyEntanglingLayers(w, range(3))
            return qml.expval(qml.Z(0)), qml.probs(wires=[1, 2]), qml.expval(qml.X(2))

        results.append([circuit(w) for w in weights])
    for other in results[1:]:
        for one, its in zip(results[0], other, strict=True):
            for a, b in zip(one, its, strict=True):
                assert np.array_equal(a, b)


class OfACosine(qml.operation.Operation):
    """An operation whose gate's angle is no polynomial."""

    num_params = num_wires = 1
    ndim_params = (0,)

    def decomposition(self):
        return [qml.RX(np.cos(self.data[0]), self.wires)]


def test_operations_that_fit_no_template_are_counted_and_told_once():
    device = qml.device("qstore.ionq", wires=3, cache=SmartCircuitCache())

    @qml.qnode(device)
    def circuit(x):
        qml.IQPEmbedding(x, range(3))
        OfACosine(0.3, wires=1)
        qml.BasisState([1, 1], [0, 1])  # follows from its state: nothing to tell
        return qml.expval(qml.X(1))

    x = np.random.default_rng(2).uniform(-3, 3, (4, 3))
    with pytest.warns(UserWarning, match="OfACosine is decomposed anew") as told:
        got = circuit(x)
    assert len([w for w in told if "decomposed anew" in str(w.message)]) == 1
    reference = qml.QNode(circuit.func, qml.device("default.qubit", wires=3))
    assert np.allclose(got, reference(x), atol=1e-9)
    assert device.stats["circuit_cache"]["expanded_operations"] == {"OfACosine": 1, "BasisState": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        circuit(x + 1)
    stats = device.cache.get_stats()
    assert stats["template_hits"] > 0
    assert stats["expanded_operations"]["OfACosine"] == 2


def test_a_plan_that_does_not_hold_at_a_second_sample_is_replaced_and_counted(monkeypatch):
    from pennylane_qstore.native.template import planning as room

    samples = iter([np.zeros((1, 18 + 1)), np.random.default_rng(1).uniform(1, 2, (1, 18 + 1))])
    _, program = template()
    with monkeypatch.context() as patched:
        patched.setattr(room, "random_rows", lambda *_: next(samples))
        misled = compile_program(
            program, measured=range(3), family="ms", absorb=False, optimize_fidelity=False
        )
    assert misled.fallbacks > 0
    cache = SmartCircuitCache()
    cache.get("key", lambda: misled)
    assert cache.get_stats()["plan_fallbacks"] == misled.fallbacks
    rows = np.random.default_rng(2).uniform(-3, 3, (3, program.parameters))
    one, other = misled.bind(rows), template()[0].bind(rows)
    for row in range(3):
        distributions = []
        for batch in (one, other):
            (block,) = (b for b in batch.blocks if row in b.rows)
            params = block.params[list(block.rows).index(row)]
            distributions.append(distribution(batch, block.gates, params))
        assert np.allclose(*distributions, atol=1e-9)
