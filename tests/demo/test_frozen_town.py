"""The frozen town's own sums against the product's calculations, before any database."""

from datetime import UTC, datetime

import numpy as np
import pytest

from heating.allocation import HeatedFlat, HouseMonth, share_building_month
from kilokassa.app.accounts_file import parse_accounts
from kilokassa.core.calendar import Month
from kilokassa.core.money import scaled_rate
from kilokassa.core.series import EnergySeries
from tariffs.documents import parse_tariff
from tariffs.rating import rate_energy
from tests.frozen_town import (
    ACCOUNTS,
    FIRST_DAY,
    HEAT_PRICES,
    HEAT_TOTALS_KCAL,
    LAST_EXCLUSIVE,
    PRICE_CHANGE,
    ZONE,
    accounts_csv,
    energy_lines,
    energy_wh,
    half_hour_wh,
    heat_lines,
    heat_prices,
    readings_csv,
    register_readings,
    tariff_documents,
)

MONTHS = (FIRST_DAY, PRICE_CHANGE)


def test_the_accounts_file_of_the_frozen_town_is_right():
    file = parse_accounts(accounts_csv().encode(), default_zone=ZONE.key, default_language="ru")

    assert file.refused == ()
    assert file.totals_stated
    assert len(file.accounts) == len(ACCOUNTS) == 12


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.number)
def test_a_month_is_rated_as_the_frozen_town_says(account, month):
    days = Month.of(month).days
    energy = [half_hour_wh(account, day, n) for day in days for n in range(48)]
    period = Month.of(month).period(ZONE)
    series = EnergySeries(period.start, 30, np.array(energy, np.int64))
    version = next(v for v in map(parse_tariff, tariff_documents()) if v.plan_code == account.plan)

    lines = rate_energy(series, [(period, version)], ZONE)

    rated = {str(line.spec.zone): (line.quantity_wh, line.amount_minor) for line in lines}
    assert rated == {zone: (wh, minor) for zone, wh, _, minor in energy_lines(account, month)}


@pytest.mark.parametrize("month", MONTHS)
def test_a_months_heat_is_shared_as_the_frozen_town_says(month):
    end = PRICE_CHANGE if month == FIRST_DAY else LAST_EXCLUSIVE
    flats = [account for account in ACCOUNTS if account.building == "KHB-B"]
    house = HouseMonth(
        heat_kcal=HEAT_TOTALS_KCAL[end] - HEAT_TOTALS_KCAL[month],
        rate_scaled=scaled_rate(HEAT_PRICES[month]),
        flats=tuple(HeatedFlat(flat.key, flat.area_dm2) for flat in flats),
    )

    shares = share_building_month(house)

    expected = heat_lines(month)
    assert {s.premises_id: s.amount_minor for s in shares.shares} == {
        flat.key: expected[flat.number] for flat in flats
    }


def test_the_prices_of_heat_are_the_published_ones():
    held = {price.valid_from: price.price_per_gcal for price in heat_prices()}

    assert held[PRICE_CHANGE] == HEAT_PRICES[PRICE_CHANGE]
    assert max(held.items())[0] == PRICE_CHANGE
    assert sorted(held.items())[1][1] == HEAT_PRICES[FIRST_DAY]


def test_the_readings_file_holds_every_half_hour_once():
    rows = [row.split(";") for row in readings_csv().splitlines()[1:]]

    total_wh = sum(round(float(value) * 1000) for _, _, value in rows)
    assert len(rows) == len({(point, at) for point, at, _ in rows}) == 11 * 61 * 48
    assert total_wh == sum(
        sum(energy_wh(account, FIRST_DAY, LAST_EXCLUSIVE).values())
        for account in ACCOUNTS
        if not account.by_hand
    )


def test_the_hand_read_meter_is_read_where_the_price_changes():
    instants = [at for _, at, _ in register_readings()]

    assert instants == [
        datetime(2022, 10, 31, 14, tzinfo=UTC),
        datetime(2022, 11, 30, 14, tzinfo=UTC),
        datetime(2022, 12, 31, 14, tzinfo=UTC),
    ]
