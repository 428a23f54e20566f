"""Rules of an installation's own: what is wrong is refused by place and field."""

from importlib.resources import files

import pytest

from kilokassa.core.errors import Invalid
from wallet.debts.late_fee import late_fee_rules
from wallet.debts.late_fee import parse_rules as parse_late_fee
from wallet.debts.service_state import guard_sets, parse_guard_sets

LATE_FEE = (files("wallet") / "rules" / "late_fee.yaml").read_text("utf-8")
GUARDS = (files("wallet") / "rules" / "guard_sets.yaml").read_text("utf-8")


def test_the_packaged_files_are_read_like_any_other():
    assert parse_late_fee(LATE_FEE) == late_fee_rules()
    assert parse_guard_sets(GUARDS) == guard_sets()
    assert list(guard_sets()) == ["household_ru", "prepay_contract"]


def test_a_rate_without_quotes_is_no_float():
    own = LATE_FEE.replace('2025-10-27: "16.5"', "2025-10-27: 16.35")

    assert parse_late_fee(own).key_rates[-2].rate_bp == 1635


@pytest.mark.parametrize(
    ("before", "after", "refusal"),
    [
        ("digits: 2", "digits: -2", "late_fee: the field digits cannot be '-2'"),
        ("digits: 2", "digits: 9", "late_fee: it has a wrong value: a row is rounded"),
        ("digits: 2", "digit: 2", "late_fee: the field digits is missing"),
        ("digits: 2", "digits: 2\nmore: 1", "late_fee: there is no field more"),
        ("digits: 2", "digits: [", "late_fee: it is not YAML"),
        ("rate_on: each_day", "rate_on: never", "late_fee: the field rate_on cannot be 'never'"),
        ("first_day: 2022-02-28", "first_day: 2022-02-30", "caps 1: the field first_day cannot"),
        ('percent: "9.5"', "percent: 9,5", "caps 1: the field percent cannot be '9,5'"),
        ("divisor: 300}, {", "divisor: 0}, {", "steps 1: it has a wrong value"),
        ('2025-12-22: "16"', "yesterday: 16", "late_fee: it has a wrong value: Invalid isoformat"),
    ],
)
def test_a_wrong_rule_of_late_fees_is_refused_by_its_place(before, after, refusal):
    assert before in LATE_FEE

    with pytest.raises(Invalid) as refused:
        parse_late_fee(LATE_FEE.replace(before, after, 1))

    assert refusal in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "refusal"),
    [
        ("needs_proof: true", "needs_proof: yes", "guard_sets 1: the field needs_proof cannot"),
        ("norm_months: 2", "norm_months: two", "guard_sets 1: the field norm_months cannot be"),
        ('opens: "10:00"', 'opens: "17:00"', "guard_sets 2: it has a wrong value: hours open"),
        ("[electricity, hot_water]", "electricity", "the field may_be_cut cannot be 'electricity'"),
        ("rule: notice_days,", "", "sources 4: the field rule is missing"),
        (GUARDS, "- a", "guard_sets: it holds no fields"),
        (GUARDS, "", "guard_sets: it holds no fields"),
    ],
)
def test_a_wrong_guard_set_is_refused_by_its_place(before, after, refusal):
    assert before in GUARDS

    with pytest.raises(Invalid) as refused:
        parse_guard_sets(GUARDS.replace(before, after, 1))

    assert refusal in str(refused.value)
