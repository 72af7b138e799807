"""Progress of a batch: bars and callbacks."""

from __future__ import annotations

import pytest

from pennylane_qstore.execution.progress import progress_of
from pennylane_qstore.ionq.progress import ProgressBar


@pytest.mark.parametrize("asked", [None, False])
def test_without_progress_nothing_is_called(asked):
    with progress_of(asked) as callback:
        assert not callback


def test_true_is_a_bar():
    with progress_of(True) as callback:
        assert isinstance(callback, ProgressBar)


def test_a_callback_gets_every_change():
    changes = []
    with progress_of(changes.append) as callback:
        callback("ready")
        callback("running")
    assert changes == ["ready", "running"]


def test_a_callback_that_raises_is_not_called_again_for_this_batch(caplog):
    changes = []

    def broken(change):
        changes.append(change)
        raise ValueError("my own mistake")

    with progress_of(broken) as callback:
        callback("ready")
        callback("running")
    assert changes == ["ready"]
    (record,) = caplog.records
    assert "not called again" in record.message
    assert "my own mistake" in str(record.exc_info[1])
    with progress_of(broken) as callback:
        callback("completed")
    assert changes == ["ready", "completed"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_callback_ends_the_wait(error):
    def interrupted(change):
        raise error

    with progress_of(interrupted) as callback, pytest.raises(error):
        callback("ready")
