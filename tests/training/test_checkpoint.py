"""Checkpoints: every number comes back bit for bit, files are whole, pickle is not needed."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import checkpoint
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.run import TrainingRun

ASSETS = Path(__file__).parent / "assets"


def test_the_process_s_own_generators_go_on_where_they_were():
    states = json.loads(json.dumps(checkpoint.random_states()))
    drawn = random.random(), np.random.random(3), random.gauss(0, 1)  # noqa: NPY002
    checkpoint.set_random_states(states)
    again = random.random(), np.random.random(3), random.gauss(0, 1)  # noqa: NPY002
    assert drawn[0] == again[0]
    np.testing.assert_array_equal(drawn[1], again[1])
    assert drawn[2] == again[2]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "run.json"
    checkpoint.write(path, {"a": 1})
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            checkpoint.write(path, {"a": 2})
    assert checkpoint.read(path) == {"format": 3, "a": 1}
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
        {"format": 3, "a": 1, "steps": 5},
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


@pytest.mark.parametrize("steps", [-1, 2**63, 2**64, "7", None])
def test_a_number_of_steps_that_no_run_has_is_refused(steps, tmp_path):
    checkpoint.write(tmp_path / "run.json", {"steps": steps})
    (tmp_path / "run.json.history.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match="steps"):
        checkpoint.Checkpoint(tmp_path / "run.json").load()


def test_a_checkpoint_of_format_1_goes_on_and_becomes_one_of_today(tmp_path):
    path = tmp_path / "run.json"
    shutil.copy(ASSETS / "checkpoint_format_1.json", path)
    rest = small_run(path, resume=True).train(10)
    whole = small_run().train(10)
    assert [r.outcome() for r in rest.history] == [r.outcome() for r in whole.history]
    np.testing.assert_array_equal(rest.params, whole.params)
    assert json.loads(path.read_text())["format"] == 3
    assert small_run(path, resume=True).train(10).history == rest.history


def test_a_version_that_is_not_known_is_named(tmp_path):
    (tmp_path / "a").write_text(json.dumps({"format": 4}))
    with pytest.raises(ConfigurationError, match="its format is 4, allowed are 1 to 3"):
        checkpoint.read(tmp_path / "a")


def test_a_file_written_by_an_earlier_release_is_read_without_a_checksum(tmp_path):
    path = tmp_path / "run.json"
    small_run(path).train(5)
    state = {**checkpoint.read(path), "format": 2}
    del state["history_checksum"]
    path.write_text(json.dumps(state))
    rest, whole = small_run(path, resume=True).train(10), small_run().train(10)
    assert [r.outcome() for r in rest.history] == [r.outcome() for r in whole.history]
    assert small_run(path, resume=True).train(10).history == rest.history


@pytest.mark.parametrize("name", ["run.json", "run.json.history.jsonl"])
def test_every_changed_digit_is_noticed(name, tmp_path):
    small_run(tmp_path / "run.json").train(2)
    content = (tmp_path / name).read_text()
    digits = [i for i, letter in enumerate(content) if letter.isdigit()]
    for i in digits[:: max(1, len(digits) // 60)]:
        other = "1" if content[i] != "1" else "2"
        (tmp_path / name).write_text(content[:i] + other + content[i + 1 :])
        with pytest.raises(ConfigurationError, match=r"checksum|cannot be read|format"):
            small_run(tmp_path / "run.json", resume=True).train(2)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_files_keep_their_permissions(mode, tmp_path):
    path = tmp_path / "run.json"
    checkpoint.Checkpoint(path).save({"a": 0}, [])
    path.chmod(mode)
    files = checkpoint.Checkpoint(path)
    for count in (1, 2):
        files.save({"a": count}, records(count))
        assert path.stat().st_mode & 0o777 == mode
    assert files.history_path.stat().st_mode & 0o777 & ~mode == 0


def test_a_checkpoint_that_is_a_link_is_written_through(tmp_path):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "run.json", tmp_path / "disk" / "state.json"
    link.symlink_to(target)
    small_run(link).train(2)
    small_run(link, resume=True).train(3)
    assert link.is_symlink()
    assert small_run(target, resume=True).train(3).step == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "run.json"]


def test_a_history_that_is_a_link_is_refused_and_what_it_points_to_is_kept(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run.json.history.jsonl").symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigurationError, match="is a link"):
        small_run(tmp_path / "run.json").train(1)
    assert (tmp_path / "precious").read_text() == "kept"


def test_the_waiting_file_has_another_name_each_time_and_follows_no_link(tmp_path, monkeypatch):
    names, replace = [], Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, other: (names.append(self.name), replace(self, other))
    )
    for _ in range(20):
        checkpoint.write(tmp_path / "run.json", {"a": 1})
    assert len(set(names)) == 20
    (tmp_path / "precious").write_text("kept")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (tmp_path / "run.json.guessed.part").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        checkpoint.write(tmp_path / "run.json", {"a": 2})
    assert (tmp_path / "precious").read_text() == "kept"
