from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kilokassa.core.ids import LotId
from wallet.lots import SPEND_ORDER, Draw, Lot, LotKind
from wallet.reserves.reserve import (
    PARTS_A_KOPECK,
    BreakRule,
    DayCount,
    Movement,
    NoAdditions,
    NotOffered,
    NotOwnMoney,
    Offer,
    OnlyByAPerson,
    OutsideTerm,
    PaidWhen,
    Rate,
    RateHolds,
    Rates,
    Reserve,
    ReserveAmount,
    StepKind,
    add,
    claw_back,
    cost,
    earned_parts,
    months_after,
    project,
    rate_parts,
    set_aside,
    sign,
    take_out,
    workings,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "reserve.md"
SIGNED = date(2026, 10, 10)
RESIDENT = "user:7"
NOON = datetime(2026, 11, 24, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def rates(*dated):
    return Rates(tuple(Rate(day, ppm) for day, ppm in dated))


def offer(**changes):
    kept = {"name": "half a year", "version": 1, "offered_from": date(2026, 1, 1)}
    kept |= {"term_months": 6, "rates": rates((date(2026, 1, 1), 120_000))}
    return Offer(**(kept | changes))


LOWER = {"break_rule": BreakRule.LOWER_RATE, "broken_rate_ppm": 30_000}


def worked():
    reserve = sign(offer(**LOWER), SIGNED, 10_000_00, RESIDENT)
    reserve = add(reserve, date(2026, 11, 20), 5_000_00, RESIDENT)
    return take_out(reserve, date(2027, 1, 15), 6_000_00, RESIDENT).reserve


def table(heading):
    text = PAGE.read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def minor(cell):
    return int(Decimal(cell) * 100)


def test_the_days_of_the_page_earn_what_it_says():
    for kept, ppm, start, end, counted, earned in table("## What a day earns"):
        start, end = date.fromisoformat(start), date.fromisoformat(end)
        parts = rate_parts(rates((start, int(ppm))), start, end, DayCount(counted))

        assert Fraction(int(kept) * parts, PARTS_A_KOPECK) == Fraction(earned), start


def test_the_worked_reserve_of_the_page_is_lived_to_the_kopeck():
    projection = project(worked(), date(2027, 4, 10))

    assert [
        [s.on, s.kind, s.amount_minor, s.kept_minor, s.bonus_minor] for s in projection.steps
    ] == [
        [date.fromisoformat(day), kind, *map(minor, amounts)]
        for day, kind, *amounts in table("## A worked reserve")
    ]
    assert (projection.kept_minor, projection.bonus_minor) == (0, 569_51)


def test_the_cost_of_the_page_is_that_of_november():
    credit = rates((date(2026, 1, 1), 180_000))

    november = cost([worked()], date(2026, 11, 1), date(2026, 12, 1), credit)

    assert november.average_minor == 11_833_33
    assert (november.bonus_minor, november.credit_minor) == (116_71, 175_07)
    assert november.saved_minor == 58_36


def test_a_year_that_is_kept_earns_the_rate_whatever_the_year():
    for year in (2026, 2028):
        first = date(year, 1, 1)
        yearly = offer(
            term_months=12, offered_from=first, rates=rates((first, 70_000)), paid_when="at_end"
        )
        reserve = sign(yearly, first, 1_000_00, RESIDENT)

        assert project(reserve, reserve.ends_on).bonus_minor == 70_00


def test_a_rate_that_changes_leaves_those_who_signed_alone_unless_the_offer_says_so():
    changing = rates((date(2026, 1, 1), 73_000), (SIGNED + DAY, 146_000))
    signed = sign(offer(rates=changing), SIGNED, 1_000_00, RESIDENT)
    dated = replace(signed, offer=replace(signed.offer, rate_holds=RateHolds.AS_DATED))

    assert earned_parts(signed, SIGNED + 2 * DAY) == 40 * PARTS_A_KOPECK
    assert earned_parts(dated, SIGNED + 2 * DAY) == 60 * PARTS_A_KOPECK


def test_what_came_last_leaves_first():
    reserve = worked()

    assert [(layer.amount_minor, layer.came_on, layer.left_on) for layer in reserve.layers()] == [
        (5_000_00, date(2026, 11, 20), date(2027, 1, 15)),
        (1_000_00, SIGNED, date(2027, 1, 15)),
        (9_000_00, SIGNED, None),
    ]


@pytest.mark.parametrize(
    ("rule", "paid_minor", "clawed_back_minor"),
    [
        # Paid by 1 January: 1000.00 for 83 days at 12 %, 27.29.
        ({"break_rule": BreakRule.ALL_LOST}, 0, 27_29),
        # At 3 % for 97 days: 7.97.
        (LOWER, 0, 19_32),
        ({"break_rule": BreakRule.UNPAID_LOST}, 0, 0),
        # Nothing was paid yet, so the lower rate is paid on the way out.
        (LOWER | {"paid_when": PaidWhen.AT_END}, 7_97, 0),
        ({"paid_when": PaidWhen.AT_END}, 0, 0),
    ],
)
def test_a_reserve_that_is_broken_whole_keeps_what_its_rule_says(
    rule, paid_minor, clawed_back_minor
):
    reserve = sign(offer(**rule), SIGNED, 1_000_00, RESIDENT)

    broken = take_out(reserve, date(2027, 1, 15), 1_000_00, RESIDENT)

    assert (broken.paid_minor, broken.clawed_back_minor) == (paid_minor, clawed_back_minor)
    assert broken.reserve.kept_minor(date(2027, 1, 15)) == 0
    later = project(broken.reserve, date(2027, 12, 1))
    assert later.bonus_minor == project(broken.reserve, date(2027, 1, 15)).bonus_minor


def test_on_a_day_of_payment_the_bonus_is_paid_before_the_reserve_is_broken():
    reserve = sign(offer(break_rule=BreakRule.UNPAID_LOST), SIGNED, 10_000_00, RESIDENT)

    broken = take_out(reserve, date(2026, 11, 1), 10_000_00, RESIDENT).reserve

    kinds = [step.kind for step in project(broken, date(2027, 12, 1)).steps]
    assert kinds == [StepKind.ADDED, StepKind.PAID, StepKind.TAKEN_OUT]


@pytest.mark.parametrize("actor", ["system", "job:close", "job:late_fee"])
def test_the_program_never_breaks_a_reserve(actor):
    reserve = sign(offer(), SIGNED, 1_000_00, RESIDENT)

    with pytest.raises(OnlyByAPerson, match=actor):
        take_out(reserve, SIGNED + DAY, 1_00, actor)


def test_a_job_may_set_aside_what_a_resident_has_agreed_to():
    reserve = sign(offer(), SIGNED, 1_000_00, RESIDENT)

    assert add(reserve, SIGNED, 1_00, "job:top_up").kept_minor(SIGNED) == 1_001_00


def test_what_cannot_be_done_to_a_reserve_is_refused_by_name():
    bounded = offer(least_minor=500_00, most_minor=2_000_00, offered_until=date(2026, 11, 1))
    reserve = sign(bounded, SIGNED, 1_000_00, RESIDENT)

    for kept_minor in (499_99, 2_000_01):
        with pytest.raises(ReserveAmount):
            sign(bounded, SIGNED, kept_minor, RESIDENT)
    for on in (date(2025, 12, 31), date(2026, 11, 1)):
        with pytest.raises(NotOffered):
            sign(bounded, on, 1_000_00, RESIDENT)
    with pytest.raises(ReserveAmount):
        add(reserve, SIGNED, 1_000_01, RESIDENT)
    with pytest.raises(ReserveAmount):
        take_out(reserve, SIGNED, 500_01, RESIDENT)
    with pytest.raises(ReserveAmount):
        take_out(reserve, SIGNED, 1_000_01, RESIDENT)
    for on in (SIGNED - DAY, date(2027, 4, 10)):
        with pytest.raises(OutsideTerm):
            take_out(reserve, on, 1_00, RESIDENT)
    closed = replace(reserve, offer=replace(bounded, takes_additions=False))
    with pytest.raises(NoAdditions):
        add(closed, SIGNED, 1_00, RESIDENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"term_months": 0},
        {"term_months": 61},
        {"rates": rates((date(2026, 1, 2), 1))},
        {"broken_rate_ppm": 1},
        {"break_rule": BreakRule.LOWER_RATE, "broken_rate_ppm": 120_001},
        {"least_minor": 0},
        {"least_minor": 2, "most_minor": 1},
        {"bonus_expires_after_days": 0},
    ],
)
def test_an_offer_without_sense_cannot_be_made(changes):
    with pytest.raises(ValueError, match="Offer"):
        offer(**changes)


