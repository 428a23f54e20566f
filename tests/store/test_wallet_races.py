"""Real connections that want the same wallet, key or account at the same instant."""

import threading
from datetime import date

import pytest

from kilokassa.core.errors import RequestConflict
from kilokassa.core.ids import AccountId
from tests.wallet.builders import (
    accounts_with_wallets,
    balance,
    batch,
    charge,
    faults,
    order,
)
from wallet import store
from wallet.service import charge_batch, open_wallets, seal, top_up


@pytest.fixture
def accounts(database, clock):
    """Six accounts with open wallets."""
    return accounts_with_wallets(database, clock, count=6)


def race(*deeds):
    """Start all deeds at once, each in a thread; return what each returned or raised."""
    barrier = threading.Barrier(len(deeds))
    outcomes = [None] * len(deeds)

    def run(place, deed):
        barrier.wait()
        try:
            outcomes[place] = deed()
        except Exception as error:  # noqa: BLE001 - told to the main thread
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def writer(database, deed, times=1):
    def run():
        for number in range(times):
            with database.writing() as session:
                result = deed(session, number)
        return result

    return run


def errors(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def test_no_payment_is_lost_when_two_pay_into_one_wallet(database, accounts, clock):
    def pay(name):
        return writer(
            database,
            lambda s, n: top_up(s, order(amount_minor=1_00, key=f"{name}{n}"), clock),
            times=8,
        )

    outcomes = race(pay("a"), pay("b"))

    assert errors(outcomes) == []
    assert balance(database, 1).posted_minor == 16_00
    assert faults(database) == []


def test_one_spends_while_the_other_pays_in(database, accounts, clock):
    def spend(session, number):
        spent = charge(1, 3_00, idempotency_key=f"c{number}")
        return charge_batch(session, batch(spent), clock)

    outcomes = race(
        writer(database, spend, times=6),
        writer(
            database,
            lambda s, n: top_up(s, order(amount_minor=2_00, key=f"k{n}"), clock),
            times=6,
        ),
    )

    assert errors(outcomes) == []
    assert balance(database, 1).posted_minor == -6_00
    assert faults(database) == []


def test_two_batches_in_opposite_orders_do_not_wait_for_each_other(database, accounts, clock):
    def spend(name, ids):
        def deed(session, number):
            orders = [charge(n, 1_00, idempotency_key=f"{name}{number}:{n}") for n in ids]
            return charge_batch(session, batch(*orders), clock)

        return writer(database, deed, times=5)

    outcomes = race(spend("up", accounts), spend("down", accounts[::-1]))

    assert errors(outcomes) == []
    assert {balance(database, n).uncovered_minor for n in accounts} == {10_00}
    assert faults(database) == []


def test_one_request_sent_twice_at_once_is_done_once(database, accounts, clock):
    outcomes = race(*[writer(database, lambda s, _: top_up(s, order(), clock))] * 2)

    assert errors(outcomes) == []
    assert sorted(result.repeated for result in outcomes) == [False, True]
    assert outcomes[0].entry_id == outcomes[1].entry_id
    assert balance(database, 1).posted_minor == 1000_00


def test_one_key_for_two_accounts_at_once_is_refused_for_one(database, accounts, clock):
    """Their wallets differ, so no lock parts them: the constraint does."""
    outcomes = race(
        writer(database, lambda s, _: top_up(s, order(1), clock)),
        writer(database, lambda s, _: top_up(s, order(2), clock)),
    )

    assert [type(error) for error in errors(outcomes)] == [RequestConflict]
    assert sum(balance(database, n).posted_minor for n in (1, 2)) == 1000_00
    assert faults(database) == []


def test_a_wallet_opened_by_two_at_once_is_one(database, accounts, clock):
    with database.writing() as session:
        for table in ("ledger_account", "wallet"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")

    outcomes = race(*[writer(database, lambda s, _: open_wallets(s, accounts, clock))] * 2)

    assert errors(outcomes) == []
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == set(accounts)


def test_a_seal_covers_exactly_what_came_before_it(database, accounts, clock):
    def seal_days(session, number):
        return seal(session, date(2026, 11, 1 + number), clock)

    outcomes = race(
        writer(database, seal_days, times=5),
        *[
            writer(
                database,
                lambda s, n, who=who: top_up(s, order(who, 1_00, key=f"{who}:{n}"), clock),
                times=8,
            )
            for who in accounts[:3]
        ],
    )

    assert errors(outcomes) == []
    assert faults(database) == []


def test_a_writer_sees_what_the_one_it_waited_for_left(database, accounts, clock):
    """The lock comes before the look: the second finds the first one's money."""
    inside, seen = threading.Event(), []

    def first():
        with database.writing() as session:
            store.lock_wallets(session, [AccountId(1)])
            inside.set()
            top_up(session, order(), clock)

    def second():
        inside.wait()
        with database.writing() as session:
            wallet = store.lock_wallets(session, [AccountId(1)])[AccountId(1)]
            seen.append(wallet.posted_minor)

    outcomes = race(first, second)

    assert errors(outcomes) == []
    assert seen == [1000_00]
