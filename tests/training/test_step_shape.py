"""Shapes of steps: they follow the price list, and stay within every limit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PRICES
from pennylane_qstore.training.step_shape import (
    FEWEST_SHARED,
    FIRST_SHOTS,
    FLOOR_PARAMETERS,
    LAST_SHOTS,
    MOST_FLOORS,
    MOST_SHARED,
    NOISELESS_STEPS,
    Measured,
    Shape,
    Variances,
    Workload,
    choose_shape,
    estimate_variances,
    least_shots,
)

IRIS = Workload(circuits=1, n_1q=8, n_2q=2, rows=105)
START = estimate_variances([], 26)
JOB, CIRCUIT = PRICES["qpu.forte-1"], PRICES["qpu.forte-1/circuit"]


def test_below_the_floor_of_a_job_samples_are_free() -> None:
    shape = choose_shape(START, IRIS, JOB, 1, 40)
    assert shape.rows == 105
    assert IRIS.price(shape, JOB) <= 1.02 * JOB.floor_usd


def test_with_a_floor_per_circuit_few_samples_have_more_shots() -> None:
    per_job, per_circuit = (choose_shape(START, IRIS, prices, 1, 120) for prices in (JOB, CIRCUIT))
    assert per_circuit.rows < per_job.rows / 4
    assert per_circuit.shots > 4 * per_job.shots
    assert IRIS.price(per_circuit, CIRCUIT) == per_circuit.pairs * 2 * CIRCUIT.floor_usd


@pytest.mark.parametrize("name", ["qpu.forte-1/circuit", "braket.forte-1", "compute-second"])
def test_without_samples_directions_are_few_where_every_circuit_is_paid(name: str) -> None:
    h2 = Workload(circuits=5, n_1q=20, n_2q=6, per_sample=False, parameters=24)
    start = estimate_variances([], 24)
    free = choose_shape(start, h2, JOB, 1, 80)
    paid = choose_shape(start, h2, PRICES[name], 1, 80)
    assert FEWEST_SHARED <= paid.directions < free.directions / 3
    assert choose_shape(start, h2, PRICES[name], 1, 10**6).directions == FEWEST_SHARED
    asked = h2._replace(fixed_directions=1)
    assert choose_shape(start, asked, PRICES[name], 1, 80).directions == 1


def test_without_a_floor_no_more_shots_than_needed() -> None:
    shape = choose_shape(START, IRIS, PRICES["braket.forte-1"], 1, 120)
    assert shape.shots == FIRST_SHOTS
    assert choose_shape(START, IRIS, PRICES["braket.forte-1"], 120, 120).shots == LAST_SHOTS


@pytest.mark.parametrize("name", ["qpu.forte-1", "qpu.forte-1/circuit", "braket.forte-1"])
def test_the_shape_is_no_dearer_than_the_best_of_fixed_ones(name: str) -> None:
    prices, steps = PRICES[name], 60

    def steps_needed(shape: Shape) -> float:
        return NOISELESS_STEPS * (1 + START.relative(shape))

    fixed = [Shape(r, 1, s) for r, s in ((30, 500), (30, 100), (70, 20), (105, 50), (40, 1000))]
    assert all(steps_needed(shape) <= steps for shape in fixed)
    chosen = choose_shape(START, IRIS, prices, 1, steps)
    assert steps_needed(chosen) <= 1.05 * steps, "as near as the grid of samples comes"
    best = min(IRIS.price(shape, prices) for shape in fixed)
    assert IRIS.price(chosen, prices) <= 1.02 * best


def test_shots_rise_towards_the_end() -> None:
    shots = [least_shots(step, 40) for step in range(1, 41)]
    assert shots == [FIRST_SHOTS] * 28 + [LAST_SHOTS] * 12


FIGURES = st.floats(1e-3, 1e3)


@given(
    variances=st.builds(Variances, FIGURES, FIGURES, FIGURES),
    work=st.builds(
        Workload,
        circuits=st.integers(1, 50),
        n_1q=st.integers(0, 200),
        n_2q=st.integers(0, 100),
        rows=st.integers(0, 2000),
        per_sample=st.booleans(),
        fixed_rows=st.none(),
        fixed_directions=st.sampled_from([None, 1, 3]),
        max_circuits=st.sampled_from([1, 20, 5000]),
        fewest_shots=st.sampled_from([1, 500]),
        most_shots=st.sampled_from([600, 10_000]),
        mitigated=st.booleans(),
    ),
    prices=st.sampled_from(list(PRICES.values())),
    step=st.integers(1, 100),
)
def test_every_shape_is_within_its_limits(variances, work, prices, step) -> None:
    shape = choose_shape(variances, work, prices, step, 100)
    assert max(least_shots(step, 100), work.fewest_shots) <= shape.shots <= work.most_shots
    assert 1 <= shape.directions <= MOST_SHARED
    assert (shape.rows == 0) == (work.rows == 0)
    assert shape.rows <= work.rows
    assert work.fixed_directions in (None, shape.directions)
    if not work.per_sample:
        assert shape.rows == work.rows
    assert work.price(shape, prices) >= 0


def test_limits_that_leave_nothing_are_named() -> None:
    with pytest.raises(ConfigurationError, match="60 shots or more; the backend takes 50"):
        choose_shape(START, IRIS._replace(most_shots=50), JOB, 40, 40)


def test_a_job_that_is_too_large_is_priced_as_two() -> None:
    work = IRIS._replace(max_circuits=100)
    assert work.price(Shape(100, 1, 20), JOB) == 2 * JOB.floor_usd
    many = Workload(1, 10, 10, rows=7000)
    assert many.price(Shape(7000, 1, 20), JOB) > many.price(Shape(3000, 1, 20), JOB)


def test_variances_are_told_apart_where_shots_have_varied() -> None:
    rng = np.random.default_rng(1)
    shots = rng.choice([20, 40, 100, 500], 200)
    noise = (3.0 + 400.0 / shots) * rng.chisquare(30, 200) / 30
    measured = [Measured(1.5, float(v), int(s)) for v, s in zip(noise, shots, strict=True)]
    found = estimate_variances(measured, 1)
    assert found.spread == pytest.approx(3.0, rel=0.2)
    assert found.shot_noise == pytest.approx(400.0, rel=0.2)


@given(
    st.lists(
        st.builds(Measured, st.floats(-10, 10), st.floats(0, 1e3), st.sampled_from([20, 60, 500])),
        max_size=20,
    ),
    st.integers(1, 300),
)
def test_variances_are_never_negative_nor_without_signal(measured, parameters) -> None:
    found = estimate_variances(measured, parameters)
    assert found.signal > 0
    assert found.spread >= 0
    assert found.shot_noise >= 0
    assert np.isfinite(found.relative(Shape(1, 1, 1)))


def test_the_first_steps_tell_how_sure_a_step_has_to_be() -> None:
    early = [Measured(2.0, 40.0, 20)] * 10
    found = estimate_variances(early, 10)
    assert found.signal == pytest.approx(2.0)
    converged = early + [Measured(-0.1, 40.0, 20)] * 100
    assert estimate_variances(converged, 10).signal == found.signal, "no more samples at the end"
    lost = estimate_variances([Measured(-50.0, 40.0, 20)] * 10, 10)
    assert lost.signal == pytest.approx(found.signal / 4)


def test_before_shots_vary_the_usual_ratio_decides() -> None:
    found = estimate_variances([Measured(1.0, 12.0, 20)] * 3, 10)
    assert found.spread + found.shot_noise / 20 == pytest.approx(12.0)
    assert found.shot_noise == pytest.approx(4 * found.spread)


def test_without_data_directions_are_chosen() -> None:
    work = Workload(circuits=5, n_1q=20, n_2q=6)
    shapes = [choose_shape(START, work, prices, 1, 60) for prices in (JOB, CIRCUIT)]
    assert [shape.rows for shape in shapes] == [0, 0]
    assert all(shape.directions > 1 for shape in shapes)
    assert shapes[1].shots > shapes[0].shots


def test_more_noise_never_makes_the_step_smaller() -> None:
    counts = []
    for factor in (1, 4, 16):
        variances = Variances(1.0, 10.0 * factor, 40.0 * factor)
        counts.append(choose_shape(variances, IRIS, PRICES["azure.aria-1"], 1, 60).pairs)
    assert all(a <= b for a, b in itertools.pairwise(counts))


@given(parameters=st.integers(1, 200), step=st.integers(1, 30), per=st.sampled_from([JOB, CIRCUIT]))
def test_little_is_paid_beyond_the_floors(parameters, step, per) -> None:
    work = Workload(circuits=5, n_1q=20, n_2q=6, parameters=parameters)
    shape = choose_shape(estimate_variances([], parameters), work, per, step, 30)
    most = max(MOST_FLOORS, parameters / FLOOR_PARAMETERS)
    assert work.price(shape, per) <= most * work.least_price(shape, per)


def test_with_more_parameters_more_is_paid() -> None:
    usd = []
    for parameters in (24, 114):
        work = Workload(circuits=1, n_1q=40, n_2q=16, rows=142, parameters=parameters)
        usd.append(
            work.price(choose_shape(estimate_variances([], parameters), work, JOB, 1, 80), JOB)
        )
    assert usd[0] <= MOST_FLOORS * JOB.floor_usd < 3 * JOB.floor_usd < usd[1]


def test_where_even_the_cheapest_is_beyond_the_floor_it_is_taken() -> None:
    work = Workload(circuits=1, n_1q=40, n_2q=16, rows=500, per_sample=False)
    shape = choose_shape(START, work, JOB, 1, 80)
    assert work.price(shape, JOB) > MOST_FLOORS * JOB.floor_usd
    assert (shape.directions, shape.shots) == (1, FIRST_SHOTS)
