"""Circuits that are read as tables are what they are when each is decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore import compiled
from pennylane_qstore.backends import MAX_CIRCUITS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs import submission
from pennylane_qstore.server.inputs.alike import read_alike
from pennylane_qstore.server.inputs.submission import read_submission
from pennylane_qstore.server.service import ServiceBehaviour

needs_numba = pytest.mark.skipif(compiled.load("text_kernel") is None, reason="needs Numba")
TURNS = st.floats(-1, 1) | st.floats(-1, 1, width=32) | st.just(0) | st.just(1e-9)
STRUCTURES: list[Any] = [
    [
        {"gate": "gpi2", "target": 0, "phase": None},
        {"gate": "zz", "targets": [0, 1], "angle": None},
        {"gate": "nop", "time": 0},
    ],
    [{"gate": "ms", "targets": [1, 0], "phases": [None, None], "angle": 0.25}],
    [{"gate": "gpi", "targets": [2], "phase": None}],
    [],
]


def body_of(structures: list[int], turns: list[float], **more: Any) -> bytes:
    """A job of circuits of these structures; the numbers are taken in turn."""
    numbers = iter(np.resize(turns, 4 * len(structures)).tolist())

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(member) for key, member in value.items()}
        if isinstance(value, list):
            return [filled(member) for member in value]
        return next(numbers) if value is None else value

    circuits = [
        {"name": f"c{k}", "circuit": filled(STRUCTURES[i])} for k, i in enumerate(structures)
    ]
    source = {"gateset": "native", "qubits": 3, "circuits": circuits}
    return orjson.dumps(
        {"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": source, **more}
    )


@pytest.fixture(autouse=True)
def _numba_has_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_IMPORT_S", 0.0)


def read(body: bytes) -> Any:
    """Everything of a submission, or the error."""
    try:
        found = read_submission(body, ServiceBehaviour())
    except BadRequest as error:
        return error.status, error.message, error.keys
    circuits = sorted(
        (i, program.gates, program.qubits, program.gateset, repr(row))
        for program in found.programs
        for i, row in zip(program.index.tolist(), program.params.tolist(), strict=True)
    )
    return found.circuits, found.failure, circuits


def decoded(body: bytes) -> Any:
    """The same where each circuit is decoded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submission, "read_alike", lambda body: None)
        return read(body)


BODIES = st.builds(
    body_of,
    st.lists(st.integers(0, 3), min_size=1, max_size=2).flatmap(
        lambda kinds: st.lists(st.sampled_from(kinds), min_size=8, max_size=24)
    ),
    st.lists(TURNS, min_size=1, max_size=20),
)


@settings(deadline=None, max_examples=60)
@given(BODIES)
def test_circuits_are_read_as_they_are_decoded(body: bytes) -> None:
    assert read(body) == decoded(body)


@settings(deadline=None, max_examples=150)
@given(BODIES, st.data())
def test_a_changed_byte_is_read_or_refused_alike(body: bytes, data: Any) -> None:
    at = data.draw(st.integers(0, len(body) - 1))
    change = data.draw(st.sampled_from([b"", b'"', b"]", b"}", b",", b".", b"-", b"0", b"e", b"x"]))
    changed = body[:at] + change + body[at + 1 :]
    assert read(changed) == decoded(changed)


PLAIN = body_of([2] * 20, [0.5])
GATE = b'{"gate":"gpi","targets":[2],"phase":0.5}'
EXPONENTIAL = b'{"gate":"pauliexp","targets":[0],"terms":["X"],"coefficients":[0.5],"time":1.5}'
QIS = PLAIN.replace(b"native", b"qis")


NAMELESS = PLAIN
for _k in range(20):
    NAMELESS = NAMELESS.replace(b'{"name":"c%d","circuit"' % _k, b'{"circuit"')


@needs_numba
def test_circuits_without_names_are_tables_too() -> None:
    found = read_alike(NAMELESS)
    assert found is not None
    assert found["input"]["circuits"].names == [None] * 20
    assert read(NAMELESS) == decoded(NAMELESS)
    assert read_alike(NAMELESS.replace(b'{"circuit"', b'{"other"', 3)) is None
    mixed = NAMELESS.replace(b'{"circuit"', b'{"name":"a","circuit"', 2)
    assert read(mixed) == decoded(mixed)
    for k in (1, 5):
        changed = b'{"circuit"'.join(NAMELESS.split(b'{"circuit"')[: k + 1]) + b'{"cirquit"'
        changed += b'{"circuit"'.join(NAMELESS.split(b'{"circuit"')[k + 1 :])
        assert read(changed) == decoded(changed)


def each(text: bytes, *values: bytes) -> list[bytes]:
    return [text % value for value in values]


def gates(*texts: bytes, plain: bytes = PLAIN) -> bytes:
    """The job with other gates, in turn."""
    for k in range(20):
        plain = plain.replace(GATE, texts[k % len(texts)].replace(b"gpi", b"gpi\0", 1), 1)
    return plain.replace(b"\0", b"")


