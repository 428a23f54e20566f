"""Price documents of services: read whole, refused in one sentence, dated by the day."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.errors import Invalid
from tariffs.services.documents import parse_service
from tariffs.services.prices import Basis, HouseService, stretches

EXAMPLES = Path(__file__).parents[3] / "examples/services"

HOT = """\
service: hot_water
code: hot_water
name: {ru: Горячая вода, en: Hot water}
valid_from: 2026-01-01
currency: RUB
basis: meter
per_m3:
  - {from: 2026-01-01, amount: 50.12}
  - {from: 2026-10-15, amount: 53.00}
heating:
  gcal_per_m3: 0.05188
  per_gcal: [{from: 2026-01-01, amount: 2288.38}]
source: S1
confidence: high
"""
COMMON = """\
service: common_electricity
code: common
name: {ru: КР на СОИ}
valid_from: 2026-01-01
currency: RUB
basis: common_area
plan: single
norm_kwh_per_m2: [{from: 2026-01-01, amount: 0.431}]
source: S1
confidence: memory
"""


def test_hot_water_has_a_price_for_the_water_and_one_for_its_heat():
    price = parse_service(HOT)

    assert (price.service, price.basis) == (HouseService.HOT_WATER, Basis.METER)
    assert price.heating.kcal_per_m3 == 51_880
    assert price.heating.amounts[0].amount_scaled == 2_288_380_000


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_can_be_published(file):
    assert parse_service(file.read_text("utf-8")).amounts


@pytest.mark.parametrize(
    ("document", "was", "becomes", "says"),
    [
        (HOT, "basis: meter", "basis: area", "line 6, basis: hot_water is charged by meter"),
        (HOT, "basis: meter", "basis: litre", "line 6, basis: a basis is meter, water, area"),
        (HOT, "amount: 50.12", "amount: 50,12", "line 8, per_m3.0"),
        (HOT, "amount: 50.12", "amount: x", "line 8, per_m3.0.amount: 'x' is not a rate"),
        (HOT, "0.05188", "5.2e-2", "line 11, heating.gcal_per_m3: '5.2e-2' is no norm"),
        (HOT, "0.05188", "0", "line 11, heating.gcal_per_m3: '0' is no norm"),
        (HOT, "2026-10-15", "2025-10-15", "line 9, per_m3.1.from: dated prices ascend"),
        (HOT, "source: S1", "plan: single\nsource: S1", "plan: a service charged by meter has no"),
        (HOT, "service: hot_water", "service: gas", "line 1, service: a service is cold_water"),
        (HOT, "service: hot_water", "service: cold_water", "line 10, heating: a service charged"),
        (HOT, "per_m3:", "per_m2:", "line 7, per_m2: a service charged by meter has no such field"),
        (HOT, "confidence: high", "", "confidence: the field is missing"),
        (COMMON, "plan: single", "", "per_kwh: the field is missing"),
        (
            COMMON,
            "plan: single",
            "plan: single\nper_kwh: [{from: 2026-01-01, amount: 5}]",
            "line 7, plan: the price is that of a plan or its own, not both",
        ),
        (COMMON, "source: S1", "recalculated_in: 4\nsource: S1", "recalculated_in: the year"),
        (COMMON, "norm_kwh_per_m2: [", "# [", "norm_kwh_per_m2: the field is missing"),
    ],
)
def test_a_document_is_refused_with_the_line_and_the_field(document, was, becomes, says):
    assert was in document

    with pytest.raises(Invalid) as refused:
        parse_service(document.replace(was, becomes, 1))

    assert says in str(refused.value)


def test_days_are_cut_where_a_price_or_a_document_changes():
    first = parse_service(HOT)
    second = parse_service(HOT.replace("valid_from: 2026-01-01", "valid_from: 2026-10-20"))

    found = stretches([first, second], date(2026, 10, 1), date(2026, 11, 1))

    assert [(one.first.day, one.days, one.rate_scaled) for one in found] == [
        (1, 14, 50_120_000),
        (15, 5, 53_000_000),
        (20, 12, 53_000_000),
    ]


def test_days_before_the_first_price_have_none():
    found = stretches([parse_service(HOT)], date(2025, 12, 30), date(2026, 1, 2))

    assert [(one.first, one.days) for one in found] == [(date(2026, 1, 1), 1)]


@given(
    place=st.integers(0, len(HOT)),
    length=st.integers(0, 12),
    junk=st.text(max_size=8) | st.sampled_from(["*a", "&a ", "!!int ", "{", "]", "%s", ": ", "- "]),
)
def test_a_document_with_any_damage_is_read_or_refused(place, length, junk):
    with suppress(Invalid):
        price = parse_service(HOT[:place] + junk + HOT[place + length :])
        assert price.amounts
