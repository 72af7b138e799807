"""Jobs that give a number instead of a histogram: ``quantum-function`` and ``qctrl.qaoa.v1``.

Each is read into circuits, which run like any others, and a function of what they gave. IonQ
does not publish how constraints are weighed, so a penalty is refused; Q-CTRL does not publish
its optimizer, so here one layer of QAOA is run on a grid of angles and the best outcome wins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.server.errors import BadRequest, Preflight
from pennylane_qstore.server.inputs.qasm import read_qasm

FUNCTION, QAOA = "quantum-function", "qctrl.qaoa.v1"
QAOA_CIRCUIT = "qctrl.qaoa-circuit.v1"
"""The type of a QAOA job's children."""
_ANGLES = 6
"""Values of each of the two angles of QAOA's layer."""
_SPARSE = re.compile(r"([IXYZ])(\d{1,3})")
_Letters = dict[int, str]


class Outcomes(Protocol):
    """The result of a circuit: outcomes and their probabilities (or counts, with shots)."""

    @property
    def states(self) -> NDArray[np.uint64]:
        """Outcomes, shape [K]; bit k is qubit k."""

    @property
    def weights(self) -> NDArray[np.float64] | NDArray[np.int64]:
        """Probabilities or counts, shape [K]."""

    @property
    def shots(self) -> int | None:
        """Number of shots, None where the probabilities are exact."""


Reduce = Callable[[Sequence[Outcomes], int], dict[str, Any]]
"""A job's ``results`` from its circuits' and the number of shots."""


class Hybrid(NamedTuple):
    """Circuits in IonQ's JSON, and the function of their results that is the job's result."""

    circuits: list[Any]
    reduce: Reduce | None = None


class _Measured(NamedTuple):
    """Terms that one circuit measures: its basis, and coefficient and qubits of each term."""

    basis: _Letters
    terms: list[tuple[float, int]]


def read_function(source: Mapping[str, Any]) -> Hybrid:
    """Read the ``input`` of a ``quantum-function``: the energy of an ansatz.

    Pauli strings are dense (``"IZ"``, the last letter acts on qubit 0) or sparse (``"Z0 Z1"``);
    those of identities only are ignored, as IonQ ignores them.

    Raises:
        BadRequest: the input does not have the form.
        Preflight: a part is not valid, or not emulated; the message says which.
    """
    outer = source.get("data")
    if not isinstance(outer, dict) or outer.get("type") != "hamiltonian-energy":
        raise BadRequest('"input.data.type" must be [hamiltonian-energy].', keys=["input.data"])
    data = outer.get("data")
    ansatz = data.get("ansatz") if isinstance(data, dict) else None
    text = ansatz.get("data") if isinstance(ansatz, dict) else None
    if not isinstance(data, dict) or not isinstance(text, str):
        raise BadRequest('"input.data.data.ansatz.data" must be OpenQASM 3 text.', keys=["input"])
    params = source.get("params")
    circuit = read_qasm(text, _numbers([] if params is None else params, "params"))
    constrained = data.get("linear_constraints") or data.get("quadratic_constraints")
    if constrained and data.get("penalty"):
        raise Preflight('"penalty" of constraints is not emulated.', keys=["input.data"])
    if circuit["recorded"]:
        raise Preflight('"ansatz" must not measure or reset on the way.', keys=["input.data"])
    groups = _groups(_hamiltonian(data.get("hamiltonian"), circuit["qubits"]))
    alpha = data.get("cvar_alpha")
    if alpha is not None:
        (alpha,) = _numbers([alpha], "cvar_alpha")
        if not 0 < alpha <= 1 or len(groups) > 1:
            raise Preflight(
                '"cvar_alpha" must be in (0, 1], for terms that one basis measures.',
                keys=["input.data"],
            )

    def reduce(results: Sequence[Outcomes], _: int) -> dict[str, Any]:
        value = variance = 0.0
        for group, result in zip(groups, results, strict=True):
            energies = sum(c * _parity(result.states, mask) for c, mask in group.terms)
            energies = np.broadcast_to(energies, result.states.shape)
            weights = result.weights / result.weights.sum()
            mean = float(weights @ energies)
            value += mean if alpha is None else _tail(energies, weights, alpha)
            variance += float(weights @ np.square(energies - mean))
        return {"value": value, "variance": variance}

    return Hybrid([_measuring(circuit, group.basis) for group in groups], reduce)


def read_maxcut(source: Mapping[str, Any]) -> Hybrid:
    """Read the ``input`` of a ``qctrl.qaoa.v1`` job: a graph to cut, as NetworkX writes it.

    Raises:
        BadRequest: a part is not valid; the message says which.
    """
    if source.get("problem_type") != "maxcut":
        raise BadRequest('"input.problem_type" must be [maxcut].', keys=["input.problem_type"])
    nodes, edges = _graph(source.get("problem"))
    circuits = []
    for k in range(_ANGLES**2):
        gamma = math.pi * (k // _ANGLES + 0.5) / _ANGLES
        beta = math.pi / 2 * (k % _ANGLES + 0.5) / _ANGLES
        gates: list[dict[str, Any]] = [{"gate": "h", "target": q} for q in range(nodes)]
        gates += [
            {"gate": "zz", "targets": list(edge), "rotation": gamma * weight}
            for edge, weight in edges.items()
        ]
        gates += [{"gate": "rx", "target": q, "rotation": 2 * beta} for q in range(nodes)]
        circuits.append({"circuit": gates, "qubits": nodes})

    def reduce(results: Sequence[Outcomes], shots: int) -> dict[str, Any]:
        states = np.unique(
            np.concatenate([_seen(result, shots, k) for k, result in enumerate(results)])
        )
        cut = np.zeros(len(states))
        for (a, b), weight in edges.items():
            cut += weight * (1 - _parity(states, 1 << a | 1 << b)) / 2
        best = int(np.argmax(cut))
        bits = "".join(str(int(states[best]) >> node & 1) for node in range(nodes))
        return {
            "qaoa_results": {
                "optimal_cost": -float(cut[best]),
                "optimal_bitstring": bits,
                "processing_status": "complete",
            }
        }

    return Hybrid(circuits, reduce)


def _numbers(value: Any, name: str) -> list[float]:
    if not isinstance(value, list) or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value
    ):
        raise BadRequest(f'"{name}" must hold finite numbers.', keys=["input"])
    return [float(v) for v in value]


