"""The outcome of a rehearsal in words, JSON, a page and a figure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pennylane_qstore.prices import PRICES, JobSize
from pennylane_qstore.training.rehearsal_report import Outcome, Rehearsal, Trained, interval

FORTE = PRICES["qpu.forte-1"]


def trained(*qualities):
    return [
        Trained(q, (JobSize(40, 10, 10, 100), JobSize(40, 10, 10, 10_000)), 2) for q in qualities
    ]


def rehearsal(*qualities):
    plan = Outcome.of("as planned", trained(*qualities), FORTE)
    return Rehearsal(
        backend="qpu.forte-1", noise_model="forte-1", seeds=tuple(range(len(qualities))),
        label="Test accuracy", outcomes=(plan, Outcome.of("half the shots", trained(0.25), FORTE)),
        usd={"qpu.forte-1": plan.usd}, published={"qpu.forte-1": "2026-05-25"}, jobs=2, circuits=20,
        shots=101_000, gates_2qe=160_310.5, compute_s=7200.0, queue_h={"qpu": 0.66},
    )  # fmt: skip


def test_the_interval_is_students():
    outcome = Outcome.of("as planned", trained(1.0, 2.0, 3.0), FORTE)
    assert outcome.quality == 2.0
    # t(0.975, 2) = 4.3027, standard deviation 1, three seeds
    assert (outcome.low, outcome.high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert outcome.usd == pytest.approx(25.79 + 10_000 * (40 * 0.0001645 + 10 * 0.001121))
    assert "[-0.484, 4.484]" in outcome.text


@pytest.mark.parametrize(
    ("values", "bounds", "ends"),
    [
        # t(0.975, 2) = 4.3027 times 0.05 / sqrt(3) = 0.12421; over 0.9 * 0.1 in the logit
        ((0.85, 0.9, 0.95), (0.0, 1.0), (0.6936, 0.9728)),
        ((1.7, 1.8, 1.9), (0.0, 2.0), (1.3872, 1.9456)),
        ((0.05, 0.1, 0.15), (0.0, 1.0), (1 - 0.9728, 1 - 0.6936)),
        ((0.85, 0.9, 0.95), (-np.inf, 1.0), (1 - 0.1 * 3.4627, 1 - 0.1 / 3.4627)),
        ((0.05, 0.1, 0.15), (0.0, np.inf), (0.1 / 3.4627, 0.1 * 3.4627)),
        ((1.0, 1.0, 1.0), (0.0, 1.0), (1.0, 1.0)),
        ((-1e-15, 0.0), (0.0, np.inf), (-6.9e-15, 5.9e-15)),
    ],
)
def test_an_interval_stays_between_the_bounds(values, bounds, ends):
    outcome = Outcome.of("as planned", trained(*values), FORTE, bounds)
    assert (outcome.low, outcome.high) == pytest.approx(ends, rel=1e-3)


def test_a_narrow_interval_is_students_far_from_its_bounds():
    """The transformed interval and Student's differ in second order of the width."""
    bounded = interval(0.5, 1e-3, (0.0, 1.0))
    assert bounded == pytest.approx((0.499, 0.501), abs=1e-6)


def test_one_seed_has_no_interval():
    found = rehearsal(0.5)
    assert "[" not in found.outcomes[0].text
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["outcomes"][0]["low"] is None
    assert "| one seed |" in found.markdown()


def test_words_page_and_figure_say_the_same(tmp_path):
    found = rehearsal(0.5, 0.7)
    page = found.save(tmp_path / "new")
    assert page.read_text(encoding="utf-8") == found.markdown()
    assert (tmp_path / "new" / "rehearsal.png").stat().st_size > 1000
    for said in (str(found), found.markdown()):
        for figure in ("0.600", "2.00", "160,31", "2026-05-25", "half the shots"):
            assert figure in said.replace("Half", "half"), figure
    axes = found.draw()
    assert axes.get_ylabel() == "Test accuracy"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["as planned", "half the shots"]
