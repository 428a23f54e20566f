"""Settling the common-area electricity of a house: what a month used, and what of it is charged.

A month is settled once, from what is stored, and its row never changes: where readings that came
later change it, or a month before it, a new row takes its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from billing.house import store as house_store
from billing.house.served import AssignedService, CommonAreaMonth, ServedHouse
from billing.models import CommonAreaMethod, CommonAreaMonthRow
from billing.recalculation.store import first_closes
from billing.store import areas_of_buildings, retailer_zone
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json, digest_value
from kilokassa.core.ids import BuildingId
from kilokassa.core.money import half_up_ratio
from kilokassa.core.scope import Scope
from kilokassa.db.locks import wait_for
from metering import store as metering_store
from metering.balance.house import Role
from metering.balance.service import HouseQuery, house_balance
from metering.balance.store import HousePoint, points_of_houses
from metering.estimation.store import kept_estimates, scaling_of_points, verifications
from metering.estimation.trust import trusted_series, trusted_spans
from metering.registers import RegisterBackwards, RegisterReading, register_differences
from metering.registry.places import PPM
from metering.registry.store import areas_on
from tariffs.services.common_area import (
    MonthBasis,
    PastMonth,
    Settled,
    average_before,
    norm_wh,
    settle_actual,
    settle_unknown,
    settle_yearly,
)
from tariffs.services.prices import HouseService, ServicePrice, amount_on
from tariffs.services.store import service_prices

SETTLED_BACK_MONTHS: Final = 12
"""So far back later readings settle a month again, as they correct its charge."""
HISTORY_MONTHS: Final = 26
"""A year that is put right, and the months that its averages stand on."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a house's meters tell of a month, whole Wh."""

    house_wh: int | None
    flats_wh: int
    unread: tuple[str, ...] = ()
    """Points without any value."""
    incomplete: int = 0
    """Intervals without a balance."""

    @property
    def actual_wh(self) -> int | None:
        """What is left for the common property; None where that is not known."""
        return None if self.house_wh is None else self.house_wh - self.flats_wh


@dataclass(frozen=True, slots=True)
class SettledMonth:
    """What settling did with a month."""

    house: ServedHouse
    settled: CommonAreaMonth
    new: bool


def common_area_codes(session: Session) -> dict[str, tuple[ServicePrice, ...]]:
    """Return the price documents of common-area electricity, by code."""
    return {
        code: prices
        for code, prices in service_prices(session).items()
        if prices[0].service is HouseService.COMMON_ELECTRICITY
    }


def settle_house(
    session: Session, house: ServedHouse, month: Month, scope: Scope, clock: Clock
) -> tuple[SettledMonth, ...]:
    """Settle a month of a house, and those before it that later readings changed.

    Returns the months of which a row was written, and the one asked for.
    """
    wait_for(session, f"services of house {house.id}")  # two settle, or one is told what it has
    prices = common_area_codes(session)
    first = month.plus(-HISTORY_MONTHS)
    services = house_store.services_of(
        session, [house.id], first.first_day, month.plus(1).first_day
    ).get(house.id, ())
    known = {
        one: row
        for (_, one), row in house_store.common_area_months(
            session, [house.id], first, month
        ).items()
    }
    points = points_of_houses(session, [house.id])[house.id]
    closed = first_closes(session, month, retailer_zone(session))
    done: list[SettledMonth] = []
    for back in range(SETTLED_BACK_MONTHS, -1, -1):
        one = month.plus(-back)
        service = _service_in(services, prices, one)
        if service is None or (back and one not in known and one not in closed):
            continue
        row = known.get(one)
        measured = (
            _measured_before(row)
            if back and row is not None and not _changed(session, house, points, one, row)
            else measure(session, house, points, one, known, scope, clock)
        )
        settled = _settle(
            session, house, service, prices[service.code], one, measured, known, clock.now()
        )
        if row is None or row.input_digest != settled.input_digest:
            _write(session, settled, clock)
            known[one] = settled
            done.append(SettledMonth(house, settled, new=True))
        elif not back:
            done.append(SettledMonth(house, row, new=False))
    return tuple(done)


def yearly_preview(
    session: Session, house: ServedHouse, year: int
) -> tuple[tuple[Month, int, int | None], ...]:
    """Return the settled months of a year: what was charged, and what the house really used.

    Months charged by their actual volume are in need of nothing and left out.
    """
    rows = house_store.common_area_months(session, [house.id], Month(year, 1), Month(year, 12))
    return tuple(
        (month, row.own_wh, row.actual_wh)
        for (_, month), row in sorted(rows.items(), key=lambda pair: pair[0][1])
        if row.method is not CommonAreaMethod.ACTUAL
    )


