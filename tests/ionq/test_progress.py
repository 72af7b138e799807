"""The bar counts circuits and says what a job is doing."""

from __future__ import annotations

import io

from pennylane_qstore.ionq.poll import Progress
from pennylane_qstore.ionq.progress import ProgressBar


def test_the_bar_counts_circuits_of_jobs_that_ended(client, request_of):
    out = io.StringIO()
    with ProgressBar(file=out, mininterval=0) as bar:
        client.run([request_of(3), request_of(2)], progress=bar)
        assert (bar._bar.n, bar._bar.total) == (5, 5)
    assert "completed" in out.getvalue()


def test_the_bar_tells_the_predicted_wait():
    out = io.StringIO()
    with ProgressBar(file=out, mininterval=0) as bar:
        bar(Progress(0, "job-7", "ready", 1.0, 90.0, 4))
    assert "job-7 ready, about 90 s in the queue" in out.getvalue()
