"""The rule chain: what is tried, in which order, from which day on."""

from datetime import date

import pytest

from kilokassa.core.confidence import Confidence
from kilokassa.core.errors import Invalid
from metering.estimation.methods import EstimationMethod
from metering.estimation.rules import RuleChain, Trigger, packaged_chain, parse_rules

RULE = """
- trigger: missing_reading
  name: norm
  method: norm
  valid_from: {valid_from}
  source: a test
  confidence: {confidence}
  multiplier: "{multiplier}"
"""


def rule(valid_from="2026-01-01", confidence="high", multiplier="1"):
    text = RULE.format(valid_from=valid_from, confidence=confidence, multiplier=multiplier)
    return parse_rules(text)[0]


@pytest.mark.parametrize(
    ("period_number", "first"),
    [
        (0, EstimationMethod.OWN_AVERAGE),
        (1, EstimationMethod.OWN_AVERAGE),
        (3, EstimationMethod.OWN_AVERAGE),
        (4, EstimationMethod.NORM),
        (12, EstimationMethod.NORM),
    ],
)
@pytest.mark.parametrize("trigger", [Trigger.MISSING_READING, Trigger.VERIFICATION_EXPIRED])
def test_three_periods_are_by_average_and_from_the_fourth_by_norm(trigger, period_number, first):
    rules = packaged_chain().on(trigger, date(2026, 10, 1), period_number=period_number)

    assert rules[0].method is first


def test_short_gaps_are_interpolated_before_like_days_are_asked():
    rules = packaged_chain().on(Trigger.GAP, date(2026, 10, 1))

    assert [r.method for r in rules[:2]] == [
        EstimationMethod.INTERPOLATION,
        EstimationMethod.LIKE_DAY,
    ]
    assert (rules[0].hours_most, rules[1].days_most) == (3, 7)


def test_two_visits_without_access_mean_the_norm_and_a_half():
    (found,) = packaged_chain().on(Trigger.ACCESS_REFUSED, date(2026, 10, 1))

    assert (found.method, found.multiplier_ppm, found.visits) == (
        EstimationMethod.NORM,
        1_500_000,
        2,
    )


def test_no_rule_of_ours_that_was_not_read_in_the_law_passes_as_certain():
    uncertain = {rule.code for rule in packaged_chain().rules if not rule.certain}

    assert {code.split("@")[0] for code in uncertain} == {
        "missing_reading.house_mean",
        "verification_expired.house_mean",
        "no_meter.norm",
        "gap.interpolation",
        "gap.like_day",
        "gap.standard_profile",
    }


def test_a_later_rule_of_the_same_name_holds_from_its_first_day():
    chain = RuleChain((rule("2020-01-01"), rule("2026-07-01", multiplier="1.5")))

    assert [r.multiplier_ppm for r in chain.on(Trigger.MISSING_READING, date(2026, 6, 30))] == [
        1_000_000
    ]
    assert [r.multiplier_ppm for r in chain.on(Trigger.MISSING_READING, date(2026, 7, 1))] == [
        1_500_000
    ]
    assert chain.on(Trigger.MISSING_READING, date(2019, 12, 31)) == ()


def test_an_installation_replaces_a_rule_in_its_place_and_adds_others_at_the_end():
    own = rule("2012-09-01", "medium", "1.2")

    chain = packaged_chain().with_own([own, rule("2027-01-01")])

    rules = chain.on(Trigger.MISSING_READING, date(2026, 1, 1), period_number=4)
    assert rules[0].multiplier_ppm == 1_200_000
    assert rules[0].confidence is Confidence.MEDIUM
    assert chain.rules[-1].valid_from == date(2027, 1, 1)
    assert len(chain.rules) == len(packaged_chain().rules) + 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: 1", "it is no list of rules"),
        ("- 1", "it is no rule"),
        (": :", "it is not YAML"),
        ("- {trigger: gap}", "the field method is missing"),
        (RULE.format(valid_from="x", confidence="high", multiplier="1"), "wrong value"),
        (RULE.format(valid_from="2026-01-01", confidence="sure", multiplier="1"), "wrong value"),
        (RULE.format(valid_from="2026-01-01", confidence="high", multiplier="-1"), "not negative"),
        (RULE.format(valid_from="2026-01-01", confidence="high", multiplier="1") * 2, "twice"),
        (
            RULE.format(valid_from="2026-01-01", confidence="high", multiplier="1") + "  colour: x",
            "there is no field colour",
        ),
    ],
)
def test_a_file_of_rules_with_a_fault_is_refused_whole(text, problem):
    with pytest.raises(Invalid, match=problem):
        parse_rules(text)