def measure(
    session: Session,
    house: ServedHouse,
    points: Sequence[HousePoint],
    month: Month,
    known: Mapping[Month, CommonAreaMonth],
    scope: Scope,
    clock: Clock,
) -> Measured:
    """Return what a house's meters tell of a month that is over.

    Points with intervals count them; a register counts in the month that its later reading closes,
    as it is charged. Flats without a meter take part by their estimate. Where a value is missing,
    the house's volume is not known; a house register that skipped months gives them back what they
    were charged without it.
    """
    found = house_balance(session, HouseQuery(scope, house.code, month), clock)
    by_interval = found.by_interval.totals()
    incomplete = found.by_interval.incomplete()
    read = _read_by_registers(session, house, points, month)
    by_hand = [point for point in points if point.taken_id is None]
    silent = [
        point
        for point in points
        if point.taken_id is not None and point.code in found.balance.unread
    ]
    house_wh = by_interval.input_wh
    flats_wh = by_interval.flats_wh
    unread: list[str] = []
    for point in (*by_hand, *silent):
        if point.role is Role.COMMON:
            continue
        counted = read.get(point.id)
        if counted is None:
            unread.append(point.code)
        elif point.role is Role.FLAT:
            flats_wh += counted.energy_wh
        else:
            house_wh += counted.energy_wh - _charged_without(counted.since, month, known)
    whole = not unread and not incomplete and any(point.role is Role.INPUT for point in points)
    return Measured(
        house_wh=house_wh if whole else None,
        flats_wh=flats_wh,
        unread=tuple(sorted(unread)),
        incomplete=incomplete,
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a point's registers, or its estimates, counted in the stretches that a month closes."""

    energy_wh: int
    since: Month


def _read_by_registers(
    session: Session, house: ServedHouse, points: Sequence[HousePoint], month: Month
) -> dict[int, _Counted]:
    """Return what registers counted by point, with multiplier and losses, and norms without one."""
    period = month.period(house.zone)
    meters = {meter.id: (point, meter) for point in points for meter in point.meters}
    readings: dict[int, list[RegisterReading]] = {}
    for reading in metering_store.load_registers(session, meters, last=period.end):
        readings.setdefault(reading.meter_id, []).append(reading)
    scaling = scaling_of_points(session, {point.id for point in points})
    verified = verifications(session, meters)
    found: dict[int, _Counted] = {}
    for meter_id, of_meter in readings.items():
        point, meter = meters[meter_id]
        try:
            # Of a flat whose meter's verification ran out, what is charged counts: its estimate.
            spans = trusted_spans(meter.verified_until, verified.get(meter_id, ()), house.zone)
            differences = [
                one
                for series in trusted_series(of_meter, spans)
                for one in register_differences(series, digits=meter.digits)
                if period.start < one.period.end <= period.end
            ]
        except RegisterBackwards:
            continue
        if not differences:
            continue
        multiplier, loss_ppm = scaling.get(point.id, (1, 0))
        measured_wh = sum(one.energy for one in differences) * multiplier
        energy_wh = measured_wh + half_up_ratio(measured_wh * loss_ppm, PPM)
        since = Month.of(
            local_date(
                min(one.period.start for one in differences) - timedelta(microseconds=1), house.zone
            )
        )
        before = found.get(point.id)
        found[point.id] = (
            _Counted(energy_wh, since)
            if before is None
            else _Counted(before.energy_wh + energy_wh, min(before.since, since))
        )
    without = [point.id for point in points if point.id not in found]
    for point_id, estimates in kept_estimates(session, without).items():
        of_month = [
            one
            for one in estimates
            if one.meter_id is None and period.start < one.period.end <= period.end
        ]
        if of_month:
            found[point_id] = _Counted(sum(one.quantity for one in of_month), month)
    return found


def _charged_without(since: Month, month: Month, known: Mapping[Month, CommonAreaMonth]) -> int:
    """Return what months between two readings of the house were charged, flats and common areas."""
    between = (Month.from_ordinal(n) for n in range(since.ordinal + 1, month.ordinal))
    return sum(known[one].flats_wh + known[one].own_wh for one in between if one in known)


def _service_in(
    services: Sequence[AssignedService], prices: Mapping[str, Any], month: Month
) -> AssignedService | None:
    """Return the common-area service that a house has on the first day of a month."""
    return next(
        (
            one
            for one in services
            if one.code in prices and one.valid_from <= month.first_day < one.end
        ),
        None,
    )


def _changed(
    session: Session,
    house: ServedHouse,
    points: Sequence[HousePoint],
    month: Month,
    row: CommonAreaMonth,
) -> bool:
    """Say whether readings of a house's month came after it was settled."""
    period = month.period(house.zone)
    days = month.days
    channels = metering_store.changed_since(session, days[0], days[-1], row.recorded_at)
    if {point.taken_id for point in points} & set(channels):
        return True
    meters = metering_store.registers_changed_since(
        session, period.start, period.end, row.recorded_at
    )
    return bool({meter.id for point in points for meter in point.meters} & set(meters))


def _measured_before(row: CommonAreaMonth) -> Measured:
    return Measured(
        house_wh=row.house_wh,
        flats_wh=row.flats_wh,
        unread=tuple(row.detail.get("unread", ())),
        incomplete=row.detail.get("incomplete", 0),
    )


def _settle(
    session: Session,
    house: ServedHouse,
    service: AssignedService,
    prices: Sequence[ServicePrice],
    month: Month,
    measured: Measured,
    known: Mapping[Month, CommonAreaMonth],
    now: datetime,
) -> CommonAreaMonth:
    price = next(p for p in reversed(prices) if p.valid_from <= month.first_day)
    common_dm2 = house_store.common_area_dm2(session, [house.id]).get(house.id, 0)
    norm = norm_wh(amount_on(price.area_norms, month.first_day), common_dm2)
    before = known.get(month.plus(-1))
    carried_in_wh = 0 if before is None else before.carried_out_wh
    history = [
        PastMonth(one.ordinal, row.actual_wh, row.own_wh)
        for one, row in sorted(known.items())
        if one < month
    ]
    method = service.method or CommonAreaMethod.NORM
    settled = _settled(method, measured, norm, carried_in_wh, history, month, price, known)
    premises = areas_of_buildings(session, [BuildingId(house.id)])[house.id]
    area_dm2 = sum(
        areas_on(
            session,
            [premises_id for premises_id, _ in premises],
            month.plus(1).first_day - timedelta(days=1),
        ).values()
    )
    detail: dict[str, Any] = {
        "basis": str(settled.basis),
        "own_wh": settled.own_wh,
        "norm_wh": norm,
        "common_dm2": common_dm2,
    }
    if measured.unread:
        detail["unread"] = list(measured.unread)
    if measured.incomplete:
        detail["incomplete"] = measured.incomplete
    if settled.yearly or settled.yearly_unknown:
        detail["yearly"] = [list(pair) for pair in settled.yearly]
        detail["yearly_unknown"] = list(settled.yearly_unknown)
    values = {
        "building_id": house.id,
        "month": month.ordinal,
        "method": str(method),
        "house_wh": measured.house_wh,
        "flats_wh": measured.flats_wh,
        "carried_in_wh": carried_in_wh,
        "charged_wh": settled.charged_wh,
        "carried_out_wh": settled.carried_out_wh,
        "area_dm2": area_dm2,
        "detail": detail,
    }
    return CommonAreaMonth(
        building_id=house.id,
        month=month,
        method=method,
        house_wh=measured.house_wh,
        flats_wh=measured.flats_wh,
        actual_wh=measured.actual_wh,
        carried_in_wh=carried_in_wh,
        charged_wh=settled.charged_wh,
        carried_out_wh=settled.carried_out_wh,
        area_dm2=area_dm2,
        detail=detail,
        input_digest=digest_value(values),
        recorded_at=now,
    )


def _settled(
    method: CommonAreaMethod,
    measured: Measured,
    norm: int,
    carried_in_wh: int,
    history: Sequence[PastMonth],
    month: Month,
    price: ServicePrice,
    known: Mapping[Month, CommonAreaMonth],
) -> Settled:
    if method is CommonAreaMethod.ACTUAL:
        actual_wh = measured.actual_wh
        if actual_wh is not None:
            return settle_actual(actual_wh, carried_in_wh)
        return settle_unknown(norm, carried_in_wh, history, month.ordinal)
    year = [
        PastMonth(one.ordinal, row.actual_wh, row.own_wh)
        for one, row in sorted(known.items())
        if one.year == month.year - 1
    ]
    own_wh, basis = norm, MonthBasis.NORM
    if method is CommonAreaMethod.AVERAGE:
        average = _year_average(year)
        if average is not None:
            own_wh, basis = average, MonthBasis.AVERAGE
    put_right = [
        one
        for one in year
        if known[Month.from_ordinal(one.ordinal)].method is not CommonAreaMethod.ACTUAL
    ]
    return settle_yearly(
        basis, own_wh, carried_in_wh, put_right if month.number == price.recalculated_in else ()
    )


def _year_average(year: Sequence[PastMonth]) -> int | None:
    known = [one.actual_wh for one in year if one.actual_wh is not None]
    if average_before(year) is None:
        return None
    return max(half_up_ratio(sum(known), len(known)), 0)


def _write(session: Session, settled: CommonAreaMonth, clock: Clock) -> None:
    """Let a row take the place of the one that stands for its month."""
    now = clock.now()
    session.execute(
        update(CommonAreaMonthRow)
        .where(
            CommonAreaMonthRow.building_id == settled.building_id,
            CommonAreaMonthRow.month == settled.month.ordinal,
            CommonAreaMonthRow.superseded_at.is_(None),
        )
        .values(superseded_at=now)
    )
    session.add(
        CommonAreaMonthRow(
            building_id=settled.building_id,
            month=settled.month.ordinal,
            method=settled.method,
            house_wh=settled.house_wh,
            flats_wh=settled.flats_wh,
            actual_wh=settled.actual_wh,
            carried_in_wh=settled.carried_in_wh,
            charged_wh=settled.charged_wh,
            carried_out_wh=settled.carried_out_wh,
            area_dm2=settled.area_dm2,
            detail=canonical_json(settled.detail),
            input_digest=settled.input_digest,
            recorded_at=now,
        )
    )
    session.flush()
