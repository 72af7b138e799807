"""Qubits, native gates, limits, timing and noise of every IonQ backend.

Figures are IonQ's published ones: the guide "Simulation with noise models" for the
depolarizing rates, the backend and characterization pages for qubits, gate times and
fidelities. They serve to check jobs before anything is sent, to estimate durations, and to
emulate; where the service gives figures of its own, those are used instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from pennylane_qstore.characterization import Characterization
from pennylane_qstore.gateset import ENTANGLERS, NATIVE
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


class JobLimits(NamedTuple):
    """The limits of the jobs of a device.

    Attributes:
        circuits: most circuits of a job.
        fewest_shots: of a job.
        mitigated: True where jobs of enough shots are debiased.
    """

    circuits: int
    fewest_shots: int
    mitigated: bool


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

    def compute_s(self, n_1q: float, n_2q: float, circuits: int, shots: int) -> float:
        """Return the quantum compute time of a job.

        Args:
            n_1q: one-qubit gates, summed over circuits.
            n_2q: two-qubit gates, summed over circuits.
            circuits: number of circuits.
            shots: of each circuit.

        Returns:
            Seconds: gates one after the other, and reset and readout once per shot.
        """
        gates_s = n_1q * self.one_qubit_s + n_2q * self.two_qubit_s
        return shots * (gates_s + circuits * (self.reset_s + self.readout_s))


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
        noise: noise model by which the emulator simulates the machine; empty where none is known.
        timing: published durations, ``None`` where there are none.
        fidelity: published fidelities, ``None`` where there are none.
        error_mitigations: names accepted in ``settings.error_mitigation``.
        retired: True where IonQ takes no jobs for it any more.
        all_to_all: False where some pairs of qubits have no two-qubit gate; nothing is routed here.
    """

    name: str
    qubits: int
    native_gates: tuple[str, ...]
    noise: str = "ideal"
    timing: Timing | None = None
    fidelity: Fidelity | None = None
    error_mitigations: tuple[str, ...] = field(default=())
    retired: bool = False
    all_to_all: bool = True

    @property
    def qasm_only(self) -> bool:
        """True where a job is one circuit in OpenQASM 3."""
        return takes_qasm_only(self.name)

    @property
    def takes_native(self) -> bool:
        """True where the compiler here has native gates for the machine."""
        if self.qasm_only:
            return False
        has_pulses = {"gpi", "gpi2"} <= set(self.native_gates)
        return self.all_to_all and has_pulses and not set(ENTANGLERS).isdisjoint(self.native_gates)

    @property
    def is_qpu(self) -> bool:
        """True for a quantum computer, which costs money."""
        return is_qpu(self.name)

    @property
    def published(self) -> Characterization:
        """The figures of this release, as if the service had told them."""
        figures: dict[str, float] = {}
        for some in (self.timing, self.fidelity):
            figures |= asdict(some) if some is not None else {}
        return Characterization(self.name, "published", self.qubits, None, **figures)


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

QASM_FAMILIES = ("tempo",)
"""Families of machines that take OpenQASM 3 only, for which there are no multi-circuit jobs."""

_described: dict[str, Backend] = {}
"""Machines that this release does not know and a service has described, by id."""


def is_qpu(name: str) -> bool:
    """Tell whether a backend is a quantum computer, which costs money."""
    return name.startswith("qpu")


def is_debiased(backend: str, gateset: str, shots: int, asked: bool | None) -> bool:
    """Tell whether the service debiases a job, which has a higher floor price.

    Args:
        backend: IonQ's id.
        gateset: ``"native"`` or ``"qis"``, for which it is on if nothing is asked for.
        shots: of the job.
        asked: what the job asks for; None for nothing.

    Returns:
        True on a quantum computer, with enough shots, where it is asked for or on by itself.
    """
    wanted = gateset == "qis" if asked is None else asked
    return is_qpu(backend) and shots >= DEBIASING_MIN_SHOTS and wanted


def takes_qasm_only(name: str) -> bool:
    """Tell whether a machine takes OpenQASM 3 alone.

    The service does not say so of its machines; IonQ's own clients go by the family's name too.

    Args:
        name: IonQ's id of a backend.

    Returns:
        True for one of the :data:`QASM_FAMILIES`.
    """
    return name.startswith(tuple(f"qpu.{family}" for family in QASM_FAMILIES))


def backend(name: str) -> Backend:
    """Return the backend of an id.

    Raises:
        ConfigurationError: the id is neither one of this release nor of a machine that a service
            has described; the message names the nearest.
    """
    if name in _described:
        return _described[name]
    check_known("backend", name, BACKENDS)
    return BACKENDS[name]


def described(name: str) -> Backend | None:
    """Return a machine that a service has described; None where none has."""
    return _described.get(name)


def add_described(machine: Backend) -> bool:
    """Let :func:`backend` know a machine in this process, as a service has described it.

    Returns:
        True for a new one; what is known already stays as it is.
    """
    is_new = machine.name not in BACKENDS and machine.name not in _described
    if is_new:
        _described[machine.name] = machine
    return is_new


def noise_model(name: str) -> NoiseModel:
    """Return the noise model of a name.

    Raises:
        ConfigurationError: no published model has the name; the message names the nearest.
    """
    check_known("noise model", name, NOISE_MODELS)
    return NOISE_MODELS[name]
