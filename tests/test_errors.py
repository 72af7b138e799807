"""One family of errors, each with what is known of its jobs, also in another process."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
from pennylane.exceptions import PennyLaneDeprecationWarning

from pennylane_qstore import errors

FAMILY = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.QStoreError)
]


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_has_the_message_the_jobs_and_the_details(kind, again):
    error = kind("no ions", job_ids=["a", "b"], status=503)
    twin = again(error)
    assert type(twin) is kind
    assert str(twin) == "no ions"
    assert twin.job_ids == ("a", "b")
    assert twin.details == {"status": 503}


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.CompileError, ValueError),
        (errors.ConnectionFailed, ConnectionError),
        (errors.JobTimeout, TimeoutError),
    ],
)
def test_where_callers_expect_a_builtin_it_is_one(kind, builtin):
    with pytest.raises(builtin):
        raise kind("wrong")


def test_a_deprecation_of_ours_is_not_pennylanes():
    with pytest.warns(errors.QStoreDeprecationWarning):
        warnings.warn("old name", errors.QStoreDeprecationWarning, stacklevel=1)
    assert not issubclass(errors.QStoreDeprecationWarning, PennyLaneDeprecationWarning)
