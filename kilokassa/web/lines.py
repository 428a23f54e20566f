"""The page of a charge line, for staff and residents: the sum, its readings, its picture."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from billing.explanation.explanation import LineExplanation, ReadingDay, Verdict
from billing.explanation.service import explain_charge_line
from billing.explanation.wording import (
    Said,
    change_said,
    line_title,
    step_said,
    sum_text,
    verdict_text,
)
from billing.models import ChargeLineRow
from kilokassa.core.calendar import local_date
from kilokassa.core.scope import Right
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from kilokassa.web.kit import Chart, Column, Kind, Stack, Table, export_asked
from kilokassa.web.visit import Visit
from tariffs.explain import IntervalPart

HOURS: Final = 24

TONES: Final = {
    Verdict.SAME: "good",
    Verdict.NOT_RECORDED: "quiet",
    Verdict.OTHER_INPUTS: "warn",
}


@dataclass(frozen=True, slots=True)
class LinePage:
    """A line as its page shows it."""

    explained: LineExplanation
    title: str
    steps: tuple[Said, ...]
    sum: tuple[str, ...]
    verdict: str
    tone: str
    changes: tuple[tuple[str, str, str], ...]
    by_day: Chart
    by_hour: Chart
    days: Table[ReadingDay]
    intervals: Table[IntervalPart]


def line_page(
    here: Visit, line_id: int, page: str, *, account_number: str | None = None, **more: object
) -> ResponseReturnValue:
    """Render the page of a line in reach, or one of its tables as CSV."""
    explained = explain_charge_line(
        here.session, here.scope, line_id, account_number=account_number
    )
    shown = page_of(here, explained)
    for table in (shown.intervals, shown.days):
        if export_asked() == table.name:
            return table.csv()
    return render_template(page, line=explained, shown=shown, **more)


def page_of(here: Visit, one: LineExplanation) -> LinePage:
    """Put an explanation in the words of the reader."""
    language, zone = here.language, ZoneInfo(one.zone)
    return LinePage(
        explained=one,
        title=line_title(one, language),
        steps=tuple(step_said(step, language, zone) for step in one.steps),
        sum=sum_text(one.sum, one.line.charge, language),
        verdict=verdict_text(one, language),
        tone=TONES.get(one.replay.verdict, "bad"),
        changes=tuple(change_said(change, one, language, zone) for change in one.changes),
        by_day=_by_day(one),
        by_hour=_by_hour(one, zone),
        days=_days_table(here, one),
        intervals=_intervals_table(one),
    )


def line_link(number: str | None = None) -> Callable[[ChargeLineRow], str]:
    """Return what leads from a charge line to its page: that of the account, or of staff."""
    if number is None:
        return lambda line: url_for("console.line", line_id=line.id)
    return lambda line: url_for("account.line", number=number, line_id=line.id)


def _by_day(one: LineExplanation) -> Chart:
    by_day: dict[date, int] = {}
    for day in one.days:
        by_day[day.day] = by_day.get(day.day, 0) + day.energy_wh
    days = sorted(by_day)
    span = (days[-1] - days[0]).days + 1 if days else 0
    every = [days[0] + timedelta(days=n) for n in range(span)]
    return Chart(
        name="line-days",
        title=mark("The line by day"),
        categories=tuple(str(day.day) for day in every),
        category_title=mark("Day"),
        stacks=(Stack(_zone_of(one), tuple(by_day.get(day, 0) for day in every)),),
    )


def _by_hour(one: LineExplanation, zone: ZoneInfo) -> Chart:
    by_hour = [0] * HOURS
    for part in one.intervals:
        by_hour[part.start.astimezone(zone).hour] += part.energy_wh
    return Chart(
        name="line-hours",
        title=mark("The line by hour of the day, all days together"),
        categories=tuple(f"{hour:02d}" for hour in range(HOURS)),
        category_title=mark("Hour"),
        stacks=(Stack(_zone_of(one), tuple(by_hour)),),
    )


def _zone_of(one: LineExplanation) -> Zone:
    return one.register_zone or Zone.ALL


def _days_table(here: Visit, one: LineExplanation) -> Table[ReadingDay]:
    point: Column[ReadingDay] = Column(
        "point",
        mark("Metering point"),
        lambda day: day.point_code,
        link=lambda day: url_for("console.point", code=day.point_code),
    )
    points = (point,) if here.may(Right.VIEW_STAFF) else ()
    return Table(
        name="days",
        caption=mark("Days of readings as they were known"),
        columns=(
            Column("day", mark("Day"), lambda day: day.day, Kind.DATE),
            *points,
            Column("energy", mark("In the line, kWh"), lambda day: day.energy_wh, Kind.KWH),
            Column("revision", mark("Revision"), lambda day: day.revision, Kind.NUMBER),
            Column("digest", mark("Digest"), lambda day: day.digest[:12], minor=True),
            Column(
                "recorded", mark("Recorded"), lambda day: day.recorded_at, Kind.INSTANT, minor=True
            ),
        ),
        items=one.days,
    )


def _intervals_table(one: LineExplanation) -> Table[IntervalPart]:
    zone = ZoneInfo(one.zone)
    priced = any(part.price_scaled for part in one.intervals)
    price: Column[IntervalPart] = Column(
        "price", mark("Price, ₽/kWh"), lambda part: part.price_scaled, Kind.RATE
    )
    return Table(
        name="intervals",
        caption=mark("Intervals of the line"),
        columns=(
            Column("day", mark("Day"), lambda part: local_date(part.start, zone), Kind.DATE),
            Column(
                "from", mark("From"), lambda part: part.start.astimezone(zone).strftime("%H:%M")
            ),
            Column("energy", mark("Energy, kWh"), lambda part: part.energy_wh, Kind.KWH),
            *((price,) if priced else ()),
        ),
        items=one.intervals,
    )
