from datetime import date

import pytest

from kilokassa.core.confidence import Confidence
from metering.meters.verification_periods import (
    MeterType,
    VerificationPeriod,
    packaged_periods,
    proposals,
)
from metering.registry.places import Commodity


@pytest.mark.parametrize(
    ("commodity", "expected"),
    [
        ("electricity", ["2036-03-14", "2042-03-14", "2042-03-14"]),
        ("hot_water", ["2030-03-14"]),
        ("cold_water", ["2032-03-14"]),
        ("heat", ["2030-03-14"]),
    ],
)
def test_the_shortest_validity_is_offered_first(commodity, expected):
    found = proposals(Commodity(commodity), date(2026, 3, 15))

    assert [str(one.valid_until) for one in found] == expected


def test_every_commodity_has_a_period_with_a_source():
    periods = packaged_periods()

    assert {period.commodity for period in periods} == set(Commodity)
    assert all(period.source for period in periods)


def test_a_later_rule_holds_from_its_day_on():
    def rule(years, valid_from):
        return VerificationPeriod(
            Commodity.COLD_WATER, MeterType.MECHANICAL, years, valid_from, "x", Confidence.HIGH
        )

    rules = [rule(6, date(2012, 1, 1)), rule(5, date(2027, 1, 1))]

    before = proposals(Commodity.COLD_WATER, date(2026, 12, 31), rules)
    after = proposals(Commodity.COLD_WATER, date(2027, 1, 1), rules)

    assert [one.years for one in before] == [6]
    assert [one.years for one in after] == [5]


def test_a_verification_of_a_leap_day_holds_to_the_end_of_february():
    (found,) = proposals(Commodity.HOT_WATER, date(2024, 2, 29))

    assert found.valid_until == date(2028, 2, 28)
