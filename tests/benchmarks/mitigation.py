"""Print the errors of expectation values with and without mitigation, on the noisy emulator.

Run: ``python tests/benchmarks/mitigation.py``, some minutes. Every number is a mean over 20 seeds
with its standard error; a seed is that of the emulator's shots and, with ``machine_noise``, of the
machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml

import pennylane_qstore as qstore

SEEDS = 20
Circuit = Callable[[], None]


def ghz() -> None:
    """Prepare a GHZ state by a chain of 6 CNOTs."""
    qml.Hadamard(0)
    for k in range(6):
        qml.CNOT([k, k + 1])


def trotter() -> None:
    """Evolve 4 spins of a transverse-field Ising chain for two Trotter steps."""
    for _ in range(2):
        for k in range(3):
            qml.IsingZZ(0.8, [k, k + 1])
        for k in range(4):
            qml.RX(0.5, k)


def layers() -> None:
    """Apply two strongly entangling layers to 4 wires."""
    weights = np.random.default_rng(3).uniform(0, 2 * np.pi, (2, 4, 3))
    qml.StronglyEntanglingLayers(weights, wires=range(4))


CIRCUITS: dict[str, tuple[Circuit, int]] = {
    "GHZ chain, 6 CNOTs": (ghz, 7),
    "Trotter, 2 steps, 4 spins": (trotter, 4),
    "StronglyEntanglingLayers, 2 layers": (layers, 4),
}


def qnode(circuit: Circuit, observables: list[Any], device: Any, shots: int | None = None) -> Any:
    """Return a QNode of a circuit's expectation values."""

    @qml.qnode(device, shots=shots)
    def values() -> Any:
        circuit()
        return [qml.expval(op) for op in observables]

    return values


def device(wires: int, seed: int, **options: Any) -> Any:
    """Return a device with forte-1's noise that sends every gate of the circuit."""
    return qml.device(
        "qstore.ionq", wires=wires, noise_model="forte-1", absorb=False, seed=seed, **options
    )


def exact(circuit: Circuit, observables: list[Any]) -> np.ndarray:
    """Return the expectation values without noise."""
    return np.array(qnode(circuit, observables, qml.device("default.qubit"))())


def zne_errors(name: str, method: str, shots: int = 500_000) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of ⟨ZZ⟩ of the outer wires [seeds], without and with extrapolation."""
    circuit, wires = CIRCUITS[name]
    observables = [qml.Z(0) @ qml.Z(wires - 1 if circuit is ghz else 1)]
    wanted = exact(circuit, observables)
    raw, extrapolated = [], []
    for seed in range(SEEDS):
        plain = qnode(circuit, observables, device(wires, seed), shots)
        raw.append(np.array(plain())[0] - wanted[0])
        extrapolated.append(np.array(qstore.zne(plain, extrapolate=method)())[0] - wanted[0])
    return np.array(raw), np.array(extrapolated)


def mean_errors(
    name: str,
    noise: dict[str, Any],
    symmetrize: bool,
    mitigate: Callable[[Any], Any],
    rows: int = 64,
    shots: int = 4_000,
) -> np.ndarray:
    """Return the root mean square over wires of the error of ⟨Z⟩, meant over rows [seeds]."""
    circuit, wires = CIRCUITS[name]
    observables = [qml.Z(k) for k in range(wires)]
    wanted = exact(circuit, observables)
    errors = []
    for seed in range(SEEDS):
        dev = device(
            wires,
            seed,
            symmetrize=symmetrize,
            emulator={"machine_noise": noise | {"seed": seed}},
        )
        values = mitigate(qnode(circuit, observables, dev, shots))
        with qstore.deferred():
            results = [values() for _ in range(rows)]
        errors.append(np.mean(np.array(results, dtype=float), axis=0) - wanted)
    return np.asarray(np.sqrt(np.mean(np.square(errors), axis=1)))


def shown(errors: np.ndarray) -> str:
    """Return the mean size of errors with its standard error."""
    sizes = np.abs(errors)
    return f"{sizes.mean():.4f} ± {sizes.std(ddof=1) / np.sqrt(len(sizes)):.4f}"


METHODS = ("linear", "richardson", "exponential")
READOUT: dict[str, Any] = {"readout": (0.005, 0.02)}
EVEN, EITHER = {"over_rotation": (0.01, 0.03)}, {"over_rotation": (-0.03, 0.03)}
QUIET = {"one_qubit": 0, "two_qubit": 0}
NOISES: list[dict[str, Any]] = [
    READOUT | EVEN,
    READOUT | EITHER,
    READOUT | EVEN | QUIET,
    READOUT | EITHER | QUIET,
]
WAYS: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "as it is": (False, lambda values: values),
    "symmetrized": (True, lambda values: values),
    "corrected": (False, qstore.correct_readout),
    "symmetrized, corrected": (True, qstore.correct_readout),
    "symmetrized, corrected, zne": (
        True,
        lambda values: qstore.zne(qstore.correct_readout(values)),
    ),
}


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("zne", "symmetrize"))
    only = parser.parse_args().only
    for name in CIRCUITS:
        for method in METHODS if only != "symmetrize" else ():
            raw, better = zne_errors(name, method)
            print(f"{name}, zne {method}: {shown(raw)} -> {shown(better)}", flush=True)
        for noise in NOISES if only != "zne" else ():
            for way, (symmetrize, mitigate) in WAYS.items():
                errors = mean_errors(name, noise, symmetrize, mitigate)
                print(f"{name}, {noise}, {way}: {shown(errors)}", flush=True)


if __name__ == "__main__":
    main()
