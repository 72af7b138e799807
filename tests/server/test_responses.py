"""IonQ's error bodies and ids."""

from __future__ import annotations

import uuid
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.server.errors import error_body
from pennylane_qstore.server.render import timestamp
from pennylane_qstore.server.responses import answer, error_response


@pytest.mark.parametrize(
    ("status", "title"), [(400, "Bad Request"), (404, "Not Found Error"), (418, "Error")]
)
def test_an_error_has_status_title_and_message(status: int, title: str) -> None:
    response = error_response(status, "a message")
    body = orjson.loads(response.body)
    assert response.status == status
    assert body == {"statusCode": status, "error": title, "message": "a message"}
    assert uuid.UUID(response.headers["x-request-id"]).version == 4
    assert response.content_type == "application/json"


def test_only_a_400_names_the_members_that_are_wrong() -> None:
    assert error_body(400, "x", ["shots"])["validation"] == {"keys": ["shots"], "source": "payload"}
    assert "validation" not in error_body(404, "x", ["shots"])
    assert "validation" not in error_body(400, "x")


def test_an_answer_is_json() -> None:
    response = answer({"a": [1, 2.5, None]}, 201)
    assert (response.status, response.body) == (201, b'{"a":[1,2.5,null]}')


@given(st.floats(0, 4e9))
def test_a_timestamp_has_milliseconds_and_ends_in_z(seconds: float) -> None:
    text = timestamp(seconds)
    assert text.endswith("Z")
    assert len(text.split(".")[1]) == 4
    assert abs(datetime.fromisoformat(text).timestamp() - seconds) <= 0.0012
