"""Options of the device: checked when it is made, each by its name."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.errors import ConfigurationError, QStoreDeprecationWarning
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.execution.options import Options
from pennylane_qstore.ionq.http.retry import RetryPolicy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bakend": "simulator"}, "Did you mean 'backend'"),
        ({"backend": "qpu.fort-1"}, "Did you mean 'qpu.forte-1'"),
        ({"gateset": "quil"}, "Allowed: 'native', 'qis'"),
        ({"noise_model": "forte-2"}, "Did you mean 'forte-1'"),
        ({"noise_model": "aria-1", "two_qubit": "zz"}, "not a native gate"),
        ({"two_qubit": "cz"}, "Allowed: None, 'ms', 'zz'"),
        ({"pool_size": 0}, "1 or more"),
        ({"seed": 1.5}, "whole number"),
        ({"max_wait": -1}, "seconds"),
        ({"run": "mine", "max_circuits_per_job": "adaptive"}, "Give a fixed max_circuits_per_job"),
        ({"backend": "qpu.forte-1", "noise_model": "aria-1", "api_key": "k"}, "for simulators"),
        ({"error_mitigation": {"debiasing": True}}, "not offered"),
        ({"wires": 40}, "29 qubits"),
    ],
)
def test_bad_options_are_named(options, message, monkeypatch):
    for variable in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY"):  # or a service would be asked
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigurationError, match=message):
        qml.device("qstore.ionq", **{"wires": 2, **options})


def test_a_cloud_backend_wants_a_key(monkeypatch):
    for variable in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigurationError, match="IONQ_API_KEY"):
        qml.device("qstore.ionq", wires=2, backend="simulator")


def test_the_old_name_of_the_size_of_jobs_is_accepted_with_a_warning():
    with pytest.warns(QStoreDeprecationWarning, match="max_circuits_per_job") as seen:
        device = qml.device("qstore.ionq", wires=1, batch_size=7)
    assert len(seen) == 1
    assert device.executor.job_settings.max_circuits == 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qml.device("qstore.ionq", wires=1, max_circuits_per_job=7)


def test_both_names_of_the_size_of_jobs_are_one_too_many():
    with pytest.raises(ConfigurationError, match="max_circuits_per_job"):
        qml.device("qstore.ionq", wires=1, batch_size=7, max_circuits_per_job=7)


@pytest.mark.parametrize(
    ("given", "max_circuits"),
    [(None, None), (3, 3), (9_000, 5_000), ("adaptive", "tiers"), ("throughput",) * 2],
)
def test_the_size_of_jobs_is_fixed_or_chosen(given, max_circuits):
    options = Options.of({"max_circuits_per_job": given, "pool_size": 3})
    size = options.job_settings.max_circuits
    if isinstance(size, AdaptiveQueueManager):
        assert (size.policy, size.connections) == (max_circuits, 3)
    else:
        assert size == max_circuits
    assert (
        Options.of({"max_circuits_per_job": given, "batch": False}).job_settings.max_circuits == 1
    )


def test_the_retry_policy_is_the_clients():
    policy = RetryPolicy(attempts=2)
    device = qml.device("qstore.ionq", wires=1, retry_policy=policy)
    assert device.client.retry_policy == policy
    with pytest.raises(ConfigurationError, match="retry_policy=3 is not allowed"):
        Options.of({"retry_policy": 3})


def test_an_outage_may_last_as_long_as_the_option_says():
    assert Options.of({"outage_s": 5}).retry_policy == RetryPolicy(outage_s=5)
    both = Options.of({"outage_s": 5, "retry_policy": RetryPolicy(attempts=2, outage_s=9)})
    assert both.retry_policy == RetryPolicy(attempts=2, outage_s=5)
    with pytest.raises(ConfigurationError, match="outage_s=-1 is not allowed"):
        Options.of({"outage_s": -1})


@pytest.mark.parametrize(
    ("options", "family", "exact", "noise"),
    [
        ({}, "zz", True, None),
        ({"noise_model": "aria-1"}, "ms", False, "aria-1"),
        ({"noise_model": "ideal"}, "zz", True, None),
        ({"backend": "qpu.forte-1", "api_key": "k"}, "zz", False, None),
        ({"two_qubit": "ms"}, "ms", True, None),
    ],
)
def test_the_target_follows_from_backend_and_noise(options, family, exact, noise):
    target = Options.of(options).target
    assert (target.family, target.exact, target.noise) == (family, exact, noise)


def test_a_copy_keeps_the_key_and_a_pickle_does_not(monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "other")
    options = Options.of({"api_key": "mine", "max_circuits_per_job": "adaptive"})
    assert copy.deepcopy(options).api_key == options.api_key
    assert copy.deepcopy(options).queue is not options.queue
    assert pickle.loads(pickle.dumps(options)).api_key is None


SAMPLES = {
    "whole": 3,
    "number": 1.5,
    "flag": True,
    "text": "yes",
    "empty": "",
    "bytes": b"yes",
    "list": ["a"],
    "mapping": {"a": 1},
    "array": np.array([1, 2]),
    "function": print,
    "object": object(),
    "nan": float("nan"),
}
"""A value of each kind."""

TAKEN = {
    "api_key": "text",
    "absorb": "flag",
    "symmetrize": "flag",
    "batch": "flag",
    "cache": "flag whole",
    "max_circuits_per_job": "whole",
    "pool_size": "whole",
    "effort": "whole number",
    "max_wait": "whole number",
    "outage_s": "whole number",
    "retry_failed": "flag",
    "seed": "whole",
    "ledger": "text",
    "session_id": "text",
    "job_name": "text empty",
    "progress": "flag function",
    "run": "text",
    "budget_usd": "whole number",
    "confirm": "function",
    "ca_bundle": "text",
    "num_directions": "whole",
    "h": "whole number",
    "shot_order": "flag",
}
"""Kinds that an option takes; every other is refused, as are texts that are no known name."""


@pytest.mark.parametrize("option", [field.name for field in dataclasses.fields(Options)])
def test_values_of_a_wrong_kind_are_refused_when_the_device_is_made(option, monkeypatch):
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    for kind, value in SAMPLES.items():
        if kind in TAKEN.get(option, "").split():
            qml.device("qstore.ionq", wires=1, **{option: value})
            continue
        with pytest.raises(ConfigurationError):
            qml.device("qstore.ionq", wires=1, **{option: value})


@pytest.mark.parametrize(
    "options",
    [
        {"progress": 1},
        {"progress": 0},
        {"emulator": {"latency": "q-store"}},
        {"emulator": {"profile": []}},
        {"emulator": {"seed": "one"}},
        {"emulator": {"faults": 5}},
        {"error_mitigation": {"debiasing": "yes"}},
        {"metadata": {"step": 1}},
        {"metadata": {1: "step"}},
        {"metadata": [("step", "1")]},
        {"job_name": "a/b"},
        {"proxy": "proxy.example:80"},
    ],
)
def test_values_that_hold_a_wrong_kind_are_refused(options):
    with pytest.raises(ConfigurationError):
        qml.device("qstore.ionq", wires=1, **options)


def test_secrets_of_a_wrong_kind_are_not_shown():
    for options in ({"api_key": ["hush"]}, {"proxy": "me:hush@proxy"}):
        with pytest.raises(ConfigurationError) as caught:
            qml.device("qstore.ionq", wires=1, **options)
        assert "hush" not in str(caught.value)


def test_empty_metadata_and_settings_are_taken():
    for options in ({"metadata": {}}, {"emulator": {}}, {"error_mitigation": {}}):
        qml.device("qstore.ionq", wires=1, **options)
