"""The device of v3.4's settings: waiting times, keys."""

import pytest
from support.v34_runs import small

from pennylane_qstore.errors import ConfigurationError


def test_the_shortest_wait_that_was_given_counts():
    assert small().device_options()["max_wait"] is None
    assert small(max_queue_wait_time=7.0, batch_timeout=5.0).device_options()["max_wait"] == 5.0


def test_no_key_for_the_service_is_refused(monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="IONQ_API_KEY"):
        small(quantum_sdk="ionq").device()
