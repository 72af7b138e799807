"""Hostile bodies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.emulator_wire import Wire, faulty

from pennylane_qstore.emulator import Fault
from pennylane_qstore.emulator.hostile import HOSTILE


@pytest.mark.parametrize("body", sorted(HOSTILE))
def test_hostile_bodies_come_as_json(serve: Callable[..., Wire], body: str) -> None:
    wire = serve()
    job_id = wire.done(wire.submit())["id"]
    wire.emulator.faults.add(Fault("hostile", "results", body=body))
    answer = wire("GET", f"/jobs/{job_id}/results/probabilities")
    assert answer.status == 200
    assert answer.body == HOSTILE[body]
    assert answer.headers["Content-Type"].startswith("application/json")


def test_a_gzip_bomb_is_small_on_the_wire(serve: Callable[..., Wire]) -> None:
    import zlib

    wire = faulty(serve, Fault("hostile", "any", body="gzip_bomb"))
    answer = wire("GET", "/jobs")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 2_000_000
    unpacker, size, rest = zlib.decompressobj(31), 0, answer.body
    while rest:
        size += len(unpacker.decompress(rest, 1 << 22))
        rest = unpacker.unconsumed_tail
    assert (unpacker.eof, size) == (True, 1 << 30)
