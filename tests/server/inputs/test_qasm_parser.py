"""Plain gates are read without the reference parser, and as it reads them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.server.errors import Preflight
from pennylane_qstore.server.inputs import qasm_parser
from pennylane_qstore.server.inputs.qasm import read_qasm

pytest.importorskip("openqasm3")
HEAD = """OPENQASM 3.0;
include "stdgates.inc";
gate foo(a) x0, x1 {
rx(a) x0;
cx x0, x1; }
qubit[4] q;
bit[4] c;
"""
LINES = [
    "h q[0];", "cx q[0], q[1];", "cx q[1],q[2] ; // cx q[9], q[9];", "  rx(0.5)q[3];",
    "U(0.1, -.2,3.) q[0];", "foo(-1.5e-3) q[0],q[1];", "rz(pi/2) q[1];", "ctrl @", "ctrl @ x",
    "x q[0], q[1];", "c[0] = measure q[0];", "reset q[1];", "barrier q[0];", "h q[0]; t q[1];",
    "h q;", "", "// h q[0];", "/* h q[0];", "*/", "gate bar x0 {", "}", "h", "q[0];", "rx(2)",
    "const float a = 0.5;", "rx(a) q[0];", "bar q[2];", "qreg r[2];", "h q[9];", "x(1) q[0];",
]  # fmt: skip


def outcome(text: str) -> object:
    try:
        return read_qasm(text)
    except Preflight as error:
        return error.message


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=9))
def test_the_circuit_and_the_error_are_those_of_the_reference_parser(lines: list[str]) -> None:
    text = HEAD + "\n".join(lines)
    fast = outcome(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(qasm_parser, "_without_plain_gates", lambda text: ([text], []))
        assert fast == outcome(text)


def test_a_long_circuit_leaves_the_parser_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[str] = []
    real = qasm_parser._parse_all
    monkeypatch.setattr(
        qasm_parser, "_parse_all", lambda text: parsed.append(text.strip("\n")) or real(text)
    )
    rng = random.Random(1)
    gates = [f"rx({rng.uniform(-3, 3)!r}) q[{k % 4}];\ncx q[{k % 4}],q[3];" for k in range(999)]
    gates = [g for g in gates if "q[3],q[3]" not in g]
    circuit = read_qasm(HEAD + "\n".join(gates) + "\nc = measure q;\n")["circuit"]
    assert len(circuit) == 2 * len(gates)
    assert len(parsed[0].replace("\n", "")) < 250


@pytest.mark.parametrize(
    "hostile",
    [
        "h q[0]" * 150_000,
        "h " * 490_000,
        "rx(" + "1" * 990_000,
        "rx(1)" + " " * 990_000,
        "h" + " " * 990_000,
        "\n" * 990_000,
        "h q[0], " * 120_000 + ";",
        "rx(0.1," + "0.1," * 240_000 + ") q[0];",
        "/*" + "h q[0];\n" * 120_000,
    ],
    ids=range(9),
)
def test_what_the_parser_would_be_busy_with_is_refused_at_once(hostile: str) -> None:
    with pytest.raises(Preflight, match="plain gates"):
        read_qasm(HEAD + hostile)
