"""Labels of jobs: types as IonQ names them, what IonQ does not take is refused."""

from __future__ import annotations

import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.messages.labels import check_labels, job_type


@pytest.mark.parametrize(
    ("circuits", "backend", "kind"),
    [
        (1, "simulator", "ionq.circuit.v1"),
        (2, "qpu.forte-1", "ionq.multi-circuit.v1"),
        (1, "qpu.tempo-1", "ionq.qasm3.v1"),
    ],
)
def test_the_type_of_a_job(circuits, backend, kind):
    assert job_type(circuits, backend) == kind


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("a/b", None, None), "job name"),
        ((None, {"a": 1}, None), "metadata"),
        ((None, {"qstore_token": "x"}, None), "reserved"),
        ((None, None, "a/b"), "session id"),
    ],
)
def test_what_ionq_does_not_take_is_refused(labels, said):
    check_labels("a b", {"a": "b"}, "s-1")
    with pytest.raises(ConfigurationError, match=said):
        check_labels(*labels)
