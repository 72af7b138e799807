"""Circuits that compilers are compared on: ansaetze, feature maps, algorithms; or OpenQASM files.

Every circuit of an ansatz has random parameters within ±3, the same ones every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.native.frontend.json_circuit import tape_from_json
from pennylane_qstore.server.errors import BadRequest, Preflight
from pennylane_qstore.server.inputs.qasm import read_qasm

MAX_QUBITS = 12
"""Most qubits of a circuit that is verified."""
_GATES = {
    *("RX", "RY", "RZ", "Hadamard", "PauliX", "PauliY", "PauliZ", "S", "T", "Adjoint(S)"),
    *("Adjoint(T)", "CNOT", "CZ", "SWAP", "GlobalPhase", "Identity"),
}
_QELIB = """
gate cu1(l) a, b { cp(l) a, b; }
gate cu3(t, p, l) a, b {
  p((l + p) / 2) a; p((l - p) / 2) b; cx a, b;
  u3(-t / 2, 0, -(p + l) / 2) b; cx a, b; u3(t / 2, p, 0) b;
}
"""
"""Gates of OpenQASM 2's ``qelib1.inc`` that OpenQASM 3 has no longer."""


class Circuit(NamedTuple):
    """A circuit on wires 0 to n - 1, all of which are measured.

    Attributes:
        name: for the table.
        tape: as a user writes it. What is not trainable are constants to a device.
    """

    name: str
    tape: QuantumScript

    @property
    def elementary(self) -> QuantumScript:
        """The same in one-qubit gates, CNOT, CZ and SWAP: the input of every compiler."""
        (made,), _ = qml.transforms.decompose(self.tape, gate_set=_GATES)
        kept = [op for op in made.operations if op.name not in ("GlobalPhase", "Identity")]
        return QuantumScript(kept, self.tape.measurements)


def default_circuits() -> list[Circuit]:
    """Return ansaetze, feature maps, chemistry, time evolution and algorithms, 4 to 10 qubits."""
    rng = np.random.default_rng
    with QueuingManager.stop_recording():
        trained = {name: make(rng(7)) for name, make in _TRAINED.items()}
        fixed = {name: make(rng(7)) for name, make in _FIXED.items()}
    made = [_circuit(name, ops, trained=True) for name, ops in trained.items()]
    return made + [_circuit(name, ops, trained=False) for name, ops in fixed.items()]


def read_circuits(folder: Path) -> list[Circuit]:
    """Read the OpenQASM 2 files of a folder.

    With pennylane-qiskit, PennyLane reads them; without it the emulator's reader does, which
    needs the extra ``qasm``.

    Args:
        folder: of files ``*.qasm``.

    Returns:
        A circuit of each file, in the order of their names.

    Raises:
        ConfigurationError: there is none, or one cannot be read, measures midway, or is on more
            qubits than can be verified.
    """
    paths = sorted(folder.glob("*.qasm"))
    if not paths:
        raise ConfigurationError(f"There is no file *.qasm in {folder}. Give a folder of them.")
    return [_circuit(path.stem, _operations(path), trained=False) for path in paths]


def _operations(path: Path) -> list[Any]:
    try:
        operations = _read(path.read_text(encoding="utf-8"))
    except (Preflight, BadRequest, QStoreError, OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if midway := [op.name for op in operations if isinstance(op, qml.ops.MidMeasure)]:
        raise _unreadable(path, f"it has {len(midway)} measurements before its end")
    wires = len(QuantumScript(operations).wires)
    if not 1 <= wires <= MAX_QUBITS:
        raise _unreadable(
            path, f"it has gates on {wires} qubits, and 1 to {MAX_QUBITS} are allowed"
        )
    return operations


def _unreadable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be compared: {reason}. Correct it, or take it out of the folder."
    )


def _read(text: str) -> list[Any]:
    if "OPENQASM 2.0;" not in text:
        raise ValueError("it does not begin with OPENQASM 2.0;")
    return _by_pennylane(text) if find_spec("pennylane_qiskit") else _by_emulator(text)


def _by_pennylane(text: str) -> list[Any]:
    try:
        with QueuingManager.stop_recording():
            return list(qml.tape.make_qscript(qml.from_qasm(text, measurements=[]))().operations)
    except Exception as error:  # Qiskit's parser has errors of its own
        raise ValueError(f"it is no OpenQASM 2 ({error})") from error


