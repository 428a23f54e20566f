"""The whole tariff document: what each field means, and what is refused at which line."""

from datetime import date

import pytest

from kilokassa.core.errors import Invalid
from kilokassa.core.zones import Zone
from tariffs.charges import CapacityBasis, DatedAmount, FixedPer, Netting, TaxMode
from tariffs.day_types import DayType
from tariffs.documents import parse_tariff
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod

FULL = """\
plan: everything
name: {ru: Всё сразу, en: Everything}
valid_from: 2026-01-01
currency: RUB
vat: on_top
seasons: {winter: 11-01, summer: 04-01}
holidays: {calendar: russia, moved: {2026-06-11: holiday}}
zones:
  - days: [working]
    seasons: [winter]
    windows: {peak: [07:00-10:00, 17:00-21:00], semi_peak: [10:00-17:00, 21:00-23:00], night: [23:00-07:00]}
  - days: [working]
    seasons: [summer]
    windows: {semi_peak: [07:00-23:00], night: [23:00-07:00]}
  - days: [weekend, holiday]
    windows: {night: [00:00-24:00]}
ranges: {basis: zone, order: time, period: month, borders_kwh: [100, 200]}
prices:
  - from: 2026-01-01
    season: winter
    per_kwh: [{peak: 6, semi_peak: 5, night: 2}, {peak: 7, semi_peak: 6, night: 3}, {peak: 8, semi_peak: 7, night: 4}]
  - from: 2026-01-01
    season: summer
    per_kwh: [{peak: 5, semi_peak: 4, night: 1}, {peak: 6, semi_peak: 5, night: 2}, {peak: 7, semi_peak: 6, night: 3}]
prices_until: 2026-12-31
fixed:
  - {code: service, name: {ru: Обслуживание}, per: month, amounts: [{from: 2026-01-01, amount: 150}]}
  - {code: upkeep, name: {ru: Содержание}, per: m2, amounts: [{from: 2026-01-01, amount: 0.65}]}
capacity:
  - code: network
    name: {ru: Мощность}
    basis: highest
    days: [working]
    windows: [08:00-20:00]
    ratchet: {percent: 80, months: 11}
    per_kw_month: [{from: 2026-01-01, amount: 812.5}]
minimum: [{from: 2026-01-01, amount: 200}]
allowance: {kwh_per_day: 2.5, unused: lapses, credit_per_kwh: [{from: 2026-01-01, amount: 3}]}
export: {netting: interval, per_kwh: [{from: 2026-01-01, amount: 2.1}]}
taxes:
  - {code: vat, name: {ru: НДС}, mode: on_top, percents: [{from: 2019-01-01, percent: 20}, {from: 2026-01-01, percent: 22}]}
concessions:
  - {code: veteran, name: {ru: Ветеран}, who: entitled, base: energy, percents: [{from: 2026-01-01, percent: 50}], limit_kwh: 50, limit_for: person}
guarantee: {never_dearer_than: single}
source: a test
confidence: memory
"""  # noqa: E501 - rows as an analyst writes them

HOURLY = """\
plan: hourly
name: {ru: Почасовой}
valid_from: 2026-01-01
currency: RUB
vat: included
hourly:
  series: dam
  longer_intervals: average
  components:
    - {code: network, per_kwh: [{from: 2026-01-01, amount: 2.5}]}
    - {code: relief, per_kwh: [{from: 2026-01-01, amount: -0.1}]}
  floor: -1.5
  cap: 12
  limits: total
source: a test
confidence: memory
"""


def test_a_document_says_zones_by_type_of_day_and_season():
    version = parse_tariff(FULL)

    assert version.zones == (Zone.PEAK, Zone.SEMI_PEAK, Zone.NIGHT)
    assert version.zones_on(date(2026, 1, 12)).at(8 * 60) is Zone.PEAK
    assert version.zones_on(date(2026, 7, 6)).at(8 * 60) is Zone.SEMI_PEAK
    assert version.zones_on(date(2026, 7, 5)).at(8 * 60) is Zone.NIGHT  # a Sunday
    assert version.zones_on(date(2026, 11, 4)).at(8 * 60) is Zone.NIGHT  # a holiday
    assert version.zones_on(date(2026, 6, 11)).at(8 * 60) is Zone.NIGHT  # moved by the document
    assert version.calendar.type_of(date(2026, 6, 11)) is DayType.HOLIDAY


