"""Sessions: jobs join them while they last, and their end hides no error."""

from __future__ import annotations

import pytest
from support.paid_jobs import circuit, device

import pennylane_qstore as qstore
from pennylane_qstore.errors import JobTimeout, ServiceError


def test_jobs_join_a_session_while_it_lasts(emulator):
    dev = device(emulator)
    with qstore.session(dev, job_limit=5, minutes=10, cost_limit=1000) as opened:
        circuit(dev)(0.1)
        assert opened.active
    circuit(dev)(0.2)
    inside, outside = (job.session_id for job in emulator.jobs)
    assert {inside, outside} == {opened.id, None}


def test_a_session_that_cannot_be_ended_does_not_hide_what_went_wrong_in_it(emulator, monkeypatch):
    dev = device(emulator)

    def refuse(session_id):
        raise ServiceError("no such session", status=404)

    monkeypatch.setattr(dev.client, "end_session", refuse)
    with pytest.raises(JobTimeout), qstore.session(dev, job_limit=5):
        raise JobTimeout("late", job_ids=["a"])
    assert dev.executor.job_settings.fields["session_id"] is None
    with pytest.raises(ServiceError), qstore.session(dev, job_limit=5):
        circuit(dev)(0.1)
