"""Compile passes: each takes a program or a flow and returns one that does the same, cheaper.

Order, and why:

1. :func:`resynthesise_cnots`: networks of CNOTs alone, while they are still CNOTs.
2. :func:`gather`: neighbours on the same pair become one two-qubit unitary where they are
   constant, and as few interactions as their conjugation allows where they are not.
3. :func:`start_from_zero` and :func:`leave_to_readout` (only when the readout may absorb):
   what the known start and the final measurement make superfluous.
4. :func:`synthesise`: two-qubit unitaries become the fewest interactions.

Passes 3 keep the distribution of outcomes, the others the unitary; all up to a global phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.lower import (
    I2,
    PAULI,
    Bit,
    Block,
    Flow,
    Interaction,
    Local,
    Operation,
    Turn,
    X,
    Z,
    is_constant,
    matrix,
    wires_of,
)
from pennylane_qstore.native.structure import Affine, ComplexArray, FloatArray, Gate, Program
from pennylane_qstore.native.synthesis import (
    CNOT,
    CNOT_REVERSED,
    SWAP,
    before_diagonal,
    cheapest,
    linear_network,
    prepared,
)

_TOL = 1e-10


def resynthesise_cnots(program: Program) -> Program:
    """Replace every region of CNOTs and SWAPs by the shortest network found for it."""
    level = [0] * program.wires
    others: dict[int, list[Gate]] = {}
    regions: dict[int, list[Gate]] = {}
    for gate in program.gates:
        at = max(level[q] for q in gate.wires)
        if gate.name in ("CNOT", "SWAP"):
            regions.setdefault(at, []).append(gate)
        else:
            at += 1
            others.setdefault(at, []).append(gate)
        for q in gate.wires:
            level[q] = at
    gates: list[Gate] = []
    for at in range(max(level, default=0) + 1):
        gates += others.get(at, [])
        for region in _connected(regions.get(at, [])):
            gates += _shortest(region)
    return replace(program, gates=tuple(gates))


def gather(flow: Flow) -> Flow:
    """Merge neighbouring operations on the same pair of wires."""
    operations: list[Operation] = []
    for group in _pairs(flow):
        if isinstance(group, _Pair):
            operations += _merged(group)
        else:
            operations.append(group)
    return replace(flow, operations=tuple(operations))


def synthesise(flow: Flow) -> Flow:
    """Turn every two-qubit unitary into the fewest interactions, SWAPs being free."""
    at = list(range(flow.wires))
    operations: list[Operation] = []
    for op in flow.operations:
        on = tuple(at[q] for q in wires_of(op))
        if isinstance(op, Block):
            form = cheapest(op.matrix)
            operations += form.operations(on[0], on[1])
            if form.swapped:
                at[op.a], at[op.b] = at[op.b], at[op.a]
        else:
            operations.append(_moved(op, on))
    outputs = tuple(Bit(frozenset(at[q] for q in bit.wires), bit.flip) for bit in flow.outputs)
    return Flow(flow.wires, tuple(operations), outputs)


def start_from_zero(flow: Flow) -> Flow:
    """Drop what does nothing to |0…0⟩: controls on |0⟩, rotations about a qubit's own axis."""
    return _Start(flow).run()


def leave_to_readout(flow: Flow) -> Flow:
    """Drop what only relabels outcomes.

    Trailing diagonal operations go, trailing X, CNOT and SWAP (and what conjugates to them)
    become an affine map over GF(2) on the measured bits, and operations outside the light
    cone of what is measured are not kept. ``flow.outputs`` lists the measured wires only.
    """
    while True:
        shorter = _End(flow).run()
        if len(shorter.operations) == len(flow.operations) and shorter.outputs == flow.outputs:
            return shorter
        flow = shorter


# --- CNOT regions --------------------------------------------------------------------------


def _connected(region: Sequence[Gate]) -> list[list[Gate]]:
    """Split a region into parts that share no wire."""
    parts: list[tuple[set[int], list[Gate]]] = []
    for gate in region:
        touching = [part for part in parts if part[0] & set(gate.wires)]
        wires = set(gate.wires).union(*(part[0] for part in touching))
        gates = [g for part in touching for g in part[1]] + [gate]
        parts = [part for part in parts if part not in touching] + [(wires, gates)]
    return [gates for _, gates in parts]


