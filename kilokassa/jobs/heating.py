"""Commands about heat: publish a price of it, list the prices."""

import re
from datetime import date
from decimal import Decimal

import click

from kilokassa.core.money import rate_from_scaled, scaled_rate
from kilokassa.core.scope import Right
from kilokassa.core.text import mark
from kilokassa.jobs.console import Console, DayType, emit, json_option, pass_console


@click.group()
def heat() -> None:
    """Prices of heat, by which a house's heat becomes charges.

    Example: kilokassa heat price heat 1989.90 --from 2026-07-01 --source "No. 12 of 2026-06-20"
    """


@heat.command("price")
@click.argument("plan")
@click.argument("per_gcal")
@click.option("--from", "first", type=DayType(), required=True, help="First day of a month.")
@click.option("--source", required=True, help="The act or decision that set it.")
@pass_console
def price(console: Console, plan: str, per_gcal: str, first: date, source: str) -> None:
    """Publish a price of heat: PLAN, roubles with VAT PER_GCAL, from a month on; for ever.

    An accounts file names the plan in the line of a house's heat meter.

    Example: kilokassa heat price heat 1989.90 --from 2026-07-01 --source "No. 12 of 2026-06-20"
    """
    from heating.service import HeatPriceOrder, publish_heat_price

    if re.fullmatch(r"[0-9]{1,9}([.,][0-9]{1,6})?", per_gcal) is None:
        raise click.BadParameter(f"{per_gcal!r} is no price such as 1989.90", param_hint="PER_GCAL")
    console.scope.demand(Right.PUBLISH_TARIFFS)
    rate_scaled = scaled_rate(Decimal(per_gcal.replace(",", ".")))
    application = console.installed
    order = HeatPriceOrder(plan, first, rate_scaled, source)
    with application.database.writing() as session:
        new = publish_heat_price(session, order, application.clock)
    message = (
        mark("Published: heat, plan %(plan)s from %(day)s.")
        if new
        else mark("This price of heat was published before; nothing changed.")
    )
    console.say(message, plan=plan, day=first)


@heat.command("prices")
@json_option
@pass_console
def prices(console: Console, as_json: bool) -> None:
    """List the published prices of heat.

    Example: kilokassa heat prices --json
    """
    from sqlalchemy import select

    from heating.models import HeatPriceRow

    query = select(HeatPriceRow).order_by(HeatPriceRow.plan_code, HeatPriceRow.valid_from)
    with console.installed.database.reading() as session:
        found = [
            {
                "plan": row.plan_code,
                "valid_from": row.valid_from,
                "per_gcal": rate_from_scaled(row.rate_scaled),
                "source": row.source,
            }
            for row in session.scalars(query)
        ]
    if as_json:
        emit(found)
        return
    for each in found:
        click.echo("  ".join(str(value) for value in each.values()))


COMMANDS = (heat,)
