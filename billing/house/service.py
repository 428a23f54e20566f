"""Use cases of the services of houses: which a house has, and what its accounts owe for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import MeterFact
from billing.facts.facts import Absence
from billing.facts.store import absences_of, persons_on
from billing.house import store as house_store
from billing.house.lines import (
    NO_PRICE,
    NO_VOLUME,
    PRICE_UNCERTAIN,
    HouseCharge,
    Stay,
    area_lines,
    cut,
    energy_lines,
    person_line,
    volume_lines,
    yearly_line,
)
from billing.house.store import AssignedService, CommonAreaMonth, ServedHouse, day_after
from billing.house.water import Volume, common_volume, water_of_month
from billing.law import REGISTER_WENT_BACK
from billing.models import CommonAreaMethod, HouseServiceRow, Service
from billing.recalculation.absence import absence_warnings, person_days
from billing.store import areas_of_buildings
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_text
from kilokassa.core.errors import Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering import store as metering_store
from metering.estimation import store as estimate_store
from metering.estimation.methods import Norm, norm_in_force
from metering.registers import RegisterBackwards, RegisterReading, register_differences
from metering.registry.places import Commodity
from metering.registry.store import areas_on
from metering.store import PremisesMeter
from tariffs.services.common_area import MonthBasis, share_area
from tariffs.services.prices import Basis, HouseService, ServicePrice, Stretch, stretches
from tariffs.services.store import service_prices
from tariffs.services.volumes import Counted, VolumeMethod, norm_litres, part_of_days

WATERS: Final = {
    Commodity.COLD_WATER: Service.COLD_WATER,
    Commodity.HOT_WATER: Service.HOT_WATER,
}
YEARLY_UNKNOWN: Final = mark(
    "Some months of the year could not be put right: what the house used in them is not known."
)
BY_NORM: Final = mark(
    "What the common property used is not known for this month: it was charged by the norm."
)
BY_AVERAGE: Final = mark(
    "What the common property used is not known for this month: its average was charged."
)


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
    facts = _Facts.of(session, served, month, assigned, prices, known_at)
    return {
        account.id: _charge(account, month, assigned[account.building_id], prices, facts)
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
    for building_id, of_house in areas_of_buildings(session, houses).items():
        ids = [premises_id for premises_id, _ in of_house]
        areas = areas_on(session, ids, last_day, known_at=known_at)
        shares |= share_area(settled[building_id, month].own_wh, areas)
    return {a.id: shares[a.premises_id] for a in accounts if a.premises_id in shares}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the charges of a group of accounts are computed from."""

    houses: Mapping[int, ServedHouse]
    areas: Mapping[int, Mapping[int, int]]
    """Square decimetres of all premises, by building and premises."""
    common: Mapping[int, CommonAreaMonth]
    meters: Mapping[tuple[int, Commodity], tuple[PremisesMeter, ...]]
    readings: Mapping[int, Sequence[RegisterReading]]
    norms: Mapping[Commodity, Sequence[Norm]]
    rooms: Mapping[int, int | None]
    own_areas: Mapping[int, int]
    """Square decimetres of the accounts' own premises: what held on the month's last day."""
    persons: Mapping[AccountId, int]
    """On the month's last day."""
    absences: Mapping[AccountId, Sequence[Absence]]

    @classmethod
    def of(
        cls,
        session: Session,
        accounts: Sequence[BilledAccount],
        month: Month,
        assigned: Mapping[int, Sequence[AssignedService]],
        prices: Mapping[str, Sequence[ServicePrice]],
        known_at: datetime | None,
    ) -> "_Facts":
        """Gather what the services of these houses need, and nothing else."""
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
            for meter in metering_store.meters_of_premises(
                session, premises_ids, known_at=known_at
            ):
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
        areas: dict[int, Mapping[int, int]] = {}
        common: dict[int, CommonAreaMonth] = {}
        if Basis.COMMON_AREA in bases:
            for building_id, of_house in areas_of_buildings(session, assigned).items():
                ids = [premises_id for premises_id, _ in of_house]
                areas[building_id] = areas_on(session, ids, last_day, known_at=known_at)
            settled = house_store.common_area_months(
                session, assigned, month, month, known_at=known_at
            )
            common = {building_id: one for (building_id, _), one in settled.items()}
        account_ids = [account.id for account in accounts]
        return cls(
            houses=house_store.served_houses(session, assigned),
            areas=areas,
            common=common,
            meters=meters,
            readings=readings,
            norms={
                commodity: estimate_store.norms(session, commodity) if water else ()
                for commodity in WATERS
            },
            rooms=house_store.rooms_of(session, premises_ids) if water else {},
            own_areas=areas_on(session, premises_ids, last_day, known_at=known_at),
            persons=persons_on(session, account_ids, last_day, known_at=known_at),
            absences=absences_of(
                session, account_ids, month.plus(-12).first_day, last_day, known_at=known_at
            ),
        )


