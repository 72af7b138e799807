"""Native gates beside other compilers, those that are installed, and what our search gains.

    pytest -m benchmark tests/benchmarks/test_compile.py -s

The circuits and compilers are those of ``qstore bench --only compile``. Only two-qubit gates are
asserted, never a time.
"""

from functools import cache

import pytest

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.bench.compile import cell, compare, losses, text
from pennylane_qstore.bench.compile_circuits import default_circuits
from pennylane_qstore.bench.compilers import OURS, RIVALS

pytestmark = pytest.mark.benchmark
families = pytest.mark.parametrize("family", ["ms", "zz"])

OF_A_FAMILY = {"qiskit-ionq", "cirq-ionq"}
"""Rivals that give native gates; the others' two-qubit gates are the same for both families."""


@cache
def rows_of(name, family):
    make = OURS[name] if name in OURS else RIVALS[name].make
    return compare(default_circuits(), {name: make}, family=family)


@families
@pytest.mark.parametrize("name", RIVALS)
def test_no_more_two_qubit_gates_than_a_rival(name, family):
    if not RIVALS[name].installed:
        pytest.skip(f"{name} is not installed")
    rival = rows_of(name, family if name in OF_A_FAMILY else "zz")
    rows = [*rows_of("thorough", family), *rival]
    print(f"\n{family}\n{text(rows)}")
    assert "wrong circuit" not in {row.problem for row in rows}
    assert not [loss for loss in losses(rows) if loss.what == "two-qubit gates"]


@families
def test_what_searching_gains(family):
    print(f"\n{family}: two-qubit gates, angle and pulses without and with search")
    plain = IonQNativeGateCompiler(family, absorb=False, optimize_fidelity=False)
    for circuit, found in zip(default_circuits(), rows_of("thorough", family), strict=True):
        made = plain.compile(circuit.elementary)
        print(f"{circuit.name:28s} {made.n_2q} {made.entangling:.2f} {made.n_1q}, {cell(found)}")
        assert found.counts.pairs <= made.n_2q
