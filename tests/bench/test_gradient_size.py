"""Large gradients: circuits of the parameter-shift rule in one POST, beside the plain calls."""

from __future__ import annotations

import re

from pennylane_qstore.bench import gradient_size
from pennylane_qstore.bench.gradient_size import WAYS


def test_a_gradient_of_any_size_is_one_post():
    found = list(gradient_size.table([2]))  # each in a process of its own
    assert [(one.samples, one.way) for one in found] == [(2, way) for way in WAYS]
    assert [one.circuits for one in found] == [2 * (1 + 2 * 24)] * 2
    assert [one.posts for one in found] == [4, 1]
    assert all(one.cpu_s > 0 for one in found)
    head, *lines = gradient_size.text(found).splitlines()
    assert re.split("  +", lines[1].strip())[:4] == ["2", "98", "value_and_grad", "1"]
    assert "client" in head