def _charge(
    account: BilledAccount,
    month: Month,
    assigned: Sequence[AssignedService],
    prices: Mapping[str, Sequence[ServicePrice]],
    facts: _Facts,
) -> HouseCharge:
    charge = HouseCharge()
    first = max(month.first_day, account.opened_on)
    end = month.plus(1).first_day
    if account.closed_on is not None:
        end = min(end, account.closed_on)
    water = _Water(account, month, facts, _norm_codes(assigned, prices))
    for one in assigned:
        begins, ends = max(first, one.valid_from), min(end, one.end)
        if begins >= ends:
            continue
        priced = stretches(prices.get(one.code, ()), begins, ends)
        if sum(stretch.days for stretch in priced) < (ends - begins).days or any(
            not stretch.price.amounts for stretch in priced
        ):
            charge.warnings.append(NO_PRICE)
            continue
        if any(not stretch.price.certain for stretch in priced):
            charge.warnings.append(PRICE_UNCERTAIN)
        stay = Stay(month, account.zone, priced)
        basis = priced[0].price.basis
        if basis is Basis.METER or basis is Basis.WATER:
            water.charge(stay, priced[0].price, max(account.opened_on, one.valid_from), charge)
        elif basis is Basis.AREA:
            area_dm2 = facts.own_areas[account.premises_id]
            charge.lines += area_lines(stay, area_dm2, {"area_dm2": area_dm2}, digest="")
        elif basis is Basis.PERSON:
            _by_person(account, stay, facts, charge)
        else:
            _common_area(account, one, stay, prices[one.code], facts, charge)
    return charge


def _norm_codes(
    assigned: Sequence[AssignedService], prices: Mapping[str, Sequence[ServicePrice]]
) -> dict[Commodity, str]:
    """Return by which norms a house's water is charged: its drainage too."""
    found = {}
    for one in assigned:
        for price in prices.get(one.code, ()):
            commodity = next(
                (c for c, service in WATERS.items() if str(service) == str(price.service)), None
            )
            if commodity is not None and price.norm_code:
                found[commodity] = price.norm_code
    return found


def _by_person(account: BilledAccount, stay: Stay, facts: _Facts, charge: HouseCharge) -> None:
    persons = facts.persons[account.id]
    if not persons:
        return
    absences = facts.absences.get(account.id, ())
    for stretch in stay.stretches:
        days = [stretch.first + timedelta(days=n) for n in range(stretch.days)]
        present = person_days(persons, days, absences)
        line = person_line(stay, stretch, persons, present, {"persons": persons}, digest="")
        if line.amount_minor:
            charge.lines.append(line)
    month_days = stay.month.days
    charge.warnings += absence_warnings(month_days, absences)


