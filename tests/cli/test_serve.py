"""``qstore serve``: every option has its effect, every mistake is one line."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.serving import served
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.cli.serve import _profile
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.ionq.ledger.ledger import Ledger

BELL = {
    "type": "ionq.circuit.v1",
    "backend": "simulator",
    "input": {
        "gateset": "qis",
        "circuit": [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}],
    },
}


def ask(url: str, body: Any = None, key: str = "any") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"apiKey {key}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def finished(url: str, body: Any = BELL, key: str = "any") -> dict[str, Any]:
    job_id = ask(f"{url}/jobs", body, key)["id"]
    while (job := ask(f"{url}/jobs/{job_id}", key=key))["status"] not in ("completed", "failed"):
        pass
    return dict(job)


def test_options_have_their_effect(tmp_path: Path) -> None:
    faults, state = tmp_path / "faults.toml", tmp_path / "jobs.db"
    faults.write_text('[[faults]]\nkind = "list_duplicates"\ntimes = 1\n')
    options = ["--noise-model", "aria-1", "--simulator", "default.qubit", "--budget", "30"]
    options += ["--processes", "0", "--seed", "5", "--faults", str(faults), "--state", str(state)]
    with served(*options, QSTORE_TOKEN="secret") as url:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(f"{url}/jobs")
        job = finished(url, key="secret")
        assert "shots" in job["results"]  # noisy
        assert len(ask(f"{url}/jobs", key="secret")["jobs"]) == 2  # the fault
        ideal = finished(url, BELL | {"noise": {"model": "ideal"}}, "secret")
        path = f"{url}/jobs/{ideal['id']}/results/probabilities"
        assert ask(path, key="secret") == pytest.approx({"0": 0.5, "3": 0.5})
        paid = [finished(url, BELL | {"backend": "qpu.forte-1"}, "secret") for _ in range(2)]
        assert [job["status"] for job in paid] == ["completed", "failed"]
        assert paid[1]["failure"]["code"] == "QuotaExhaustedError"
    with served("--state", str(state), "--profile", "3600") as url:
        assert ask(f"{url}/health") == {"status": "pass"}
        assert len(ask(f"{url}/jobs")["jobs"]) == 4
        job_id = ask(f"{url}/jobs", BELL)["id"]
        job = ask(f"{url}/jobs/{job_id}")
        assert job["status"] == "started"
        cost = ask(f"{url}/jobs/estimate?backend=simulator")
        assert cost["estimated_execution_time"] == 3_600_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("qpu", "qpu"),
        ("2.5", 2.5),
        ("0", 0.0),
        ("queue_s=60, execution_s=5", {"queue_s": 60.0, "execution_s": 5.0}),
        ("concurrency=2", {"concurrency": 2}),
    ],
)
def test_profiles_are_names_numbers_or_fields(text: str, found: Any) -> None:
    assert _profile(text) == found


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--profile", "fast"], "Unknown latency profile 'fast'"),
        (["--profile", "-1"], "0 or more"),
        (["--profile", "nan"], "finite"),
        (["--profile", "queue_s=long"], "'long' is not allowed"),
        (["--profile", "queue=1"], "Unknown latency field 'queue'"),
        (["--noise-model", "aria-7"], "Did you mean 'aria-"),
        (["--simulator", "lightning.abacus"], "'lightning.abacus' is not a PennyLane device"),
        (["--budget", "-1"], "0 or more"),
        (["--budget", "nan"], "0 or more"),
        (["--processes", "-1"], "processes=-1"),
        (["--host", "0.0.0.0"], "give token="),
        (["--faults", "nowhere.toml"], "nowhere.toml"),
        (["--state", "nowhere/jobs.db"], "nowhere/jobs.db"),
    ],
)
def test_a_mistake_is_one_line(options: list[str], says: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", "--port", "0", *options])
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_taken_port_is_one_line() -> None:
    with Emulator() as emulator:
        address = emulator.address.removeprefix("http://")
        result = CliRunner().invoke(app, ["serve", "--port", address.rsplit(":", 1)[1]])
        assert result.exit_code == 1
        assert address in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_the_budget_has_one_name_everywhere_and_an_alias(monkeypatch):
    budgets = []

    class Noting:
        url = "http://127.0.0.1:0"

        def __init__(self, **settings):
            budgets.append(settings["budget_usd"])
            raise OSError("no port")

    monkeypatch.setattr("pennylane_qstore.emulator.Emulator", Noting)
    for option in ("--budget-usd", "--budget"):
        CliRunner().invoke(app, ["serve", option, "5"])
    assert budgets == [5.0, 5.0]


def test_the_address_of_the_page_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(server: Any, announcement: Any) -> None:
        with server:
            told, page = announcement().split("\nIts jobs: ")
            assert f"{page}v0.4" in told
            with urllib.request.urlopen(page, timeout=30) as response:
                seen.append(response.read())

    seen: list[bytes] = []
    monkeypatch.setattr("pennylane_qstore.cli.serve.serve_until_stopped", look)
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--processes", "0"])
    assert result.exit_code == 0, result.output
    assert b"<html" in seen[0]


def test_the_page_is_served_until_it_is_stopped(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger").close()
    options = ("--ledger", str(tmp_path / "ledger"), "--runs", str(tmp_path))
    with (
        served(*options, command="watch") as address,
        pytest.raises(urllib.error.HTTPError, match="401"),
    ):
        urllib.request.urlopen(address.rstrip("."), timeout=30)


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["watch", "--ledger", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "There is no ledger" in result.output
    assert not (tmp_path / "none").exists()
