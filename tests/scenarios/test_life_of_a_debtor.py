"""A year of somebody who does not pay: debt, notice, limitation, late fee, payment, supply back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.debts.service import DebtRules, recompute
from invoices.payment_document import PaymentDocument
from invoices.store import documents_of
from kilokassa.app import closing
from kilokassa.app.debts import (
    agreement_terms,
    agreement_views,
    end,
    set_flag,
    sign,
)
from kilokassa.app.late_fees import charge_late_fees
from kilokassa.app.proofs import record_delivery
from kilokassa.app.service_states import decide_services
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from notices.desk.service import DeliveryOrder
from notices.models import NoticeRow
from notices.notice import DeliveryMethod, NoticeKind
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town
from wallet.debts.flags import FlagKind
from wallet.debts.late_fee import late_fee_rules
from wallet.debts.service import SignOrder, SupplyOrder, record_supply
from wallet.debts.service_state import Action, Guard, ServiceState, Supply
from wallet.debts.store import charged_fees, decisions_in_reach, latest_decisions
from wallet.service import TopUpOrder, top_up, verify
from wallet.store import balances

RULES = DebtRules(late_fees=replace(late_fee_rules(), key_rates_known_until=date(2026, 12, 31)))
MONTH_MINOR = 400 * 5_00
"""400 kWh a month at 5.00: above the norm of two persons, 77 kWh each."""


class DebtTown(Town):
    """A flat that uses 400 kWh a month and pays when a test says so."""

    def __init__(self, database, folder):
        super().__init__(database, folder)
        self.account = self.accounts["P1"]
        self.months = 0

    def lives(self, *months):
        for number in months:
            self.months += 1
            first = Month(2026, number).plus(1).first_day
            self.read("P1", first, 1000 + 400 * self.months)
            self.close(2026, number)
            self.decides(first + timedelta(days=2))

    def at(self, day, hour=12):
        return self.application(local_midnight(day, ZONE) + timedelta(hours=hour))

    def decides(self, day):
        return decide_services(self.at(day), scope=SCOPE)

    def pays(self, day, amount_minor, key="", learned=None):
        instant = local_midnight(day, ZONE) + timedelta(hours=12)
        clock = FixedClock(instant if learned is None else local_midnight(learned, ZONE))
        with self.database.writing() as session:
            top_up(
                session,
                TopUpOrder(
                    self.account, amount_minor, "bank", instant, ZONE, "test", key or str(day)
                ),
                clock,
            )
            recompute(session, [self.account], clock)

    def states(self, flag, value, day, document="act"):
        clock = FixedClock(local_midnight(day, ZONE) + timedelta(hours=1))
        with self.database.writing() as session:
            set_flag(
                session, SCOPE, self.account, flag, value, since=day, document=document, clock=clock
            )

    def notice(self, day):
        """Record that the notice that was ordered was handed over, with a signature."""
        at = local_midnight(day, ZONE) + timedelta(hours=15)
        with self.database.writing() as session:
            notice_id = session.scalars(
                select(NoticeRow.id)
                .where(NoticeRow.kind == NoticeKind.LIMITATION)
                .order_by(NoticeRow.id.desc())
            ).first()
            order = DeliveryOrder(
                notice_id, DeliveryMethod.RECEIPT_IN_HAND, at, "signature of 17 November"
            )
            record_delivery(session, SCOPE, order, FixedClock(at))

    def letter(self):
        with self.database.reading() as session:
            return session.scalars(
                select(NoticeRow).where(NoticeRow.kind == NoticeKind.LIMITATION)
            ).one()

    def supply(self, supply, day):
        at = local_midnight(day, ZONE) + timedelta(minutes=10)
        with self.database.writing() as session:
            order = SupplyOrder(self.account, "electricity", supply, at, "read back")
            record_supply(session, SCOPE, order, FixedClock(at))
            recompute(session, [self.account], FixedClock(at))

    @property
    def stands(self):
        with self.database.reading() as session:
            return latest_decisions(session, [self.account]).get((self.account, "electricity"))

    @property
    def owed(self):
        with self.database.reading() as session:
            return -balances(session, [self.account], datetime(2027, 6, 1, tzinfo=UTC))[
                self.account
            ].posted_minor

    def guards(self):
        return {held.guard for held in self.stands.held_by}


@pytest.fixture
def town(database, tmp_path):
    return DebtTown(database, tmp_path)


def test_a_year_of_a_debtor(town):
    town.states(FlagKind.VULNERABLE, "no", date(2026, 1, 1), "visit of 1 January")
    town.lives(1)
    assert town.owed == MONTH_MINOR
    assert town.stands is None  # the due day of January's bill, 10 February, is still to come
    town.decides(date(2026, 2, 11))

    # January's bill alone is above two months by the norm: 2 x 2 x 77 kWh x 5.00 = 1540.00.
    assert town.stands.state is ServiceState.NOTICE_DUE
    assert town.stands.facts["norm_month_minor"] == 770_00
    assert town.stands.debt_minor == 2000_00

    notice = town.decides(date(2026, 2, 12))
    assert (notice.changed, notice.notices) == (0, 0)  # ordered the day before, and once

    assert "ПП 354, п. 119" in town.letter().body_text
    assert "Не сверено с первоисточником" in town.letter().body_text

    # The law's clock starts with the record of the delivery, not with the next hour's job.
    town.notice(date(2026, 2, 13))
    assert town.stands.state is ServiceState.NOTICE_DELIVERED
    assert town.guards() == {Guard.NOTICE_DAYS}
    assert town.stands.next_at == local_midnight(date(2026, 3, 6), ZONE)

    town.decides(date(2026, 3, 5))
    assert town.stands.state is ServiceState.NOTICE_DELIVERED
    town.decides(date(2026, 3, 6))
    assert (town.stands.state, town.stands.action) == (ServiceState.LIMITED, Action.LIMIT)

    town.supply(Supply.LIMITED, date(2026, 3, 6))
    town.decides(date(2026, 3, 16))
    assert town.stands.action is Action.NONE
    assert town.guards() == {Guard.LIMITED_DAYS}

    # Paid in full on 16 March: the supply is to be back within two days.
    town.pays(date(2026, 3, 16), 2000_00)
    assert (town.stands.state, town.stands.action) == (ServiceState.RESTORING, Action.RESTORE)
    assert town.stands.restore_by == local_midnight(date(2026, 3, 19), ZONE)
    assert town.owed == 0
    town.supply(Supply.FULL, date(2026, 3, 17))
    assert town.stands.state is ServiceState.NORMAL

    # 34 days late, days 31 to 34 cost: 2000.00 x 4 x 9.5 % / 300 = 2.53.
    application = town.at(date(2026, 4, 1))
    silent = charge_late_fees(application, scope=SCOPE, rules=RULES)
    assert (silent.charged_minor, silent.charging, town.owed) == (2_53, False, 0)
    charged = charge_late_fees(application, scope=SCOPE, rules=RULES, charging=True)
    again = charge_late_fees(application, scope=SCOPE, rules=RULES, charging=True)
    assert (charged.charged_minor, again.charged_minor) == (2_53, 0)
    assert town.owed == 2_53

    # The bank tells in May of a payment of 1 March: no day was late enough, all is given back.
    town.pays(date(2026, 3, 1), 2000_00, learned=date(2026, 5, 2))
    assert town.owed == 2_53 - 2000_00
    put_right = charge_late_fees(town.at(date(2026, 6, 1)), scope=SCOPE, rules=RULES, charging=True)
    assert put_right.charged_minor == -2_53
    assert town.owed == -2000_00
    with town.database.reading() as session:
        (fee,) = charged_fees(session, [town.account]).values()
        assert list(verify(session)) == []
    assert (fee.cumulative_minor, fee.charged_minor) == (0, -2_53)

    history = [one.state for one in reversed(_history(town))]
    assert history == [
        ServiceState.NOTICE_DUE,
        ServiceState.NOTICE_DELIVERED,
        ServiceState.LIMITED,
        ServiceState.LIMITED,
        ServiceState.RESTORING,
        ServiceState.NORMAL,
    ]


def test_nobody_is_limited_while_it_is_not_known_who_lives_there(town):
    town.lives(1, 2)
    town.decides(date(2026, 5, 1))

    assert town.stands.state is ServiceState.NEGATIVE
    assert town.stands.action is Action.NONE
    held = {one.guard: one.known for one in town.stands.held_by}
    assert held[Guard.VULNERABLE] is False

    town.states(FlagKind.VULNERABLE, "yes", date(2026, 5, 2), "certificate")
    assert {one.guard: one.known for one in town.stands.held_by}[Guard.VULNERABLE] is True


def test_an_agreement_withdraws_a_notice_and_a_breach_brings_it_back(town):
    town.states(FlagKind.VULNERABLE, "no", date(2026, 1, 1), "visit")
    town.lives(1, 2)
    town.decides(date(2026, 3, 12))
    assert town.stands.state is ServiceState.NOTICE_DUE

    signed_at = FixedClock(local_midnight(date(2026, 3, 12), ZONE) + timedelta(hours=14))
    with town.database.writing() as session:
        terms = agreement_terms(
            session,
            town.account,
            months=4,
            first_due_on=date(2026, 4, 12),
            rate_bp=12_00,
            clock=signed_at,
        )
        sign(session, SCOPE, SignOrder(town.account, terms, "No 1", "k1"), signed_at)
        again = sign(session, SCOPE, SignOrder(town.account, terms, "No 1", "k1"), signed_at)
    assert terms.debt_minor == 2000_00
    assert again.id == 1
    assert town.guards() >= {Guard.AGREEMENT}

    # Interest of the first instalment: 2000.00 x 12 % x 31/365 = 20.38.
    town.pays(date(2026, 4, 11), 520_38)
    fees = charge_late_fees(town.at(date(2026, 5, 1)), scope=SCOPE, rules=RULES)
    assert fees.interest_minor == 20_38
    with town.database.reading() as session:
        (view,) = agreement_views(session, SCOPE, FixedClock(town.at(date(2026, 5, 1)).clock.now()))
    assert (view.state.standing, view.state.paid_minor) == ("kept", 520_38)

    # The second one is not paid within its days of grace.
    town.decides(date(2026, 5, 18))
    assert town.stands.state is ServiceState.NOTICE_DUE
    assert Guard.AGREEMENT not in town.guards()
    with town.database.writing() as session:
        ended = end(session, SCOPE, town.account, 1, "broken", signed_at)
    assert ended


def test_a_credit_stated_for_a_day_to_come_begins_and_ends_on_its_days(town):
    with town.database.writing() as session:
        for first, roubles in ((date(2026, 3, 10), "500"), (date(2026, 3, 20), "0")):
            clock = FixedClock(local_midnight(date(2026, 3, 1), ZONE))
            set_flag(
                session,
                SCOPE,
                town.account,
                FlagKind.EMERGENCY_CREDIT,
                roubles,
                since=first,
                document="contract",
                clock=clock,
            )

    lent = {}
    for day in (9, 10, 11, 19, 20, 21):
        town.decides(date(2026, 3, day))
        with town.database.reading() as session:
            at = local_midnight(date(2026, 3, day), ZONE) + timedelta(hours=13)
            lent[day] = balances(session, [town.account], at)[town.account].credit_minor
            assert list(verify(session)) == []

    assert lent == {9: 0, 10: 500_00, 11: 500_00, 19: 500_00, 20: 0, 21: 0}


def test_a_document_offers_instalments_and_says_where_a_late_fee_is_explained(town, monkeypatch):
    monkeypatch.setattr(closing, "charged_in", lambda *_: {town.account: MONTH_MINOR // 2})
    town.lives(1, 2)
    charge_late_fees(town.at(date(2026, 4, 1)), scope=SCOPE, rules=RULES, charging=True)
    monkeypatch.setattr(closing, "charged_in", lambda *_: {town.account: MONTH_MINOR})
    town.lives(3, 4)

    with town.database.reading() as session:
        found = documents_of(session, SCOPE, town.account)
    shown = {one.month: PaymentDocument.from_snapshot(one.snapshot) for one in found if one.month}
    first, last = shown[Month(2026, 1)], shown[Month(2026, 3)]
    assert closing.INSTALMENTS_OFFERED in first.warnings
    assert closing.LATE_FEE_TABLE not in first.warnings
    assert closing.INSTALMENTS_OFFERED not in last.warnings
    assert closing.LATE_FEE_TABLE in last.warnings


def _history(town):
    with town.database.reading() as session:
        return [
            one
            for one in decisions_in_reach(session, SCOPE, account_id=town.account, latest=False)
            if one.service == "electricity"
        ]
