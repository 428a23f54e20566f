"""Estimated values: which points, by which method and rule, and what follows if nothing comes."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.wording import METHODS, method_text
from kilokassa.app.estimating import EstimateLine, estimate_lines, rule_chain
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.text import date_text, instant_text, mark
from kilokassa.web.forms import month_over
from kilokassa.web.kit import Column, Kind, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering.estimation.methods import EstimationMethod
from metering.estimation.rules import Trigger
from metering.estimation.store import estimated_buildings

MONTHS_OFFERED: Final = 14
WARN_PERIODS: Final = 3
"""After so many periods in a row the norm follows: worth a call."""

TRIGGERS: Final = {
    Trigger.GAP: mark("gap in the intervals"),
    Trigger.MISSING_READING: mark("no reading"),
    Trigger.VERIFICATION_EXPIRED: mark("verification expired"),
    Trigger.ACCESS_REFUSED: mark("no access twice"),
    Trigger.NO_METER: mark("no meter"),
}
"""Why a value had to be estimated, in a word."""

BETWEEN: Final = mark("read later")
"""Of estimates that two readings settled."""


def estimates() -> ResponseReturnValue:
    """List what a month is charged by without having been measured, by house and flat."""
    here = visit()
    month = month_over(here.today)
    building = request.args.get("building", "")
    replaced = request.args.get("replaced") == "1"
    lines = estimate_lines(
        here.session,
        here.scope,
        rule_chain(here.application.settings.estimation_rules),
        month=month,
        building_code=building,
        replaced=replaced,
    )
    if export_asked():
        return _table(lines, here, full=True).csv()
    current = Month.of(here.today)
    standing = [line for line in lines if not line.replaced]
    return render_template(
        "console/estimates.html",
        active="console.estimates",
        table=_table(lines, here, full=False),
        month=month,
        months=[current.plus(-n) for n in range(MONTHS_OFFERED)],
        building=building,
        buildings=estimated_buildings(here.session, here.scope),
        replaced=replaced,
        figures=_figures(standing),
    )


def _figures(lines: Sequence[EstimateLine]) -> list[tuple[str, int, int]]:
    """Return each method that occurs: its name, how many flats, how many Wh."""
    found = []
    for method in EstimationMethod:
        of_method = [line for line in lines if line.estimate.method is method]
        if of_method:
            points = len({line.estimate.point_id for line in of_method})
            found.append((METHODS[method], points, sum(line.quantity_wh for line in of_method)))
    return found


def _why(line: EstimateLine) -> str:
    trigger = line.estimate.rule.split(".")[0]
    return TRIGGERS[Trigger(trigger)] if trigger in set(Trigger) else BETWEEN


def _next(line: EstimateLine) -> str | None:
    return None if line.next_method is None else METHODS[line.next_method]


def _place(line: EstimateLine) -> str:
    """Return house and flat, as one reads them on a door."""
    number = line.listed.premises_number
    if not number:
        return line.listed.address
    return translate(mark("%(address)s, flat %(number)s")) % {
        "address": line.listed.address,
        "number": number,
    }


def _stretch(line: EstimateLine, here: Visit) -> str:
    """Return the days that are estimated; with the clock where it is a part of a day."""
    zone = ZoneInfo(line.listed.zone)
    start, end = line.estimate.period.start, line.estimate.period.end
    first, last = local_date(start, zone), local_date(end - timedelta(microseconds=1), zone)
    whole = (start, end) == (local_midnight(first, zone), local_midnight(_following(last), zone))
    if not whole:
        texts = [instant_text(at, zone, here.language) for at in (start, end)]
    else:
        texts = [date_text(day, here.language) for day in (first, last)]
    return texts[0] if texts[0] == texts[1] else " – ".join(texts)


def _following(day: date) -> date:
    """Return the day after."""
    return day + timedelta(days=1)


def _table(lines: Sequence[EstimateLine], here: Visit, *, full: bool) -> Table[EstimateLine]:
    """Return the list as the page shows it, or the fuller one that the file holds."""
    columns: list[Column[EstimateLine]] = [
        Column(
            "place",
            mark("Address"),
            _place,
            link=lambda one: (
                url_for("console.account", number=one.account_number)
                if one.account_number
                else None
            ),
        ),
        Column("why", mark("Why"), _why, Kind.MESSAGE, minor=True),
        Column("method", mark("By which method"), lambda one: method_text(one.used, here.language)),
        Column("days", mark("Days"), lambda one: _stretch(one, here), minor=True),
        Column("quantity", mark("Energy, kWh"), lambda one: one.quantity_wh, Kind.KWH),
        Column(
            "number",
            mark("Months in a row"),
            lambda one: one.period_number,
            Kind.NUMBER,
            tone=lambda one: "warn" if (one.period_number or 0) >= WARN_PERIODS else "",
        ),
        Column("next", mark("Next month"), _next, Kind.MESSAGE, minor=True),
    ]
    if full or any(line.replaced for line in lines):
        columns.append(
            Column(
                "state",
                mark("State"),
                lambda one: mark("replaced") if one.replaced else mark("holds"),
                Kind.MESSAGE,
                tone=lambda one: "quiet" if one.replaced else "good",
                minor=True,
            )
        )
    if full:
        columns += [
            Column("account", mark("Account"), lambda one: one.account_number),
            Column("point", mark("Metering point"), lambda one: one.listed.point_code),
            Column("from", mark("From"), lambda one: one.estimate.period.start, Kind.INSTANT),
            Column("to", mark("Up to"), lambda one: one.estimate.period.end, Kind.INSTANT),
            Column("rule", mark("Rule"), lambda one: one.estimate.rule),
        ]
    return Table(
        name="estimates",
        caption=mark("Estimated values"),
        columns=columns,
        items=lines,
        empty=mark("Nothing was estimated for this month: everything was measured."),
        filterable=True,
    )