def _by_emulator(text: str) -> list[Any]:
    head, _, body = text.partition("OPENQASM 2.0;")
    body = body.replace('include "qelib1.inc";', 'include "stdgates.inc";' + _QELIB)
    return list(tape_from_json(read_qasm(f"{head}OPENQASM 3.0;{body}")).operations)


def _circuit(name: str, operations: list[Any], *, trained: bool) -> Circuit:
    wires = sorted(QuantumScript(operations).wires)
    tape = QuantumScript(operations, [qml.probs(wires=wires)])
    (tape,), _ = qml.map_wires(tape, {wire: i for i, wire in enumerate(wires)})
    if not trained:
        tape.trainable_params = []
    return Circuit(name, tape)


def _angles(rng: np.random.Generator, shape: Any) -> NDArray[np.float64]:
    return np.asarray(rng.uniform(-3, 3, shape))


def _layers(template: Any, wires: int, layers: int) -> Callable[[np.random.Generator], list[Any]]:
    shape = template.shape(n_layers=layers, n_wires=wires)
    return lambda rng: [template(_angles(rng, shape), wires=range(wires))]


def _hardware_efficient(wires: int, layers: int) -> Callable[[np.random.Generator], list[Any]]:
    def make(rng: np.random.Generator) -> list[Any]:
        ops: list[Any] = []
        for _ in range(layers):
            ops += [qml.RY(rng.uniform(-3, 3), q) for q in range(wires)]
            ops += [qml.CNOT([q, (q + 1) % wires]) for q in range(wires)]
        return ops

    return make


def _two_local(rng: np.random.Generator) -> list[Any]:
    ops: list[Any] = [qml.RY(rng.uniform(-3, 3), q) for q in range(6)]
    for _ in range(3):
        ops += [qml.CNOT([a, b]) for a in range(6) for b in range(a + 1, 6)]
        ops += [qml.RY(rng.uniform(-3, 3), q) for q in range(6)]
    return ops


def _qaoa(wires: int) -> Callable[[np.random.Generator], list[Any]]:
    def make(rng: np.random.Generator) -> list[Any]:
        ops: list[Any] = [qml.Hadamard(q) for q in range(wires)]
        edges = {tuple(sorted((q, (q + step) % wires))) for q in range(wires) for step in (1, 3)}
        for _ in range(2):
            gamma, beta = _angles(rng, 2)
            ops += [qml.IsingZZ(gamma, edge) for edge in sorted(edges)]
            ops += [qml.RX(beta, q) for q in range(wires)]
        return ops

    return make


def _reuploading(rng: np.random.Generator) -> list[Any]:
    x, ops = _angles(rng, 4), []
    for weights in _angles(rng, (3, 4, 3)):
        ops += [qml.AngleEmbedding(x, wires=range(4)), *map(_rot, weights, range(4))]
        ops += [qml.CNOT([q, (q + 1) % 4]) for q in range(4)]
    return ops


def _rot(angles: NDArray[np.float64], wire: int) -> Any:
    return qml.Rot(*angles, wires=wire)


def _uccsd(electrons: int, wires: int) -> Callable[[np.random.Generator], list[Any]]:
    def make(rng: np.random.Generator) -> list[Any]:
        singles, doubles = qml.qchem.excitations(electrons, wires)
        s_wires, d_wires = qml.qchem.excitations_to_wires(singles, doubles)
        state = qml.qchem.hf_state(electrons, wires)
        weights = _angles(rng, len(singles) + len(doubles))
        return [qml.UCCSD(weights, range(wires), s_wires, d_wires, init_state=state)]

    return make


def _heisenberg(rng: np.random.Generator) -> list[Any]:
    terms = [p(q) @ p(q + 1) for q in range(5) for p in (qml.X, qml.Y, qml.Z)]
    hamiltonian = qml.dot([1.0] * len(terms), terms) + qml.dot([0.5] * 6, [*map(qml.Z, range(6))])
    return [qml.X(1), qml.X(3), qml.X(5), qml.TrotterProduct(hamiltonian, 0.7, n=2, order=2)]


