"""Use cases of meters: what happened in the life of one, and one put in the place of another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid
from kilokassa.core.ids import MeterId
from kilokassa.core.scope import Right, Scope, system_scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.meters.life import Life, LifeEvent, check_event, life_of, live_on
from metering.registers import RegisterReading, counted, modulus
from metering.registry.places import (
    CARRIED_OVER_BY,
    LifeEventKind,
    MeterReplacement,
    PlacesOrder,
)
from metering.registry.service import register_places
from metering.registry.store import (
    RegisteredPoint,
    StandingMeter,
    add_life_events,
    meter_of_point,
    point_by_code,
    set_meter,
)
from metering.store import load_registers, write_registers


@dataclass(frozen=True, slots=True)
class LifeEventOrder:
    """Something that happened to a meter, as a person writes it down."""

    scope: Scope
    point_code: str
    serial: str
    event: LifeEvent


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """What came of it; `repeated` where the very same was written down before."""

    life: Life
    repeated: bool


def record_life_event(session: Session, order: LifeEventOrder, clock: Clock) -> RecordedEvent:
    """Append a step to the life of a meter, and bring the dates of its row up to date.

    The same step again changes nothing. A replacement is `replace_meter_for`: it brings another
    meter with it.
    """
    order.scope.demand(Right.MANAGE_METERS)
    meter = meter_of_point(session, order.scope, order.point_code, order.serial, lock=True)
    event = replace(order.event, actor=order.scope.actor, implied=False)
    if event.kind is LifeEventKind.REPLACED:
        raise Invalid(
            where=meter.serial, problem=mark("a replacement names the new meter and its readings")
        )
    if any(_same(event, known) for known in meter.events):
        return RecordedEvent(meter.life, repeated=True)
    if event.kind is LifeEventKind.INSTALLED and event.happened_on != meter.dates.installed_on:
        raise Invalid(
            where=meter.serial,
            problem=mark("it is registered as installed on %(day)s"),
            day=meter.dates.installed_on.isoformat(),
        )
    today = local_date(clock.now(), ZoneInfo(meter.zone))
    kept = _carried_over(meter, event)
    life = live_on(meter.dates, [*meter.events, *kept], event, today=today)
    add_life_events(session, [(meter.id, one) for one in (*kept, event)], clock.now())
    set_meter(session, meter.id, **_dates_after(meter, event, life))
    return RecordedEvent(life, repeated=False)


def _same(event: LifeEvent, known: LifeEvent) -> bool:
    return (event.kind, event.happened_on, event.valid_until, event.document) == (
        known.kind,
        known.happened_on,
        known.valid_until,
        known.document,
    )


def _carried_over(meter: StandingMeter, event: LifeEvent) -> list[LifeEvent]:
    """Return the verification that only the row knew, before a first event takes its place.

    Otherwise nobody could tell any more that the meter was verified in the years before. A
    certificate that ends no later than what was registered corrects it: nothing is carried over.
    """
    until = meter.dates.verified_until
    if (
        event.kind is not LifeEventKind.VERIFIED
        or until is None
        or event.valid_until is None
        or until >= event.valid_until
        or any(known.kind is LifeEventKind.VERIFIED for known in meter.events)
    ):
        return []
    since = min(meter.dates.installed_on, event.happened_on)
    if since >= until:
        return []
    note = mark("as it was registered; the day of the verification is not known")
    return [LifeEvent(LifeEventKind.VERIFIED, since, until, note=note, actor=CARRIED_OVER_BY)]


def _dates_after(meter: StandingMeter, event: LifeEvent, life: Life) -> dict[str, object]:
    values: dict[str, object] = {"verified_until": life.verified_until, "made_on": life.made_on}
    if event.kind is LifeEventKind.RETIRED and meter.dates.removed_on is None:
        values["removed_on"] = event.happened_on
    return values


# --- replacing a meter ---


def replace_meter_for(
    session: Session, scope: Scope, order: MeterReplacement, clock: Clock
) -> MeterId:
    """Replace a meter on behalf of a person who may do so at that point."""
    scope.demand(Right.MANAGE_METERS)
    return _replace(session, scope, replace(order, actor=scope.actor), clock, strict=True)


def replace_meter(session: Session, order: MeterReplacement, clock: Clock) -> MeterId:
    """End the life of a point's meter and start that of another, with what both showed.

    The channel lives on: an interval series does not notice that the device was changed.
    """
    return _replace(session, system_scope(order.actor), order, clock, strict=False)


def _replace(
    session: Session, scope: Scope, order: MeterReplacement, clock: Clock, *, strict: bool
) -> MeterId:
    code = order.meter.point_code
    # The lock first: two replacements at once are one after the other, and the second sees it.
    removed = meter_of_point(session, scope, code, order.removed_serial, lock=True)
    point = point_by_code(session, scope, code)
    today = local_date(clock.now(), ZoneInfo(point.zone))
    _check_day(removed, order, point, today=today, strict=strict)
    _check_values(session, removed, order, strict=strict)
    replaced = LifeEvent(
        LifeEventKind.REPLACED,
        order.meter.installed_on,
        document=order.document,
        note=order.note,
        actor=order.actor,
    )
    known = any(event.kind is LifeEventKind.REPLACED for event in removed.events)
    if not known:
        life_of(replace(removed.dates, removed_on=None), [*removed.events, replaced])
    set_meter(session, removed.id, removed_on=order.meter.installed_on)
    placed = register_places(session, PlacesOrder(meters=(order.meter,)), clock)
    new_id = placed.meter_ids[code, order.meter.serial]
    if not known:
        begun = [
            replace(replaced, kind=kind)
            for kind in (LifeEventKind.INSTALLED, LifeEventKind.COMMISSIONED)
        ]
        add_life_events(
            session,
            [(removed.id, replaced), *((int(new_id), event) for event in begun)],
            clock.now(),
        )
    write_registers(
        session,
        [
            *_showing(removed.id, order.final_values, order),
            *_showing(new_id, order.first_values, order),
        ],
        clock,
        source=f"replacement:{order.actor}",
    )
    return new_id


def _check_day(
    removed: StandingMeter,
    order: MeterReplacement,
    point: RegisteredPoint,
    *,
    today: date,
    strict: bool,
) -> None:
    day = order.meter.installed_on
    if removed.dates.removed_on not in (None, day) or day < removed.dates.installed_on:
        raise Invalid(
            where=order.removed_serial,
            problem=mark("the meter was not at its point on %(day)s"),
            day=day.isoformat(),
        )
    if order.meter.serial == order.removed_serial:
        raise Invalid(where=order.removed_serial, problem=mark("it cannot replace itself"))
    for known in point.meters:
        if known.dates.removed_on is None and known.serial not in (
            order.removed_serial,
            order.meter.serial,
        ):
            raise Invalid(
                where=order.removed_serial,
                problem=mark("meter %(other)s stands at the point now"),
                other=known.serial,
            )
        if known.serial == order.meter.serial and known.dates.installed_on != day:
            raise Invalid(
                where=known.serial,
                problem=mark("it stood at this point before; give it a number of its own"),
            )
    if strict:
        check_event(order.removed_serial, LifeEvent(LifeEventKind.REPLACED, day), today=today)
        if local_date(order.at, ZoneInfo(point.zone)) != day:
            raise Invalid(
                where=order.removed_serial,
                problem=mark("the instant of the change lies on its day, %(day)s"),
                day=day.isoformat(),
            )


def _check_values(
    session: Session, removed: StandingMeter, order: MeterReplacement, *, strict: bool
) -> None:
    """Refuse final values that the removed meter cannot have shown."""
    new_digits = order.meter.digits
    limits = (
        (order.removed_serial, order.final_values, removed.digits),
        (
            order.meter.serial,
            order.first_values,
            removed.digits if new_digits is None else new_digits,
        ),
    )
    for serial, values, digits in limits:
        if strict and not values:
            raise Invalid(
                where=serial, problem=mark("a replacement says what each register showed")
            )
        for zone, value in values.items():
            if not 0 <= value < modulus(digits, removed.commodity):
                raise Invalid(
                    where=serial,
                    problem=mark("zone %(zone)s: more than a meter of %(digits)s digits shows"),
                    zone=str(zone),
                    digits=digits,
                )
    latest: dict[Zone, RegisterReading] = {}
    for reading in load_registers(session, [removed.id]):
        if reading.taken_at > order.at:
            raise Invalid(
                where=removed.serial,
                problem=mark("it was read after its removal, at %(at)s"),
                at=reading.taken_at.isoformat(),
            )
        if reading.taken_at < order.at:
            latest[reading.zone] = reading
    if not strict:
        return
    missing = sorted(set(latest) - set(order.final_values))
    if missing:
        raise Invalid(
            where=removed.serial,
            problem=mark("its last value of zone %(zone)s is missing"),
            zone=str(missing[0]),
        )
    for zone, value in order.final_values.items():
        if zone in latest and (
            counted(latest[zone].value, value, modulus(removed.digits, removed.commodity)) is None
        ):
            raise Invalid(
                where=removed.serial,
                problem=mark("zone %(zone)s: less than it showed before"),
                zone=str(zone),
            )


def _showing(
    meter_id: int, values: Mapping[Zone, int], order: MeterReplacement
) -> list[RegisterReading]:
    return [
        RegisterReading(meter_id, zone, order.at, value, Quality.ACTUAL)
        for zone, value in values.items()
    ]
