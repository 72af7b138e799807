"""Output of commands: JSON, lines, times, errors."""

import json
from datetime import UTC, datetime

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.cli.output import labelled, read_time, show, time_text, typed_errors
from pennylane_qstore.errors import ConfigurationError, JobFailed


def test_json_is_one_line_and_the_words_are_not_made(capsys):
    show(True, {"a": [1, None]}, (1 / 0 for _ in range(1)))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [1, None]}
    assert out.count("\n") == 1


def test_words_are_lines(capsys):
    show(False, {"a": 1}, labelled({"Loss": 0.5, "Accuracy": "0.900 (all)"}))
    assert capsys.readouterr().out == "Loss      0.5\nAccuracy  0.900 (all)\n"


@given(st.integers(0, 4_000_000_000))
def test_what_is_printed_can_be_given_again(seconds):
    assert read_time("--since", time_text(seconds)) == seconds


def test_a_day_has_a_beginning_and_an_end():
    begin = datetime(2026, 5, 25, tzinfo=UTC).timestamp()
    assert read_time("--since", "2026-05-25") == begin
    assert read_time("--until", "2026-05-25", end=True) == begin + 86_400
    assert read_time("--until", "2026-05-25 14:30", end=True) == begin + 14.5 * 3600
    assert read_time("--since", "2026-05-25T02:00+02:00") == begin


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25.5.2026"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"--since .* is no time"):
        read_time("--since", text)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (JobFailed("no ions", job_ids=["j1", "j2"]), 1, "qstore: no ions (jobs: j1, j2)\n"),
        (JobFailed("j1 failed", job_ids=["j1"]), 1, "qstore: j1 failed\n"),
        (OSError("disk full"), 1, "qstore: disk full\n"),
        (KeyboardInterrupt(), 130, "qstore: Interrupted.\n"),
        (KeyboardInterrupt("1 job goes on"), 130, "qstore: 1 job goes on\n"),
    ],
)
def test_an_error_is_one_line(error, status, line, capsys):
    with pytest.raises(typer.Exit) as left, typed_errors():
        raise error
    assert left.value.exit_code == status
    assert capsys.readouterr().err == line


def test_a_fault_of_our_own_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), typed_errors():
        raise ZeroDivisionError
