"""The gate vocabulary: JSON forms, and agreement with the operations behind the names."""

from __future__ import annotations

import pytest

from pennylane_qstore.gateset import ENTANGLERS, GATESETS, NATIVE, QIS
from pennylane_qstore.native.gates import NATIVE_GATES, QIS_GATES


@pytest.mark.parametrize(
    ("gateset", "name", "targets", "values", "controls", "want"),
    [
        ("native", "gpi", [3], [0.1], [], {"target": 3, "phase": 0.1}),
        ("native", "ms", (1, 0), (0.1, 0.2, 0.25), (),
         {"targets": [1, 0], "phases": [0.1, 0.2], "angle": 0.25}),
        ("native", "zz", [0, 1], [0.2], [], {"targets": [0, 1], "angle": 0.2}),
        ("qis", "zz", [0, 1], [0.2], [], {"targets": [0, 1], "rotation": 0.2}),
        ("qis", "cnot", [0], [], [1], {"control": 1, "target": 0}),
        ("qis", "x", [0], [], [1, 2], {"controls": [1, 2], "target": 0}),
    ],
)  # fmt: skip
def test_a_gate_is_written_as_ionq_writes_it(gateset, name, targets, values, controls, want):
    made = GATESETS[gateset][name].to_json(targets, values, controls)
    assert made == {"gate": name, **want}
    assert list(made) == ["gate", *want]


def test_a_wrong_number_of_values_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        NATIVE["ms"].to_json([0, 1], [0.1, 0.2])


@pytest.mark.parametrize(
    ("specs", "operations"), [(NATIVE, NATIVE_GATES), (QIS, QIS_GATES)], ids=["native", "qis"]
)
def test_targets_and_slots_are_those_of_the_operations(specs, operations):
    assert set(specs) - {"cnot"} == set(operations)
    for name, make in operations.items():
        spec = specs[name]
        operation = make(*[0.1] * spec.slots, wires=range(spec.targets))
        assert operation.num_params == spec.slots
        assert len(operation.wires) == spec.targets


def test_entanglers_are_the_native_gates_on_two_qubits():
    assert set(ENTANGLERS) == {name for name, spec in NATIVE.items() if spec.targets == 2}
