"""Scenarios for mitiq with this project's device. Usage: python use_mitiq.py URL SCENARIO."""

import json
import sys
import warnings

import pennylane as qml
from mitiq.zne import LinearFactory, execute_with_zne
from mitiq.zne.scaling import fold_all, fold_gates_at_random, fold_global

import pennylane_qstore as qstore

SCALES = [1, 3, 5]
SHOTS = 100_000
FOLDINGS = {f.__name__: f for f in (fold_gates_at_random, fold_all, fold_global)}


def chains():
    """Prepare two GHZ states, whose gates mitiq writes in turn."""
    for first in (0, 4):
        qml.Hadamard(first)
        for k in range(first, first + 3):
            qml.CNOT([k, k + 1])


with qml.tape.QuantumTape() as TAPE:
    chains()
MEASURED = qml.expval(qml.prod(*map(qml.Z, (0, 3, 4, 7))))  # 1 without noise


def device(**options):
    settings = {"backend": "simulator", "noise_model": "forte-1", "absorb": False, "seed": 1}
    return qstore.IonQDevice(8, base_url=sys.argv[1], **(settings | options))


def one_by_one(dev):
    def execute(tape) -> float:
        @qml.qnode(dev, shots=SHOTS)
        def value():
            for op in tape.operations:
                qml.apply(op)
            return qml.apply(MEASURED)

        return float(value())

    return execute


def batched(dev):
    def execute(tapes) -> list[float]:
        measured = [tape.copy(measurements=[MEASURED], shots=SHOTS) for tape in tapes]
        return [float(value) for value in qml.execute(measured, dev)]

    return execute


def extrapolated(executor, folding):
    """Return the value and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        value = execute_with_zne(
            TAPE, executor, factory=LinearFactory(SCALES), scale_noise=FOLDINGS[folding]
        )
    return [value, [str(w.message) for w in said if issubclass(w.category, UserWarning)]]


def compiled():
    return [extrapolated(one_by_one(device(cache=False)), folding) for folding in FOLDINGS]


def verbatim():
    return extrapolated(batched(device(compile="verbatim")), "fold_gates_at_random")


def plain_and_zne():
    @qml.qnode(device(), shots=SHOTS)
    def value():
        chains()
        return qml.apply(MEASURED)

    return [float(value()), float(qstore.zne(value, scales=SCALES)())]


print(json.dumps(globals()[sys.argv[2]]()))
