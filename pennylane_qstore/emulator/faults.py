"""What can go wrong, on demand.

A :class:`Fault` says what goes wrong (``kind``), at which requests (``route``), how often
(``times``, after ``skip`` matching requests, with probability ``chance``). Hand them to
``Emulator(faults=[...])``, add them while it runs (``emulator.faults.add(Fault(...))``),
``POST`` them as JSON to ``/admin/faults`` (outside ``/v0.4``), or put them in a TOML or
JSON file for ``qstore serve --faults FILE``::

    seed = 7                       # of the random ones
    [[faults]]
    kind = "status"                # answer 429 to the first two POSTs
    route = "submit"
    status = 429
    retry_after = 1
    times = 2

Kinds of the transport (any route; ``when="before"`` the request takes effect, or
``"after"`` it: the job *is* accepted, the client never learns). The kinds that spoil an answer
(``truncate``, ``trickle``, ``content_type``) come ``"after"`` unless told otherwise; ``"before"``
they spoil a 502, and nothing was accepted. The others come ``"before"``:

=================  ================================================================
``status``         answer with ``status`` (and ``retry_after``, verbatim: ``"3"``, ``"nan"``,
                   ``"1e309"``, ``"-5"``, a date); 520-529 come as Cloudflare's HTML page
``close``          close the connection without an answer
``reset``          the same with a TCP reset
``truncate``       announce the whole body, send half of it, close
``trickle``        send the body one byte every ``delay_s``
``delay``          sleep ``delay_s``, with ``"before"`` the job is accepted late, even if
                   the client has gone; with ``"after"`` it is accepted at once and answered late
``redirect``       answer 307 to ``location``
``content_type``   the right body as ``text/html``
``hostile``        a body no client should swallow, see :data:`HOSTILE` (``body=`` its name)
=================  ================================================================

Kinds of the content:

=====================  ============================================================
``fail``               the job fails with ``code`` and ``message`` (route ``submit``)
``list_lag``           the job is missing in lists for ``delay_s`` after it was accepted
``list_shuffle``       a list in random order
``list_repeat``        a list whose ``next`` leads to the same page again
``list_duplicates``    every job of a list twice
``list_children``      children among the jobs of a list
``shuffle_children``   ``what``: ``"ids"`` (child_job_ids), ``"aggregate"`` (keys of the
                       aggregate) or ``"both"``, for jobs submitted while the fault applies
``unnamed_children``   children without names (job and list)
``regress``            a finished job reports ``started`` once more
``job_status``         a job reports the unknown status ``value``
``missing_result``     the aggregate lacks one circuit; any other result lacks one outcome
``extra_result``       the aggregate has a circuit too many
``null_results``       a completed job with ``results: null``
``clock_skew``         all timestamps of a job are ``delay_s`` late (may be negative)
=====================  ============================================================

Routes: ``submit`` (POST /jobs, clone, move), ``job`` (GET /jobs/{id}), ``list``, ``results``
(every result and artifact), ``cancel``, ``delete``, ``cost`` (and estimate), ``backends``,
``session``, ``other``, ``any``.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_count, check_known, check_number, check_one_of

TRANSPORT = (
    "status",
    "close",
    "reset",
    "truncate",
    "trickle",
    "delay",
    "redirect",
    "content_type",
    "hostile",
)
_SPOILING = ("truncate", "trickle", "content_type")
"""Kinds that need an answer to spoil."""
_DEFAULT_ROUTES: Mapping[str, str] = MappingProxyType(
    {
        "fail": "submit",
        "list_lag": "submit",
        "shuffle_children": "submit",
        "list_shuffle": "list",
        "list_repeat": "list",
        "list_duplicates": "list",
        "list_children": "list",
        "unnamed_children": "any",
        "regress": "job",
        "job_status": "job",
        "null_results": "job",
        "clock_skew": "any",
        "missing_result": "results",
        "extra_result": "results",
    }
)
KINDS = (*TRANSPORT, *_DEFAULT_ROUTES)
ROUTES = (
    "submit",
    "job",
    "list",
    "results",
    "cancel",
    "delete",
    "cost",
    "backends",
    "session",
    "other",
    "any",
)

HOSTILE: Mapping[str, bytes] = MappingProxyType(
    {
        "empty": b"",
        "null": b"null",
        "array": b"[]",
        "not_json": b"\x00\xff{]",
        "html": b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>",
        "nan": b'{"0": NaN, "1": 0.5}',
        "infinity": b'{"0": 1e999}',
        "negative": b'{"0": 1.5, "1": -0.5}',
        "sum": b'{"0": 0.5, "1": 0.1}',
        "key": b'{"spam": 1.0}',
        "range": b'{"340282366920938463463374607431768211456": 1.0}',
        "types": b'{"0": "1.0"}',
        "nested": b'{"0": {"0": 1.0}}',
        "surrogate": b'{"\\ud800": 1.0}',
        "duplicate": b'{"0": 0.5, "0": 1.0}',
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "huge": b'{"0": 1.0, "x": "' + b"a" * 1_000_000 + b'"}',
    }
)
"""Bodies by name; ``gzip_bomb`` (a gigabyte of zeros in one megabyte) is made when asked for."""

_LONGEST_S = 1e9
"""The longest delay: 30 years, and timestamps can still be written."""
_KINDS_OF: Mapping[str, Any] = MappingProxyType(
    {
        "str": str,
        "int": int,
        "float": (int, float),
        "int | None": (int, type(None)),
        "str | float | None": (str, int, float, type(None)),
    }
)
"""What the annotations of a :class:`Fault` allow: plans come from files and requests."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. See the module's documentation for kinds and routes.

    Args:
        kind: what goes wrong.
        route: at which requests; by default those the kind is about, ``"any"`` for the
            transport kinds.
        times: how often (``None``: always).
        skip: matching requests that go well first.
        chance: probability, drawn from the plan's seed, that it happens at a match.
        when: transport kinds: ``"before"`` or ``"after"`` the request takes effect; by default
            what suits the kind.
        status: HTTP status of ``status``.
        retry_after: ``Retry-After`` header of ``status``, verbatim.
        delay_s: seconds on the emulator's clock.
        body: name of a hostile body, or the body itself.
        location: target of ``redirect``.
        code, message: of ``fail``.
        what: of ``shuffle_children``.
        value: of ``job_status``.
    """

    kind: str
    route: str = ""
    times: int | None = 1
    skip: int = 0
    chance: float = 1.0
    when: str = ""
    status: int = 503
    retry_after: str | float | None = None
    delay_s: float = 0.0
    body: str = "not_json"
    location: str = "https://example.org/v0.4/jobs"
    code: str = "InternalError"
    message: str = "Something went wrong on purpose."
    what: str = "both"
    value: str = "hibernating"

    def __post_init__(self) -> None:
        self._check_types()
        check_known("fault", self.kind, KINDS)
        if not self.route:
            object.__setattr__(self, "route", _DEFAULT_ROUTES.get(self.kind, "any"))
        check_known("route", self.route, ROUTES, of="a fault")
        if not self.when:
            object.__setattr__(self, "when", "after" if self.kind in _SPOILING else "before")
        check_one_of("when", self.when, ("before", "after"))
        check_one_of("what", self.what, ("ids", "aggregate", "both"))
        check_number("chance", self.chance, least=0, most=1)
        check_count("times", self.times, optional=True)
        check_count("skip", self.skip, least=0)
        check_count("status", self.status, least=200, most=599)
        check_number("delay_s", self.delay_s, least=-_LONGEST_S, most=_LONGEST_S, unit="seconds")
        for name in ("retry_after", "location"):
            if set("\r\n\0") & set(str(getattr(self, name))):
                raise ConfigurationError(f"{name} is sent in a header: one line, please.")

    def _check_types(self) -> None:
        for f in fields(self):
            value, kinds = getattr(self, f.name), _KINDS_OF[str(f.type)]
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ConfigurationError(f"{f.name}={value!r} of a fault must be {f.type}.")

    @property
    def transport(self) -> bool:
        """Whether it befalls the request rather than the content of the answer."""
        return self.kind in TRANSPORT

    def payload(self) -> bytes:
        """The bytes of a hostile body."""
        if self.body == "gzip_bomb":
            return _bomb()
        return HOSTILE.get(self.body, self.body.encode())


class Faults:
    """A plan of faults, which counts down as they happen. Safe to change from any thread.

    Args:
        faults: faults or mappings of their fields.
        seed: of the chances and shuffles.
    """

    def __init__(
        self, faults: Iterable[Fault | Mapping[str, Any]] = (), *, seed: int | None = None
    ) -> None:
        check_count("seed", seed, least=0, optional=True)
        self._lock = threading.Lock()
        self._entries: list[list[Any]] = []  # [fault, matches seen, times happened]
        self.rng = np.random.default_rng(seed)
        self.happened: list[tuple[str, str]] = []
        self.add(*faults)

    def add(self, *faults: Fault | Mapping[str, Any]) -> None:
        """Plan more faults.

        Raises:
            ConfigurationError: a kind, route or field that does not exist.
        """
        made = [_fault(fault) for fault in faults]
        with self._lock:
            self._entries.extend([fault, 0, 0] for fault in made)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._entries.clear()

    def pending(self) -> list[Fault]:
        """The faults that can still happen."""
        with self._lock:
            return [f for f, _, done in self._entries if f.times is None or done < f.times]

    def transport(self, route: str) -> Fault | None:
        """The transport fault that befalls a request now, if any. Counts it as happened."""
        return self._take(route, lambda fault: fault.transport)

    def content(self, kind: str, route: str) -> Fault | None:
        """The content fault of this kind that applies now, if any. Counts it as happened."""
        if not self._entries:
            return None
        return self._take(route, lambda fault: fault.kind == kind)

    def _take(self, route: str, wanted: Any) -> Fault | None:
        with self._lock:
            for entry in self._entries:
                fault: Fault = entry[0]
                if not wanted(fault) or fault.route not in (route, "any"):
                    continue
                if fault.times is not None and entry[2] >= fault.times:
                    continue
                entry[1] += 1
                if entry[1] <= fault.skip:
                    continue
                if fault.chance < 1 and self.rng.random() >= fault.chance:
                    continue
                entry[2] += 1
                self.happened.append((fault.kind, route))
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The plan, with how often each has happened."""
        with self._lock:
            return [asdict(fault) | {"happened": done} for fault, _, done in self._entries]


