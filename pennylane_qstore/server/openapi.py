"""The OpenAPI document of what this emulator serves, at ``/v0.4/api-docs``."""

from __future__ import annotations

from typing import Any

from pennylane_qstore.backends import BACKENDS, MAX_CIRCUITS, MAX_SHOTS, NOISE_MODELS
from pennylane_qstore.server.schemas import SCHEMAS

_Json = dict[str, Any]


def document() -> _Json:
    """OpenAPI 3.0.3."""
    jobs, job = "/jobs", "/jobs/{id}"
    return {
        "openapi": "3.0.3",
        "info": {"title": "IonQ v0.4, as emulated", "version": "0.4"},
        "servers": [{"url": "/v0.4"}],
        "security": [{"apiKeyAuth": []}],
        "paths": {
            "/health": {"get": _open("Health", _object("status"))},
            "/whoami": {"get": _call("Who the key belongs to", _object("key_id", "key_name"))},
            "/backends": {"get": _open("Backends", _list(_ref("Backend")))},
            "/backends/{backend}": {"get": _open("A backend", _ref("Backend"), [_BACKEND], 404)},
            "/backends/{backend}/characterizations": {
                "get": _open(
                    "Characterizations",
                    _object("characterizations", "pages"),
                    [
                        _BACKEND,
                        _query("start", _DATE),
                        _query("end", _DATE),
                        _query("limit", {"type": "integer", "minimum": 1, "maximum": 10}),
                        _query("page", {"type": "integer", "minimum": 1, "maximum": 1000000}),
                    ],
                    400,
                    404,
                )
            },
            "/backends/{backend}/characterizations/{id}": {
                "get": _open("A characterization", _object("id", "backend"), [_BACKEND, _ID], 404)
            },
            jobs: {
                "post": _call(
                    "Create a job",
                    _ref("Created"),
                    [],
                    400,
                    404,
                    413,
                    501,
                    ok=201,
                    body=_ref("Job"),
                ),
                "get": _call("List jobs", _ref("JobList"), _FILTERS, 400),
                "delete": _call("Delete jobs", _object("ids", "status"), [], 400, body=_ref("Ids")),
            },
            "/jobs/estimate": {
                "get": _call(
                    "Estimate a cost",
                    _object("estimated_total_cost", "rate_card", "estimate_context"),
                    [
                        _query(
                            "backend", {"type": "string", "enum": list(BACKENDS)}, required=True
                        ),
                        _query("type", {"type": "string"}),
                        *(
                            _query(name, {"type": "integer", "minimum": least, "maximum": most})
                            for name, least, most in (
                                ("qubits", 1, 999999999),
                                ("shots", 1, MAX_SHOTS),
                                ("1q_gates", 0, 999999999),
                                ("2q_gates", 0, 999999999),
                            )
                        ),
                        _query("error_mitigation", {"type": "boolean"}),
                    ],
                    400,
                )
            },
            "/jobs/status/cancel": {
                "put": _call("Cancel jobs", _object("ids", "status"), [], 400, body=_ref("Ids"))
            },
            job: {
                "get": _call("A job", _ref("JobState"), [_ID], 404),
                "delete": _call("Delete a job", _object("id", "status"), [_ID], 404),
            },
            job + "/clone": {"post": _again("Run a job again")},
            job + "/move": {"post": _again("Run a job elsewhere")},
            job + "/cost": {"get": _call("Cost of a job", _object("dry_run"), [_ID], 404)},
            job + "/status/cancel": {
                "put": _call("Cancel a job", _object("id", "status"), [_ID], 404)
            },
            job + "/results/probabilities": {
                "get": _call("Probabilities", _result("probabilities.json.v1"), [_ID], 404)
            },
            job + "/results/probabilities/aggregated": {
                "get": _call(
                    "Probabilities of all children",
                    _result("probabilities-aggregate.json.v1"),
                    [_ID],
                    404,
                )
            },
            job + "/results/histogram": {
                "get": _call("Counts", _result("histogram.json.v1"), [_ID], 404)
            },
            job + "/results/shots": {
                "get": _call("Single outcomes", _result("shots.json.v1"), [_ID], 404)
            },
            job + "/artifacts/{artifact}": {
                "get": _call("An artifact", {}, [_ID, _path("artifact")], 404)
            },
            "/sessions": {
                "post": _call(
                    "Open a session", _ref("Session"), [], 400, ok=201, body=_ref("NewSession")
                ),
                "get": _call(
                    "Sessions",
                    _object("organization_id", "sessions"),
                    [_query("active", {"type": "boolean"})],
                ),
            },
            "/sessions/{id}": {"get": _call("A session", _ref("Session"), [_ID], 404)},
            "/sessions/{id}/end": {"post": _call("End a session", _ref("Session"), [_ID], 404)},
            "/sessions/{id}/jobs": {
                "get": _call("Jobs of a session", _ref("JobList"), [_ID, *_FILTERS], 400, 404)
            },
            "/schemas/formats/{format}": {
                "get": _call("Schema of a format", _object("$schema"), [_path("format")], 404)
            },
            "/organizations/{id}/usage": {
                "get": _call(
                    "Usage",
                    _object("organization", "job_count", "amount_total", "usage_data"),
                    [
                        _ID,
                        _query("start_date", _DATE),
                        _query("end_date", _DATE),
                        _query("group_by", {"type": "string", "enum": ["job", "project", "user"]}),
                        _query(
                            "modality", {"type": "string", "enum": ["daily", "weekly", "monthly"]}
                        ),
                    ],
                    400,
                    404,
                )
            },
        },
        "components": {
            "securitySchemes": {
                "apiKeyAuth": {"type": "apiKey", "in": "header", "name": "Authorization"}
            },
            "schemas": _components(),
        },
    }


