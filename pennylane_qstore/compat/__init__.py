"""Private hooks of PennyLane, autograd, torch, JAX, aiohttp and CPython, all of them, in one room.

Each module says what it relies on and the versions in which that was read; ``tests/compat`` has a
test for each hook that fails by its name when a new version breaks it. Importing this room imports
none of them, since the client's rooms work without PennyLane, and patches nothing:
:func:`teach_deferred_arrays` runs when the first deferred array is made.
"""

from __future__ import annotations

from typing import Any

from pennylane_qstore.compat import interfaces
from pennylane_qstore.compat.interfaces import (
    JAX_MODES,
    do_jax_equation,
    goes_backward,
    is_jax_compiling,
    jax_core,
    jax_modes,
    teach_deferred_arrays,
)
from pennylane_qstore.compat.pennylane import (
    asks_before_an_update,
    called_by_an_optimizer,
    called_by_qml_execute,
    holds_recording_lock,
    is_qnode_call,
    options_given_to,
    qnode_states,
    set_simulator_generator,
    simulator_generator,
    take_out_of_recording,
    tapes_resolved_by,
    without_told_batch,
)
from pennylane_qstore.compat.python import (
    also_unmade,
    current_frame,
    forget_applications,
    interrupt,
    is_foreign_thread,
    keep_forever,
    stack,
    stack_of,
)

__all__ = [
    "JAX_MODES",
    "also_unmade",
    "asks_before_an_update",
    "called_by_an_optimizer",
    "called_by_qml_execute",
    "current_frame",
    "do_jax_equation",
    "forget_applications",
    "goes_backward",
    "holds_recording_lock",
    "interrupt",
    "is_foreign_thread",
    "is_jax_compiling",
    "is_qnode_call",
    "jax_core",
    "jax_modes",
    "keep_forever",
    "options_given_to",
    "qnode_states",
    "set_simulator_generator",
    "simulator_generator",
    "stack",
    "stack_of",
    "take_out_of_recording",
    "tapes_resolved_by",
    "teach_deferred_arrays",
    "without_told_batch",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # what belongs to autograd, which is imported only now
    return getattr(interfaces, name)
