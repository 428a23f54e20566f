"""A house whose households live day by day through everything that the scheduler does.

Who lives there pays, saves, owes, moves and is helped in all the ways there are; a moved clock
brings the readings of each day, the jobs of each day (each of them twice, some days missed), the
close of each month. What must hold on any day is asserted here; scenarios choose the days.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
from sqlalchemy import func, select, update

from billing.debts.service import RULES_OPTION, DebtRules
from billing.models import (
    AccountMoveKind,
    AccountRow,
    AccountTermRow,
    ChargeLineRow,
    RetailerRow,
    Settlement,
)
from billing.moves.moves import MoveOrder, Rest
from invoices.models import DocumentRow
from kilokassa.app.bonuses import void_top_up
from kilokassa.app.closing import close_month
from kilokassa.app.debts import agreement_terms, set_flag, sign
from kilokassa.app.gateways import DEMO_PROVIDER
from kilokassa.app.job_runs import JobState, run_due
from kilokassa.app.moving import move
from kilokassa.app.overview import overviews
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.refunds import TransferOrder, ask_for_refund, transfer
from kilokassa.app.settings import Settings
from kilokassa.app.upkeep import JOBS
from kilokassa.app.verification import verify_all
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from metering.days import whole_days
from metering.store import write_days
from notices.desk.service import DeliveryOrder, record_delivery
from notices.models import NoticeRow
from notices.notice import DeliveryMethod, NoticeKind
from tariffs.service import PublishOrder, publish_version
from tariffs.store import plan_by_code
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town
from tests.scenarios.plans_town import SINGLE, TWO_ZONES
from tests.scenarios.test_running_months import DIGITAL
from tests.wallet.builders import without_waiting_for_the_disk
from tests.wallet.reserves_town import OFFER, PERSON
from wallet import store as wallet_store
from wallet.bonuses.models import BonusGrantRow
from wallet.bonuses.service import CampaignOrder, begin_campaign, publish_rule
from wallet.debts.late_fee import late_fee_rules
from wallet.debts.models import LateFeeRow, ServiceDecisionRow
from wallet.debts.service import SignOrder as AgreementOrder
from wallet.ledger import Reason, cash
from wallet.models import DrawRow, JournalEntryRow, LedgerAccountRow, LotRow, PostingRow, WalletRow
from wallet.payments.auto.service import AgreeOrder, agree
from wallet.payments.auto_top_up import AutoTopUpRule, BelowThreshold, FixedAmount, UpToTarget
from wallet.payments.models import AutoTopUpAttemptRow
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import AskOrder
from wallet.payments.refunds.service import PayOrder, pay_refund
from wallet.reserves import service as reserve_service
from wallet.reserves.models import ReserveMovementRow
from wallet.service import PutOrder, ReverseOrder, put

OPENED = date(2026, 1, 1)
JOBS_HOUR = 13
"""By then every job of the day is due."""

BONUS_RULES = (
    """
rule: size
name: 3 % от 2000 ₽
kind: size_of_top_up
from: 2026-01-01
expires_after_days: 20
campaign: spring
terms: {threshold: 2000.00, percent: 3}
""",
    """
rule: early
name: За оплату заранее
kind: early_payment
from: 2026-01-01
expires_after_days: 45
terms: {days_before: 5, percent: 2}
""",
    """
rule: calm
name: Без долгов
kind: months_without_debt
from: 2026-01-01
expires_after_days: 15
terms: {months: 1, amount: 50.00}
""",
    """
