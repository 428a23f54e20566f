"""Readings by hand in the demo town: water meters of one house, its residents, its walk-rounds.

The first ten months are history, written as it stood on paper. From then on residents submit within
the window, and every other month somebody walks round, all through the services that everyone uses.
Each step has a key or a row of its own, so nothing is made twice.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from typing import Final, cast

from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import Table

from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from kilokassa.demo.households import draws
from kilokassa.demo.population import AccountPlan, TownPlan
from metering import store
from metering.by_hand import store as by_hand_store
from metering.by_hand.photos import remade
from metering.by_hand.service import (
    GivenReading,
    OpenRoundOrder,
    RoundOutcomeOrder,
    RoundPhotoOrder,
    RoundReadingsOrder,
    SubmitOrder,
    WindowOrder,
    attach_photo,
    close_walk_round,
    open_walk_round,
    record_round_outcome,
    record_round_readings,
    set_reading_window,
    submit_readings,
    walk_sheet,
)
from metering.events.kinds import VisitOutcome
from metering.models import MeteringPointRow
from metering.registers import RegisterReading
from metering.registry.places import Commodity, Meter, MeteringPoint, PlacesOrder
from metering.service import register_places

SCOPE: Final = system_scope("demo")
HOUSE: Final = "KHV-1"
FLATS: Final = 24
"""The flats of the first entrance have water meters."""

ON_PAPER_MONTHS: Final = 10
"""So many months from the first are history."""

WALK_DAY: Final = 23
LEAKING: Final = 9
"""The flat whose cistern leaks: its resident confirms what looks too much."""

LEAK_L_A_DAY: Final = 1_400
_DRAW: Final = 11
"""What the draws of this file are keyed by, beside the account."""

_KINDS: Final = (
    (Commodity.COLD_WATER, "CW", "СХВ-15", 95),
    (Commodity.HOT_WATER, "HW", "СГВ-15", 62),
)
"""Commodity, its mark in codes, the model of its meters, litres a person and day."""


@dataclass(frozen=True, slots=True)
class WaterMeterPlan:
    """A water meter of the first entrance and what it counts."""

    account: AccountPlan
    commodity: Commodity
    point_code: str
    serial: str
    model: str
    opening_l: int
    daily_l: tuple[int, ...]
    """From the first day of the plan on."""

    def total_l(self, plan: TownPlan, day: date) -> int:
        """Return what the meter shows at the start of `day`, to ten litres as a dial is read."""
        shown = self.opening_l + sum(self.daily_l[: max(0, (day - plan.first_day).days)])
        return shown - shown % 10


def water_meters(plan: TownPlan) -> tuple[WaterMeterPlan, ...]:
    """Return the water meters of the house with what each counts up to today."""
    flats = [a for a in plan.accounts if a.building_code == HOUSE][:FLATS]
    days = [plan.first_day + timedelta(days=n) for n in range((plan.today - plan.first_day).days)]
    return tuple(
        WaterMeterPlan(
            account=account,
            commodity=commodity,
            point_code=f"{account.point_code}-{code}",
            serial=f"{code}-{int(rng.integers(100_000, 999_999))}",
            model=model,
            opening_l=int(rng.integers(20_000, 400_000)),
            daily_l=tuple(
                _litres(plan, account, commodity, per_person, habit, day) for day in days
            ),
        )
        for account in flats
        for place, (commodity, code, model, per_person) in enumerate(_KINDS)
        for rng in [draws(_DRAW, account.index, place)]
        for habit in [int(rng.integers(80, 121))]
    )


def _litres(
    plan: TownPlan,
    account: AccountPlan,
    commodity: Commodity,
    per_person: int,
    habit: int,
    day: date,
) -> int:
    whim = 70 + (7 * day.toordinal() + 13 * account.index) % 61
    litres = max(1, account.persons) * per_person * habit * whim // 10_000
    leaks = plan.first_month.plus(ON_PAPER_MONTHS + 1)
    if account.index == LEAKING and commodity is Commodity.COLD_WATER and Month.of(day) == leaks:
        litres += LEAK_L_A_DAY
    return litres


def live_by_hand(
    application: Application, plan: TownPlan, month: Month, account_ids: dict[str, AccountId]
) -> None:
    """Let the month's readings by hand happen, as far as it has come; again changes nothing."""
    meters = water_meters(plan)
    ids = _registered(application, plan, meters)
    if month.ordinal < plan.first_month.ordinal + ON_PAPER_MONTHS:
        _write_paper(application, plan, meters, ids, month)
        return
    for account in dict.fromkeys(meter.account for meter in meters):
        own = [meter for meter in meters if meter.account == account]
        _submit(application, plan, month, account, own, ids, account_ids[account.number])
    if month.number % 2:
        _walk(application, plan, month, meters)


def _registered(
    application: Application, plan: TownPlan, meters: tuple[WaterMeterPlan, ...]
) -> dict[str, int]:
    """Return the ids of the meters by serial number; register them and set the window once."""
    table = cast(Table, MeteringPointRow.__table__)
    with application.database.reading() as session:
        known = store.ids_by_code(session, table, [meter.point_code for meter in meters])
    order = PlacesOrder(
        points=tuple(
            MeteringPoint(m.point_code, HOUSE, m.account.premises_number, m.commodity)
            for m in meters
        ),
        meters=tuple(
            Meter(
                m.point_code,
                m.serial,
                m.account.installed_on,
                m.model,
                digits=5,
                verified_until=_verified_until(m),
            )
            for m in meters
        ),
    )
    first = FixedClock(_at(plan, plan.first_day, 0))
    with application.database.writing() as session:
        placed = register_places(session, order, first)
        if len(known) < len(meters):
            window = WindowOrder(SCOPE, plan.first_day, 15, 25, source="договор (демо), п. 4.2")
            set_reading_window(session, window, first)
    return {serial: int(meter_id) for (_, serial), meter_id in placed.meter_ids.items()}


