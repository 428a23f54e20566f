"""A retailer with the accounts of the small town and no readings: where payments come in."""

from billing.service import RetailerOrder, establish_retailer
from heating.service import HeatPriceOrder, publish_heat_price
from kilokassa.app.accounts_import import import_accounts_data
from kilokassa.core.clock import Clock
from kilokassa.core.scope import system_scope
from kilokassa.db.session import Database
from tariffs.service import PublishOrder, publish_version
from tests import frozen_town

SCOPE = system_scope("test")
KNOWN = [account.number for account in frozen_town.ACCOUNTS[:4]]


def found_town(database: Database, clock: Clock) -> Database:
    with database.writing() as session:
        establish_retailer(
            session,
            RetailerOrder(
                name="Энергосбыт",
                inn="2700000024",
                bank_name="БАНК",
                bic="040813999",
                bank_account="40702810000000000027",
                correspondent_account="30101810000000000999",
                zone="Asia/Vladivostok",
                languages=("ru", "en"),
            ),
            clock,
        )
        for document in frozen_town.tariff_documents():
            publish_version(session, PublishOrder(SCOPE, document), clock)
        for price in frozen_town.heat_prices():
            order = HeatPriceOrder("heat", price.valid_from, price.rate_scaled, "S1")
            publish_heat_price(session, order, clock)
    report = import_accounts_data(
        database, frozen_town.accounts_csv().encode(), dry_run=False, scope=SCOPE, clock=clock
    )
    assert report.loaded, report.refused
    return database
