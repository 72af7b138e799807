"""The door's cost: from the QNode call to the bytes of the job, beside other devices.

    pytest -m benchmark tests/benchmarks/test_door.py -s

Nothing is sent: the clock stops where our device has the bytes of its job, where pennylane-ionq
would post its own, and where pennylane-qiskit hands its circuits to the estimator; null.qubit makes
zeros itself. "PennyLane alone" is our device up to where its ``execute`` is called. The rival
plugins take part when they are installed (``pip install -e '.[rivals]'``). All contenders take
turns in one run, so many calls in a row as a training loop would make; medians and minima are
printed, only generous ratios are asserted.
"""

import importlib.util
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import IonQDevice
from pennylane_qstore.execution.sender import Sender

pytestmark = pytest.mark.benchmark
ROUNDS, IN_A_ROW, SHOTS, ROWS = 6, 50, 100, 200
TURN_S = 0.1
"""A turn ends after this, with one call at least."""
SERVICE = {"wires": 4, "api_key": "none", "base_url": "http://127.0.0.1:9"}
"""Not the embedded emulator: its threads would run beside what is measured."""
RNG = np.random.default_rng(0)
X1, X200 = RNG.uniform(-1, 1, 4), RNG.uniform(-1, 1, (ROWS, 4))
W = RNG.uniform(-3, 3, (2, 4, 3))
TRAINED = qml.numpy.array(W, requires_grad=True)
Z, TWO_BASES = qml.Z(0), qml.Z(0) + qml.X(1)


class BodyWritten(Exception):
    """Everything before the network is done, at this time."""

    def __init__(self):
        super().__init__()
        self.at = time.perf_counter()


class Workload(NamedTuple):
    x: np.ndarray
    w: np.ndarray
    observable: object
    diff_method: str | None
    target_us: float
    """Per row, in microseconds."""

    @property
    def rows(self) -> int:
        return len(self.x) if self.x.ndim == 2 else 1


WORKLOADS = {
    "one call": Workload(X1, W, Z, "best", 700),
    "one call, diff_method=None": Workload(X1, W, Z, None, 500),
    "autograd weights, parameter-shift": Workload(X1, TRAINED, Z, "parameter-shift", 1600),
    "autograd weights, diff_method=None": Workload(X1, TRAINED, Z, None, 500),
    "two bases": Workload(X1, W, TWO_BASES, None, 700),
    "broadcast of 200": Workload(X200, W, Z, None, 10),
    "broadcast of 200, autograd weights": Workload(X200, TRAINED, Z, "parameter-shift", 20),
    "broadcast of 200, two bases": Workload(X200, W, TWO_BASES, None, 20),
}


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def ours(monkeypatch: pytest.MonkeyPatch) -> qml.devices.Device:
    def write(self, requests, *args, **options):
        for request in requests:
            request.body("0" * 32)
        raise BodyWritten

    monkeypatch.setattr(Sender, "send", write)
    return IonQDevice(**SERVICE)


def pennylane_alone(monkeypatch: pytest.MonkeyPatch) -> qml.devices.Device:
    class Door(IonQDevice):
        def execute(self, circuits, execution_config=None):
            raise BodyWritten

    return Door(**SERVICE)


def pennylane_ionq(monkeypatch: pytest.MonkeyPatch) -> qml.devices.Device:
    from pennylane_ionq import SimulatorDevice

    def submit(self):
        json.dumps(self.job)
        raise BodyWritten

    monkeypatch.setattr(SimulatorDevice, "_submit_job", submit)
    return qml.device("ionq.simulator", wires=4, api_key="none")


def pennylane_qiskit(monkeypatch: pytest.MonkeyPatch) -> qml.devices.Device:
    import pennylane_qiskit.qiskit_device as module
    from qiskit.providers.fake_provider import GenericBackendV2

    class Estimator(module.Estimator):
        def run(self, pubs, **options):
            raise BodyWritten

    monkeypatch.setattr(module, "Estimator", Estimator)
    return qml.device("qiskit.remote", wires=4, backend=GenericBackendV2(4, seed=1))


def null_qubit(monkeypatch: pytest.MonkeyPatch) -> qml.devices.Device:
    return qml.device("null.qubit", wires=4)


CONTENDERS: dict[str, tuple[Callable, str]] = {
    "qstore.ionq": (ours, "pennylane_qstore"),
    "PennyLane alone": (pennylane_alone, "pennylane"),
    "null.qubit": (null_qubit, "pennylane"),
    "pennylane-ionq": (pennylane_ionq, "pennylane_ionq"),
    "pennylane-qiskit": (pennylane_qiskit, "pennylane_qiskit"),
}


def call(device: qml.devices.Device, work: Workload) -> Callable[[], float]:
    """A function that makes one call and gives how long it took, in microseconds per row."""

    @qml.qnode(device, shots=SHOTS, diff_method=work.diff_method)
    def circuit(x, w):
        qml.AngleEmbedding(x, wires=range(4))
        qml.StronglyEntanglingLayers(w, wires=range(4))
        return qml.expval(work.observable)

    def once() -> float:
        start = time.perf_counter()
        try:
            circuit(work.x, work.w)
        except BodyWritten as done:
            end = done.at
        else:
            assert device.name == "null.qubit"
            end = time.perf_counter()
        return (end - start) * 1e6 / work.rows

    return once


def in_a_row(once: Callable[[], float]) -> list[float]:
    """Return the time that each call of a turn took."""
    taken = []
    end = time.perf_counter() + TURN_S
    while len(taken) < IN_A_ROW and (not taken or time.perf_counter() < end):
        taken.append(once())
    return taken


@pytest.mark.parametrize("name", WORKLOADS)
def test_from_the_call_to_the_body(name, monkeypatch):
    work = WORKLOADS[name]
    warnings.simplefilter("ignore")
    # PennyLane looks for JAX in every call that could be differentiated; where there is none,
    # pytest's hook makes that look-up several times dearer than it is elsewhere.
    finders = [f for f in sys.meta_path if "pytest" not in type(f).__module__]
    monkeypatch.setattr(sys, "meta_path", finders)
    calls = {
        contender: call(make(monkeypatch), work)
        for contender, (make, package) in CONTENDERS.items()
        if installed(package)
    }
    for once in calls.values():
        once()  # imports and compiles
    times: dict[str, list[float]] = {contender: [] for contender in calls}
    for turn in range(ROUNDS):
        for contender, once in calls.items():
            taken = in_a_row(once)
            times[contender] += taken if turn else []  # the first one warms up
    print(f"\n{name} (target {work.target_us:.0f} us a row; {work.rows} row(s))")
    reference = statistics.median(times["qstore.ionq"])
    for contender, each in times.items():
        median = statistics.median(each)
        print(
            f"  {contender:18s} median {median:10.1f} us  min {min(each):10.1f} us"
            f"  {median / reference:8.1f} of ours"
        )
    for rival in ("pennylane-ionq", "pennylane-qiskit"):
        if rival in times:
            assert min(times["qstore.ionq"]) < min(times[rival])
    if work.rows > 1:  # nobody takes a batch apart for less
        assert min(times["qstore.ionq"]) < 3 * min(times["null.qubit"])


def test_a_row_costs_less_the_more_there_are(monkeypatch):
    device = ours(monkeypatch)
    taken = {}
    for rows in (1, 20, 200):
        once = call(device, WORKLOADS["broadcast of 200"]._replace(x=X200[:rows]))
        once()
        taken[rows] = min(once() for _ in range(100))
        print(f"\n  {rows:4d} rows: {taken[rows]:8.1f} us a row")
    assert taken[200] < taken[20] < taken[1]
