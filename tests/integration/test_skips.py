"""CI knows why each test that it skips is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.skips import is_allowed

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("reason", "installed", "allowed"),
    [
        ("Skipped: could not import 'torch': No module named 'torch'", False, True),
        ("Skipped: could not import 'torch': broken", True, False),
        ("Skipped: could not import 'sklearn': No module named 'sklearn'", False, False),
        ("Skipped: no Python python3.14 on this machine", True, True),
        ("Skipped: too slow", True, False),
    ],
)
def test_a_reason_is_known_or_not(reason, installed, allowed):
    assert is_allowed(reason, lambda module: installed) is allowed


@pytest.mark.parametrize(("reason", "status"), [("no Python 3.99 on this machine", 0), ("slow", 1)])
def test_an_unknown_skip_fails_the_run_in_ci(reason, status, tmp_path):
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n\ndef test_a(): pass\n\ndef test_b():\n    pytest.skip({reason!r})\n"
    )
    environment = {**os.environ, "CI": "true", "PYTHONPATH": str(TESTS)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "support.skips",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "test_it.py"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    assert "skipped    1" in done.stdout
