"""Use cases of the services of houses: which a house has, and what its accounts owe for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.facts.store import absences_of, persons_on
from billing.house import store as house_store
from billing.house.charging import house_charge
from billing.house.facts import WATERS, HouseFacts
from billing.house.lines import HouseCharge
from billing.house.served import AssignedService, CommonAreaMonth, day_after
from billing.models import CommonAreaMethod, HouseServiceRow
from billing.store import areas_of_buildings
from kilokassa.core.calendar import Month
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.locks import wait_for
from metering import store as metering_store
from metering.estimation import store as estimate_store
from metering.registers import RegisterReading
from metering.registry.at_premises import PremisesMeter
from metering.registry.places import Commodity
from metering.registry.store import areas_on
from tariffs.services.common_area import share_area
from tariffs.services.prices import Basis, HouseService, ServicePrice
from tariffs.services.store import service_prices

# --- which services a house has ---


@dataclass(frozen=True, slots=True)
class AssignOrder:
    """A service for a house from a day on; the same code again from a later day takes its place."""

    scope: Scope
    building_code: str
    service_code: str
    valid_from: date
    valid_until: date | None = None
    method: CommonAreaMethod | None = None
    document: str = ""


def assign_service(session: Session, order: AssignOrder, clock: Clock) -> bool:
    """Let a house have a service from a day on; return whether that is new.

    What was stated for those days before, of the same service, is kept as the former statement and
    stands on for its other days. A house has one water and one common-area electricity at a time,
    whatever their codes. The same again changes nothing.
    """
    order.scope.demand(Right.MANAGE_ACCOUNTS)
    house = house_store.house_in_reach(session, order.scope, order.building_code)
    wait_for(session, f"services of house {house.id}")
    every = service_prices(session)
    prices = every.get(order.service_code)
    place = mark("service of the house")
    if prices is None:
        raise Invalid(
            where=place,
            problem=mark("no prices of a service %(code)s are published"),
            code=order.service_code,
        )
    if order.valid_from < prices[0].valid_from:
        raise Invalid(
            where=place,
            problem=mark("%(code)s has its first price on %(day)s only"),
            code=order.service_code,
            day=str(prices[0].valid_from),
        )
    if order.valid_until is not None and order.valid_until < order.valid_from:
        raise Invalid(where=place, problem=mark("the last day is before the first one"))
    common = prices[0].service is HouseService.COMMON_ELECTRICITY
    if not common and order.method is not None:
        raise Invalid(
            where=place, problem=mark("only common-area electricity has a method of the owners")
        )
    if common and order.valid_from.day != 1:
        raise Invalid(
            where=place,
            problem=mark("common-area electricity changes with a month, and %(day)s is within one"),
            day=str(order.valid_from),
        )
    method = (order.method or CommonAreaMethod.NORM) if common else None
    wanted = (order.service_code, order.valid_from, order.valid_until, method, order.document)
    rivals = [
        one
        for one in house_store.all_services_of(session, house.id)
        if one.code == order.service_code or one.code in _same_service(prices[0], every)
    ]
    if any((o.code, o.valid_from, o.valid_until, o.method, o.document) == wanted for o in rivals):
        return False
    end = day_after(order.valid_until)
    for one in rivals:
        if one.valid_from >= end or one.end <= order.valid_from:
            continue
        _supersede(session, one, clock)
        if one.valid_from < order.valid_from:
            until = order.valid_from - timedelta(days=1)
            _add(session, one, clock, order, first=one.valid_from, until=until)
        if one.end > end:
            _add(session, one, clock, order, first=end, until=one.valid_until)
    session.add(
        HouseServiceRow(
            building_id=house.id,
            service_code=order.service_code,
            valid_from=order.valid_from,
            valid_until=order.valid_until,
            method=method,
            document=order.document,
            actor=order.scope.actor,
            recorded_at=clock.now(),
        )
    )
    session.flush()
    return True


@dataclass(frozen=True, slots=True)
class EndOrder:
    """The last day of a service of a house."""

    scope: Scope
    building_code: str
    service_code: str
    last_day: date


def end_service(session: Session, order: EndOrder, clock: Clock) -> bool:
    """Let a service of a house end with a day; return whether that changed anything."""
    order.scope.demand(Right.MANAGE_ACCOUNTS)
    house = house_store.house_in_reach(session, order.scope, order.building_code)
    wait_for(session, f"services of house {house.id}")
    changed = known = False
    for one in house_store.all_services_of(session, house.id):
        if one.code != order.service_code:
            continue
        known = True
        if one.valid_until is None or one.valid_until > order.last_day:
            _supersede(session, one, clock)
            changed = True
            if one.valid_from <= order.last_day:
                _add(session, one, clock, order, first=one.valid_from, until=order.last_day)
    if not known:
        raise Invalid(
            where=mark("service of the house"),
            problem=mark("the house has no service %(code)s"),
            code=order.service_code,
        )
    session.flush()
    return changed


def _same_service(
    price: ServicePrice, every: Mapping[str, Sequence[ServicePrice]]
) -> frozenset[str]:
    """Return the codes that a house has at most one of; of housing services it may have many."""
    if price.service is HouseService.HOUSING:
        return frozenset()
    return frozenset(code for code, of in every.items() if of[0].service is price.service)


def _supersede(session: Session, one: AssignedService, clock: Clock) -> None:
    row = session.get_one(HouseServiceRow, one.id)
    row.superseded_at = clock.now()


def _add(
    session: Session,
    one: AssignedService,
    clock: Clock,
    order: AssignOrder | EndOrder,
    *,
    first: date,
    until: date | None,
) -> None:
    session.add(
        HouseServiceRow(
            building_id=one.building_id,
            service_code=one.code,
            valid_from=first,
            valid_until=until,
            method=one.method,
            document=one.document,
            actor=order.scope.actor,
            recorded_at=clock.now(),
        )
    )


# --- what its accounts owe ---


def house_lines(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, HouseCharge]:
    """Return what accounts owe for the services of their houses in a month.

    Accounts of houses without services are left out. With `known_at`, everything is read as it was
    known at that instant.
    """
    first, end = month.first_day, month.plus(1).first_day
    building_ids = {account.building_id for account in accounts}
    assigned = house_store.services_of(session, building_ids, first, end, known_at=known_at)
    if not assigned:
        return {}
    prices = service_prices(
        session,
        {one.code for of_house in assigned.values() for one in of_house},
        known_at=known_at,
    )
    served = [account for account in accounts if account.building_id in assigned]
    facts = _gather(session, served, month, assigned, prices, known_at)
    return {
        account.id: house_charge(account, month, assigned[account.building_id], prices, facts)
        for account in served
    }


def common_area_wh(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, int]:
    """Return the share of accounts in the common-area electricity of a month, whole Wh.

    A social norm counts it before a flat's own energy. Accounts of houses whose month is not
    settled are left out.
    """
    settled = house_store.common_area_months(
        session, {account.building_id for account in accounts}, month, month, known_at=known_at
    )
    if not settled:
        return {}
    last_day = month.plus(1).first_day - timedelta(days=1)
    houses = {building_id for building_id, _ in settled}
    shares: dict[int, int] = {}
    for building_id, of_house in areas_of_buildings(
        session, houses, last_day, known_at=known_at
    ).items():
        shares |= share_area(settled[building_id, month].own_wh, dict(of_house))
    return {a.id: shares[a.premises_id] for a in accounts if a.premises_id in shares}


def _gather(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    assigned: Mapping[int, Sequence[AssignedService]],
    prices: Mapping[str, Sequence[ServicePrice]],
    known_at: datetime | None,
) -> HouseFacts:
    """Return what the services of these houses need, and nothing else."""
    bases = {
        price.basis
        for of_house in assigned.values()
        for one in of_house
        for price in prices.get(one.code, ())
    }
    water = bool(bases & {Basis.METER, Basis.WATER})
    premises_ids = [account.premises_id for account in accounts]
    meters: dict[tuple[int, Commodity], tuple[PremisesMeter, ...]] = {}
    readings: dict[int, list[RegisterReading]] = {}
    if water:
        for meter in metering_store.meters_of_premises(session, premises_ids, known_at=known_at):
            if meter.commodity in WATERS:
                key = (meter.premises_id or 0, meter.commodity)
                meters[key] = (*meters.get(key, ()), meter)
        last = max(month.period(account.zone).end for account in accounts)
        for reading in metering_store.load_registers(
            session,
            [meter.meter_id for of_place in meters.values() for meter in of_place],
            last=last,
            known_at=known_at,
        ):
            readings.setdefault(reading.meter_id, []).append(reading)
    last_day = month.plus(1).first_day - timedelta(days=1)
    areas: Mapping[int, Mapping[int, int]] = {}
    common: Mapping[int, CommonAreaMonth] = {}
    if Basis.COMMON_AREA in bases:
        areas = {
            building_id: dict(of_house)
            for building_id, of_house in areas_of_buildings(
                session, assigned, last_day, known_at=known_at
            ).items()
        }
        settled = house_store.common_area_months(session, assigned, month, month, known_at=known_at)
        common = {building_id: one for (building_id, _), one in settled.items()}
    account_ids = [account.id for account in accounts]
    return HouseFacts(
        houses=house_store.served_houses(session, assigned),
        areas=areas,
        common=common,
        meters=meters,
        readings=readings,
        norms={
            commodity: estimate_store.norms(session, commodity, known_at=known_at) if water else ()
            for commodity in WATERS
        },
        rooms=house_store.rooms_of(session, premises_ids) if water else {},
        own_areas=areas_on(session, premises_ids, last_day, known_at=known_at),
        persons=persons_on(session, account_ids, last_day, known_at=known_at),
        absences=absences_of(
            session, account_ids, month.plus(-12).first_day, last_day, known_at=known_at
        ),
    )