def _shortest(region: list[Gate]) -> list[Gate]:
    wires = sorted({q for gate in region for q in gate.wires})
    if len(wires) < 3:
        return region
    rows = {q: 1 << i for i, q in enumerate(wires)}
    for gate in region:
        a, b = gate.wires
        if gate.name == "SWAP":
            rows[a], rows[b] = rows[b], rows[a]
        else:
            rows[b] ^= rows[a]
    network, where = linear_network([rows[q] for q in wires])
    gates = [Gate("CNOT", (wires[c], wires[t])) for c, t in network]
    if _entanglers(gates) >= _entanglers(region):
        return region
    spots = list(where)
    for i in range(len(wires)):  # outputs back to their wires, by SWAPs that cost nothing
        while spots[i] != i:
            j = spots[i]
            gates.append(Gate("SWAP", (wires[i], wires[j])))
            k = spots.index(i)
            spots[i], spots[k] = i, j
    return gates


def _entanglers(region: Iterable[Gate]) -> int:
    """Entanglers of a CNOT network when neighbours on the same pair merge."""
    total = 0
    last: dict[int, tuple[int, tuple[int, ...]]] = {}
    blocks: list[ComplexArray] = []
    for gate in region:
        a, b = gate.wires
        key = last.get(a)
        if key is None or key != last.get(b):
            blocks.append(np.eye(4, dtype=complex))
            key = (len(blocks) - 1, (a, b))
            last[a] = last[b] = key
        m = SWAP if gate.name == "SWAP" else CNOT if key[1] == (a, b) else CNOT_REVERSED
        blocks[key[0]] = m @ blocks[key[0]]
    for m in blocks:
        total += cheapest(m).cost[0]
    return total


# --- pairs ---------------------------------------------------------------------------------


@dataclass
class _Pair:
    a: int
    b: int
    operations: list[Operation] = field(default_factory=list)


def _pairs(flow: Flow) -> list[_Pair | Local | Turn]:
    """Operations in time order, those of one pair of wires together as long as both agree."""
    items: list[_Pair | Local | Turn] = []
    waiting: dict[int, list[Local | Turn]] = {q: [] for q in range(flow.wires)}
    current: dict[int, _Pair | None] = dict.fromkeys(range(flow.wires))
    for op in flow.operations:
        if isinstance(op, (Local, Turn)):
            pair = current[op.wire]
            (waiting[op.wire] if pair is None else pair.operations).append(op)
            continue
        pair = current[op.a]
        if pair is None or pair is not current[op.b]:
            pair = _Pair(op.a, op.b, [*waiting[op.a], *waiting[op.b]])
            waiting[op.a], waiting[op.b] = [], []
            current[op.a] = current[op.b] = pair
            items.append(pair)
        pair.operations.append(op)
    return [*items, *(op for q in waiting for op in waiting[q])]


def _merged(pair: _Pair) -> list[Operation]:
    entangling = [op for op in pair.operations if isinstance(op, (Interaction, Block))]
    if all(is_constant(op) for op in pair.operations):
        if len(entangling) == 1 and isinstance(entangling[0], Interaction):
            return pair.operations
        return [Block(pair.a, pair.b, _product(pair, pair.operations))]
    direct = _constant_runs(pair)
    if len(entangling) < 2:
        return direct
    pulled = _conjugated(pair)
    return min((direct, pulled), key=_entangling_cost) if pulled is not None else direct


def _entangling_cost(operations: Sequence[Operation]) -> tuple[int, float]:
    count, total = 0, 0.0
    for op in operations:
        if isinstance(op, Block):
            n, angle = cheapest(op.matrix).cost
            count, total = count + n, total + angle
        elif isinstance(op, Interaction):
            wrapped = (op.angle.const + 0.25) % 0.5 - 0.25
            count, total = count + 1, total + (0.125 if op.angle.terms else abs(wrapped))
    return count, total


def _cheaper(one: tuple[int, float], other: tuple[int, float]) -> bool:
    """Fewer entanglers, or as many of less total angle (turns)."""
    return (one[0], one[1] + 1e-6) < other


