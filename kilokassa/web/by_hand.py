"""What the pages of readings by hand share: texts of remarks and totals, and who gave a reading."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import AccountRow
from kilokassa.app.users import UserRow
from kilokassa.core.calendar import local_date
from kilokassa.core.money import half_up
from kilokassa.core.scope import Right
from kilokassa.core.series import Quality
from kilokassa.core.text import date_text, mark, number_text
from kilokassa.core.zones import Zone
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering.by_hand import store as store
from metering.by_hand.readings import (
    UNITS,
    Judgement,
    RegisterState,
    Remark,
    WindowRule,
    WindowState,
    shown,
    window_state,
)
from metering.by_hand.service import SheetRow, WalkSheet
from metering.by_hand.store import ListedReading, WalkRound
from metering.registry.places import Commodity

DECIMALS: Final[Mapping[Commodity, int]] = {
    Commodity.ELECTRICITY: 3,
    Commodity.HEAT: 6,
    Commodity.HOT_WATER: 3,
    Commodity.COLD_WATER: 3,
}
"""Decimals of a total in kWh, Gcal or cubic metres that are kept at rest."""

SOURCES: Final[Mapping[str, str]] = {
    "resident": mark("the resident"),
    "staff": mark("the operator"),
    "walk": mark("walk-round"),
    "file": mark("a file"),
    "replacement": mark("replacement of the meter"),
}
"""What stands before the colon of a reading's source."""


QUALITY_WORDS: Final[Mapping[Quality, str]] = {
    Quality.ACTUAL: mark("checked by staff or read remotely"),
    Quality.CUSTOMER_READ: mark("read by the resident"),
    Quality.ESTIMATED: mark("estimated"),
    Quality.SUBSTITUTED: mark("substituted"),
}


def remark_text(remark: Remark) -> str:
    """Return a remark in the reader's language, numbers and dates as people read them."""

    def text(value: Any) -> str:  # noqa: ANN401 - what a remark holds
        if isinstance(value, date):
            return date_text(value, visit().language)
        return number_text(Decimal(value), visit().language)

    return remark.sentence(translate, text)


def judgement_text(judgement: Judgement) -> str:
    """Return all that is to be said of a reading."""
    return " ".join(remark_text(remark) for remark in judgement.remarks)


def used_text(judgement: Judgement, commodity: Commodity) -> str:
    """Return what a reading says was used since the one before; empty where nothing is known."""
    if judgement.used is None:
        return ""
    return "+" + total_text(judgement.used, commodity, unit=True)


def total_text(value: int, commodity: Commodity, *, unit: bool = False) -> str:
    """Return a total as the dial shows it, exactly."""
    text = number_text(shown(value, commodity), visit().language)
    return f"{text} {translate(UNITS[commodity])}" if unit else text


def typed_text(value: int, commodity: Commodity) -> str:
    """Return a total as a person would type it: no grouping, the language's decimal mark."""
    text = format(shown(value, commodity), "f")
    return text.replace(".", ",") if visit().language == "ru" else text


def usual_text(value: int, commodity: Commodity) -> str:
    """Return what is usually used, to the whole kWh or a tenth: it is not known any finer."""
    about = shown(value, commodity)
    if commodity is Commodity.ELECTRICITY:
        return number_text(half_up(about), visit().language)
    return number_text(Decimal(half_up(about * 10)).scaleb(-1), visit().language)


def source_text(here: Visit, source: str) -> str:
    """Return who gave a reading, as the account's own people may know it."""
    kind, _, who = source.partition("#")[0].partition(":")
    if here.known_scope is not None and kind == "resident" and who == here.scope.actor:
        return translate(mark("you"))
    return translate(SOURCES.get(kind, mark("the retailer")))


def names_of(session: Session, actors: Iterable[str]) -> dict[str, str]:
    """Return the names of users, by actor; of those who are no user, the actor itself."""
    wanted = set(actors)
    ids = {
        int(number): actor
        for actor in wanted
        for kind, _, number in [actor.partition(":")]
        if kind == "user" and number.isdecimal()
    }
    found = {actor: actor for actor in wanted}
    query = select(UserRow.id, UserRow.name, UserRow.email).where(UserRow.id.in_(sorted(ids)))
    for user_id, name, email in session.execute(query):
        found[ids[user_id]] = name or email
    return found


