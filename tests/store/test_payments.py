import threading
from datetime import UTC, datetime

from sqlalchemy import select

from billing.models import AccountRow
from kilokassa.app.payments import Payment, take_payments
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from tests import frozen_town
from tests.scenarios.test_khabarovsk_2022 import town  # noqa: F401 - a fixture

SCOPE = system_scope("test")
PAID_AT = datetime(2022, 11, 5, tzinfo=UTC)


def test_two_batches_in_opposite_orders_do_not_wait_for_each_other(town, clock):  # noqa: F811
    with town.reading() as session:
        ids = [AccountId(i) for i in session.scalars(select(AccountRow.id).order_by(AccountRow.id))]
    failures = []
    ready = threading.Barrier(2)

    def pay(name, order):
        payments = [Payment(i, 1_00, "card", PAID_AT, f"{name}:{i}") for i in order]
        ready.wait()
        try:
            with town.writing() as session:
                take_payments(session, SCOPE, payments, clock, tell=False)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [
        threading.Thread(target=pay, args=("a", ids)),
        threading.Thread(target=pay, args=("b", ids[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(ids) == len(frozen_town.ACCOUNTS)
