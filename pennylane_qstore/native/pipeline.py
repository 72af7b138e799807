"""The passes of the compiler: a program in, a template out.

The passes, in order (:func:`compile_program` runs them):

1. :func:`~.resynthesise_cnots`: networks of CNOTs alone, while they are still CNOTs.
2. :func:`~.lower`: elementary gates to the operations of :mod:`~pennylane_qstore.native.ir`.
3. :data:`MERGING`: neighbours on one pair of wires, or what commutes to be, become one unitary
   or as few ZZ rotations as possible. Twice, since CNOT·RZ·CNOT is a ZZ rotation only once it is
   merged, and may then commute to another. What is diagonal between two unitaries on one pair
   is then moved to the second.
4. :data:`FINISHING`, which every rewriting of the search goes through again. Where the readout may
   absorb, both ends are simplified before synthesis, which needs not be exact there, and after it,
   when its one-qubit unitaries and ZZ rotations are seen one by one.
5. :func:`~.rewritten`: the same written otherwise, by Pauli gadgets, where that is cheaper.
6. :func:`~.align_axes`, for ZZ gates: what stands on one pair is ordered and turned so that fewer
   pulses are left. With MS gates another rule counts pulses (:mod:`~.pushing`).

Sections between barriers go through them one by one (:mod:`~.sections`); the first may absorb the
known start, the last the readout, and boxes are sent as they are.

Readout passes keep the distribution of outcomes, the others the unitary; all up to a global phase.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pennylane_qstore.errors import QStoreEfficiencyWarning
from pennylane_qstore.native.frontend.program import Gate, Program
from pennylane_qstore.native.ir import IRCircuit
from pennylane_qstore.native.passes.alignment import align_axes
from pennylane_qstore.native.passes.cnot_networks import resynthesise_cnots
from pennylane_qstore.native.passes.diagonals import move_diagonals
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import (
    entangling_cost,
    merge_diagonal,
    merge_pairs,
    synthesise,
)
from pennylane_qstore.native.passes.readout import (
    absorb_into_readout,
    simplify_ends,
    simplify_initial_state,
)
from pennylane_qstore.native.passes.sections import Joined, Section, boxed, sections_of
from pennylane_qstore.native.search.search import Deadline, rewritten
from pennylane_qstore.native.template.template import Template

EFFORT_S = 10.0
"""Seconds that the thorough search may take, by default."""
_TEMPLATES = 8
"""Candidates whose pulses are counted."""
_PULSE, _LAYER = 1 / 20, 1 / 200
"""Price of a pulse and of a layer of depth, in entanglers: a two-qubit gate's published error is
8 to 35 times a pulse's, and depth costs coherence, of which ions have plenty."""

Pass = Callable[[IRCircuit], IRCircuit]

MERGING: tuple[Pass, ...] = (
    *(merge_diagonal, merge_pairs, merge_diagonal, merge_pairs),
    move_diagonals,
)
_absorb_only = functools.partial(absorb_into_readout, from_zero=False)
FINISHING: Mapping[tuple[bool, bool], tuple[Pass, ...]] = {
    (False, False): (merge_pairs, synthesise),
    (True, False): (merge_pairs, simplify_initial_state, synthesise, simplify_initial_state),
    (False, True): (merge_pairs, _absorb_only, synthesise, _absorb_only),
    (True, True): (merge_pairs, simplify_ends, synthesise, simplify_ends),
}
"""Passes by the ends that may absorb, the known start and the readout."""


def compile_program(
    program: Program,
    *,
    measured: Sequence[int],
    basis: Sequence[Gate] = (),
    family: str = "zz",
    absorb: bool = True,
    optimize_depth: bool = True,
    optimize_fidelity: bool = True,
    effort: float | None = EFFORT_S,
    verbatim: bool = False,
) -> Template:
    """Compile a program to a template.

    Args:
        program: elementary gates.
        measured: wires measured, in the order of the outcome's bits.
        basis: gates that turn what is measured to the Z basis.
        family: entangling gate, ``"ms"`` or ``"zz"``.
        absorb: let the known start and the readout take over gates. Without it the template
            keeps the unitary and all wires.
        optimize_depth: move pulses through entanglers so that fewer are left in sequence, and
            weigh pulses and depth when choosing among candidates.
        optimize_fidelity: search for fewer entanglers and less entangling angle, as
            :mod:`~pennylane_qstore.native.search.search` does.
        effort: seconds, those that the processor spends on this thread, after which that search
            ends with what it has found. It is bounded by amounts besides. None is the quick
            search, which takes a fraction of a second.
        verbatim: the program is one box.

    Returns:
        A template over the program's parameters; ``search_stopped`` is True where time ran out.

    Raises:
        CompileError: a box has a gate that cannot be sent as it is, or did not begin.
    """
    gates = boxed(program) if verbatim else program.gates
    sections = sections_of((*gates, *basis), program.wires)
    whole = len(sections) == 1 and not sections[0].is_closed
    deadline = Deadline(math.inf if effort is None else effort)
    template_of = functools.partial(
        Template, family=family, parameters=program.parameters, commute_rotations=optimize_depth
    )
    compiled = functools.partial(
        _compiled,
        family=family,
        template_of=functools.partial(template_of, compact=absorb and whole),
        optimize_depth=optimize_depth,
        optimize_fidelity=optimize_fidelity,
        thorough=effort is not None,
        deadline=deadline,
    )
    if whole:
        template = compiled(program, measured, (absorb, absorb), basis)[1]
    else:
        joined = Joined(program.wires, family)
        _join(joined, sections, program, measured, absorb, compiled)
        circuit = joined.circuit(from_zero=absorb)
        template = template_of(circuit, fences=joined.fences, compact=absorb)
    return _told(template, deadline)