def _constant_runs(pair: _Pair) -> list[Operation]:
    """The pair's operations with every run of constant ones that entangles twice merged."""
    out: list[Operation] = []
    run: list[Operation] = []

    def close() -> None:
        if sum(isinstance(op, (Interaction, Block)) for op in run) > 1:
            out.append(Block(pair.a, pair.b, _product(pair, run)))
        else:
            out.extend(run)
        run.clear()

    for op in pair.operations:
        if is_constant(op):
            run.append(op)
        else:
            close()
            out.append(op)
    close()
    return out


def _conjugated(pair: _Pair) -> list[Operation] | None:
    """The parametrised operations first, conjugated by the constants that stood before them.

    U = C·Π exp(-i α_j/2 Q_j): each Q_j must be a Pauli axis on one wire or a product of one
    axis on each; None where one is neither (a sum of such products).
    """
    done: ComplexArray = np.eye(4, dtype=complex)
    terms: list[tuple[ComplexArray, Affine]] = []
    for op in pair.operations:
        if is_constant(op):
            done = _on_pair(pair, op) @ done
            continue
        assert isinstance(op, (Turn, Interaction))  # noqa: S101 - parametrised
        generator, angle = np.kron(Z, Z), op.angle.scaled(1.0)
        if isinstance(op, Turn):
            generator = _on_pair(pair, Local(op.wire, PAULI[op.axis]))
            angle = op.angle.scaled(1 / TURN)
        _add_term(terms, done.conj().T @ generator @ done, angle)
    out: list[Operation] = []
    for q, angle in terms:
        axes = _axes(q)
        if axes is None:
            return None
        out += _about(pair, axes, angle)
    return [*out, Block(pair.a, pair.b, done)]


def _add_term(terms: list[tuple[ComplexArray, Affine]], q: ComplexArray, angle: Affine) -> None:
    """Append exp(-iπ angle Q), merged with an earlier one about ±Q if it commutes down to it."""
    for i in range(len(terms) - 1, -1, -1):
        earlier, before = terms[i]
        for sign in (1.0, -1.0):
            if np.abs(q - sign * earlier).max() < _TOL:
                terms[i] = earlier, before.plus(angle.scaled(sign))
                return
        if np.abs(q @ earlier - earlier @ q).max() > _TOL:
            break
    terms.append((q, angle))


def _axes(q: ComplexArray) -> tuple[FloatArray | None, FloatArray | None] | None:
    """Unit axes on a and b of a generator that is their product; None for the identity."""
    paulis = (I2, *PAULI.values())
    weights = np.array([[np.trace(np.kron(p, r) @ q).real / 4 for r in paulis] for p in paulis])
    u, s, vh = np.linalg.svd(weights)
    if s[1] > _TOL:
        return None
    left, right = u[:, 0] * s[0], vh[0]
    if abs(left[0]) > _TOL:
        return None, right[1:] * left[0]
    if abs(right[0]) > _TOL:
        return left[1:] * right[0], None
    return left[1:], right[1:]


def _about(
    pair: _Pair, axes: tuple[FloatArray | None, FloatArray | None], angle: Affine
) -> list[Operation]:
    """exp(-iπ angle Q) as an operation about Z between the rotations of the axes to Z."""
    before: list[Operation] = []
    after: list[Operation] = []
    for wire, axis in zip((pair.a, pair.b), axes, strict=True):
        if axis is not None and (v := _to_z(axis)) is not None:
            before.append(Local(wire, v))
            after.append(Local(wire, v.conj().T))
    middle: Operation = Interaction(pair.a, pair.b, angle)
    if axes[0] is None or axes[1] is None:
        middle = Turn(pair.b if axes[0] is None else pair.a, "z", angle.scaled(TURN))
    return [*before, middle, *after]


def _to_z(axis: FloatArray) -> ComplexArray | None:
    """V with V (n·σ) V† = Z, or None where the axis is Z itself."""
    if axis[2] > 1 - _TOL:
        return None
    if axis[2] < -1 + _TOL:
        return X
    n = axis + np.array([0, 0, 1.0])
    n /= np.linalg.norm(n)
    return np.asarray(n[0] * PAULI["x"] + n[1] * PAULI["y"] + n[2] * PAULI["z"])


def _product(pair: _Pair, operations: Iterable[Operation]) -> ComplexArray:
    total: ComplexArray = np.eye(4, dtype=complex)
    for op in operations:
        total = _on_pair(pair, op) @ total
    return total


