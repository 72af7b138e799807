"""Results of circuits as arrays of JAX, which know the gradients of circuits row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.custom_derivatives import SymbolicZero
from pennylane.tape import QuantumScript

from pennylane_qstore.deferral.results import nested, result_shape

Run = Callable[[Sequence[Any], Sequence[Sequence[int]]], tuple[Any, Sequence[Any]]]
"""From one array for each traced parameter, and the places of those of each circuit that are
differentiated, to nested results and a Jacobian for each circuit, in PennyLane's form."""


def jax_results(
    circuits: Sequence[QuantumScript], places: Sequence[Sequence[int]], run: Run
) -> tuple[Any, ...]:
    """Return results as functions of the parameters that JAX traces.

    Args:
        circuits: with JAX's parameters.
        places: of the traced parameters of each circuit.
        run: executes the circuits, when JAX has values.

    Returns:
        Arrays, nested as the results.
    """
    given = [(c, place) for c, indices in enumerate(places) for place in indices]
    parameters = [circuits[c].get_parameters(trainable_only=False)[place] for c, place in given]
    structs = tuple(map(_structs, circuits))
    call = partial(_call, run, structs, given)

    @jax.custom_jvp  # type: ignore[untyped-decorator]
    def results(*values: Any) -> Any:
        return call([False] * len(values), values)[0]

    def with_tangents(values: Any, tangents: Any) -> tuple[Any, Any]:
        wanted = [not isinstance(tangent, SymbolicZero) for tangent in tangents]
        found, derivatives = call(wanted, values)
        known = [
            (c, tangent, entries)
            for (c, _), tangent, entries in zip(given, tangents, derivatives, strict=True)
            if entries is not None
        ]
        return found, tuple(
            _change(struct, [entry[1:] for entry in known if entry[0] == c])
            for c, struct in enumerate(structs)
        )

    results.defjvp(with_tangents, symbolic_zeros=True)
    out: tuple[Any, ...] = results(*parameters)
    return out


def _call(
    run: Run,
    structs: Sequence[Any],
    given: Sequence[tuple[int, int]],
    wanted: Sequence[bool],
    values: Sequence[Any],
) -> Any:
    """Return results, and derivatives by parameters, once JAX has values for these.

    Args:
        run: executes the circuits.
        structs: shapes and types of the results of each circuit.
        given: the circuit of each parameter, and its place there.
        wanted: True for those that are differentiated.
        values: of all parameters.

    Returns:
        Nested results, and for each parameter one array a result; None where it is not wanted.
    """
    differentiated: list[list[int]] = [[] for _ in structs]
    derivatives: list[list[Any] | None] = []
    for (c, place), yes in zip(given, wanted, strict=True):
        derivatives.append(jax.tree.leaves(structs[c]) if yes else None)
        if yes:
            differentiated[c].append(place)
    like = tuple(structs), derivatives

    def called(*values: Any) -> Any:
        found, jacobians = run([np.asarray(value) for value in values], differentiated)
        arrays = jax.tree.leaves(found)
        for jacobian, indices in zip(jacobians, differentiated, strict=True):
            entries = jax.tree.leaves(jacobian)  # parameter after parameter of each result
            for k in range(len(indices)):
                arrays += entries[k :: len(indices)]
        dtypes = [struct.dtype for struct in jax.tree.leaves(like)]
        typed = [np.asarray(a, dtype) for a, dtype in zip(arrays, dtypes, strict=True)]
        return jax.tree.unflatten(jax.tree.structure(like), typed)

    return jax.pure_callback(called, like, *values, vmap_method="sequential")


def _change(struct: Any, known: Sequence[tuple[Any, Any]]) -> Any:
    """Return the tangents of a circuit's results.

    Args:
        struct: shapes and types of its results.
        known: the tangent of each parameter, and the derivatives of the results by it.

    Returns:
        Arrays, nested as the results.
    """
    changes = []
    for r, leaf in enumerate(jax.tree.leaves(struct)):
        terms = [
            derivatives[r] * _by_row(tangent, leaf).astype(leaf.dtype)
            for tangent, derivatives in known
        ]
        changes.append(sum(terms, start=jax.numpy.zeros(leaf.shape, leaf.dtype)))
    return jax.tree.unflatten(jax.tree.structure(struct), changes)


def _by_row(tangent: Any, result: Any) -> Any:
    """Return a tangent in a form that multiplies a result's rows, each by its own."""
    return tangent.reshape(tangent.shape + (1,) * (result.ndim - tangent.ndim) * bool(tangent.ndim))


def _structs(circuit: QuantumScript) -> Any:
    """Return shapes and types of a circuit's results, nested as these."""
    rows = () if circuit.batch_size is None else (circuit.batch_size,)
    dtype = jax.numpy.result_type(float)
    return nested(circuit, lambda _, m: jax.ShapeDtypeStruct((*rows, *result_shape(m)), dtype))
