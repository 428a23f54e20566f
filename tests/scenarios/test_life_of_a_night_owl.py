"""A year of somebody who learns to wash at night, pays early and keeps out of debt.

An hour of day takes 300 Wh, one of the night 150 Wh before April and 600 Wh from then on; every
kopeck of every bonus is reckoned here by hand.
"""

from datetime import date, timedelta

import pytest

from billing.models import Settlement
from kilokassa.app.bonuses import grant_month_bonuses, preview_top_up, void_top_up, why_not
from kilokassa.app.closing import close_month
from kilokassa.app.payments import Payment, take_payments
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.money import half_up_ratio
from tests.scenarios.by_hand_town import SCOPE, ZONE
from tests.scenarios.plans_town import TWO_ZONES, PlansTown
from wallet import store as wallet_store
from wallet.bonuses import store
from wallet.bonuses.rules import Why
from wallet.bonuses.service import CampaignOrder, begin_campaign, publish_rule
from wallet.service import ReverseOrder, verify

RULES = (
    """
rule: size
name: 3 % от 2000 ₽
kind: size_of_top_up
from: 2026-01-01
expires_after_days: 60
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
expires_after_days: 365
terms: {months: 3, amount: 50.00}
""",
    """
rule: owl
name: За ночь
kind: moved_to_night
from: 2026-01-01
expires_after_days: 365
most: 60.00
terms: {rate: 0.50, former_least_kwh: 300}
""",
)
BUDGET_MINOR = 100_00
LATE = Month(2026, 8)
"""The bill of this month was paid only in October."""


def at(day, hours=0):
    return local_midnight(day, ZONE) + timedelta(hours=hours)


@pytest.fixture
def town(database, tmp_path):
    """A flat with two zones, from January, with all four rules published."""
    town = PlansTown(database, tmp_path, TWO_ZONES)
    town.has_plan("two_zone", date(2025, 1, 1), settlement=Settlement.POSTPAID)
    clock = FixedClock(at(date(2025, 12, 20)))
    with database.writing() as session:
        campaign = CampaignOrder(
            "spring", "Весна", BUDGET_MINOR, date(2026, 1, 1), date(2027, 1, 1)
        )
        begin_campaign(session, SCOPE, campaign, clock)
        for number, text in enumerate(RULES):
            publish_rule(session, SCOPE, text, f"{number}", clock, today=date(2025, 12, 20))
    return town


def night_wh(month):
    return 150 if month < Month(2026, 4) else 600


def used_minor(month):
    """Sixteen hours of the day at 6 roubles, eight of the night at 2, each line rounded once."""
    days = len(month.days)
    day_wh, by_night_wh = days * 16 * 300, days * 8 * night_wh(month)
    return half_up_ratio(day_wh * 600, 1000) + half_up_ratio(by_night_wh * 200, 1000)


def owl_minor(month):
    """What was moved against the months before, at half a rouble a kWh, sixty roubles at most."""
    former = [Month.from_ordinal(n) for n in range(Month(2026, 1).ordinal, month.ordinal)]
    energy = sum(len(m.days) * (16 * 300 + 8 * night_wh(m)) for m in former)
    night = sum(len(m.days) * 8 * night_wh(m) for m in former)
    if energy < 300_000:
        return 0
    days = len(month.days)
    now, now_night = days * (16 * 300 + 8 * night_wh(month)), days * 8 * night_wh(month)
    moved = max(0, now_night * energy - now * night)
    return min(60_00, half_up_ratio(moved * 50, energy * 1000))


class Owl:
    """What the year comes to, reckoned beside the program: postings alone, no lots but bonus."""

    def __init__(self, town):
        self.town = town
        self.balance_minor = 0
        self.campaign_minor = 0
        self.in_a_row = 0

    def pays(self, day, amount_minor, key):
        clock = FixedClock(at(day, 12))
        with self.town.database.writing() as session:
            (taken,) = take_payments(
                session,
                SCOPE,
                [Payment(self.town.account, amount_minor, "sbp", at(day, 10), key)],
                clock,
                tell=False,
            )
        return taken

    def posted_minor(self, day):
        with self.town.database.reading() as session:
            found = wallet_store.balances(session, [self.town.account], at(day))
        return found[self.town.account].posted_minor

    def foresees(self, day, amount_minor):
        with self.town.database.reading() as session:
            found = preview_top_up(session, self.town.account, amount_minor, day)
        return {one.rule.code: one.amount_minor for one in found}

    def grants(self):
        with self.town.database.reading() as session:
            return store.grants_of(session, SCOPE, self.town.account)


