"""Commands about the other services of houses: their prices, who has them, common areas."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.quantity import kwh
from kilokassa.core.text import Language, date_text, mark, month_text, number_text
from kilokassa.jobs.balance import houses
from kilokassa.jobs.console import (
    Console,
    DayType,
    MonthType,
    emit,
    existing_file,
    json_option,
    pass_console,
)

if TYPE_CHECKING:
    from billing.house.served import CommonAreaMonth

METHODS = ("norm", "average", "actual")


@click.group()
def service() -> None:
    """Prices of water, drainage, upkeep and common-area electricity.

    Example: kilokassa service check cold-water.yaml
    """


@service.command("check")
@click.argument("file", type=existing_file())
@pass_console
def check(console: Console, file: Path) -> None:
    """Check the price document in FILE; write nothing and need no database.

    The format: docs/reference/service-yaml.md.

    Example: kilokassa service check cold-water.yaml
    """
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs.services.documents import parse_service

    price = parse_service(read_tariff_text(file), where=file.name)
    console.say(
        mark("%(file)s is right: service %(service)s from %(day)s, by %(basis)s."),
        file=file,
        service=price.code,
        day=price.valid_from,
        basis=price.basis,
    )


@service.command("publish")
@click.argument("file", type=existing_file())
@click.option("--replaces", is_flag=True, help="Let it replace the prices of the same date.")
@pass_console
def publish(console: Console, file: Path, replaces: bool) -> None:
    """Publish the price document in FILE for ever; the same document again changes nothing.

    Example: kilokassa service publish cold-water.yaml
    """
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs.services.service import ServiceOrder, publish_service

    application = console.installed
    order = ServiceOrder(console.scope, read_tariff_text(file), replaces=replaces)
    with application.database.writing() as session:
        done = publish_service(session, order, application.clock)
    message = (
        mark("Published: service %(service)s from %(day)s.")
        if done.new
        else mark("Service %(service)s from %(day)s was published before; nothing changed.")
    )
    console.say(message, service=done.price.code, day=done.price.valid_from)


@service.command("list")
@json_option
@pass_console
def list_services(console: Console, as_json: bool) -> None:
    """List the services that have prices.

    Example: kilokassa service list --json
    """
    from tariffs.services.store import service_prices

    with console.installed.database.reading() as session:
        found = service_prices(session)
    latest = [documents[-1] for _, documents in sorted(found.items())]
    if as_json:
        emit(
            [
                {"code": p.code, "service": p.service, "basis": p.basis, "name": p.name}
                for p in latest
            ]
        )
        return
    for price in latest:
        russian = console.language is Language.RUSSIAN or not price.name_en
        click.echo(f"{price.code}  {price.name if russian else price.name_en}")


@service.command("show")
@click.argument("code")
@click.option("--document", is_flag=True, help="Print the latest document as it was published.")
@json_option
@pass_console
def show(console: Console, code: str, document: bool, as_json: bool) -> None:
    """Show the published prices of the service CODE, the latest first.

    Example: kilokassa service show hot_water
    """
    from tariffs.services.store import published_services

    with console.installed.database.reading() as session:
        versions = published_services(session, code)
    if document:
        click.echo(versions[0].document, nl=False)
        return
    if as_json:
        emit(
            [
                {
                    "code": code,
                    "valid_from": one.price.valid_from,
                    "revision": one.revision,
                    "published_at": one.published_at,
                    "published_by": one.published_by,
                    "digest": one.price.digest,
                    "prices": [
                        {"from": each.valid_from, "rate": rate_from_scaled(each.amount_scaled)}
                        for each in one.price.amounts
                    ],
                }
                for one in versions
            ]
        )
        return
    for one in versions:
        console.say(
            mark("from %(day)s, revision %(revision)s, published %(at)s by %(by)s"),
            day=one.price.valid_from,
            revision=one.revision,
            at=one.published_at.isoformat(timespec="minutes"),
            by=one.published_by,
        )
        for each in one.price.amounts:
            click.echo(f"  {each.valid_from}  {rate_from_scaled(each.amount_scaled)}")
        if one.price.heating is not None:
            for each in one.price.heating.amounts:
                click.echo(f"  {each.valid_from}  {rate_from_scaled(each.amount_scaled)} / Gcal")


@click.group("services")
def house_services() -> None:
    """Which services a house has, and its common-area electricity.

    Example: kilokassa houses services list KHV-1
    """


@house_services.command("list")
@click.argument("building")
@json_option
@pass_console
def of_house(console: Console, building: str, as_json: bool) -> None:
    """List the services of BUILDING.

    Example: kilokassa houses services list KHV-1
    """
    from billing.house.store import all_services_of, house_in_reach

    with console.installed.database.reading() as session:
        house = house_in_reach(session, console.scope, building)
        found = all_services_of(session, house.id)
    if as_json:
        emit(
            [
                {
                    "code": one.code,
                    "valid_from": one.valid_from,
                    "valid_until": one.valid_until,
                    "method": one.method,
                    "document": one.document,
                }
                for one in found
            ]
        )
        return
    if not found:
        console.say(mark("The house has no services yet."))
    for one in found:
        until = (
            "" if one.valid_until is None else f" – {date_text(one.valid_until, console.language)}"
        )
        click.echo(
            f"{one.code}  {date_text(one.valid_from, console.language)}{until}"
            f"  {one.method or ''}  {one.document}".rstrip()
        )


@house_services.command("add")
@click.argument("building")
@click.argument("code")
@click.option("--from", "valid_from", type=DayType(), required=True, help="The first day.")
@click.option("--until", "valid_until", type=DayType(), help="The last day, where it is known.")
@click.option("--method", type=click.Choice(METHODS), help="Of common areas: the owners' decision.")
@click.option("--document", default="", help="The contract, or the decision of the owners.")
@pass_console
def add(
    console: Console,
    building: str,
    code: str,
    valid_from: date,
    valid_until: date | None,
    method: str | None,
    document: str,
) -> None:
    """Let BUILDING have the service CODE from a day on; the same again changes nothing.

    Example: kilokassa houses services add KHV-1 cold_water --from 2026-10-01
    """
    from billing.house.service import AssignOrder, assign_service
    from billing.models import CommonAreaMethod

    application = console.installed
    order = AssignOrder(
        scope=console.scope,
        building_code=building,
        service_code=code,
        valid_from=valid_from,
        valid_until=valid_until,
        method=None if method is None else CommonAreaMethod(method),
        document=document,
    )
    with application.database.writing() as session:
        changed = assign_service(session, order, application.clock)
    console.say(mark("The service was recorded.") if changed else mark("That was recorded before."))


@house_services.command("end")
@click.argument("building")
@click.argument("code")
@click.option("--last-day", type=DayType(), required=True, help="The last day it is provided.")
@pass_console
def end(console: Console, building: str, code: str, last_day: date) -> None:
    """Let the service CODE of BUILDING end with a day.

    Example: kilokassa houses services end KHV-1 cold_water --last-day 2026-12-31
    """
    from billing.house.service import EndOrder, end_service

    application = console.installed
    with application.database.writing() as session:
        order = EndOrder(console.scope, building, code, last_day)
        changed = end_service(session, order, application.clock)
    console.say(
        mark("The end of the service was recorded.")
        if changed
        else mark("That was recorded before.")
    )


@house_services.command("common-areas")
@click.option("--month", type=MonthType(), help="Such as 2026-10; else the last that is over.")
@click.option("--settle", is_flag=True, help="Settle it first, as the close of the month does.")
@click.option("--building", help="Code of one building; else all.")
@json_option
@pass_console
def common_areas(
    console: Console, month: Month | None, settle: bool, building: str | None, as_json: bool
) -> None:
    """Show what the common property of houses used in a month, and what of it is charged.

    house - flats = remainder; a remainder below zero is charged as nothing and carried over.

    Example: kilokassa houses services common-areas --month 2026-10 --settle
    """
    from billing.common_areas.service import common_area_codes
    from billing.house.store import (
        common_area_months,
        house_in_reach,
        houses_with,
        served_houses,
    )
    from billing.store import retailer_zone
    from kilokassa.app.common_areas import settle_common_areas

    application = console.installed
    with application.database.reading() as session:
        today = local_date(application.clock.now(), retailer_zone(session))
        asked = month or Month.of(today).plus(-1)
        ids = houses_with(
            session,
            common_area_codes(session),
            asked.first_day,
            asked.plus(1).first_day,
            console.scope,
        )
        if building is not None:
            ids = (house_in_reach(session, console.scope, building).id,)
    if settle:
        settle_common_areas(application, asked, scope=console.scope, building_ids=ids)
    with application.database.reading() as session:
        houses = served_houses(session, ids)
        found = common_area_months(session, ids, asked, asked)
    rows = [(houses[building_id].code, one) for (building_id, _), one in sorted(found.items())]
    if as_json:
        emit([_json(code, one) for code, one in rows])
        return
    if not rows:
        console.say(mark("No house has a settled month of common-area electricity."))
    for code, one in rows:
        console.say(
            mark(
                "%(building)s, %(month)s: house %(house)s kWh, flats %(flats)s, remainder "
                "%(actual)s, carried in %(carried_in)s, charged %(charged)s (%(m2)s per m²), "
                "carried out %(carried_out)s."
            ),
            building=code,
            month=month_text(one.month, console.language),
            house=_kwh(console, one.house_wh),
            flats=_kwh(console, one.flats_wh),
            actual=_kwh(console, one.actual_wh),
            carried_in=_kwh(console, one.carried_in_wh),
            charged=_kwh(console, one.charged_wh),
            m2=number_text(
                (Decimal(one.charged_wh) / 10 / max(one.area_dm2, 1)).quantize(Decimal("0.001")),
                console.language,
                decimals=3,
            ),
            carried_out=_kwh(console, one.carried_out_wh),
        )


def _json(code: str, one: "CommonAreaMonth") -> dict[str, object]:
    return {
        "building": code,
        "month": one.month,
        "method": one.method,
        "basis": one.basis,
        "house_wh": one.house_wh,
        "flats_wh": one.flats_wh,
        "actual_wh": one.actual_wh,
        "carried_in_wh": one.carried_in_wh,
        "own_wh": one.own_wh,
        "charged_wh": one.charged_wh,
        "carried_out_wh": one.carried_out_wh,
        "area_dm2": one.area_dm2,
        "yearly": [[str(month), wh] for month, wh in one.yearly],
    }


def _kwh(console: Console, energy_wh: int | None) -> str:
    if energy_wh is None:
        return "?"
    return number_text(kwh(energy_wh), console.language, decimals=3)


houses.add_command(house_services)

COMMANDS = (service,)
