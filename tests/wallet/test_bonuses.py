import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from wallet.bonuses.rules import (
    BillPaid,
    Campaign,
    EarlyPayment,
    MonthEnded,
    MonthsWithoutDebt,
    MovedToNight,
    NightUsed,
    Rule,
    SizeOfTopUp,
    TopUpPaid,
    Why,
    evaluate,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "bonuses.md"
DAY = date(2026, 11, 10)
ONE, TWO = AccountId(1), AccountId(2)


def rule(name="five", terms=None, **changes):
    kept = {"name": name, "version": 1, "terms": terms or SizeOfTopUp(1000_00, 500)}
    return Rule(**(kept | {"valid_from": date(2026, 1, 1)} | changes))


def paid(amount_minor, account_id=ONE, on=DAY):
    return TopUpPaid(account_id, on, amount_minor)


def campaign(budget_minor, ends_on=date(2027, 1, 1)):
    return Campaign("autumn", budget_minor, ends_on)


def granted(evaluation):
    return [(grant.rule, grant.amount_minor) for grant in evaluation.grants]


def declined(evaluation):
    return [(each.rule, each.why) for each in evaluation.declined]


def terms_and_occasion(kind, parameters, occasion):
    """Read a row of the page."""
    given = [Decimal(found) for found in re.findall(r"[\d.]+", parameters)]
    if kind == "SizeOfTopUp":
        return SizeOfTopUp(int(given[0] * 100), int(given[1] * 100)), paid(minor(occasion))
    if kind == "EarlyPayment":
        amount, on, due_on = re.fullmatch(r"(\S+) on (\S+), due (\S+)", occasion).groups()
        early = EarlyPayment(int(given[0]), int(given[1] * 100))
        day, due = date.fromisoformat(on), date.fromisoformat(due_on)
        return early, BillPaid(ONE, day, minor(amount), due)
    if kind == "MonthsWithoutDebt":
        months = int(occasion.split()[0])
        return MonthsWithoutDebt(int(given[0]), int(given[1] * 100)), MonthEnded(ONE, DAY, months)
    night, energy, before, former = (int(n) * 1000 for n in re.findall(r"\d+", occasion))
    return MovedToNight(int(given[0] * 1_000_000)), NightUsed(
        ONE, DAY, energy, night, former, before
    )


def minor(cell):
    return int(Decimal(cell) * 100)


def test_the_rules_of_the_page_earn_what_it_says():
    text = PAGE.read_text(encoding="utf-8").split("| Terms | Parameters")[1].split("\n\n")[0]

    rows = [line.strip("|").split("|") for line in text.splitlines()[2:]]
    assert len(rows) == 14
    for kind, parameters, occasion, bonus in rows:
        terms, happened = terms_and_occasion(kind.strip(" `"), parameters, occasion.strip())
        evaluation = evaluate([happened], [rule("it", terms)])
        assert granted(evaluation) == ([("it", minor(bonus))] if minor(bonus) else []), occasion


def test_a_grant_names_its_rule_its_version_and_its_end():
    (grant,) = evaluate([paid(2000_00)], [rule(version=3, expires_after_days=30)]).grants

    assert (grant.rule, grant.version, grant.account_id, grant.amount_minor) == (
        "five",
        3,
        ONE,
        100_00,
    )
    assert (grant.on, grant.expires_on) == (DAY, date(2026, 12, 10))


def test_rules_say_nothing_of_occasions_they_are_not_about():
    evaluation = evaluate([MonthEnded(ONE, DAY, 6)], [rule()])

    assert (evaluation.grants, evaluation.declined) == ((), ())


def test_of_one_group_the_largest_is_granted_and_groups_add_up():
    rules = [
        rule("five"),
        rule("ten", SizeOfTopUp(5000_00, 1000)),
        rule("extra", SizeOfTopUp(1, 100), group="extra"),
    ]

    evaluation = evaluate([paid(6000_00)], rules)

    assert granted(evaluation) == [("ten", 600_00), ("extra", 60_00)]
    assert declined(evaluation) == [("five", Why.ANOTHER_IS_LARGER)]


def test_of_two_equal_bonuses_the_first_rule_grants():
    evaluation = evaluate([paid(1000_00)], [rule("first"), rule("second")])

    assert granted(evaluation) == [("first", 50_00)]
    assert declined(evaluation) == [("second", Why.ANOTHER_IS_LARGER)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_later_version_takes_the_place_of_an_earlier_one_from_its_first_day(order):
    later = rule(
        version=2,
        terms=SizeOfTopUp(1000_00, 100),
        valid_from=DAY,
        valid_until=date(2026, 12, 1),
    )
    rules = [rule(), later][::order]

    before = evaluate([paid(1000_00, on=date(2026, 11, 9))], rules)
    from_then = evaluate([paid(1000_00)], rules)
    when_it_has_ended = evaluate([paid(1000_00, on=date(2026, 12, 1))], rules)

    assert granted(before) == [("five", 50_00)]
    assert granted(from_then) == [("five", 10_00)]
    assert from_then.grants[0].version == 2
    assert granted(when_it_has_ended) == []


def test_a_bonus_is_capped_a_grant_and_a_month():
    capped = rule(most_minor=60_00, most_a_month_minor=100_00)
    occasions = [paid(1000_00), paid(2000_00), paid(1000_00), paid(1000_00, TWO)]
    occasions.append(paid(1000_00, on=date(2026, 12, 1)))

    evaluation = evaluate(occasions, [capped])

    assert [grant.amount_minor for grant in evaluation.grants] == [50_00, 50_00, 50_00, 50_00]
    assert evaluation.grants[1].earned_minor == 100_00
    assert declined(evaluation) == [("five", Why.MONTH_CAP)]
    alone = evaluate([paid(2000_00)], [capped])
    assert granted(alone) == [("five", 60_00)]


def test_what_was_given_before_counts_against_the_cap_of_the_month():
    given_before = {(ONE, "five", Month(2026, 11).ordinal): 99_00}

    evaluation = evaluate(
        [paid(1000_00)], [rule(most_a_month_minor=100_00)], given_minor=given_before
    )

    assert granted(evaluation) == [("five", 1_00)]


def test_the_last_grant_of_a_campaign_is_what_its_budget_still_holds():
    bounded = rule(campaign=campaign(120_00))
    occasions = [paid(1000_00), paid(2000_00, TWO), paid(1000_00)]

    evaluation = evaluate(occasions, [bounded])

    assert granted(evaluation) == [("five", 50_00), ("five", 70_00)]
    assert declined(evaluation) == [("five", Why.BUDGET_SPENT)]
    assert evaluation.budget_left_minor == {"autumn": 0}
    assert evaluate(occasions, [bounded], spent_minor={"autumn": 130_00}).grants == ()


def test_a_campaign_grants_nothing_from_its_end_on():
    bounded = rule(campaign=campaign(120_00, ends_on=DAY))

    assert declined(evaluate([paid(1000_00)], [bounded])) == [("five", Why.NOT_IN_FORCE)]
    assert granted(evaluate([paid(1000_00, on=date(2026, 11, 9))], [bounded]))


def test_two_groups_do_not_spend_one_budget_twice():
    rules = [rule(name, group=name, campaign=campaign(60_00)) for name in ("one", "two", "three")]

    evaluation = evaluate([paid(1000_00)], rules)

    assert granted(evaluation) == [("one", 50_00), ("two", 10_00)]
    assert declined(evaluation) == [("three", Why.BUDGET_SPENT)]


def test_a_campaign_of_two_budgets_is_refused():
    rules = [rule(campaign=campaign(1)), rule("ten", campaign=campaign(2))]

    with pytest.raises(ValueError, match="one budget"):
        evaluate([], rules)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EarlyPayment(0, 1),
        lambda: EarlyPayment(1, 0),
        lambda: MonthsWithoutDebt(0, 1),
        lambda: MonthsWithoutDebt(1, 0),
        lambda: MovedToNight(0),
        lambda: BillPaid(ONE, DAY, 0, DAY),
        lambda: NightUsed(ONE, DAY, 1, 2, 0, 0),
        lambda: NightUsed(ONE, DAY, 1, 1, 1, 2),
        lambda: campaign(-1),
        lambda: rule(expires_after_days=0),
        lambda: rule(most_minor=0),
        lambda: rule(most_a_month_minor=0),
    ],
)
def test_what_has_no_sense_cannot_be_made(make):
    with pytest.raises(ValueError, match=r"\("):
        make()


