"""IonQ's error bodies."""

from __future__ import annotations

import pytest

from pennylane_qstore.server.errors import BadRequest, Preflight, error_body, invalid, not_found


@pytest.mark.parametrize(
    ("status", "title"), [(400, "Bad Request"), (404, "Not Found Error"), (418, "Error")]
)
def test_a_body_has_status_title_and_message(status: int, title: str) -> None:
    body = error_body(status, "wrong")
    assert body == {"statusCode": status, "error": title, "message": "wrong"}


def test_members_that_are_wrong_are_named_with_a_400_only() -> None:
    assert error_body(400, "wrong", ["shots"])["validation"] == {
        "keys": ["shots"],
        "source": "payload",
    }
    assert "validation" not in error_body(404, "wrong", ["shots"])
    assert "validation" not in error_body(400, "wrong")


def test_an_invalid_member_is_a_400_that_names_it() -> None:
    error = invalid("input.qubits", "must be a number")
    assert (error.status, error.keys) == (400, ("input.qubits",))
    assert str(error) == error.message == '"input.qubits" must be a number.'


def test_nothing_there_is_a_404() -> None:
    assert not_found().status == 404


def test_a_program_refused_when_it_is_read_is_a_bad_request_too() -> None:
    assert isinstance(Preflight("too deep"), BadRequest)
