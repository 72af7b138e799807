"""Checkpoints: every number comes back bit for bit, files are whole, pickle is not needed."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pennylane import numpy as pnp

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import checkpoint
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.run import TrainingRun

ASSETS = Path(__file__).parent / "assets"

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
    assert checkpoint.read(path) == {"format": 2, "a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


# --------------------------------------------------------------------------- state and history

X = np.random.default_rng(0).normal(size=(8, 3))
Y = X @ np.array([0.5, -1.0, 2.0])


def squared_error(w, x, y):
    return np.mean((x @ w - y) ** 2)


def small_run(path=None, **options):
    """The run whose checkpoint of format 1 is kept as an asset, after five steps of ten."""
    return TrainingRun(
        squared_error, np.zeros(3), SPSAOptimizer(maxiter=20, seed=1), data=(X, Y), batch_size=4,
        seed=2, device=(), progress=False, validation=(X, Y), validate_every=2, checkpoint=path,
        **options,
    )  # fmt: skip


def records(count):
    return [StepRecord(i, 1, 1.0 / i, {"accuracy": 0.5}) for i in range(1, count + 1)]


def test_only_new_steps_are_written(tmp_path):
    files = checkpoint.Checkpoint(tmp_path / "run.json")
    history = records(5)
    files.save({"a": 0}, history[:2])
    first = files.history_path.read_bytes()
    files.save({"a": 1}, history)
    assert files.history_path.read_bytes().startswith(first)
    assert files.history_path.read_bytes().count(b"\n") == 5
    assert checkpoint.Checkpoint(tmp_path / "run.json").load() == (
        {"format": 2, "a": 1, "steps": 5},
        history,
    )
    assert "loss" not in (tmp_path / "run.json").read_text()


def test_a_state_takes_the_same_room_at_every_step(tmp_path):
    run = small_run(tmp_path / "run.json")
    sizes, lines = [], []
    for step in (10, 200):
        run.train(step)
        sizes.append((tmp_path / "run.json").stat().st_size)
        lines.append((tmp_path / "run.json.history.jsonl").read_text().count("\n"))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)
    assert lines == [10, 200]


@pytest.mark.parametrize("tail", ["", '{"step": 6, "epoch": 1, "loss": 9.0}\n', '{"step": 6, "ep'])
def test_killed_between_the_two_writes_nothing_is_lost_or_doubled(tail, tmp_path):
    """The history may be ahead of the state, by whole lines or a torn one."""
    whole = small_run().train(10)
    small_run(tmp_path / "a").train(5)
    with (tmp_path / "a.history.jsonl").open("a") as file:
        file.write(tail)
    rest = small_run(tmp_path / "a", resume=True).train(10)
    assert [r.outcome() for r in rest.history] == [r.outcome() for r in whole.history]
    lines = (tmp_path / "a.history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 11))


def test_a_state_that_could_not_be_replaced_counts_nothing_twice(tmp_path, monkeypatch):
    files = checkpoint.Checkpoint(tmp_path / "run.json")
    files.save({}, records(1))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            files.save({}, records(2))
    files.save({}, records(3))
    assert files.load()[1] == records(3)
    assert files.history_path.read_text().count("\n") == 3


def test_a_new_run_under_an_old_name_starts_an_empty_history(tmp_path):
    small_run(tmp_path / "a").train(5)
    assert small_run(tmp_path / "a", resume=False).train(2).step == 2
    assert (tmp_path / "a.history.jsonl").read_text().count("\n") == 2
    assert small_run(tmp_path / "a", resume=True).train(2).step == 2


def test_a_run_that_ended_before_its_first_step_goes_on(tmp_path):
    files = checkpoint.Checkpoint(tmp_path / "run.json")
    files.save({"a": 0}, [])
    assert checkpoint.Checkpoint(tmp_path / "run.json").load()[1] == []

    def fail(record):
        raise RuntimeError("no first step")

    with pytest.raises(RuntimeError):
        small_run(tmp_path / "a", callbacks=[fail]).train(1)
    assert small_run(tmp_path / "a", resume=True).train(2).step == 2


@pytest.mark.parametrize("text", [None, "", "{}\n", "no JSON\n" * 5])
def test_a_history_that_is_not_the_state_s_is_refused(text, tmp_path):
    small_run(tmp_path / "a").train(5)
    (tmp_path / "a.history.jsonl").unlink()
    if text is not None:
        (tmp_path / "a.history.jsonl").write_text(text)
    with pytest.raises(ConfigurationError, match=r"The history .*a\.history\.jsonl"):
        small_run(tmp_path / "a", resume=True).train(6)


def test_a_checkpoint_of_format_1_goes_on_and_becomes_one_of_format_2(tmp_path):
    path = tmp_path / "run.json"
    shutil.copy(ASSETS / "checkpoint_format_1.json", path)
    rest = small_run(path, resume=True).train(10)
    whole = small_run().train(10)
    assert [r.outcome() for r in rest.history] == [r.outcome() for r in whole.history]
    np.testing.assert_array_equal(rest.params, whole.params)
    assert json.loads(path.read_text())["format"] == 2
    assert small_run(path, resume=True).train(10).history == rest.history


def test_a_version_that_is_not_known_is_named(tmp_path):
    (tmp_path / "a").write_text(json.dumps({"format": 3}))
    with pytest.raises(ConfigurationError, match="its format is 3, allowed are 1 and 2"):
        checkpoint.read(tmp_path / "a")