def _on_pair(pair: _Pair, op: Operation) -> ComplexArray:
    m = matrix(op)
    on = wires_of(op)
    if len(on) == 1:
        return np.kron(m, I2) if on[0] == pair.a else np.kron(I2, m)
    return m if on == (pair.a, pair.b) else np.asarray(SWAP @ m @ SWAP)


def _moved(op: Operation, on: Sequence[int]) -> Operation:
    if isinstance(op, (Local, Turn)):
        return op._replace(wire=on[0])
    return op._replace(a=on[0], b=on[1])


# --- the known start -----------------------------------------------------------------------


class _Start:
    """Follows each wire's state while it is known and unentangled."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.gate: list[ComplexArray | None] = [I2] * flow.wires  # takes |0⟩ to the state
        self.out: list[Operation] = []

    def run(self) -> Flow:
        for op in self.flow.operations:
            self._take(op)
        for q in range(self.flow.wires):
            self._forget(q)
        return replace(self.flow, operations=tuple(self.out))

    def _take(self, op: Operation) -> None:
        match op:
            case Local(q, m) if (gate := self.gate[q]) is not None:
                self.gate[q] = m @ gate
            case Turn(q, axis, _) if (gate := self.gate[q]) is not None:
                if abs(self._bloch(gate, PAULI[axis])) > 1 - _TOL:
                    return
                self._forget(q)
                self.out.append(op)
            case Interaction(a, b, angle):
                for known, other in ((a, b), (b, a)):
                    gate = self.gate[known]
                    if gate is not None and abs(s := self._bloch(gate, Z)) > 1 - _TOL:
                        turned = angle.scaled(TURN * round(s))
                        if turned.terms:
                            self._take(Turn(other, "z", turned))
                        else:
                            self._take(Local(other, matrix(Turn(other, "z", turned))))
                        return
                self._forget(a)
                self._forget(b)
                self.out.append(op)
            case Block(a, b, m):
                left, right = self.gate[a], self.gate[b]
                if left is not None and right is not None:
                    parts = prepared(m @ np.kron(left[:, 0], right[:, 0]), a, b)
                    # At equal cost the unitary stays as it is: its locals fit what follows.
                    if _cheaper(_entangling_cost(parts), cheapest(m).cost):
                        self.gate[a] = self.gate[b] = I2
                        for part in parts:
                            self._take(part)
                        return
                self._forget(a)
                self._forget(b)
                self.out.append(op)
            case _:
                self.out.append(op)

    def _forget(self, q: int) -> None:
        """From here on the wire's state is not followed; prepare what it was."""
        gate = self.gate[q]
        if gate is not None and abs(gate[1, 0]) > _TOL:
            self.out.append(Local(q, X if abs(gate[0, 0]) < _TOL else gate))
        self.gate[q] = None

    @staticmethod
    def _bloch(gate: ComplexArray, pauli: ComplexArray) -> float:
        state = gate[:, 0]
        return float((state.conj() @ pauli @ state).real)


# --- the final measurement -----------------------------------------------------------------


