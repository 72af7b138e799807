"""Requests that are kept: cloned, and shown again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.emulator_wire import BELL, multi, single

from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.copies import circuit_source, clone_request
from pennylane_qstore.server.inputs.submission import read_submission
from pennylane_qstore.server.service import ServiceBehaviour

X = [{"gate": "x", "target": 0}]


def clone(body: dict[str, Any], child: int | None, changes: Any) -> Any:
    return orjson.loads(clone_request(orjson.dumps(body), child, changes))


def test_a_clone_differs_in_the_members_asked_for() -> None:
    body = single(shots=7, name="first")
    assert clone(body, None, None) == body
    changes = {"name": "second", "shots": 9, "input": {}, "type": "other"}
    assert clone(body, None, changes) == body | {"name": "second", "shots": 9}
    with pytest.raises(BadRequest):
        clone(body, None, [])


def test_a_child_becomes_a_job_of_one_circuit() -> None:
    body = multi([{"circuit": BELL, "name": "a"}, {"circuit": X, "qubits": 3}], shots=5)
    alone = clone(body, 1, {})
    assert alone["type"] == "ionq.circuit.v1"
    assert alone["input"] == {"gateset": "qis", "qubits": 3, "circuit": X}
    assert alone["shots"] == 5
    read_submission(orjson.dumps(alone), ServiceBehaviour())


def test_circuits_are_shown_as_they_were_sent() -> None:
    request = orjson.dumps(multi([BELL, X]))
    assert [circuit_source(request, k) for k in (0, 1)] == [BELL, X]
