"""Commands about what meters told, and about the quality of services."""

import hashlib
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from kilokassa.core.calendar import Month
from kilokassa.core.text import gettext, mark
from kilokassa.jobs.console import (
    FINDINGS,
    Console,
    MonthType,
    emit,
    existing_file,
    json_option,
    pass_console,
)
from metering.events.kinds import (
    DeviceEventKind,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
    event_instant,
)
from metering.registry.places import Commodity

LISTED = 50


# --- device events ---


@click.group()
def events() -> None:
    """What meters noticed themselves: opened covers, magnets, lost phases, clocks.

    Example: kilokassa events list --tampering
    """


@events.command("import")
@click.argument("file", type=existing_file())
@json_option
@pass_console
def import_events(console: Console, file: Path, as_json: bool) -> int:
    """Load device events from FILE (CSV), again and again without harm.

    A file that cannot be parsed is refused whole. Lines that cannot be placed are refused one by
    one and listed; then the exit code is 3. The format: docs/reference/events-csv.md.

    Example: kilokassa events import events.csv
    """
    from metering.events.service import DeviceEventsOrder, record_device_events
    from metering.parsers.csv_events import parse_events

    application = console.installed
    content = file.read_bytes()
    source = f"file:{hashlib.sha256(content).hexdigest()[:16]}"
    order = DeviceEventsOrder(parse_events(content), source, console.scope)
    with application.database.writing() as session:
        done = record_device_events(session, order, application.clock)
    refused = [
        one.sentence(lambda message: gettext(message, console.language)) for one in done.refused
    ]
    if as_json:
        emit(
            {
                "new": done.new,
                "repeated": done.repeated,
                "ended": done.ended,
                "refused": refused,
                "proposed_quality_events": list(done.proposed),
            }
        )
    else:
        console.say(
            mark(
                "Events: %(new)s new, %(repeated)s repeated, %(ended)s ended, %(refused)s refused."
            ),
            new=done.new,
            repeated=done.repeated,
            ended=done.ended,
            refused=len(refused),
        )
        for sentence in refused[:LISTED]:
            click.echo(f"  {sentence}")
        if done.proposed:
            numbers = ", ".join(str(one) for one in done.proposed)
            console.say(mark("Power cuts that wait to be confirmed: %(numbers)s."), numbers=numbers)
    return FINDINGS if refused else 0


