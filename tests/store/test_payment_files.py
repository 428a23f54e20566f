"""A bank's file is taken in: every row and kopeck of it is somewhere, once, whatever happens."""

import os
import signal
import threading
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select, update

from billing.models import AccountRow
from kilokassa.app import payment_files
from kilokassa.app.payment_files import import_payment_file, preview_payment_file
from kilokassa.app.payment_matching import (
    AlreadyTaken,
    match_payment,
    suggestions,
    unmatch_payment,
)
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Role, Scope
from kilokassa.core.text import Language, told
from tests import frozen_town
from tests.payments_town import KNOWN, SCOPE, found_town
from tests.wallet.builders import without_waiting_for_the_disk
from wallet.models import JournalEntryRow, WalletRow
from wallet.payments import store
from wallet.payments.payment import PaymentState
from wallet.payments.reading import Control, ControlDiffers, problem_text
from wallet.payments.service import FileOrder, NotInSuspense, return_payment
from wallet.service import verify


@pytest.fixture
def town(database, clock):
    return found_town(database, clock)


@pytest.fixture
def small_town(sqlite_database, clock):
    return found_town(sqlite_database, clock)


def csv(*rows):
    lines = [
        f"{account};{total};{day};{transaction};{payer};{purpose}"
        for account, total, day, transaction, payer, purpose in map(full, rows)
    ]
    return "\n".join(["account;sum;date;transaction;payer;purpose", *lines]).encode()


def full(row):
    account, total, transaction, *more = row
    day, payer, purpose = [*more, *["2026-11-20", "", ""][len(more) :]]
    return account, total, day, transaction, payer, purpose


def order(content, name="registry.csv"):
    return FileOrder(name, content, "sber")


def take(database, content, clock, **more):
    return import_payment_file(database, SCOPE, order(content), clock, **more)


def top_ups(database):
    with database.reading() as session:
        query = select(func.count(), func.coalesce(func.sum(JournalEntryRow.amount_minor), 0))
        return tuple(session.execute(query.where(JournalEntryRow.reason == "top_up")).one())


def sound(database):
    with database.reading() as session:
        return list(verify(session)) == []


MIXED = csv(
    (KNOWN[0], "100.00", "a"),
    ("9999999999", "7.07", "b"),
    ("bad sum", "x", "c"),
    (KNOWN[1], "50.50", "d"),
    (KNOWN[0], "100.00", "a"),
)


def test_a_file_is_taken_in_and_every_kopeck_of_it_is_somewhere(town, clock):
    outcome = take(town, MIXED, clock)

    sums = outcome.sums
    assert (sums[PaymentState.TAKEN].count, sums[PaymentState.TAKEN].amount_minor) == (2, 150_50)
    assert sums[PaymentState.SUSPENSE].amount_minor == 7_07
    assert [row.line for row in outcome.refused] == [4, 6]
    assert outcome.accounted
    assert outcome.file.total_minor == 100_00 + 7_07 + 50_50 + 100_00
    assert top_ups(town) == (2, 150_50)
    assert sound(town)


def test_the_preview_says_what_the_import_then_does(small_town, clock):
    with small_town.reading() as session:
        seen = preview_payment_file(session, SCOPE, order(MIXED), clock)

    outcome = take(small_town, MIXED, clock)

    assert seen.taken == outcome.sums[PaymentState.TAKEN]
    assert seen.suspense == outcome.sums[PaymentState.SUSPENSE]
    assert [r.line for r in seen.refused] == [r.line for r in outcome.refused]
    assert seen.same_as is None
    with small_town.reading() as session:
        assert preview_payment_file(session, SCOPE, order(MIXED), clock).same_as == outcome.file


def test_the_same_file_twice_gives_the_first_answer(small_town, clock):
    first = take(small_town, MIXED, clock)
    second = take(small_town, MIXED, clock)

    assert (first.repeated, second.repeated) == (False, True)
    assert (second.file, second.sums) == (first.file, first.sums)
    assert top_ups(small_town) == (2, 150_50)


