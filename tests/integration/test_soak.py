"""Thousands of training steps: memory, threads and sockets stay where they are."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from support.emulator_wire import Wire, multi
from support.native_bodies import native_gates

pytestmark = pytest.mark.soak


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_two_thousand_steps(serve: Callable[..., Wire]) -> None:
    wire = serve(keep=200)
    rng = np.random.default_rng(1)
    form = [("gpi2", [q]) for q in range(4)] + [("zz", [q, q + 1]) for q in range(3)]
    body = orjson.dumps(multi([native_gates(form, rng) for _ in range(40)], "native"))

    def steps(count: int) -> None:
        for _ in range(count):
            job = wire.done(wire("POST", "/jobs", body).json["id"])
            assert len(wire("GET", job["results"]["probabilities"]["url"]).json) == 40

    steps(400)
    gc.collect()
    memory, threads = resident_mb(), threading.active_count()
    files = len(list(Path("/proc/self/fd").iterdir()))
    steps(2000)
    gc.collect()
    assert resident_mb() - memory < 40
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
    assert wire.emulator.stats()["connections"] == 1
