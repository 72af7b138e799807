"""Results: probabilities from the ledger, other forms from IonQ, circuits as they were sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.emulator_wire import BELL, single
from support.gateways import Site, paid, paid_multi

X = [{"gate": "x", "target": 0}]


@pytest.fixture
def merged(site: Callable[..., Site]) -> tuple[Site, str, str]:
    here = site()
    ann = here.user()
    one, two = (
        str(ann("POST", "/jobs", body).json["id"]) for body in (paid(X), paid_multi([BELL, X]))
    )
    here.window.close()
    for job_id in (one, two):
        assert ann.done(job_id)["status"] == "completed"
    return here, one, two


def test_counts_and_shots_come_from_ionq(merged: tuple[Site, str, str]) -> None:
    here, one, two = merged
    ann = here.wires[0]
    child = ann.job(two)["child_job_ids"][1]
    for job_id in (one, child):
        counts = ann("GET", f"/jobs/{job_id}/results/histogram").json
        assert sum(counts.values()) == 200
        assert max(counts, key=counts.__getitem__) == "1"
        shots = ann("GET", f"/jobs/{job_id}/results/shots").json
        assert shots.count("1") == counts["1"]
        found = ann("GET", f"/jobs/{job_id}/results/probabilities").json
        assert found["1"] == pytest.approx(counts["1"] / 200)
    voted = ann("GET", f"/jobs/{two}/results/probabilities/aggregated?sharpen=true").json
    assert list(voted) == ann.job(two)["child_job_ids"]
    assert ann("GET", f"/jobs/{one}/artifacts/variant-1").status == 404
    here.emulator.close()  # what is in the ledger is there without IonQ
    assert ann("GET", f"/jobs/{one}/results/probabilities").status == 200


def test_the_page_shows_circuits_and_outcomes(merged: tuple[Site, str, str]) -> None:
    here, one, two = merged
    ann = here.wires[0]
    shown = ann("GET", f"/admin/jobs/{two}/0", headers={}).json
    assert shown["circuit"] == BELL
    assert shown["outcomes"] >= 2
    assert sum(shown["probabilities"].values()) == pytest.approx(1.0)
    assert ann("GET", f"/admin/jobs/{one}/1").status == 404


def test_there_are_none_before_the_end(site: Callable[..., Site]) -> None:
    here = site({"profile": 3600.0})
    ann = here.user()
    job_id = str(ann("POST", "/jobs", single(X)).json["id"])
    assert ann("GET", f"/jobs/{job_id}/results/probabilities").status == 404
    assert ann("GET", f"/admin/jobs/{job_id}/0").json["probabilities"] is None