def readings_wanted(here: Visit, account: AccountRow) -> date | None:
    """Return until when readings are awaited of an account; None where none are, or not now."""
    if account.closed_on is not None:
        return None
    house = store.premises_in_reach(here.session, here.scope, account.premises_id)
    window = window_state(store.window_rules(here.session), house.id, here.today)
    if not window.is_open:
        return None
    meters = [
        meter
        for meter in store.meters_of_premises(
            here.session, here.scope, account.premises_id, here.today
        )
        if not meter.remote
    ]
    states = store.register_states(here.session, meters, here.now).values()
    return None if all(read_in(state, window) for state in states) else window.window.closes_on


def read_in(state: RegisterState, window: WindowState) -> bool:
    """Say whether somebody read a register within the open window."""
    latest = state.latest
    return latest is not None and local_date(latest.taken_at, state.zone) in window.window


@dataclass(frozen=True, slots=True)
class ShownReading:
    """A reading of an account's list, and whether it may still be corrected."""

    reading: ListedReading
    day: date
    """The local day on which it was read."""
    given_by: str
    correct_url: str | None = None
    photo_url: str | None = None

    @property
    def zone(self) -> Zone | None:
        """The zone of the day; None where the service has none."""
        return self.reading.zone if self.reading.commodity is Commodity.ELECTRICITY else None

    @property
    def value(self) -> Decimal:
        """What the dial showed."""
        return shown(self.reading.value, self.reading.commodity)


def staff_readings(here: Visit, account: AccountRow, limit: int) -> list[ShownReading]:
    """Return the readings of an account as staff see them: by whom, and with the photograph."""
    found = store.listed_readings(here.session, here.scope, account.premises_id, limit=limit)
    zone = ZoneInfo(store.premises_in_reach(here.session, here.scope, account.premises_id).zone)
    actors = {one.source: one.source.partition("#")[0].partition(":")[2] for one in found}
    names = names_of(here.session, set(actors.values()))
    photos = {}
    if here.may(Right.IMPORT_READINGS):
        photos = store.photos_of_readings(here.session, here.scope, account.premises_id)

    def given_by(source: str) -> str:
        kind = translate(SOURCES.get(source.partition(":")[0], mark("the retailer")))
        name = names[actors[source]]
        return f"{kind}: {name}" if name else kind

    return [
        ShownReading(
            reading,
            local_date(reading.taken_at, zone),
            given_by(reading.source),
            photo_url=None
            if (reading.meter_id, reading.taken_at) not in photos
            else url_for(
                "console.reading_photo", photo_id=photos[reading.meter_id, reading.taken_at]
            ),
        )
        for reading in found
    ]


def readings_table(items: Sequence[ShownReading], *, staff: bool = False) -> Table[ShownReading]:
    """Return the readings of an account: who gave them, and when.

    Residents are led to where one may be corrected, staff to its photograph.
    """
    last: Column[ShownReading] = Column(
        "correct",
        "",
        lambda one: translate(mark("Correct")) if one.correct_url else None,
        link=lambda one: one.correct_url,
    )
    if staff:
        last = Column(
            "photo",
            mark("Photo"),
            lambda one: translate(mark("Photo")) if one.photo_url else None,
            link=lambda one: one.photo_url,
        )
    return Table(
        name="readings",
        caption=mark("Readings given"),
        columns=(
            Column("taken", mark("Read"), lambda one: one.day, Kind.DATE),
            Column("service", mark("Service"), lambda one: one.reading.commodity, Kind.WORD),
            Column("meter", mark("Meter"), lambda one: one.reading.serial, minor=True),
            Column("zone", mark("Zone"), lambda one: one.zone, Kind.WORD),
            Column("value", mark("Reading"), lambda one: one.value, Kind.NUMBER),
            Column("unit", mark("Unit"), lambda one: UNITS[one.reading.commodity], Kind.MESSAGE),
            Column(
                "quality",
                mark("How"),
                lambda one: QUALITY_WORDS.get(one.reading.quality, ""),
                Kind.MESSAGE,
                minor=True,
            ),
            Column("by", mark("Given by"), lambda one: one.given_by, minor=True),
            Column(
                "recorded",
                mark("Given"),
                lambda one: one.reading.recorded_at,
                Kind.INSTANT,
                minor=True,
            ),
            last,
        ),
        items=items,
        empty=mark("No reading was given yet."),
        filterable=True,
    )


@dataclass(frozen=True, slots=True)
class ShownRound:
    """A walk-round as a list shows it."""

    round: WalkRound
    done: int
    whole: int
    opened_by: str

    @property
    def state(self) -> str:
        """Where it stands, as a message."""
        if self.round.closed_at is not None:
            return mark("Closed")
        return mark("Done") if self.done >= self.whole else mark("Under way")