_DATE: _Json = {"type": "string", "format": "date"}
_STRING: _Json = {"type": "string"}
_NULLABLE: _Json = {"type": "string", "nullable": True}


def _path(name: str, schema: _Json | None = None) -> _Json:
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}}


def _query(name: str, schema: _Json, *, required: bool = False) -> _Json:
    return {"name": name, "in": "query", "required": required, "schema": schema}


_ID = _path("id", {"type": "string", "minLength": 1})
_BACKEND = _path("backend")
_FILTERS = [
    _query("status", {"type": "string"}),
    _query("target", {"type": "string"}),
    _query("ids", {"type": "array", "items": {"type": "string"}}),
    _query("parent_job_id", {"type": "string"}),
    _query("session_id", {"type": "string"}),
    _query("submitter_id", {"type": "string"}),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": 999999999}),
    _query("next", {"type": "string", "pattern": "^[0-9]{1,9}$"}),
]


def _call(
    summary: str,
    schema: _Json,
    parameters: list[_Json] | None = None,
    *errors: int,
    ok: int = 200,
    body: _Json | None = None,
) -> _Json:
    responses = {str(ok): _content("As asked", schema)}
    for status in (401, *errors):
        responses[str(status)] = _content("An error", _ref("Error"))
    out: _Json = {"summary": summary, "parameters": parameters or [], "responses": responses}
    if body is not None:
        out["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return out


def _open(
    summary: str, schema: _Json, parameters: list[_Json] | None = None, *errors: int
) -> _Json:
    out = _call(summary, schema, parameters, *errors) | {"security": []}
    del out["responses"]["401"]
    return out


def _again(summary: str) -> _Json:
    return _call(summary, _ref("Created"), [_ID], 400, 404, ok=201, body={"type": "object"})


def _content(description: str, schema: _Json) -> _Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: _Json) -> _Json:
    return {"type": "array", "items": items}


def _object(*required: str, **properties: _Json) -> _Json:
    return {"type": "object", "required": [*required, *properties], "properties": properties}


def _result(name: str) -> _Json:
    """A result's schema without what OpenAPI 3.0 does not know."""
    out: _Json = _plain(SCHEMAS["ionq.result." + name])
    return out


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        unknown = ("$schema", "$id", "propertyNames")
        return {key: _plain(value) for key, value in schema.items() if key not in unknown}
    return schema