def test_the_smallest_of_everything_is_something():
    one = [
        (MonthsWithoutDebt(1, 1), MonthEnded(ONE, DAY, 1)),
        (EarlyPayment(1, 10_000), BillPaid(ONE, DAY, 1, date(2026, 11, 11))),
        (SizeOfTopUp(1, 10_000), paid(1)),
        (MovedToNight(1), NightUsed(ONE, DAY, 10**7, 10**7, 1, 0)),
    ]

    for terms, occasion in one:
        small = rule("it", terms, expires_after_days=1, most_minor=1, most_a_month_minor=1)
        assert granted(evaluate([occasion], [small])) == [("it", 1)], terms
    assert evaluate([paid(1000_00)], [rule(campaign=campaign(0))]).grants == ()


def test_a_month_with_debt_earns_nothing():
    evaluation = evaluate([MonthEnded(ONE, DAY, 0)], [rule("it", MonthsWithoutDebt(6, 100_00))])

    assert declined(evaluation) == [("it", Why.NOT_EARNED)]


def test_too_little_measured_before_shows_no_habit():
    terms = MovedToNight(1_000_000, former_least_wh=100_000)
    used = NightUsed(ONE, DAY, 100_000, 100_000, 100_000, 50_000)

    assert terms.minor(used) == 50_00
    assert terms.minor(replace(used, former_energy_wh=99_999)) == 0


