"""The page, in a headless browser where one is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.browser import wait
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import VirtualClock

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROWS = (
    "[...document.querySelectorAll('#jobs tbody tr')]"
    ".map(r => r.cells[0].textContent + ' ' + r.cells[1].textContent)"
)


def test_the_page_is_one_file_that_needs_nothing_else(wire: Wire) -> None:
    answer = wire("GET", "/")
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    page = answer.body.decode()
    assert "NONCE" not in page
    assert 'src="' not in page
    assert "https://" not in page


def test_events_tell_what_changed(wire: Wire) -> None:
    job_id = wire.submit(name="a job")
    wire.connection.request("GET", "/admin/events")
    stream = wire.connection.getresponse()
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    line = stream.readline()
    data = json.loads(line.removeprefix(b"data: "))
    assert [j["id"] for j in data["changed"]] == [job_id]
    assert sum(data["per_second"]) == data["stats"]["requests"] == 1
    stream.readline()
    again = json.loads(stream.readline().removeprefix(b"data: "))
    assert [j["id"] for j in again["changed"]] in ([], [job_id])
    stream.close()


def test_a_job_that_waits_says_until_when(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(start=0.0)
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 5.0})
    path = f"/admin/jobs/{wire.submit(backend='qpu.forte-1')}/0"
    times = lambda: [wire("GET", path).json[f"{k}_at"] for k in ("starts", "started")]  # noqa: E731
    assert times() == ["1970-01-01T00:01:00.000Z", None]
    clock.advance(60)
    assert times() == [None, "1970-01-01T00:01:00.000Z"]
    assert wire("GET", path).json["gates"] == [1, 1]


def test_one_circuit_of_a_job(wire: Wire) -> None:
    job_id = wire.done(wire.submit_many([BELL, [{"gate": "x", "target": 0}]]))["id"]
    found = wire("GET", f"/admin/jobs/{job_id}/1").json
    assert found["circuit"] == [{"gate": "x", "target": 0}]
    assert found["probabilities"] == {"1": 1.0}
    wide = wire.done(wire.submit([{"gate": "h", "target": q} for q in range(8)]))["id"]
    found = wire("GET", f"/admin/jobs/{wide}/0").json
    assert (found["outcomes"], len(found["probabilities"])) == (256, 32)
    assert wire("GET", f"/admin/jobs/{job_id}/2").status == 404
    assert wire("GET", "/admin/jobs/nonsense/0").status == 404


def test_the_page_shows_jobs_live(
    serve: Callable[..., Wire], browser: Chrome, tmp_path: Path
) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 60.0})
    wire.submit(name="first", backend="qpu.forte-1", shots=100)

    def run(script: str) -> Any:
        return browser.execute_script(f"return {script}")

    browser.get(wire.emulator.address + "/")
    wait(browser, ROWS, lambda rows: rows == ["first ready"])
    clock.advance(60)
    wait(browser, ROWS, lambda rows: rows == ["first started"])
    clock.advance(60)
    wait(browser, ROWS, lambda rows: rows == ["first completed"])
    wait(browser, "document.querySelectorAll('.bar').length", lambda n: n >= 2)
    assert run("document.querySelectorAll('#circuit g').length") == 2
    facts = run("document.getElementById('facts').textContent")
    assert "1 one-qubit and 1 two-qubit gates on 2 qubits" in facts
    assert run("document.getElementById('n-billed_usd').textContent") == "$25.79"
    wire.submit_many([BELL] * 3, name="second")
    wire.submit([{"gate": "x", "target": 40}], name="third" + "x" * 300)
    clock.advance(120)
    states = ["third" + "x" * 300 + " failed", "second completed", "first completed"]
    wait(browser, ROWS, lambda rows: rows == states)
    assert run("(e => e.scrollWidth <= e.clientWidth)(document.getElementById('jobs'))")
    run("document.querySelectorAll('#jobs tbody tr')[1].click()")
    wait(browser, "document.getElementById('of').textContent", lambda t: t.startswith("of 3"))
    assert not run("document.getElementById('picker').hidden")
    run("document.querySelectorAll('#jobs tbody tr')[2].click()")
    wait(browser, "getComputedStyle(document.getElementById('picker')).display", "none".__eq__)
    browser.save_screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_markup_in_names_stays_text(wire: Wire) -> None:
    page = wire("GET", "/").body.decode()
    assert "innerHTML" not in page
    assert "document.write" not in page
