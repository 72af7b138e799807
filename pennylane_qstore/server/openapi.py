"""The OpenAPI document at ``/v0.4/api-docs``, and the JSON Schemas of the result formats.

Both stand in ``openapi.json``; backends and noise models are put in here. A format's schema is
used twice: whole by ``GET /schemas/formats/{format}``, and in the document without the keywords
that OpenAPI 3.0 does not know.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from pennylane_qstore.backends import BACKENDS, NOISE_MODELS

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_UNKNOWN_TO_OPENAPI = ("$schema", "$id", "propertyNames")


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.0.3 document."""
    return _load()[0]


def format_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each result format, by the format's identifier."""
    return _load()[1]


@cache
def _load() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    text = resources.files(__package__).joinpath("openapi.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    formats = {
        name: {"$schema": _DRAFT, "$id": name, **schema}
        for name, schema in content.pop("x-formats").items()
    }
    schemas = content["components"]["schemas"]
    schemas |= {name: _without_unknown(schema) for name, schema in formats.items()}
    schemas["AnyBackend"]["enum"] = list(BACKENDS)
    schemas["JobBackend"]["enum"] = [b.name for b in BACKENDS.values() if not b.retired]
    schemas["NoiseModel"]["enum"] = list(NOISE_MODELS)
    return content, formats


def _without_unknown(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: _without_unknown(value)
            for key, value in schema.items()
            if key not in _UNKNOWN_TO_OPENAPI
        }
    return schema