def test_a_document_says_rates_by_season_until_a_last_day():
    version = parse_tariff(FULL)

    assert version.rates_on(date(2026, 3, 31)).rates_scaled[0][0] == 6_000_000
    assert version.rates_on(date(2026, 4, 1)).rates_scaled[0][0] == 5_000_000
    with pytest.raises(ValueError, match="no rate holds on 2027-01-01"):
        version.rates_on(date(2027, 1, 1))


def test_a_document_says_everything_that_is_charged_beside_energy():
    version = parse_tariff(FULL)
    charges = version.charges

    assert (version.range_basis, version.range_order, version.range_period) == (
        RangeBasis.ZONE,
        RangeOrder.TIME,
        RangePeriod.MONTH,
    )
    assert [(f.code, f.per) for f in charges.fixed] == [
        ("service", FixedPer.MONTH),
        ("upkeep", FixedPer.M2),
    ]
    (network,) = charges.capacity
    assert network.basis is CapacityBasis.HIGHEST
    assert (network.windows, network.ratchet_ppm, network.ratchet_months) == (
        ((480, 1200),),
        800_000,
        11,
    )
    assert charges.minimum.amounts == (DatedAmount(date(2026, 1, 1), 200_000_000),)
    assert charges.allowance.wh_per_day == 2_500
    assert charges.export.netting is Netting.INTERVAL
    assert charges.taxes[0].mode is TaxMode.ON_TOP
    assert [s.ppm for s in charges.taxes[0].shares] == [200_000, 220_000]
    assert (charges.concessions[0].limit_wh, charges.concessions[0].limit_each_person) == (
        50_000,
        True,
    )
    assert charges.guarantee.plan_code == "single"


def test_an_hourly_document_needs_no_prices_by_zone():
    hourly = parse_tariff(HOURLY).charges.hourly

    assert (hourly.series, hourly.floor_scaled, hourly.cap_scaled) == (
        "dam",
        -1_500_000,
        12_000_000,
    )
    assert [c.amounts[0].amount_scaled for c in hourly.components] == [2_500_000, -100_000]


def test_a_norm_gives_borders_by_persons():
    version = parse_tariff(
        FULL.replace(
            "basis: zone, order: time, period: month, borders_kwh: [100, 200]",
            "basis: total, order: proportional, norm: {kwh_by_persons: [110, 150],"
            " each_more_kwh: 75, bands_percent: [100, 150], common_area: counted}",
        )
    )

    assert version.range_count == 3
    assert [version.norm.borders_wh(n) for n in (1, 2, 4)] == [
        (110_000, 165_000),
        (150_000, 225_000),
        (300_000, 450_000),
    ]
    with pytest.raises(ValueError, match="at least one person"):
        version.norm.borders_wh(0)