def _hamiltonian(value: Any, qubits: int) -> list[tuple[float, _Letters]]:
    if not isinstance(value, list) or not value:
        raise BadRequest('"hamiltonian" must be a non-empty array of terms.', keys=["input.data"])
    terms = []
    for term in value:
        text = term.get("pauli_string") if isinstance(term, dict) else None
        if not isinstance(text, str):
            raise BadRequest('"pauli_string" must be a string.', keys=["input.data"])
        (coefficient,) = _numbers([term.get("coefficient")], "coefficient")
        terms.append((coefficient, _letters(text, qubits)))
    return terms


def _letters(text: str, qubits: int) -> _Letters:
    """Return qubit and letter of a Pauli string, without identities."""
    if set(text) <= set("IXYZ"):
        pairs = list(enumerate(text[::-1]))
        valid = len(text) == qubits
    else:
        words = [_SPARSE.fullmatch(word) for word in text.split()]
        pairs = [(int(word[2]), word[1]) for word in words if word is not None]
        valid = len(pairs) == len(words)
    letters = dict(pairs)
    if not valid or len(letters) < len(pairs) or any(qubit >= qubits for qubit in letters):
        raise Preflight(
            f'"pauli_string" {text!r} must be {qubits} letters of I, X, Y, Z, or letters with '
            "different qubits (Z0 Z1).",
            keys=["input.data"],
        )
    return {qubit: letter for qubit, letter in letters.items() if letter != "I"}


def _groups(terms: list[tuple[float, _Letters]]) -> list[_Measured]:
    """Share terms out over bases, first come first served; at least one basis."""
    groups: list[_Measured] = []
    for coefficient, letters in terms:
        if not letters:
            continue
        for group in groups:
            if all(group.basis.get(q, letter) == letter for q, letter in letters.items()):
                break
        else:
            group = _Measured({}, [])
            groups.append(group)
        group.basis.update(letters)
        group.terms.append((coefficient, sum(1 << qubit for qubit in letters)))
    return groups or [_Measured({}, [])]


def _measuring(circuit: Mapping[str, Any], basis: _Letters) -> dict[str, Any]:
    """Return the circuit with the basis turned to Z at its end."""
    native = circuit["gateset"] == "native"
    turns: dict[str, dict[str, Any]] = {
        "X": {"gate": "gpi2", "phase": -0.25} if native else {"gate": "h"},
        "Y": {"gate": "gpi2", "phase": 0.0} if native else {"gate": "rx", "rotation": math.pi / 2},
    }
    rotations = [turns[letter] | {"target": q} for q, letter in basis.items() if letter != "Z"]
    return {
        "circuit": [*circuit["circuit"], *rotations],
        "gateset": circuit["gateset"],
        "qubits": circuit["qubits"],
    }


def _parity(states: NDArray[np.uint64], mask: int) -> NDArray[np.float64]:
    """Return the eigenvalue (+1 or -1) of Z on the qubits of the mask, shape [K]."""
    odd: NDArray[np.float64] = (np.bitwise_count(states & np.uint64(mask)) % 2).astype(np.float64)
    return 1.0 - 2.0 * odd


def _tail(energies: NDArray[np.float64], weights: NDArray[np.float64], alpha: float) -> float:
    """Return the mean of the lowest energies of weight ``alpha`` (conditional value at risk)."""
    order = np.argsort(energies, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    share = np.clip(alpha - before, 0.0, weights[order])
    return float(share @ energies[order] / share.sum())


def _graph(problem: Any) -> tuple[int, dict[tuple[int, int], float]]:
    """Return the number of nodes, and the weights of the edges."""
    bad = BadRequest(
        '"input.problem" must be a NetworkX adjacency graph, undirected, without parallel edges.',
        keys=["input.problem"],
    )
    try:
        nodes = problem["nodes"]
        place = {repr(node.get("id")): k for k, node in enumerate(nodes)}
        edges: dict[tuple[int, int], float] = {}
        for a, neighbours in zip(range(len(nodes)), problem["adjacency"], strict=True):
            for neighbour in neighbours:
                b = place[repr(neighbour.get("id"))]
                (weight,) = _numbers([neighbour.get("weight", 1)], "weight")
                if a != b:
                    edges[min(a, b), max(a, b)] = weight
        plain = not (problem.get("directed") or problem.get("multigraph"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise bad from None
    if not plain or not nodes or len(place) != len(nodes):
        raise bad
    return len(nodes), edges


def _seen(result: Outcomes, shots: int, k: int) -> NDArray[np.uint64]:
    """Return the outcomes of so many shots; exact probabilities are sampled."""
    if result.shots is not None:
        return result.states
    weights = result.weights / result.weights.sum()
    counts = np.random.default_rng([k, shots]).multinomial(shots, weights)
    return result.states[counts > 0]
