"""Health, documents, and whose key it is."""

from __future__ import annotations

from support.emulator_wire import Wire


def test_health_and_documents_are_open(wire: Wire) -> None:
    assert wire("GET", "/schemas/formats/nonsense").status == 404
    assert set(wire("GET", "/whoami").json) == {"key_id", "key_name", "project_id"}
    wire.key = None
    assert wire("GET", "/health").json == {"status": "pass"}
    assert wire("GET", "/api-docs").json["openapi"].startswith("3.")
    assert wire("GET", "/whoami").status == 401


def test_another_organizations_use_is_not_found(wire: Wire) -> None:
    assert wire("GET", "/organizations/nonsense/usage").status == 404