@events.command("list")
@click.option("--building", default="", help="Code of a building.")
@click.option("--point", default="", help="Code of a metering point.")
@click.option(
    "--kind", type=click.Choice([str(kind) for kind in DeviceEventKind]), help="Of one kind."
)
@click.option("--tampering", is_flag=True, help="Only signs of tampering.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=LISTED, help="At most so many.")
@json_option
@pass_console
def list_events(
    console: Console,
    building: str,
    point: str,
    kind: str | None,
    tampering: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List what meters told, the latest first.

    Example: kilokassa events list --point KHV-1-003 --json
    """
    from metering.events.store import EventFilter
    from metering.events.store import list_events as find_events

    wished = EventFilter(
        building_code=building,
        point_code=point,
        kind=None if kind is None else DeviceEventKind(kind),
        tampering=tampering,
    )
    with console.installed.database.reading() as session:
        found, total = find_events(session, console.scope, wished, limit=limit)
    if as_json:
        emit(
            {
                "total": total,
                "events": [
                    {
                        "building": one.building_code,
                        "point": one.point_code,
                        "meter": one.serial,
                        "kind": one.kind,
                        "starts_at": one.starts_at,
                        "ends_at": one.ends_at,
                        "value": one.value,
                        "tampering": one.tampering,
                        "source": one.source,
                    }
                    for one in found
                ],
            }
        )
        return
    for one in found:
        ends = one.ends_at.isoformat(timespec="minutes") if one.ends_at else ""
        value = "" if one.value is None else f"  {one.value}"
        starts = one.starts_at.isoformat(timespec="minutes")
        click.echo(f"{starts}  {ends:22}  {one.point_code}  {one.serial}  {one.kind}{value}")
    console.say(mark("Shown %(shown)s of %(total)s."), shown=len(found), total=total)


# --- quality ---


@click.group()
def quality() -> None:
    """Periods in which a service fell short, kept for deductions by ПП 354, annex 1.

    Example: kilokassa quality list --month 2026-11
    """


@quality.command("list")
@click.option("--building", default="", help="Code of a building.")
@click.option("--month", type=MonthType(), help="What touches this month, and its hours counted.")
@click.option(
    "--state", type=click.Choice([str(state) for state in QualityEventState]), help="In one state."
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=LISTED, help="At most so many.")
@json_option
@pass_console
def list_quality(
    console: Console,
    building: str,
    month: Month | None,
    state: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List periods in which services fell short, the latest first.

    Example: kilokassa quality list --building KHV-2 --month 2026-11 --json
    """
    from billing.store import retailer_zone
    from metering.events.store import QualityFilter
    from metering.events.store import list_quality as find_quality

    application = console.installed
    with application.database.reading() as session:
        zone = retailer_zone(session)
        wished = QualityFilter(
            building_code=building,
            state=None if state is None else QualityEventState(state),
            touching=None if month is None else month.period(zone),
        )
        found, total = find_quality(session, console.scope, wished, limit=limit)
    shown = [_shown(one, month, application.clock.now()) for one in found]
    if as_json:
        emit({"total": total, "quality": shown})
        return
    for one in shown:
        ends = one["ends_at"].isoformat(timespec="minutes") if one["ends_at"] else "…"
        place = "/".join(filter(None, (one["building"], one["premises"])))
        counted = "".join(
            f"  п. {item['item']}: {item['counted_min'] // 60} h" for item in one["counted"]
        )
        starts = one["starts_at"].isoformat(timespec="minutes")
        click.echo(
            f"{one['id']:>5}  {starts} – {ends}  {place}  "
            f"{one['service']}  {one['kind']}  {one['state']}{counted}"
        )
    console.say(mark("Shown %(shown)s of %(total)s."), shown=len(found), total=total)


def _shown(one: Any, month: Month | None, now: datetime) -> dict[str, Any]:  # noqa: ANN401
    from metering.events.quality import deviation

    zone = ZoneInfo(one.zone)
    counted = () if month is None else deviation([one.as_period(now)], month, zone)
    return {
        "id": one.id,
        "building": one.building_code,
        "premises": one.premises_number,
        "service": one.commodity,
        "kind": one.kind,
        "basis": one.basis,
        "starts_at": one.starts_at,
        "ends_at": one.ends_at,
        "measured_tenths": one.measured_tenths,
        "document": one.document,
        "note": one.note,
        "state": one.state,
        "recorded_by": one.recorded_by,
        "decided_by": one.decided_by,
        "counted": [
            {
                "item": found.rule.item,
                "lasted_min": found.lasted_min,
                "counted_min": found.counted_min,
                "tenth_degree_minutes": found.tenth_degree_minutes,
                "share_ppm": found.share_ppm,
                "confidence": found.rule.confidence,
            }
            for found in counted
        ],
    }


class TenthsType(click.ParamType[int]):
    """A temperature or voltage with at most one decimal, as tenths."""

    name = "NUMBER"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read the number; another text is a mistake of usage."""
        try:
            number = Decimal(str(value).replace(",", ".")).scaleb(1)
        except InvalidOperation:
            self.fail(f"{value!r} is not a number such as 17.5", param, ctx)
        if not number.is_finite() or number % 1:
            self.fail(f"{value!r} has more than one decimal", param, ctx)
        return int(number)


class LocalTimeType(click.ParamType[datetime]):
    """A time such as 2026-11-03T18:20, local to the building or with an offset."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the time; another text is a mistake of usage."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-03T18:20", param, ctx)


@quality.command("record")
@click.option("--building", required=True, help="Code of the building.")
@click.option("--flat", default="", help="Number of the flat; else the whole house.")
@click.option("--service", type=click.Choice([str(one) for one in Commodity]), required=True)
@click.option("--kind", type=click.Choice([str(one) for one in QualityEventKind]), required=True)
@click.option(
    "--basis", type=click.Choice([str(one) for one in QualityBasis]), default="act", help="By what."
)
@click.option("--from", "starts", type=LocalTimeType(), required=True, help="When it began.")
@click.option("--until", "ends", type=LocalTimeType(), help="When it ended; else it still lasts.")
@click.option("--measured", type=TenthsType(), help="Degrees Celsius, or volts.")
@click.option("--required", type=TenthsType(), help="Degrees that had to be, as the act says.")
@click.option("--document", default="", help="Number and date of the act or complaint.")
@click.option("--note", default="", help="Anything else.")
@click.option("--key", help="A key of yours: the same command with it again counts once.")
@pass_console
def record(
    console: Console,
    building: str,
    flat: str,
    service: str,
    kind: str,
    basis: str,
    starts: datetime,
    ends: datetime | None,
    measured: int | None,
    required: int | None,
    document: str,
    note: str,
    key: str | None,
) -> None:
    """Record a period in which a service fell short; it waits to be confirmed.

    Times are local to the building unless they have an offset.

    Example: kilokassa quality record --building KHV-2 --flat 14 --service heat
    --kind room_temperature --from 2026-11-03T08:00 --until 2026-11-03T20:00 --measured 16.5
    --document "act 17"
    """
    from kilokassa.core.errors import Invalid
    from metering.events.service import QualityOrder, record_quality
    from metering.events.store import concerned_place

    application = console.installed
    with application.database.writing() as session:
        place = concerned_place(session, console.scope, building, flat)
        zone = ZoneInfo(place.zone)
        starts_at = event_instant(starts, zone)
        if starts_at is None:
            raise Invalid(where=mark("from"), problem=mark("the clock skipped this local time"))
        order = QualityOrder(
            commodity=Commodity(service),
            kind=QualityEventKind(kind),
            basis=QualityBasis(basis),
            starts_at=starts_at,
            ends_at=None if ends is None else event_instant(ends, zone),
            scope=console.scope,
            building_code=building,
            premises_number=flat,
            measured_tenths=measured,
            required_tenths=required,
            document=document,
            note=note,
            idempotency_key=key,
        )
        done = record_quality(session, order, application.clock)
    console.say(mark("Recorded under number %(id)s."), id=done.event.id)
    if done.overlapping:
        numbers = ", ".join(str(one.id) for one in done.overlapping)
        console.say(
            mark("The same time is recorded already under %(numbers)s; it is counted once."),
            numbers=numbers,
        )


@quality.command("confirm")
@click.argument("event_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--note", default="", help="What speaks for it.")
@pass_console
def confirm(console: Console, event_id: int, note: str) -> None:
    """Confirm the reported period ID: its hours count.

    Example: kilokassa quality confirm 5 --note "seen by the foreman"
    """
    _decide(console, event_id, QualityEventState.CONFIRMED, note)


@quality.command("reject")
@click.argument("event_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--note", required=True, help="Why it does not count.")
@pass_console
def reject(console: Console, event_id: int, note: str) -> None:
    """Reject the reported period ID: it stays in the list, and its hours do not count.

    Example: kilokassa quality reject 5 --note "the flat's own fuse"
    """
    _decide(console, event_id, QualityEventState.REJECTED, note)


def _decide(console: Console, event_id: int, state: QualityEventState, note: str) -> None:
    from metering.events.service import DecideOrder, decide_quality

    application = console.installed
    order = DecideOrder(event_id, state, note, console.scope)
    with application.database.writing() as session:
        decide_quality(session, order, application.clock)
    console.say(mark("The decision is recorded."))


@quality.command("end")
@click.argument("event_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--at", "ends", type=LocalTimeType(), required=True, help="When it ended.")
@pass_console
def end(console: Console, event_id: int, ends: datetime) -> None:
    """Say when the period ID ended that was recorded as lasting.

    Example: kilokassa quality end 5 --at 2026-11-04T06:00
    """
    from kilokassa.core.errors import Invalid
    from metering.events.service import EndOrder, end_quality
    from metering.events.store import get_quality

    application = console.installed
    with application.database.writing() as session:
        found = get_quality(session, console.scope, event_id)
        ends_at = event_instant(ends, ZoneInfo(found.zone))
        if ends_at is None:
            raise Invalid(where=mark("until"), problem=mark("the clock skipped this local time"))
        end_quality(session, EndOrder(event_id, ends_at, console.scope), application.clock)
    console.say(mark("The end is recorded."))


COMMANDS = (events, quality)
