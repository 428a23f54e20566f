"""Queries of plans and versions; a published document is parsed once a process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_midnight
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import TariffPlanId, TariffVersionId
from kilokassa.core.period import Period
from kilokassa.core.text import mark
from tariffs.documents import parse_tariff
from tariffs.models import TariffPlanRow, TariffVersionRow
from tariffs.plans import TariffVersion
from tariffs.rating import VersionInForce


@dataclass(frozen=True, slots=True)
class Plan:
    """A tariff plan as lists show it."""

    id: TariffPlanId
    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version with what is known of its publication."""

    version: TariffVersion
    revision: int
    document: str
    published_at: datetime
    published_by: str


def plans(session: Session) -> tuple[Plan, ...]:
    """Return every plan, by code."""
    rows = session.scalars(select(TariffPlanRow).order_by(TariffPlanRow.code))
    return tuple(
        Plan(TariffPlanId(row.id), row.code, row.name, row.name_en or row.name) for row in rows
    )


def plan_by_code(session: Session, code: str) -> Plan:
    """Return one plan; refuse an unknown code."""
    found = next((plan for plan in plans(session) if plan.code == code), None)
    if found is None:
        raise NotFound(what=mark("tariff plan"), name=code)
    return found


def published_versions(session: Session, plan_id: TariffPlanId) -> tuple[PublishedVersion, ...]:
    """Return every publication of a plan, the latest date first."""
    query = (
        select(TariffVersionRow)
        .where(TariffVersionRow.plan_id == plan_id)
        .order_by(TariffVersionRow.valid_from.desc(), TariffVersionRow.revision.desc())
    )
    return tuple(
        PublishedVersion(
            version=_parsed(row.document, row.id),
            revision=row.revision,
            document=row.document,
            published_at=row.published_at,
            published_by=row.published_by,
        )
        for row in session.scalars(query)
    )


def versions_in_force(
    session: Session,
    plan_ids: Sequence[TariffPlanId],
    period: Period,
    zone: ZoneInfo,
    *,
    known_at: datetime | None = None,
) -> dict[TariffPlanId, tuple[VersionInForce, ...]]:
    """Return for each plan the versions that hold in `period`, each with its stretch of it.

    A version holds from its date until the next one's; of several for one date the last published.
    With `known_at`, what was published later does not count.
    """
    query = (
        select(TariffVersionRow)
        .where(TariffVersionRow.plan_id.in_(sorted(set(plan_ids))))
        .order_by(TariffVersionRow.plan_id, TariffVersionRow.valid_from, TariffVersionRow.revision)
    )
    if known_at is not None:
        query = query.where(TariffVersionRow.published_at <= known_at)
    by_plan: dict[TariffPlanId, dict[date, TariffVersionRow]] = {}
    for row in session.scalars(query):
        by_plan.setdefault(TariffPlanId(row.plan_id), {})[row.valid_from] = row
    return {
        plan_id: _in_period(list(dated.values()), period, zone)
        for plan_id, dated in by_plan.items()
    }


def _in_period(
    rows: Sequence[TariffVersionRow], period: Period, zone: ZoneInfo
) -> tuple[VersionInForce, ...]:
    starts = [local_midnight(row.valid_from, zone) for row in rows]
    ends = [*starts[1:], max(period.end, starts[-1])]
    found = []
    for row, start, end in zip(rows, starts, ends, strict=True):
        shared = Period(start, end).intersect(period)
        if shared is not None:
            found.append((shared, _parsed(row.document, row.id)))
    return tuple(found)


@lru_cache(maxsize=512)
def _parsed(document: str, version_id: int) -> TariffVersion:
    return replace(parse_tariff(document, published=True), id=TariffVersionId(version_id))
