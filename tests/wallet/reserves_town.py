"""Reserves that the tests of several layers sign: offers, clocks, steps by day."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from tests.wallet.builders import ZONE, order
from wallet import service as wallet_service
from wallet.reserves import service, store

PERSON = replace(system_scope("user:7"), role=Role.OPERATOR)
RESIDENT = Scope(Role.RESIDENT, "user:8", account_ids=frozenset({AccountId(1)}))

OFFER = """\
offer: half_year
name: Полгода вперёд
name_en: Half a year ahead
from: 2026-01-01
term_months: 6
rates:
  - from: 2026-01-01
    percent: 12
broken: lower_rate
broken_percent: 3
least: 100.00
most: 100000.00
takes_additions: true
bonus_expires_after_days: 365
"""


def clock_on(day: date, hour: int = 10) -> FixedClock:
    """A clock that stands in the morning of a local day."""
    return FixedClock(local_midnight(day, ZONE) + timedelta(hours=hour))


def publish(database, text=OFFER, clock=None, scope=None):
    clock = clock or clock_on(date(2026, 1, 1))
    found = service.OfferOrder(scope or system_scope("test"), text, "offer.yaml")
    with database.writing() as session:
        return service.publish_offer(session, found, clock)


def topped_up(database, amount_minor, on, key="top", account_id=1):
    clock = clock_on(on, hour=8)
    with database.writing() as session:
        wallet_service.top_up(
            session, order(account_id, amount_minor, key, valid_at=clock.now()), clock
        )


def sign(database, amount_minor, on, *, key="sign", scope=PERSON, account_id=1, offer="half_year"):
    found = service.SignOrder(AccountId(account_id), offer, amount_minor, ZONE, key)
    with database.writing() as session:
        return service.sign(session, scope, found, clock_on(on))


def moved(database, what, amount_minor, on, *, key, reserve_id=1, scope=PERSON, account_id=1):
    found = service.MoveOrder(AccountId(account_id), reserve_id, amount_minor, ZONE, key)
    with database.writing() as session:
        return what(session, scope, found, clock_on(on))


def add(database, amount_minor, on, key="add", **kwargs):
    return moved(database, service.add, amount_minor, on, key=key, **kwargs)


def take_out(database, amount_minor, on, key="out", **kwargs):
    return moved(database, service.take_out, amount_minor, on, key=key, **kwargs)


def pay(database, on: date, through: date | None = None):
    with database.writing() as session:
        return service.pay_due(session, through or on, ZONE, clock_on(on), 0)


def signed(database, reserve_id=1):
    with database.reading() as session:
        return store.load(session, [reserve_id])[0]


def steps(database, reserve_id=1):
    """What is posted of a reserve as (day, kind, amount)."""
    return [(p.on, str(p.kind), p.amount_minor) for p in signed(database, reserve_id).posted]


def reserve_faults(database):
    with database.reading() as session:
        return list(service.verify(session))


def instant(day: date, hour: int = 12) -> datetime:
    return local_midnight(day, ZONE) + timedelta(hours=hour)
