"""Values of a checkpoint: each comes back bit for bit, and none of them calls anything."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pennylane import numpy as pnp

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.values import decode, encode, generator, naming_damage

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
    return decode(json.loads(json.dumps(encode(value))))


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
        encode({"a": [value]})


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_generator_of_numpy_is_known(bits):
    rng = np.random.Generator(getattr(np.random, bits)(3))
    assert generator(rng.bit_generator.state).integers(1 << 60) == rng.integers(1 << 60)


@pytest.mark.parametrize("name", ["test", "seed", "default_rng", "BitGenerator", "__doc__", "", 5])
def test_no_other_name_is_looked_up_in_numpy(name):
    state = {**np.random.PCG64(1).state, "bit_generator": name}
    for value in ({"$": "generator", "state": state}, {"a": [{"$": "generator", "state": state}]}):
        with pytest.raises(ConfigurationError, match=r"bit_generator=.* Allowed: PCG64, "):
            decode(value)


@pytest.mark.ml
@pytest.mark.parametrize("name", ["save", "load", "nn", "__name__", 5])
def test_no_name_but_a_type_is_looked_up_in_torch(name):
    torch = pytest.importorskip("torch")
    with pytest.raises(ConfigurationError, match="no type of torch"):
        decode({**encode(torch.ones(2)), "dtype": name})


@pytest.mark.parametrize(
    "error", [KeyError("a"), RecursionError("deep"), UnicodeDecodeError("utf-8", b"", 0, 1, "x")]
)
def test_damage_is_named_whatever_it_led_to(error):
    with pytest.raises(ConfigurationError, match="The file is damaged"), naming_damage("The file"):
        raise error
