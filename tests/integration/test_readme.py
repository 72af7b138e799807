"""The README's example runs as it stands, and prints what it says."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says(capsys):
    (code,) = re.findall(r"<!-- use -->\n```python\n(.*?)```\n<!-- /use -->", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == code.rstrip().rpartition("# ")[2]


def test_the_qpu_example_runs_within_its_budget(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    (command,) = re.findall(r"<!-- qpu -->\n```sh\nqstore (.*?)\n```", README)
    (told,) = re.findall(r"cost about\s+(\d+) USD", README)
    monkeypatch.setenv("IONQ_API_KEY", "key")
    monkeypatch.chdir(tmp_path)
    with Emulator(seed=1) as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        result = CliRunner().invoke(app, [*shlex.split(command), "--ledger", "ledger"])
        billed_usd = emulator.stats()["billed_usd"]
    assert result.exit_code == 0, result.output
    assert "Test accuracy" in result.stdout
    assert "Stopped" not in result.stdout
    assert float(told) == pytest.approx(billed_usd, rel=0.2)
