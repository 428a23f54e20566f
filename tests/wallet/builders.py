"""Accounts, orders and looks at wallets that the tests of the wallet share."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import event, text

from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from wallet import store
from wallet.service import ChargeBatch, ChargeOrder, TopUpOrder, open_wallets, verify

ZONE = ZoneInfo("Asia/Vladivostok")
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
STAFF = system_scope("test")


def at(day, hour=3):
    return datetime(2026, *day, hour, tzinfo=UTC)


def without_waiting_for_the_disk(database):
    """Let SQLite leave writing to the system: what a killed process wrote stays written.

    Only a loss of power would show the difference, and no test here switches the machine off.
    """
    if database.is_sqlite:
        event.listen(
            database.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF").close()
        )


def accounts_with_wallets(database, clock, count=3, first=1):
    ids = [AccountId(number) for number in range(first, first + count)]
    with database.writing() as session:
        if first == 1:
            session.execute(
                text("INSERT INTO building (id, code, address, zone) VALUES (1, 'B', 'x', 'UTC')")
            )
        for number in ids:
            session.execute(
                text(
                    "INSERT INTO premises (id, building_id, number, area_dm2)"
                    f" VALUES ({number}, 1, '{number}', 5000)"
                )
            )
            session.execute(
                text(
                    "INSERT INTO account (id, number, payer_name, email, phone, premises_id,"
                    f" persons, language, note, opened_on) VALUES ({number}, '{number}', 'n', '',"
                    f" '', {number}, 1, 'ru', '', '2026-01-01')"
                )
            )
        open_wallets(session, ids, clock)
    return ids


def order(account_id=1, amount_minor=1000_00, key="k1", **kwargs):
    values = {
        "tender": "card",
        "valid_at": at((10, 5)),
        "zone": ZONE,
        "actor": "user:1",
    } | kwargs
    return TopUpOrder(
        account_id=AccountId(account_id), amount_minor=amount_minor, idempotency_key=key, **values
    )


def charge(account_id, amount_minor, month=OCTOBER, **kwargs):
    values = {
        "parts": (("electricity", amount_minor),),
        "charge_month": month,
        "month": month,
        "valid_at": month.period(ZONE).end,
        "idempotency_key": f"close:{month}:{account_id}",
    } | kwargs
    return ChargeOrder(account_id=AccountId(account_id), **values)


def close(*orders, month=OCTOBER):
    return ChargeBatch(orders, actor="job:close", zone=ZONE, close_month=month)


def batch(*orders):
    return ChargeBatch(orders, actor="job:close", zone=ZONE)


def faults(database):
    with database.reading() as session:
        return list(verify(session))


def balance(database, account_id, when=None):
    with database.reading() as session:
        return store.balances(session, [AccountId(account_id)], when or at((11, 24)))[account_id]


def lots(database, account_id=1):
    """The living lots of an account as (kind, remaining), in order of spending."""
    with database.reading() as session:
        found = store.lots_of(session, STAFF, AccountId(account_id))
        return [(str(state.lot.kind), state.lot.remaining_minor) for state in found]
