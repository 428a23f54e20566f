"""A debt that passed every guard, and what still keeps a home from being cut: doubt protects."""

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from billing.debts.service import recompute
from billing.models import AccountRow
from kilokassa.app.debts import set_flag
from kilokassa.app.payment_matching import undo_top_up
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from tests.scenarios.by_hand_town import SCOPE, ZONE
from tests.scenarios.test_life_of_a_debtor import DebtTown
from wallet.debts.flags import FlagKind
from wallet.debts.service_state import Action, Guard, ServiceState, Supply
from wallet.payments.payment import PaymentSource
from wallet.payments.service import NewIncoming, record_one
from wallet.service import TopUpOrder, top_up


@pytest.fixture
def due(sqlite_database, tmp_path):
    """A flat of which everything says that it is limited on 6 March, and not before."""
    town = DebtTown(sqlite_database, tmp_path)
    town.states(FlagKind.VULNERABLE, "no", date(2026, 1, 1), "visit of 1 January")
    town.lives(1)
    town.decides(date(2026, 2, 11))
    town.notice(date(2026, 2, 13))
    town.decides(date(2026, 2, 14))
    assert town.stands.state is ServiceState.NOTICE_DELIVERED
    return town


def test_a_payment_that_is_taken_back_begins_the_days_of_a_notice_anew(due):
    paid_at = FixedClock(local_midnight(date(2026, 3, 1), ZONE))
    with due.database.writing() as session:
        order = TopUpOrder(due.account, 2000_00, "card", paid_at.now(), ZONE, "test", "k")
        taken = top_up(session, order, paid_at)
        recompute(session, [due.account], paid_at)
    assert due.stands.state is ServiceState.NORMAL

    back_at = FixedClock(local_midnight(date(2026, 3, 9), ZONE) + timedelta(hours=12))
    with due.database.writing() as session:
        undo_top_up(session, SCOPE, due.account, taken.entry_id, "refunded", back_at)
    due.decides(date(2026, 3, 10))

    assert due.stands.state is ServiceState.NOTICE_DUE
    assert Guard.NOTICE_OF_THIS_DEBT in due.guards()
    due.decides(date(2026, 3, 11))
    due.notice(date(2026, 3, 12))
    due.decides(date(2026, 3, 13))
    assert due.stands.state is ServiceState.NOTICE_DELIVERED
    assert due.stands.next_at == local_midnight(date(2026, 4, 2), ZONE)


def test_a_vulnerable_person_learnt_of_late_protects_though_a_no_was_said_since(due):
    due.states(FlagKind.VULNERABLE, "no", date(2026, 3, 1), "visit of 1 March")
    clock = FixedClock(local_midnight(date(2026, 3, 7), ZONE))
    due.decides(date(2026, 3, 6))
    assert due.stands.action is Action.LIMIT
    with due.database.writing() as session:
        kind, since = FlagKind.VULNERABLE, date(2026, 2, 1)
        set_flag(session, SCOPE, due.account, kind, "yes", since=since, document="act", clock=clock)

    assert due.stands.action is Action.NONE
    assert Guard.VULNERABLE in due.guards()


def test_the_debt_of_who_moved_out_cuts_nobody_who_lives_there_now(due):
    due.decides(date(2026, 3, 6))
    assert due.stands.action is Action.LIMIT
    with due.database.writing() as session:
        row = update(AccountRow).where(AccountRow.id == due.account)
        session.execute(row.values(closed_on=date(2026, 3, 7)))

    due.decides(date(2026, 3, 7))
    assert (due.stands.state, due.stands.action) == (ServiceState.NORMAL, Action.NONE)
    due.supply(Supply.LIMITED, date(2026, 3, 8))
    assert (due.stands.state, due.stands.action) == (ServiceState.RESTORING, Action.RESTORE)
    assert due.decides(date(2026, 4, 8)).changed == 0


@pytest.mark.parametrize(
    ("written", "purpose", "payer", "kopecks", "protects"),
    [
        ("1000000010", "", "", 1000_00, True),  # two digits changed places
        ("", "ELECTRICITY 1000000001.", "", 1000_00, True),
        ("", "", "Иванова А.", 1000_00, True),
        ("", "", "", 2000_00, True),  # all that is owed, to the kopeck
        ("", "", "Иванова А.", 100_00, False),  # it would leave more than the norm allows
        ("7777777777", "thanks", "Петров", 1000_00, False),
    ],
)
def test_money_in_suspense_that_may_pay_the_debt_protects(
    due, written, purpose, payer, kopecks, protects
):
    clock = FixedClock(local_midnight(date(2026, 3, 6), ZONE))
    with due.database.writing() as session:
        money = NewIncoming(
            PaymentSource.STATEMENT,
            "bank",
            "1",
            written,
            kopecks,
            "bank",
            clock.now(),
            payer,
            purpose,
        )
        record_one(session, SCOPE, money, clock)

    due.decides(date(2026, 3, 6))

    assert (Guard.SUSPENSE in due.guards()) is protects
    assert (due.stands.action is Action.NONE) is protects


def test_a_neighbour_behind_the_same_meter_is_not_cut_for_a_debt(due):
    with due.database.writing() as session:
        row = session.get_one(AccountRow, due.account)
        session.add(
            AccountRow(
                number="2000000002",
                payer_name="Петров",
                premises_id=row.premises_id,
                opened_on=date(2026, 1, 1),
            )
        )

    due.decides(date(2026, 3, 6))

    assert due.stands.action is Action.NONE
    assert Guard.SHARED in due.guards()
