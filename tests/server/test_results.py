"""Routes of results: which job has which artifact."""

from __future__ import annotations

from collections import Counter

import pytest
from support.emulator_wire import BELL, Wire


def test_registers_and_second_version_of_the_formats(wire: Wire) -> None:
    circuit = {"circuit": [{"gate": "x", "target": 0}], "qubits": 3, "registers": {"out": [2, 0]}}
    parent = wire.submit_many([circuit], noise={"model": "aria-1"}, shots=10)
    child = wire.done(parent)["child_job_ids"][0]
    found = wire("GET", f"/jobs/{child}/artifacts/ionq.result.histogram.json.v2").json
    registers = found["histogram"]["registers"]
    assert registers["output_all"]["100"] >= 8
    assert registers["out"]["01"] >= 8
    shots = wire("GET", f"/jobs/{child}/artifacts/shots-v2").json["shots"]
    assert len(shots) == 10
    assert set(shots[0]["registers"]) == {"output_all", "out"}
    assert wire("GET", f"/jobs/{child}/artifacts/nonsense").status == 404
    assert wire("GET", "/schemas/formats/ionq.result.histogram.json.v2").status == 200
    assert wire("GET", "/schemas/formats/nonsense").status == 404


def test_children_have_shots_of_their_own(wire: Wire) -> None:
    parent = wire.done(wire.submit_many([BELL, BELL], backend="qpu.forte-1", shots=100))
    assert wire("GET", f"/jobs/{parent['id']}/results/shots").status == 404
    one, two = (wire("GET", f"/jobs/{c}/results/shots").json for c in parent["child_job_ids"])
    assert len(one) == len(two) == 100
    assert one != two
    aggregate = wire("GET", parent["results"]["probabilities"]["url"]).json
    for child, shots in zip(parent["child_job_ids"], (one, two), strict=True):
        assert aggregate[child] == pytest.approx({s: n / 100 for s, n in Counter(shots).items()})


def test_the_ideal_simulator_has_no_shots(wire: Wire) -> None:
    job = wire.done(wire.submit(shots=100))
    assert "shots" not in job["results"]
    for path in ("results/shots", "results/histogram", "artifacts/shots-v2"):
        assert wire("GET", f"/jobs/{job['id']}/{path}").status == 404
