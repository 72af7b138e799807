"""CircuitBatchManagerV34: batches of any circuits, options with their effect, figures, refusals."""

import asyncio
import threading

import numpy as np
import pennylane as qml
import pytest
from support.v34_runs import circuits

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import CompileError, ConfigurationError, JobFailed
from pennylane_qstore.v34 import (
    CircuitBatchManagerV34,
)


def run(coroutine):
    return asyncio.run(coroutine)


def manage(*args, manager=None, **options):
    async def use():
        async with manager or CircuitBatchManagerV34(**options) as batches:
            results = await batches.execute_batch(*args)
            return batches, results

    return run(use())


def test_without_a_key_the_emulator_serves():
    manager, results = manage(circuits(4))
    assert manager.device.emulator is not None
    assert results[0]["measurements"] == pytest.approx({"000": 0.5, "001": 0.5}, abs=0.1)


def test_tapes_calls_functions_and_dictionaries_travel_together(emulator):
    manager = CircuitBatchManagerV34(emulator=emulator, seed=1)

    @qml.qnode(qml.device("default.qubit"))
    def elsewhere(x, wire=0):
        qml.RX(x, wire)
        return qml.expval(qml.Z(wire))

    @qml.set_shots(shots=100)
    @qml.qnode(manager.device, diff_method=None)
    def here():
        qml.X(0)
        return qml.expval(qml.Z(0))

    tape = qml.tape.QuantumScript([qml.RY(0.0, "a")], [qml.probs(wires="a")])
    batch = [here, tape, *circuits(2), (elsewhere, (0.0,)), (elsewhere, (np.pi,), {"wire": 1})]
    _, results = manage(batch, 400, manager=manager)
    assert emulator.stats()["posts"] == 1
    assert results[0]["result"] == -1
    assert results[1]["measurements"] == {"0": 1.0}
    assert sum(results[3]["measurements"].values()) == pytest.approx(1)
    assert [results[i]["result"] for i in (4, 5)] == [1, -1]
    assert {r["job_id"] for r in results[1:]} == {emulator.jobs[0].id}
    assert all(r["execution_time_ms"] >= 0 for r in results[1:])


def test_a_function_whose_circuits_depend_on_another_is_executed_too(emulator):
    manager = CircuitBatchManagerV34(emulator=emulator, seed=1)

    @qml.set_shots(shots=100)
    @qml.qnode(manager.device, diff_method=None)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    def twice():
        return float(circuit(np.pi * float(circuit(0.0))))

    _, results = manage([*circuits(2), twice], manager=manager)
    assert results[2]["result"] == -1
    assert {r["job_id"] for r in results[:2]} == {emulator.jobs[0].id}


def test_each_circuit_knows_its_job(emulator):
    manager, results = manage(circuits(6), emulator=emulator, max_batch_size=2)
    by_job = [r["job_id"] for r in results]
    assert len(set(by_job)) == 3
    assert by_job == [by_job[0]] * 2 + [by_job[2]] * 2 + [by_job[4]] * 2
    assert set(by_job) == {job.id for job in emulator.jobs}
    assert manager.get_recommended_batch_size() == 2


@pytest.mark.parametrize(
    ("options", "posts", "gateset"),
    [
        ({}, 1, "native"),
        ({"use_batch_api": False}, 8, "native"),
        ({"use_native_gates": False}, 1, "qis"),
        ({"adaptive_batch_sizing": True, "max_batch_size": 4}, 2, "native"),
        ({"max_batch_size": 3}, 3, "native"),
    ],
)
def test_every_option_has_its_effect(emulator, options, posts, gateset):
    manage(circuits(8), emulator=emulator, **options)
    assert emulator.stats()["posts"] == posts
    assert {job.gateset for job in emulator.jobs} == {gateset}


def test_caching_compiles_once(emulator):
    cached, _ = manage(circuits(8), emulator=emulator)
    plain, _ = manage(circuits(8), emulator=emulator, use_smart_caching=False)
    assert cached.get_performance_stats()["cache_hit_rate"] > 0.8
    stats = plain.get_performance_stats()
    assert stats["cache_hit_rate"] == 0
    assert stats["circuit_cache"] is None


def test_native_gates_can_be_chosen_for_a_batch_and_jobs_be_named(emulator):
    async def use():
        async with CircuitBatchManagerV34(emulator=emulator) as manager:
            await manager.execute_batch(circuits(2), compile_to_native=False, name_prefix="epoch")
            await manager.execute_batch(circuits(2))

    run(use())
    assert [job.gateset for job in emulator.jobs] == ["qis", "native"]
    assert emulator.jobs[0].name.startswith("epoch")


def test_batches_of_one_manager_may_be_asked_for_at_the_same_time(emulator):
    async def use():
        async with CircuitBatchManagerV34(emulator=emulator) as manager:
            return await asyncio.gather(*(manager.execute_batch(circuits(n)) for n in (2, 3)))

    assert [len(results) for results in run(use())] == [2, 3]
    assert emulator.stats()["posts"] == 2


def test_who_gives_up_waiting_is_not_kept():
    async def use(emulator):
        async with CircuitBatchManagerV34(emulator=emulator, max_wait=3.0) as manager:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(manager.execute_batch(circuits(2)), 0.3)
            return [t for t in threading.enumerate() if t.name == "qstore-batch"]

    with Emulator(profile=600.0) as emulator:
        (waiting,) = run(use(emulator))
        assert waiting.is_alive(), "a loop's own thread would have been waited for"
        assert waiting.daemon
        waiting.join(60)  # until max_wait
        assert not waiting.is_alive()


