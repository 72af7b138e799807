"""Bars and stripes: the images, known divergences, and what the Born machine learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks import bars
from pennylane_qstore.training.tasks.catalogue import TASKS, averaged


def device(seed=1, **options):
    return qml.device("qstore.ionq", wires=4, seed=seed, **options)


def test_the_patterns_are_the_six_bars_and_stripes():
    images = [np.array([p >> 3 & 1, p >> 2 & 1, p >> 1 & 1, p & 1]) for p in bars.PATTERNS]
    for bits in images:
        image = bits.reshape(2, 2)
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


@pytest.mark.usefixtures("unsearched")
def test_the_born_machine_learns_the_images_and_a_star_cannot():
    reached = {}
    for connectivity in ("all", "star"):
        task = replace(TASKS["bas"], model=bars.BornMachine(connectivity))
        made = task.make(device(101), seed=2, steps=14, progress=False).train(14)
        reached[connectivity] = task.quality(averaged(made), 2)
    assert reached["all"] < 0.05
    assert reached["star"] > 0.2
    for connectivity, count in (("all", 14), ("star", 11)):
        start = bars.BornMachine(connectivity).initial_params(0)
        assert sum(p.size for p in start.values()) == count


def test_a_step_is_one_post_of_several_directions():
    made = TASKS["bas"].make(device(), progress=False).train(2)
    for record in made.history:
        assert record.shape.directions > 1
        assert (record.posts, record.circuits) == (1, 2 * record.shape.directions + 1)


def test_other_connectivities_are_refused():
    with pytest.raises(ConfigurationError, match="'ring'"):
        bars.pairs("ring")


def test_rows_of_parameters_are_rows_of_probabilities():
    machine = bars.BornMachine()
    circuit = machine.make(qml.device("default.qubit", wires=4), None)
    rows = [machine.initial_params(seed) for seed in range(3)]
    together = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    found = circuit(together)
    np.testing.assert_allclose(found, [circuit(row) for row in rows], atol=1e-12)
    mean = np.mean([bars.divergence(p) for p in found])
    assert float(bars.divergence(found)) == pytest.approx(mean)