def test_a_year_of_a_night_owl(town):
    owl = Owl(town)
    expected_grants = {}
    for month in (Month(2026, n) for n in range(1, 13)):
        first, following = month.first_day, month.plus(1).first_day
        town.uses(first, following, lambda _, hour, m=month: 300 if 7 <= hour < 23 else night_wh(m))
        closed = following + timedelta(days=2)
        application = town.application(at(closed))
        close_month(application, month, scope=SCOPE, tell=False)
        bill_minor = used_minor(month)
        # Bonuses that came with the last bill have paid a part of this one already.
        owl.balance_minor -= bill_minor
        in_debt = month == LATE.plus(1)
        owl.in_a_row = 0 if in_debt else owl.in_a_row + 1
        calm_minor = 50_00 if owl.in_a_row and owl.in_a_row % 3 == 0 else 0
        for code, minor in (("calm", calm_minor), ("owl", owl_minor(month))):
            if minor:
                expected_grants[code, str(month)] = minor
                owl.balance_minor += minor
        for _ in range(2):  # the second time nothing is left to do
            grant_month_bonuses(application, month, scope=SCOPE)
        assert owl.posted_minor(closed) == owl.balance_minor, month

        if month == LATE:
            continue
        # Who rounds up to whole hundreds pays the last of the bill, and a little ahead.
        asked_minor = -owl.balance_minor
        amount_minor = -(-asked_minor // 100_00) * 100_00
        if amount_minor <= 0:
            continue
        paid_on = following + timedelta(days=3)
        size_minor = half_up_ratio(amount_minor * 3, 100) if amount_minor >= 2000_00 else 0
        size_minor = min(size_minor, BUDGET_MINOR - owl.campaign_minor)
        foreseen = owl.foresees(paid_on, amount_minor)
        taken = owl.pays(paid_on, amount_minor, f"pay:{month}")
        again = owl.pays(paid_on, amount_minor, f"pay:{month}")
        early_minor = foreseen.get("early", 0)
        assert early_minor == half_up_ratio(asked_minor * 2, 100), month
        assert foreseen.get("size", 0) == size_minor, month
        assert taken.result.bonus_minor == sum(foreseen.values()) == again.result.bonus_minor
        assert taken.result.balance_minor == again.result.balance_minor
        owl.campaign_minor += size_minor
        owl.balance_minor += amount_minor + sum(foreseen.values())
        assert owl.posted_minor(paid_on + timedelta(days=1)) == owl.balance_minor, month

    owl_of_year = {
        (one.rule_code, one.occasion_key.partition(":")[2]): one.amount_minor
        for one in owl.grants()
        if one.rule_code in {"calm", "owl"}
    }
    assert owl_of_year == expected_grants
    assert {code for code, _ in expected_grants} == {"calm", "owl"}
    with town.database.reading() as session:
        campaign = store.campaign_by_code(session, SCOPE, "spring")
        assert campaign.granted_minor == owl.campaign_minor <= BUDGET_MINOR
        assert list(verify(session)) == []


def test_a_bill_paid_in_two_parts_earns_with_the_second_and_loses_it_with_the_second(town):
    january = Month(2026, 1)
    owl = Owl(town)
    town.uses(date(2026, 1, 1), date(2026, 2, 1), 300)
    close_month(town.application(at(date(2026, 2, 3))), january, scope=SCOPE, tell=False)
    # 744 hours of 300 Wh: 496 by day at 6 and 248 by night at 2 roubles.
    bill_minor = 892_80 + 148_80

    part = owl.pays(date(2026, 2, 4), 541_60, "one")
    assert part.result.bonus_minor == 0
    assert owl.foresees(date(2026, 2, 5), 500_00) == {"early": half_up_ratio(bill_minor * 2, 100)}
    rest = owl.pays(date(2026, 2, 5), 500_00, "two")
    assert rest.result.bonus_minor == 20_83
    assert rest.result.bonus_rule == "early"

    clock = FixedClock(at(date(2026, 2, 6)))
    order = ReverseOrder(town.account, rest.result.entry_id, "slip", clock.now(), ZONE, "x", "v")
    for _ in range(2):
        with town.database.writing() as session:
            void_top_up(session, order, clock)
    assert owl.posted_minor(date(2026, 2, 7)) == 541_60 - bill_minor

    again = owl.pays(date(2026, 2, 7), 500_00, "three")
    assert again.result.bonus_minor == 0  # the seventh is three days before the tenth: too late
    with town.database.reading() as session:
        assert list(verify(session)) == []
        reasons = why_not(session, town.account, ZONE, january, date(2026, 2, 8))
    assert {(one.rule.code, one.why) for one in reasons} >= {
        ("size", Why.NOT_EARNED),
        ("calm", Why.NOT_EARNED),
    }