def test_the_promised_figures_are_measured(emulator):
    manager, _ = manage(circuits(), emulator=emulator)
    stats = manager.get_performance_stats()
    assert stats["total_circuits"] == 20
    assert stats["total_batches"] == 1
    assert stats["avg_batch_time_ms"] == pytest.approx(1e3 * stats["total_time_s"])
    assert stats["throughput_circuits_per_sec"] == pytest.approx(20 / stats["total_time_s"])
    assert stats["native_compiler"]["total_gates_compiled"] == 60
    assert stats["native_compiler"]["total_native_gates"] == stats["gates"] > 0
    assert stats["batch_client"]["posts"] == 1
    assert stats["api_calls_saved"] == 19
    assert all(stats["features_enabled"][name] for name in ("batch_api", "native_gates"))


def test_features_that_a_service_refuses_are_off():
    with Emulator(faults=[Fault("status", "submit", status=404)]) as emulator:
        with pytest.warns(UserWarning, match="multi-circuit"):
            manager, results = manage(circuits(3), emulator=emulator)
        assert not manager.get_performance_stats()["features_enabled"]["batch_api"]
        assert emulator.stats()["posts"] == 4
        assert len(results) == 3


def test_what_arrived_is_in_the_error():
    with Emulator(faults=[Fault("fail", "submit", skip=1)]) as emulator:
        with pytest.raises(JobFailed) as raised:
            manage(circuits(6), emulator=emulator, max_batch_size=3, retry_failed=False)
        found = raised.value.details["tape_results"]
        assert sorted(value is None for value in found) == [False] * 3 + [True] * 3
        assert {sum(value.values()) for value in found if value is not None} == {1000}


def test_what_is_no_circuit_is_refused_before_anything_is_sent(emulator):
    with pytest.raises(ConfigurationError, match="Circuit 2 is a str"):
        manage([*circuits(2), "circuit"], emulator=emulator)
    with pytest.raises(CompileError, match="target"):
        manage([{"qubits": 1, "circuit": [{"gate": "h"}]}], emulator=emulator)
    for one in (circuits(1)[0], qml.tape.QuantumScript([], [qml.expval(qml.Z(0))]), 3):
        with pytest.raises(ConfigurationError, match="in a list"):
            manage(one, emulator=emulator)
    node = qml.QNode(lambda x: qml.expval(qml.Z(0)), qml.device("default.qubit", wires=1))
    with pytest.raises(ConfigurationError, match="are a tuple"):
        manage([(node, 0.3)], emulator=emulator)
    assert emulator.stats()["posts"] == 0


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        ({}, "a gate is a dictionary"),
        ({"qubits": 0, "circuit": []}, "n from 1 to 64"),
        ({"qubits": 10**9, "circuit": []}, "n from 1 to 64"),
        ({"qubits": 1, "circuit": "h 0"}, "a gate is a dictionary"),
        ({"qubits": 1, "circuit": [["h", 0]]}, "a gate is a dictionary"),
        ({"qubits": 1, "circuit": [{"gate": "h", "target": "0"}]}, "acts on qubit '0'"),
        ({"qubits": 1, "circuit": [{"gate": "u3", "target": 0}]}, "Allowed: cnot"),
        (
            {"qubits": 1, "circuit": [{"gate": "rx", "target": 0, "rotation": "x"}]},
            "Allowed: a number",
        ),
        ({"qubits": 1, "circuit": [{"gate": "rx", "target": 0}]}, "in radians"),
    ],
)
def test_a_malformed_circuit_is_described(emulator, circuit, words):
    with pytest.raises(CompileError, match=words):
        manage([circuit], emulator=emulator)
    assert emulator.stats()["posts"] == 0


def test_numpys_numbers_are_numbers(emulator):
    gate = {"gate": "ry", "target": np.int64(1), "rotation": np.array(np.pi)}
    _, results = manage(
        [{"qubits": np.int64(2), "circuit": [gate]}], np.int64(9), emulator=emulator
    )
    assert results[0]["measurements"] == {"01": 1.0}


@pytest.mark.parametrize("shots", [0, -1, 1.5, "many"])
def test_a_number_of_shots_that_is_none_is_refused(emulator, shots):
    with pytest.raises(ConfigurationError, match="shots="):
        manage(circuits(1), shots, emulator=emulator)


@pytest.mark.parametrize("shots", [None, 100])
def test_tapes_whose_results_could_wait_do_not(emulator, shots):
    tapes = [qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))]) for x in (0.0, np.pi)]
    _, results = manage(tapes, shots, emulator=emulator)
    assert [type(r["result"]) for r in results] == [np.float64] * 2
    assert [r["result"] for r in results] == pytest.approx([1, -1])
    assert {r["job_id"] for r in results} == {emulator.jobs[0].id}


def test_without_shots_probabilities_are_exact(emulator):
    _, results = manage(circuits(2), None, emulator=emulator)
    assert results[1]["measurements"]["000"] == pytest.approx(np.cos(0.05) ** 2 / 2)


def test_an_empty_batch_is_no_job(emulator):
    assert manage([], emulator=emulator)[1] == []
    assert manage(iter(()), emulator=emulator)[1] == []
    assert emulator.stats()["posts"] == 0


def plain(values):
    return values.dtype != object
