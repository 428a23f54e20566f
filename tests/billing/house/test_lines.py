"""Lines of services: cut by days where a price changes, one rounding each."""

from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from billing.charges import name_of
from billing.house.lines import ServiceDays, area_lines, energy_lines, person_line, volume_lines
from billing.models import LineUnit, Service
from kilokassa.core.calendar import Month
from tariffs.services.documents import parse_service
from tariffs.services.prices import stretches

OCTOBER = Month(2026, 10)
ZONE = ZoneInfo("Asia/Vladivostok")


def price(basis, field, service="housing", changes=((1, "10.00"),), more=""):
    rates = "".join(
        f"  - {{from: 2026-10-{day:02}, amount: {amount}}}\n" for day, amount in changes
    )
    return parse_service(
        f"service: {service}\ncode: thing\nname: {{ru: Услуга, en: Thing}}\n"
        f"valid_from: 2026-10-01\ncurrency: RUB\nbasis: {basis}\n{field}:\n{rates}{more}"
        "source: a test\nconfidence: high\n"
    )


def served(document, first=1, end=None):
    begins = date(2026, 10, first)
    ends = date(2026, 11, 1) if end is None else date(2026, 10, end)
    return ServiceDays(OCTOBER, ZONE, stretches([document], begins, ends))


def test_upkeep_is_the_area_at_its_price():
    (line,) = area_lines(served(price("area", "per_m2")), 54_30, {}, digest="")

    assert (line.service, line.unit, line.quantity) == (Service.HOUSING, LineUnit.DM2, 54_30)
    assert (line.amount_minor, line.factor, line.divisor) == (543_00, 1, 1_000_000)


def test_a_price_that_changes_within_the_month_is_charged_by_days():
    document = price("area", "per_m2", changes=((1, "10.00"), (11, "20.00")))

    lines = area_lines(served(document), 50_00, {}, digest="")

    assert [(line.key, line.amount_minor) for line in lines] == [
        ("service:thing/-/2026-10-01", 161_29),
        ("service:thing/-/2026-10-11", 677_42),
    ]


def test_who_moves_in_within_the_month_pays_for_his_days():
    (line,) = area_lines(served(price("area", "per_m2"), first=22), 31_00, {}, digest="")

    assert line.amount_minor == 100_00
    assert (line.factor, line.divisor) == (10, 31_000_000)


def test_a_person_who_is_away_is_not_charged_for_the_days():
    document = price("person", "per_person", changes=((1, "118.52"),))
    here = served(document)

    whole = person_line(here, here.stretches[0], 3, (93, 31), {}, digest="")
    less = person_line(here, here.stretches[0], 3, (73, 31), {}, digest="")

    assert (whole.quantity, whole.amount_minor, whole.divisor) == (3, 355_56, 10_000)
    assert (less.quantity, less.amount_minor) == (3, 279_10)


@given(
    total=st.integers(0, 10**6),
    cut=st.integers(2, 31),
    counted=st.booleans(),
)
def test_a_volume_is_cut_by_days_without_a_rest(total, cut, counted):
    water = price("meter", "per_m3", "cold_water", changes=((1, "50.12"), (cut, "61.30")))

    lines = volume_lines(served(water), total, {}, digest="", counted=counted)

    assert sum(line.quantity for line in lines) == total


def test_what_was_counted_is_of_the_days_at_home_and_a_norm_is_of_the_month():
    water = price("meter", "per_m3", "cold_water")

    counted = volume_lines(served(water, first=17), 3_100, {}, digest="", counted=True)
    by_norm = volume_lines(served(water, first=17), 3_100, {}, digest="", counted=False)

    assert [line.quantity for line in counted] == [3_100]
    assert [line.quantity for line in by_norm] == [1_500]


def test_two_who_live_in_a_flat_one_after_the_other_pay_its_share_together():
    common = parse_service(
        "service: common_electricity\ncode: common\nname: {ru: СОИ}\nvalid_from: 2026-10-01\n"
        "currency: RUB\nbasis: common_area\nper_kwh: [{from: 2026-10-01, amount: 5.54}]\n"
        "norm_kwh_per_m2: [{from: 2026-10-01, amount: 1}]\nsource: a test\nconfidence: high\n"
    )

    first = energy_lines(served(common, end=12), 10_001, {}, digest="", estimated=False)
    second = energy_lines(served(common, first=12), 10_001, {}, digest="", estimated=False)

    assert first[0].quantity + second[0].quantity == 10_001


def test_a_name_stands_in_the_line_in_both_languages():
    (line,) = area_lines(served(price("area", "per_m2")), 1, {}, digest="")

    assert (name_of(line.detail, "ru"), name_of(line.detail, "en")) == ("Услуга", "Thing")
