"""Commands about the registry: meters with their lives, verifications that are due, files."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from kilokassa.core.errors import Invalid
from kilokassa.core.text import date_text, gettext, mark
from kilokassa.jobs.console import (
    FINDINGS,
    REFUSED,
    Console,
    DayType,
    emit,
    existing_file,
    json_option,
    pass_console,
)
from metering.meters.life import EVENT_NAMES, STAGE_NAMES, DueBand, LifeEvent
from metering.registry.places import Commodity, LifeEventKind, Meter, MeterReplacement

LISTED_MAX = 50


@click.group()
def meters() -> None:
    """Meters at their points: lists, lives, replacements, verifications.

    Example: kilokassa meters due --within 90
    """


@meters.command("list")
@click.option("--search", default="", help="Code of the point, serial number, address or flat.")
@click.option("--building", default="", help="Only this building, by code.")
@click.option("--limit", default=100, show_default=True, help="How many to list at most.")
@json_option
@pass_console
def list_meters(console: Console, search: str, building: str, limit: int, as_json: bool) -> None:
    """List metering points with the meter that stands at each.

    Example: kilokassa meters list --building KHV-1 --json
    """
    from metering.registry.store import list_points

    with console.installed.database.reading() as session:
        found, total = list_points(
            session, console.scope, search=search, building_code=building, limit=limit
        )
    if as_json:
        emit(
            {
                "total": total,
                "points": [
                    {
                        "point": one.code,
                        "exchange_code": one.exchange_code,
                        "building": one.building_code,
                        "address": one.address,
                        "place": one.place,
                        "commodity": one.commodity,
                        "meter": one.serial,
                        "model": one.model,
                        "verified_until": one.verified_until,
                    }
                    for one in found
                ],
            }
        )
        return
    for one in found:
        until = (
            "—" if one.verified_until is None else date_text(one.verified_until, console.language)
        )
        place = ", ".join(part for part in (one.address, one.place) if part)
        click.echo(f"{one.code}  {one.serial or '—'}  {until}  {place}")
    if total > len(found):
        console.say(mark("%(shown)s of %(total)s."), shown=len(found), total=total)


@meters.command("show")
@click.argument("point")
@json_option
@pass_console
def show(console: Console, point: str, as_json: bool) -> None:
    """Show a metering POINT: its channels, its meters and what happened to them.

    Example: kilokassa meters show KHV-1-001
    """
    from metering.registry.store import point_by_code

    with console.installed.database.reading() as session:
        found = point_by_code(session, console.scope, point)
    if as_json:
        emit(
            {
                "point": found.code,
                "exchange_code": found.exchange_code,
                "building": found.building_code,
                "address": found.address,
                "place": found.premises_number or found.common_area,
                "commodity": found.commodity,
                "capacity_w": found.capacity_w,
                "latitude": None if found.place is None else found.place.latitude,
                "longitude": None if found.place is None else found.place.longitude,
                "channels": [
                    {
                        "code": one.code,
                        "interval_min": one.interval_min,
                        "multiplier": one.multiplier,
                        "loss_ppm": one.loss_ppm,
                    }
                    for one in found.channels
                ],
                "meters": [
                    {
                        "serial": one.serial,
                        "model": one.model,
                        "digits": one.digits,
                        "stage": one.life.stage,
                        "installed_on": one.dates.installed_on,
                        "removed_on": one.dates.removed_on,
                        "verified_until": one.life.verified_until,
                        "retire_by": one.life.retire_by,
                        "events": [
                            {
                                "kind": event.kind,
                                "on": event.happened_on,
                                "valid_until": event.valid_until,
                                "document": event.document,
                                "by": event.actor,
                                "implied": event.implied,
                            }
                            for event in one.life.events
                        ],
                    }
                    for one in found.meters
                ],
            }
        )
        return
    place = (found.address, found.premises_number or found.common_area)
    click.echo(f"{found.code}  {', '.join(part for part in place if part)}")
    for channel in found.channels:
        console.say(
            mark("channel %(code)s: %(minutes)s minutes, times %(multiplier)s"),
            code=channel.code,
            minutes=channel.interval_min,
            multiplier=channel.multiplier,
        )
    for one in found.meters:
        console.say(
            mark("meter %(serial)s: %(stage)s"),
            serial=one.serial,
            stage=gettext(STAGE_NAMES[one.life.stage], console.language),
        )
        for event in one.life.events:
            _say_event(console, event)


def _say_event(console: Console, event: LifeEvent) -> None:
    name = gettext(EVENT_NAMES[event.kind], console.language)
    parts = [f"  {date_text(event.happened_on, console.language)}  {name}"]
    if event.valid_until is not None:
        parts.append(f"→ {date_text(event.valid_until, console.language)}")
    parts += [text for text in (event.document, event.note) if text]
    click.echo("  ".join(parts))


@meters.command("record")
@click.argument("point")
@click.argument("serial")
@click.argument(
    "kind", type=click.Choice([str(k) for k in LifeEventKind if k is not LifeEventKind.REPLACED])
)
@click.option("--on", "day", type=DayType(), required=True, help="The day it happened.")
@click.option(
    "--until", type=DayType(), help="Of a verification: the last day it holds; else as proposed."
)
@click.option("--document", default="", help="Number of the act or certificate.")
@click.option("--note", default="", help="A remark.")
@json_option
@pass_console
def record(
    console: Console,
    point: str,
    serial: str,
    kind: str,
    day: date,
    until: date | None,
    document: str,
    note: str,
    as_json: bool,
) -> None:
    """Write down what happened to the meter SERIAL at POINT; the same again changes nothing.

    Example: kilokassa meters record KHV-1-001 12345001 verified --on 2026-11-20 --document С-77
    """
    from metering.meters.service import LifeEventOrder, record_life_event
    from metering.meters.verification_periods import proposals
    from metering.registry.store import meter_of_point

    application = console.installed
    chosen = LifeEventKind(kind)
    with application.database.writing() as session:
        if chosen is LifeEventKind.VERIFIED and until is None:
            meter = meter_of_point(session, console.scope, point, serial)
            offered = proposals(meter.commodity, day)
            until = offered[0].valid_until if offered else None
        event = LifeEvent(chosen, day, until, document, note)
        order = LifeEventOrder(console.scope, point, serial, event)
        told = record_life_event(session, order, application.clock)
    if as_json:
        emit(
            {
                "repeated": told.repeated,
                "stage": told.life.stage,
                "verified_until": told.life.verified_until,
                "retire_by": told.life.retire_by,
            }
        )
        return
    if told.repeated:
        console.say(mark("This was written down before."))
    _say_event(console, event)
    console.say(
        mark("meter %(serial)s: %(stage)s"),
        serial=serial,
        stage=gettext(STAGE_NAMES[told.life.stage], console.language),
    )


@meters.command("replace")
@click.argument("point")
@click.argument("old")
@click.argument("new")
@click.option("--at", "at_text", required=True, help="Local time of the change: 2026-11-20T14:30.")
@click.option("--final", "final", multiple=True, required=True, help="Last reading: [ZONE=]TOTAL.")
@click.option("--first", "first", multiple=True, required=True, help="First reading: [ZONE=]TOTAL.")
@click.option("--model", default=None, help="Model of the new meter.")
@click.option("--digits", type=int, default=None, help="Whole digits of the new meter; else six.")
@click.option("--made", "made_on", type=DayType(), help="When the new meter was made.")
@click.option("--verified-until", type=DayType(), help="Until when the new meter is verified.")
@click.option("--service-life", type=int, default=None, help="Its service life in years.")
@click.option("--document", default="", help="Number of the act.")
@json_option
@pass_console
def replace(
    console: Console,
    point: str,
    old: str,
    new: str,
    at_text: str,
    final: tuple[str, ...],
    first: tuple[str, ...],
    model: str | None,
    digits: int | None,
    made_on: date | None,
    verified_until: date | None,
    service_life: int | None,
    document: str,
    as_json: bool,
) -> None:
    """Put the meter NEW in the place of OLD at POINT; what both showed keeps the sums right.

    Example: kilokassa meters replace KHV-1-001 E1 E2 --at 2026-11-20T14:30 --final 8412 --first 0
    """
    from metering.meters.service import replace_meter_for
    from metering.register_values import parse_totals
    from metering.registry.store import point_by_code

    application = console.installed
    with application.database.writing() as session:
        place = point_by_code(session, console.scope, point)
        at = _local_time(at_text, ZoneInfo(place.zone))
        order = MeterReplacement(
            removed_serial=old,
            meter=Meter(
                point,
                new,
                at.date(),
                model,
                digits,
                verified_until=verified_until,
                made_on=made_on,
                service_life_years=service_life,
            ),
            at=at,
            final_values=parse_totals(final, place.commodity),
            first_values=parse_totals(first, place.commodity),
            document=document,
        )
        meter_id = replace_meter_for(session, console.scope, order, application.clock)
    if as_json:
        emit({"point": point, "removed": old, "meter": new, "id": meter_id})
        return
    console.say(
        mark("Point %(point)s: %(old)s was replaced by %(new)s."), point=point, old=old, new=new
    )


def _local_time(text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            where="--at",
            problem=mark("%(text)s is not a local time such as 2026-11-20T14:30"),
            text=repr(text),
        ) from None
    return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)


@meters.command("due")
@click.option("--within", "within_days", default=90, show_default=True, help="Days to look ahead.")
@click.option("--building", default="", help="Only this building, by code.")
@click.option("--servicer", default="", help="Only meters of this servicer, by code.")
@click.option(
    "--commodity", type=click.Choice([str(one) for one in Commodity]), help="Only of this."
)
@click.option("--unknown/--no-unknown", default=True, help="Whether to list meters without a date.")
@json_option
@pass_console
def due(
    console: Console,
    within_days: int,
    building: str,
    servicer: str,
    commodity: str | None,
    unknown: bool,
    as_json: bool,
) -> int:
    """List meters to be verified or retired soon, the longest overdue first.

    The exit code is 3 where one is overdue.

    Example: kilokassa meters due --within 30 --building KHV-1 --json
    """
    from billing.store import retailer_zone
    from kilokassa.core.calendar import local_date
    from metering.meters.store import DueFilter, due_meters

    application = console.installed
    with application.database.reading() as session:
        today = local_date(application.clock.now(), retailer_zone(session))
        asked = DueFilter(
            within_days=within_days,
            building_code=building,
            servicer_code=servicer,
            commodity=None if commodity is None else Commodity(commodity),
            unknown=unknown,
        )
        found = due_meters(session, console.scope, asked, today=today)
    overdue = sum(one.band is DueBand.EXPIRED for one in found)
    if as_json:
        emit({"count": len(found), "overdue": overdue, "meters": [_due_json(one) for one in found]})
        return FINDINGS if overdue else 0
    for one in found:
        day = "—" if one.due_on is None else date_text(one.due_on, console.language)
        place = ", ".join(part for part in (one.address, one.place) if part)
        click.echo(f"{day}  {one.serial}  {one.point_code}  {place}  {one.servicer_name}".rstrip())
    console.say(
        mark("Due: %(count)s, of them overdue: %(overdue)s."), count=len(found), overdue=overdue
    )
    return FINDINGS if overdue else 0


def _due_json(one: Any) -> dict[str, object]:  # noqa: ANN401 - a meter that is due
    return {
        "point": one.point_code,
        "meter": one.serial,
        "model": one.model,
        "commodity": one.commodity,
        "building": one.building_code,
        "address": one.address,
        "place": one.place,
        "reason": one.reason,
        "due_on": one.due_on,
        "band": one.band,
        "verified_until": one.verified_until,
        "retire_by": one.retire_by,
        "servicer": one.servicer_code,
    }


@meters.command("notify")
@click.option("--within", "within_days", default=90, show_default=True, help="Days to look ahead.")
@click.option("--servicer", default="", help="Only this servicer, by code.")
@click.option("--again", is_flag=True, help="Write even to those who were told this month.")
@json_option
@pass_console
def notify(console: Console, within_days: int, servicer: str, again: bool, as_json: bool) -> int:
    """Tell those who service meters which are due; the scheduler does so once a month by itself.

    Example: kilokassa meters notify --servicer SERV --again
    """
    from kilokassa.app.verifications import tell_verifications

    report = tell_verifications(
        console.installed,
        scope=console.scope,
        within_days=within_days,
        servicer_code=servicer,
        again=again,
    )
    if as_json:
        emit(
            {
                "written": report.written,
                "told": [
                    {
                        "name": one.name,
                        "email": one.email,
                        "meters": one.count,
                        "overdue": one.overdue,
                    }
                    for one in report.told
                ],
            }
        )
        return FINDINGS if report.without_address else 0
    console.say(mark("Notices written: %(count)s."), count=report.written)
    for one in report.without_address:
        console.warn(
            mark("No address to write to: %(name)s (meters due: %(count)s)."),
            name=one.name or "—",
            count=one.count,
        )
    return FINDINGS if report.without_address else 0


@click.group()
def registry() -> None:
    """Buildings, points, meters and channels as a file.

    Example: kilokassa registry import registry.csv --dry-run
    """


@registry.command("import")
@click.argument("file", type=existing_file())
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@json_option
@pass_console
def import_file(console: Console, file: Path, dry_run: bool, as_json: bool) -> int:
    """Load places, points, meters and channels from FILE; what it leaves out stays as it is.

    Repeat it without harm. Where one line is refused nothing is loaded. The format:
    docs/reference/registry-csv.md.

    Example: kilokassa registry import examples/import/registry.csv --dry-run
    """
    from kilokassa.app.registry_transfer import import_registry

    application = console.installed
    report = import_registry(
        application.database, file, dry_run=dry_run, scope=console.scope, clock=application.clock
    )
    if as_json:
        emit(
            {
                "loaded": report.loaded,
                "dry_run": report.dry_run,
                "lines": report.lines,
                "created": report.created,
                "updated": report.updated,
                "refused": [console.sentence(line) for line in report.refused],
            }
        )
        return REFUSED if report.refused else 0
    for line in report.refused[:LISTED_MAX]:
        click.echo(console.sentence(line), err=True)
    if report.refused:
        console.warn(
            mark("%(count)s refused; nothing was loaded. Correct the file and repeat."),
            count=len(report.refused),
        )
        return REFUSED
    console.say(
        mark("Lines: %(lines)s; new: %(created)s, changed: %(updated)s."),
        lines=report.lines,
        created=report.created,
        updated=report.updated,
    )
    if report.dry_run:
        console.say(mark("This was a dry run: nothing was written."))
    return 0


@registry.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@pass_console
def export_file(console: Console, file: Path | None) -> None:
    """Write the whole registry to FILE, or to the standard output; headings in the language.

    Example: kilokassa --lang ru registry export registry.csv
    """
    from kilokassa.app.registry_file import write_registry
    from kilokassa.app.registry_transfer import exported_lines

    russian = str(console.language) == "ru"
    with console.installed.database.reading() as session:
        text = write_registry(exported_lines(session, console.scope), russian=russian)
        if file is None:
            for part in text:
                sys.stdout.write(part)
            return
        with file.open("w", encoding="utf-8", newline="") as handle:
            handle.writelines(text)


COMMANDS = (meters, registry)
