"""The balance of houses: what went in, what the flats used, and who the remainder points at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from kilokassa.app.house_worth import charged_energy
from kilokassa.core.calendar import Month
from kilokassa.core.text import date_text, mark, number_text
from kilokassa.web import queries
from kilokassa.web.forms import month_over
from kilokassa.web.kit import Chart, Column, Kind, Paging, Stack, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering.balance.house import Flow, Totals
from metering.balance.service import (
    BalanceQuery,
    DayBalance,
    HouseBalance,
    HouseQuery,
    HouseSuspects,
    ListedHouse,
    SuspectFlat,
    house_balance,
    house_suspects,
    list_balances,
)
from metering.balance.suspects import NOTEWORTHY_POINTS, STRONG_POINTS, EvidenceSeries, Suspect

MONTHS_OFFERED: Final = 14
HOUSES_SHOWN: Final = 100
"""Houses of a page: each is balanced from its readings, a hundred a second."""
CHARTS_SHOWN: Final = 5
SUSPECTS_LISTED: Final = 12
REMAINDER_WARN_PPM: Final = 50_000
REMAINDER_BAD_PPM: Final = 100_000
"""From which share of the input on the remainder is coloured; shown, never acted upon."""


@dataclass(frozen=True, slots=True)
class HouseLine:
    """A house of the list with the worth of its remainder."""

    listed: ListedHouse
    worth_minor: int | None
    """At the average price of its flats; None where the month is not charged yet."""

    @property
    def totals(self) -> Totals | None:
        """Its balance of the month."""
        return self.listed.balance.totals


@dataclass(frozen=True, slots=True)
class IntervalLine:
    """One interval of a day as a row of the table."""

    clock: str
    complete: bool
    totals: Totals


@dataclass(frozen=True, slots=True)
class SuspectLine:
    """A suspect as the page shows it."""

    rank: int
    flat: SuspectFlat
    account: str
    payer: str

    @property
    def suspect(self) -> Suspect:
        """The flat's evidence."""
        return self.flat.suspect

    @property
    def name(self) -> str:
        """The number of the flat."""
        return self.flat.point.premises_number or self.flat.point.code

    @property
    def verdict(self) -> str:
        """How strong the evidence is, in a word."""
        if self.suspect.points >= STRONG_POINTS:
            return mark("Strong evidence")
        if self.suspect.points >= NOTEWORTHY_POINTS:
            return mark("Worth a look")
        return mark("Weak evidence") if self.suspect.points > 0 else mark("No evidence")

    @property
    def tone(self) -> str:
        """The colour of the verdict."""
        if self.suspect.points >= STRONG_POINTS:
            return "bad"
        return "warn" if self.suspect.points >= NOTEWORTHY_POINTS else "quiet"


@dataclass(frozen=True, slots=True)
class ShownSuspect:
    """A suspect with its evidence in sentences and charts."""

    line: SuspectLine
    parts: tuple[tuple[object, int, str], ...]
    """Kind, points and sentence."""
    by_day: Chart
    by_hour: Chart


def balances() -> ResponseReturnValue:
    """List the houses with a meter of their own, the dearest remainder first."""
    here = visit()
    month = month_over(here.today)
    search = request.args.get("search", "").strip()[:80]
    page = 1 if export_asked() else page_asked()
    query = BalanceQuery(
        here.scope,
        month,
        search,
        limit=None if export_asked() else HOUSES_SHOWN,
        offset=(page - 1) * HOUSES_SHOWN,
    )
    listed, total = list_balances(here.session, query, here.application.clock)
    charged = charged_energy(here.session, [one.house.id for one in listed], month)
    lines = [
        HouseLine(
            one,
            charged[one.house.id].worth_minor(one.balance.totals.remainder_wh)
            if one.balance.totals is not None and one.house.id in charged
            else None,
        )
        for one in listed
    ]
    lines.sort(key=_by_loss)
    table = _houses(lines, month)
    if export_asked():
        return table.csv()
    return render_template(
        "console/balance.html",
        active="console.balances",
        table=table,
        paging=Paging(page, HOUSES_SHOWN, total),
        search=search,
        month=month,
        months=_months(here),
    )


