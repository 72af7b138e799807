"""Bars and stripes: the images, known divergences, and what the Born machine learns."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks import bars
from pennylane_qstore.training.tasks.catalogue import averaged


def device(seed=1, **options):
    return qml.device("qstore.ionq", wires=4, seed=seed, **options)


def test_the_patterns_are_the_six_bars_and_stripes():
    images = [np.array([p >> 3 & 1, p >> 2 & 1, p >> 1 & 1, p & 1]) for p in bars.PATTERNS]
    for bits in images:
        image = bits[np.array(bars.PIXELS)]
        assert (image == image[:, :1]).all() or (image == image[:1]).all()
    assert len(set(bars.PATTERNS)) == 6
    assert bars.TARGET.sum() == pytest.approx(1)


def test_divergences_of_known_models():
    assert float(bars.divergence(bars.TARGET)) == pytest.approx(0)
    assert bars.uniform_divergence() == pytest.approx(np.log(16 / 6))
    # Three pairs with P(equal) = 2/3 each hold log 2 - H(1/3) nats of information.
    h = -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    assert bars.tree_divergence() == pytest.approx(np.log(16 / 6) - 3 * (np.log(2) - h))
    draws = np.random.default_rng(0).multinomial(500, bars.TARGET, size=4000) / 500
    mean = np.mean([bars.divergence(p) for p in draws])
    assert bars.shot_noise_divergence(500) == pytest.approx(mean, rel=0.05)


def test_the_born_machine_learns_the_images_and_a_star_cannot():
    reached = {}
    for connectivity in ("all", "star"):
        dev = qml.device("default.qubit", wires=4, seed=101)
        made = bars.make_run(
            dev, seed=1, steps=80, connectivity=connectivity, progress=False
        ).train(80)
        exact = bars.make_circuit(qml.device("default.qubit", wires=4), None, connectivity)
        reached[connectivity] = float(bars.divergence(exact(averaged(made))))
    assert reached["all"] < 0.05
    assert reached["star"] > 0.2
    assert sum(p.size for p in bars.initial_params(0).values()) == 14
    assert sum(p.size for p in bars.initial_params(0, "star").values()) == 11


def test_a_step_is_one_post_of_nine_circuits():
    made = bars.make_run(device(), progress=False).train(2)
    assert [(r.posts, r.circuits) for r in made.history] == [(1, 9)] * 2


def test_other_connectivities_are_refused():
    with pytest.raises(ConfigurationError, match="'ring'"):
        bars.pairs("ring")
