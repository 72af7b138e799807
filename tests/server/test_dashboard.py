"""The page, in a headless browser where one is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.browser import wait
from support.emulator_wire import BELL, Wire
from support.swept_runs import make_run

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.run_names import runs_entry

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


def test_the_page_is_sent_the_jobs_it_asks_for_and_the_sums_of_all_runs(
    serve: Callable[..., Wire],
) -> None:
    clock = VirtualClock(start=0.0)
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 5.0})
    name = "vqe " + "0a" * 16
    first = wire.submit(name=name, backend="qpu.forte-1")
    clock.advance(100)
    second = wire.submit(name=name, backend="qpu.forte-1")
    wire.submit(name="other")
    found = wire.first_event("?run=vqe&state=open")
    assert [job["id"] for job in found["changed"]] == [second]
    runs = {run["name"]: run for run in found["runs"]}
    assert set(runs) == {"vqe", "other"}
    assert (runs["vqe"]["jobs"], runs["vqe"]["open"]) == (2, 1)
    assert (runs["vqe"]["waits_since"], runs["vqe"]["starts_at"]) == (100.0, 160.0)
    assert runs["vqe"]["billed_usd"] == wire("GET", f"/jobs/{first}/cost").json["cost"]["value"]
    assert wire.first_event("?text=nothing")["changed"] == []


def test_jobs_are_cancelled_by_the_page_and_by_no_other_site(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(start=0.0)
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 5.0}, token="secret")
    wire.key = "apiKey secret"
    job_id = wire.submit(backend="qpu.forte-1")
    body = {"ids": [job_id, "unknown"]}
    foreign = {"Origin": "https://evil.example"}
    assert wire("POST", "/admin/cancel", body, foreign).status == 403
    assert wire("POST", "/admin/cancel", body, {"Authorization": ""}).status == 401
    assert wire.job(job_id)["status"] != "canceled"
    assert wire("POST", "/admin/cancel", body).json == {"states": {job_id: "canceled"}}
    assert wire("POST", "/admin/cancel", {"ids": "all"}).status == 400


def test_a_curve_is_that_of_a_checkpoint(serve: Callable[..., Wire], tmp_path: Path) -> None:
    run = make_run(1, checkpoint=tmp_path / "run.json").train(2)
    wire = serve(runs=[tmp_path])
    assert wire("GET", f"/admin/curve?run={run.run_id}").json["steps"] == [1, 2]
    assert wire("GET", "/admin/curve?run=other").status == 404
    (shown,) = wire.first_event()["runs"]
    assert (shown["name"], shown["loss"]) == (run.run_id, run.history[-1].loss)
    assert shown["jobs"] == 0  # it was trained elsewhere


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


def test_the_page_shows_runs_and_cancels(
    serve: Callable[..., Wire], browser: Chrome, tmp_path: Path
) -> None:
    clock = VirtualClock()
    run = make_run(1, checkpoint=tmp_path / "run.json", name="mine").train(3)
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 60.0}, runs=[tmp_path])
    names = [run.run_id, run.run_id, "other"]
    for name in names:
        wire.submit(name=name, backend="qpu.forte-1", shots=100)
    browser.get(wire.emulator.address + "/")
    wait(browser, "document.querySelectorAll('#runs tbody tr').length", (2).__eq__)
    wait(browser, ROWS, lambda rows: len(rows) == 3)
    browser.execute_script(f"document.querySelector('[data-run=\"{run.run_id}\"]').click()")
    wait(browser, ROWS, lambda rows: rows == [f"{run.run_id} ready"] * 2)
    wait(browser, "document.querySelectorAll('#curve polyline').length", (1).__eq__)
    facts = browser.execute_script("return document.getElementById('run-facts').textContent")
    assert "3 steps" in facts
    assert "starts in" in facts
    browser.execute_script("document.getElementById('cancel-run').click()")
    browser.switch_to.alert.accept()
    wait(browser, ROWS, lambda rows: rows == [f"{run.run_id} canceled"] * 2)
    assert [job.canceled_at is None for job in wire.emulator.jobs] == [False, False, True]
    browser.execute_script("document.getElementById('all-runs').click()")
    wait(browser, ROWS, lambda rows: len(rows) == 3)
    browser.execute_script("filterBy({ state: 'open' })")
    wait(browser, ROWS, lambda rows: rows == ["other ready"])
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wait(browser, "innerWidth", (390).__eq__)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    for table in ("runs", "jobs"):
        fits = f"(e => e.scrollWidth <= e.clientWidth)(document.getElementById('{table}'))"
        assert browser.execute_script(f"return {fits}"), table
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_job_of_several_runs_belongs_to_each_of_them(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(start=0.0)
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 5.0})
    entry = runs_entry({"a-1": 0.25, "b-2": 0.75})
    shared = wire.submit(name="a-1 and 1 more", metadata=entry, backend="qpu.forte-1")
    own = wire.submit(name="b-2", backend="qpu.forte-1")
    for run, ids in (("a-1", [shared]), ("b-2", [own, shared]), ("a-1 and 1 more", [])):
        found = wire.first_event(f"?run={run.replace(' ', '+')}")
        assert [job["id"] for job in found["changed"]] == ids, run
    (job,) = wire.first_event("?text=b-2&run=a-1")["changed"]
    assert (job["name"], job["runs"]) == ("a-1, b-2", {"a-1": 0.25, "b-2": 0.75})
    clock.advance(100)
    runs = {run["name"]: run for run in wire.first_event()["runs"]}
    assert {name: (run["jobs"], run["open"]) for name, run in runs.items()} == {
        "a-1": (1, 0), "b-2": (2, 0),
    }  # fmt: skip
    price = wire("GET", f"/jobs/{shared}/cost").json["cost"]["value"]
    assert runs["a-1"]["billed_usd"] == 0.25 * price
    assert runs["b-2"]["billed_usd"] == 1.75 * price


def test_the_page_lists_a_shared_job_under_each_of_its_runs(
    serve: Callable[..., Wire], browser: Chrome, tmp_path: Path
) -> None:
    wire = serve(profile={"queue_s": 3600.0, "execution_s": 60.0})
    names = [f"energy-seed-{k}" for k in range(12)]
    entry = runs_entry(dict.fromkeys(names, 1 / 12))
    wire.submit(name=f"{names[0]} and 11 more", metadata=entry, backend="qpu.forte-1")
    wire.submit(name=names[1], backend="qpu.forte-1")
    browser.get(wire.emulator.address + "/")
    wait(browser, "document.querySelectorAll('#runs tbody tr').length", (12).__eq__)
    listed = ", ".join(names)
    wait(browser, ROWS, lambda rows: rows == [f"{names[1]} ready", f"{listed} ready"])
    for run, jobs in ((names[1], 2), (names[7], 1)):
        browser.execute_script(f"filterBy({{ run: '{run}' }})")
        wait(browser, ROWS, lambda rows, jobs=jobs: len(rows) == jobs)
    wait(browser, "document.getElementById('facts').textContent", lambda t: "8 %" in t)
    browser.execute_script("document.getElementById('cancel-run').click()")
    assert f"lose results with it: {names[7]}, {names[0]}" in browser.switch_to.alert.text
    browser.switch_to.alert.dismiss()
    for width in (1300, 390):
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        wait(browser, "innerWidth", width.__eq__)
        assert browser.execute_script("return document.documentElement.scrollWidth") == width
        browser.save_screenshot(tmp_path / f"page-{width}.png")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_markup_in_names_stays_text(wire: Wire) -> None:
    page = wire("GET", "/").body.decode()
    assert "innerHTML" not in page
    assert "document.write" not in page
