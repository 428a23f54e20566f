from datetime import date

import pytest

from kilokassa.core.calendar import Month
from kilokassa.demo.population import town
from kilokassa.demo.services import WATER_METERS, service_documents
from tariffs.services.documents import parse_service
from tariffs.services.prices import HouseService


@pytest.fixture(scope="module")
def plan():
    return town(date(2026, 11, 24))


def test_every_service_has_prices_from_the_first_day_of_the_town(plan):
    found = [parse_service(document) for document in service_documents(plan)]

    assert {one.service for one in found} == set(HouseService)
    assert {one.valid_from for one in found} == {plan.first_day}
    assert len({one.code for one in found}) == len(found)


def test_water_changes_its_price_with_the_tariffs(plan):
    cold = next(
        one for one in map(parse_service, service_documents(plan)) if one.code == "cold_water"
    )

    assert Month.of(cold.amounts[1].valid_from) == plan.change_month


def test_a_water_meter_never_runs_back():
    for meter in WATER_METERS:
        totals = [meter.total_l(days) for days in range(400)]
        assert totals == sorted(totals)