@pytest.mark.parametrize(("threshold_minor", "basis_points"), [(0, 1), (1, 0), (1, 10_001)])
def test_the_size_of_a_top_up_is_something(threshold_minor, basis_points):
    with pytest.raises(ValueError, match="threshold"):
        SizeOfTopUp(threshold_minor, basis_points)


CAMPAIGNS = [None, campaign(300_00), Campaign("winter", 50_00, date(2027, 1, 1))]
SIZES = st.builds(SizeOfTopUp, st.integers(1, 500_00), st.integers(1, 10_000))
RULES = st.lists(
    st.builds(
        rule,
        st.sampled_from(["a", "b", "c"]),
        SIZES,
        version=st.integers(1, 3),
        group=st.sampled_from(["", "x", "y"]),
        most_minor=st.none() | st.integers(1, 100_00),
        most_a_month_minor=st.none() | st.integers(1, 200_00),
        campaign=st.sampled_from(CAMPAIGNS),
    ),
    max_size=5,
)
OCCASIONS = st.lists(
    st.builds(paid, st.integers(1, 2000_00), st.sampled_from([ONE, TWO])), max_size=12
)


@given(rules=RULES, occasions=OCCASIONS, order=st.randoms())
def test_no_order_of_occasions_spends_more_than_a_budget(rules, occasions, order):
    order.shuffle(occasions)

    evaluation = evaluate(occasions, rules, spent_minor={"autumn": 20_00})

    for name, left_minor in evaluation.budget_left_minor.items():
        budget_minor = 280_00 if name == "autumn" else 50_00
        spent_minor = sum(g.amount_minor for g in evaluation.grants if g.campaign == name)
        assert spent_minor + left_minor == budget_minor
        assert left_minor >= 0


@given(rules=RULES, occasions=OCCASIONS)
def test_every_rule_grants_or_says_why_not(rules, occasions):
    evaluation = evaluate(occasions, rules)

    assert len(evaluation.grants) + len(evaluation.declined) == len(rules) * len(occasions)
    assert all(0 < g.amount_minor <= g.earned_minor for g in evaluation.grants)


@given(rules=RULES, occasions=OCCASIONS, cut=st.integers(0, 12))
def test_evaluating_in_two_steps_grants_what_one_would(rules, occasions, cut):
    whole = evaluate(occasions, rules)

    first = evaluate(occasions[:cut], rules)
    spent, given_before = {}, {}
    for grant in first.grants:
        spent[grant.campaign] = spent.get(grant.campaign, 0) + grant.amount_minor
        key = (grant.account_id, grant.rule, Month.of(grant.on).ordinal)
        given_before[key] = given_before.get(key, 0) + grant.amount_minor
    second = evaluate(occasions[cut:], rules, spent_minor=spent, given_minor=given_before)

    assert first.grants + second.grants == whole.grants


@given(
    energy_wh=st.integers(0, 10**7),
    night=st.fractions(0, 1),
    former_wh=st.integers(0, 10**8),
    former=st.fractions(0, 1),
)
def test_who_keeps_the_former_share_has_moved_nothing(energy_wh, night, former_wh, former):
    terms = MovedToNight(2_000_000)
    used = NightUsed(
        ONE, DAY, energy_wh, int(energy_wh * night), former_wh, int(former_wh * former)
    )

    earned_minor = terms.minor(used)

    assert 0 <= earned_minor <= (used.night_wh * 2 + 5) // 10
    same = replace(used, former_energy_wh=used.energy_wh, former_night_wh=used.night_wh)
    assert terms.minor(same) == 0
