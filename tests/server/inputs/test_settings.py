"""Settings of a job: defaults, debiasing, the gates circuits are compiled to."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator_wire import Wire, single


@pytest.mark.parametrize(
    ("more", "basis"),
    [
        ({}, "ZZ"),
        ({"backend": "qpu.aria-1"}, "MS"),
        ({"noise": {"model": "aria-1"}}, "MS"),
        ({"settings": {"compilation": {"gate_basis": "MS"}}}, "MS"),
    ],
)
def test_circuits_are_compiled_to_what_the_machine_has(
    wire: Wire, more: dict[str, Any], basis: str
) -> None:
    job = wire.done(wire.submit(**more))
    assert job["settings"]["compilation"]["gate_basis"] == basis
    compiled = wire("GET", f"/jobs/{job['id']}/artifacts/compiled-native").json
    gates = {g["gate"] for g in compiled["circuit"]}
    assert {"gpi2", basis.lower()} <= gates <= {"gpi", "gpi2", basis.lower()}
    again = wire.submit(compiled["circuit"], gateset="native", **more)
    assert wire.done(again)["status"] == "completed"


def test_debiasing_follows_its_rules(wire: Wire) -> None:
    def debiasing(**more: Any) -> bool:
        job = wire.job(wire.submit(**more))
        return bool(job["settings"]["error_mitigation"]["debiasing"])

    native = {"circuit": [{"gate": "gpi2", "target": 0, "phase": 0}], "gateset": "native"}
    wanted = {"settings": {"error_mitigation": {"debiasing": True}}}
    unwanted = {"settings": {"error_mitigation": {"debiasing": False}}}
    qpu = {"backend": "qpu.forte-1"}
    assert debiasing(**qpu, shots=500)
    assert not debiasing(**qpu, shots=499, **wanted)
    assert not debiasing(**qpu, shots=500, **unwanted)
    assert not debiasing(**qpu, shots=500, **native)
    assert debiasing(**qpu, shots=500, **native, **wanted)
    assert not debiasing(shots=500, **wanted)


def test_unknown_settings_are_ignored_and_wrong_ones_refused(wire: Wire) -> None:
    asked = {"error_mitigation": {"debias": True}, "compilation": {"opt": 0}, "other": 1}
    job = wire.job(wire.submit(settings=asked))
    assert job["settings"] == {
        "error_mitigation": {"debiasing": False},
        "compilation": {"opt": 0, "precision": "1E-3", "gate_basis": "ZZ"},
    }
    for wrong in ({"compilation": {"opt": "x"}}, {"error_mitigation": {"debiasing": 1}}):
        assert wire("POST", "/jobs", single(settings=wrong)).status == 400
