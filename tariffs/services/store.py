"""Queries of the published price documents of services."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.charges import DatedAmount
from tariffs.documents import parse_tariff
from tariffs.models import ServicePriceRow, TariffPlanRow, TariffVersionRow
from tariffs.plans import TariffVersion
from tariffs.services.documents import parse_service
from tariffs.services.prices import ServicePrice


@dataclass(frozen=True, slots=True)
class PublishedService:
    """A price document with what is known of its publication."""

    price: ServicePrice
    revision: int
    document: str
    published_at: datetime
    published_by: str


def service_prices(
    session: Session, codes: Collection[str] | None = None, *, known_at: datetime | None = None
) -> dict[str, tuple[ServicePrice, ...]]:
    """Return the price documents of services, by code and date, of each date the last published.

    Common-area electricity that costs a plan's rate has the rates of the plan's versions in it.
    With `known_at`, what was published later does not count.
    """
    query = select(ServicePriceRow).order_by(
        ServicePriceRow.code, ServicePriceRow.valid_from, ServicePriceRow.revision
    )
    if codes is not None:
        query = query.where(ServicePriceRow.code.in_(sorted(codes)))
    if known_at is not None:
        query = query.where(ServicePriceRow.published_at <= known_at)
    latest: dict[str, dict[date, ServicePrice]] = {}
    for row in session.scalars(query):
        latest.setdefault(row.code, {})[row.valid_from] = _parsed(row.document, row.id)
    return {
        code: tuple(_with_plan_rates(session, price, known_at) for price in by_date.values())
        for code, by_date in latest.items()
    }


def published_services(session: Session, code: str) -> tuple[PublishedService, ...]:
    """Return every publication of a service's prices, the latest date first; refuse an unknown."""
    query = (
        select(ServicePriceRow)
        .where(ServicePriceRow.code == code)
        .order_by(ServicePriceRow.valid_from.desc(), ServicePriceRow.revision.desc())
    )
    found = tuple(
        PublishedService(
            price=_with_plan_rates(session, _parsed(row.document, row.id), None),
            revision=row.revision,
            document=row.document,
            published_at=row.published_at,
            published_by=row.published_by,
        )
        for row in session.scalars(query)
    )
    if not found:
        raise NotFound(what=mark("service"), name=code)
    return found


def plan_rates(
    session: Session, plan_code: str, known_at: datetime | None = None
) -> tuple[DatedAmount, ...]:
    """Return the dated single rates of a plan, millionths of a rouble per kWh.

    Of a plan with ranges the first one counts; a plan with zones of the day has no single rate, and
    none is returned.
    """
    query = (
        select(TariffVersionRow)
        .join(TariffPlanRow, TariffPlanRow.id == TariffVersionRow.plan_id)
        .where(TariffPlanRow.code == plan_code)
        .order_by(TariffVersionRow.valid_from, TariffVersionRow.revision)
    )
    if known_at is not None:
        query = query.where(TariffVersionRow.published_at <= known_at)
    versions: dict[date, TariffVersion] = {
        row.valid_from: _parsed_tariff(row.document) for row in session.scalars(query)
    }
    found: list[DatedAmount] = []
    starts = sorted(versions)
    for start, end in zip(starts, [*starts[1:], date.max], strict=True):
        version = versions[start]
        if version.zones != (Zone.ALL,):
            return ()
        rates = [(max(dated.valid_from, start), dated) for dated in version.rates]
        by_day = {day: dated.rates_scaled[0][0] for day, dated in rates if day < end}
        found += [DatedAmount(day, rate) for day, rate in sorted(by_day.items())]
    return tuple(found)


def _with_plan_rates(
    session: Session, price: ServicePrice, known_at: datetime | None
) -> ServicePrice:
    if not price.plan_code:
        return price
    return replace(price, amounts=plan_rates(session, price.plan_code, known_at))


@lru_cache(maxsize=512)
def _parsed(document: str, row_id: int) -> ServicePrice:
    return replace(parse_service(document), id=row_id)


@lru_cache(maxsize=128)
def _parsed_tariff(document: str) -> TariffVersion:
    return parse_tariff(document, published=True)
