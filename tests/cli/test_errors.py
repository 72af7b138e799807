"""Errors of commands are one line and an exit status."""

import pytest
import typer

from pennylane_qstore.cli.errors import typed_errors
from pennylane_qstore.errors import JobFailed


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
