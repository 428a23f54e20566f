"""The demo town before its first day: its retailer, tariffs, houses, meters and accounts."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import AccountOrder
from billing.models import AccountRow, RetailerRow
from billing.service import RetailerOrder, establish_retailer, open_accounts
from heating.service import HeatedHouseOrder, HeatPriceOrder, publish_heat_price, set_heated_house
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import PremisesId
from kilokassa.core.scope import system_scope
from kilokassa.core.text import mark
from kilokassa.demo.hourly import hourly_tariff
from kilokassa.demo.microgeneration import micro_tariff
from kilokassa.demo.population import ZONE, AccountPlan, TownPlan, real_accounts
from kilokassa.demo.prices import HEAT_PLAN, demo_heat_prices, demo_tariffs, offered_tariffs
from kilokassa.demo.real import RealSeries
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    Company,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from tariffs.service import PublishOrder, publish_version
from wallet.service import OpeningOrder, open_wallets, post_opening

SCOPE: Final = system_scope("demo")


class NotADemo(DomainError):
    """The database holds a real installation."""

    code = "not_a_demo"
    template = mark("This database is not a demo; the demo town is never loaded into it.")


def establish(session: Session, application: Application) -> bool:
    """Let the demo retailer be there; return whether nobody lives in its town yet."""
    retailer = session.get(RetailerRow, 1)
    if retailer is not None:
        if not retailer.demo:
            raise NotADemo
        return session.scalar(select(func.count()).select_from(AccountRow)) == 0
    establish_retailer(
        session,
        RetailerOrder(
            name="АО «Демо-Энергосбыт»",
            inn="2700000024",
            kpp="270001001",
            bank_name="ДЕМО-БАНК (АО) Г. ХАБАРОВСК",
            bic="040813999",
            bank_account="40702810000000000027",
            correspondent_account="30101810000000000999",
            zone=ZONE,
            languages=("ru", "en"),
            address="680000, г. Хабаровск, ул. Счётная, д. 1 (демо)",
            phone="+7 000 000-00-00",
            email="info@demo.example",
            demo=True,
        ),
        application.clock,
    )
    return True


def found(application: Application, plan: TownPlan, series: Sequence[RealSeries]) -> None:
    """Register places, publish prices, open accounts: one transaction, or nothing."""
    accounts = (*plan.accounts, *real_accounts(plan, series))
    first = FixedClock(local_midnight(plan.first_day, plan.zone))
    with application.database.writing() as session:
        published = demo_tariffs(plan.change_month)
        for document in (
            *published,
            *offered_tariffs(plan.change_month),
            hourly_tariff(plan.first_day),
            micro_tariff(published, plan.first_day),
        ):
            publish_version(session, PublishOrder(SCOPE, document), first)
        for price in demo_heat_prices(plan.change_month):
            publish_heat_price(
                session,
                HeatPriceOrder(
                    HEAT_PLAN, price.valid_from, price.rate_scaled, "S1, moved by whole months"
                ),
                first,
            )
        places = register_places(session, _places(plan, accounts), first)
        for building in plan.buildings:
            if building.heat_meter is not None:
                order = HeatedHouseOrder(
                    places.building_ids[building.code],
                    plan.first_day,
                    HEAT_PLAN,
                    building.common_area_dm2,
                )
                set_heated_house(session, order, first)
        opened = open_accounts(
            session,
            [
                AccountOrder(
                    number=account.number,
                    payer_name=account.payer_name,
                    premises_id=PremisesId(
                        places.premises_ids[account.building_code, account.premises_number]
                    ),
                    persons=account.persons,
                    opened_on=account.opened_on,
                    plan_code=account.plan_code,
                    settlement=account.settlement,
                    measurement=account.measurement,
                    email=account.email,
                    phone=account.phone,
                    language=account.language,
                    note=account.note,
                )
                for account in accounts
            ],
            first,
        )
        open_wallets(session, list(opened.ids.values()), first)
        post_opening(
            session,
            [
                OpeningOrder(
                    opened.ids[account.number],
                    account.opening_debt_minor,
                    account.opening_advance_minor,
                    first.at,
                    plan.zone,
                    SCOPE.actor,
                )
                for account in accounts
            ],
            first,
        )


def _places(plan: TownPlan, accounts: Sequence[AccountPlan]) -> PlacesOrder:
    heat = [(b, b.heat_meter) for b in plan.buildings if b.heat_meter is not None]
    return PlacesOrder(
        companies=tuple(Company(c.code, c.name, c.inn) for c in plan.companies),
        buildings=tuple(
            Building(b.code, b.address, plan.zone.key, b.company_code) for b in plan.buildings
        ),
        premises=tuple(Premises(a.building_code, a.premises_number, a.area_dm2) for a in accounts),
        points=(
            *(MeteringPoint(a.point_code, a.building_code, a.premises_number) for a in accounts),
            *(MeteringPoint(m.point_code, b.code, None, Commodity.HEAT) for b, m in heat),
        ),
        meters=(
            *(
                Meter(
                    a.point_code,
                    a.meter_serial,
                    a.installed_on,
                    a.meter_model,
                    a.meter_digits,
                    verified_until=a.verified_until,
                )
                for a in accounts
            ),
            *(
                Meter(
                    m.point_code,
                    m.serial,
                    m.installed_on,
                    m.model,
                    m.digits,
                    verified_until=m.verified_until,
                )
                for _, m in heat
            ),
        ),
        channels=tuple(
            Channel(a.point_code, a.interval_min) for a in accounts if a.interval_min is not None
        ),
    )
