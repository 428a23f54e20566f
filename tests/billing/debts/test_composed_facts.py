"""Services judged by facts composed of bills, payments, flags and notices: nothing unknown cuts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from billing.debts.bills import ChargedSum, Movement, account_debts
from billing.debts.facts import AccountInputs, service_facts
from billing.debts.norms import electricity_month_minor, norm_quantity
from billing.debts.service import _holidays_from
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.ids import AccountId
from metering.estimation.methods import Norm
from tariffs.documents import parse_tariff
from tests.scenarios.by_hand_town import tariff
from wallet.debts.agreements import Agreement, AgreementTerms
from wallet.debts.flags import Flags
from wallet.debts.service_state import (
    DeliveredNotice,
    Guard,
    ServiceState,
    Supply,
    decide,
    guard_sets,
)
from wallet.ledger import Reason

ZONE = ZoneInfo("Asia/Vladivostok")
HOUSEHOLD = guard_sets()["household_ru"]
FIRST = Month(2026, 1)
NORM_MINOR = 600_00


def due_on(month: Month) -> date:
    return month.plus(1).first_day.replace(day=15)


def noon(day: date) -> datetime:
    return (local_midnight(day, ZONE) + timedelta(hours=12)).astimezone(UTC)


def paid(number: int, day: date, amount_minor: int) -> Movement:
    return Movement(number, Reason.TOP_UP, amount_minor, day, noon(day))


DAYS = st.integers(0, 300).map(lambda n: FIRST.first_day + timedelta(days=n))
LIVES = st.fixed_dictionaries(
    {
        "bills": st.lists(st.integers(100_00, 1500_00), min_size=1, max_size=8),
        "payments": st.lists(st.tuples(DAYS, st.integers(1_00, 3000_00)), max_size=5),
        "vulnerable": st.sampled_from([None, True, False]),
        "never_cut": st.booleans(),
        "norm": st.sampled_from([None, NORM_MINOR]),
        "notice": st.none() | st.tuples(DAYS, st.sampled_from(["", "signature"])),
        "agreed_on": st.none() | DAYS,
        "service": st.sampled_from(["electricity", "heat", "cold_water"]),
        "on": DAYS,
    }
)


@given(life=LIVES)
def test_a_random_life_is_limited_only_where_every_guard_was_passed(life):
    service, on = life["service"], life["on"]
    sums = [
        ChargedSum(FIRST.plus(n).ordinal, FIRST.plus(n).ordinal, service, amount)
        for n, amount in enumerate(life["bills"])
    ]
    movements = [paid(n, day, amount) for n, (day, amount) in enumerate(life["payments"])]
    debts = account_debts(sums, movements, due_on)
    agreements = ()
    if life["agreed_on"] is not None:
        first_due = life["agreed_on"] + timedelta(days=30)
        terms = AgreementTerms(1000_00, 4, life["agreed_on"], first_due)
        signed = noon(life["agreed_on"])
        agreements = (Agreement(1, AccountId(1), terms, "", "test", signed),)
    notice = (
        None
        if life["notice"] is None
        else DeliveredNotice(noon(life["notice"][0]), life["notice"][1])
    )
    inputs = AccountInputs(
        account_id=AccountId(1),
        zone=ZONE,
        debts=debts,
        flags=Flags(vulnerable=life["vulnerable"], never_cut=life["never_cut"]),
        norm_months={service: life["norm"]},
        apartment_house=True,
        agreements=agreements,
        notices={} if notice is None else {service: notice},
    )

    decision = decide(service_facts(inputs, service, HOUSEHOLD, noon(on)), HOUSEHOLD)

    if decision.state not in (ServiceState.LIMITED, ServiceState.SUSPENDED):
        return
    came = sum(minor for day, minor in life["payments"] if day <= on)
    asked = sum(amount for n, amount in enumerate(life["bills"]) if due_on(FIRST.plus(n)) < on)
    assert service == "electricity"
    assert life["vulnerable"] is False
    assert not life["never_cut"]
    assert life["norm"] is not None
    assert asked - came > 2 * life["norm"]
    assert notice is not None
    assert notice.proof
    assert (on - life["notice"][0]).days > 20
    assert not any(one.stands(one.paid_since(debts.paid), on) for one in agreements)


def judged(**changes):
    """Return the decision on a debt of 2000.00 that has passed every guard, but for `changes`."""
    sums = [ChargedSum(FIRST.ordinal, FIRST.ordinal, "electricity", 2000_00)]
    inputs = AccountInputs(
        account_id=AccountId(1),
        zone=ZONE,
        debts=account_debts(sums, [], due_on),
        flags=Flags(vulnerable=False),
        norm_months={"electricity": NORM_MINOR},
        apartment_house=True,
        notices={"electricity": DeliveredNotice(noon(date(2026, 3, 1)), "signature")},
    )
    inputs = replace(inputs, **changes)
    facts = service_facts(inputs, "electricity", HOUSEHOLD, noon(date(2026, 4, 1)))
    return decide(facts, HOUSEHOLD)


def test_a_debt_that_passed_every_guard_is_limited():
    assert judged().state is ServiceState.LIMITED


def test_each_missing_fact_protects():
    for guard, changes in {
        Guard.VULNERABLE: {"flags": Flags()},
        Guard.NORM: {"norm_months": None},
        Guard.NOTICE: {"notices": None},
        Guard.NEVER_LIST: {"flags": Flags(vulnerable=False, never_cut=True)},
    }.items():
        decision = judged(**changes)

        assert guard in {held.guard for held in decision.held_by}, guard
        assert decision.wanted is Supply.FULL, guard


def test_a_payment_counts_at_once():
    sums = [ChargedSum(FIRST.ordinal, FIRST.ordinal, "electricity", 2000_00)]
    movements = [paid(1, date(2026, 4, 1), 2000_00)]

    assert judged(debts=account_debts(sums, movements, due_on)).state is ServiceState.NORMAL


def test_a_month_by_the_norm_costs_the_dearest_rate():
    norms = [Norm("estove", date(2012, 9, 1), 0, 0, 77_000, "a test")]
    zones = "zones: {day: [07:00-23:00], night: [23:00-07:00]}"
    version = parse_tariff(tariff("two_zone", [("2017-01-01", "{day: 6, night: 2}")], zones))
    day = date(2026, 4, 1)

    energy_wh = norm_quantity(norms, "estove", day, rooms=None, persons=2)

    assert energy_wh == 154_000
    assert electricity_month_minor(version, energy_wh, day, 2) == 924_00
    assert norm_quantity(norms, "", day, rooms=None, persons=2) is None
    assert norm_quantity(norms, "estove", day, rooms=None, persons=0) == 77_000


def test_a_year_whose_days_off_are_not_decreed_is_not_known():
    assert {day.year for day in _holidays_from(2026)} == {2026, 2027}
    assert {day.year for day in _holidays_from(2027)} == {2027}
    assert _holidays_from(2040) == frozenset()
    assert date(2026, 1, 9) in _holidays_from(2026)  # moved there by the decree
