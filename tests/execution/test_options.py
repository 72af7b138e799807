"""Options of the device: checked when it is made, each by its name."""

from __future__ import annotations

import copy
import pickle
import warnings

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
def test_bad_options_are_named(options, message):
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
    ("given", "max_circuits"), [(None, None), (3, 3), ("adaptive", "tiers"), ("throughput",) * 2]
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
    assert device.client._options.retry_policy == policy
    with pytest.raises(ConfigurationError, match="retry_policy=3 is not allowed"):
        Options.of({"retry_policy": 3})


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