class _End:
    """Walks back from the measurement, folding what only relabels outcomes."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.tail: list[ComplexArray | None] = [I2] * flow.wires  # constants after, if only those
        self.bits = list(flow.outputs)
        self.out: list[Operation] = []  # in reverse

    def run(self) -> Flow:
        for op in reversed(self.flow.operations):
            self._take(op)
        for q in range(self.flow.wires):
            self._close(q)
        operations = tuple(reversed(self.out))
        touched = {q for op in operations for q in wires_of(op)}
        bits = tuple(Bit(bit.wires & touched, bit.flip) for bit in self.bits)  # untouched: |0⟩
        return Flow(self.flow.wires, operations, bits)

    def _take(self, op: Operation) -> None:
        on = wires_of(op)
        tails = [self.tail[q] for q in on]
        if any(tail is None for tail in tails):
            for q in on:
                self._close(q)
            self.out.append(op)
        elif isinstance(op, Local):
            if self._needed(op.wire):
                self.tail[op.wire] = self._tail(op.wire) @ op.matrix
        elif isinstance(op, Turn):
            if self._needed(op.wire) and not self._is_z(self._axis(op.wire, PAULI[op.axis])):
                self._close(op.wire)
                self.out.append(op)
        elif isinstance(op, Interaction):
            self._take_interaction(op)
        else:
            self._take_block(op)

    def _take_interaction(self, op: Interaction) -> None:
        on = (op.a, op.b)
        needed = [self._needed(q) for q in on]
        axes = [self._axis(q, Z) for q in on]
        z = [not n or self._is_z(axis) for n, axis in zip(needed, axes, strict=True)]
        if all(z) or not any(needed):
            return
        quarter = not op.angle.terms and abs(abs((op.angle.const % 0.5) - 0.25)) < _TOL
        for i, j in ((0, 1), (1, 0)):
            if quarter and z[i] and abs(axes[j][2]) < _TOL:
                sign = (1 if op.angle.const % 1 < 0.5 else -1) * (axes[i][2] if needed[i] else 1)
                self._fold(control=on[i], target=on[j], axis=axes[j], sign=float(np.sign(sign)))
                return
        for q in on:
            self._close(q)
        self.out.append(op)

    def _fold(self, control: int, target: int, axis: FloatArray, sign: float) -> None:
        """exp(-i sign π/4 Z⊗n) at the end, n in the equator, is a CNOT up to locals.

        exp(-i s π/4 Z⊗X) = CNOT · exp(-i s π/4 Z) ⊗ exp(-i s π/4 X), up to phase; the
        rotations about Z, of n to X and of the control, are not seen by the measurement.
        """
        tail = self._tail(target)
        azimuth = Affine((), -float(np.arctan2(axis[1], axis[0])))
        half = Affine((), sign * np.pi / 2)
        to_x = matrix(Turn(target, "z", azimuth))
        self.tail[target] = matrix(Turn(target, "x", half)) @ to_x @ tail
        self._map_bits(lambda q: {q, control} if q == target else {q})

    def _take_block(self, op: Block) -> None:
        on = (op.a, op.b)
        if not any(self._needed(q) for q in on):
            return
        unitary = np.kron(self._tail(op.a), self._tail(op.b)) @ op.matrix
        if not all(self._needed(q) for q in on):
            for q in on:
                self._close(q)
            self.out.append(op)
            return
        relabellings = (np.eye(4), CNOT, CNOT_REVERSED)
        forms = [before_diagonal(relabel @ unitary) for relabel in relabellings]
        best = min(range(3), key=lambda i: (forms[i].cost[0], round(forms[i].cost[1], 6), i))
        a, b = on
        if best:  # outcome of the relabelled circuit: undo the CNOT on the bits
            control, target = (a, b) if best == 1 else (b, a)
            self._map_bits(lambda q: {q, control} if q == target else {q})
        if forms[best].swapped:
            self._map_bits(lambda q: {b if q == a else a if q == b else q})
        self.tail[a] = self.tail[b] = I2
        for part in reversed(forms[best].operations(a, b)):
            self._take(part)

    def _map_bits(self, images: Callable[[int], set[int]]) -> None:
        for i, bit in enumerate(self.bits):
            wires: frozenset[int] = frozenset()
            for q in bit.wires:
                wires ^= frozenset(images(q))
            self.bits[i] = Bit(wires, bit.flip)
        for q, tail in enumerate(self.tail):
            if tail is not None and not self._needed(q):
                self.tail[q] = I2

    def _needed(self, q: int) -> bool:
        return any(q in bit.wires for bit in self.bits)

    def _tail(self, q: int) -> ComplexArray:
        tail = self.tail[q]
        assert tail is not None  # noqa: S101 - only asked of open wires
        return tail

    def _axis(self, q: int, pauli: ComplexArray) -> FloatArray:
        tail = self._tail(q)
        turned = tail @ pauli @ tail.conj().T
        return np.array([np.trace(p @ turned).real / 2 for p in PAULI.values()])

    @staticmethod
    def _is_z(axis: FloatArray) -> bool:
        return bool(abs(abs(axis[2]) - 1) < _TOL)

    def _close(self, q: int) -> None:
        """Emit the constants at the end of a wire, less what the readout can do."""
        tail = self.tail[q]
        self.tail[q] = None
        if tail is None or abs(tail[1, 0]) < _TOL or not self._needed(q):
            return
        if abs(tail[0, 0]) < _TOL:
            for i, bit in enumerate(self.bits):
                if q in bit.wires:
                    self.bits[i] = Bit(bit.wires, not bit.flip)
        else:
            self.out.append(Local(q, tail))