def test_rates_that_do_not_follow_one_another_cannot_be_made():
    with pytest.raises(ValueError, match="follow"):
        rates((SIGNED, 1), (SIGNED, 2))
    with pytest.raises(ValueError, match="follow"):
        rates()
    with pytest.raises(ValueError, match="100 %"):
        Rate(SIGNED, 1_000_001)


@pytest.mark.parametrize(
    ("signed_on", "months", "ends_on"),
    [
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 12, 31), 1, date(2027, 1, 31)),
    ],
)
def test_a_term_ends_on_the_same_day_or_the_last_of_a_shorter_month(signed_on, months, ends_on):
    assert months_after(signed_on, months) == ends_on


@pytest.mark.parametrize(
    ("bonus_left_minor", "returning_minor", "taken"),
    [(100, 100, (65, 0, 0)), (40, 100, (40, 25, 0)), (40, 20, (40, 20, 5)), (0, 65, (0, 65, 0))],
)
def test_an_unearned_bonus_is_taken_from_the_bonus_first_and_never_becomes_a_debt(
    bonus_left_minor, returning_minor, taken
):
    back = claw_back(65, bonus_left_minor=bonus_left_minor, returning_minor=returning_minor)

    assert (back.from_bonus_minor, back.from_reserve_minor, back.waived_minor) == taken


