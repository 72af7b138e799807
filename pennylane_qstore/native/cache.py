"""A cache of templates by structure: compiled once, bound ever after."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.validation import check_count

_STATES_AND_MATRICES = (
    *("BasisState", "BasisEmbedding", "StatePrep", "AmplitudeEmbedding", "CosineWindow"),
    *("StatePreparation", "QubitUnitary", "BlockEncode", "BasisRotation"),
)
"""Parts of the names of operations whose gates follow from a state or a matrix."""
_SHARED = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, type(None), bool)
"""Types of objects that are pointed at but not held."""


@dataclass(slots=True)
class _Entry:
    value: Any
    build_s: float
    size: int  # bytes when built, without the arrays
    key_size: int

    def nbytes(self) -> int:
        """Bytes now: a template's arrays grow with the patterns it meets."""
        return self.size + self.key_size + int(getattr(self.value, "nbytes", 0))


class SmartCircuitCache:
    """A thread-safe store of compiled templates, the least recently used leaving first.

    One cache may serve several devices: keys hold everything a template depends on (structure,
    measurement basis, native gates, compiler options), never a parameter's value.

    Args:
        max_templates: how many templates to keep; 0 keeps none.
    """

    def __init__(self, max_templates: int = 1000) -> None:
        self.max_templates = check_count("max_templates", max_templates, least=0)
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._building: dict[Hashable, threading.Lock] = {}
        self._lock = threading.RLock()
        self._hits = self._misses = self._evictions = 0
        self._build_s = self._saved_s = 0.0
        self._by_value: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    @also_unmade
    def __repr__(self) -> str:
        return f"<SmartCircuitCache: {len(self)} of at most {self.max_templates} templates>"

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return the value under a key, built (outside the lock) when it is not there.

        Args:
            key: hashable.
            build: called on a miss; an exception from it is not remembered.

        Returns:
            The value.
        """
        if not self.max_templates:
            return self._build_and_keep(key, build)
        with self._lock:
            entry = self._look_up(key)
            if entry is not None:
                return entry.value
            building = self._building.setdefault(key, threading.Lock())
        with building:  # one thread builds, the others wait for it
            with self._lock:
                entry = self._look_up(key)
                if entry is not None:
                    return entry.value
            try:
                return self._build_and_keep(key, build)
            finally:
                with self._lock:
                    self._building.pop(key, None)

    def of_batch(self) -> SmartCircuitCache:
        """Return the cache in which one batch of circuits finds its templates.

        That is this one if it keeps anything. A cache that keeps nothing still compiles a
        structure once a batch, not once a circuit.
        """
        return self if self.max_templates else _OfBatch(self)

    def count_by_value(self, names: Sequence[str]) -> None:
        """Count operations that were decomposed at their values; warn of each name once.

        Args:
            names: names of one tape's operations.
        """
        with self._lock:
            new = [name for name in names if not self._by_value[name]]
            self._by_value.update(names)
        for name in new:
            if not any(part in name for part in _STATES_AND_MATRICES):
                warnings.warn(
                    f"{name} is decomposed anew in every call, and no constant inside makes its "
                    "circuit shorter: PennyLane's decomposition depends on the values otherwise "
                    "than by polynomials, is drawn at random, or holds a function or numbers that "
                    "are none of its parameters. Results stay right; rotations and templates "
                    "instead of it are faster.",
                    UserWarning,
                    stacklevel=2,
                )

    def _look_up(self, key: Hashable) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            self._hits += 1
            self._saved_s += entry.build_s
        return entry

    def _build_and_keep(self, key: Hashable, build: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        try:
            value = build()
        finally:
            took = time.perf_counter() - start
            with self._lock:
                self._misses += 1
                self._build_s += took
        if self.max_templates:
            size = _bytes_of(value) - int(getattr(value, "nbytes", 0))
            entry = _Entry(value, took, size, _bytes_of(key))
            with self._lock:
                self._entries[key] = entry
                for _ in range(len(self._entries) - self.max_templates):
                    self._entries.popitem(last=False)
                    self._evictions += 1
        return value

    def clear(self) -> None:
        """Forget all templates; the statistics stay."""
        with self._lock:
            self._entries.clear()

    def get_stats(self) -> dict[str, Any]:
        """Return what the cache did, measured.

        Returns:
            ``template_cache_size``, ``template_hits``, ``template_misses``,
            ``template_hit_rate`` (0 to 1), ``evictions``, ``build_time_ms`` (spent compiling),
            ``total_time_saved_ms`` (compile time of the entry of each hit),
            ``estimated_memory_kb`` (bytes of keys and values / 1000), ``off_plan_rows`` (rows
            of the templates held that were bound with other pulses than planned, special
            angles mostly), ``plan_fallbacks`` (wires whose plan for moving pulses did not
            hold at a second sample and was replaced by the plain one),
            ``expanded_operations`` (by name, tapes in which an operation was decomposed at its
            values, since its gates are no template of its parameters), ``searches_stopped``
            (templates held whose search for fewer gates ran out of time).
        """
        with self._lock:
            asked = self._hits + self._misses
            entries = list(self._entries.values())
            held = sum(entry.nbytes() for entry in entries)
            return {
                "template_cache_size": len(self._entries),
                "template_hits": self._hits,
                "template_misses": self._misses,
                "template_hit_rate": self._hits / asked if asked else 0.0,
                "evictions": self._evictions,
                "build_time_ms": 1e3 * self._build_s,
                "total_time_saved_ms": 1e3 * self._saved_s,
                "estimated_memory_kb": held / 1e3,
                "off_plan_rows": sum(getattr(e.value, "off_plan_rows", 0) for e in entries),
                "plan_fallbacks": sum(getattr(e.value, "fallbacks", 0) for e in entries),
                "searches_stopped": sum(getattr(e.value, "search_stopped", 0) for e in entries),
                "expanded_operations": dict(self._by_value),
            }

    def __getstate__(self) -> dict[str, Any]:
        return {"max_templates": self.max_templates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class _OfBatch(SmartCircuitCache):
    """A cache for one batch, of an owner that keeps nothing; the owner counts."""

    def __init__(self, owner: SmartCircuitCache) -> None:
        super().__init__()
        self._owner = owner

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        return super().get(key, lambda: self._owner.get(key, build))

    def count_by_value(self, names: Sequence[str]) -> None:
        self._owner.count_by_value(names)


def _bytes_of(thing: object) -> int:
    """Bytes of an object and all it holds, each counted once; classes and code are not."""
    seen: set[int] = set()
    total, left = 0, [thing]
    while left:
        item = left.pop()
        if id(item) in seen or isinstance(item, _SHARED):
            continue
        seen.add(id(item))
        total += sys.getsizeof(item, 0)
        if isinstance(item, np.ndarray):
            if item.base is not None:  # getsizeof counts an array's own data only
                left.append(item.base)
        elif isinstance(item, Mapping):
            left.extend(item.keys())
            left.extend(item.values())
        elif isinstance(item, (tuple, list, set, frozenset)):
            left.extend(item)
        else:
            left.extend(getattr(item, "__dict__", {}).values())
            slots = (name for kind in type(item).__mro__ for name in getattr(kind, "__slots__", ()))
            left.extend(getattr(item, name, None) for name in slots)
    return total