def _common_area(
    account: BilledAccount,
    assigned: AssignedService,
    stay: Stay,
    prices: Sequence[ServicePrice],
    facts: _Facts,
    charge: HouseCharge,
) -> None:
    """Share the settled month of the house by area: what is charged for it, and the year before."""
    settled = facts.common.get(account.building_id)
    areas = facts.areas.get(account.building_id, {})
    if settled is None or settled.method is not assigned.method:
        charge.warnings.append(NO_VOLUME)
        return
    shown: dict[str, Any] = {
        "method": str(settled.method),
        "settled_by": str(settled.basis),
        "house_wh": settled.house_wh,
        "flats_wh": settled.flats_wh,
        "actual_wh": settled.actual_wh,
        "carried_in_wh": settled.carried_in_wh,
        "charged_wh": settled.own_wh,
        "carried_out_wh": settled.carried_out_wh,
        "norm_wh": settled.detail.get("norm_wh"),
        "area_dm2": facts.own_areas[account.premises_id],
        "house_area_dm2": sum(areas.values()),
    }
    if str(settled.basis) != str(settled.method):
        by_norm = settled.basis is MonthBasis.NORM
        charge.warnings.append(BY_NORM if by_norm else BY_AVERAGE)
    share_wh = share_area(settled.own_wh, areas)[account.premises_id]
    charge.lines += energy_lines(
        stay,
        share_wh,
        shown,
        digest=settled.input_digest,
        estimated=settled.basis is not MonthBasis.ACTUAL,
    )
    if settled.detail.get("yearly_unknown"):
        charge.warnings.append(YEARLY_UNKNOWN)
    for stretch, difference_wh in _by_price(settled.yearly, prices):
        line = yearly_line(
            stay,
            stretch,
            share_area(difference_wh, areas)[account.premises_id],
            {
                "method": str(settled.method),
                "yearly_house_wh": difference_wh,
                "yearly_months": [
                    [str(month), wh]
                    for month, wh in settled.yearly
                    if stretch.first < month.plus(1).first_day and month.first_day < stretch.end
                ],
                "area_dm2": facts.own_areas[account.premises_id],
                "house_area_dm2": sum(areas.values()),
            },
            digest=settled.input_digest,
            year=stretch.first.year,
        )
        if line.quantity:
            charge.lines.append(line)


def _by_price(
    yearly: Sequence[tuple[Month, int]], prices: Sequence[ServicePrice]
) -> list[tuple[Stretch, int]]:
    """Return a year's difference by the stretches of one price that it was used in."""
    if not yearly:
        return []
    months = [month for month, _ in yearly]
    found = []
    for stretch in stretches(prices, min(months).first_day, max(months).plus(1).first_day):
        difference_wh = 0
        for month, wh in yearly:
            for part in cut([stretch], month.first_day, month.plus(1).first_day):
                day = (part.first - month.first_day).days
                difference_wh += part_of_days(wh, day, day + part.days, len(month.days))
        found.append((stretch, difference_wh))
    return found


