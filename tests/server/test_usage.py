"""The usage report."""

from __future__ import annotations

from collections.abc import Callable

from support.emulator_wire import Wire

from pennylane_qstore.emulator import VirtualClock


def test_usage_and_whoami(wire: Wire) -> None:
    wire.submit(backend="qpu.forte-1")
    wire.submit()
    assert wire("GET", "/whoami").json["key_name"] == "Emulator"
    organization = wire("GET", "/sessions").json["organization_id"]
    path = f"/organizations/{organization}/usage?start_date=2000-01-01&end_date=2100-01-01"
    for group in ("job", "project", "user"):
        for modality in ("daily", "weekly", "monthly"):
            found = wire("GET", f"{path}&group_by={group}&modality={modality}").json
            assert (found["job_count"], found["amount_total"]) == (2, 25.79)
            groups = found["usage_data"][0]["group_usages"]
            assert len(groups) == (2 if group == "job" else 1)
    assert (found["start_date"], found["usage_to"]) == ("2000-01-01", "2100-01-01T00:00:00.000Z")
    assert wire("GET", f"/organizations/{organization}/usage").json["job_count"] == 2
    assert wire("GET", f"{path}&group_by=colour").status == 400
    assert wire("GET", "/organizations/nonsense/usage").status == 404


def test_usage_comes_by_day_newest_first(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock)
    for _ in range(3):
        wire.submit(backend="qpu.forte-1")
        clock.advance(86_400)
    organization = wire("GET", "/sessions").json["organization_id"]
    path = f"/organizations/{organization}/usage?start_date=2000-01-01&end_date=2100-01-01"
    days = [period["from"] for period in wire("GET", path).json["usage_data"]]
    assert len(set(days)) == 3
    assert days == sorted(days)[::-1]
    until = wire("GET", path.replace("2100-01-01", days[0][:10])).json
    assert [period["from"] for period in until["usage_data"]] == days[1:]  # the end is exclusive
