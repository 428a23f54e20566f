"""Commands about prices that come from outside: series by the hour, and peak hours."""

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from kilokassa.core.calendar import Month
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import Language, mark
from kilokassa.jobs.console import (
    Console,
    MonthType,
    emit,
    existing_file,
    json_option,
    pass_console,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class ZoneType(click.ParamType[ZoneInfo]):
    """An IANA time zone such as Europe/Moscow."""

    name = "ZONE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        """Read the zone; another text is a mistake of usage."""
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value} is not an IANA time zone such as Europe/Moscow", param, ctx)


zone_option = click.option(
    "--zone", type=ZoneType(), help="Whose clock the days follow; else that of the retailer."
)


@click.group()
def prices() -> None:
    """Price series of the market, and hours of regulated peak.

    Example: kilokassa prices import day-ahead.csv --series dam
    """


@prices.command("begin")
@click.argument("code")
@click.option("--name", required=True, help="What the series is called.")
@click.option("--name-en", default="", help="The same in English.")
@zone_option
@click.option(
    "--interval", type=click.Choice(["15", "30", "60"]), default="60", help="Minutes of a price."
)
@click.option("--source", default="", help="Where the prices are published.")
@pass_console
def begin(
    console: Console,
    code: str,
    name: str,
    name_en: str,
    zone: ZoneInfo | None,
    interval: str,
    source: str,
) -> None:
    """Begin the price series CODE; the same again changes nothing, and its grid never changes.

    Example: kilokassa prices begin dam --name "РСВ, зона 2" --zone Asia/Vladivostok
    """
    from tariffs.prices.service import SeriesOrder, begin_series

    application = console.installed
    with application.database.writing() as session:
        order = SeriesOrder(
            console.scope,
            code,
            name,
            zone or _zone_of_retailer(session),
            int(interval),
            name_en,
            source,
        )
        new = begin_series(session, order, application.clock)
    console.say(
        mark("The price series %(series)s has begun.")
        if new
        else mark("The price series %(series)s was there before; nothing changed."),
        series=code,
    )


@prices.command("import")
@click.argument("file", type=existing_file())
@click.option("--series", required=True, help="Code of the series.")
@json_option
@pass_console
def import_file(console: Console, file: Path, series: str, as_json: bool) -> None:
    """Take the prices of whole local days in FILE in; the same again changes nothing.

    The format: docs/reference/prices.md.

    Example: kilokassa prices import day-ahead.csv --series dam
    """
    from tariffs.prices.files import LARGEST_BYTES
    from tariffs.prices.service import take_file

    application = console.installed
    with file.open("rb") as opened:
        content = opened.read(LARGEST_BYTES + 1)
    with application.database.writing() as session:
        taken = take_file(session, console.scope, series, content, file.name, application.clock)
    if as_json:
        emit({"new": taken.new, "changed": taken.changed, "same": taken.same})
        return
    console.say(
        mark("Days: %(new)s new, %(changed)s changed, %(same)s as before."),
        new=len(taken.new),
        changed=len(taken.changed),
        same=len(taken.same),
    )
    for day in taken.changed:
        console.say(mark("  %(day)s has another price now; the former one is kept."), day=day)


@prices.command("list")
@json_option
@pass_console
def list_series(console: Console, as_json: bool) -> None:
    """List the price series.

    Example: kilokassa prices list --json
    """
    from tariffs.prices.store import all_series

    with console.installed.database.reading() as session:
        found = all_series(session, console.scope)
    if as_json:
        emit(
            [
                {
                    "code": one.code,
                    "name": one.name,
                    "name_en": one.name_en,
                    "zone": one.zone.key,
                    "interval_min": one.interval_min,
                    "first_day": one.first_day,
                    "last_day": one.last_day,
                    "days": one.days,
                    "missing_days": one.missing_days,
                    "revised_days": one.revised_days,
                }
                for one in found
            ]
        )
        return
    for one in found:
        name = one.name if console.language is Language.RUSSIAN else one.name_en
        console.say(
            mark(
                "%(code)s  %(name)s: %(first)s to %(last)s, %(days)s days, %(missing)s missing, "
                "%(revised)s revised"
            ),
            code=one.code,
            name=name,
            first=one.first_day or "—",
            last=one.last_day or "—",
            days=one.days,
            missing=one.missing_days,
            revised=one.revised_days,
        )


@prices.command("show")
@click.argument("code")
@click.option("--month", required=True, type=MonthType(), help="The month to show.")
@json_option
@pass_console
def show(console: Console, code: str, month: Month, as_json: bool) -> None:
    """Show the prices of a month with their revisions, roubles per kWh.

    Example: kilokassa prices show dam --month 2026-10
    """
    from tariffs.prices.store import days_of_month, series_by_code

    with console.installed.database.reading() as session:
        series = series_by_code(session, console.scope, code)
        days = days_of_month(session, console.scope, series, month)
    if as_json:
        emit(
            [
                {
                    "day": one.prices.day,
                    "revision": one.revision,
                    "recorded_at": one.recorded_at,
                    "source": one.source,
                    "prices_per_kwh": [
                        rate_from_scaled(int(price)) for price in one.prices.prices_scaled
                    ],
                }
                for one in days
            ]
        )
        return
    for one in days:
        row = " ".join(str(rate_from_scaled(int(price))) for price in one.prices.prices_scaled)
        click.echo(f"{one.prices.day} [{one.revision}] {row}")


@prices.command("peak-hours")
@click.argument("file", type=existing_file())
@click.option("--list", "list_code", required=True, help="Code of the list of hours.")
@zone_option
@json_option
@pass_console
def peak_hours(
    console: Console, file: Path, list_code: str, zone: ZoneInfo | None, as_json: bool
) -> None:
    """State the regulated peak hours in FILE: of every month that it names, all of them.

    Example: kilokassa prices peak-hours october.csv --list ats_khabarovsk
    """
    from tariffs.prices.files import LARGEST_BYTES
    from tariffs.prices.service import take_peak_hours_file

    application = console.installed
    with file.open("rb") as opened:
        content = opened.read(LARGEST_BYTES + 1)
    with application.database.writing() as session:
        named = take_peak_hours_file(
            session,
            console.scope,
            list_code,
            zone or _zone_of_retailer(session),
            content,
            file.name,
            application.clock,
        )
    if as_json:
        emit(
            {
                "months": [str(month) for month in named.months],
                "named": named.named,
                "withdrawn": named.withdrawn,
                "same": named.same,
            }
        )
        return
    console.say(
        mark("Hours: %(named)s named, %(withdrawn)s withdrawn, %(same)s as before."),
        named=named.named,
        withdrawn=named.withdrawn,
        same=named.same,
    )


def _zone_of_retailer(session: "Session") -> ZoneInfo:
    from billing.store import retailer

    return ZoneInfo(retailer(session).zone)


COMMANDS = (prices,)