def rounds_table(items: Sequence[ShownRound]) -> Table[ShownRound]:
    """Return the walk-rounds, each leading to its list."""
    tones = {"Closed": "quiet", "Done": "good", "Under way": "warn"}
    return Table(
        name="walk-rounds",
        caption=mark("Walk-rounds"),
        columns=(
            Column("day", mark("Day"), lambda one: one.round.taken_on, Kind.DATE),
            Column(
                "address",
                mark("Building"),
                lambda one: one.round.address,
                link=lambda one: url_for("console.walk_round", round_id=one.round.id),
            ),
            Column(
                "done",
                mark("Done"),
                lambda one: (
                    translate(mark("%(done)s of %(whole)s"))
                    % {"done": one.done, "whole": one.whole}
                ),
            ),
            Column(
                "state",
                mark("State"),
                lambda one: translate(one.state),
                tone=lambda one: tones[one.state],
            ),
            Column("by", mark("Opened by"), lambda one: one.opened_by, minor=True),
            Column(
                "opened", mark("Opened"), lambda one: one.round.opened_at, Kind.INSTANT, minor=True
            ),
        ),
        items=items,
        empty=mark("No walk-round was opened yet. Choose a building and a day above."),
    )


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A register of a walk-round's list, as a file has it."""

    row: SheetRow
    place: int

    @property
    def zone(self) -> Zone | None:
        """The zone of the register; None where the service has none."""
        electric = self.row.meter.commodity is Commodity.ELECTRICITY
        return self.row.registers[self.place].zone if electric else None


def sheet_table(sheet: WalkSheet) -> Table[SheetLine]:
    """Return the list of a walk-round as a table, one line a register: its file, and its paper."""
    lines = [
        SheetLine(row, place)
        for row in (*sheet.rows, *sheet.others)
        for place in range(len(row.registers))
    ]

    def previous(line: SheetLine) -> Decimal | None:
        found = line.row.registers[line.place].previous
        return None if found is None else shown(found.value, line.row.meter.commodity)

    def previous_on(line: SheetLine) -> date | None:
        found = line.row.registers[line.place].previous
        return None if found is None else local_date(found.taken_at, line.row.meter.zone)

    def value(line: SheetLine) -> Decimal | None:
        found = line.row.registers[line.place].value
        return None if found is None else shown(found, line.row.meter.commodity)

    return Table(
        name=f"walk-round-{sheet.round.id}",
        caption=mark("Walk-round"),
        columns=(
            Column("flat", mark("Flat"), lambda one: one.row.meter.premises_number),
            Column("service", mark("Service"), lambda one: one.row.meter.commodity, Kind.WORD),
            Column("meter", mark("Meter"), lambda one: one.row.meter.serial),
            Column("point", mark("Metering point"), lambda one: one.row.meter.point_code),
            Column("zone", mark("Zone"), lambda one: one.zone, Kind.WORD),
            Column("previous", mark("Previous reading"), previous, Kind.NUMBER),
            Column("previous_on", mark("Read"), previous_on, Kind.DATE),
            Column("value", mark("Reading"), value, Kind.NUMBER),
            Column("unit", mark("Unit"), lambda one: UNITS[one.row.meter.commodity], Kind.MESSAGE),
            Column(
                "outcome",
                mark("Outcome"),
                lambda one: None if one.row.visit is None else one.row.visit.outcome,
                Kind.WORD,
            ),
            Column("note", mark("Note"), lambda one: one.row.visit.note if one.row.visit else ""),
        ),
        items=lines,
        sorting=None,
    )


def rules_table(items: Sequence[tuple[WindowRule, str]]) -> Table[tuple[WindowRule, str]]:
    """Return the window rules, each with the address of its house; empty for all houses."""
    return Table(
        name="reading-windows",
        caption=mark("Settings made so far"),
        columns=(
            Column("from", mark("From"), lambda one: one[0].valid_from, Kind.DATE),
            Column("house", mark("Building"), lambda one: one[1] or translate(mark("All houses"))),
            Column(
                "days",
                mark("Days of the month"),
                lambda one: f"{one[0].first_day}–{one[0].last_day}",
            ),
            Column(
                "remind",
                mark("Reminder, days before the last"),
                lambda one: one[0].remind_days_before,
                Kind.NUMBER,
            ),
            Column("source", mark("Ground"), lambda one: one[0].source, minor=True),
        ),
        items=items,
        empty=mark("None: the rule shipped with the product holds."),
        export=False,
    )
