"""The usage report of ``GET /organizations/{org}/usage``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from pennylane_qstore.server.render import ORGANIZATION, PROJECT, SUBMITTER, timestamp
from pennylane_qstore.server.service import ServiceJob

GROUPS = ("job", "project", "user")
MODALITIES = ("daily", "weekly", "monthly")
_NOTHING = {"job_count": 0, "amount": 0.0, "time_us": 0}
_TOP = 5


def usage_json(
    jobs: Iterable[ServiceJob], start: dt.date, end: dt.date, group_by: str, modality: str
) -> dict[str, Any]:
    """Sum up jobs, in all and by day, week or month, newest first.

    Args:
        jobs: all jobs; dry runs are not counted.
        start: first day.
        end: the day after the last.
        group_by: one of :data:`GROUPS`.
        modality: one of :data:`MODALITIES`.

    Returns:
        IonQ's JSON.
    """
    periods: dict[dt.date, dict[str, dict[str, Any]]] = {}
    for job in jobs:
        day = dt.datetime.fromtimestamp(job.submitted_at, dt.UTC).date()
        if job.dry_run or not start <= day < end:
            continue
        name = {"job": job.id, "project": PROJECT, "user": SUBMITTER}[group_by]
        label = {"group_id": name, "group_name": (job.name if group_by == "job" else None) or name}
        group = periods.setdefault(_first(day, modality), {}).setdefault(
            name, label | {"amount_unit": "usd", **_NOTHING}
        )
        group["job_count"] += 1
        group["amount"] += job.billed_usd
        group["time_us"] += round(job.duration_s * 1e6)
    data = [_period(day, list(groups.values())) for day, groups in sorted(periods.items())[::-1]]
    return {
        "organization": ORGANIZATION,
        "group_type": group_by,
        "modality": modality,
        "start_date": str(start),
        "end_date": str(end),
        "usage_from": _midnight(start),
        "usage_to": _midnight(end),
        "usage_unit": "usd",
        "job_count": sum(p["job_count"] for p in data),
        "amount_total": sum(p["amount"] for p in data),
        "time_us_total": sum(p["time_us"] for p in data),
        "usage_data": data,
    }


def _period(day: dt.date, groups: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "from": _midnight(day),
        "amount_unit": "usd",
        **{key: sum(group[key] for group in groups) for key in _NOTHING},
        "group_usages": sorted(groups, key=lambda group: -group["amount"])[:_TOP],
    }


def _first(day: dt.date, modality: str) -> dt.date:
    """Return the first day of the period that a day is in."""
    if modality == "weekly":
        return day - dt.timedelta(days=day.weekday())
    return day if modality == "daily" else day.replace(day=1)


def _midnight(day: dt.date) -> str:
    return timestamp(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())
