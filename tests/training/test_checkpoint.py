"""Checkpoints: every number comes back bit for bit, files are whole, pickle is not needed."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pennylane import numpy as pnp

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import checkpoint

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)
DTYPES = arrays.floating_dtypes() | arrays.integer_dtypes() | arrays.boolean_dtypes()


def there_and_back(value):
    return checkpoint.decode(json.loads(json.dumps(checkpoint.encode(value))))


@given(PLAIN)
def test_plain_values_come_back_with_their_types(value):
    assert repr(there_and_back(value)) == repr(value)


def test_sets_come_back():
    assert there_and_back({"trained": {2, 0}, "none": set()}) == {"trained": {0, 2}, "none": set()}


@given(arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_arrays_come_back_bit_for_bit(array):
    back = there_and_back(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("grad", [True, False])
def test_pennylane_tensors_keep_requires_grad(grad):
    back = there_and_back({"w": [pnp.array([[1.0, 2.0]], requires_grad=grad)]})["w"][0]
    assert isinstance(back, pnp.tensor)
    assert back.requires_grad is grad


def test_generators_go_on_where_they_were():
    for bits in (np.random.PCG64, np.random.MT19937, np.random.Philox):
        rng = np.random.Generator(bits(7))
        rng.normal(size=5)
        np.testing.assert_array_equal(there_and_back(rng).normal(size=9), rng.normal(size=9))


def test_the_process_s_own_generators_go_on_where_they_were():
    states = json.loads(json.dumps(checkpoint.random_states()))
    drawn = random.random(), np.random.random(3), random.gauss(0, 1)  # noqa: NPY002
    checkpoint.set_random_states(states)
    again = random.random(), np.random.random(3), random.gauss(0, 1)  # noqa: NPY002
    assert drawn[0] == again[0]
    np.testing.assert_array_equal(drawn[1], again[1])
    assert drawn[2] == again[2]


@pytest.mark.ml
def test_torch_tensors_come_back_with_type_grad_and_kind():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.int64):
        tensor = torch.arange(6).reshape(2, 3).to(dtype)
        back = there_and_back(tensor)
        assert back.dtype == dtype
        assert back.equal(tensor)
    assert there_and_back(torch.zeros(0)).shape == (0,)
    assert there_and_back(torch.tensor(1.5)).shape == ()
    back = there_and_back(torch.nn.Parameter(torch.ones(2)))
    assert isinstance(back, torch.nn.Parameter)
    assert back.requires_grad


@pytest.mark.ml
def test_jax_arrays_come_back_as_such():
    jax = pytest.importorskip("jax")
    back = there_and_back(jax.numpy.arange(3.0))
    assert isinstance(back, jax.Array)


@pytest.mark.parametrize("value", [object(), frozenset({1, 2}), lambda: 1, np.array([object()])])
def test_what_cannot_be_kept_is_named(value):
    with pytest.raises(ConfigurationError, match="cannot be kept in a checkpoint"):
        checkpoint.encode({"a": [value]})


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "run.json"
    checkpoint.write(path, {"a": 1})
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            checkpoint.write(path, {"a": 2})
    assert checkpoint.read(path) == {"format": 1, "a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]
