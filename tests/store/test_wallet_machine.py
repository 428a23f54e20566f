"""Random lives of a wallet against a model that knows nothing of rows, entries or digests."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import FixedClock
from tests.wallet.builders import (
    STAFF,
    ZONE,
    accounts_with_wallets,
    at,
    batch,
    charge,
    order,
    without_waiting_for_the_disk,
)
from wallet import store
from wallet.ledger import Reason
from wallet.service import (
    OpeningOrder,
    ReverseOrder,
    charge_batch,
    expire_lots,
    post_opening,
    reverse_top_up,
    top_up,
    verify,
)
from wallet.topups import BonusRule

START = at((10, 1))
RULE = BonusRule("quarter", 20, 2_500, date(2026, 1, 1), expires_after_days=12)
BEFORE = timedelta(hours=5)
"""A charge is valid so long before it is recorded."""
ORDER = {"bonus": 0, "returned": 1, "own": 2}
NEVER = datetime.max.replace(tzinfo=START.tzinfo)


@dataclass
class ModelLot:
    """A lot, and what it paid by the month it paid for, with the step of the latest move."""

    kind: str
    amount: int
    came_at: datetime
    expires_at: datetime
    left: int = 0
    voided: bool = False
    expired: int = 0
    repaid: int = 0
    paid: dict = field(default_factory=dict)
    moved: dict = field(default_factory=dict)

    def move(self, month, amount, step):
        self.left -= amount
        self.paid[month] = self.paid.get(month, 0) + amount
        self.moved[month] = step


@dataclass
class Model:
    """A wallet as a clerk would keep it on paper."""

    lots: list[ModelLot] = field(default_factory=list)
    debt: int = 0
    """For what was used."""
    old_debt: int = 0
    step: int = 0

    @property
    def owed(self):
        return self.debt + self.old_debt

    def posted(self, now):
        return sum(lot.left for lot in self.lots if now < lot.expires_at) - self.owed

    def expire(self, now):
        for lot in self.lots:
            if lot.expires_at <= now:
                lot.expired += lot.left
                lot.left = 0

    def spend(self, amount, now, month=None, spare=None):
        places = sorted(
            range(len(self.lots)),
            key=lambda n: (
                ORDER[self.lots[n].kind],
                self.lots[n].expires_at,
                self.lots[n].came_at,
                n,
            ),
        )
        for place in places:
            lot = self.lots[place]
            part = min(lot.left, amount)
            if lot is not spare and now < lot.expires_at and part:
                self.step += 1
                lot.move(month, part, self.step)
                amount -= part
        self.debt += amount

    def bring(self, amount, now):
        used = self.debt
        self.spend(amount, now)
        self.debt, self.old_debt = used, self.old_debt + self.debt - used

    def put(self, kind, amount, now, expires_at=NEVER, came_at=None, share=0):
        lot = ModelLot(kind, amount, came_at or now, expires_at, left=amount)
        self.lots.append(lot)
        covered = min(self.debt, amount) if now < expires_at else 0
        lot.repaid = min(self.old_debt, amount * share // 100, amount - covered)
        if covered + lot.repaid:
            self.step += 1
            lot.move(None, covered + lot.repaid, self.step)
            self.debt -= covered
            self.old_debt -= lot.repaid
        return lot

    def give_back(self, amount, now, month):
        covered = min(self.debt, amount)
        self.debt -= covered
        amount -= covered
        payers = [
            (of != month, -lot.moved[of], place, of)
            for place, lot in enumerate(self.lots)
            for of in lot.paid
            if not lot.voided and now < lot.expires_at and lot.paid[of] > 0
        ]
        back = {}
        for _, _, place, of in sorted(payers):
            lot = self.lots[place]
            part = min(amount, lot.paid[of], lot.amount - lot.left - back.get(place, 0))
            back[place] = back.get(place, 0) + part
            amount -= part
        for place, part in back.items():
            if part:
                self.step += 1
                self.lots[place].move(month, -part, self.step)
        repaid = min(self.old_debt, amount)
        self.old_debt -= repaid
        amount -= repaid
        if amount:
            self.put("returned", amount, now, came_at=now - BEFORE)

    def void(self, lot, now):
        lot.voided = True
        own = lot.left
        lot.left = 0
        owed = min(lot.repaid, lot.amount - lot.expired - own)
        self.old_debt += owed
        self.spend(lot.amount - lot.expired - own - owed, now, spare=lot)


class WalletMachine(RuleBasedStateMachine):
    """Top-ups, charges, corrections, expiries and reversals of one wallet, in any order."""

    def __init__(self, database, accounts):
        super().__init__()
        self.database = database
        self.accounts = accounts

    @initialize()
    def open(self):
        (self.account_id,) = accounts_with_wallets(
            self.database, FixedClock(START), count=1, first=next(self.accounts)
        )
        self.model = Model()
        self.now = START
        self.keys = count(1)
        self.top_ups = []
        self.requests = []

    def do(self, deed, *, again=True):
        clock = FixedClock(self.now)
        with self.database.writing() as session:
            result = deed(session, clock)
        if again:
            self.requests.append(deed)
        return result

    def key(self):
        return f"{self.account_id}:{next(self.keys)}"

    @rule(
        amount=st.integers(1, 60),
        days_ago=st.sampled_from([0, 0, 1, 15]),
        share=st.sampled_from([0, 20, 35, 100]),
    )
    def top_up(self, amount, days_ago, share):
        valid_at = self.now - timedelta(days=days_ago)
        asked = {"valid_at": valid_at, "bonus_rules": (RULE,), "opening_share": share * 100}
        paid = order(self.account_id, amount, self.key(), **asked)

        result = self.do(lambda session, clock: top_up(session, paid, clock))

        self.model.expire(self.now)
        own, bonus = self.model.put("own", amount, self.now, came_at=valid_at, share=share), None
        if result.bonus_minor:
            ends = valid_at + timedelta(days=12)
            bonus = self.model.put("bonus", result.bonus_minor, self.now, ends, valid_at)
        assert bool(bonus) == (amount >= 20)
        self.top_ups.append((result.entry_id, own, bonus))

    @rule(amount=st.integers(1, 60))
    def spend(self, amount):
        month = Month.of(local_date(self.now, ZONE))
        self.charge(amount, month, Reason.CHARGE)

        self.model.spend(amount, self.now, month.ordinal)

    @rule(amount=st.integers(1, 60), months_ago=st.integers(0, 2))
    def favour(self, amount, months_ago):
        month = Month.of(local_date(self.now, ZONE)).plus(-months_ago)
        self.charge(-amount, month, Reason.CORRECTION)

        self.model.give_back(amount, self.now, month.ordinal)

    def charge(self, amount, month, reason):
        charged = charge(
            self.account_id,
            amount,
            Month.of(local_date(self.now, ZONE)),
            charge_month=month,
            valid_at=self.now - BEFORE,
            idempotency_key=self.key(),
            reason=reason,
        )
        self.do(lambda session, clock: charge_batch(session, batch(charged), clock))
        self.model.expire(self.now)

    @precondition(lambda self: self.model.step < 4)
    @rule(debt=st.integers(0, 40), advance=st.integers(0, 40))
    def bring_along(self, debt, advance):
        brought = OpeningOrder(
            self.account_id, debt, advance, self.now, ZONE, f"import{next(self.keys)}"
        )
        self.do(lambda session, clock: post_opening(session, [brought], clock))
        if debt != advance:
            self.model.expire(self.now)
        if debt > advance:
            self.model.bring(debt - advance, self.now)
        elif advance > debt:
            self.model.put("own", advance - debt, self.now, share=100)

    @precondition(lambda self: self.top_ups)
    @rule(data=st.data())
    def void(self, data):
        entry_id, own, bonus = self.top_ups.pop(
            data.draw(st.integers(0, len(self.top_ups) - 1), label="top-up")
        )
        reversal = ReverseOrder(self.account_id, entry_id, "x", self.now, ZONE, "u", self.key())
        self.do(lambda session, clock: reverse_top_up(session, reversal, clock))
        self.model.expire(self.now)
        if bonus is not None:
            self.model.void(bonus, self.now)
        self.model.void(own, self.now)

    @rule()
    def run_the_job(self):
        self.do(
            lambda session, clock: expire_lots(session, [self.account_id], ZONE, clock),
            again=False,
        )
        self.model.expire(self.now)

    @rule(days=st.integers(1, 9))
    def live_on(self, days):
        self.now += timedelta(days=days)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def repeat(self, data):
        deed = self.requests[data.draw(st.integers(0, len(self.requests) - 1), label="request")]
        before = self.entry_count()
        self.do(deed, again=False)
        assert self.entry_count() == before

    def entry_count(self):
        with self.database.reading() as session:
            entries = store.entries_of(session, STAFF, self.account_id, limit=1_000)
        return len([entry for entry in entries if entry.reason is not Reason.EXPIRY])

    @invariant()
    def the_wallet_is_as_the_clerk_has_it(self):
        with self.database.reading() as session:
            seen = store.balances(session, [self.account_id], self.now)[self.account_id]
            lots = store.lots_of(session, STAFF, self.account_id)
        living = [s.lot for s in lots if s.lot.alive_at(self.now)]
        assert seen.posted_minor == self.model.posted(self.now)
        assert seen.uncovered_minor == self.model.owed
        assert seen.opening_debt_minor == self.model.old_debt
        assert sorted((str(lot.kind), lot.remaining_minor) for lot in living) == sorted(
            (lot.kind, lot.left)
            for lot in self.model.lots
            if lot.left and self.now < lot.expires_at
        )
        assert not (seen.spendable_minor and seen.new_debt_minor)

    def teardown(self):
        with self.database.reading() as session:
            assert list(verify(session)) == []


@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_any_life_of_a_wallet_is_as_a_clerk_would_keep_it(database, examples):
    without_waiting_for_the_disk(database)
    accounts = count(1)  # each life has an account of its own

    run_state_machine_as_test(
        lambda: WalletMachine(database, accounts),
        settings=settings(
            max_examples=examples if database.is_sqlite else max(4, examples // 4),
            stateful_step_count=25,
            deadline=None,
            # A failing life is told as it was found; to shorten one takes minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