def test_a_payment_that_came_in_another_file_is_no_new_one(town, clock):
    take(town, csv((KNOWN[0], "100.00", "a")), clock)

    outcome = take(town, csv((KNOWN[0], "100.00", "a"), (KNOWN[0], "90.00", "b")), clock)
    changed = take(town, csv((KNOWN[0], "99.00", "a")), clock)

    assert outcome.sums[PaymentState.TAKEN].count == 1
    assert "came before" in problem_text(outcome.refused[0].problem, Language.ENGLISH)
    assert "with another amount" in problem_text(changed.refused[0].problem, Language.ENGLISH)
    assert outcome.accounted
    assert changed.accounted
    assert top_ups(town) == (2, 190_00)


def test_a_file_that_differs_from_its_control_takes_nothing(small_town, clock):
    with pytest.raises(ControlDiffers):
        take(small_town, MIXED, clock, control=Control(5, 1_00))

    assert top_ups(small_town) == (0, 0)
    assert take(small_town, MIXED, clock, control=Control(5, 257_57)).accounted


def test_money_for_a_closed_account_waits_for_a_person(small_town, clock):
    with small_town.writing() as session:
        closed = update(AccountRow).where(AccountRow.number == KNOWN[0])
        session.execute(closed.values(closed_on=date(2026, 11, 1)))

    outcome = take(small_town, csv((KNOWN[0], "10.00", "a"), ("", "5.00", "b")), clock)

    assert outcome.sums[PaymentState.TAKEN].count == 0
    with small_town.reading() as session:
        (waiting,), _ = store.incoming(session, SCOPE, store.PaymentFilter(), limit=9)
    assert told(waiting.problem, Language.ENGLISH) == f"account {KNOWN[0]} is closed"
    with small_town.writing() as session:
        match_payment(session, SCOPE, waiting.id, KNOWN[0], clock)
    assert top_ups(small_town) == (1, 10_00)


def test_nobody_without_the_right_takes_money(small_town, clock):
    resident = Scope(Role.RESIDENT, "user:9")

    with pytest.raises(DomainError, match="no right"):
        import_payment_file(small_town, resident, order(MIXED), clock)


def suspended(database, clock, *row):
    take(database, csv(row), clock)
    with database.reading() as session:
        found = store.PaymentFilter(state=PaymentState.SUSPENSE)
        (waiting, *_), _ = store.incoming(session, SCOPE, found, limit=9)
    return waiting


def test_whose_money_it_may_be_is_suggested(small_town, clock):
    number = KNOWN[0]
    wrong = number[1] + number[0] + number[2:]
    payer = frozen_town.ACCOUNTS[0].payer.split()[0].upper()
    waiting = suspended(small_town, clock, wrong, "10.00", "t", "2026-11-20", f"{payer} И.И.", "")

    with small_town.reading() as session:
        found = suggestions(session, SCOPE, waiting)

    assert found[0].number == number
    assert len(found[0].reasons) == 2


def test_a_payment_is_matched_once_taken_back_and_matched_again(town, clock):
    waiting = suspended(town, clock, "9999999999", "10.00", "t")

    with town.writing() as session:
        first = match_payment(session, SCOPE, waiting.id, KNOWN[0], clock)
        assert match_payment(session, SCOPE, waiting.id, KNOWN[0], clock) is None
        with pytest.raises(AlreadyTaken):
            match_payment(session, SCOPE, waiting.id, KNOWN[1], clock)
        with pytest.raises(NotInSuspense):
            return_payment(session, SCOPE, waiting.id, "no", clock)
    assert first.receipt.number
    with town.writing() as session:
        unmatch_payment(session, SCOPE, waiting.id, "wrong flat", clock)
        unmatch_payment(session, SCOPE, waiting.id, "wrong flat", clock)
    with town.writing() as session:
        match_payment(session, SCOPE, waiting.id, KNOWN[1], clock)

    with town.reading() as session:
        lots = dict(
            session.execute(
                select(AccountRow.number, WalletRow.lots_minor - WalletRow.uncovered_minor).join(
                    WalletRow, WalletRow.account_id == AccountRow.id
                )
            ).all()
        )
        before = {a.number: a.advance_minor - a.debt_minor for a in frozen_town.ACCOUNTS}
    assert lots[KNOWN[0]] == before[KNOWN[0]]
    assert lots[KNOWN[1]] == before[KNOWN[1]] + 10_00
    assert sound(town)