def balance(code: str) -> ResponseReturnValue:
    """Show the balance of one house: the month, a day of it, and the suspects."""
    here = visit()
    month = month_over(here.today)
    clock = here.application.clock
    query = HouseQuery(here.scope, code, month)
    found = house_balance(here.session, query, clock)
    day = _day(found)
    days = _days_table(found.days)
    intervals = _intervals_table(_interval_lines(found, day))
    wished = export_asked()
    if wished == days.name:
        return days.csv()
    if wished == intervals.name:
        return intervals.csv()
    suspects = house_suspects(here.session, query, clock, charts=CHARTS_SHOWN)
    lines = _suspect_lines(here, suspects)
    ranked = _suspects_table(lines[:SUSPECTS_LISTED] if not wished else lines)
    if wished:
        return ranked.csv()
    charged = charged_energy(here.session, [found.house.id], month).get(found.house.id)
    totals = found.balance.totals
    return render_template(
        "console/balance_house.html",
        active="console.balances",
        house=found.house,
        found=found,
        month=month,
        months=_months(here),
        day=day,
        worth_minor=charged.worth_minor(totals.remainder_wh) if charged and totals else None,
        remainder_tone=_tone(totals),
        by_day=_day_chart(found),
        by_interval=_interval_chart(found, day),
        days_table=days,
        intervals_table=intervals,
        suspects=suspects,
        shown=[
            _shown(here, line)
            for line in lines
            if line.flat.evidence is not None and line.suspect.points >= NOTEWORTHY_POINTS
        ],
        ranked=ranked,
    )


# --- what the address asks for ---


def _months(here: Visit) -> list[Month]:
    current = Month.of(here.today)
    return [current.plus(-n) for n in range(MONTHS_OFFERED)]


def _day(found: HouseBalance) -> date | None:
    """Return the day asked for; without one, that of the largest remainder."""
    days = {one.day: one for one in found.days}
    try:
        asked = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        asked = None
    if asked in days:
        return asked
    known = [one for one in found.days if one.incomplete < one.intervals]
    if not known:
        return found.days[0].day if found.days else None
    return max(known, key=lambda one: one.totals.remainder_wh).day


# --- tables ---


def _by_loss(line: HouseLine) -> tuple[bool, int, int]:
    totals = line.totals
    return totals is None, -(line.worth_minor or 0), -(totals.remainder_wh if totals else 0)


def _tone(totals: Totals | None) -> str:
    if totals is None or totals.remainder_ppm is None:
        return ""
    if totals.remainder_ppm >= REMAINDER_BAD_PPM or totals.remainder_wh < 0:
        return "bad"
    return "warn" if totals.remainder_ppm >= REMAINDER_WARN_PPM else "good"


def _houses(lines: Sequence[HouseLine], month: Month) -> Table[HouseLine]:
    def part(take: Callable[[Totals], int | None]) -> Callable[[HouseLine], int | None]:
        return lambda one: None if one.totals is None else take(one.totals)

    def tone(one: HouseLine) -> str:
        return _tone(one.totals)

    return Table(
        name="balances",
        caption=mark("Balance of houses"),
        columns=(
            Column(
                "building",
                mark("Building"),
                lambda one: one.listed.house.address,
                link=lambda one: url_for(
                    "console.balance", code=one.listed.house.code, month=str(month)
                ),
            ),
            Column("input", mark("Input, kWh"), part(lambda t: t.input_wh), Kind.KWH, minor=True),
            Column("flats", mark("Flats, kWh"), part(lambda t: t.flats_wh), Kind.KWH, minor=True),
            Column(
                "common",
                mark("Common areas, kWh"),
                part(lambda t: t.common_wh),
                Kind.KWH,
                minor=True,
            ),
            Column(
                "losses", mark("Losses, kWh"), part(lambda t: t.losses_wh), Kind.KWH, minor=True
            ),
            Column(
                "remainder",
                mark("Remainder, kWh"),
                part(lambda t: t.remainder_wh),
                Kind.KWH,
                tone=tone,
            ),
            Column(
                "share",
                mark("Of the input"),
                part(lambda t: t.remainder_ppm),
                Kind.PERCENT,
                tone=tone,
            ),
            Column("worth", mark("Worth"), lambda one: one.worth_minor, Kind.MONEY),
            Column(
                "covered",
                mark("Cover"),
                lambda one: one.listed.balance.covered_ppm,
                Kind.PERCENT,
                minor=True,
            ),
            Column(
                "unread",
                mark("Unread"),
                lambda one: len(one.listed.balance.unread),
                Kind.NUMBER,
                minor=True,
            ),
        ),
        items=lines,
        empty=mark(
            "No house in your reach has an electricity meter of its own. Register a metering point "
            "of the building without premises."
        ),
        filterable=True,
    )


