"""A run as a notebook shows it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pennylane as qml
from support.training_runs import make

from pennylane_qstore.training.run_html import curve_svg


def cells(html):
    return dict(re.findall(r"<tr><th[^>]*>(.*?)</th><td[^>]*>(.*?)</td></tr>", html))


def test_a_run_shows_its_curve_its_dollars_and_its_jobs():
    key = "key-of-nobody-0123456789"
    device = qml.device("qstore.ionq", wires=2, seed=3, api_key=key, backend="emulator")
    run = make(device=device, name="<b>mine</b>", budget_usd=5.0)
    assert cells(run._repr_html_())["Loss"] == "not trained yet"
    html = run.train(4)._repr_html_()
    ElementTree.fromstring(html.replace("<br>", ""))
    assert "&lt;b&gt;mine&lt;/b&gt;" in html
    assert key not in html
    shown = cells(html)
    assert shown["Optimizer"] == "SPSAOptimizer(maxiter=20, seed=1)"
    assert shown["Steps"] == "4, stopped by steps"
    assert shown["Billed"] == "$0.00 of $5.00"
    assert shown["Would cost"] == f"${run.would_cost_usd():,.2f} (qpu.forte-1)"
    circuits = sum(record.circuits for record in run.history)
    assert shown["Jobs"] == f"4 with {circuits} circuits and {100 * circuits:,} shots"
    assert html.count("<polyline") == 1


def test_a_curve_stays_within_its_frame_and_small():
    values = [1000.0 / (i + 1) for i in range(10_000)]
    svg = ElementTree.fromstring(curve_svg(values))
    (line,) = svg.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
    assert len(points) <= 402
    assert points[0] == (4.0, 4.0)
    assert points[-1] == (416.0, 136.0)
    assert curve_svg([1.0, 1.0]).count("<polyline") == 1
    assert curve_svg([1.0]) == ""