def test_a_bonus_is_shown_with_the_table_behind_it():
    rows = workings(worked(), date(2027, 2, 1))

    assert [(r.amount_minor, r.start, r.end, r.days, r.rate_ppm, r.year_days) for r in rows] == [
        (5_000_00, date(2026, 11, 20), date(2027, 1, 1), 42, 30_000, 365),
        (5_000_00, date(2027, 1, 1), date(2027, 1, 15), 14, 30_000, 365),
        (1_000_00, SIGNED, date(2027, 1, 1), 83, 30_000, 365),
        (1_000_00, date(2027, 1, 1), date(2027, 1, 15), 14, 30_000, 365),
        (9_000_00, SIGNED, date(2027, 1, 1), 83, 120_000, 365),
        (9_000_00, date(2027, 1, 1), date(2027, 2, 1), 31, 120_000, 365),
    ]


def lot(number, kind, remaining_minor, expires_at=None):
    return Lot(
        LotId(number), number, kind, SPEND_ORDER[kind], 1000_00, remaining_minor, NOON, expires_at
    )


PURSE = [
    lot(1, LotKind.BONUS, 50_00, NOON + 90 * DAY),
    lot(2, LotKind.OWN, 300_00),
    lot(3, LotKind.RETURNED, 80_00),
    lot(4, LotKind.OWN, 200_00),
    lot(5, LotKind.OWN, 900_00, NOON),
]


def test_only_own_money_is_set_aside():
    draws = set_aside(PURSE, 400_00, uncovered_minor=0, at=NOON)

    assert draws == (Draw(LotId(2), 300_00), Draw(LotId(4), 100_00))
    everything = set_aside(PURSE, 500_00, uncovered_minor=0, at=NOON)
    assert everything == (Draw(LotId(2), 300_00), Draw(LotId(4), 200_00))
    with pytest.raises(NotOwnMoney, match="50000 kopecks, not 50001"):
        set_aside(PURSE, 500_01, uncovered_minor=0, at=NOON)


def test_nothing_is_set_aside_while_something_is_unpaid():
    with pytest.raises(NotOwnMoney, match="0 kopecks, not 1"):
        set_aside(PURSE, 1, uncovered_minor=1, at=NOON)


OFFERS = st.builds(
    offer,
    term_months=st.integers(1, 24),
    rates=st.builds(
        lambda first, days, then: rates(
            (date(2026, 1, 1), first), (date(2026, 1, 2) + days * DAY, then)
        ),
        st.integers(40_000, 200_000),
        st.integers(0, 900),
        st.integers(40_000, 200_000),
    ),
    rate_holds=st.sampled_from(RateHolds),
    paid_when=st.sampled_from(PaidWhen),
    day_count=st.sampled_from(DayCount),
    break_rule=st.sampled_from(BreakRule),
).map(lambda o: replace(o, **(LOWER if o.break_rule is BreakRule.LOWER_RATE else {})))


@st.composite
def reserves(draw):
    signed_on = date(2026, 1, 1) + draw(st.integers(0, 800)) * DAY
    chosen = draw(OFFERS)
    days = (months_after(signed_on, chosen.term_months) - signed_on).days
    kept_minor = draw(st.integers(1, 100_000_00))
    movements = [Movement(signed_on, kept_minor, RESIDENT)]
    for after in sorted(draw(st.lists(st.integers(0, days - 1), max_size=6))):
        moved_minor = draw(st.integers(-kept_minor, 50_000_00))
        if moved_minor:
            movements.append(Movement(signed_on + after * DAY, moved_minor, RESIDENT))
            kept_minor += moved_minor
    return Reserve(chosen, signed_on, tuple(movements))


