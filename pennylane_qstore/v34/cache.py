"""Q-Store v3.4's way of using the cache: circuits from a builder, bound instead of built."""

from __future__ import annotations

import copy
import sys
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from pennylane_qstore.native.cache import SmartCircuitCache as TemplateCache
from pennylane_qstore.v34.tracing import Builder, CircuitTemplate, numbers_of, trace
from pennylane_qstore.validation import check_count


class SmartCircuitCache(TemplateCache):
    """A template cache with v3.4's ``get_or_build``; serves as a device's ``cache=`` too.

    What :meth:`get_or_build` returns equals what the builder would have built, always: a
    template is made only of a builder that is seen to be affine in its parameters, and any
    other is called each time.

    Args:
        max_templates: templates kept.
        max_bound_circuits: circuits kept with their values; the least recently used go first.
        enable_statistics: whether :meth:`get_or_build` is timed.
    """

    def __init__(
        self,
        max_templates: int = 100,
        max_bound_circuits: int = 1000,
        enable_statistics: bool = True,
    ) -> None:
        super().__init__(max_templates)
        self.max_bound_circuits = check_count("max_bound_circuits", max_bound_circuits, least=0)
        self.enable_statistics = enable_statistics
        self._circuits: OrderedDict[Hashable, dict[str, Any]] = OrderedDict()
        self._metadata: dict[Hashable, Mapping[str, Any]] = {}
        self._bound_hits = self._bound_misses = 0
        self._calls: Counter[str] = Counter()  # by what made a circuit
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def get_or_build(
        self,
        structure_key: str,
        parameters: Any,
        input_data: Any,
        builder_func: Builder,
        n_qubits: int,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a circuit for these values.

        Args:
            structure_key: names the structure; shapes and the builder count as well.
            parameters: trained angles, an array.
            input_data: encoded data, an array or None.
            builder_func: ``builder_func(parameters, input_data)`` returns the circuit as a
                dictionary; called on a miss only, if it is affine.
            n_qubits: qubits.
            metadata: kept with the template, see :meth:`metadata`.

        Returns:
            The circuit, for the caller to keep and change.
        """
        shapes = (np.shape(parameters), None if input_data is None else np.shape(input_data))
        key = ("circuit", structure_key, n_qubits, shapes, _identity(builder_func))
        values = numbers_of(parameters, input_data)
        exact = (key, values.tobytes())
        with self._lock:
            circuit = self._circuits.get(exact)
            if circuit is not None:
                self._circuits.move_to_end(exact)
                self._bound_hits += 1
                return copy.deepcopy(circuit)
            self._bound_misses += 1
            if metadata is not None:
                self._metadata[structure_key] = dict(metadata)
        template: CircuitTemplate | None = self.get(
            key, lambda: trace(builder_func, parameters, input_data)
        )
        start = time.perf_counter()
        made = template.bind(values) if template else builder_func(parameters, input_data)
        self._keep(exact, made, "bind" if template else "builder", time.perf_counter() - start)
        return made

    def metadata(self, structure_key: str) -> Mapping[str, Any]:
        """Return the metadata given with a structure."""
        return self._metadata.get(structure_key, {})

    def clear(self) -> None:
        """Forget templates and circuits; the statistics stay."""
        super().clear()
        self.clear_bound_cache()
        self._metadata.clear()

    def clear_bound_cache(self) -> None:
        """Forget circuits with values, keep templates."""
        with self._lock:
            self._circuits.clear()

    def get_stats(self) -> dict[str, Any]:
        """Return statistics of templates, as the base class does, and of bound circuits.

        Returns:
            ``bound_cache_size``, ``bound_hits``, ``bound_misses``, ``bound_hit_rate``; and where
            it was timed ``avg_bind_time_ms`` and ``avg_builder_time_ms``, 0 before the first:
            binding is no faster than a builder that does little.
        """
        with self._lock:
            asked = self._bound_hits + self._bound_misses
            stats = {
                **super().get_stats(),
                "bound_cache_size": len(self._circuits),
                "bound_hits": self._bound_hits,
                "bound_misses": self._bound_misses,
                "bound_hit_rate": self._bound_hits / asked if asked else 0.0,
            }
            if self.enable_statistics:
                for how in ("bind", "builder"):
                    spent_s = self._seconds[how] / max(self._calls[how], 1)
                    stats[f"avg_{how}_time_ms"] = 1e3 * spent_s
            return stats

    def print_stats(self) -> None:
        """Print the statistics."""
        sys.stdout.write(f"{stats_text(self.get_stats())}\n")

    def _keep(self, exact: Hashable, made: dict[str, Any], how: str, took_s: float) -> None:
        with self._lock:
            self._calls[how] += 1
            self._seconds[how] += took_s
            if self.max_bound_circuits:
                self._circuits[exact] = copy.deepcopy(made)
                for _ in range(len(self._circuits) - self.max_bound_circuits):
                    self._circuits.popitem(last=False)

    def __getstate__(self) -> dict[str, Any]:
        names = ("max_templates", "max_bound_circuits", "enable_statistics")
        return {name: getattr(self, name) for name in names}


def stats_text(stats: Mapping[str, Any]) -> str:
    """Figures by name, one a line."""
    width = max((len(name) for name in stats), default=0)
    lines = []
    for name, value in stats.items():
        if isinstance(value, float):
            value = f"{value:.1%}" if name.endswith("rate") else f"{value:.3f}"
        lines.append(f"{name:<{width}}  {value}")
    return "\n".join(lines)


def _identity(builder: Any) -> Hashable:
    """Return the identity of a builder; equal lambdas are one if they enclose the same values."""
    code = getattr(builder, "__code__", None)
    if code is None:
        return _hashable(builder)
    function = getattr(builder, "__func__", builder)
    return (
        code,
        _hashable(getattr(builder, "__self__", None)),
        tuple(_hashable(value) for value in function.__defaults__ or ()),
        tuple(_hashable(cell.cell_contents) for cell in function.__closure__ or ()),
    )


class _Same:
    """Equal to itself only, by the object it holds (and keeps alive)."""

    __slots__ = ("held",)

    def __init__(self, value: Any) -> None:
        # In a function: what a builder encloses is not the cache's, nor its bytes.
        self.held: Callable[[], Any] = lambda: value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.held() is self.held()

    def __hash__(self) -> int:
        return id(self.held())


def _hashable(value: Any) -> Hashable:
    if isinstance(value, str | bytes | int | float | bool | None):
        return (type(value), value)
    return _Same(value)