def read_faults(path: str | Path) -> Faults:
    """A plan from a TOML or JSON file: ``faults`` (a list of tables) and ``seed``.

    Raises:
        ConfigurationError: the file is not such a plan; the message says why.
    """
    import json
    import tomllib

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Cannot read the faults file {str(path)!r}: {error}") from error
    if isinstance(data, list):
        data = {"faults": data}
    unknown = set(data) - {"faults", "seed"} if isinstance(data, dict) else {"(not a table)"}
    if unknown or not isinstance(data.get("faults", []), list):
        raise ConfigurationError(
            f"The faults file {str(path)!r} takes 'seed' and a list 'faults', not "
            f"{sorted(unknown)}."
        )
    return Faults(data.get("faults", []), seed=data.get("seed"))


def _fault(value: Fault | Mapping[str, Any]) -> Fault:
    if isinstance(value, Fault):
        return value
    names = [f.name for f in fields(Fault)]
    if not isinstance(value, Mapping) or set(value) - set(names) or "kind" not in value:
        raise ConfigurationError(
            f"{value!r} is no fault: it takes 'kind' and any of {', '.join(names[1:])}."
        )
    return Fault(**value)


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    import zlib

    zeros, count = bytes(1 << 20), 1 << 10
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)  # may follow itself
    check = 0
    for _ in range(count):
        check = zlib.crc32(zeros, check)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + block * count + packer.flush() + struct.pack("<II", check, len(zeros) * count)
