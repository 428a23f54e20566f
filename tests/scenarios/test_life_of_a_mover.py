"""A year of a resident: moves in, pays ahead, moves out in the middle of a month; one follows.

The meter takes 100 Wh every hour at 5 roubles a kWh: a day costs 12.00. What each month leaves is
written by hand below.
"""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from billing.models import AccountMoveKind, AccountRow, ChargeLineRow, Measurement, Settlement
from billing.moves.moves import AlreadyEnded, MoveOrder, Newcomer, PremisesTaken, Rest
from invoices.final_statement import FinalStatement
from invoices.render import render_final_statement
from invoices.store import document_by_number
from kilokassa.app.closing import close_month
from kilokassa.app.final_statement import replays
from kilokassa.app.moving import move, preview_move, settle_ended
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.recalculating import Wish, recalculate
from kilokassa.app.refunds import TransferOrder, transfer
from kilokassa.app.running import rate_running_months
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.errors import Forbidden, Invalid, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from kilokassa.core.text import Language
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town
from tests.scenarios.plans_town import PlansTown
from wallet import store as wallet_store
from wallet.ledger import BONUS_EXPENSE, Reason
from wallet.lots import LotKind
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.service import PayOrder, pay_refund
from wallet.service import PutOrder, put, verify

DAY_MINOR = 12_00
PETROV = Newcomer("2000000001", "Петров Пётр", 2, settlement=Settlement.PREPAID)
SIDOROVA = Newcomer("2000000002", "Сидорова Светлана", 1, plan_code="single")
LEFT_AFTER = {
    # month: what is left when it is closed, after 400.00 that came on its first day
    1: 736_00,
    2: 800_00,
    3: 828_00,
    4: 868_00,
    5: 896_00,
    6: 936_00,
    7: 964_00,
    8: 992_00,
    9: 1032_00,
    10: 1060_00,
    11: 1100_00,
}


class Flat(Town):
    """One flat with an hourly meter."""

    def __init__(self, database, folder, opened_on=date(2026, 1, 1)):
        super().__init__(
            database, folder, opened_on=opened_on, interval_min=60, norm=False, zone=ZONE
        )

    uses = PlansTown.uses

    def at(self, day, hours=8):
        return self.application(local_midnight(day, ZONE) + timedelta(hours=hours))

    def id_of(self, number):
        with self.database.reading() as session:
            return AccountId(
                session.scalars(select(AccountRow.id).where(AccountRow.number == number)).one()
            )

    def balance(self, number, day):
        account_id = self.id_of(number)
        with self.database.reading() as session:
            at = local_midnight(day, ZONE) + timedelta(hours=12)
            return wallet_store.balances(session, [account_id], at)[account_id].posted_minor

    def pays(self, number, day, minor):
        application = self.at(day)
        payment = Payment(
            self.id_of(number), minor, "bank", application.clock.now(), f"{number}:{day}"
        )
        with self.database.writing() as session:
            take_payments(session, SCOPE, [payment], application.clock, tell=False)

    def charged_wh(self, month):
        """Return what was charged for a month of all accounts: Wh and kopecks."""
        query = select(func.sum(ChargeLineRow.quantity), func.sum(ChargeLineRow.amount_minor))
        with self.database.reading() as session:
            found = session.execute(query.where(ChargeLineRow.charge_month == month.ordinal)).one()
            return tuple(found)

    def final(self, number):
        with self.database.reading() as session:
            document = document_by_number(session, SCOPE, number)
            assert document.is_intact
            assert replays(session, SCOPE, number)
            return FinalStatement.from_snapshot(document.snapshot)

    def faults(self):
        with self.database.reading() as session:
            return list(verify(session))


def changes(on, key="k", **more):
    values = {"account_number": "1000000001", "newcomer": PETROV} | more
    return MoveOrder(AccountMoveKind.PAYER_CHANGE, on, key, **values)


def leaves(on, key="k", number="1000000001", **more):
    return MoveOrder(AccountMoveKind.MOVE_OUT, on, key, account_number=number, **more)


def comes(on, newcomer, key="k"):
    return MoveOrder(
        AccountMoveKind.MOVE_IN, on, key, newcomer=newcomer, building_code="B1", premises_number="1"
    )


