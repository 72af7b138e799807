"""Whatever is posted is accepted or refused by name; nothing else comes out."""

from __future__ import annotations

import copy
import gzip
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_wire import BELL, Wire, multi, single

from pennylane_qstore.emulator import (
    ServiceBehaviour,
)
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.submission import Submission, read_submission

NATIVE = [
    {"gate": "gpi2", "target": 0, "phase": 0.1},
    {"gate": "ms", "targets": [0, 1], "phases": [0.1, 0.2], "angle": 0.2},
    {"gate": "zz", "targets": [0, 1], "angle": 0.2},
]
PAULI = [{"gate": "pauliexp", "targets": [0, 1], "terms": ["XX"], "coefficients": [1], "time": 1}]
VALID = [
    single(),
    single(NATIVE, "native", noise={"model": "ideal", "seed": 1}, metadata={"a": "b"}, name="n"),
    single(PAULI, settings={"error_mitigation": {"debiasing": True}}, session_id="x"),
    multi([BELL, {"name": "c", "circuit": BELL, "qubits": 3, "registers": {"r": [0, None]}}]),
]
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    out = []
    for key, item in inside:
        out.append((*path, key))
        if isinstance(item, dict | list):
            out.extend(places(item, (*path, key)))
    return out


def outcome(body: bytes) -> Submission | BadRequest:
    try:
        return read_submission(body, ServiceBehaviour())
    except BadRequest as error:
        return error


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_a_request_with_anything_anywhere(data: Any) -> None:
    request = copy.deepcopy(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 2))):
        spots = places(request)
        *path, last = data.draw(st.sampled_from(spots))
        inside = request
        for key in path:
            inside = inside[key]
        if isinstance(inside, dict) and data.draw(st.booleans()):
            del inside[last]
        else:
            inside[last] = data.draw(ANY_JSON)
        if not places(request):
            break
    try:
        body = orjson.dumps(request)
    except TypeError:  # a surrogate or an integer that is no JSON of 64 bits
        return
    found = outcome(body)
    if isinstance(found, BadRequest):
        assert found.status == 400
        assert found.message
    else:
        assert len(found.circuits) == sum(p.rows for p in found.programs)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=100) | ANY_JSON.map(lambda v: orjson.dumps(v, default=str)))
def test_anything_at_all(body: bytes) -> None:
    found = outcome(body)
    assert isinstance(found, BadRequest)
    assert found.status == 400


def test_what_is_valid_is_accepted() -> None:
    for request in VALID:
        assert read_submission(orjson.dumps(request), ServiceBehaviour()).failure is None


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"type": "ionq.circuit.v0"}, "type"),
        ({"type": "ionq.qir.v1"}, "type"),
        ({"backend": "qpu.forte-9"}, "backend"),
        ({"backend": None}, "backend"),
        ({"input": None}, "input"),
        ({"input": {"gateset": "qis"}}, "input.circuit"),
        ({"input": {"gateset": "qis", "circuit": [], "circuits": []}}, "input.circuits"),
        ({"input": {"gateset": "other", "circuit": BELL}}, "input.gateset"),
        ({"input": {"circuit": BELL}}, "input.gateset"),
        ({"input": {"gateset": "qis", "circuit": BELL, "qubits": 0}}, "input.qubits"),
        ({"shots": 0}, "shots"),
        ({"shots": 1_000_001}, "shots"),
        ({"shots": 1.5}, "shots"),
        ({"name": "a/b"}, "name"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"noise": {"model": "loud"}}, "noise.model"),
        ({"noise": {"model": "aria-1", "seed": "x"}}, "noise.seed"),
        ({"session_id": 3}, "session_id"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"settings": []}, "settings"),
    ],
)
def test_a_bad_request_gets_ionqs_error_body(wire: Wire, change: Any, key: str) -> None:
    answer = wire("POST", "/jobs", single() | change)
    assert answer.status == 400
    body = answer.json
    assert (body["statusCode"], body["error"]) == (400, "Bad Request")
    assert body["validation"] == {"keys": [key], "source": "payload"}
    assert wire.emulator.jobs == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_no_object_is_400(wire: Wire, body: bytes) -> None:
    assert wire("POST", "/jobs", body).status == 400


def test_leniency_as_observed(wire: Wire) -> None:
    body = single(
        shots="100", lang="json", noise={"model": "ideal", "seed": None}, metadata=None, name=None
    )
    assert (
        wire.job(wire.submit(**{k: v for k, v in body.items() if k != "input"} | {}))["shots"]
        == 100
    )
    compressed = gzip.compress(json.dumps(body).encode())
    assert wire("POST", "/jobs", compressed, {"Content-Encoding": "gzip"}).status == 201


def test_limits(wire: Wire) -> None:
    too_large = b'{"a": "' + b"x" * 10_000_000 + b'"}'
    assert wire("POST", "/jobs", too_large).json["statusCode"] == 413
    circuits = [[{"gate": "h", "target": 0}]] * 5001
    assert wire("POST", "/jobs", multi(circuits)).status == 400
    assert wire("POST", "/jobs", multi(circuits[:5000])).status == 201
    heavy = [[{"gate": "h", "target": 0}] * 1001] * 150
    assert wire("POST", "/jobs", multi(heavy)).status == 400
    assert wire("POST", "/jobs", single(heavy[0])).status == 201
