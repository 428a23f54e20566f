"""Services of a house to the kopeck, as a retailer's page works them out (S1 of the study).

Common-area electricity: 96.80 by the house's meter and 271.93 by the norm; hot water in two parts:
175.42 + 421.29 = 596.71. The negative remainder is an example of our own: 8 kWh below zero in the
first month, 20 kWh in the second; nothing is charged for the first, 12 kWh for the second.
"""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing.house.lines import ServiceDays, energy_lines, volume_lines
from kilokassa.core.calendar import Month
from tariffs.services.common_area import norm_wh, settle_actual, share_area
from tariffs.services.documents import parse_service
from tariffs.services.prices import stretches

EXAMPLES = Path(__file__).parents[2] / "examples/services"
MONTH = Month(2022, 7)


def served(name, month=MONTH):
    price = parse_service((EXAMPLES / f"{name}.yaml").read_text("utf-8"))
    days = stretches([price], month.first_day, month.plus(1).first_day)
    return ServiceDays(month, ZoneInfo("Asia/Vladivostok"), days)


def house(flat_m2, whole_m2):
    return {1: flat_m2 * 100, 2: (whole_m2 - flat_m2) * 100}


def common(house_wh, flat_m2=60, whole_m2=2400):
    share = share_area(house_wh, house(flat_m2, whole_m2))[1]
    (line,) = energy_lines(served("common-electricity"), share, {}, digest="", estimated=False)
    return line


def test_common_area_electricity_by_the_house_meter():
    actual_wh = (12_000 - 1_000 - 4_000 - 5_000) * 1_000

    line = common(settle_actual(actual_wh, 0).charged_wh)

    assert (line.quantity, line.amount_minor) == (50_000, 96_80)


def test_common_area_electricity_by_the_norm():
    line = common(norm_wh(3_940_000, 1426_00))

    assert (line.quantity, line.amount_minor) == (140_461, 271_93)


def test_hot_water_has_two_parts():
    water, heat = volume_lines(served("hot-water"), 3_500, {}, digest="", counted=True)

    assert (water.quantity, water.amount_minor) == (3_500, 175_42)
    assert (heat.quantity, heat.amount_minor) == (184_100, 421_29)
    assert water.amount_minor + heat.amount_minor == 596_71


@pytest.mark.parametrize(
    ("months_kwh", "charged_kwh", "carried_kwh"),
    [
        ((-8, 20), (0, 12), (-8, 0)),
        ((-8, -3, 20), (0, 0, 9), (-8, -11, 0)),
        ((-30, 20, 25), (0, 0, 15), (-30, -10, 0)),
        ((0, 5), (0, 5), (0, 0)),
    ],
)
def test_a_remainder_below_zero_is_carried_to_the_next_months(months_kwh, charged_kwh, carried_kwh):
    carried_wh, charged, carried = 0, [], []
    for kwh in months_kwh:
        settled = settle_actual(kwh * 1000, carried_wh)
        carried_wh = settled.carried_out_wh
        charged.append(settled.charged_wh // 1000)
        carried.append(carried_wh // 1000)

    assert (tuple(charged), tuple(carried)) == (charged_kwh, carried_kwh)
    assert sum(charged) + carried[-1] == sum(months_kwh)


def test_a_line_can_be_worked_out_again_from_what_it_says():
    for line in (
        common(5_618_440),
        *volume_lines(served("hot-water"), 3_501, {}, digest="", counted=True),
    ):
        exact = line.quantity * line.rate_scaled * line.factor
        assert line.amount_minor == (2 * exact + line.divisor) // (2 * line.divisor)
        assert line.period_start.date() <= date(2022, 7, 1)
