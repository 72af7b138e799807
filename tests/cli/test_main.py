"""The command line: what a newcomer runs, and what it says when something is wrong."""

from typer.testing import CliRunner

import pennylane_qstore
from pennylane_qstore.cli.main import app

run = CliRunner().invoke


def test_version():
    assert pennylane_qstore.__version__ in run(app, ["--version"]).stdout


def test_every_command_has_help():
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        result = run(app, [name, "--help"])
        assert result.exit_code == 0
        assert command.callback.__doc__.split(".")[0].split()[0] in result.stdout