rule: owl
name: За ночь
kind: moved_to_night
from: 2026-01-01
expires_after_days: 365
most: 60.00
terms: {rate: 0.50, former_least_kwh: 100}
""",
)

(DIGITAL_PREPAID, POSTPAID, SAVER, DEBTOR, AUTO, REFUSED, MOVER, HUNTER, VULNERABLE) = range(1, 10)
(ADVANCED, COMPENSATED, ONE_OF_TWO, OTHER_OF_TWO, LENT) = range(10, 15)
HOUSEHOLDS = 14

PLANS = {
    DIGITAL_PREPAID: ("digital", Settlement.PREPAID),
    SAVER: ("single", Settlement.PREPAID),
    AUTO: ("two_zone", Settlement.PREPAID),
    REFUSED: ("single", Settlement.PREPAID),
    HUNTER: ("two_zone", Settlement.POSTPAID),
    ADVANCED: ("single", Settlement.PREPAID),
    COMPENSATED: ("single", Settlement.PREPAID),
    ONE_OF_TWO: ("single", Settlement.PREPAID),
    LENT: ("single", Settlement.PREPAID),
}
"""Who differs from the plan by one price, paid afterwards."""

GROWN = (
    JournalEntryRow,
    PostingRow,
    LotRow,
    DrawRow,
    DocumentRow,
    NoticeRow,
    BonusGrantRow,
    ReserveMovementRow,
    LateFeeRow,
    ServiceDecisionRow,
    AutoTopUpAttemptRow,
)
"""Tables that a repeat must leave as they are."""


@dataclass
class House:
    """The house, its clock, and what it was paid, reckoned beside the program."""

    town: Town
    day: date = OPENED
    paid_minor: dict[str, int] = field(default_factory=dict)
    """By tender, less what was given back."""
    keeper: object = None

    @property
    def database(self):
        return self.town.database

    def clock(self, hour=10):
        return FixedClock(local_midnight(self.day, ZONE) + timedelta(hours=hour))

    def application(self, hour=10):
        environ = {"KILOKASSA_VAR": str(self.town.folder), "KILOKASSA_CHARGE_LATE_FEES": "1"}
        return Application(Settings.from_env(environ), self.database, self.clock(hour))

    def account(self, number):
        return self.town.accounts[f"P{number}"]

    def number(self, number):
        with self.database.reading() as session:
            return session.get_one(AccountRow, self.account(number)).number

    # --- what people do ---

    def pays(self, number, minor, tender="sbp", key="", account_id=None):
        """Pay as of nine in the morning; told a second time it is taken once."""
        payment = Payment(
            account_id or self.account(number),
            minor,
            tender,
            self.clock(9).now(),
            key or f"{number}:{self.day}",
        )
        for _ in range(2):
            with self.database.writing() as session:
                (taken,) = take_payments(session, SCOPE, [payment], self.clock())
        self.paid_minor[tender] = self.paid_minor.get(tender, 0) + minor
        return taken

    def owed_minor(self, number):
        return max(0, -self.posted_minor(self.account(number)))

    def posted_minor(self, account_id):
        with self.database.reading() as session:
            balances = wallet_store.balances(session, [account_id], self.clock(23).now())
        return balances[account_id].posted_minor

    def states(self, number, flag, value, document="act"):
        with self.database.writing() as session:
            set_flag(
                session,
                SCOPE,
                self.account(number),
                flag,
                value,
                since=self.day,
                document=document,
                clock=self.clock(),
            )

    def signs(self, number, minor):
        order = reserve_service.SignOrder(
            self.account(number), "half_year", minor, ZONE, f"sign:{number}:{self.day}"
        )
        for _ in range(2):
            with self.database.writing() as session:
                done = reserve_service.sign(session, PERSON, order, self.clock())
        return done.reserve_id

    def moves_reserve(self, what, number, reserve_id, minor):
        order = reserve_service.MoveOrder(
            self.account(number), reserve_id, minor, ZONE, f"{what.__name__}:{self.day}"
        )
        for _ in range(2):
            with self.database.writing() as session:
                what(session, PERSON, order, self.clock())

    def puts(self, number, reason, kind, minor, against, **more):
        order = PutOrder(
            account_id=self.account(number),
            reason=reason,
            kind=kind,
            amount_minor=minor,
            against=against,
            valid_at=self.clock(9).now(),
            zone=ZONE,
            actor="test",
            idempotency_key=f"put:{number}:{self.day}",
            **more,
        )
        for _ in range(2):
            with self.database.writing() as session:
                put(session, order, self.clock())

    def voids(self, number, taken, minor, tender):
        """A bank takes a payment back; the bonus goes with it."""
        order = ReverseOrder(
            self.account(number),
            taken.result.entry_id,
            "отозван",
            self.clock(11).now(),
            ZONE,
            "user:1",
            f"void:{number}:{self.day}",
        )
        for _ in range(2):
            with self.database.writing() as session:
                void_top_up(session, order, self.clock(11))
        self.paid_minor[tender] -= minor

    def is_given_notice(self):
        """Hand over every notice of a limitation that was ordered, and have it signed."""
        with self.database.writing() as session:
            ids = session.scalars(
                select(NoticeRow.id)
                .where(NoticeRow.kind == NoticeKind.LIMITATION)
                .order_by(NoticeRow.id)
            ).all()
            for notice_id in ids:
                order = DeliveryOrder(
                    notice_id, DeliveryMethod.RECEIPT_IN_HAND, self.clock(9).now(), "расписка"
                )
                record_delivery(session, SCOPE, order, self.clock())
        return len(ids)

    def agrees_to_instalments(self, number):
        with self.database.writing() as session:
            terms = agreement_terms(
                session,
                self.account(number),
                months=4,
                first_due_on=self.day + timedelta(days=30),
                rate_bp=12_00,
                clock=self.clock(),
            )
            order = AgreementOrder(self.account(number), terms, "No 1", f"agree:{self.day}")
            sign(session, SCOPE, order, self.clock())

    def refunds(self, number, minor):
        order = AskOrder(
            self.account(number), minor, "Иванова", "4081", f"refund:{self.day}", "заявление"
        )
        with self.database.writing() as session:
            ask_for_refund(session, SCOPE, order, self.clock())

    def pays_out(self):
        with self.database.writing() as session:
            for refund in refund_store.refunds(session, SCOPE):
                if refund.settled_at is None:
                    order = PayOrder(refund.id, "п/п 1", ZONE)
                    pay_refund(session, SCOPE, order, self.clock())
                    self.paid_minor["out"] = self.paid_minor.get("out", 0) - refund.amount_minor

    def transfers(self, source, target, minor):
        order = TransferOrder(
            self.number(source), self.number(target), minor, f"t:{self.day}", why="заявление"
        )
        for _ in range(2):
            with self.database.writing() as session:
                transfer(session, SCOPE, order, self.clock())

    def leaves(self, number, newcomer):
        order = MoveOrder(
            AccountMoveKind.PAYER_CHANGE,
            self.day,
            f"move:{self.day}",
            account_number=self.number(number),
            newcomer=newcomer,
            rest=Rest.REFUND,
            refund_to="Иванова",
            requisites="40817810000000000001, БАНК",
        )
        for _ in range(2):
            done = move(self.application(), SCOPE, order)
        assert done.document_number
        with self.database.reading() as session:
            query = select(AccountRow.id).where(AccountRow.number == newcomer.number)
            self.town.accounts[f"P{number}"] = AccountId(session.scalars(query).one())

    # --- what each day brings ---

    def reads(self, day):
        """Let the meters' day come in: their hours, all channels in one batch."""
        channels = [self.town.channels[f"P{n}"] for n in range(1, HOUSEHOLDS + 1)]
        hours = intervals_in_day(day, ZONE, 60)
        energy = np.array(
            [[hourly_wh(n, day, hour) for hour in range(hours)] for n in range(1, HOUSEHOLDS + 1)]
        )
        block = whole_days(60, channels, [day] * len(channels), energy)
        with self.database.writing() as session:
            write_days(session, [block], self.clock(6), source="test")

    def runs_jobs(self, *, twice=True):
        """Run every job of the day; the second time nothing may come of it."""
        application = self.application(JOBS_HOUR)
        self._run(application)
        if twice:
            before = self.grown()
            self._run(application)
            assert self.grown() == before, self.day

    def _run(self, application):
        for job in JOBS:
            for run in run_due(application, job, again=True):
                assert run.state is JobState.DONE, (self.day, run)

    def closes(self, month):
        """Close a month: the balance that was shown before is the one that it leaves."""
        application = self.application(14)
        now = application.clock.now()
        with self.database.reading() as session:
            ids = sorted(set(self.town.accounts.values()))
            shown = {
                i: one.balance.posted_minor - one.balance.rated_minor
                for i, one in overviews(session, ids, now).items()
            }
            last_entry = session.scalar(select(func.max(JournalEntryRow.id)))
            rated = self._running_part(session, ids, month, now)
        close_month(application, month, scope=SCOPE)
        before = self.grown()
        close_month(application, month, scope=SCOPE)
        assert self.grown() == before, month
        with self.database.reading() as session:
            query = (
                select(WalletRow.account_id, func.sum(JournalEntryRow.amount_minor))
                .join(JournalEntryRow, JournalEntryRow.wallet_id == WalletRow.id)
                .where(JournalEntryRow.id > last_entry, JournalEntryRow.reason == Reason.BONUS)
                .group_by(WalletRow.account_id)
            )
            bonus = dict(tuple(row) for row in session.execute(query))
            query = (
                select(ChargeLineRow.account_id, func.sum(ChargeLineRow.amount_minor))
                .where(
                    ChargeLineRow.charge_month == month.ordinal,
                    ChargeLineRow.line_key.startswith("guarantee:"),
                )
                .group_by(ChargeLineRow.account_id)
            )
            promised = dict(tuple(row) for row in session.execute(query))
            after = wallet_store.balances(session, ids, now)
        for account_id in ids:
            given = int(bonus.get(account_id, 0)) - int(promised.get(account_id, 0))
            expected = shown[account_id] + rated[account_id] + given
            assert after[account_id].posted_minor == expected, (month, account_id)

    def _running_part(self, session, ids, month, now):
        """Return what of the rated and unposted kopecks is of the month that runs on."""
        from billing import store as billing_store
        from billing.models import Service
        from billing.month.service import rate_month

        running = month.plus(1)
        accounts = billing_store.billed_accounts(session, ids, running)
        rated = rate_month(session, accounts, running, until=self.day)
        rows = billing_store.running_charges(session, ids, running)
        found = dict.fromkeys(ids, 0)
        for account_id, charge in rated.charges.items():
            row = rows.get((account_id, str(Service.ELECTRICITY)))
            posted = 0 if row is None else row.posted_minor
            found[account_id] = charge.total_minor(Service.ELECTRICITY) - posted
        return found

    # --- what must hold ---

    def grown(self):
        """Return the sizes of what only grows, and the heads of all wallets."""
        with self.database.reading() as session:
            sizes = tuple(
                session.scalar(select(func.count()).select_from(table)) for table in GROWN
            )
        return sizes, self.heads()

    def heads(self):
        with self.database.reading() as session:
            query = select(
                WalletRow.account_id,
                WalletRow.entry_count,
                WalletRow.lots_minor - WalletRow.uncovered_minor,
                WalletRow.head_digest,
            ).order_by(WalletRow.account_id)
            return [tuple(row) for row in session.execute(query)]

    def is_sound(self):
        """Assert that what is stored agrees with itself, and cash with what was paid."""
        assert verify_all(self.application(23)) == (), self.day
        with self.database.reading() as session:
            trial: dict[str, int] = {}
            for side, sign_ in ((PostingRow.debit_id, 1), (PostingRow.credit_id, -1)):
                query = (
                    select(LedgerAccountRow.code, func.sum(PostingRow.amount_minor))
                    .join(PostingRow, side == LedgerAccountRow.id)
                    .group_by(LedgerAccountRow.code)
                )
                for code, minor in session.execute(query):
                    trial[code] = trial.get(code, 0) + sign_ * int(minor)
            taken = session.scalar(
                select(func.sum(AutoTopUpAttemptRow.amount_minor)).where(
                    AutoTopUpAttemptRow.outcome == "taken"
                )
            )
        assert sum(trial.values()) == 0, self.day
        kept = sum(minor for code, minor in trial.items() if code.startswith(cash("")))
        assert abs(kept) == sum(self.paid_minor.values()) + int(taken or 0), (self.day, trial)

    def documents(self):
        """Return the issued documents' keys and digests: equal on every engine."""
        with self.database.reading() as session:
            query = select(DocumentRow.number, DocumentRow.digest).order_by(DocumentRow.number)
            return [tuple(row) for row in session.execute(query)]


