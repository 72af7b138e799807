"""Latency profiles: by name, number and fields; means, jitter, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.emulator.service.latency import PROFILES, LatencyProfile, latency_profile
from pennylane_qstore.errors import ConfigurationError


def test_profiles_by_name_number_and_fields() -> None:
    assert latency_profile("q-store").mean(20, 500) == pytest.approx((0.5, 0.0, 1.499, 1.85))
    assert latency_profile(2).mean(1, 1) == (0.0, 0.0, 0.0, 2.0)
    assert latency_profile({"queue_s": 3.0}).queue_s == 3.0
    assert latency_profile(PROFILES["qpu"], concurrency=7).concurrency == 7
    assert latency_profile("none").instant
    assert not latency_profile("qpu").instant
    rng = np.random.default_rng(1)
    drawn = [latency_profile("qpu").draw(1, 100, rng).queue_s for _ in range(4000)]
    assert np.median(drawn) == pytest.approx(1181, rel=0.03)


@pytest.mark.parametrize(
    "bad", ["fast", {"odd": 1}, {"queue_s": -1}, {"queue_s": float("nan")}, None, True, -1]
)
def test_a_profile_that_makes_no_sense_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigurationError):
        latency_profile(bad)
    with pytest.raises(ConfigurationError):
        LatencyProfile(concurrency=0)


def test_a_time_grows_with_circuits_and_shots() -> None:
    profile = LatencyProfile(
        queue_s=1.0,
        queue_per_circuit_s=0.5,
        execution_s=2.0,
        execution_per_circuit_s=0.1,
        execution_per_shot_s=0.01,
    )
    assert profile.mean(4, 10) == pytest.approx((0.0, 0.0, 3.0, 2.8))


def test_a_profile_with_only_a_slow_request_completes_jobs_at_once() -> None:
    assert LatencyProfile(request_s=3.0).instant
    assert not LatencyProfile(execution_per_shot_s=1e-6).instant


@given(st.sampled_from(list(PROFILES)), st.floats(0.01, 100), st.integers(1, 500))
def test_a_scaled_profile_takes_so_many_times_as_long(
    name: str, factor: float, circuits: int
) -> None:
    profile = PROFILES[name]
    scaled = profile.scaled(factor)
    expected = [factor * t for t in profile.mean(circuits, 100)]
    assert scaled.mean(circuits, 100) == pytest.approx(expected)
    assert (scaled.jitter, scaled.concurrency) == (profile.jitter, profile.concurrency)


def test_without_jitter_a_time_is_drawn_as_its_mean() -> None:
    profile, rng = PROFILES["q-store"], np.random.default_rng(0)
    assert profile.draw(20, 100, rng) == profile.mean(20, 100)


def test_an_unknown_name_or_field_is_answered_by_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="q-store"):
        latency_profile("qstore")
    with pytest.raises(ConfigurationError, match="queue_s"):
        latency_profile({"queue": 1})
