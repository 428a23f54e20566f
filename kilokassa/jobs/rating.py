"""The command that prices files without any database."""

import re
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import amount_text, mark
from kilokassa.jobs.console import (
    Console,
    DayType,
    emit,
    existing_file,
    json_option,
    pass_console,
)


class ScaledType(click.ParamType[int]):
    """A number such as 52.4, with a point or a comma, as whole parts of so many decimals."""

    name = "NUMBER"

    def __init__(self, places: int) -> None:
        self._places = places

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read the number; one with more decimals is a mistake of usage, never rounded."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,7})(?:[.,]([0-9]+))?", str(value))
        decimals = (found[2] or "").rstrip("0") if found else ""
        if found is None or len(decimals) > self._places:
            self.fail(f"{value!r} is no number with up to {self._places} decimals.", param, ctx)
        return int(found[1] + decimals.ljust(self._places, "0"))


@click.command()
@click.option("--tariff", type=existing_file(), required=True, help="A tariff document (YAML).")
@click.option("--readings", type=existing_file(), required=True, help="Interval readings (CSV).")
@click.option("--from", "first", type=DayType(), required=True, help="First local day.")
@click.option("--to", "last", type=DayType(), required=True, help="The day after the last one.")
@click.option("--zone", "zone_name", default="Europe/Moscow", help="IANA zone of the days.")
@click.option("--area", type=ScaledType(2), help="Square metres, for charges by area.")
@click.option("--persons", type=click.IntRange(0), help="Registered persons.")
@click.option("--contracted-kw", type=ScaledType(3), help="Capacity of the contract, kW.")
@click.option("--entitled", multiple=True, metavar="CODE", help="A concession the account has.")
@click.option("--prices", type=existing_file(), help="Prices of an hourly tariff (CSV).")
@click.option(
    "--price-minutes",
    type=click.Choice(["15", "30", "60"]),
    default="60",
    show_default=True,
    help="How long each of the prices holds.",
)
@click.option("--peak-hours", type=existing_file(), help="The market's peak hours (CSV).")
@json_option
@pass_console
def rate(
    console: Console,
    tariff: Path,
    readings: Path,
    first: date,
    last: date,
    zone_name: str,
    area: int | None,
    persons: int | None,
    contracted_kw: int | None,
    entitled: tuple[str, ...],
    prices: Path | None,
    price_minutes: str,
    peak_hours: Path | None,
    as_json: bool,
) -> None:
    """Price a file of readings by a tariff file: charge lines out, nothing stored.

    What a tariff asks for beside energy is said once for all points of the file.

    \b
    Example: kilokassa rate --tariff three-zone.yaml --readings october.csv \\
        --from 2026-10-01 --to 2026-11-01 --zone Asia/Vladivostok
    """  # noqa: D301 - click looks for the character itself
    from billing.month.lines import PLAIN_CONTEXT, new_line
    from invoices.line_words import quantity_text, rate_text, share_of, unit_text
    from kilokassa.app.rate_files import Stated, rate_files

    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(
            f"{zone_name!r} is no zone such as Europe/Moscow.", param_hint="--zone"
        ) from None
    stated = Stated(
        area_dm2=area,
        persons=persons,
        contracted_w=contracted_kw,
        entitled=frozenset(entitled),
        prices=prices,
        price_interval_min=int(price_minutes),
        peak_hours=peak_hours,
    )
    rated = rate_files(tariff, readings, first, last, zone, stated)
    if as_json:
        emit(
            [
                {
                    "point": each.point_code,
                    "month": each.month,
                    "from": each.period.start,
                    "to": each.period.end,
                    "amount_minor": each.amount_minor,
                    "missing": each.missing,
                    "lines": [
                        {
                            "charge": line.spec.kind,
                            "code": line.spec.code,
                            "zone": line.spec.zone,
                            "range": line.spec.range_number,
                            "from": line.spec.period.start,
                            "to": line.spec.period.end,
                            "quantity": line.quantity_wh,
                            "unit": line.spec.unit,
                            "rate": rate_from_scaled(line.spec.rate_scaled),
                            "factor": line.spec.factor,
                            "divisor": line.spec.divisor,
                            "amount_minor": line.amount_minor,
                        }
                        for line in each.lines
                    ],
                }
                for each in rated
            ]
        )
        return
    for each in rated:
        total = amount_text(each.amount_minor, console.language)
        click.echo(f"{each.point_code}  {each.month}  {total}")
        for line in each.lines:
            found = new_line(PLAIN_CONTEXT, line.spec, line.quantity_wh, line.amount_minor)
            place = found.key.rsplit("/", 1)[0].removesuffix("/-")
            quantity = quantity_text(found.charge, found.quantity, found.unit, console.language)
            unit = unit_text(found.charge, found.unit, console.language)
            price = rate_text(found.charge, found.rate_scaled, found.unit, console.language)
            days, of_days = share_of(found)
            factors = [f"{quantity} {unit}".strip(), price]
            factors += [f"{days}/{of_days}"] if days != of_days else []
            working = " × ".join(factor for factor in factors if factor)
            amount = amount_text(found.amount_minor, console.language)
            click.echo(f"  {place:<20} {working} = {amount}")
        if each.missing:
            console.say(mark("  %(count)s intervals without a value"), count=each.missing)


COMMANDS = (rate,)
