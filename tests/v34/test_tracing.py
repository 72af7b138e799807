"""Tracing: a template equals its builder, and only affine builders have one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.v34_runs import layer

from pennylane_qstore.v34 import (
    SmartCircuitCache,
)


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


def test_a_builder_that_fails_says_why():
    def broken(parameters, inputs):
        raise ZeroDivisionError("no such layer")

    with pytest.raises(ZeroDivisionError, match="no such layer"):
        SmartCircuitCache().get_or_build("k", np.zeros(1), None, broken, 1)
