"""IonQ's clients run on the emulator as they are, and agree with PennyLane's simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.emulator import Emulator, VirtualClock
from pennylane_qstore.native.gates import GPI, GPI2, MS, ZZ

pytestmark = pytest.mark.conformance

SHOT_NOISE = 0.025  # five standard deviations of an expectation value at 20,000 shots


def plain_circuit(x: float) -> None:
    qml.Hadamard(0)
    qml.RX(x, wires=1)
    qml.CNOT([0, 1])
    qml.RY(0.3, wires=0)
    qml.IsingZZ(0.7, wires=[0, 1])
    qml.SX(1)


def simulate(circuit: Any, *args: Any, wires: list[int]) -> np.ndarray:
    """Probabilities with the first of ``wires`` as the most significant bit."""
    device = qml.device("default.qubit")

    @qml.qnode(device)
    def node() -> Any:
        circuit(*args)
        return qml.probs(wires=wires)

    return np.asarray(node())


def expval_z1(x: float) -> float:
    p = simulate(plain_circuit, x, wires=[1])
    return float(p[0] - p[1])


def native_circuit(zz: bool = False) -> None:
    GPI2(0.1, wires=0)
    GPI(0.35, wires=1)
    if zz:
        ZZ(0.15, wires=[0, 1])
    else:
        MS(0.05, 0.2, 0.15, wires=[0, 1])
    GPI2(0.6, wires=0)


def little_endian(found: dict[str, float], qubits: int) -> np.ndarray:
    out = np.zeros(2**qubits)
    for key, p in found.items():
        out[int(key)] = p
    return out


class TestPennyLaneIonQ:
    def test_single_circuit(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("pennylane_ionq", emulator, "single")
        assert found == pytest.approx(expval_z1(0.4), abs=SHOT_NOISE)

    def test_batch_is_one_post(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("pennylane_ionq", emulator, "batch")
        assert found == pytest.approx([expval_z1(x) for x in (0.1, 0.5, 0.9)], abs=SHOT_NOISE)
        assert emulator.stats()["posts"] == 1

    def test_gradient(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("pennylane_ionq", emulator, "gradient")
        step = np.pi / 2
        expected = (expval_z1(0.4 + step) - expval_z1(0.4 - step)) / 2
        assert found == pytest.approx(expected, abs=SHOT_NOISE)
        assert len(emulator.jobs) == 2

    def test_native_gates(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("pennylane_ionq", emulator, "native")
        assert found == pytest.approx(simulate(native_circuit, wires=[0, 1]), abs=SHOT_NOISE)

    def test_evolution_as_pauliexp(self, run_client: Any, emulator: Emulator) -> None:
        def circuit() -> None:
            qml.Hadamard(0)
            hamiltonian = 0.3 * qml.X(0) @ qml.X(1) + 0.2 * qml.Z(0)
            qml.QubitUnitary(
                qml.matrix(qml.exp(hamiltonian, -0.7j), wire_order=[0, 1]), wires=[0, 1]
            )

        found = run_client("pennylane_ionq", emulator, "evolution")
        assert found == pytest.approx(simulate(circuit, wires=[0, 1]), abs=SHOT_NOISE)

    def test_noise_model_with_seed(self, run_client: Any, emulator: Emulator) -> None:
        run_client("pennylane_ionq", emulator, "noisy")
        assert emulator.jobs[0].noise == {"model": "aria-1", "seed": 5}

    def test_failure_is_raised(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("pennylane_ionq", emulator, "failure")
        assert found == ["JobExecutionError", "Job failed"]

    def test_dry_run_bills_nothing(self, run_client: Any, emulator: Emulator) -> None:
        assert run_client("pennylane_ionq", emulator, "dry_run") == [[], []]
        assert (len(emulator.jobs), emulator.billed_jobs) == (1, 0)

    def test_qpu(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("pennylane_ionq", emulator, "qpu")
        assert found == pytest.approx(expval_z1(0.4), abs=0.2)
        assert emulator.jobs[0].backend == "qpu.aria-1"


def qiskit_circuit(x: float) -> None:
    qml.Hadamard(0)
    qml.RX(x, wires=1)
    qml.CNOT([0, 1])
    qml.PhaseShift(0.4, wires=0)
    qml.ControlledPhaseShift(0.6, wires=[0, 2])
    qml.Toffoli([0, 1, 2])
    qml.IsingZZ(0.5, wires=[0, 1])
    qml.SX(2)
    qml.ctrl(qml.SX(1), 0)
    qml.SWAP([1, 2])


def by_bits(found: dict[str, float]) -> np.ndarray:
    return little_endian({str(int(k, 2)): p for k, p in found.items()}, len(next(iter(found))))


class TestQiskitIonQ:
    def test_single_circuit(self, run_client: Any, emulator: Emulator) -> None:
        found = by_bits(run_client("qiskit_ionq", emulator, "single"))
        assert found == pytest.approx(simulate(qiskit_circuit, 0.4, wires=[2, 1, 0]), abs=1e-9)

    def test_batch_is_one_post(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("qiskit_ionq", emulator, "batch")
        for one, x in zip(found, (0.1, 0.5, 0.9), strict=True):
            expected = simulate(qiskit_circuit, x, wires=[2, 1, 0])
            assert by_bits(one) == pytest.approx(expected, abs=1e-9)
        assert emulator.stats()["posts"] == 1

    def test_native_gates(self, run_client: Any, emulator: Emulator) -> None:
        found = by_bits(run_client("qiskit_ionq", emulator, "native"))
        assert found == pytest.approx(simulate(native_circuit, wires=[1, 0]), abs=1e-9)

    def test_qpu_counts_and_memory(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("qiskit_ionq", emulator, "qpu")
        assert sum(found["counts"].values()) == found["memory"] == 1000
        shares = by_bits({k: n / 1000 for k, n in found["counts"].items()})
        assert shares == pytest.approx(simulate(qiskit_circuit, 0.4, wires=[2, 1, 0]), abs=0.12)

    def test_measurement_on_the_way(self, run_client: Any, emulator: Emulator) -> None:
        """As OpenQASM 3; outcomes come by register from the single shots."""

        @qml.qnode(qml.device("default.qubit"), mcm_method="deferred")
        def node() -> Any:
            qml.RY(0.7, 0)
            qml.IsingZZ(0.4, [0, 1])
            qml.CNOT([0, 1])
            middle = qml.measure(0, reset=True)
            qml.RX(1.1, 0)
            qml.CNOT([1, 0])
            return qml.probs(op=[qml.measure(1), qml.measure(0), middle])

        found = run_client("qiskit_ionq", emulator, "mid_circuit")
        shares = by_bits({k.replace(" ", ""): n / 4000 for k, n in found["counts"].items()})
        assert shares == pytest.approx(np.asarray(node()), abs=0.05)
        assert found["memory"] == 4000
        assert "ideal simulator returns only the aggregate" in found["ideal"]
        assert {job.type for job in emulator.jobs} == {"ionq.qasm3.v1"}

    def test_failure_names_the_reason(self, run_client: Any, emulator: Emulator) -> None:
        kind, text = run_client("qiskit_ionq", emulator, "failure")
        assert kind == "IonQJobFailureError"
        assert "UnsupportedGate: Gate types [ms] are not supported by this backend" in text

    def test_cancel_in_the_queue(self, run_client: Any) -> None:
        with Emulator(profile="qpu", clock=VirtualClock(auto=True)) as emulator:
            assert run_client("qiskit_ionq", emulator, "cancel") == "CANCELLED"

    def test_session_limits(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("qiskit_ionq", emulator, "session")
        assert found["counts"] == 600
        assert "limit of 1 jobs" in found["second"]
        assert found["details"]["status"] == "ended"

    def test_dry_run_gives_the_compiled_circuit(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("qiskit_ionq", emulator, "dry_run")
        assert found["status"] == "DONE"

        def circuit() -> None:
            for gate in found["native"]["circuit"]:
                if gate["gate"] == "zz":
                    ZZ(gate["angle"], wires=gate["targets"])
                else:
                    {"gpi": GPI, "gpi2": GPI2}[gate["gate"]](gate["phase"], wires=gate["target"])

        expected = simulate(qiskit_circuit, 0.4, wires=[2, 1, 0])
        assert simulate(circuit, wires=[2, 1, 0]) == pytest.approx(expected, abs=1e-9)

    def test_estimate(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("qiskit_ionq", emulator, "estimate")
        assert found["estimated_total_cost"] == pytest.approx(150 * 0.1645 + 40 * 1.121)

    def test_calibration(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("qiskit_ionq", emulator, "calibration")
        assert found == {"qubits": 36, "spam": 0.9962, "n": 36}


def cirq_circuit(x: float) -> None:
    qml.Hadamard(0)
    qml.RX(x, wires=1)
    qml.CNOT([0, 1])
    qml.RY(0.3, wires=0)
    qml.IsingZZ(0.4 * np.pi, wires=[0, 1])
    qml.SX(1)


class TestCirqIonQ:
    def test_single_circuit(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("cirq_ionq", emulator, "single")
        assert found == pytest.approx(simulate(cirq_circuit, 0.4, wires=[0, 1]), abs=1e-9)

    def test_batch_is_one_post(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("cirq_ionq", emulator, "batch")
        for one, x in zip(found, (0.1, 0.5, 0.9), strict=True):
            assert one == pytest.approx(simulate(cirq_circuit, x, wires=[0, 1]), abs=1e-9)
        assert emulator.stats()["posts"] == 1

    @pytest.mark.parametrize(("scenario", "zz"), [("native", False), ("native_zz", True)])
    def test_native_gates(
        self, run_client: Any, emulator: Emulator, scenario: str, zz: bool
    ) -> None:
        found = run_client("cirq_ionq", emulator, scenario)
        assert found == pytest.approx(simulate(native_circuit, zz, wires=[0, 1]), abs=1e-9)

    def test_pauliexp(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("cirq_ionq", emulator, "pauliexp")
        half = 0.2 * np.pi
        assert found == pytest.approx([np.cos(half) ** 2, 0, np.sin(half) ** 2, 0], abs=1e-9)

    def test_qpu_counts(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("cirq_ionq", emulator, "qpu")
        shares = little_endian({k: n / 1000 for k, n in found.items()}, 2)
        assert shares == pytest.approx(simulate(cirq_circuit, 0.4, wires=[0, 1]), abs=0.1)

    def test_failure_names_the_reason(self, run_client: Any, emulator: Emulator) -> None:
        kind, text = run_client("cirq_ionq", emulator, "failure")
        assert kind == "RuntimeError"
        assert "41 qubits" in text

    def test_cancel_and_delete(self, run_client: Any) -> None:
        with Emulator(profile="qpu", clock=VirtualClock(auto=True)) as emulator:
            found = run_client("cirq_ionq", emulator, "cancel_and_delete")
        assert found == ["canceled", "deleted", "IonQNotFoundException"]

    def test_list_with_a_body(self, run_client: Any, emulator: Emulator) -> None:
        made, listed = run_client("cirq_ionq", emulator, "listing")
        assert listed == made[::-1]

    def test_sampler(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("cirq_ionq", emulator, "sampler")
        p = simulate(cirq_circuit, 0.4, wires=[1])
        assert found == pytest.approx(p[1], abs=0.04)

    def test_dry_run(self, run_client: Any, emulator: Emulator) -> None:
        assert run_client("cirq_ionq", emulator, "dry_run") == "completed"
        assert emulator.billed_jobs == 0


class TestIonQCore:
    def test_single_circuit(self, run_client: Any, emulator: Emulator) -> None:
        found, metadata, name = run_client("ionq_core", emulator, "single")
        expected = simulate(plain_circuit, 0.4, wires=[1, 0])
        assert little_endian(found, 2) == pytest.approx(expected, abs=1e-9)
        assert (metadata, name) == ({"k": "v"}, "a name")

    def test_batch_keeps_order_and_names(self, run_client: Any, emulator: Emulator) -> None:
        found, children, names = run_client("ionq_core", emulator, "batch")
        assert list(found) == children
        assert names == ["c0", "c1", "c2"]
        expected = [np.cos(x / 2) ** 2 for x in (0.1, 0.5, 0.9)]
        assert [found[child]["0"] for child in children] == pytest.approx(expected)

    def test_native_gates(self, run_client: Any, emulator: Emulator) -> None:
        found = little_endian(run_client("ionq_core", emulator, "native"), 2)
        assert found == pytest.approx(simulate(native_circuit, wires=[1, 0]), abs=1e-9)

    def test_every_artifact_agrees(self, run_client: Any, emulator: Emulator) -> None:
        found, schemas = run_client("ionq_core", emulator, "artifacts")
        assert set(schemas.values()) == {200}
        result = "ionq.result."
        counts = found[result + "histogram.json.v1"]
        assert sum(counts.values()) == 1000
        shares = {k: n / 1000 for k, n in counts.items()}
        assert found[result + "probabilities.json.v1"] == pytest.approx(shares)
        shots = found[result + "shots.json.v1"]
        assert {k: shots.count(k) for k in counts} == counts
        bits = {f"{int(k) & 1}{int(k) >> 1}": n for k, n in counts.items()}
        register = found[result + "histogram.json.v2"]["histogram"]["registers"]["output_all"]
        assert register == bits

    def test_failure(self, run_client: Any, emulator: Emulator) -> None:
        code, message = run_client("ionq_core", emulator, "failure")
        assert (code, message) == (
            "UnsupportedGate",
            "Gate types [ms] are not supported by this backend",
        )

    def test_cancel_clone_move_delete(self, run_client: Any) -> None:
        with Emulator(profile="qpu", clock=VirtualClock(auto=True)) as emulator:
            found = run_client("ionq_core", emulator, "lifecycle")
        cost = {"dry_run": False, "estimated_cost": {"value": 168.195, "unit": "usd"}}
        assert found == [
            "canceled",
            True,
            "canceled",
            7,
            ["simulator", "qpu.forte-1"],
            "canceled",
            "deleted",
            "deleted",
            True,
            cost,
        ]

    def test_list_pages(self, run_client: Any, emulator: Emulator) -> None:
        assert run_client("ionq_core", emulator, "listing") == [True, True, []]

    def test_session(self, run_client: Any, emulator: Emulator) -> None:
        assert run_client("ionq_core", emulator, "session") == [True, "started", 400, "ended", 1]

    def test_dry_run(self, run_client: Any, emulator: Emulator) -> None:
        results, compiled, cost = run_client("ionq_core", emulator, "dry_run")
        assert results is None
        assert {g["gate"] for g in compiled["circuit"]} <= {"gpi", "gpi2", "zz"}
        assert cost["dry_run"] is True
        assert "cost" not in cost

    def test_estimate(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("ionq_core", emulator, "estimate")
        assert found["estimated_total_cost"] == 25.79  # the minimum

    def test_the_rest_of_the_surface_parses(self, run_client: Any, emulator: Emulator) -> None:
        backends, qubits, records, record_qubits, key, jobs = run_client(
            "ionq_core", emulator, "everything_else"
        )
        assert "simulator" in backends
        assert (qubits, records, record_qubits, key, jobs) == (36, 3, 36, "Emulator", 1)

    def test_quantum_function(self, run_client: Any, emulator: Emulator) -> None:
        kind, value, energy = run_client("ionq_core", emulator, "quantum_function")
        assert kind == "QuantumFunctionJob"
        expected = 0.5 * np.cos(0.8) - 0.25 * np.sin(0.8)
        assert value == pytest.approx(expected)
        assert energy == value

    def test_qaoa(self, run_client: Any, emulator: Emulator) -> None:
        kind, results, children = run_client("ionq_core", emulator, "qaoa")
        assert kind == "QaoaJob"
        assert results["qaoa_results"]["optimal_cost"] == -2
        assert results["qaoa_results"]["optimal_bitstring"] in ("010", "101")
        assert children == ["SingleCircuitJob", "qctrl.qaoa-circuit.v1"]

    def test_debiasing_has_variants(self, run_client: Any, emulator: Emulator) -> None:
        variants, shots, methods, averaged, sharp = run_client("ionq_core", emulator, "debiasing")
        assert (variants, shots) == (20, 1000)
        assert methods == ["average", "voting"]
        assert max(sharp.values()) >= max(averaged.values())

    def test_64_at_once(self, run_client: Any, emulator: Emulator) -> None:
        found = run_client("ionq_core", emulator, "concurrent")
        assert found == pytest.approx([np.cos(0.05 * k) ** 2 for k in range(64)])
