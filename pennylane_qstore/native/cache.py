"""Templates by structure: compiled once, bound ever after."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from pennylane_qstore.errors import ConfigurationError


@dataclass(slots=True)
class _Entry:
    value: Any
    build_s: float


class SmartCircuitCache:
    """A thread-safe store of compiled templates, the least recently used leaving first.

    One cache may serve several devices: keys hold everything a template depends on (structure,
    measurement basis, native gates, compiler options), never a parameter's value.

    Args:
        max_templates: how many templates to keep; 0 keeps none.
    """

    def __init__(self, max_templates: int = 1000) -> None:
        if isinstance(max_templates, bool) or int(max_templates) != max_templates:
            raise ConfigurationError(f"max_templates={max_templates!r} is not a whole number.")
        if max_templates < 0:
            raise ConfigurationError("max_templates must be 0 (no cache) or more.")
        self.max_templates = int(max_templates)
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.RLock()
        self._hits = self._misses = self._evictions = 0
        self._build_s = self._saved_s = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<SmartCircuitCache: {len(self)} of at most {self.max_templates} templates>"

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """The value under a key, built (outside the lock) when it is not there.

        Args:
            key: hashable.
            build: called on a miss; what it raises is not remembered.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                self._hits += 1
                self._saved_s += entry.build_s
                return entry.value
            self._misses += 1
        start = time.perf_counter()
        value = build()
        took = time.perf_counter() - start
        with self._lock:
            self._build_s += took
            if self.max_templates:
                self._entries[key] = _Entry(value, took)
                while len(self._entries) > self.max_templates:
                    self._entries.popitem(last=False)
                    self._evictions += 1
        return value

    def clear(self) -> None:
        """Forget all templates; the statistics stay."""
        with self._lock:
            self._entries.clear()

    def get_stats(self) -> dict[str, Any]:
        """What the cache did, measured.

        Returns:
            ``template_cache_size``, ``template_hits``, ``template_misses``,
            ``template_hit_rate`` (0 to 1), ``evictions``, ``build_time_ms`` (spent compiling),
            ``total_time_saved_ms`` (what each hit's entry once took to compile),
            ``estimated_memory_kb`` (bytes of the templates' arrays / 1000).
        """
        with self._lock:
            asked = self._hits + self._misses
            held = sum(getattr(entry.value, "nbytes", 0) for entry in self._entries.values())
            return {
                "template_cache_size": len(self._entries),
                "template_hits": self._hits,
                "template_misses": self._misses,
                "template_hit_rate": self._hits / asked if asked else 0.0,
                "evictions": self._evictions,
                "build_time_ms": 1e3 * self._build_s,
                "total_time_saved_ms": 1e3 * self._saved_s,
                "estimated_memory_kb": held / 1e3,
            }

    def __getstate__(self) -> dict[str, Any]:
        return {"max_templates": self.max_templates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