def test_a_year_from_moving_in_to_moving_out(database, tmp_path):
    flat = Flat(database, tmp_path)
    flat.uses(date(2026, 1, 1), date(2026, 1, 10), 100)

    # 10 January: another pays from now on; nine days are owed by the former one.
    changed = move(flat.at(date(2026, 1, 10)), SCOPE, changes(date(2026, 1, 10)))
    former = flat.final(changed.document_number)
    assert (former.debt_minor, former.kept_minor) == (9 * DAY_MINOR, 0)
    assert flat.balance("1000000001", date(2026, 1, 10)) == -9 * DAY_MINOR

    flat.pays("2000000001", date(2026, 1, 10), 1000_00)
    for number, left_minor in LEFT_AFTER.items():
        month = Month(2026, number)
        if number > 1:
            flat.pays("2000000001", month.first_day, 400_00)
        first = max(month.first_day, date(2026, 1, 10))
        flat.uses(first, month.plus(1).first_day, 100)
        close_month(flat.at(month.plus(1).days[2]), month, scope=SCOPE, tell=False)
        assert flat.balance("2000000001", month.plus(1).days[2]) == left_minor, month

    # December: nine days are taken, then a bonus comes that pays the last five days.
    flat.pays("2000000001", date(2026, 12, 1), 400_00)
    flat.uses(date(2026, 12, 1), date(2026, 12, 15), 100)
    rate_running_months(flat.at(date(2026, 12, 10)))
    assert flat.balance("2000000001", date(2026, 12, 10)) == 1392_00
    gives_bonus(flat, "2000000001", date(2026, 12, 10), 100_00)

    # 15 December: moves out; 60.00 of the bonus pay the last days, 40.00 end with the account.
    order = leaves(
        date(2026, 12, 15),
        key="out",
        number="2000000001",
        rest=Rest.REFUND,
        refund_to="Петров П. П.",
        requisites="40817810000000000001, БАНК",
    )
    application = flat.at(date(2026, 12, 16))
    shown = preview_move(application, SCOPE, order)
    done = move(application, SCOPE, order)
    assert done.ending == shown.ending
    ending = done.ending
    assert (ending.before_minor, ending.charged_minor) == (1492_00, 60_00)
    assert (ending.bonus_lost_minor, ending.refund_minor) == (40_00, 1392_00)
    final = flat.final(done.document_number)
    assert final.statement.opening.advance_minor == 1100_00
    assert (final.refund_minor, final.refund_to) == (1392_00, "Петров П. П.")
    assert move(application, SCOPE, order).document_number == done.document_number

    # The refund is paid out, and nothing is left.
    with flat.database.writing() as session:
        (refund,) = refund_store.refunds(session, SCOPE)
        pay_refund(session, SCOPE, PayOrder(refund.id, "п/п 12", ZONE), application.clock)
    assert flat.balance("2000000001", date(2026, 12, 17)) == 0

    # Somebody follows; what both are charged for December is what one who stays would be.
    move(application, SCOPE, comes(date(2026, 12, 15), replace(SIDOROVA, **terms()), "in"))
    flat.uses(date(2026, 12, 15), date(2027, 1, 1), 100)
    close_month(flat.at(date(2027, 1, 3)), Month(2026, 12), scope=SCOPE, tell=False)
    assert flat.charged_wh(Month(2026, 12)) == (31 * 2400, 31 * DAY_MINOR)
    assert flat.balance("2000000002", date(2027, 1, 3)) == -17 * DAY_MINOR

    # A reading of 14 December is put right later: who left is charged the difference.
    flat.uses(
        date(2026, 12, 14), date(2026, 12, 15), 200, at=local_midnight(date(2027, 1, 4), ZONE)
    )
    recalculate(flat.at(date(2027, 1, 5)), Wish(), scope=SCOPE)
    assert flat.balance("2000000001", date(2027, 1, 5)) == -DAY_MINOR
    assert flat.balance("2000000002", date(2027, 1, 5)) == -17 * DAY_MINOR
    flat.final(done.document_number)
    assert flat.faults() == []


def terms():
    return {"settlement": Settlement.POSTPAID, "measurement": Measurement.INTERVALS}


def gives_bonus(flat, number, day, minor):
    clock = flat.at(day).clock
    with flat.database.writing() as session:
        put(
            session,
            PutOrder(
                account_id=flat.id_of(number),
                reason=Reason.BONUS,
                kind=LotKind.BONUS,
                amount_minor=minor,
                against=BONUS_EXPENSE,
                valid_at=clock.now(),
                zone=ZONE,
                actor="test",
                idempotency_key=f"bonus-{number}-{day}",
                rule="gift",
            ),
            clock,
        )


def test_what_is_not_known_yet_is_waited_for(database, tmp_path):
    flat = Flat(database, tmp_path, date(2026, 10, 1))
    flat.uses(date(2026, 10, 1), date(2026, 10, 10), 100)
    order = leaves(date(2026, 10, 12))

    done = move(flat.at(date(2026, 10, 12)), SCOPE, order)
    assert (len(done.waits), done.document_number) == (1, "")
    assert flat.balance("1000000001", date(2026, 10, 12)) == 0

    flat.uses(date(2026, 10, 10), date(2026, 10, 12), 100)
    ((number, document, waits),) = settle_ended(flat.at(date(2026, 10, 13)), SCOPE)
    assert (number, waits) == ("1000000001", ())
    assert flat.final(document).debt_minor == 11 * DAY_MINOR
    assert settle_ended(flat.at(date(2026, 10, 14)), SCOPE) == ()


