"""Processor time and memory of the client for a large gradient, beside the plain calls.

A cost is a loop over samples with 24 parameters, differentiated by the parameter-shift rule: 49
circuits a sample. Each measurement is a process of its own, so that the emulator does not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml

from pennylane_qstore.bench.calls import peak_mb
from pennylane_qstore.bench.text import aligned
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.training.value_and_grad import value_and_grad

SAMPLES = (20, 200)
WAYS = ("plain", "value_and_grad")
"""``qml.grad`` plainly, and :func:`.value_and_grad`."""
_QUBITS = 4
_LAYERS = 2


class GradientSize(NamedTuple):
    """A measurement of one gradient.

    Attributes:
        samples: of the cost.
        way: of :data:`WAYS`.
        posts, circuits: that were sent.
        cpu_s: processor time of the client, in seconds.
        memory_mb: most memory above that of a gradient of one sample, in MB; 0 where no system
            tells.
        gradient: sum of its elements, by which ways are compared.
    """

    samples: int
    way: str
    posts: int
    circuits: int
    cpu_s: float
    memory_mb: float
    gradient: float


def table(samples: Sequence[int] = SAMPLES) -> Iterator[GradientSize]:
    """Measure both ways, for each number of samples.

    Args:
        samples: numbers of samples.

    Yields:
        The measurements.

    Raises:
        ArithmeticError: the ways give other gradients.
    """
    for many in samples:
        found = [_in_a_process(many, way) for way in WAYS]
        if not np.isclose(found[0].gradient, found[1].gradient, atol=1e-9):
            raise ArithmeticError(f"The gradients over {many} samples differ.")
        yield from found


def text(measured: Iterable[GradientSize]) -> str:
    """Return the measurements for people."""
    rows = [("samples", "circuits", "way", "POSTs", "client", "a circuit", "memory")]
    for one in measured:
        each_ms = 1e3 * one.cpu_s / one.circuits
        rows.append(
            (f"{one.samples}", f"{one.circuits:,}", one.way, f"{one.posts}", f"{one.cpu_s:.2f} s",
             f"{each_ms:.2f} ms", f"{one.memory_mb:.0f} MB")
        )  # fmt: skip
    return "\n".join(aligned(rows))


def measured(url: str, samples: int, way: str) -> GradientSize:
    """Measure a gradient in this process.

    Args:
        url: of a service.
        samples: of the cost.
        way: of :data:`WAYS`.

    Returns:
        The measurement.
    """
    from pennylane_qstore.ionq.ledger.ledger import Ledger

    device = qml.device(
        "qstore.ionq", wires=_QUBITS, backend="simulator", base_url=url, api_key="k",
        ledger=Ledger(),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 3, (samples, _QUBITS)), rng.uniform(-1, 1, samples)
    w = qml.numpy.array(rng.uniform(0, 3, (_LAYERS, _QUBITS, 3)), requires_grad=True)

    def z_of_all(x: Any, w: Any) -> Any:
        qml.AngleEmbedding(x, wires=range(_QUBITS))
        qml.StronglyEntanglingLayers(w, wires=range(_QUBITS))
        return qml.expval(qml.prod(*map(qml.Z, range(_QUBITS))))  # depends on all parameters

    circuit = qml.QNode(z_of_all, device)

    def gradient(many: int) -> Any:
        def cost(w: Any) -> Any:
            return sum((circuit(a, w) - b) ** 2 for a, b in zip(x[:many], y, strict=False)) / many

        return qml.grad(cost)(w) if way == "plain" else value_and_grad(cost)(w)[1]

    gradient(1)  # compiles
    before, memory_mb, began = device.totals(), peak_mb(), time.process_time()
    found = gradient(samples)
    cpu_s, sent = time.process_time() - began, device.totals()
    posts, circuits = (int(sent[name] - before[name]) for name in ("jobs", "circuits"))
    return GradientSize(
        samples, way, posts, circuits, cpu_s, peak_mb() - memory_mb, float(np.sum(found))
    )


def _in_a_process(samples: int, way: str) -> GradientSize:
    with Emulator(seed=1) as emulator:
        code = f"import json; from {__name__} import measured"
        call = f"print(json.dumps(measured({emulator.url!r}, {samples}, {way!r})))"
        child = [sys.executable, "-c", f"{code}; {call}"]
        done = subprocess.run(child, check=True, capture_output=True)  # noqa: S603
    return GradientSize(*json.loads(done.stdout))
