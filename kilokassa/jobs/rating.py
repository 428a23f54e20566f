"""The command that prices files without any database."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from kilokassa.core.money import rate_from_scaled
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.text import amount_text, mark, number_text
from kilokassa.jobs.console import Console, DayType, emit, existing_file, json_option, pass_console


@click.command()
@click.option("--tariff", type=existing_file(), required=True, help="A tariff document (YAML).")
@click.option("--readings", type=existing_file(), required=True, help="Interval readings (CSV).")
@click.option("--from", "first", type=DayType(), required=True, help="First local day.")
@click.option("--to", "last", type=DayType(), required=True, help="The day after the last one.")
@click.option("--zone", "zone_name", default="Europe/Moscow", help="IANA zone of the days.")
@json_option
@pass_console
def rate(
    console: Console,
    tariff: Path,
    readings: Path,
    first: date,
    last: date,
    zone_name: str,
    as_json: bool,
) -> None:
    """Price a file of readings by a tariff file: charge lines out, nothing stored.

    \b
    Example: kilokassa rate --tariff three-zone.yaml --readings october.csv \\
        --from 2026-10-01 --to 2026-11-01 --zone Asia/Vladivostok
    """  # noqa: D301 - click looks for the character itself
    from kilokassa.app.rate_files import rate_files

    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(
            f"{zone_name!r} is no zone such as Europe/Moscow.", param_hint="--zone"
        ) from None
    rated = rate_files(tariff, readings, first, last, zone)
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
                            "zone": line.spec.zone,
                            "range": line.spec.range_number,
                            "from": line.spec.period.start,
                            "to": line.spec.period.end,
                            "quantity_wh": line.quantity_wh,
                            "rate_per_kwh": rate_from_scaled(line.spec.rate_scaled),
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
            energy = number_text(_kwh(line.quantity_wh), console.language, decimals=3)
            place = str(line.spec.zone) + (
                f"/{line.spec.range_number}" if line.spec.range_number else ""
            )
            amount = amount_text(line.amount_minor, console.language)
            click.echo(
                f"  {place:<12} {energy:>12} × {rate_from_scaled(line.spec.rate_scaled)} = {amount}"
            )
        if each.missing:
            console.say(mark("  %(count)s intervals without a value"), count=each.missing)


def _kwh(quantity_wh: int) -> Decimal:
    return Decimal(quantity_wh) / WH_PER_KWH


COMMANDS = (rate,)
