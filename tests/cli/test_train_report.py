"""Figures of a report in words: what is billed or would be, and where."""

import pytest

from pennylane_qstore.cli.train_report import cost_lines, priced, where
from pennylane_qstore.prices import PRICES, JobSize


def test_dollars_are_billed_ones_or_those_of_a_price_list():
    sizes = [JobSize(100, 50, 10, 20)] * 3
    report = {"cost_usd": 0.0, **priced(sizes, PRICES["qpu.forte-1"])}
    assert report["jobs"] == 3
    assert report["would_cost_usd"] == pytest.approx(3 * 25.79)
    assert cost_lines(report) == {
        "Would cost": "$77 (qpu.forte-1, floor per job; $774 with a floor per circuit)"
    }
    assert cost_lines(report | {"cost_usd": 1234.5}) == {"Billed": "$1,234.50"}
    braket = {"cost_usd": 0.0, **priced(sizes, PRICES["braket.forte-1"])}
    assert cost_lines(braket) == {"Would cost": "$49 (braket.forte-1)"}


@pytest.mark.parametrize(
    ("backend", "noise", "name"),
    [
        ("emulator", None, "the emulator"),
        ("emulator", "forte-1", "the emulator, noise of forte-1"),
        ("qpu.forte-1", None, "qpu.forte-1"),
    ],
)
def test_the_backend_is_named(backend, noise, name):
    assert where({"backend": backend, "noise_model": noise}) == name
