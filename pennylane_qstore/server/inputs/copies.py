"""Requests that are kept: cloned, and shown again."""

from __future__ import annotations

from typing import Any

import orjson

from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.contents import SINGLE, read_input
from pennylane_qstore.server.inputs.submission import parse_json

_MERGED = ("name", "metadata", "shots", "backend", "session_id", "settings", "dry_run", "noise")


def clone_request(request: bytes, child: int | None, changes: Any) -> bytes:
    """Return a request like another one.

    Args:
        request: body of the original's request.
        child: position of the circuit that is cloned, ``None`` for all of them.
        changes: members of the request to put in place; others are ignored.

    Returns:
        The body of the new request.

    Raises:
        BadRequest: the changes are not an object.
    """
    if changes is None:
        changes = {}
    if not isinstance(changes, dict):
        raise BadRequest('"value" must be of type object.', keys=["body"])
    data = parse_json(request)
    if child is not None:
        source = data["input"]
        circuit = {"gateset": source.get("gateset", "qis"), "qubits": source.get("qubits")}
        circuit |= read_input(data["type"], source).circuits[child]
        data["type"] = SINGLE
        data["input"] = {k: v for k, v in circuit.items() if v is not None}
    data |= {key: changes[key] for key in _MERGED if key in changes}
    return orjson.dumps(data)


def circuit_source(request: bytes, k: int) -> list[dict[str, Any]]:
    """Return the gates of a circuit as they were sent (OpenQASM as IonQ's JSON).

    Args:
        request: body of the request.
        k: position of the circuit.

    Returns:
        The gates.
    """
    data = parse_json(request)
    return list(read_input(data["type"], data["input"]).circuits[k]["circuit"])