def test_every_field_is_in_the_digest():
    changes = [
        ("basis: zone", "basis: total"),
        ("period: month", "period: year"),
        ("11-01, summer", "11-02, summer"),
        ("2026-06-11: holiday", "2026-06-11: weekend"),
        ("[weekend, holiday]\n    windows: {night", "[weekend, holiday]\n    windows: {semi_peak"),
        ("prices_until: 2026-12-31", "prices_until: 2026-12-30"),
        ("amount: 0.65", "amount: 0.66"),
        ("per: m2", "per: person"),
        ("[08:00-20:00]", "[08:00-20:30]"),
        ("percent: 80", "percent: 81"),
        ("amount: 200}", "amount: 201}"),
        ("kwh_per_day: 2.5", "kwh_per_day: 2.6"),
        ("netting: interval", "netting: none"),
        ("percent: 22", "percent: 23"),
        ("limit_kwh: 50", "limit_kwh: 51"),
        ("who: entitled", "who: everyone"),
        ("never_dearer_than: single", "never_dearer_than: two_zone"),
    ]

    digests = {parse_tariff(FULL.replace(was, becomes, 1)).digest for was, becomes in changes}

    assert all(was in FULL for was, _ in changes)
    assert len(digests | {parse_tariff(FULL).digest}) == len(changes) + 1


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("[weekend, holiday]", "[weekend]", "line 8, zones: no schedule holds on a holiday day, "),
        ("[weekend, holiday]", "[weekend, working]", "zones: two schedules hold on a working day"),
        ("[weekend, holiday]", "[sunday]", "line 15, zones.2.days.0: a type of day is"),
        ("[00:00-24:00]", "[00:00-23:59]", "line 16, zones.2.windows: no zone holds 23:59 to"),
        (
            "seasons: [summer]",
            "seasons: [spring]",
            "line 13, zones.1.seasons.0: there is no season",
        ),
        ("summer: 04-01", "summer: 02-29", "line 6, seasons.summer: '02-29' is no day of the year"),
        ("summer: 04-01", "summer: 11-01", "line 6, seasons.summer: two seasons begin on 11-01"),
        ("winter: 11-01, summer: 04-01", "winter: 11-01", "line 6, seasons: a year has at least"),
        ("{calendar: russia", "{calendar: mars", "line 7, holidays.calendar: a calendar of"),
        ("holidays: {", "holiday: {", "line 7, holiday: there is no such field"),
        ("basis: zone, ", "", "line 17, ranges.basis: ranges beside several zones say their basis"),
        ("order: time, ", "", "line 17, ranges.order: the field is missing"),
        ("[100, 200]", "[-100, 200]", "line 17, ranges.borders_kwh.0: '-100' is no whole number"),
        ("[100, 200]", "[100]", "line 21, prices.0.per_kwh: 2 ranges need as many rows of rates"),
        (", {peak: 8, semi_peak: 7", ", {semi_peak: 7", "line 21, prices.0.per_kwh.2: the zones"),
        ("borders_kwh: [100, 200]", "", "line 17, ranges: ranges have borders_kwh or a norm"),
        ("season: winter", "season: summer", "line 22, prices.1.from: dated prices ascend"),
        ("    season: winter\n", "", "prices: every season has prices of its own, or none has"),
        ("prices_until: 2026-12-31", "prices_until: 2025-12-31", "line 25, prices_until: a price"),
        ("per: m2", "per: km", "line 28, fixed.1.per: a standing charge is per month"),
        ("code: upkeep", "code: service", "line 28, fixed.1.code: the code service comes twice"),
        ("amount: 0.65", "amount: -0.65", "line 28, fixed.1.amounts.0.amount: '-0.65' is not a"),
        ("{from: 2026-01-01, amount: 0.65}", "{from: 2026-02-01, amount: 1}", "no price holds on"),
        ("basis: highest", "basis: contracted", "capacity.0.windows: only the highest demand has"),
        ("months: 11", "months: 37", "line 35, capacity.0.ratchet.months: a ratchet looks back"),
        ("percent: 80", "percent: 101", "capacity.0.ratchet.percent: '101' is no share"),
        ("kwh_per_day: 2.5", "kwh_per_day: 2.5555", "line 38, allowance.kwh_per_day: '2.5555' is"),
        ("vat: on_top", "vat: included", "line 5, vat: prices hold VAT, and a tax puts it on top"),
        ("mode: on_top", "mode: included", "line 5, vat: VAT on top needs a tax"),
        ("vat: on_top", "vat: perhaps", "line 5, vat: prices hold VAT or get it on top"),
        ("limit_kwh: 50", "limit_kwh: 0", "concessions.0.limit_kwh: a limit is above zero"),
        ("basis: highest", "basis: highest\n    hours: list", "capacity.0.hours: regulated peaks"),
        ("netting: interval", "netting: period", "export.netting: netting over a period leaves no"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_line(was, becomes, says):
    assert was in FULL

    with pytest.raises(Invalid) as refusal:
        parse_tariff(FULL.replace(was, becomes, 1))

    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("cap: 12", "cap: -2", "line 13, hourly.cap: the cap is below the floor"),
        ("  longer_intervals: average\n", "", "hourly.longer_intervals: the field is missing"),
        ("hourly:\n", "zones: {all: [00:00-24:00]}\nhourly:\n", "line 6, zones: without prices"),
    ],
)
def test_an_hourly_document_is_refused_at_its_line(was, becomes, says):
    with pytest.raises(Invalid) as refusal:
        parse_tariff(HOURLY.replace(was, becomes, 1))

    assert says in str(refusal.value)


def test_a_document_of_today_without_a_basis_is_still_read_where_it_was_published():
    text = FULL.replace("basis: zone, ", "")

    version = parse_tariff(text, published=True)

    assert version.range_basis is RangeBasis.TOTAL


def test_netting_over_a_period_and_ranges_in_order_of_time_exclude_each_other():
    kept = [line for line in FULL.splitlines() if not line.startswith("allowance")]
    text = "\n".join(kept).replace("netting: interval", "netting: period")

    assert parse_tariff(text).charges.export.netting is Netting.PERIOD
    with pytest.raises(Invalid, match="leaves no order of time"):
        parse_tariff(text.replace("basis: zone", "basis: total"))