@pytest.mark.parametrize(
    "body",
    [
        *(
            PLAIN.replace(GATE + b"]", GATE + b"]" + more)
            for more in (
                b',"qubits":4', b',"qubits":2', b',"gateset":"qis"', b',"registers":{"a":[0]}',
                b',"registers":5', b',"name":null', b',"name":"z"', b',"circuit":""',
            )
        ),
        PLAIN.replace(b"[" + GATE + b"]", b'[],"circuit":{}'),
        PLAIN.replace(b'"gateset":"native"', b'"gateset":[]'),
        PLAIN.replace(b'"gateset":"native"', b'"gateset":"other"'),
        PLAIN.replace(b'"gateset":"native",', b""),
        PLAIN.replace(b'"qubits":3', b'"qubits":[3]'),
        PLAIN.replace(b'"qubits":3', b'"qubits":2'),
        gates(EXPONENTIAL, plain=QIS),
        gates(EXPONENTIAL, EXPONENTIAL.replace(b"1.5", b"2.5").replace(b"X", b"Y"), plain=QIS),
        gates(EXPONENTIAL.replace(b"1.5", b"-1.5"), plain=QIS),
        gates(
            b'{"gate":"pauliexp","targets":[0],"terms":[],"coefficients":[],"time":-1.5}', plain=QIS
        ),
        gates(EXPONENTIAL.replace(b"1.5", b"-1.5") + b',{"gate":"cnot","target":0}', plain=QIS),
        gates(
            *each(b'{"gate":"rx","target":0,"rotation":%b}', b"0", b"0.5", b"-0", b"-0.0"),
            plain=QIS,
        ),
        gates(*each(b'{"gate":"z","target":0,"rotation":%b}', b"null", b"0.5"), plain=QIS),
        gates(*each(b'{"gate":"h","target":%b}', b"0", b"false"), plain=QIS),
        gates(b'{"gate":"h","target":0,"x":' + b"[" * 900 + b"]" * 900 + b"}", plain=QIS),
        gates(b'{"gate":"h","target":0,"x":' + b"[" * 1100 + b"]" * 1100 + b"}", plain=QIS),
        gates(
            GATE,
            b'{"gate":"gpi2","target":0,"phase":2.5}',
            b'{"gate":"gpi","target":1,"phase":3.5}',
        ),
        gates(b'{"gate":"other","target":0}', b'{"gate":"gpi","target":true,"phase":0.5}'),
        gates(*[b'{"gate":"gpi","target":%d,"phase":0.5}' % k for k in range(20)]),
        PLAIN.replace(b"[" + GATE + b"]", b"[]").replace(
            b"[]", b'[{"gate":"nop","coefficients":[%b0.5]}]' % (b"0.5," * 20_000), 1
        ),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_read_as_it_is_decoded(body: bytes) -> None:
    assert read(body) == decoded(body)


@needs_numba
def test_more_circuits_than_a_job_has_are_not_read() -> None:
    assert read_alike(body_of([3] * (MAX_CIRCUITS + 1), [0.5])) is None


@needs_numba
def test_one_structure_is_one_table_and_two_are_two() -> None:
    for structures in ([0] * 20, [0] * 9 + [1] * 9, [0, 0, 1, 1] * 8, [3, 0, 1, 2] * 4):
        found = read_alike(body_of(structures, [0.1, 0.2, 0.3, 0.4, 0.5]))
        assert found is not None
        names, tables = found["input"]["circuits"]
        assert names == [f"c{k}" for k in range(len(structures))]
        kinds = list(dict.fromkeys(structures))
        assert [len(t.structure.gates) for t in tables] == [len(STRUCTURES[i]) for i in kinds]
        for kind, table in zip(kinds, tables, strict=True):
            assert table.positions.tolist() == [k for k, i in enumerate(structures) if i == kind]


@pytest.mark.parametrize("numba", [pytest.param(True, marks=needs_numba), False])
@pytest.mark.parametrize(
    "body",
    [
        body_of([0] * 7, [0.1]),
        body_of([0] * 20, [0.1]).replace(b'"target":0', b'"target":0.5'),
        body_of([0] * 20, [0.1]).replace(b'"circuit":', b'"circuit": ', 3),
        body_of([0] * 20, [0.1], metadata={"circuit": []}),
        body_of([0] * 20, [0.1], metadata={"circuits": ["\\"]}),
        body_of([0] * 20, [0.1])[:-1],
        body_of([0] * 20, [0.1]).replace(b"0.1}", b"0.1.1}", 1),
        body_of([0] * 20, [0.1]).replace(b"0.1}", b"00.1}", 1),
        body_of([0] * 20, [0.1]).replace(b"0.1}", b"-}", 1),
        body_of([0] * 20, [0.1]).replace(b"0.1}", b"1e999}", 1),
        body_of([0] * 20, [0.1]).replace(b'"c3"', b'"c\\n"', 1),
        body_of([0] * 20, [0.1]).replace(b"]}]}}", b"]},]}}", 1),
        body_of([0] * 20, [0.1])[:-1] + b',"\\u0069nput":{"circuits":[]}}',
    ],
)
def test_what_fits_no_table_is_decoded(
    body: bytes, numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not numba:
        monkeypatch.setattr(compiled, "load", lambda name: None)
    assert read_alike(body) is None
    assert read(body) == decoded(body)