def found_house(database, folder):
    """Found the house on its first day: plans, rules of bonuses, an offer of reserves, people."""
    without_waiting_for_the_disk(database)
    town = Town(database, folder, flats=HOUSEHOLDS, opened_on=OPENED, plan=SINGLE, interval_min=60)
    house = House(town)
    if database.is_sqlite:
        # While one connection is open the log is not thrown away with each other one: 5 ms each.
        house.keeper = database.engine.raw_connection()
        house.keeper.cursor().execute("SELECT count(*) FROM account").fetchall()
    clock = house.clock(0)
    rules = replace(late_fee_rules(), key_rates_known_until=date(2027, 12, 31))
    database.engine.update_execution_options(**{RULES_OPTION: DebtRules(late_fees=rules)})
    with database.writing() as session:
        for plan in (TWO_ZONES, DIGITAL):
            publish_version(session, PublishOrder(SCOPE, plan), clock)
        session.execute(update(RetailerRow).values(demo=True))
        told = [house.account(number) for number in (AUTO, HUNTER)]
        session.execute(
            update(AccountRow).where(AccountRow.id.in_(told)).values(email="flat@town.example")
        )
        for number, (plan, settlement) in PLANS.items():
            session.execute(
                update(AccountTermRow)
                .where(AccountTermRow.account_id == house.account(number))
                .values(plan_id=plan_by_code(session, plan).id, settlement=settlement)
            )
        campaign = CampaignOrder("spring", "Весна", 300_00, OPENED, date(2027, 1, 1))
        begin_campaign(session, SCOPE, campaign, clock)
        for number, text in enumerate(BONUS_RULES):
            publish_rule(session, SCOPE, text, f"{number}", clock, today=OPENED)
        offer = reserve_service.OfferOrder(SCOPE, OFFER, "offer.yaml")
        reserve_service.publish_offer(session, offer, clock)
        for number, size, card in (
            (AUTO, UpToTarget(900_00), "demo-pays"),
            (REFUSED, FixedAmount(500_00), "demo-refuses"),
        ):
            rule = AutoTopUpRule(BelowThreshold(300_00), size, OPENED, 2000_00, window_days=7)
            order = AgreeOrder(house.account(number), rule, DEMO_PROVIDER, card, "4242")
            agree(session, SCOPE, order, clock)
    return house


def hourly_wh(number, day, hour):
    """Return what a flat uses in an hour: the hunter learns to wash at night in April."""
    base = 120 + 15 * number + (17 * day.toordinal() + 7 * hour + 13 * number) % 60
    if number == HUNTER:
        night = not 7 <= hour < 23
        return base + (600 if night and day.month >= 4 else 0)
    return base + (150 if 17 <= hour < 23 else 0)
