"""JSON Schemas of the result formats, as ``GET /schemas/formats/{format}`` gives them."""

from __future__ import annotations

from typing import Any

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1.00001}
_COUNT = {"type": "integer", "minimum": 0}


def _by_state(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": "^[0-9]+$"},
        "additionalProperties": values,
    }


def _by_register(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    inner = {
        "type": "object",
        "required": ["output_all"],
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"pattern": "^[01]*$"},
            "additionalProperties": values,
        },
    }
    registers = {"type": "object", "required": ["registers"], "properties": {"registers": inner}}
    return {"type": "object", "required": [kind], "properties": {kind: registers}}


_BODIES: dict[str, dict[str, Any]] = {
    "ionq.result.probabilities.json.v1": _by_state(_PROBABILITY),
    "ionq.result.histogram.json.v1": _by_state(_COUNT),
    "ionq.result.shots.json.v1": {
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "ionq.result.probabilities.json.v2": _by_register("probabilities", _PROBABILITY),
    "ionq.result.histogram.json.v2": _by_register("histogram", _COUNT),
    "ionq.result.shots.json.v2": {
        "type": "object",
        "required": ["shots"],
        "properties": {
            "shots": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["registers"],
                    "properties": {
                        "registers": {
                            "type": "object",
                            "additionalProperties": {
                                "type": "array",
                                "items": {"type": "integer", "minimum": 0, "maximum": 1},
                            },
                        }
                    },
                },
            }
        },
    },
    "ionq.result.probabilities-aggregate.json.v1": {
        "type": "object",
        "additionalProperties": _by_state(_PROBABILITY),
    },
    "ionq.native.v1": {
        "type": "object",
        "required": ["qubits", "circuit"],
        "properties": {"qubits": {"type": "integer"}, "circuit": {"type": "array"}},
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    name: {"$schema": _DRAFT, "$id": name, **body} for name, body in _BODIES.items()
}
"""Schemas by format identifier."""
