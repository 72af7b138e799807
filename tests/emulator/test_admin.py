"""The emulator's faults and clock, changed from outside."""

from __future__ import annotations

from collections.abc import Callable

from support.emulator_wire import Wire

from pennylane_qstore.emulator import VirtualClock


def test_the_admin_endpoint(wire: Wire) -> None:
    answer = wire("POST", "/admin/faults", {"kind": "status", "route": "list", "status": 500})
    assert answer.status == 201
    assert wire("GET", "/jobs").status == 500
    (entry,) = wire("GET", "/admin/faults").json
    assert (entry["kind"], entry["happened"]) == ("status", 1)
    assert wire("POST", "/admin/faults", {"kind": "nonsense"}).status == 400
    assert wire("POST", "/admin/faults", [{"kind": "reset", "colour": 1}]).status == 400
    assert wire("DELETE", "/admin/faults").json == []
    assert wire.emulator.faults.pending() == []
    assert len(wire.emulator.requests) == 1  # only what is below /v0.4


def test_the_admin_clock(serve: Callable[..., Wire]) -> None:
    wire = serve(clock=VirtualClock(start=100.0))
    assert wire("POST", "/admin/clock", {"advance": 5}).json == {"now": 105.0}
    for seconds in (-5, 1e300, "5", None):
        assert wire("POST", "/admin/clock", {"advance": seconds}).status == 400
    assert serve()("POST", "/admin/clock", {"advance": 5}).status == 409
