"""Jobs that give a number: energies against PennyLane, cuts against all there are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import orjson
import pennylane as qml
import pytest
from support.emulator_wire import Wire

from pennylane_qstore.emulator import VirtualClock

pytest.importorskip("openqasm3")
ANSATZ = """OPENQASM 3.0; include "stdgates.inc";
input float[64] a; input float[64] b; qubit[3] q;
ry(a) q[0]; cx q[0], q[1]; rx(b) q[2]; cx q[1], q[2]; rz(a * b) q[0]; ry(b) q[1];
"""
PARAMS = [0.7, 1.3]


def ansatz() -> None:
    a, b = PARAMS
    qml.RY(a, 0)
    qml.CNOT([0, 1])
    qml.RX(b, 2)
    qml.CNOT([1, 2])
    qml.RZ(a * b, 0)
    qml.RY(b, 1)


def expected(observable: qml.operation.Operator) -> float:
    @qml.qnode(qml.device("default.qubit"))
    def node() -> Any:
        ansatz()
        return qml.expval(observable)

    return float(node())


TERMS = [("IIZ", 0.3), ("ZZI", -0.4), ("XIX", 0.5), ("IYI", 0.2), ("III", 7.0), ("Z0 Y2", 0.6)]
OBSERVABLE = (
    0.3 * qml.Z(0)
    - 0.4 * qml.Z(2) @ qml.Z(1)
    + 0.5 * qml.X(2) @ qml.X(0)
    + 0.2 * qml.Y(1)
    + 0.6 * qml.Z(0) @ qml.Y(2)
)


def function(terms: list[tuple[str, float]] = TERMS, **more: Any) -> dict[str, Any]:
    data = {
        "hamiltonian": [{"pauli_string": s, "coefficient": c} for s, c in terms],
        "ansatz": {"data": ANSATZ},
    } | more.pop("data", {})
    source = {"data": {"type": "hamiltonian-energy", "data": data}, "params": PARAMS}
    source |= more.pop("input", {})
    return {"type": "quantum-function", "backend": "simulator", "input": source} | more


def submit(wire: Wire, body: dict[str, Any]) -> dict[str, Any]:
    answer = wire("POST", "/jobs", body)
    assert answer.status == 201, answer.body
    return wire.done(answer.json["id"])


def test_the_energy_is_exact_on_the_ideal_simulator(wire: Wire) -> None:
    job = submit(wire, function())
    value = expected(OBSERVABLE)
    assert job["results"]["value"] == pytest.approx(value, abs=1e-9)
    assert (job["type"], job["child_job_ids"]) == ("quantum-function", None)
    assert job["output"] == {"energy": job["results"]["value"]}
    assert "compilation" not in job["settings"]
    for path in ("results/probabilities", "results/probabilities/aggregated", "artifacts/shots"):
        assert wire("GET", f"/jobs/{job['id']}/{path}").status == 404


def test_one_term_has_the_variance_of_a_pauli(wire: Wire) -> None:
    found = submit(wire, function([("ZII", 2.0)]))["results"]
    value = 2 * expected(qml.Z(2))
    assert found == pytest.approx({"value": value, "variance": 4 - value**2}, abs=1e-9)


@pytest.mark.parametrize("backend", ["simulator", "qpu.forte-1"])
def test_the_energy_of_shots(wire: Wire, backend: str) -> None:
    noise = {"noise": {"model": "forte-1", "seed": 3}} if backend == "simulator" else {}
    job = submit(wire, function(backend=backend, shots=4000, **noise))
    assert job["results"]["value"] == pytest.approx(expected(OBSERVABLE), abs=0.1)
    assert job["results"]["variance"] > 0


def test_native_ansatz(wire: Wire) -> None:
    text = (
        "OPENQASM 3.0; input float[64] t; qubit[2] q; gpi2(t) q[0]; ms(0.1, 0.2, 0.15) q[0], q[1];"
    )
    terms = [("XY", 1.0), ("YI", 0.5)]
    body = function(terms, data={"ansatz": {"data": text}}, input={"params": [0.3]})
    from pennylane_qstore.native.gates import GPI2, MS

    @qml.qnode(qml.device("default.qubit"))
    def node() -> Any:
        GPI2(0.3, 0)
        MS(0.1, 0.2, 0.15, [0, 1])
        return qml.expval(qml.X(1) @ qml.Y(0) + 0.5 * qml.Y(1))

    assert submit(wire, body)["results"]["value"] == pytest.approx(float(node()), abs=1e-9)


def test_conditional_value_at_risk(wire: Wire) -> None:
    """A biased coin with energies -1 and 1: the worst half of the shots is below the mean."""
    terms = [("IIZ", 1.0)]
    p_low = (1 - expected(qml.Z(0))) / 2  # outcome 1 has energy -1
    tail = (-min(p_low, 0.5) + max(0.5 - p_low, 0)) / 0.5
    found = submit(wire, function(terms, data={"cvar_alpha": 0.5}))["results"]["value"]
    assert found == pytest.approx(tail, abs=1e-9)
    assert submit(wire, function(terms, data={"cvar_alpha": 1.0}))["results"][
        "value"
    ] == pytest.approx(expected(qml.Z(0)), abs=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": {"ansatz": {"data": "nonsense"}}}, "cannot be parsed"),
        ({"input": {"params": [0.1]}}, "no value"),
        ({"input": {"params": [0.1, 0.2, 0.3]}}, "without an input"),
        ({"terms": [("ZZ", 1.0)]}, "3 letters"),
        ({"terms": [("Z7", 1.0)]}, "3 letters"),
        ({"terms": [("Z0 Q1", 1.0)]}, "3 letters"),
        ({"terms": [("Z0 Z0", 1.0)]}, "3 letters"),
        ({"data": {"cvar_alpha": 0.5}}, "cvar_alpha"),
        (
            {"data": {"linear_constraints": [{"coeffs": [1], "rhs": 1}], "penalty": 2.0}},
            "penalty",
        ),
        (
            {"data": {"ansatz": {"data": "qubit q; h q; reset q;"}}, "input": {"params": []}},
            "reset",
        ),
    ],
)
def test_what_cannot_be_read_fails_the_job(wire: Wire, change: Any, says: str) -> None:
    job = submit(wire, function(**change))
    assert (job["status"], job["failure"]["code"]) == ("failed", "PreflightError")
    assert says in job["failure"]["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"input": {"data": {"type": "something-else"}}},
        {"input": {"data": None}},
        {"data": {"hamiltonian": []}},
        {"data": {"hamiltonian": [{"pauli_string": 1, "coefficient": 1}]}},
        {"data": {"hamiltonian": [{"pauli_string": "ZZZ", "coefficient": "1"}]}},
        {"data": {"ansatz": "text"}},
        {"input": {"params": ["0.1", 0.2]}},
    ],
)
def test_what_has_not_the_form_is_refused(wire: Wire, change: Any) -> None:
    assert wire("POST", "/jobs", function(**change)).status == 400


def maxcut(edges: dict[tuple[int, int], float], nodes: int, **more: Any) -> dict[str, Any]:
    adjacency: list[list[dict[str, Any]]] = [[] for _ in range(nodes)]
    for (a, b), weight in edges.items():
        adjacency[a].append({"id": f"n{b}", "weight": weight})
        adjacency[b].append({"id": f"n{a}", "weight": weight})
    problem = {
        "directed": False,
        "multigraph": False,
        "graph": [],
        "nodes": [{"id": f"n{k}"} for k in range(nodes)],
        "adjacency": adjacency,
    }
    return {
        "type": "qctrl.qaoa.v1",
        "backend": "simulator",
        "shots": 500,
        "input": {"problem_type": "maxcut", "problem": problem},
        "external_settings": {"api_credentials": "a Q-CTRL key", "external_organization": "x"},
    } | more


def cut(bits: str, edges: dict[tuple[int, int], float]) -> float:
    return sum(w for (a, b), w in edges.items() if bits[a] != bits[b])


def test_qaoa_finds_the_largest_cut(wire: Wire) -> None:
    rng = np.random.default_rng(5)
    edges = {(a, b): float(rng.integers(1, 5)) for a, b in product(range(7), repeat=2) if a < b}
    best = max(cut("".join(bits), edges) for bits in product("01", repeat=7))
    job = submit(wire, maxcut(edges, 7))
    found = job["results"]["qaoa_results"]
    assert found["optimal_cost"] == -best == -cut(found["optimal_bitstring"], edges)
    assert found["processing_status"] == "complete"
    children = [wire.job(child) for child in job["child_job_ids"]]
    assert {c["type"] for c in children} == {"qctrl.qaoa-circuit.v1"}
    assert {c["parent_job_id"] for c in children} == {job["id"]}
    assert sum(wire.probabilities(children[0]["id"]).values()) == pytest.approx(1)
    assert wire("GET", f"/jobs/{job['id']}/results/probabilities/aggregated").status == 404


def test_the_other_services_key_is_not_kept(wire: Wire) -> None:
    job = submit(wire, maxcut({(0, 1): 1.0}, 2))
    assert b"a Q-CTRL key" not in (wire.emulator.jobs[0].request or b"")
    again = wire("POST", f"/jobs/{job['id']}/clone", {"name": "again"})
    assert wire.done(again.json["id"])["results"] == job["results"]


def test_a_child_can_be_cloned_as_a_job_of_its_own(wire: Wire) -> None:
    job = submit(wire, maxcut({(0, 1): 1.0}, 2))
    child = job["child_job_ids"][7]
    clone = wire("POST", f"/jobs/{child}/clone", {"name": "alone"}).json["id"]
    assert wire.job(clone)["type"] == "ionq.circuit.v1"
    assert wire.probabilities(clone) == pytest.approx(wire.probabilities(child))


@pytest.mark.parametrize(
    "change",
    [
        {"external_settings": {}},
        {"input": {"problem_type": "tsp", "problem": {}}},
        {"input": {"problem_type": "maxcut", "problem": {"nodes": [], "adjacency": []}}},
        {"input": {"problem_type": "maxcut", "problem": {"nodes": [{"id": 0}], "adjacency": [3]}}},
        {
            "input": {
                "problem_type": "maxcut",
                "problem": {"nodes": [{"id": 0}], "adjacency": [[{"id": 5}]]},
            }
        },
    ],
)
def test_a_problem_that_is_none_is_refused(wire: Wire, change: Any) -> None:
    assert wire("POST", "/jobs", maxcut({(0, 1): 1.0}, 2) | change).status == 400


def test_results_survive_a_restart(serve: Callable[..., Wire], tmp_path: Any) -> None:
    state = tmp_path / "jobs.db"
    wire = serve(state=state)
    one, two = submit(wire, function()), submit(wire, maxcut({(0, 1): 1.0}, 2))
    wire.connection.close()
    wire.emulator.close()
    assert b"a Q-CTRL key" not in state.read_bytes()
    again = serve(state=state)
    assert again.job(one["id"])["results"] == one["results"]
    assert again.job(two["id"])["results"] == two["results"]


def test_they_queue_and_dry_run_like_others(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(profile={"verify_s": 2, "queue_s": 1000}, clock=clock)
    job_id = wire("POST", "/jobs", function(backend="qpu.forte-1")).json["id"]
    assert (wire.job(job_id)["status"], wire.job(job_id)["results"]) == ("submitted", None)
    dry = wire("POST", "/jobs", function(backend="qpu.forte-1", dry_run=True)).json["id"]
    clock.advance(86_400)
    assert wire.done(job_id)["status"] == "completed"
    assert wire.done(dry)["results"] is None
    assert orjson.loads(wire("GET", f"/jobs/{dry}/cost").body)["dry_run"] is True
