"""Native gates beside other compilers, those that are installed, and what our search gains.

    pytest -m benchmark tests/benchmarks/test_compile.py -s

The circuits and compilers are those of ``qstore bench --only compile``. Only two-qubit gates are
asserted, never a time.
"""

import pytest

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.bench.compile import compare
from pennylane_qstore.bench.compile_circuits import default_circuits
from pennylane_qstore.bench.compile_ours import OURS
from pennylane_qstore.bench.compile_rivals import RIVALS
from pennylane_qstore.bench.compile_scores import losses, text

pytestmark = pytest.mark.benchmark
families = pytest.mark.parametrize("family", ["ms", "zz"])


@families
@pytest.mark.parametrize("name", RIVALS)
def test_no_more_two_qubit_gates_than_a_rival(name, family):
    if not RIVALS[name].installed:
        pytest.skip(f"{name} is not installed")
    compilers = {"thorough": OURS["thorough"], name: RIVALS[name].make}
    rows = compare(default_circuits(), compilers, family=family)
    print(f"\n{family}\n{text(rows)}")
    assert "wrong circuit" not in {row.problem for row in rows}
    assert not [loss for loss in losses(rows) if loss.what == "two-qubit gates"]


@families
def test_what_searching_gains(family):
    print(f"\n{family}: two-qubit gates, angle and pulses without and with search")
    for circuit in default_circuits():
        plain, found = (
            IonQNativeGateCompiler(family, absorb=False, optimize_fidelity=fidelity).compile(
                circuit.elementary
            )
            for fidelity in (False, True)
        )
        costs = [(made.n_2q, round(made.entangling, 2), made.n_1q) for made in (plain, found)]
        print(f"{circuit.name:28s} {costs[0]} {costs[1]}")
        assert found.n_2q <= plain.n_2q
