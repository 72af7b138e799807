"""Qubits, native gates, limits, timing and noise of every IonQ backend.

Figures are IonQ's published ones: the guide "Simulation with noise models" for the
depolarizing rates, the backend and characterization pages for qubits, gate times and
fidelities. They serve to check jobs before anything is sent, to estimate durations, and to
emulate; where the service gives figures of its own, those are used instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.validation import check_known

MAX_CIRCUITS = 5_000
"""Circuits in one multi-circuit job."""
MAX_GATES = 150_000
"""Gates, summed over the circuits of one multi-circuit job."""
MAX_BODY_BYTES = 10_000_000
"""Bytes of one POST; IonQ says "10MB", the smaller reading is safe."""
MAX_QUBITS = 64
"""Qubits of one circuit: more than any machine has; outcomes are kept as uint64."""
MAX_SHOTS = 1_000_000
"""Shots of one job."""
DEBIASING_MIN_SHOTS = 500
"""Debiasing needs at least this many shots."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Depolarizing noise after every gate, as IonQ's simulator applies it.

    Args:
        name: as sent in ``noise.model``.
        r1: rate of the one-qubit channel, ρ → (1-r1) ρ + r1 I/2.
        r2: rate of the two-qubit channel, ρ → (1-r2) ρ + r2 I/4.
        qubits: most qubits the model takes.
        native_gates: native gates of the machine it models.
    """

    name: str
    r1: float
    r2: float
    qubits: int
    native_gates: tuple[str, ...]


_MS = ("gpi", "gpi2", "ms")
_ZZ = ("gpi", "gpi2", "zz")

NOISE_MODELS: Mapping[str, NoiseModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            NoiseModel("ideal", 0.0, 0.0, 29, tuple(NATIVE)),
            NoiseModel("aria-1", 0.0005, 0.0133, 25, _MS),
            NoiseModel("aria-2", 0.0006573333333333332, 0.01856, 25, _MS),
            NoiseModel("forte-1", 0.0002666666666666667, 0.004949333333333333, 29, _ZZ),
        )
    }
)
"""Models with published parameters. Others are refused: their rates are not known."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds: one- and two-qubit gates, reset, readout, coherence."""

    one_qubit_s: float
    two_qubit_s: float
    reset_s: float
    readout_s: float
    t1_s: float
    t2_s: float


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Median fidelities of one- and two-qubit gates and of preparation and readout."""

    one_qubit: float
    two_qubit: float
    spam: float


@dataclass(frozen=True, slots=True)
class Backend:
    """One machine or simulator.

    Args:
        name: IonQ's id, as sent in ``backend``.
        qubits: number of qubits.
        native_gates: names accepted with ``gateset: native``.
        noise: noise model by which the emulator simulates the machine.
        timing: published durations, ``None`` for the simulator.
        fidelity: published fidelities, ``None`` for the simulator.
        error_mitigations: names accepted in ``settings.error_mitigation``.
        retired: True where IonQ takes no jobs for it any more.
    """

    name: str
    qubits: int
    native_gates: tuple[str, ...]
    noise: str = "ideal"
    timing: Timing | None = None
    fidelity: Fidelity | None = None
    error_mitigations: tuple[str, ...] = field(default=())
    retired: bool = False

    @property
    def is_qpu(self) -> bool:
        """True for a quantum computer, which costs money."""
        return self.name.startswith("qpu")


ARIA_TIMING = Timing(135e-6, 600e-6, 20e-6, 300e-6, 100.0, 1.0)
FORTE_TIMING = Timing(63e-6, 650e-6, 50e-6, 150e-6, 100.0, 1.0)
"""Published gate times of both families of machines."""
_DEBIAS = ("debiasing", "symmetry_verification")

_ARIA_FIDELITY = Fidelity(0.9995, 0.996, 0.9961)
_FORTE_FIDELITY = Fidelity(0.9998, 0.993, 0.9962)

BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        backend.name: backend
        for backend in (
            Backend("simulator", 29, tuple(NATIVE)),
            *(
                Backend(f"qpu.{name}", 25, _MS, name, ARIA_TIMING, _ARIA_FIDELITY, _DEBIAS, retired)
                for name, retired in (("aria-1", False), ("aria-2", True))
            ),
            *(
                Backend(name, 36, _ZZ, "forte-1", FORTE_TIMING, _FORTE_FIDELITY, _DEBIAS)
                for name in ("qpu.forte-1", "qpu.forte-enterprise-1")
            ),
        )
    }
)
"""Backends by id."""


def backend(name: str) -> Backend:
    """Return the backend of an id.

    Raises:
        ConfigurationError: the id is not one of IonQ's; the message names the nearest.
    """
    check_known("backend", name, BACKENDS)
    return BACKENDS[name]


def noise_model(name: str) -> NoiseModel:
    """Return the noise model of a name.

    Raises:
        ConfigurationError: no published model has the name; the message names the nearest.
    """
    check_known("noise model", name, NOISE_MODELS)
    return NOISE_MODELS[name]
