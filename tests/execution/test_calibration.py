"""Calibration circuits: one set per batch, really sent, never empty, in the job of the tapes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pennylane as qml
import pytest

from pennylane_qstore.execution.batch import Batch, JobSettings, make_batch
from pennylane_qstore.execution.options import Options
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.measurement.calibration import UnreliableCalibration
from pennylane_qstore.measurement.recipes import NotSupported
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.marks import CORRECT, Mark

NOISY = {"noise_model": "forte-1"}


def tape(angle: Any, copies: int = 0, shots: int | None = 100, measured: Any = None) -> Any:
    measurements = measured or [qml.expval(qml.Z(0))]
    marks = [Mark(CORRECT, copies)] if copies else []
    operations = [qml.RX(angle, 0), qml.CNOT([0, 1]), *marks]
    return qml.tape.QuantumScript(operations, measurements, shots=shots)


def batch_of(tapes: Any, order: Any = (0, 1, 2), **options: Any) -> Batch:
    return make_batch(
        tapes,
        order=order,
        target=Options.of(options).target,
        settings=JobSettings(),
        cache=SmartCircuitCache(),
    )


@pytest.mark.parametrize("symmetrize", [False, True])
def test_one_set_of_circuits_in_opposite_pairs_for_all_tapes(symmetrize: bool) -> None:
    tapes = [tape(np.array([0.1, 0.2]), 4), tape(0.3, 6), tape(0.4)]
    batch = batch_of(tapes, **NOISY, symmetrize=symmetrize)
    (request,) = batch.requests
    assert len(request.circuits) == 4 + 6
    assert batch.circuits_by_tape == [2, 1, 1]
    for circuit, mask in zip(request.circuits[4:], batch.calibration.flipped, strict=True):
        gates = [(g["gate"], g["target"], g["phase"]) for g in orjson.loads(circuit)]
        wanted = [("gpi", qubit, 0) for qubit in np.flatnonzero(mask)]
        assert gates == (wanted or [("gpi", 0, 0)] * 2)
    assert (batch.calibration.flipped[::2] ^ batch.calibration.flipped[1::2]).all()
    again = batch_of(tapes, **NOISY, symmetrize=symmetrize)
    assert again.requests[0].payload_sha256 == request.payload_sha256


def test_no_circuit_is_empty_and_ideal_backends_get_none() -> None:
    single = qml.tape.QuantumScript([Mark(CORRECT, 2)], [qml.expval(qml.Z(0))], shots=5)
    (request,) = batch_of([single], [0], **NOISY).requests
    assert sorted(map(len, map(orjson.loads, request.circuits[1:]))) == [1, 2]
    assert batch_of([tape(0.1, 4)]).calibration is None


def test_the_set_goes_with_the_most_shots_of_what_is_corrected() -> None:
    batch = batch_of([tape(0.1, 2, 50), tape(0.1, 2, 70), tape(0.1, 0, 90)], **NOISY)
    assert {r.shots: len(r.circuits) for r in batch.requests} == {50: 1, 70: 3, 90: 1}


def jobs_of(batch: Batch, read: Any) -> list[Any]:
    """Jobs whose circuits have the histograms of a function of their position."""
    return [SimpleNamespace(histograms=[read(i) for i in positions]) for positions in batch.chunks]


def test_without_the_calibration_there_is_no_result_of_what_it_corrects() -> None:
    batch = batch_of([tape(0.1, 2), tape(0.1)], **NOISY)
    zero = Histogram(np.array([0], dtype=np.uint64), np.array([1.0]))
    histograms = batch.histograms(jobs_of(batch, lambda i: None if i == 3 else zero))
    assert batch.results(histograms, np.random.default_rng(0)) == (None, 1.0)


def test_a_word_of_which_nothing_is_left_keeps_the_other_results() -> None:
    batch = batch_of([tape(0.1, 2), tape(0.1)], **NOISY)
    noise = Histogram(np.arange(8, dtype=np.uint64), np.full(8, 1 / 8))
    with pytest.raises(UnreliableCalibration) as error:
        batch.results(batch.histograms(jobs_of(batch, lambda _: noise)), np.random.default_rng(0))
    assert error.value.details["failed_tapes"] == [0]


@pytest.mark.parametrize(
    ("measured", "options", "message"),
    [
        (None, NOISY | {"gateset": "qis"}, "gateset='qis'"),
        ([qml.var(qml.Z(0))], NOISY, "corrects expectation values"),
        ([qml.var(qml.Z(0))], {}, "corrects expectation values"),
    ],
)
def test_what_has_no_corrected_value_is_refused(measured: Any, options: Any, message: str) -> None:
    with pytest.raises(NotSupported, match=message):
        batch_of([tape(0.1, 2, measured=measured)], **options)