def _verified_until(meter: WaterMeterPlan) -> date:
    """Return the last day of a water meter's verification: six years cold, four hot."""
    years = 6 if meter.commodity is Commodity.COLD_WATER else 4
    verified = meter.account.installed_on
    while verified.year + years < meter.account.verified_until.year - 8:
        verified = verified.replace(year=verified.year + years)
    return date(verified.year + years, verified.month, min(verified.day, 28))


def _write_paper(
    application: Application,
    plan: TownPlan,
    meters: tuple[WaterMeterPlan, ...],
    ids: dict[str, int],
    month: Month,
) -> None:
    day = month.first_day.replace(day=20)
    if day >= plan.today:
        return
    days = (plan.first_day, day) if month == plan.first_month else (day,)
    readings = [
        RegisterReading(
            ids[meter.serial],
            Zone.ALL,
            _at(plan, on, 12 if on == day else 0),
            meter.total_l(plan, on),
            Quality.CUSTOMER_READ if on == day else Quality.ACTUAL,
        )
        for meter in meters
        for on in days
    ]
    clock = FixedClock(_at(plan, day, 18))
    with application.database.writing() as session:
        store.write_registers(session, readings, clock, source="demo: by hand")


def _submit(
    application: Application,
    plan: TownPlan,
    month: Month,
    account: AccountPlan,
    meters: list[WaterMeterPlan],
    ids: dict[str, int],
    account_id: AccountId,
) -> None:
    """Let a resident submit on a day of the window, most months."""
    rng = draws(_DRAW, account.index, 10, month.ordinal)
    day = month.first_day.replace(day=15 + int(rng.integers(0, 8)))
    forgets = rng.random() < 0.3 and account.index != LEAKING
    running = month == Month.of(plan.today)
    if forgets or day >= plan.today or (running and account.settlement == "prepaid"):
        # In the running month those with a prepaid wallet still have it to do: a visitor may.
        return
    scope = Scope(Role.RESIDENT, f"demo:{account.number}", account_ids=frozenset({account_id}))
    clock = FixedClock(_at(plan, day, 19))
    try:
        with application.database.writing() as session:
            premises_id = by_hand_store.premises_of_meter(session, ids[meters[0].serial])
            submit_readings(
                session,
                SubmitOrder(
                    scope,
                    premises_id,
                    tuple(
                        GivenReading(ids[meter.serial], Zone.ALL, meter.total_l(plan, day))
                        for meter in meters
                    ),
                    key=f"demo{month.ordinal}",
                    confirmed=True,
                ),
                clock,
            )
    except DomainError:
        return  # a visitor of the demo has submitted something else in the meantime


def _walk(
    application: Application,
    plan: TownPlan,
    month: Month,
    meters: tuple[WaterMeterPlan, ...],
) -> None:
    """Walk round the house: a few are not at home, one meter is broken, one is photographed."""
    day = month.first_day.replace(day=WALK_DAY)
    if day >= plan.today:
        return
    with application.database.reading() as session:
        found, _ = by_hand_store.walk_rounds(session, SCOPE, building_code=HOUSE)
    if any(one.taken_on == day for one in found):
        return
    by_serial = {meter.serial: meter for meter in meters}
    clock = FixedClock(_at(plan, day, 20))
    with application.database.writing() as session:
        walk = open_walk_round(session, OpenRoundOrder(SCOPE, HOUSE, day), clock)
        photographed = False
        for row in walk_sheet(session, SCOPE, walk.id).rows:
            water = by_serial.get(row.meter.serial)
            fate = 0 if water is None else (water.account.index + month.ordinal) % 9
            if water is None or fate == 0:
                outcome, note = VisitOutcome.NO_ACCESS, "никого нет дома"
            elif fate == 5 and water.account.index % 2 and water.commodity is Commodity.HOT_WATER:
                outcome, note = VisitOutcome.BROKEN, "табло запотело, цифры не видны"
            else:
                total = water.total_l(plan, day)
                if not photographed:
                    text = f"{total // 1000:05d},{total % 1000 // 10:02d}"
                    picture = remade(dial_picture(text))
                    order = RoundPhotoOrder(SCOPE, walk.id, row.meter.meter_id, picture)
                    attach_photo(session, order, clock)
                    photographed = True
                record_round_readings(
                    session,
                    RoundReadingsOrder(
                        SCOPE, walk.id, row.meter.meter_id, ((Zone.ALL, total),), confirmed=True
                    ),
                    clock,
                )
                continue
            record_round_outcome(
                session,
                RoundOutcomeOrder(SCOPE, walk.id, row.meter.meter_id, outcome, note),
                clock,
            )
        close_walk_round(session, SCOPE, walk.id, clock)


def dial_picture(text: str) -> bytes:
    """Return a drawn photograph of a meter whose dial shows `text`, the same for the same text."""
    picture = Image.new("RGB", (640, 480), (70, 76, 84))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((140, 60, 500, 420), fill=(232, 234, 236), outline=(40, 60, 90), width=14)
    draw.rounded_rectangle((190, 190, 450, 260), 8, fill=(24, 26, 30))
    font = ImageFont.load_default(size=34)
    for place, character in enumerate(text):
        red = place > text.index(",")
        draw.text(
            (200 + place * 30, 204), character, font=font,
            fill=(232, 84, 72) if red else (244, 246, 248),
        )  # fmt: skip
    draw.text((292, 290), "m³", font=font, fill=(60, 66, 74))
    made = BytesIO()
    picture.save(made, "PNG")
    return made.getvalue()


def _at(plan: TownPlan, day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), plan.zone).astimezone(UTC)