def _ising(rng: np.random.Generator) -> list[Any]:
    terms = [qml.Z(q) @ qml.Z(q + 1) for q in range(7)] + [qml.X(q) for q in range(8)]
    return [qml.ApproxTimeEvolution(qml.dot([1.0] * 7 + [0.6] * 8, terms), 0.9, 3)]


def _w_state(rng: np.random.Generator) -> list[Any]:
    ops: list[Any] = [qml.X(0)]
    for q in range(7):
        ops += [qml.CRY(2 * float(np.arccos((8 - q) ** -0.5)), [q, q + 1]), qml.CNOT([q + 1, q])]
    return ops


def _phase_estimation(rng: np.random.Generator) -> list[Any]:
    unitary = qml.PhaseShift(2.1, 4)
    return [qml.X(4), qml.QuantumPhaseEstimation(unitary, estimation_wires=range(4))]


def _grover(rng: np.random.Generator) -> list[Any]:
    ops: list[Any] = [qml.Hadamard(q) for q in range(4)]
    for _ in range(2):
        ops += [qml.ctrl(qml.Z(3), control=[0, 1, 2], control_values=[1, 0, 1])]
        ops += [qml.GroverOperator(range(4))]
    return ops


def _toffolis(rng: np.random.Generator) -> list[Any]:
    ops: list[Any] = []
    for _ in range(5):
        a, b, c = (int(q) for q in rng.permutation(5)[:3])
        ops += [qml.Toffoli([a, b, c]), qml.CNOT([c, a])]
    return ops


def _clifford_and_t(rng: np.random.Generator) -> list[Any]:
    ops: list[Any] = []
    for _ in range(80):
        a, b = (int(q) for q in rng.permutation(5)[:2])
        ops.append((qml.CNOT([a, b]), qml.Hadamard(a), qml.T(a), qml.S(b))[int(rng.integers(4))])
    return ops


def _random_pairs(rng: np.random.Generator) -> list[Any]:
    ops: list[Any] = []
    for _ in range(4):
        on = rng.permutation(6).tolist()
        for pair in (on[:2], on[2:4], on[4:]):
            z = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
            ops.append(qml.QubitUnitary(np.linalg.qr(z)[0], pair))
    return ops


_Make = Callable[[np.random.Generator], list[Any]]
_TRAINED: Mapping[str, _Make] = {
    "strongly entangling 4q 2L": _layers(qml.StronglyEntanglingLayers, 4, 2),
    "strongly entangling 8q 2L": _layers(qml.StronglyEntanglingLayers, 8, 2),
    "strongly entangling 10q 3L": _layers(qml.StronglyEntanglingLayers, 10, 3),
    "basic entangler 6q 3L": _layers(qml.BasicEntanglerLayers, 6, 3),
    "hardware efficient 4q 4L": _hardware_efficient(4, 4),
    "hardware efficient 8q 2L": _hardware_efficient(8, 2),
    "two-local, all pairs 6q 3L": _two_local,
    "QAOA 6q 2L": _qaoa(6),
    "QAOA 10q 2L": _qaoa(10),
    "re-uploading 4q 3L": _reuploading,
    "IQP feature map 6q": lambda rng: [qml.IQPEmbedding(_angles(rng, 6), range(6), n_repeats=2)],
    "UCCSD 4q": _uccsd(2, 4),
    "UCCSD 6q": _uccsd(2, 6),
    "gate fabric 4q": lambda rng: [
        qml.GateFabric(_angles(rng, (2, 1, 2)), range(4), np.array([1, 1, 0, 0]), True)
    ],
}
"""Circuits whose numbers are parameters."""
_FIXED: Mapping[str, _Make] = {
    "Heisenberg Trotter 6q": _heisenberg,
    "Ising Trotter 8q": _ising,
    "QFT 6q": lambda rng: [qml.QFT(range(6))],
    "QFT 8q": lambda rng: [qml.QFT(range(8))],
    "phase estimation 5q": _phase_estimation,
    "W state 8q": _w_state,
    "GHZ 10q": lambda rng: [qml.Hadamard(0), *(qml.CNOT([q, q + 1]) for q in range(9))],
    "Grover 4q": _grover,
    "Toffolis 5q": _toffolis,
    "Clifford and T 5q": _clifford_and_t,
    "random pairs 6q": _random_pairs,
}
"""Circuits whose numbers are constants."""
