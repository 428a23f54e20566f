"""Accounts, orders and looks at wallets that the tests of the wallet share."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import event, insert

from billing.models import AccountRow
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from metering.models import BuildingRow, PremisesRow
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
            house = {"id": 1, "code": "B", "address": "x", "zone": "UTC"}
            session.execute(insert(BuildingRow), house)
        flats = [{"id": n, "building_id": 1, "number": str(n), "area_dm2": 5000} for n in ids]
        session.execute(insert(PremisesRow), flats)
        accounts = [{"id": n, "number": str(n), "payer_name": "n", "premises_id": n} for n in ids]
        opened = {"opened_on": date(2026, 1, 1)}
        session.execute(insert(AccountRow), [account | opened for account in accounts])
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
