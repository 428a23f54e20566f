from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.payments.auto_top_up import (
    Attempts,
    AutoTopUpRule,
    BelowThreshold,
    DayOfMonth,
    Decision,
    FixedAmount,
    Outcome,
    UpToTarget,
    Why,
    confirmed,
    decide,
    noted,
    told,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "top-ups.md"
FIRST = date(2026, 11, 1)
ON = date(2026, 11, 20)
DAY = timedelta(days=1)
NONE = Attempts()


def rule(trigger=None, size=None, **changes):
    kept = {"trigger": trigger or BelowThreshold(300_00), "size": size or FixedAmount(500_00)}
    return AutoTopUpRule(**(kept | {"valid_from": FIRST, "most_minor": 2000_00} | changes))


def taken(on, count=1):
    return Attempts(count, Outcome.TAKEN, on, last_taken_on=on)


def refused(on, refusals=1, count=1):
    return Attempts(count, Outcome.REFUSED, on, refusals=refusals)


@pytest.mark.parametrize(
    ("size", "available_minor", "amount_minor", "why"),
    [
        (FixedAmount(500_00), 300_00, 0, Why.ENOUGH),
        (FixedAmount(500_00), 299_99, 500_00, Why.BELOW_THRESHOLD),
        (UpToTarget(1000_00), 299_99, 700_01, Why.BELOW_THRESHOLD),
        (UpToTarget(1000_00), -250_00, 1250_00, Why.BELOW_THRESHOLD),
        (UpToTarget(1000_00), -9000_00, 2000_00, Why.BELOW_THRESHOLD),
        (UpToTarget(300_00), 299_99, 1, Why.BELOW_THRESHOLD),
    ],
)
def test_below_the_threshold_an_amount_or_what_is_missing_is_asked_for(
    size, available_minor, amount_minor, why
):
    decision = decide(rule(size=size), ON, available_minor, NONE)

    assert (decision.amount_minor, decision.why) == (amount_minor, why)
    assert decision.attempt == (1 if amount_minor else 0)


def test_a_lack_that_is_not_worth_a_payment_is_rounded_up():
    small = rule(size=UpToTarget(300_00), least_minor=100_00)

    assert decide(small, ON, 299_99, NONE).amount_minor == 100_00


@pytest.mark.parametrize(
    ("on", "last_taken_on", "amount_minor", "why"),
    [
        (date(2026, 11, 14), None, 0, Why.DAY_NOT_COME),
        (date(2026, 11, 15), None, 500_00, Why.DAY_CAME),
        (date(2026, 11, 15), date(2026, 11, 14), 500_00, Why.DAY_CAME),
        # A job that comes late catches the day up, once.
        (date(2026, 11, 18), date(2026, 10, 15), 500_00, Why.DAY_CAME),
        (date(2026, 11, 18), date(2026, 11, 15), 0, Why.DAY_NOT_COME),
        (date(2026, 12, 14), None, 500_00, Why.DAY_CAME),
        (date(2026, 12, 14), date(2026, 11, 30), 0, Why.DAY_NOT_COME),
        (date(2026, 12, 15), date(2026, 11, 30), 500_00, Why.DAY_CAME),
    ],
)
def test_a_day_of_the_month_comes_once(on, last_taken_on, amount_minor, why):
    attempts = taken(last_taken_on) if last_taken_on else NONE

    decision = decide(rule(DayOfMonth(15)), on, 9000_00, attempts)

    assert (decision.amount_minor, decision.why) == (amount_minor, why)


def test_the_first_day_of_a_rule_may_be_its_day_of_the_month():
    assert decide(rule(DayOfMonth(1)), FIRST, 0, NONE).why is Why.DAY_CAME
    assert decide(rule(DayOfMonth(31)), FIRST, 0, NONE).why is Why.DAY_NOT_COME


def test_an_amount_may_be_the_least_and_the_most_at_once():
    most = rule(size=FixedAmount(10**13), least_minor=10**13, most_minor=10**13)

    assert decide(most, ON, 0, NONE).amount_minor == 10**13


@pytest.mark.parametrize(
    ("on", "latest"),
    [
        (date(2027, 2, 27), date(2027, 1, 31)),
        (date(2027, 2, 28), date(2027, 2, 28)),
        (date(2028, 2, 28), date(2028, 1, 31)),
        (date(2028, 2, 29), date(2028, 2, 29)),
        (date(2026, 4, 30), date(2026, 4, 30)),
    ],
)
def test_a_month_without_the_day_has_it_on_its_last(on, latest):
    assert DayOfMonth(31).latest(on) == latest


def test_a_day_that_came_while_there_was_enough_is_done_with():
    monthly = rule(DayOfMonth(15), UpToTarget(1000_00))

    assert decide(monthly, date(2026, 11, 15), 1000_00, NONE) == Decision(0, Why.ENOUGH)
    known = noted(NONE, Decision(0, Why.ENOUGH), date(2026, 11, 15))
    assert decide(monthly, date(2026, 11, 16), 900_00, known).why is Why.DAY_NOT_COME
    assert decide(monthly, date(2026, 12, 15), 900_00, known).amount_minor == 100_00


def test_within_a_window_money_is_asked_for_once():
    weekly = rule(window_days=7)

    within = decide(weekly, ON, 0, taken(ON - 6 * DAY))
    over = decide(weekly, ON + DAY, 0, taken(ON - 6 * DAY))

    assert within == Decision(0, Why.WITHIN_WINDOW, not_before=ON + DAY)
    assert over == Decision(500_00, Why.BELOW_THRESHOLD, attempt=2)


def test_a_refusal_pauses_the_rule_and_several_in_a_row_stop_it():
    assert decide(rule(), ON, 0, refused(ON - 2 * DAY)) == Decision(
        0, Why.PAUSED, not_before=ON + DAY
    )
    assert decide(rule(), ON, 0, refused(ON - 3 * DAY)).amount_minor == 500_00
    assert decide(rule(), ON, 0, refused(ON - 300 * DAY, refusals=3)).why is Why.STOPPED


def test_who_confirms_the_rule_need_not_wait_for_the_pause():
    stopped = refused(ON, refusals=3)

    assert decide(rule(), ON, 0, confirmed(stopped)).amount_minor == 500_00


def test_while_a_payment_is_under_way_nothing_is_asked_for():
    under_way = Attempts(4, Outcome.PENDING, ON - 90 * DAY)

    assert decide(rule(), ON, -9000_00, under_way) == Decision(0, Why.UNDER_WAY)


@pytest.mark.parametrize(
    ("on", "why"),
    [
        (FIRST - DAY, Why.NOT_IN_FORCE),
        (FIRST, Why.BELOW_THRESHOLD),
        (ON - DAY, Why.BELOW_THRESHOLD),
        (ON, Why.NOT_IN_FORCE),
    ],
)
def test_a_rule_asks_for_nothing_outside_its_dates(on, why):
    assert decide(rule(valid_until=ON), on, 0, NONE).why is why


@pytest.mark.parametrize(
    "changes",
    [
        {"size": FixedAmount(2000_01)},
        {"size": FixedAmount(0)},
        {"size": UpToTarget(299_99)},
        {"least_minor": 0},
        {"most_minor": 10**13 + 1},
        {"window_days": 0},
        {"pause_days": 0},
        {"refusals_most": 0},
    ],
)
def test_a_rule_without_sense_cannot_be_made(changes):
    with pytest.raises(ValueError, match="AutoTopUpRule"):
        rule(**changes)
    with pytest.raises(ValueError, match="day of a month"):
        DayOfMonth(32)
    for known in ({"latest": Outcome.TAKEN}, {"latest_on": ON}):
        with pytest.raises(ValueError, match="outcome"):
            Attempts(1, **known)


def test_the_worked_days_of_the_page_are_decided_as_it_says():
    text = PAGE.read_text(encoding="utf-8").split("| Day | Available")[1].split("\n\n")[0]
    lines = text.splitlines()[2:]
    worked = rule(size=UpToTarget(1000_00), window_days=7)
    attempts = NONE

    assert len(lines) == 11
    for line in lines:
        day, available, asked, why, bank = (cell.strip(" `") for cell in line.split("|")[1:-1])
        on = date.fromisoformat(day)
        decision = decide(worked, on, int(Decimal(available) * 100), attempts)
        assert decision.amount_minor == int(Decimal(asked) * 100), line
        assert decision.why == why, line
        attempts = noted(attempts, decision, on)
        if bank:
            attempts = told(attempts, Outcome(bank))


RULES = st.builds(
    rule,
    st.builds(DayOfMonth, st.integers(1, 31)) | st.just(BelowThreshold(300_00)),
    st.sampled_from([FixedAmount(500_00), UpToTarget(1000_00)]),
    window_days=st.integers(1, 40),
    pause_days=st.integers(1, 10),
    refusals_most=st.integers(1, 4),
)
DAYS = st.lists(
    st.tuples(st.integers(-500_00, 2000_00), st.sampled_from(Outcome), st.integers(1, 5)),
    min_size=1,
    max_size=120,
)


@given(chosen=RULES, days=DAYS)
def test_in_any_life_of_a_rule_no_window_holds_two_top_ups(chosen, days):
    on, attempts, taken_on, refused_on = FIRST, NONE, [], []
    for available_minor, outcome, wait in days:
        decision = decide(chosen, on, available_minor, attempts)
        attempts = noted(attempts, decision, on)
        if decision.amount_minor:
            assert decision.amount_minor <= chosen.most_minor
            (refused_on if outcome is Outcome.REFUSED else taken_on).append(on)
            attempts = told(attempts, outcome)
        elif decision.why is Why.UNDER_WAY and outcome is not Outcome.REFUSED:
            attempts = told(attempts, outcome)
        on += wait * DAY

    for earlier, later in pairwise(taken_on):
        assert (later - earlier).days >= chosen.window_days
    for earlier, later in pairwise(refused_on):
        assert (later - earlier).days >= chosen.pause_days


@given(
    chosen=RULES,
    on=st.integers(0, 90),
    available_minor=st.integers(-500_00, 2000_00),
    less_minor=st.integers(0, 500_00),
)
def test_who_has_less_is_never_asked_for_less(chosen, on, available_minor, less_minor):
    day = FIRST + on * DAY

    more = decide(chosen, day, available_minor - less_minor, NONE)

    assert more.amount_minor >= decide(chosen, day, available_minor, NONE).amount_minor


@given(
    chosen=RULES,
    on=st.integers(0, 90),
    available_minor=st.integers(-500_00, 2000_00),
    attempts=st.sampled_from([NONE, taken(ON), refused(ON), refused(ON, 4)]),
)
def test_a_day_on_which_it_is_worth_asking_again_lies_ahead(chosen, on, available_minor, attempts):
    day = FIRST + on * DAY

    decision = decide(chosen, day, available_minor, attempts)

    assert decision.not_before is None or decision.not_before > day
    assert bool(decision.amount_minor) == (decision.attempt > 0)
