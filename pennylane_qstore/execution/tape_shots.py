"""Shots of tapes: those that a scope sets, and those that a backend needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from pennylane.measurements import Shots
from pennylane.tape import QuantumScript

from pennylane_qstore.deferral.results import is_deferrable
from pennylane_qstore.execution.partial_results import TapeContext
from pennylane_qstore.measurement.recipes import NotSupported


def with_scope_shots(
    tapes: tuple[QuantumScript, ...], shots: Shots | None
) -> tuple[QuantumScript, ...]:
    """Return tapes with the shots of a scope, if it has some.

    Args:
        tapes: any tapes.
        shots: instead of their own; analytic ones do not apply to counts and samples. None
            leaves the tapes alone.

    Returns:
        The tapes.

    Raises:
        NotSupported: a tape has a shot vector, whose results have another form.
    """
    if shots is None:
        return tapes
    for i, tape in enumerate(tapes):
        if tape.shots.has_partitioned_shots:
            with TapeContext(i):
                raise NotSupported(
                    "A shot vector is not supported on qstore.ionq where a scope sets the shots: "
                    "give the QNode one number of shots."
                )
    return tuple(tape.copy(shots=shots) if shots or is_deferrable(tape) else tape for tape in tapes)


def with_any_shots(tapes: Sequence[QuantumScript], described: str) -> Sequence[QuantumScript]:
    """Refuse analytic tapes on a backend that samples.

    Beside tapes with shots they take those of their batch: QNSPSAOptimizer, for one, forgets
    the shots of some of its tapes.

    Args:
        tapes: of a batch.
        described: the backend, for messages.

    Returns:
        Tapes with shots.

    Raises:
        NotSupported: none of the tapes has shots.
    """
    if all(tape.shots for tape in tapes):
        return tapes
    shots = max(tape.shots.total_shots or 0 for tape in tapes)
    if not shots:
        with TapeContext(0):
            raise NotSupported(
                f"Analytic execution (shots=None) not supported on qstore.ionq with "
                f"{described}: it samples. Give the QNode shots, "
                "qml.set_shots(qnode, shots=1000), or use an ideal simulator."
            )
    warnings.warn(
        f"Some circuits of this batch have no shots, and {described} samples: "
        f"they are run with {shots} shots, as others of the batch.",
        UserWarning,
        stacklevel=2,
    )
    return [tape if tape.shots else tape.copy(shots=shots) for tape in tapes]
