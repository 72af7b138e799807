"""Mini-batches: all rows once an epoch, in an order of the seed; sizes that are possible."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pennylane as qml
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from support.training_runs import X, Y, make

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.minibatches import RunData, checked, digest


def test_all_rows_are_seen_once_an_epoch_in_an_order_of_the_seed():
    rows = [np.arange(10)]
    batches = RunData(rows, None, 4, False, seed=5)
    epochs = [np.concatenate([batches.rows(s) for s in range(k, k + 3)]) for k in (1, 4)]
    assert [sorted(rows) for rows in epochs] == [list(range(10))] * 2
    assert list(epochs[0]) != list(epochs[1])
    assert [len(batches.rows(s)) for s in (1, 2, 3)] == [4, 4, 2]
    assert [batches.epoch(s) for s in (1, 3, 4)] == [1, 1, 2]
    np.testing.assert_array_equal(batches.rows(5), RunData(rows, None, 4, False, 5).rows(5))
    equal = RunData(rows, None, 4, True, seed=5)
    assert {len(equal.rows(s)) for s in range(1, 20)} == {4}
    assert equal.epoch(3) == 2


def test_epochs_count_in_steps():
    assert make().train(epochs=2).step == 10


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 21}, "batch_size=21"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"data": (X, Y[:3])}, "one length"),
        ({"data": None}, "needs data"),
        ({"patience": 0}, "patience=0"),
        ({"loss": None}, "give loss= too"),
    ],
)
def test_settings_that_are_not_possible_are_refused(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        make(**wrong)


# --------------------------------------------------------------------------- kinds of data

ROWS = np.array([[0.5, 1.0], [1.5, 2.0], [2.5, 3.0], [3.5, 4.0], [4.5, 5.0]])
LABELS = np.array([10, 11, 12, 13, 14])
OTHER_INDEX = [3, 0, 4, 1, 2]


@pytest.mark.parametrize(
    "features",
    [
        ROWS.tolist(),
        tuple(map(tuple, ROWS)),
        ROWS.astype(object),
        pd.DataFrame(ROWS, index=OTHER_INDEX),
        pd.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1].astype(int)}, index=OTHER_INDEX),
        pd.DataFrame({"text": list("abcde"), "a": ROWS[:, 0], "b": ROWS[:, 1]}).iloc[:, 1:],
        pd.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1]}, dtype=object),
        pd.DataFrame(ROWS).astype(pd.SparseDtype("float64", 0.0)),
        scipy.sparse.csr_matrix(ROWS),
        scipy.sparse.coo_array(ROWS),
        np.ma.masked_array(ROWS, mask=False),
    ],
    ids=[
        *("lists", "tuples", "objects", "table", "two types", "text dropped", "boxed"),
        *("sparse table", "csr", "coo", "nothing masked"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(),
        LABELS.astype(object),
        pd.Series(LABELS, index=OTHER_INDEX),
        pd.Series(LABELS, index=list("vwxyz")),
        pd.Series(LABELS, index=OTHER_INDEX, dtype="Int64"),
        pd.Series(LABELS).astype("category"),
    ],
    ids=["list", "objects", "series", "named series", "nullable", "category"],
)
def test_rows_are_taken_by_position_whatever_holds_them(features, labels):
    wanted = RunData((ROWS, LABELS), None, 2, False, seed=7)
    data = RunData((features, labels), None, 2, False, seed=7)
    for step in range(1, 7):
        (x, y), epoch = data.samples(step)
        (wanted_x, wanted_y), wanted_epoch = wanted.samples(step)
        assert epoch == wanted_epoch
        assert (type(x), type(y)) == (np.ndarray, np.ndarray)
        np.testing.assert_array_equal(x, wanted_x)
        np.testing.assert_array_equal(y, wanted_y)
    assert data.settings()["data"] == wanted.settings()["data"]


def test_a_run_on_a_series_with_another_index_is_that_on_its_values():
    losses = []
    for labels in (Y, pd.Series(Y, index=np.random.default_rng(3).permutation(20))):
        losses.append([r.loss for r in make(data=(X, labels)).train(2).history])
    assert losses[0] == losses[1]


def test_tensors_of_pennylane_stay_such():
    (x,), _ = RunData(qml.numpy.array(ROWS, requires_grad=False), None, 2, False, 1).samples(1)
    assert isinstance(x, qml.numpy.tensor)
    assert not x.requires_grad


@pytest.mark.ml
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int64", "sparse"])
def test_tensors_of_torch_stay_such(kind):
    torch = pytest.importorskip("torch")
    whole = torch.tensor(ROWS, dtype=getattr(torch, "float64" if kind == "sparse" else kind))
    data = RunData((whole.to_sparse() if kind == "sparse" else whole, LABELS), None, 2, False, 1)
    (x, _), _ = data.samples(1)
    (wanted, _), _ = RunData((np.arange(5), LABELS), None, 2, False, 1).samples(1)
    assert torch.equal(x, whole[wanted])
    again = RunData((whole.clone(), LABELS), None, 2, False, 1)
    assert data.settings() == again.settings()
    with pytest.raises(ConfigurationError, match=r"data\[0\] has values that are NaN"):
        checked((torch.tensor([1.0, float("nan")]), [1, 2]), "data")


@pytest.mark.ml
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int32"])
def test_arrays_of_jax_stay_such(kind):
    jax = pytest.importorskip("jax")
    (x,), _ = RunData(jax.numpy.asarray(ROWS, dtype=kind), None, 2, False, 1).samples(1)
    assert isinstance(x, jax.Array)
    with pytest.raises(ConfigurationError, match=r"data\[0\] has values that are NaN"):
        checked((jax.numpy.array([1.0, np.nan]), [1, 2]), "data")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((ROWS, LABELS[:3]), r"one length, as \(x, y\); these have \[3, 5\]"),
        ((ROWS, list("abcde")), r"data\[1\] has texts: give numbers only"),
        ((pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), [1, 2]), r"data\[0\] has texts"),
        ((pd.Series(["x", "y"], dtype="category"), [1, 2]), r"data\[0\] has texts"),
        (([1, "2"], [1, 2]), r"data\[0\] has texts"),
        ((np.array(["2026-01-01"], dtype="M8[s]"), [1]), r"data\[0\] has values of type date"),
        (([1.0, np.nan], [1, 2]), r"data\[0\] has values that are NaN or infinite"),
        (([1.0, 2.0], [1, np.inf]), r"data\[1\] has .* NaN or infinite, .* in row 1\."),
        (([1.0, None], [1, 2]), r"data\[0\] has values that are NaN"),
        ((pd.Series([1, None], dtype="Int64"), [1, 2]), r"data\[0\] (is not an array|has .* NaN)"),
        ((np.ma.masked_array([1.0, 2.0], [0, 1]), [1, 2]), r"data\[0\] has masked values"),
        (([[1.0], [1.0, 2.0]], [1, 2]), r"data\[0\] is not an array of numbers"),
        (([object()], [1]), r"data\[0\] is not an array of numbers"),
        ({"x": ROWS, "y": LABELS}, r"data\[0\] is not an array"),
        (iter(ROWS), r"data\[0\] is not an array"),
        (5, r"data\[0\] is not an array with one row per sample"),
        (([], []), "data has no rows"),
        ((), "arrays of one length"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["data", "validation"])
def test_data_that_are_no_rows_of_numbers_are_refused_by_name(option, data, said):
    with pytest.raises(ConfigurationError, match=said.replace("data", option)):
        checked(data, option)


def test_data_of_objects_have_one_digest_in_every_process(other_process):
    code = (
        "import numpy as np; from decimal import Decimal\n"
        "from pennylane_qstore.training.minibatches import checked, digest\n"
        "labels = np.array([Decimal(i) / 4 for i in range(5)], dtype=object)\n"
        "print(digest(checked(([[0.5], [1], [2], [3], [4]], labels), 'data')))"
    )
    labels = np.array([Decimal(i) / 4 for i in range(5)], dtype=object)
    mine = digest(checked(([[0.5], [1], [2], [3], [4]], labels), "data"))
    assert other_process(code).strip() == mine
    assert digest(checked(([[0.5], [1], [2], [3], [4]], np.arange(5) / 4), "data")) == mine


@given(
    st.integers(1, 12), st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(0, 99)
)
def test_spans_of_any_sizes_go_through_the_data_evenly(rows, sizes, seed):
    batches = RunData([np.arange(rows)], None, None, False, seed)
    seen, counts = 0, np.zeros(rows, int)
    for size in (min(size, rows) for size in sizes):
        counts += np.bincount(batches.rows(1, (seen, size)), minlength=rows)
        seen += size
    if all(size < rows for size in sizes):
        assert counts.max() - counts.min() <= 1
    assert list(batches.rows(1, (3, rows))) == list(range(rows))


def test_a_span_has_an_epoch():
    data = RunData((X, Y), None, None, False, seed=1)
    assert [data.samples(1, (start, 5))[1] for start in (0, 19, 20)] == [1, 1, 2]
    (x, y), _ = data.samples(1, (18, 4))
    np.testing.assert_array_equal(x, X[data.rows(1, (18, 4))])
    assert len(y) == 4
