"""Our compiler as a device has it, and rivals where they are installed."""

from __future__ import annotations

import orjson
import pytest
from support.compilers import SMALL

from pennylane_qstore.bench.compile_check import is_right
from pennylane_qstore.bench.compilers import OURS, RIVALS, Rival, device, versions
from pennylane_qstore.execution.circuits import compile_circuits, plan_tape
from pennylane_qstore.execution.literals import SteadyConstants
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.cache import SmartCircuitCache


def test_what_is_not_installed_is_known():
    assert not Rival(lambda family: None, ("json", "no_such_module"), ()).installed
    assert Rival(lambda family: None, ("json",), ()).installed


def test_versions_are_told():
    assert {"pennylane-qstore", "pennylane"} <= versions().keys()


@pytest.mark.parametrize("family", ["zz", "ms"])
@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("circuit", SMALL, ids=lambda circuit: circuit.name)
def test_a_rival_that_is_installed_gives_right_circuits(circuit, name, family):
    if not RIVALS[name].installed:
        pytest.skip(f"{name} is not installed")
    compiled = RIVALS[name].make(family)(circuit)
    assert is_right(compiled, circuit.tape)
    assert compiled.counts(family).pairs >= 1


@pytest.mark.parametrize("family", ["zz", "ms"])
@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("circuit", SMALL, ids=lambda circuit: circuit.name)
def test_two_small_circuits_are_right(circuit, name, family):
    compiled = OURS[name](family)(circuit)
    assert is_right(compiled, circuit.tape)
    assert (compiled.reading is not None) == ("absorbed" in name)
    assert {gate for gate, on, _ in compiled.gates if len(on) == 2} <= {family}


@pytest.mark.parametrize("absorb", [True, False])
@pytest.mark.parametrize("circuit", SMALL, ids=lambda circuit: circuit.name)
def test_the_device_setting_is_what_a_device_sends(circuit, absorb):
    target, cache = Options.of({"absorb": absorb}).target, SmartCircuitCache()
    plans = [plan_tape(circuit.tape, None, cache)]
    sent = compile_circuits(plans, target, cache, BatchMeter(), SteadyConstants())
    compiled = device(target.family, absorb=absorb)(circuit)
    gates = [NATIVE[name].to_json(on, params) for name, on, params in compiled.gates]
    assert orjson.loads(sent.encoded[0]) == gates
