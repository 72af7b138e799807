"""Times of a job: request, verification, queue and execution, drawn per job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from pennylane_qstore.validation import check, check_count, check_known, check_number


class Durations(NamedTuple):
    """Seconds a job spends in each stretch of its life."""

    request_s: float
    verify_s: float
    queue_s: float
    execution_s: float

    def from_time(self, now: float) -> dict[str, Any]:
        """Return the times of a job that is accepted now, on a machine that is free for it."""
        ready = now + self.verify_s
        turn = ready + self.queue_s
        return {
            "submitted_at": now,
            "ready_at": ready,
            "turn_at": turn,
            "start_at": turn,
            "end_at": turn + self.execution_s,
        }


@dataclass(frozen=True, slots=True)
class LatencyProfile:
    """A model of the service's times, in seconds, for a job of ``n`` circuits.

    Args:
        name: of the profile.
        request_s: time the POST itself takes.
        verify_s: from acceptance (``submitted``) to ``ready``.
        queue_s, queue_per_circuit_s: from ``ready`` to ``started``: queue_s + n * the other.
        execution_s, execution_per_circuit_s, execution_per_shot_s: from ``started`` to
            ``completed``; the last one is per circuit and shot.
        jitter: every time is multiplied by a lognormal number of this sigma (0: none).
        concurrency: jobs that run at once per backend (``None``: any number).
    """

    name: str = "custom"
    request_s: float = 0.0
    verify_s: float = 0.0
    queue_s: float = 0.0
    queue_per_circuit_s: float = 0.0
    execution_s: float = 0.0
    execution_per_circuit_s: float = 0.0
    execution_per_shot_s: float = 0.0
    jitter: float = 0.0
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for key in self.__slots__:
            if key not in ("name", "concurrency"):
                check_number(f"Latency {key}", getattr(self, key), least=0, unit="seconds")
        check_count("concurrency", self.concurrency, optional=True)

    @property
    def instant(self) -> bool:
        """True where jobs complete as fast as they are simulated."""
        return not any(getattr(self, name) for name in _TIMES if name != "request_s")

    def mean(self, circuits: int, shots: int) -> Durations:
        """Return the times of a job without jitter.

        Args:
            circuits: number of circuits in the job.
            shots: per circuit.

        Returns:
            Seconds.
        """
        return Durations(
            self.request_s,
            self.verify_s,
            self.queue_s + self.queue_per_circuit_s * circuits,
            self.execution_s
            + self.execution_per_circuit_s * circuits
            + self.execution_per_shot_s * circuits * shots,
        )

    def draw(self, circuits: int, shots: int, rng: np.random.Generator) -> Durations:
        """Draw the times of one job.

        Args:
            circuits: number of circuits in the job.
            shots: per circuit.
            rng: source of the jitter.

        Returns:
            Seconds.
        """
        mean = self.mean(circuits, shots)
        if not self.jitter:
            return mean
        return Durations(*(t * float(rng.lognormal(0.0, self.jitter)) for t in mean))

    def scaled(self, factor: float) -> LatencyProfile:
        """Return the profile with all times multiplied by a factor."""
        return replace(self, **{name: factor * getattr(self, name) for name in _TIMES})


_TIMES = tuple(name for name in LatencyProfile.__slots__ if name.endswith("_s"))
"""Fields of :class:`LatencyProfile` that are seconds."""

PROFILES: Mapping[str, LatencyProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            LatencyProfile("none"),
            LatencyProfile(
                "q-store",
                request_s=0.5,
                queue_s=0.605,
                queue_per_circuit_s=0.0447,
                execution_s=0.508,
                execution_per_circuit_s=0.0671,
            ),
            LatencyProfile(
                "ionq-simulator",
                request_s=0.15,
                verify_s=0.1,
                queue_s=0.25,
                execution_s=0.2,
                execution_per_circuit_s=0.01,
                jitter=0.25,
            ),
            LatencyProfile(
                "qpu",
                request_s=0.25,
                verify_s=2.0,
                queue_s=1181.0,
                execution_s=5.0,
                execution_per_circuit_s=0.5,
                execution_per_shot_s=0.01,
                jitter=0.3,
                concurrency=1,
            ),
        )
    }
)
"""Profiles by name. ``q-store`` is fitted to the times published for Q-Store v3.3.1 and v3.4;
``qpu`` takes its queue from the average IonQ has shown for Forte 1. The rest of ``qpu`` and all
of ``ionq-simulator`` are plausible figures, not measurements."""


def latency_profile(
    value: str | float | Mapping[str, float] | LatencyProfile, *, concurrency: int | None = None
) -> LatencyProfile:
    """Return the profile that a user's option stands for.

    Args:
        value: a name of :data:`PROFILES`, seconds of execution per job, a mapping of
            :class:`LatencyProfile` fields, or a profile.
        concurrency: jobs at once per backend, in place of the profile's own number.

    Returns:
        The profile.

    Raises:
        ConfigurationError: no such profile or field; the message names the allowed ones.
    """
    match value:
        case LatencyProfile():
            profile = value
        case str():
            check_known("latency profile", value, PROFILES)
            profile = PROFILES[value]
        case Mapping():
            for name in value:
                check_known("latency field", name, LatencyProfile.__slots__)
            profile = LatencyProfile(**value)  # type: ignore[arg-type]
        case _:
            seconds = isinstance(value, int | float) and not isinstance(value, bool)
            check("profile", value, seconds, "a name, seconds, a mapping or a LatencyProfile")
            profile = LatencyProfile(execution_s=value)
    return profile if concurrency is None else replace(profile, concurrency=concurrency)
