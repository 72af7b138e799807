"""The emulator against its OpenAPI document, by generated requests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pennylane_qstore.emulator import Emulator

pytestmark = pytest.mark.conformance
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,ignored_auth"
)


def test_no_undocumented_status_and_no_500(
    environment: Callable[[str], Path], emulator: Emulator, tmp_path: Path
) -> None:
    schemathesis = environment("schemathesis").parent / "st"
    command = [str(schemathesis), "run", emulator.url + "/api-docs", "--url", emulator.url]
    command += ["-H", "Authorization: apiKey conformance", "--checks", CHECKS, "--no-shrink"]
    command += ["--generation-deterministic", "--max-time", "60", "-n", "30"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "29 selected / 29 total" in done.stdout
    assert emulator.stats()["requests"] > 500
