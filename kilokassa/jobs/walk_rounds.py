"""Commands about readings by hand: walk-rounds, the days for residents, reminders."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.text import gettext, mark
from kilokassa.core.zones import Zone
from kilokassa.jobs.console import (
    FINDINGS,
    Console,
    DayType,
    emit,
    existing_file,
    json_option,
    pass_console,
)
from kilokassa.jobs.readings import readings

if TYPE_CHECKING:
    from metering.registry.places import Commodity

DAY = DayType()
LISTED_MAX = 50


@click.group("walk-rounds")
def walk_rounds() -> None:
    """Walk-rounds of houses: lists of meters that a person reads.

    Example: kilokassa walk-rounds open KHB-A --day 2026-11-24
    """


@walk_rounds.command("list")
@click.option("--building", help="Only those of the building with this code.")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not closed yet.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=LISTED_MAX, help="How many.")
@json_option
@pass_console
def list_rounds(
    console: Console, building: str | None, open_only: bool, limit: int, as_json: bool
) -> None:
    """List walk-rounds, the latest first, and how far each has come.

    Example: kilokassa walk-rounds list --open --json
    """
    from metering.by_hand import store as store

    application = console.installed
    with application.database.reading() as session:
        found, total = store.walk_rounds(
            session, console.scope, building_code=building, open_only=open_only, limit=limit
        )
        day = max((one.taken_on for one in found), default=date.min)
        progress = store.round_progress(session, found, day)
    if as_json:
        emit(
            {
                "total": total,
                "items": [
                    {
                        "id": one.id,
                        "building": one.building_code,
                        "address": one.address,
                        "taken_on": one.taken_on,
                        "done": progress[one.id][0],
                        "whole": progress[one.id][1],
                        "closed_at": one.closed_at,
                    }
                    for one in found
                ],
            }
        )
        return
    if not found:
        console.say(mark("There is no walk-round."))
    for one in found:
        console.say(
            mark("%(id)s  %(day)s  %(building)s  %(address)s: %(done)s of %(whole)s%(closed)s"),
            id=one.id,
            day=one.taken_on,
            building=one.building_code,
            address=one.address,
            done=progress[one.id][0],
            whole=progress[one.id][1],
            closed=console.text(mark(", closed")) if one.closed_at else "",
        )


@walk_rounds.command("open")
@click.argument("building")
@click.option("--day", type=DAY, help="The day on which the meters are read; today without it.")
@json_option
@pass_console
def open_round(console: Console, building: str, day: date | None, as_json: bool) -> None:
    """Open the list of BUILDING, or go on with the one that is open for the day.

    Example: kilokassa walk-rounds open KHB-A --day 2026-11-24
    """
    from billing.store import retailer_zone
    from metering.by_hand.service import OpenRoundOrder, open_walk_round

    application = console.installed
    with application.database.writing() as session:
        today = local_date(application.clock.now(), retailer_zone(session))
        order = OpenRoundOrder(console.scope, building, day or today)
        found = open_walk_round(session, order, application.clock)
    if as_json:
        emit({"id": found.id, "building": found.building_code, "taken_on": found.taken_on})
    else:
        console.say(
            mark("Walk-round %(id)s of %(address)s, %(day)s."),
            id=found.id,
            address=found.address,
            day=found.taken_on,
        )


@walk_rounds.command("show")
@click.argument("round_id", type=int)
@json_option
@pass_console
def show_round(console: Console, round_id: int, as_json: bool) -> None:
    """Show the list of a walk-round, meter by meter.

    Example: kilokassa walk-rounds show 12 --json
    """
    from metering.by_hand.readings import shown
    from metering.by_hand.service import walk_sheet

    application = console.installed
    with application.database.reading() as session:
        sheet = walk_sheet(session, console.scope, round_id)
    if as_json:
        emit(
            {
                "id": sheet.round.id,
                "building": sheet.round.building_code,
                "taken_on": sheet.round.taken_on,
                "closed_at": sheet.round.closed_at,
                "done": sheet.done,
                "whole": len(sheet.rows),
                "lines": [
                    {
                        "flat": row.meter.premises_number,
                        "meter": row.meter.serial,
                        "commodity": row.meter.commodity,
                        "outcome": None if row.visit is None else row.visit.outcome,
                        "note": "" if row.visit is None else row.visit.note,
                        "photo": row.photo_id,
                        "registers": [
                            {
                                "zone": one.zone,
                                "previous": None
                                if one.previous is None
                                else shown(one.previous.value, row.meter.commodity),
                                "reading": None
                                if one.value is None
                                else shown(one.value, row.meter.commodity),
                            }
                            for one in row.registers
                        ],
                    }
                    for row in (*sheet.rows, *sheet.others)
                ],
            }
        )
        return
    console.say(
        mark("%(address)s, %(day)s: %(done)s of %(whole)s."),
        address=sheet.round.address,
        day=sheet.round.taken_on,
        done=sheet.done,
        whole=len(sheet.rows),
    )
    for row in (*sheet.rows, *sheet.others):
        for one in row.registers:
            before = "—" if one.previous is None else shown(one.previous.value, row.meter.commodity)
            now = "" if one.value is None else format(shown(one.value, row.meter.commodity), "f")
            outcome = "" if row.visit is None else str(row.visit.outcome)
            click.echo(
                f"  {row.meter.premises_number:>5}  {row.meter.serial:<16} {one.zone:<9} "
                f"{before!s:>12} {now or outcome:>12}"
            )


@walk_rounds.command("enter")
@click.argument("round_id", type=int)
@click.argument("serial")
@click.argument("values", nargs=-1)
@click.option("--confirm", is_flag=True, help="Take in what is implausible too.")
@click.option(
    "--outcome",
    type=click.Choice(["no_access", "broken", "skipped"]),
    help="Why the meter was not read.",
)
@click.option("--note", default="", help="A remark to the meter.")
@click.option("--photo", type=existing_file(), help="A photograph: JPEG, PNG or WebP.")
@json_option
@pass_console
def enter(
    console: Console,
    round_id: int,
    serial: str,
    values: tuple[str, ...],
    confirm: bool,
    outcome: str | None,
    note: str,
    photo: Path | None,
    as_json: bool,
) -> int:
    """Enter what the meter SERIAL showed: VALUES are readings by zone, or one for the whole day.

    An implausible reading is taken with --confirm; without it nothing is stored and the exit code
    is 3. One that the register cannot show is refused.

    Example: kilokassa walk-rounds enter 12 E-0008 day=6480 night=4090.5 --photo meter.jpg
    """
    from metering.by_hand.photos import remade
    from metering.by_hand.readings import Verdict
    from metering.by_hand.service import (
        RoundOutcomeOrder,
        RoundPhotoOrder,
        RoundReadingsOrder,
        attach_photo,
        record_round_outcome,
        record_round_readings,
        walk_sheet,
    )
    from metering.events.kinds import VisitOutcome

    if (outcome is None) == (not values) and photo is None:
        raise click.UsageError("give readings, or an outcome, or a photograph")
    application, scope = console.installed, console.scope
    picture = None if photo is None else remade(photo.read_bytes())
    result = None
    with application.database.writing() as session:
        sheet = walk_sheet(session, scope, round_id)
        found = [row for row in (*sheet.rows, *sheet.others) if row.meter.serial == serial]
        if len(found) != 1:
            raise NotFound(what=mark("meter"), name=serial)
        meter = found[0].meter
        if values:
            given = tuple(_value(text, meter.commodity, serial) for text in values)
            result = record_round_readings(
                session,
                RoundReadingsOrder(scope, round_id, meter.meter_id, given, confirm, note),
                application.clock,
            )
        elif outcome is not None:
            order = RoundOutcomeOrder(scope, round_id, meter.meter_id, VisitOutcome(outcome), note)
            record_round_outcome(session, order, application.clock)
        if picture is not None:
            attach_photo(
                session,
                RoundPhotoOrder(scope, round_id, meter.meter_id, picture),
                application.clock,
            )
    stored = result is None or result.stored
    remarks = (
        []
        if result is None
        else [
            f"{one.zone}: {remark.sentence(lambda text: gettext(text, console.language))}"
            for one in result.judged
            for remark in one.judgement.remarks
        ]
    )
    if as_json:
        emit({"stored": stored, "remarks": remarks})
    else:
        for remark in remarks:
            click.echo(f"  {remark}", err=not stored)
        if stored:
            console.say(mark("Stored."))
        elif result is not None and result.verdict is Verdict.WARN:
            console.warn(mark("Nothing was stored. If it is right, enter it with --confirm."))
        else:
            console.warn(mark("Nothing was stored."))
    return 0 if stored else FINDINGS


@walk_rounds.command("close")
@click.argument("round_id", type=int)
@click.option("--again", is_flag=True, help="Open it again instead.")
@pass_console
def close(console: Console, round_id: int, again: bool) -> None:
    """End a walk-round: it takes in nothing more.

    Example: kilokassa walk-rounds close 12
    """
    from metering.by_hand.service import close_walk_round, reopen_walk_round

    application = console.installed
    with application.database.writing() as session:
        action = reopen_walk_round if again else close_walk_round
        action(session, console.scope, round_id, application.clock)
    console.say(mark("The walk-round is open.") if again else mark("The walk-round is closed."))


@readings.group("window")
def window() -> None:
    """The days of a month on which residents submit readings.

    Example: kilokassa readings window set --from 15 --to 25
    """


@window.command("show")
@json_option
@pass_console
def show_window(console: Console, as_json: bool) -> None:
    """Show the days of this month for each house, and what they rest on.

    Example: kilokassa readings window show
    """
    from metering.by_hand import store as store
    from metering.by_hand.readings import rule_of

    application = console.installed
    with application.database.reading() as session:
        rules = store.window_rules(session)
        houses = store.buildings_in_reach(session, console.scope)
    today = application.clock.now().date()
    found = [(house, rule_of(rules, house.id, Month.of(today))) for house in houses]
    if as_json:
        emit(
            [
                {
                    "building": house.code,
                    "first_day": rule.first_day,
                    "last_day": rule.last_day,
                    "remind_days_before": rule.remind_days_before,
                    "valid_from": rule.valid_from,
                    "source": rule.source,
                    "confidence": rule.confidence,
                }
                for house, rule in found
            ]
        )
        return
    for house, rule in found:
        console.say(
            mark("%(building)s: days %(first)s to %(last)s, reminder %(remind)s days before."),
            building=house.code,
            first=rule.first_day,
            last=rule.last_day,
            remind=rule.remind_days_before,
        )
    if any(rule.confidence == "memory" for _, rule in found):
        console.warn(
            mark("The days that come with the product were not checked against your contracts.")
        )


@window.command("set")
@click.option("--from", "first_day", type=int, required=True, help="First day of the month.")
@click.option("--to", "last_day", type=int, required=True, help="Last day of the month.")
@click.option("--remind", type=int, default=2, help="Reminder, days before the last; 2 without it.")
@click.option("--building", help="Only of the house with this code.")
@click.option("--valid-from", type=DAY, help="From the month of this day; this month without it.")
@click.option("--source", default="", help="Contract, order or decision.")
@pass_console
def set_window(
    console: Console,
    first_day: int,
    last_day: int,
    remind: int,
    building: str | None,
    valid_from: date | None,
    source: str,
) -> None:
    """Set the days, for all houses or for one.

    Example: kilokassa readings window set --from 15 --to 25 --remind 3 --source "contract, 4.2"
    """
    from metering.by_hand.service import WindowOrder, set_reading_window

    application = console.installed
    month = Month.of(application.clock.now().date())
    order = WindowOrder(
        scope=console.scope,
        valid_from=valid_from or month.first_day,
        first_day=first_day,
        last_day=last_day,
        remind_days_before=remind,
        building_code=building,
        source=source,
    )
    with application.database.writing() as session:
        set_reading_window(session, order, application.clock)
    console.say(mark("The days are set."))


@readings.command("remind")
@json_option
@pass_console
def remind(console: Console, as_json: bool) -> None:
    """Remind those who have not given a reading, where the window closes soon; once a month.

    Example: kilokassa readings remind
    """
    from kilokassa.app.reading_reminders import remind_of_readings

    done = remind_of_readings(console.installed, console.scope)
    if as_json:
        emit({"houses": done.houses, "unread": done.unread, "written": done.written})
    else:
        console.say(
            mark(
                "Houses: %(houses)s; accounts without a reading: %(unread)s; written: %(written)s."
            ),
            houses=done.houses,
            unread=done.unread,
            written=done.written,
        )


def _value(text: str, commodity: "Commodity", serial: str) -> tuple[Zone, int]:
    """Read `day=6480`, or `6480` for the whole day."""
    from metering.by_hand.readings import parse_reading

    zone, equals, number = text.rpartition("=")
    if equals and zone not in set(Zone):
        raise Invalid(
            where=serial,
            problem=mark("the meter has no register of the zone %(zone)s"),
            zone=zone,
        )
    return Zone(zone) if equals else Zone.ALL, parse_reading(number, commodity, where=serial)


COMMANDS = (walk_rounds,)
