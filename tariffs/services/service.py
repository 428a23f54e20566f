"""Use cases of prices of services: publish a document."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.locks import wait_for
from tariffs.models import ServicePriceRow
from tariffs.services.documents import parse_service
from tariffs.services.prices import ServicePrice
from tariffs.services.store import plan_rates


class ServiceExists(DomainError):
    """Another price document of the service was published for the same date."""

    code = "service_exists"
    template = mark(
        "The service %(service)s has other prices from %(day)s; say that these replace them."
    )


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """A price document to publish; `replaces` allows a second one for the same date."""

    scope: Scope
    document: str
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class ServicePublication:
    """What publishing did."""

    price: ServicePrice
    new: bool


def publish_service(session: Session, order: ServiceOrder, clock: Clock) -> ServicePublication:
    """Publish the prices of a service for ever; the same document again changes nothing."""
    order.scope.demand(Right.PUBLISH_TARIFFS)
    price = parse_service(order.document)
    if price.plan_code and not plan_rates(session, price.plan_code):
        raise Invalid(
            where=mark("service price"),
            problem=mark("there is no plan %(plan)s with one rate all day"),
            plan=price.plan_code,
        )
    wait_for(session, f"service price {price.code}")
    published = session.scalars(
        select(ServicePriceRow)
        .where(ServicePriceRow.code == price.code)
        .order_by(ServicePriceRow.valid_from, ServicePriceRow.revision)
    ).all()
    for row in published:
        if parse_service(row.document).service is not price.service:
            raise Invalid(
                where=mark("service price"),
                problem=mark("the code %(code)s is that of another service"),
                code=price.code,
            )
    same_day = [row for row in published if row.valid_from == price.valid_from]
    if same_day and same_day[-1].digest == price.digest:
        return ServicePublication(price, new=False)
    if same_day and not order.replaces:
        raise ServiceExists(service=price.code, day=str(price.valid_from))
    session.add(
        ServicePriceRow(
            code=price.code,
            valid_from=price.valid_from,
            revision=len(same_day) + 1,
            document=order.document,
            digest=price.digest,
            published_at=clock.now(),
            published_by=order.scope.actor,
        )
    )
    session.flush()
    return ServicePublication(price, new=True)
