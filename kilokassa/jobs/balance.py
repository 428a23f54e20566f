"""Commands about houses: their balance, and whom the remainder points at."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.quantity import kwh
from kilokassa.core.text import date_text, gettext, mark, month_text, number_text
from kilokassa.jobs.console import Console, MonthType, emit, json_option, pass_console

if TYPE_CHECKING:  # numpy comes with it, and most commands do without
    from metering.balance.house import Totals
    from metering.balance.service import DayBalance


@click.group()
def houses() -> None:
    """Balances of houses: what came in against what the flats used.

    Example: kilokassa houses balance --month 2026-10
    """


@houses.command("balance")
@click.option("--building", help="Code of one building: its days; else all, by their codes.")
@click.option("--month", type=MonthType(), help="Such as 2026-10; else the last that is over.")
@json_option
@pass_console
def balance(console: Console, building: str | None, month: Month | None, as_json: bool) -> None:
    """Balance houses by the month, one house also by the day.

    remainder = input - flats - common areas - technical losses, of the intervals in which every
    point has a value; the others are counted.

    Example: kilokassa houses balance --building KHV-2 --month 2026-10 --json
    """
    from metering.balance.service import BalanceQuery, HouseQuery, house_balance, list_balances

    application = console.installed
    asked = month or _last_month(console)
    with application.database.reading() as session:
        if building is None:
            listed, _ = list_balances(
                session, BalanceQuery(console.scope, asked), application.clock
            )
            found = [(one.house.code, one.balance) for one in listed]
            days: tuple[DayBalance, ...] = ()
        else:
            query = HouseQuery(console.scope, building, asked)
            house = house_balance(session, query, application.clock)
            found, days = [(house.house.code, house.balance)], house.days
    if as_json:
        answer = [
            {
                "building": code,
                "month": asked,
                "totals": _totals(each.totals),
                "intervals": each.intervals,
                "incomplete": each.incomplete,
                "by_registers": each.by_registers,
                "extended": each.extended,
                "unread": list(each.unread),
            }
            for code, each in found
        ]
        if building is None:
            emit(answer)
            return
        by_day = [
            {"day": one.day, "totals": _totals(one.totals), "incomplete": one.incomplete}
            for one in days
        ]
        emit(answer[0] | {"days": by_day})
        return
    if not found:
        console.say(mark("No house has an electricity meter of its own."))
    for code, each in found:
        if each.totals is None:
            console.say(mark("%(building)s: no balance, values are missing."), building=code)
            continue
        console.say(
            mark(
                "%(building)s, %(month)s: input %(input)s kWh, flats %(flats)s, common areas "
                "%(common)s, losses %(losses)s, remainder %(remainder)s (%(share)s %%)."
            ),
            building=code,
            month=month_text(asked, console.language),
            input=_kwh(console, each.totals.input_wh),
            flats=_kwh(console, each.totals.flats_wh),
            common=_kwh(console, each.totals.common_wh),
            losses=_kwh(console, each.totals.losses_wh),
            remainder=_kwh(console, each.totals.remainder_wh),
            share=_percent(console, each.totals.remainder_ppm or 0),
        )
        if each.incomplete:
            console.say(
                mark("%(count)s of %(all)s intervals have no balance: a value is missing."),
                count=each.incomplete,
                all=each.intervals,
            )
        if each.unread:
            console.say(mark("Without readings: %(points)s."), points=", ".join(each.unread))
    for of_day in days:
        console.say(
            mark("%(day)s: remainder %(remainder)s kWh of %(input)s; %(missing)s incomplete."),
            day=date_text(of_day.day, console.language),
            remainder=_kwh(console, of_day.totals.remainder_wh),
            input=_kwh(console, of_day.totals.input_wh),
            missing=of_day.incomplete,
        )


@houses.command("suspects")
@click.argument("building")
@click.option("--month", type=MonthType(), help="Such as 2026-10; else the last that is over.")
@json_option
@pass_console
def suspects(console: Console, building: str, month: Month | None, as_json: bool) -> None:
    """Rank the flats of BUILDING by the evidence that their meters show too little.

    Sixty days up to the end of the month are compared. Points are decibans: 10 is ten times
    likelier than honest use, 20 a hundred times. Evidence, not proof.

    Example: kilokassa houses suspects KHV-2 --month 2026-10
    """
    from metering.balance.service import HouseQuery, house_suspects
    from metering.balance.suspects import NOTEWORTHY_POINTS

    application = console.installed
    query = HouseQuery(console.scope, building, month or _last_month(console))
    with application.database.reading() as session:
        found = house_suspects(session, query, application.clock)
    translate, show = _speaking(console)
    if as_json:
        emit(
            {
                "building": building,
                "first": found.first,
                "last": found.last,
                "days_compared": found.days_compared,
                "enough": found.enough,
                "left_out": list(found.left_out),
                "suspects": [
                    {
                        "rank": rank,
                        "point": one.point.code,
                        "premises": one.point.premises_number,
                        "points": one.suspect.points,
                        "since": one.suspect.since,
                        "hidden_ppm": one.suspect.hidden_ppm,
                        "suspected_wh_month": one.suspect.suspected_wh_month,
                        "parts": [
                            {
                                "kind": part.kind,
                                "points": part.points,
                                "text": part.sentence(translate, show),
                            }
                            for part in one.suspect.parts
                        ],
                    }
                    for rank, one in enumerate(found.ranked, start=1)
                ],
            }
        )
        return
    if not found.enough:
        console.say(mark("Too few days have a balance to compare flats."))
    accused = [one for one in found.ranked if one.suspect.points >= NOTEWORTHY_POINTS]
    if not accused:
        console.say(mark("The remainder points at no flat."))
    for rank, one in enumerate(accused, start=1):
        console.say(
            mark(
                "%(rank)s. Flat %(flat)s, point %(point)s: %(points)s points, "
                "%(energy)s kWh a month."
            ),
            rank=rank,
            flat=one.point.premises_number,
            point=one.point.code,
            points=one.suspect.points,
            energy=_kwh(console, one.suspect.suspected_wh_month),
        )
        for part in one.suspect.parts:
            click.echo(f"   {part.points:+d}  {part.sentence(translate, show)}")


def _speaking(
    console: Console,
) -> tuple[Callable[[str], str], Callable[[int | date], str]]:
    def translate(message: str) -> str:
        return gettext(message, console.language)

    def show(value: int | date) -> str:
        if isinstance(value, date):
            return date_text(value, console.language)
        return number_text(value, console.language)

    return translate, show


def _totals(totals: "Totals | None") -> dict[str, int | None] | None:
    if totals is None:
        return None
    return {
        "input_wh": totals.input_wh,
        "flats_wh": totals.flats_wh,
        "common_wh": totals.common_wh,
        "losses_wh": totals.losses_wh,
        "remainder_wh": totals.remainder_wh,
        "remainder_ppm": totals.remainder_ppm,
    }


def _kwh(console: Console, energy_wh: int) -> str:
    return number_text(kwh(energy_wh), console.language, decimals=1)


def _percent(console: Console, ppm: int) -> str:
    return number_text(Decimal(ppm).scaleb(-4), console.language, decimals=1)


def _last_month(console: Console) -> Month:
    """Return the last month that is over at the retailer's."""
    from billing.store import retailer_zone

    application = console.installed
    with application.database.reading() as session:
        zone = retailer_zone(session)
    return Month.of(local_date(application.clock.now(), zone)).plus(-1)


COMMANDS = (houses,)
