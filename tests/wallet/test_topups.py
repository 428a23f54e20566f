from datetime import date

import pytest

from wallet.balance import Balance
from wallet.topups import BonusRule, bonus_for

FIVE = BonusRule("five", 1000_00, 500, date(2026, 10, 1), date(2026, 11, 1))
TEN = BonusRule("ten", 5000_00, 1000, date(2026, 10, 1))
DAY = date(2026, 10, 5)


@pytest.mark.parametrize(
    ("amount_minor", "on", "rule", "bonus_minor"),
    [
        (999_99, DAY, None, 0),
        (1000_00, DAY, "five", 50_00),
        (1234_56, DAY, "five", 61_73),
        (4999_99, DAY, "five", 250_00),
        (5000_00, DAY, "ten", 500_00),
        (1000_00, date(2026, 9, 30), None, 0),
        (1000_00, date(2026, 10, 31), "five", 50_00),
        (1000_00, date(2026, 11, 1), None, 0),
    ],
)
def test_the_largest_bonus_in_force_is_granted(amount_minor, on, rule, bonus_minor):
    bonus = bonus_for(amount_minor, [FIVE, TEN], on)

    assert (bonus and bonus.rule, bonus.amount_minor if bonus else 0) == (rule, bonus_minor)


@pytest.mark.parametrize(
    ("threshold_minor", "basis_points"), [(0, 500), (-1, 500), (1, 0), (1, 10_001)]
)
def test_a_rule_without_sense_cannot_be_made(threshold_minor, basis_points):
    with pytest.raises(ValueError, match="threshold"):
        BonusRule("x", threshold_minor, basis_points, DAY)


def test_available_is_what_is_posted_less_all_that_is_on_its_way():
    balance = Balance(
        posted_minor=700_00,
        held_minor=50_00,
        spendable_minor=700_00,
        uncovered_minor=0,
        bonus_minor=0,
        rated_minor=120_00,
        estimated_minor=30_00,
    )

    assert balance.available_minor == 500_00


def test_a_balance_that_does_not_add_up_cannot_be_made():
    with pytest.raises(ValueError, match="adds up"):
        Balance(1, 0, 0, 0, 0)