def test_months_that_are_over_are_closed_first(database, tmp_path):
    flat = Flat(database, tmp_path, date(2026, 9, 1))
    flat.uses(date(2026, 9, 1), date(2026, 10, 3), 100)

    done = move(flat.at(date(2026, 10, 3)), SCOPE, leaves(date(2026, 10, 3)))

    final = flat.final(done.document_number)
    assert final.first == Month(2026, 9)
    assert final.debt_minor == 32 * DAY_MINOR
    assert len(final.documents) == 2


def test_what_is_left_goes_to_another_account(database, tmp_path):
    flat = Flat(database, tmp_path, date(2026, 10, 1))
    flat.uses(date(2026, 10, 1), date(2026, 10, 11), 100)
    flat.pays("1000000001", date(2026, 10, 2), 500_00)
    move(
        flat.at(date(2026, 10, 11)),
        SCOPE,
        changes(date(2026, 10, 11), rest=Rest.TRANSFER, transfer_to="2000000001"),
    )

    assert flat.balance("1000000001", date(2026, 10, 11)) == 0
    assert flat.balance("2000000001", date(2026, 10, 11)) == 380_00
    assert flat.faults() == []


def test_money_moves_back_between_accounts_once(database, tmp_path):
    flat = Flat(database, tmp_path, date(2026, 10, 1))
    flat.uses(date(2026, 10, 1), date(2026, 10, 11), 100)
    application = flat.at(date(2026, 10, 11))
    move(application, SCOPE, changes(date(2026, 10, 11)))
    flat.pays("2000000001", date(2026, 10, 11), 200_00)
    order = TransferOrder("2000000001", "1000000001", 120_00, "t1", why="заявление 5")
    with flat.database.writing() as session:
        first = transfer(session, SCOPE, order, application.clock)
        second = transfer(session, SCOPE, order, application.clock)

    assert (first.repeated, second.repeated) == (False, True)
    assert flat.balance("1000000001", date(2026, 10, 11)) == 0
    assert flat.balance("2000000001", date(2026, 10, 11)) == 80_00


def test_what_cannot_be_is_refused_and_leaves_no_trace(database, tmp_path):
    flat = Flat(database, tmp_path, date(2026, 9, 1))
    flat.uses(date(2026, 9, 1), date(2026, 10, 11), 100)
    close_month(flat.at(date(2026, 10, 2)), Month(2026, 9), scope=SCOPE, tell=False)
    application = flat.at(date(2026, 10, 11))
    for refused, order in (
        (Invalid, leaves(date(2026, 10, 12))),
        (Invalid, leaves(date(2026, 9, 30))),
        (PremisesTaken, comes(date(2026, 10, 11), replace(SIDOROVA, **terms()))),
    ):
        with pytest.raises(refused):
            move(application, SCOPE, order)
    analyst = Scope(Role.ANALYST, "user:9", whole_retailer=True)
    with pytest.raises(Forbidden):
        preview_move(application, analyst, leaves(date(2026, 10, 11)))

    move(application, SCOPE, leaves(date(2026, 10, 11)))
    with pytest.raises(RequestConflict):
        move(application, SCOPE, leaves(date(2026, 10, 10)))
    with pytest.raises(AlreadyEnded):
        move(application, SCOPE, leaves(date(2026, 10, 11), key="another"))


def test_a_preview_changes_nothing(database, tmp_path):
    flat = Flat(database, tmp_path, date(2026, 10, 1))
    flat.uses(date(2026, 10, 1), date(2026, 10, 11), 100)

    shown = preview_move(flat.at(date(2026, 10, 11)), SCOPE, leaves(date(2026, 10, 11)))

    assert shown.ending.charged_minor == 10 * DAY_MINOR
    assert flat.balance("1000000001", date(2026, 10, 11)) == 0
    with flat.database.reading() as session:
        assert session.get(AccountRow, flat.accounts["P1"]).closed_on is None


@pytest.mark.parametrize("language", list(Language))
def test_the_final_statement_is_a_page(sqlite_database, tmp_path, language):
    flat = Flat(sqlite_database, tmp_path, date(2026, 10, 1))
    flat.uses(date(2026, 10, 1), date(2026, 10, 11), 100)
    done = move(flat.at(date(2026, 10, 11)), SCOPE, leaves(date(2026, 10, 11)))
    with flat.database.reading() as session:
        snapshot = document_by_number(session, SCOPE, done.document_number).snapshot

    assert render_final_statement(snapshot, language).startswith(b"%PDF")