def _components() -> _Json:
    number = {"type": "integer", "minimum": 0, "maximum": 28}
    gate = {
        "type": "object",
        "required": ["gate"],
        "properties": {
            "gate": {
                "type": "string",
                "enum": ["x", "h", "s", "cnot", "rx", "zz", "gpi", "gpi2", "ms"],
            },
            "target": number,
            "targets": {"type": "array", "items": number, "maxItems": 3},
            "control": number,
            "controls": {"type": "array", "items": number, "maxItems": 3},
            "rotation": {"type": "number"},
            "phase": {"type": "number", "minimum": -1, "maximum": 1},
            "phases": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            "angle": {"type": "number", "minimum": 0, "maximum": 0.25},
        },
    }
    gates = {"type": "array", "items": gate, "maxItems": 30}
    gateset = {"type": "string", "enum": ["qis", "native"]}
    common = {
        "backend": {"type": "string", "enum": [b.name for b in BACKENDS.values() if not b.retired]},
        "shots": {"type": "integer", "minimum": 1, "maximum": MAX_SHOTS},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9 _-]*$"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "dry_run": {"type": "boolean"},
        "noise": {
            "type": "object",
            "required": ["model"],
            "properties": {
                "model": {"type": "string", "enum": list(NOISE_MODELS)},
                "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
            },
        },
        "settings": {"type": "object", "additionalProperties": {"type": "object"}},
    }

    def job(kind: str, source: _Json, **more: _Json) -> _Json:
        properties = {"type": {"type": "string", "enum": [kind]}, "input": source, **common}
        return {
            "type": "object",
            "required": ["type", "backend", "input", *more],
            "properties": properties | more,
        }

    single = _object(gateset=gateset, circuit=gates)
    circuit = {"type": "object", "required": ["circuit"], "properties": {"circuit": gates}}
    many = {"type": "array", "items": circuit, "minItems": 1, "maxItems": MAX_CIRCUITS}
    term = _object(pauli_string=_STRING, coefficient={"type": "number"})
    energy = _object(hamiltonian=_list(term), ansatz=_object(data=_STRING))
    kind = {"type": "string", "enum": ["hamiltonian-energy"]}
    function = _object(data=_object(type=kind, data=energy))
    cut = _object(
        problem_type={"type": "string", "enum": ["maxcut"]},
        problem=_object(nodes=_list({"type": "object"}), adjacency=_list(_list({}))),
    )
    states = ["submitted", "ready", "started", "completed", "failed", "canceled"]
    listed = _object(
        id=_STRING,
        status={"type": "string", "enum": states},
        type=_STRING,
        backend=_STRING,
        dry_run={"type": "boolean"},
        submitter_id=_STRING,
        project_id=_NULLABLE,
        parent_job_id=_NULLABLE,
        session_id=_NULLABLE,
        name=_NULLABLE,
        submitted_at=_STRING,
        started_at=_NULLABLE,
        completed_at=_NULLABLE,
        metadata={"type": "object", "nullable": True},
        failure={"type": "object", "nullable": True},
        results={"type": "object", "nullable": True},
        output={"type": "object"},
        settings={"type": "object"},
        stats={"type": "object"},
        predicted_wait_time_ms={"type": "integer", "nullable": True},
        predicted_execution_duration_ms={"type": "integer", "nullable": True},
        execution_duration_ms={"type": "integer", "nullable": True},
    )
    whole = {"allOf": [_ref("ListedJob"), {"type": "object", "required": ["child_job_ids"]}]}
    return {
        "Error": _object(statusCode={"type": "integer"}, error=_STRING, message=_STRING),
        "Backend": _object(
            "average_queue_time", "last_updated", backend=_STRING, qubits={"type": "integer"}
        ),
        "Created": _object(id=_STRING, status=_STRING, session_id=_NULLABLE),
        "Ids": _object(ids=_list(_STRING)),
        "ListedJob": listed,
        "JobState": whole,
        "JobList": _object(jobs=_list(_ref("ListedJob")), next=_NULLABLE),
        "Job": {
            "oneOf": [
                job("ionq.circuit.v1", single),
                job("ionq.multi-circuit.v1", _object(gateset=gateset, circuits=many)),
                job("ionq.qasm3.v1", _object(data=_STRING)),
                job("quantum-function", function),
                job("qctrl.qaoa.v1", cut, external_settings=_object(api_credentials=_STRING)),
            ]
        },
        "Session": _object("settings", id=_STRING, status=_STRING, active={"type": "boolean"}),
        "NewSession": {
            "type": "object",
            "required": ["backend"],
            "properties": {"backend": common["backend"], "settings": {"type": "object"}},
        },
    }
