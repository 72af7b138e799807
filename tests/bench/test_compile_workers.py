"""Compilers in their own processes: results, failures, and an end to what takes too long."""

import pytest
from support.compilers import SMALL, dies, endless, fails, gate_by_gate

from pennylane_qstore.bench.compile_workers import Worker, timed


@pytest.fixture(autouse=True)
def _forked(monkeypatch):
    """A new process starts in milliseconds, not seconds."""
    monkeypatch.setattr("pennylane_qstore.bench.compile_workers._START_METHOD", "fork")


def test_time_is_that_of_the_processor():
    made, seconds = timed(gate_by_gate("zz"), SMALL[0])
    assert made == gate_by_gate("zz")(SMALL[0])
    assert 0 <= seconds < 60


def test_a_circuit_that_takes_too_long_ends_and_the_next_is_compiled():
    long, short = SMALL
    with Worker(endless, "zz") as worker:
        with pytest.raises(TimeoutError, match=r"over 0.1 s"):
            worker.compile(long, 0.1)
        made, _ = worker.compile(short, 60)
        process = worker._process
    assert made == gate_by_gate("zz")(short)
    assert not process.is_alive()


@pytest.mark.parametrize(
    ("make", "problem"), [(fails, "ValueError: no idea of warm up"), (dies, "has died")]
)
def test_a_compiler_that_fails_says_why(make, problem):
    with Worker(make, "zz") as worker, pytest.raises(RuntimeError, match=problem):
        worker.compile(SMALL[0], 60)


def test_a_process_that_has_no_group_of_its_own_yet_is_ended_as_well(monkeypatch):
    monkeypatch.setattr("os.setsid", lambda: None)
    with Worker(endless, "zz") as worker:
        with pytest.raises(TimeoutError):
            worker.compile(SMALL[0], 0.1)
        assert not worker._process.is_alive()
