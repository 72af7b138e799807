"""SmartCircuitCache: equal values are found again, builders are told apart, sizes hold."""

import pickle
import warnings

import numpy as np
import pennylane as qml
import pytest
from support.v34_runs import layer

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34 import (
    SmartCircuitCache,
)


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


def test_the_devices_templates_live_in_the_same_cache(emulator):
    cache = SmartCircuitCache()
    dev = qml.device("qstore.ionq", wires=1, emulator=emulator, cache=cache)
    cache.get_or_build("k", np.zeros(2), np.zeros(2), layer, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qml.execute([qml.tape.QuantumScript([qml.X(0)], [qml.expval(qml.Z(0))])], dev)
    assert len(cache) > 1