def _days_table(days: Sequence[DayBalance]) -> Table[DayBalance]:
    def part(take: Callable[[Totals], int | None]) -> Callable[[DayBalance], int | None]:
        return lambda one: take(one.totals) if one.incomplete < one.intervals else None

    return Table(
        name="days",
        caption=mark("Balance by day"),
        columns=(
            Column("day", mark("Day"), lambda one: one.day, Kind.DATE),
            Column("input", mark("Input, kWh"), part(lambda t: t.input_wh), Kind.KWH),
            Column("flats", mark("Flats, kWh"), part(lambda t: t.flats_wh), Kind.KWH),
            Column(
                "common",
                mark("Common areas, kWh"),
                part(lambda t: t.common_wh),
                Kind.KWH,
                minor=True,
            ),
            Column(
                "losses",
                mark("Losses, kWh"),
                part(lambda t: t.losses_wh),
                Kind.KWH,
                minor=True,
            ),
            Column("remainder", mark("Remainder, kWh"), part(lambda t: t.remainder_wh), Kind.KWH),
            Column("share", mark("Of the input"), part(lambda t: t.remainder_ppm), Kind.PERCENT),
            Column(
                "incomplete",
                mark("Intervals without a balance"),
                lambda one: one.incomplete,
                Kind.NUMBER,
                tone=lambda one: "warn" if one.incomplete else "",
            ),
        ),
        items=days,
        empty=mark("No day of this month has passed yet."),
    )


def _interval_lines(found: HouseBalance, day: date | None) -> list[IntervalLine]:
    if day is None:
        return []
    place = found.of_day(day)
    step = timedelta(minutes=found.by_interval.interval_min)
    lines = []
    for at in range(place.start, place.stop):
        instant: datetime = found.by_interval.start + step * at
        lines.append(
            IntervalLine(
                instant.astimezone(found.house.zone).strftime("%H:%M"),
                bool(found.by_interval.complete[at]),
                found.by_interval.totals(slice(at, at + 1)),
            )
        )
    return lines


def _intervals_table(lines: Sequence[IntervalLine]) -> Table[IntervalLine]:
    def part(take: Callable[[Totals], int]) -> Callable[[IntervalLine], int | None]:
        return lambda one: take(one.totals) if one.complete else None

    return Table(
        name="intervals",
        caption=mark("Balance by interval"),
        columns=(
            Column("clock", mark("Time"), lambda one: one.clock),
            Column("input", mark("Input, kWh"), part(lambda t: t.input_wh), Kind.KWH),
            Column("flats", mark("Flats, kWh"), part(lambda t: t.flats_wh), Kind.KWH),
            Column("common", mark("Common areas, kWh"), part(lambda t: t.common_wh), Kind.KWH),
            Column("losses", mark("Losses, kWh"), part(lambda t: t.losses_wh), Kind.KWH),
            Column("remainder", mark("Remainder, kWh"), part(lambda t: t.remainder_wh), Kind.KWH),
        ),
        items=lines,
    )


def _suspect_lines(here: Visit, found: HouseSuspects) -> list[SuspectLine]:
    accounts = queries.accounts_of_points(
        here.session, here.scope, [one.point.code for one in found.ranked]
    )
    return [
        SuspectLine(rank, one, *accounts.get(one.point.code, ("", "")))
        for rank, one in enumerate(found.ranked, start=1)
    ]