@given(
    dated=st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 1_000_000)), min_size=1, max_size=5
    ),
    start=st.integers(0, 2_000),
    days=st.integers(0, 900),
    counted=st.sampled_from(DayCount),
)
def test_the_sum_of_the_days_is_the_closed_form(dated, start, days, counted):
    first = date(2026, 1, 1)
    chosen = rates(*((first + n * DAY, ppm) for n, ppm in sorted(dict(dated).items())))
    begin = first + start * DAY

    at_once = rate_parts(chosen, begin, begin + days * DAY, counted)

    by_days = [begin + n * DAY for n in range(days)]
    assert at_once == sum(rate_parts(chosen, day, day + DAY, counted) for day in by_days)
    year = {day: Fraction(1, 366 if day.year % 4 == 0 else 365) for day in by_days}
    if counted is DayCount.ALWAYS_365:
        year = dict.fromkeys(by_days, Fraction(1, 365))
    assert Fraction(at_once, PARTS_A_KOPECK) == sum(
        Fraction(chosen.at(day) or 0, 1_000_000) * year[day] for day in by_days
    )


@given(reserve=reserves())
def test_payments_telescope_to_the_once_rounded_sum_of_the_term(reserve):
    projection = project(reserve, reserve.ends_on)

    assert abs(projection.unpaid_parts) * 2 <= PARTS_A_KOPECK
    assert projection.unpaid_parts == (
        earned_parts(reserve, reserve.ends_on) - projection.bonus_minor * PARTS_A_KOPECK
    )
    assert project(reserve, date.max) == replace(projection, until=date.max)


@given(reserve=reserves(), at=st.integers(0, 800))
def test_the_table_behind_a_bonus_adds_up_to_it(reserve, at):
    until = reserve.signed_on + at * DAY

    rows = workings(reserve, until)

    assert sum(row.parts for row in rows) == earned_parts(reserve, until)
    assert all(row.days > 0 and row.end <= reserve.ends_on for row in rows)


@given(reserve=reserves())
def test_every_kopeck_set_aside_comes_back(reserve):
    steps = project(reserve, reserve.ends_on).steps

    moved = {StepKind.ADDED, StepKind.TAKEN_OUT, StepKind.RETURNED}
    assert sum(step.amount_minor for step in steps if step.kind in moved) == 0
    assert min(step.kept_minor for step in steps) >= 0
    assert min(step.bonus_minor for step in steps) >= 0
    assert [step.on for step in steps] == sorted(step.on for step in steps)


@given(reserve=reserves(), at=st.integers(0, 800))
def test_a_projection_is_the_beginning_of_a_longer_one(reserve, at):
    until = reserve.signed_on + at * DAY

    short, whole = project(reserve, until), project(reserve, reserve.ends_on)

    assert short.steps == tuple(step for step in whole.steps if step.on <= until)
    known = tuple(movement for movement in reserve.movements if movement.on <= until)
    assert project(replace(reserve, movements=known), until) == short


@given(reserve=reserves(), on=st.integers(0, 740), share=st.fractions(0, 1))
def test_breaking_never_earns_more_than_keeping(reserve, on, share):
    on = max(reserve.movements[-1].on, reserve.signed_on + on * DAY)
    amount_minor = int(reserve.kept_minor(on) * share)
    assume(amount_minor and on < reserve.ends_on)
    kept = project(reserve, reserve.ends_on).bonus_minor

    broken = take_out(reserve, on, amount_minor, RESIDENT)

    assert project(broken.reserve, reserve.ends_on).bonus_minor <= kept
    assert not (broken.paid_minor and broken.clawed_back_minor)


@given(
    all_of_them=st.lists(reserves(), max_size=3),
    edges=st.tuples(*[st.integers(0, 1_600)] * 3).filter(lambda e: len(set(e)) == 3),
)
def test_the_cost_of_two_periods_is_that_of_both(all_of_them, edges):
    start, middle, end = (date(2026, 1, 1) + n * DAY for n in sorted(edges))
    credit = rates((date(2026, 1, 1), 180_000), (date(2027, 6, 1), 210_000))

    first, second = (cost(all_of_them, *p, credit) for p in ((start, middle), (middle, end)))
    both = cost(all_of_them, start, end, credit)

    for name in ("days", "kopeck_days", "earned_parts", "credit_parts"):
        assert getattr(first, name) + getattr(second, name) == getattr(both, name)


@given(reserve=reserves())
def test_kopeck_days_are_the_sum_of_what_each_night_kept(reserve):
    start, end = reserve.signed_on, reserve.ends_on
    days = [start + n * DAY for n in range((end - start).days)]

    whole = cost([reserve], start, end, rates((start, 1)))

    assert whole.kopeck_days == sum(reserve.kept_minor(day) for day in days)
