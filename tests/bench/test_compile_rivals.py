"""Rivals where they are installed; tests of what is there without them."""

import pytest
from support.compilers import SMALL

from pennylane_qstore.bench.compile_check import is_right
from pennylane_qstore.bench.compile_rivals import RIVALS, Rival, versions


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
