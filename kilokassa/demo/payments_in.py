"""What came in from outside the town's habits: a bank's registry, an order on a page, the desk.

The registry has an account with a digit too many and a row that came twice: what a clerk finds
in the console's suspense on the first day.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from billing.models import Settlement
from kilokassa.app.cash_desk import take_at_desk
from kilokassa.app.payment_files import import_payment_file
from kilokassa.app.payment_orders import (
    TEST_PROVIDER,
    OrderRequest,
    place_order,
    providers_of,
    receive,
)
from kilokassa.app.payments import Payment
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.money import from_minor
from kilokassa.core.scope import Scope
from kilokassa.demo.population import AccountPlan, TownPlan
from wallet.payments import store
from wallet.payments.service import FileOrder
from wallet.payments.signing import MessageKind, ProviderMessage

PAID_MINOR: Final = (412_50, 350_00)
LOST_MINOR: Final = 275_00
DESK_MINOR: Final = 200_00
ORDER_MINOR: Final = 150_00


def ensure_payments_in(
    application: Application, plan: TownPlan, ids: Mapping[str, AccountId], scope: Scope
) -> None:
    """Take in a registry, an order that its provider says is paid, and cash at the desk, once."""
    with application.database.reading() as session:
        if store.files(session, scope, limit=1):
            return
    payers = [
        one
        for one in plan.accounts
        if one.settlement is Settlement.POSTPAID and one.payment.stops_from is None
    ][-4:]
    day = plan.today - timedelta(days=1)
    evening = FixedClock(
        min(local_midnight(day, plan.zone) + timedelta(hours=19), application.clock.now())
    )
    order = FileOrder(
        f"реестр-{day:%d%m%Y}.txt", _registry(payers, f"{day:%d%m%y}", f"{day:%d.%m.%Y}"), "сбер"
    )
    import_payment_file(application.database, scope, order, evening)
    with application.database.writing() as session:
        begun = OrderRequest(ids[payers[2].number], ORDER_MINOR, f"demo:order:{payers[2].number}")
        provider = providers_of(application, session)[TEST_PROVIDER]
        row = place_order(session, scope, begun, provider, evening)
        told = ProviderMessage(
            MessageKind.PAID, f"test-{row.public_id}", row.public_id, ORDER_MINOR
        )
        receive(session, provider, told, evening)
        cash = Payment(
            ids[payers[3].number],
            DESK_MINOR,
            "cash",
            evening.now(),
            f"desk:demo:{payers[3].number}",
            "ПКО 17 (демо)",
        )
        take_at_desk(session, scope, cash, evening)


def _registry(payers: list[AccountPlan], compact: str, dotted: str) -> bytes:
    """Return a registry of 17 fields as a bank makes it, in its encoding."""
    none = ";".join(["НЕТ"] * 12)
    paid = [
        (payers[0].number, PAID_MINOR[0], 1),
        (f"{payers[2].number}7", LOST_MINOR, 2),
        (payers[1].number, PAID_MINOR[1], 3),
        (payers[1].number, PAID_MINOR[1], 3),
    ]
    rows = [
        f"{number};{from_minor(minor).amount};{compact}{place:020d};17;{dotted};{none}"
        for number, minor, place in paid
    ]
    return "\r\n".join(rows).encode("windows-1251")