def test_money_is_returned_once_with_a_note(small_town, clock):
    waiting = suspended(small_town, clock, "9999999999", "10.00", "t")

    with small_town.writing() as session:
        with pytest.raises(DomainError):
            return_payment(session, SCOPE, waiting.id, " ", clock)
        return_payment(session, SCOPE, waiting.id, "order 17", clock)
        return_payment(session, SCOPE, waiting.id, "order 17", clock)
        with pytest.raises(NotInSuspense):
            match_payment(session, SCOPE, waiting.id, KNOWN[0], clock)

    with small_town.reading() as session:
        assert store.sums_by_state(session, SCOPE)[PaymentState.RETURNED].amount_minor == 10_00


LONG = csv(
    *(
        (KNOWN[place % 4] if place % 5 else "9999999999", f"{place}.01", f"t{place}")
        for place in range(1, 24)
    ),
    (KNOWN[0], "bad", "x"),
    (KNOWN[1], "1.01", "t1"),
)


def test_an_import_killed_at_any_statement_is_finished_by_asking_again(
    sqlite_database, clock, monkeypatch
):
    monkeypatch.setattr(payment_files, "CHUNK", 6)
    database = found_town(sqlite_database, clock)
    without_waiting_for_the_disk(database)
    kills = 0
    for kill_at in range(2, 400, 9):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                steps = iter(range(1, 10_000))

                def step(*_, steps=steps, kill_at=kill_at):
                    if next(steps) == kill_at:
                        os.kill(os.getpid(), signal.SIGKILL)

                event.listen(database.engine, "before_cursor_execute", step)
                event.listen(database.engine, "commit", step)
                take(database, LONG, clock)
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
        if os.WIFEXITED(status):
            break

    outcome = take(database, LONG, clock)

    assert kills > 3
    assert outcome.accounted
    assert outcome.sums[PaymentState.TAKEN].count == top_ups(database)[0] == 19
    assert sound(database)


def test_two_that_take_one_file_at_once_take_it_once(town, clock, monkeypatch):
    monkeypatch.setattr(payment_files, "CHUNK", 4)
    ready = threading.Barrier(3)
    other = LONG + b"\n" + csv((KNOWN[2], "3.33", "other")).split(b"\n")[1]
    failures = []

    def run(content):
        ready.wait()
        try:
            take(town, content, clock)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(c,)) for c in (LONG, LONG, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    outcomes = [take(town, content, clock) for content in (LONG, other)]
    assert all(outcome.accounted for outcome in outcomes)
    assert sum(one.sums[PaymentState.TAKEN].count for one in outcomes) == 20
    assert top_ups(town)[0] == 20
    assert sound(town)


ROWS = st.lists(
    st.tuples(
        st.sampled_from([*KNOWN, "9999999999", "", "=1+1"]),
        st.sampled_from(["1.00", "0.01", "99.99", "0", "-1", "1.001", "", "99999999999999"]),
        st.sampled_from(["a", "b", "c", "d e", ""]),
    ),
    max_size=12,
)


@given(rows=ROWS)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_file_is_taken_in_suspense_or_refused_to_the_kopeck(town, clock, rows):
    try:
        outcome = take(town, csv(*rows), clock)
    except DomainError:
        return

    assert outcome.accounted
    assert outcome.file.rows == len(rows)