def _join(
    joined: Joined,
    sections: Sequence[Section],
    program: Program,
    measured: Sequence[int],
    absorb: bool,
    compiled: Callable[..., tuple[IRCircuit, Template]],
) -> None:
    """Compile sections one by one and put them together."""
    for i, section in enumerate(sections):
        last = i == len(sections) - 1
        read = measured if last else range(program.wires)
        if section.is_closed:
            joined.close(section, read)
        else:
            part = replace(program, gates=section.gates)
            joined.add(compiled(part, read, (absorb and not i, absorb and last))[0])


def _told(template: Template, deadline: Deadline) -> Template:
    """Return a template that tells whether its search ran out of time, of which the first warns."""
    template.search_stopped = deadline.passed
    if deadline.passed:
        _warn_of_time(deadline.seconds)
    return template


@functools.cache
def _warn_of_time(seconds: float) -> None:
    warnings.warn(
        f"The search for a circuit of fewer gates has stopped after {seconds:g} s: the circuit is "
        "right, and a longer search may find a better one. effort= gives it more seconds. (Said "
        "once; statistics count the others as searches_stopped.)",
        QStoreEfficiencyWarning,
        stacklevel=2,
    )


def _compiled(
    program: Program,
    measured: Sequence[int],
    absorb: tuple[bool, bool],
    basis: Sequence[Gate] = (),
    *,
    family: str,
    template_of: Callable[[IRCircuit], Template],
    optimize_depth: bool,
    optimize_fidelity: bool,
    thorough: bool,
    deadline: Deadline,
) -> tuple[IRCircuit, Template]:
    """Compile gates between barriers, as :func:`compile_program` does.

    Args:
        program: elementary gates.
        measured: wires that are outputs.
        absorb: whether the start, which is |0…0⟩ then, may absorb gates, and whether the readout.
        basis: gates that turn what is measured to the Z basis.
        family: as there.
        template_of: makes a template of a circuit.
        optimize_depth: as there.
        optimize_fidelity: as there.
        thorough: let the search take longer.
        deadline: of the search.

    Returns:
        The circuit, and a template of it alone.
    """

    def measuring(circuit: IRCircuit) -> IRCircuit:
        return replace(circuit, outputs=tuple(circuit.outputs[q] for q in measured))

    finish = functools.partial(_run, FINISHING[absorb])
    lowered = measuring(lower(resynthesise_cnots(program), basis=basis))
    circuit = finish(_run(MERGING, lowered))

    def aligned(candidate: IRCircuit) -> tuple[IRCircuit, Template]:
        new = align_axes(candidate) if family == "zz" else candidate
        return new, template_of(new)

    unsearched = aligned(circuit)
    if not optimize_fidelity:
        return unsearched
    source = synthesise(measuring(lower(program, basis=basis)))
    candidates = rewritten(
        circuit, source, finish, outcomes=all(absorb), thorough=thorough, deadline=deadline
    )
    templates = map(aligned, candidates[:_TEMPLATES])
    if not optimize_depth:
        return next(templates, unsearched)
    return min([unsearched, *templates], key=_price)


def _run(passes: Iterable[Pass], circuit: IRCircuit) -> IRCircuit:
    for one_pass in passes:
        circuit = one_pass(circuit)
    return circuit


def _price(candidate: tuple[IRCircuit, Template]) -> float:
    """Return the error to expect, in entanglers."""
    circuit, template = candidate
    cost = entangling_cost(circuit.operations)
    return cost.entanglers + cost.angle + _PULSE * template.pulses + _LAYER * template.depth
