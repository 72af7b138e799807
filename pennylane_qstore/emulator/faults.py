"""Faults on demand.

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
``hostile``        a body no client should swallow, ``body=`` its name
                   (see ``fault_injection.HOSTILE``)
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

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

import numpy as np

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_count, check_known, check_number, check_one_of

_SPOILING = ("truncate", "trickle", "content_type")
"""Kinds that need an answer to spoil."""
TRANSPORT = ("status", "close", "reset", "delay", "redirect", "hostile", *_SPOILING)
_CONTENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "submit": ("fail", "list_lag", "shuffle_children"),
        "job": ("regress", "job_status", "null_results"),
        "list": ("list_shuffle", "list_repeat", "list_duplicates", "list_children"),
        "results": ("missing_result", "extra_result"),
        "any": ("unnamed_children", "clock_skew"),
    }
)
"""Kinds of the content by their default route."""
_DEFAULT_ROUTES = {kind: route for route, kinds in _CONTENT.items() for kind in kinds}
KINDS = (*TRANSPORT, *_DEFAULT_ROUTES)
ROUTES = (*_CONTENT, "cancel", "delete", "cost", "backends", "session", "other")

_LONGEST_S = 1e9
"""The longest delay: 30 years, and timestamps can still be written."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. See the module's documentation for kinds and routes.

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
                raise ConfigurationError(
                    f"{name}={getattr(self, name)!r} is not allowed. Allowed: text on one line, "
                    "since it is sent in a header."
                )

    def _check_types(self) -> None:
        for f in fields(self):
            value, kinds = getattr(self, f.name), _TYPES[f.name]
            valid = isinstance(value, kinds) or (type(value) is int and isinstance(0.0, kinds))
            if not valid or isinstance(value, bool):
                raise ConfigurationError(
                    f"{f.name}={value!r} is not allowed in a fault. Allowed: {f.type}."
                )

    @property
    def transport(self) -> bool:
        """True for a fault of the request, False for one of the content of the answer."""
        return self.kind in TRANSPORT


_TYPES = get_type_hints(Fault)
"""Types of the fields: plans come unchecked from files and requests."""


@dataclass(slots=True)
class _Planned:
    """A fault of a plan: how many requests have matched it, and how often it has happened."""

    fault: Fault
    matches: int = 0
    happened: int = 0

    @property
    def pending(self) -> bool:
        return self.fault.times is None or self.happened < self.fault.times


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
        self._entries: list[_Planned] = []
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
            self._entries.extend(map(_Planned, made))

    def clear(self) -> None:
        """Drop all faults."""
        with self._lock:
            self._entries.clear()

    def pending(self) -> list[Fault]:
        """Return the faults that can still happen."""
        with self._lock:
            return [entry.fault for entry in self._entries if entry.pending]

    def transport(self, route: str) -> Fault | None:
        """Return the transport fault that befalls a request now, if any; it has happened."""
        return self._take(route, lambda fault: fault.transport)

    def content(self, kind: str, route: str) -> Fault | None:
        """Take the fault of the content that applies now, if any; it has happened.

        Args:
            kind: kind of the fault.
            route: route of the request.

        Returns:
            The fault.
        """
        if not self._entries:
            return None
        return self._take(route, lambda fault: fault.kind == kind)

    def _take(self, route: str, wanted: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            for entry in self._entries:
                fault = entry.fault
                if not (wanted(fault) and fault.route in (route, "any") and entry.pending):
                    continue
                entry.matches += 1
                if entry.matches <= fault.skip:
                    continue
                if fault.chance < 1 and self.rng.random() >= fault.chance:
                    continue
                entry.happened += 1
                self.happened.append((fault.kind, route))
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the plan, and how often each fault has happened."""
        with self._lock:
            return [asdict(entry.fault) | {"happened": entry.happened} for entry in self._entries]


def read_faults(path: str | Path) -> Faults:
    """Read a plan from a TOML or JSON file: ``faults`` (a list of tables) and ``seed``.

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
            f"{value!r} is not a fault: a fault takes 'kind' and any of {', '.join(names[1:])}."
        )
    return Fault(**value)
