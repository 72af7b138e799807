"""Code on the pages runs on the embedded emulator, and prints what the pages say.

A page's Python blocks run in order, in one namespace. Comments above a block change how:

``<!-- key -->``: with a key and, in the place of IonQ's service, an emulator of it.
``<!-- needs: torch -->``: the rest of the page is skipped where the module is missing.
``<!-- not run: reason -->``: only its syntax is checked.

A block ``output`` holds what the block above it prints, where ``...`` stands for any text; under
``<!-- about -->`` numbers may differ a little, as those of samples do between machines.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import io
import itertools
import os
import re
import shlex
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
from pennylane.exceptions import PennyLaneDeprecationWarning
from typer.main import get_command
from typer.testing import CliRunner

import pennylane_qstore
from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import QStoreEfficiencyWarning

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"  # its example is run by test_readme.py
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/api/*.md"), README])
BLOCK = re.compile(
    r"(?P<notes>(?:^<!-- [^>]* -->\n)*)^```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class Block(NamedTuple):
    kind: str
    notes: str
    code: str
    line: int

    @property
    def needed(self) -> list[str]:
        return re.findall(r"needs: (\w+)", self.notes)


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(m["kind"], m["notes"], m["code"], text.count("\n", 0, m.start("code")))
        for m in BLOCK.finditer(text)
    ]


def marks(page: Path) -> list[pytest.MarkDecorator]:
    needed = {name for block in blocks(page) for name in block.needed}
    return [pytest.mark.ml] if needed & {"torch", "jax"} else []


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder and an environment of its own: no key, no ledger of the user's."""
    monkeypatch.chdir(tmp_path)
    for name in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY", "IONQ_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    return monkeypatch


@pytest.mark.pages
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks(page))
        for page in PAGES
        if page != README and {"python", "output"} & {block.kind for block in blocks(page)}
    ],
)
def test_the_code_of_a_page_runs(page, outside):
    namespace: dict[str, object] = {"__name__": page.stem}
    printed = ""
    with contextlib.ExitStack() as services:
        for block, following in itertools.pairwise([*blocks(page), None]):
            for name in block.needed:
                pytest.importorskip(name)
            if "key" in block.notes:
                outside.setenv("IONQ_API_KEY", "key")
                outside.setenv("IONQ_API_URL", services.enter_context(Emulator(seed=1)).url)
            if "pennylane_ionq" in block.needed:  # it has no setting for the service's address
                client = importlib.import_module("pennylane_ionq.api_client").APIClient
                outside.setattr(client, "BASE_URL", os.environ["IONQ_API_URL"])
            if block.kind == "python":
                printed = run_python(block, namespace, page)
            elif block.kind == "sh" and following is not None and following.kind == "output":
                printed = run_shell(block)
            elif block.kind == "output":
                check_output(block, printed)


def run_python(block: Block, namespace: dict[str, object], page: Path) -> str:
    """Run a block; tracebacks name the page's line."""
    code = compile("\n" * block.line + block.code, str(page), "exec")
    printed = io.StringIO()
    if "not run" not in block.notes:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            for kind in (QStoreEfficiencyWarning, PennyLaneDeprecationWarning):
                warnings.simplefilter("ignore", kind)  # of what is shown as "before"
            exec(code, namespace)
    return printed.getvalue()


def run_shell(block: Block) -> str:
    """Run the calls of ``qstore``."""
    printed = ""
    for words in commands(block):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        printed += result.stdout
    return printed


def check_output(block: Block, printed: str) -> None:
    plain = "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"
    expected = block.code
    if "about" in block.notes:
        printed_numbers, numbers = (
            [float(number.replace(",", "")) for number in NUMBER.findall(text)]
            for text in (plain, expected)
        )
        assert printed_numbers == pytest.approx(numbers, rel=0.3, abs=0.1), plain
        plain, expected = (re.sub(" +", " ", NUMBER.sub("#", text)) for text in (plain, expected))
    assert doctest.OutputChecker().check_output(expected, plain, doctest.ELLIPSIS), plain


def commands(block: Block) -> list[list[str]]:
    """Return the words of each call of ``qstore`` in a block of shell."""
    lines = block.code.replace("\\\n", " ").splitlines()
    calls = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in calls if words[:1] == ["qstore"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page):
    calls = [w for block in blocks(page) if block.kind == "sh" for w in commands(block)]
    for words in calls:
        command = get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_are_of_a_kind_that_is_checked(page):
    opened = re.findall(r"^ *```+(\w[^\n]*)$", page.read_text(encoding="utf-8"), re.M)
    assert set(opened) <= {"python", "sh", "output"}


def test_the_reference_has_every_public_name():
    named = "\n".join(page.read_text() for page in ROOT.glob("docs/api/*.md"))
    names = {name for name in pennylane_qstore.__all__ if not name.startswith("__")}
    assert {name for name in names if not re.search(rf"\b{name}\b", named)} == set()


def test_messages_of_the_page_of_errors_are_in_the_source():
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = [
        part for line in re.findall(r"^## .*", text, re.M) for part in re.findall('"(.*?)"', line)
    ]
    wanted = {part.strip(" .") for quote in quoted for part in quote.split("…")} - {""}
    package = Path(pennylane_qstore.__file__).parent
    texts = [
        node.value
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert {part for part in wanted if not any(part in text for text in texts)} == set()
