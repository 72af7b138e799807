"""The OpenQASM 3 subset, against PennyLane's simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pennylane as qml
import pytest
from support.emulator_wire import Wire

from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.emulator.simulation.statevector import probabilities
from pennylane_qstore.native.gates import GPI2, MS, ZZ
from pennylane_qstore.server.errors import Preflight
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.qasm import read_qasm
from pennylane_qstore.server.service import ServiceBehaviour

pytest.importorskip("openqasm3")
HEAD = 'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; bit[2] c;'


def found(text: str) -> np.ndarray:
    (program,) = read_circuits([read_qasm(HEAD + text)], gateset="qis")
    return probabilities(program)[0]


def registers(text: str, simulator: str | None = None) -> dict[str, np.ndarray]:
    """Exact probabilities of what the registers hold, the first bit the most significant."""
    circuit = read_qasm(HEAD + text)
    (program,) = read_circuits([circuit], gateset="qis", copies=True)
    (result,) = run([program], SimulationOptions(simulator=simulator), 1)
    out = {}
    for name, places in circuit["registers"].items():
        p = np.zeros(2 ** len(places))
        for state, weight in zip(result.states.tolist(), result.weights, strict=True):
            bits = ["0" if q is None else str(state >> q & 1) for q in places]
            p[int("".join(bits), 2)] += weight
        out[name] = p
    return out


def expected(*ops: qml.operation.Operator) -> np.ndarray:
    tape = qml.tape.QuantumScript(list(ops), [qml.probs(wires=[2, 1, 0])])
    (result,) = qml.execute([tape], qml.device("default.qubit"))
    return np.asarray(result)


@pytest.mark.parametrize(
    ("text", "ops"),
    [
        ("h q[0]; cx q[0], q[1];", [qml.Hadamard(0), qml.CNOT([0, 1])]),
        ("h q;", [qml.Hadamard(w) for w in range(3)]),
        ("rx(pi/4) q[0]; ry(-2*0.3) q[1];", [qml.RX(np.pi / 4, 0), qml.RY(-0.6, 1)]),
        ("const float a = 0.5; rx(a**2) q[-1];", [qml.RX(0.25, 2)]),
        (
            "h q[0]; p(0.7) q[0]; h q[0];",
            [qml.Hadamard(0), qml.PhaseShift(0.7, 0), qml.Hadamard(0)],
        ),
        (
            "h q[1]; inv @ s q[1]; h q[1];",
            [qml.Hadamard(1), qml.adjoint(qml.S(1)), qml.Hadamard(1)],
        ),
        ("x q[0]; ctrl @ ry(0.4) q[0], q[2];", [qml.X(0), qml.CRY(0.4, [0, 2])]),
        (
            "h q; ctrl(2) @ x q[0], q[1], q[2];",
            [*map(qml.Hadamard, range(3)), qml.Toffoli([0, 1, 2])],
        ),
        ("h q; ccx q[0], q[1], q[2];", [*map(qml.Hadamard, range(3)), qml.Toffoli([0, 1, 2])]),
        (
            "gate g(a, b) x1, x2 { rx(a/2) x1; cx x1, x2; s x2; rx(a/2) x1; ry(b) x2; }"
            "g(0.4, 0.8) q[0], q[1]; inv @ g(0.1, 0.3) q[1], q[2];",
            [
                *[qml.RX(0.2, 0), qml.CNOT([0, 1]), qml.S(1), qml.RX(0.2, 0), qml.RY(0.8, 1)],
                *[qml.RY(-0.3, 2), qml.RX(-0.05, 1), qml.adjoint(qml.S(2))],
                *[qml.CNOT([1, 2]), qml.RX(-0.05, 1)],
            ],
        ),
        (
            "h q; gate g a { h a; t a; gphase(0.4); } ctrl @ g q[0], q[1]; h q[0];",
            [
                *map(qml.Hadamard, range(3)),
                *[qml.CH([0, 1]), qml.ctrl(qml.T(1), 0), qml.PhaseShift(0.4, 0), qml.Hadamard(0)],
            ],
        ),
        (
            "h q; cu(0.3, 0.5, 0.7, 0.9) q[0], q[1]; ctrl @ gphase(0.2) q[0]; h q;",
            [
                *map(qml.Hadamard, range(3)),
                qml.ctrl(qml.U3(0.3, 0.5, 0.7, 1), 0),
                *[qml.PhaseShift(1.1, 0), *map(qml.Hadamard, range(3))],
            ],
        ),
        (
            "h q; ctrl @ u3(0.3, 0.5, 0.7) q[0], q[1]; h q;",
            [
                *map(qml.Hadamard, range(3)),
                qml.ctrl(qml.U3(0.3, 0.5, 0.7, 1), 0),
                *[qml.PhaseShift(-0.6, 0), *map(qml.Hadamard, range(3))],
            ],
        ),
        (
            "gpi2(0.1) q[0]; ms(0.2, 0.3) q[0], q[1]; zz(0.2) q[1], q[2]; gpi2(0.4) q[1];",
            [GPI2(0.1, 0), MS(0.2, 0.3, 0.25, [0, 1]), ZZ(0.2, [1, 2]), GPI2(0.4, 1)],
        ),
        ("U(0.1, 0.2, 0.3) q[0]; h q[0];", [qml.U3(0.1, 0.2, 0.3, 0), qml.Hadamard(0)]),
        ("h q[0]; u2(0.2, 0.3) q[0];", [qml.Hadamard(0), qml.U2(0.2, 0.3, 0)]),
        (
            "h q[0]; inv @ U(0.1, 0.2, 0.3) q[0];",
            [qml.Hadamard(0), qml.adjoint(qml.U3(0.1, 0.2, 0.3, 0))],
        ),
        ("rx(0.3) q[0]; swap q[0], q[2]; id q[0];", [qml.RX(0.3, 0), qml.SWAP([0, 2])]),
        (
            "h q[0]; crx(0.4) q[0], q[1]; cp(0.2) q[0], q[1]; barrier q; sx q[1];",
            [
                qml.Hadamard(0),
                qml.CRX(0.4, [0, 1]),
                qml.ControlledPhaseShift(0.2, [0, 1]),
                qml.SX(1),
            ],
        ),
    ],
)
def test_gates_agree_with_pennylane(text: str, ops: list[qml.operation.Operator]) -> None:
    np.testing.assert_allclose(found(text), expected(*ops), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("h q[0]", "cannot be parsed"),
        ("h $0;", "physical qubits"),
        ("h q[7];", "does not exist"),
        ("h r[0];", "no qubit register"),
        ("if (c[0]) x q[0];", "not supported"),
        ("input float[64] a; rx(a) q[0];", "'a', for which there is no value"),
        ("h q[0]; gpi2(0.1) q[0];", "mixes native"),
        ("inv @ gpi(0.1) q[0];", "modifier"),
        ("ctrl(9) @ x q[0], q[1];", "controls"),
        ("gate g a { h b; } g q[0];", "none of its own"),
        ("gate g a { g a; } g q[0];", "'g'"),
        ("gate g(t) a, b { cx a, b; } g(1) q[0];", "1 qubit"),
        (f"rx({'9' * 400}) q[0];", "cannot be read"),
        ("bit[2] output;", "cannot be parsed"),
        ("x q;" * 300_000, "longer than"),
        ("c = measure q;", "3 qubit"),
        ("foo q[0];", "'foo'"),
        ("rx q[0];", "takes 1"),
        ("rx(1/0) q[0];", "cannot be evaluated"),
        ("pow(2) @ x q[0];", "modifier"),
        ("qubit[100] r;", "more than 64"),
    ],
)
def test_what_ionq_does_not_take_is_refused(text: str, says: str) -> None:
    with pytest.raises(Preflight, match=says):
        read_qasm(HEAD + text)


def test_gates_that_double_and_double_are_stopped() -> None:
    text = "gate g0 a { id a; id a; }"
    text += "".join(f"gate g{k} a {{ g{k - 1} a; g{k - 1} a; }}" for k in range(1, 40))
    with pytest.raises(Preflight, match="more than"):
        read_qasm(HEAD + text + "g39 q[0];")


def mid_circuit(reset: bool) -> np.ndarray:
    """The result of default.qubit for the same circuit as in the test."""

    @qml.qnode(qml.device("default.qubit"), mcm_method="deferred")
    def circuit() -> qml.measurements.ProbabilityMP:
        qml.RY(0.7, 0)
        qml.CNOT([0, 1])
        first = qml.measure(0, reset=reset)
        qml.RX(0.4, 0)
        qml.CNOT([0, 1])
        qml.RY(1.1, 1)
        second = qml.measure(1)
        qml.Hadamard(1)
        qml.CNOT([1, 0])
        return qml.probs(op=[first, second, qml.measure(0)])

    return np.asarray(circuit())


@pytest.mark.parametrize("simulator", [None, "lightning.qubit"])
@pytest.mark.parametrize("reset", [False, True])
def test_measurement_and_reset_on_the_way(reset: bool, simulator: str | None) -> None:
    text = "bit[3] m; ry(0.7) q[0]; cx q[0], q[1]; m[0] = measure q[0];"
    text += ("reset q[0];" if reset else "") + "rx(0.4) q[0]; cx q[0], q[1]; ry(1.1) q[1];"
    text += "m[1] = measure q[1]; h q[1]; cx q[1], q[0]; m[2] = measure q[0];"
    np.testing.assert_allclose(registers(text, simulator)["m"], mid_circuit(reset), atol=1e-9)


def test_a_reset_of_what_was_not_touched_costs_nothing() -> None:
    assert read_qasm(HEAD + "reset q; h q[0];")["recorded"] == 0
    assert read_qasm(HEAD + "h q[0]; reset q[0];")["recorded"] == 1
    assert read_qasm(HEAD + "h q; c[0] = measure q[0];")["recorded"] == 0


def mcm_body(**more: object) -> dict[str, object]:
    """One qubit: h, measured, flipped, measured, flipped, measured again."""
    text = (
        'OPENQASM 3.0; include "stdgates.inc"; qubit[1] q; bit[1] mid; bit[2] result; '
        "h q[0]; mid[0] = measure q[0]; x q[0]; result[0] = measure q[0]; x q[0]; "
        "result[1] = measure q[0];"
    )
    return {
        "type": "ionq.qasm3.v1", "backend": "simulator", "shots": 400, "input": {"data": text}
    } | more  # fmt: skip


def test_shots_hold_what_was_measured_on_the_way(wire: Wire) -> None:
    job = wire.done(wire("POST", "/jobs", mcm_body(noise={"model": "aria-1"})).json["id"])
    assert job["status"] == "completed"
    assert (job["stats"]["qubits"], job["output"]) == (1, {})
    path = f"/jobs/{job['id']}"
    v2 = wire("GET", path + "/artifacts/ionq.result.shots.json.v2").json["shots"]
    v1 = wire("GET", path + "/results/shots").json
    assert [str(s["registers"]["output_all"][0]) for s in v2] == v1
    agree = [
        s["registers"]["mid"] == [1 - s["registers"]["result"][0]]
        and s["registers"]["mid"] == [s["registers"]["result"][1]] == s["registers"]["output_all"]
        for s in v2
    ]
    assert sum(agree) > 380
    assert 130 < sum(s["registers"]["mid"][0] for s in v2) < 270
    histogram = wire("GET", path + "/artifacts/histogram-v2").json["histogram"]["registers"]
    shots = ["".join(map(str, s["registers"]["result"])) for s in v2]
    assert histogram["result"] == {key: shots.count(key) for key in histogram["result"]}
    v1_counts = wire("GET", path + "/results/histogram").json
    assert v1_counts == {key: v1.count(key) for key in ("0", "1")}
    assert wire("GET", path + "/artifacts/compiled-native").status == 404


def test_the_ideal_simulator_tells_only_of_the_end(wire: Wire) -> None:
    job = wire.done(wire("POST", "/jobs", mcm_body()).json["id"])
    found = wire("GET", f"/jobs/{job['id']}/artifacts/ionq.result.probabilities.json.v2").json
    assert set(found["probabilities"]["registers"]) == {"output_all"}
    assert wire.probabilities(job["id"]) == pytest.approx({"0": 0.5, "1": 0.5})
    assert not any("shots" in key for key in job["results"])


def test_qpus_do_not_measure_on_the_way(serve: Callable[..., Wire]) -> None:
    wire = serve()
    job = wire.done(wire("POST", "/jobs", mcm_body(backend="qpu.forte-1")).json["id"])
    assert (job["status"], job["failure"]["code"]) == ("failed", "PreflightError")
    assert "Mid-circuit measurement" in job["failure"]["message"]
    wire = serve(behaviour=ServiceBehaviour(qpu_mid_circuit=True))
    job = wire.done(wire("POST", "/jobs", mcm_body(backend="qpu.forte-1")).json["id"])
    assert job["status"] == "completed"


def test_too_many_measurements_to_be_simulated(wire: Wire) -> None:
    text = HEAD + "h q; reset q;" * 10
    job = wire.done(wire("POST", "/jobs", mcm_body(input={"data": text})).json["id"])
    assert job["failure"]["code"] == "QuantumCircuitComplexityError"


def test_a_job_with_registers(wire: Wire) -> None:
    text = HEAD + "x q[2]; c[0] = measure q[2]; c[1] = measure q[0];"
    body = {
        "type": "ionq.qasm3.v1",
        "backend": "simulator",
        "noise": {"model": "aria-1"},
        "shots": 20,
        "input": {"data": text, "qubits": 3},
    }
    job_id = wire("POST", "/jobs", body).json["id"]
    job = wire.done(job_id)
    assert (job["type"], job["stats"]["qubits"]) == ("ionq.qasm3.v1", 3)
    shots = wire("GET", f"/jobs/{job_id}/artifacts/ionq.result.shots.json.v2").json["shots"]
    assert sum(s["registers"]["c"] == [1, 0] for s in shots) > 15
    assert wire("POST", "/jobs", body | {"input": {}}).status == 400


def test_what_cannot_be_read_fails_after_it_was_accepted(wire: Wire) -> None:
    for text, says in (("nonsense", "cannot be parsed"), (HEAD + "cx q[0], q[0];", "twice")):
        job_id = wire("POST", "/jobs", mcm_body(input={"data": text})).json["id"]
        job = wire.job(job_id)
        assert (job["status"], job["failure"]["code"]) == ("failed", "PreflightError")
        assert says in job["failure"]["message"]
        assert wire("GET", f"/admin/jobs/{job_id}/0").status == 200  # the page's view of it
    assert wire.emulator.stats()["billed_usd"] == 0


def doubled(body: str, times: int) -> str:
    """A gate that is defined by two of the gate before it, and so on."""
    gates = [f"gate g0(t) a {{ {body} }}"]
    gates += [f"gate g{i}(t) a {{ g{i - 1}(t) a; g{i - 1}(t) a; }}" for i in range(1, times + 1)]
    return "\n".join([*gates, f"g{times}(0.1) q[0];"])


@pytest.mark.parametrize(
    "text",
    [
        doubled(f"rx({'+'.join(['t'] * 200)}) a;", 16),
        doubled("barrier a; " * 1000 + "x a;", 14),
        doubled("", 22),
    ],
    ids=["expressions", "barriers", "nothing"],
)
def test_a_short_text_that_is_much_work_is_refused(text: str) -> None:
    with pytest.raises(Preflight, match=r"takes more than|more than 200000 gates"):
        read_qasm(HEAD + text)


def test_many_definitions_cost_nothing_where_they_are_not_used() -> None:
    """A body sees what was defined before it; that is not looked up definition by definition."""
    unused = "".join(f"gate u{i} a {{ x a; }}\n" for i in range(1500))
    circuit = read_qasm(HEAD + unused + doubled("rx(t) a;", 10))
    assert len(circuit["circuit"]) == 1024


def test_a_gate_that_is_defined_again_does_not_contain_itself() -> None:
    with pytest.raises(Preflight, match="uses the gate 'later'"):
        read_qasm(HEAD + "gate early a { later a; } gate later a { x a; } early q[0];")
    with pytest.raises(Preflight, match="uses the gate 'own'"):
        read_qasm(HEAD + "gate own a { own a; } own q[0];")