class _Water:
    """The water of one account in a month, found once for all services that count it."""

    def __init__(
        self,
        account: BilledAccount,
        month: Month,
        facts: _Facts,
        norm_codes: Mapping[Commodity, str],
    ) -> None:
        self.account, self.month, self.facts = account, month, facts
        self.norm_codes = norm_codes
        self._backwards = False

    def charge(self, stay: Stay, price: ServicePrice, since: date, charge: HouseCharge) -> None:
        """Add the lines of a service by volume of water, which the account has `since` a day."""
        kinds = {
            HouseService.COLD_WATER: (Commodity.COLD_WATER,),
            HouseService.HOT_WATER: (Commodity.HOT_WATER,),
        }.get(price.service, tuple(WATERS))
        volumes = {str(kind): self._volume(kind, Month.of(since)) for kind in kinds}
        volume = common_volume(volumes)
        if self._backwards:
            charge.warnings.append(REGISTER_WENT_BACK)
        if volume is None:
            charge.warnings.append(NO_VOLUME)
            return
        absences = self.facts.absences.get(self.account.id, ())
        by_norm = any(
            one is not None and one.method is VolumeMethod.NORM for one in volumes.values()
        )
        if by_norm:
            charge.warnings += absence_warnings(self.month.days, absences)
        facts: dict[str, Any] = {
            "volumes": {
                kind: {
                    "litres": one.litres,
                    "method": str(one.method),
                    "counted": one.counted,
                    "charged_before": one.charged_before,
                }
                for kind, one in volumes.items()
                if one is not None
            },
            "persons": self.facts.persons[self.account.id],
        }
        charge.lines += volume_lines(
            stay,
            volume.litres,
            facts,
            digest=self._digest(kinds),
            counted=volume.method is VolumeMethod.METER,
            estimated=volume.method is not VolumeMethod.METER,
        )
        if price.basis is Basis.METER:
            charge.meters += self._meters(kinds[0], volume)

    def _volume(self, kind: Commodity, since: Month) -> Volume | None:
        in_service = self._in_service(kind)
        try:
            counted = self._counted(kind)
        except RegisterBackwards:
            self._backwards = True
            return None
        return water_of_month(
            counted,
            self.month,
            since,
            lambda month: self._norm(kind, month),
            metered=bool(in_service) or any(Month.of(one.last) == self.month for one in counted),
        )

    def _in_service(self, kind: Commodity) -> list[PremisesMeter]:
        end = self.month.plus(1).first_day
        return [
            meter
            for meter in self.facts.meters.get((self.account.premises_id, kind), ())
            if meter.installed_on < end
            and (meter.removed_on is None or meter.removed_on > self.month.first_day)
        ]

    def _counted(self, kind: Commodity) -> list[Counted]:
        """Return what the meters counted by the day, each stretch as long as between two visits."""
        found = []
        for meter in self.facts.meters.get((self.account.premises_id, kind), ()):
            readings = [
                reading
                for reading in self.facts.readings.get(meter.meter_id, ())
                if reading.quality is not Quality.MISSING
            ]
            found += [
                Counted(
                    self._day(difference.period.start),
                    self._day(difference.period.end),
                    difference.energy,
                )
                for difference in register_differences(
                    readings, digits=meter.digits, commodity=kind
                )
            ]
        return found

    def _day(self, instant: datetime) -> date:
        """Return the local day a reading closes: one of midnight closes the day before."""
        return local_date(instant - timedelta(microseconds=1), self.account.zone)

    def _norm(self, kind: Commodity, month: Month) -> int | None:
        facts, account = self.facts, self.account
        code = self.norm_codes.get(kind) or facts.houses[account.building_id].norm_code
        persons = facts.persons[account.id]
        norm = norm_in_force(
            facts.norms[kind],
            code,
            month.first_day,
            rooms=facts.rooms.get(account.premises_id),
            persons=persons,
        )
        if norm is None:
            return None
        numerator, denominator = person_days(
            persons, month.days, facts.absences.get(account.id, ())
        )
        return norm_litres(norm.quantity, (numerator, denominator))

    def _digest(self, kinds: Sequence[Commodity]) -> str:
        parts = [f"persons:{self.facts.persons[self.account.id]}"]
        for kind in kinds:
            for meter in self.facts.meters.get((self.account.premises_id, kind), ()):
                parts += [
                    f"{reading.meter_id}:{reading.taken_at.isoformat()}:{reading.value}"
                    f":{reading.revision}"
                    for reading in self.facts.readings.get(meter.meter_id, ())
                ]
        return digest_text("|".join(parts))

    def _meters(self, kind: Commodity, volume: Volume) -> list[MeterFact]:
        found = []
        period = self.month.period(self.account.zone)
        for meter in self._in_service(kind):
            readings = self.facts.readings.get(meter.meter_id, ())
            within = [one for one in readings if period.start < one.taken_at <= period.end]
            before = [one for one in readings if one.taken_at <= period.start]
            first = before[-1] if before else (within[0] if within else None)
            last = within[-1] if within else None
            read = volume.method is VolumeMethod.METER and last is not None
            found.append(
                MeterFact(
                    serial=meter.serial,
                    point_code=meter.point_code,
                    service=WATERS[kind],
                    measured=volume.counted if read else 0,
                    estimated=0 if read else volume.litres,
                    previous=None if first is None else first.value,
                    current=None if last is None else last.value,
                    verified_until=meter.verified_until,
                )
            )
        return found
