"""Backends and characterizations."""

from __future__ import annotations

from support.emulator_wire import Wire


def test_backends_are_open(wire: Wire) -> None:
    wire.key = None
    names = [b["backend"] for b in wire("GET", "/backends").json]
    assert {"simulator", "qpu.aria-1", "qpu.forte-1"} <= set(names)
    one = wire("GET", "/backends/qpu.forte-1").json
    assert (one["qubits"], one["supported_native_gates"]) == (36, ["gpi", "gpi2", "zz"])
    assert wire("GET", "/backends/qpu.qpu").status == 404
    records = wire("GET", "/backends/qpu.forte-1/characterizations?limit=5&page=2").json
    assert (len(records["characterizations"]), records["pages"]) == (5, 1)
    path = f"/backends/qpu.forte-1/characterizations/{one['characterization_id']}"
    assert wire("GET", path).json["fidelity"]["spam"]["median"] == 0.9962
    assert wire("GET", "/backends/simulator/characterizations").json["characterizations"] == []
    assert wire("GET", "/backends/qpu.forte-1/characterizations?start=2999-01-01").json == {
        "characterizations": [],
        "pages": 0,
    }
    assert wire("GET", "/backends/qpu.forte-1/characterizations?limit=11").status == 400