def _suspects_table(lines: Sequence[SuspectLine]) -> Table[SuspectLine]:
    def hidden(one: SuspectLine) -> int | None:
        return one.suspect.hidden_ppm if one.suspect.points > 0 else None

    return Table(
        name="suspects",
        caption=mark("Suspects, ranked"),
        columns=(
            Column("rank", mark("Rank"), lambda one: one.rank, Kind.NUMBER),
            Column("flat", mark("Flat"), lambda one: one.name),
            Column(
                "account",
                mark("Account"),
                lambda one: one.account,
                link=lambda one: (
                    url_for("console.account", number=one.account) if one.account else None
                ),
            ),
            Column("payer", mark("Payer"), lambda one: one.payer, minor=True),
            Column(
                "verdict",
                mark("Evidence"),
                lambda one: one.verdict,
                Kind.MESSAGE,
                tone=lambda one: one.tone,
            ),
            Column("points", mark("Points"), lambda one: one.suspect.points, Kind.NUMBER),
            Column(
                "since",
                mark("Began"),
                lambda one: one.suspect.since if one.suspect.points > 0 else None,
                Kind.DATE,
                minor=True,
            ),
            Column("hidden", mark("Hidden share"), hidden, Kind.PERCENT, minor=True),
            Column(
                "suspected",
                mark("Suspected, kWh a month"),
                lambda one: one.suspect.suspected_wh_month if one.suspect.points > 0 else None,
                Kind.KWH,
            ),
        ),
        items=lines,
        empty=mark("There is no flat with intervals to compare."),
    )


# --- charts ---


def _stacks(all_totals: Sequence[Totals]) -> tuple[Stack, ...]:
    parts = (
        (Flow.FLATS, tuple(one.flats_wh for one in all_totals)),
        (Flow.COMMON, tuple(one.common_wh for one in all_totals)),
        (Flow.LOSSES, tuple(one.losses_wh for one in all_totals)),
        (Flow.REMAINDER, tuple(one.remainder_wh for one in all_totals)),
    )
    return tuple(Stack(flow, values) for flow, values in parts if any(values))


def _day_chart(found: HouseBalance) -> Chart:
    return Chart(
        name="balance-days",
        title=mark("Where the house's energy went, by day"),
        categories=tuple(str(one.day.day) for one in found.days),
        category_title=mark("Day"),
        stacks=_stacks([one.totals for one in found.days]),
        empty=mark("No interval of this month has a balance: values are missing."),
    )


def _interval_chart(found: HouseBalance, day: date | None) -> Chart:
    lines = _interval_lines(found, day)
    return Chart(
        name="balance-intervals",
        title=mark("Where the house's energy went, by interval"),
        categories=tuple(line.clock for line in lines),
        category_title=mark("Time"),
        stacks=_stacks([line.totals for line in lines]),
        empty=mark("No interval of this day has a balance: values are missing."),
    )


def _shown(here: Visit, line: SuspectLine) -> ShownSuspect:
    evidence = line.flat.evidence
    assert evidence is not None

    def show(value: int | date) -> str:
        if isinstance(value, date):
            return date_text(value, here.language)
        return number_text(value, here.language)

    step_min = 24 * 60 // evidence.slots
    return ShownSuspect(
        line=line,
        parts=tuple(
            (part.kind, part.points, part.sentence(translate, show)) for part in line.suspect.parts
        ),
        by_day=Chart(
            name=f"suspect-{line.rank}-days",
            title=mark("The remainder by day, and what this flat would explain of it"),
            categories=tuple(f"{day.day:02d}.{day.month:02d}" for day in evidence.days),
            category_title=mark("Day"),
            stacks=(
                Stack(EvidenceSeries.REST, evidence.rest_by_day_wh),
                Stack(EvidenceSeries.HIDDEN, evidence.explained_by_day_wh),
            ),
        ),
        by_hour=Chart(
            name=f"suspect-{line.rank}-hours",
            title=mark("The flat's own day against the growth of the remainder"),
            categories=tuple(
                f"{slot * step_min // 60:02d}:{slot * step_min % 60:02d}"
                for slot in range(evidence.slots)
            ),
            category_title=mark("Time"),
            stacks=(
                Stack(EvidenceSeries.GROWTH, evidence.growth_by_slot_wh),
                Stack(EvidenceSeries.SHAPE, evidence.shape_by_slot_wh, line=True),
            ),
        ),
    )
