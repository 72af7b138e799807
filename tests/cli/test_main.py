"""The command line: what a newcomer runs, and what it says when something is wrong."""

import json
import subprocess
import sys
import threading

import pytest
from typer.testing import CliRunner

import pennylane_qstore
from pennylane_qstore.cli.main import app

run = CliRunner().invoke


def test_train_reports_one_post_a_step(tmp_path):
    pytest.importorskip("sklearn")
    result = run(app, ["train", "--json", "--seed", "1", "--steps", "30", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["posts"] == report["steps"] == 30
    assert report["circuits"] == 30 * 60
    assert report["requests"] >= 3 * 30
    assert report["eval_posts"] >= 1
    assert report["loss_last"] < report["loss_first"]
    assert report["test_accuracy"] > report["constant_accuracy"] + 0.2
    written = json.loads((tmp_path / "history.json").read_text())
    assert len(written["history"]) == 30
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_train_prints_a_summary(tmp_path):
    pytest.importorskip("sklearn")
    result = run(app, ["train", "--steps", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for line in ("Logistic regression", "Constant guess", "Requests per step", "on the emulator"):
        assert line in result.stdout


def test_the_same_seed_gives_the_same_run(tmp_path):
    pytest.importorskip("sklearn")
    arguments = ["train", "--json", "--seed", "3", "--steps", "3", "--out"]
    one, other = (
        json.loads((tmp_path / name / "history.json").read_text())["history"]
        for name in ("a", "b")
        if run(app, [*arguments, str(tmp_path / name)]).exit_code == 0
    )
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "qpu.fort-1"], "Did you mean 'qpu.forte-1'"),
        (["--noise-model", "aria-7"], "Unknown noise model"),
        (["--batch-size", "1000"], "batch_size=1000"),
        (["--backend", "simulator"], "IONQ_API_KEY"),
    ],
)
def test_mistakes_are_one_line_on_stderr(arguments, message, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    result = run(app, ["train", *arguments, "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_measurement_is_named():
    result = run(app, ["bench", "--only", "speed"])
    assert result.exit_code == 1
    assert "'requests'" in result.stderr


def test_version():
    assert pennylane_qstore.__version__ in run(app, ["--version"]).stdout


def test_every_command_has_help():
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        result = run(app, [name, "--help"])
        assert result.exit_code == 0
        assert command.callback.__doc__.split(".")[0].split()[0] in result.stdout


def test_serve_answers_and_stops_on_ctrl_c():
    import signal
    import urllib.request

    process = subprocess.Popen(
        [sys.executable, "-m", "pennylane_qstore.cli.main", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http"))
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert json.load(answer) == {"status": "pass"}
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "Stopped" in process.stdout.read()
    finally:
        watchdog.cancel()
        process.kill()
        process.stdout.close()
        process.wait()
