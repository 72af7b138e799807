"""Labels of jobs: names that IonQ takes, with their tokens, and the runs that a job belongs to."""

from __future__ import annotations

import pytest

from pennylane_qstore.run_names import (
    RUNS_KEY,
    in_job_names,
    marked_name,
    run_of,
    runs_entry,
    runs_of,
)


@pytest.mark.parametrize(
    ("name", "run"),
    [(None, None), ("", None), ("vqe", "vqe"), ("vqe " + "0a" * 16, "vqe"), ("0a" * 16, None)],
)
def test_a_run_is_the_name_without_the_token(name: str | None, run: str | None) -> None:
    assert run_of(name) == run


def test_a_name_keeps_its_token() -> None:
    token = "a" * 32
    assert marked_name(None, token) == f"qstore {token}"
    long = marked_name("n" * 200, token)
    assert len(long) == 100
    assert long.endswith(f" {token}")


def test_runs_have_names_that_jobs_can_have() -> None:
    assert in_job_names("H₂ & more/1") == "H_ _ more_1"
    assert len(in_job_names("x" * 100)) == 67


def test_the_runs_of_a_shared_job_travel_with_it() -> None:
    shares = {"a-0123": 0.25, "b 7": 0.75}
    assert runs_of("a-0123 and 1 more", runs_entry(shares)) == shares
    thirds = dict.fromkeys("abc", 1 / 3)
    assert runs_of("a", runs_entry(thirds)) == pytest.approx(thirds, abs=1e-6)
    assert runs_entry(dict.fromkeys(map("{:060d}".format, range(400)), 0.0025)) == {}


@pytest.mark.parametrize(
    "text", ["{", "[1]", "{}", '{"a": "1"}', '{"a": -1, "b": 2}', '{"a": 7}', "3", '{"a": null}']
)
def test_what_others_have_written_is_not_believed(text: str) -> None:
    assert runs_of("vqe", {RUNS_KEY: text}) == {"vqe": 1.0}
    assert runs_of(None, {RUNS_KEY: text}) == {}
