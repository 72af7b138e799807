"""The OpenAPI document: one operation for each route, and no number of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from support.emulator_wire import BELL, Wire

from pennylane_qstore.backends import BACKENDS, MAX_CIRCUITS, MAX_SHOTS, NOISE_MODELS
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.server.access import Access, RequestLog
from pennylane_qstore.server.openapi import document, format_schemas
from pennylane_qstore.server.render import ARTIFACTS
from pennylane_qstore.server.server import make_app

OPERATIONS = [(m.upper(), path) for path, ops in document()["paths"].items() for m in ops]
VALUES = {"backend": "simulator", "artifact": "shots", "format": "x"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def routes(app: web.Application) -> set[tuple[str, str]]:
    """The app's methods and paths below the base, the names of parameters left out."""
    found = set()
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if path.startswith("/v0.4") and path != "/v0.4/api-docs":
            found.add((route.method, path.removeprefix("/v0.4")))
    return found


def test_every_route_is_documented_and_every_operation_has_a_route() -> None:
    app = make_app(Emulator().service, Access(), RequestLog())
    documented = {(m, re.sub(r"\{\w+\}", "{}", path)) for m, path in OPERATIONS}
    served = {(m, re.sub(r"\{\w+\}", "{}", path)) for m, path in routes(app)}
    named = {("GET", "/jobs/{}/results/histogram"), ("GET", "/jobs/{}/results/shots")}
    assert documented - named == served - {("GET", "/jobs/{}/results/{}")}
    assert len(OPERATIONS) == 29


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda value: str(value))
def test_no_operation_meets_an_unknown_path_or_method(wire: Wire, method: str, path: str) -> None:
    full = re.sub(r"\{(\w+)\}", lambda match: VALUES.get(match[1], "nonsense"), path)
    answer = wire(method, full, b"{}" if method in ("POST", "PUT") else None)
    operation = document()["paths"][path][method.lower()]
    assert str(answer.status) in operation["responses"]
    assert answer.json.get("message") != "Method Not Allowed" if answer.status >= 400 else True


def test_references_lead_somewhere() -> None:
    for reference in set(references(document())):
        node: Any = document()
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_names_and_limits_are_those_of_the_backends() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["AnyBackend"]["enum"] == list(BACKENDS)
    assert "qpu.aria-2" not in schemas["JobBackend"]["enum"]
    assert schemas["NoiseModel"]["enum"] == list(NOISE_MODELS)
    assert schemas["Shots"]["maximum"] == MAX_SHOTS
    circuits = schemas["MultiCircuitJob"]["properties"]["input"]["properties"]["circuits"]
    assert circuits["maxItems"] == MAX_CIRCUITS


def test_the_document_has_no_keyword_that_openapi_does_not_know() -> None:
    text = str(document())
    assert "propertyNames" not in text
    assert "'$schema':" not in text
    assert "x-formats" not in text


def test_results_have_the_form_that_their_schema_says(wire: Wire) -> None:
    assert set(format_schemas()) == set(ARTIFACTS.values())
    job = wire.done(wire.submit(BELL, backend="qpu.forte-1", shots=50))
    for alias, name in ARTIFACTS.items():
        schema = wire("GET", f"/schemas/formats/{name}").json
        assert schema["$id"] == name
        if alias != "probabilities-aggregate":
            jsonschema.validate(wire("GET", f"/jobs/{job['id']}/artifacts/{alias}").json, schema)
