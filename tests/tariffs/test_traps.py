"""Wrong bills that published engines really give, each with the right one; and what is refused."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import EnergySeries
from kilokassa.core.zones import Zone
from tariffs.documents import parse_tariff
from tariffs.facts import AccountFacts, PriceSeries
from tariffs.rating import CannotRate, lines_of, rate_energy, rate_population, rate_readings
from tariffs.zone_calendar import ZoneCutsInterval

KHABAROVSK = ZoneInfo("Asia/Vladivostok")
BERLIN = ZoneInfo("Europe/Berlin")
HEAD = """\
plan: trap
name: {ru: Ловушка}
valid_from: 2026-01-01
currency: RUB
vat: included
source: a test
confidence: memory
"""
HOURLY = "hourly: {series: dam, longer_intervals: refuse}\n"


def tariff(text):
    return parse_tariff(HEAD + text)


def always(version):
    return [(Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)), version)]


def hours(day, values, zone=KHABAROVSK, interval_min=60):
    return EnergySeries(local_midnight(day, zone), interval_min, np.array(values, dtype=np.int64))


def prices(start, roubles, interval_min=60, revision=1):
    scaled = np.array([round(value * 10**6) for value in roubles], dtype=np.int64)
    return PriceSeries("dam", start, interval_min, scaled, revision)


def total(lines):
    return sum(line.amount_minor for line in lines)


def test_three_hours_at_prices_of_which_one_is_negative_cost_twenty_five_kopecks():
    series = hours(date(2026, 3, 2), [1_000] * 3)
    facts = AccountFacts(price_series={"dam": prices(series.start, [0.10, 0.20, -0.05])})

    (line,) = rate_energy(series, always(tariff(HOURLY)), KHABAROVSK, facts=facts)

    assert (line.quantity_wh, line.amount_minor) == (3_000, 25)


def test_forty_eight_kilowatt_hours_flat_over_a_day_cost_eight():
    version = tariff(
        "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n"
        "prices: [{from: 2026-01-01, per_kwh: {day: 0.20, night: 0.10}}]\n"
    )

    lines = rate_energy(hours(date(2026, 3, 2), [2_000] * 24), always(version), KHABAROVSK)

    assert total(lines) == 8_00


def test_hours_of_50_40_and_50_kilowatt_hours_climb_the_tiers_to_twenty_one():
    version = tariff(
        "ranges: {basis: total, order: time, borders_kwh: [100, 110]}\n"
        "prices: [{from: 2026-01-01, per_kwh: [0.10, 0.20, 0.30]}]\n"
    )

    lines = rate_energy(
        hours(date(2026, 3, 2), [50_000, 40_000, 50_000]), always(version), KHABAROVSK
    )

    assert total(lines) == 21_00


def test_a_holiday_on_a_wednesday_is_not_a_monday():
    version = tariff(
        "holidays: {calendar: russia}\n"
        "zones:\n"
        "  - {days: [working], windows: {day: [07:00-23:00], night: [23:00-07:00]}}\n"
        "  - {days: [weekend, holiday], windows: {night: [00:00-24:00]}}\n"
        "prices: [{from: 2026-01-01, per_kwh: {day: 8, night: 2}}]\n"
    )
    holiday, monday, wednesday = date(2026, 11, 4), date(2026, 11, 2), date(2026, 11, 11)

    cost = {
        day: total(rate_energy(hours(day, [1_000] * 24), always(version), KHABAROVSK))
        for day in (holiday, monday, wednesday)
    }

    assert holiday.weekday() == 2
    assert cost == {holiday: 48_00, monday: 144_00, wednesday: 144_00}


def test_past_days_keep_the_price_of_their_own_date_after_a_price_change():
    before = tariff("prices: [{from: 2026-01-01, per_kwh: 5}]\n")
    after = tariff("prices: [{from: 2026-01-01, per_kwh: 5}, {from: 2026-03-11, per_kwh: 7}]\n")
    month = hours(date(2026, 3, 1), [1_000] * 24 * 31)

    lines = rate_energy(month, always(after), KHABAROVSK)
    past = rate_energy(hours(date(2026, 3, 1), [1_000] * 24 * 10), always(before), KHABAROVSK)

    assert lines[0] == past[0]
    assert [(n.quantity_wh, n.amount_minor) for n in lines] == [
        (240_000, 1200_00),
        (504_000, 3528_00),
    ]


def test_ladders_by_zone_in_proportion_and_in_time_are_three_different_bills():
    text = (
        "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n"
        "ranges: {basis: BASIS, order: ORDER, borders_kwh: [10]}\n"
        "prices: [{from: 2026-01-01, per_kwh: [{day: 5, night: 2}, {day: 9, night: 4}]}]\n"
    )
    day = hours(date(2026, 3, 2), [1_000] * 7 + [500] * 16 + [1_000])

    cost = {
        (basis, order): total(
            rate_energy(
                day,
                always(tariff(text.replace("BASIS", basis).replace("ORDER", order))),
                KHABAROVSK,
            )
        )
        for basis in ("zone", "total")
        for order in ("proportional", "time")
    }

    # 8 kWh by night and 8 by day: no ladder of a zone's own reaches 10 kWh, the common one does.
    assert cost == {
        ("zone", "proportional"): 56_00,
        ("zone", "time"): 56_00,
        ("total", "proportional"): 5 * 7_00 + 3 * 13_00,
        ("total", "time"): 7 * 2_00 + 3 * 5_00 + 5 * 9_00 + 1 * 4_00,
    }


def test_half_hours_take_the_price_of_their_hour_and_hours_the_average_where_asked():
    start = local_midnight(date(2026, 3, 2), KHABAROVSK)
    halves = hours(date(2026, 3, 2), [1_000, 3_000], interval_min=30)
    by_hour = AccountFacts(price_series={"dam": prices(start, [4])})
    by_half = AccountFacts(price_series={"dam": prices(start, [3, 6], 30)})
    average = tariff(HOURLY.replace("refuse", "average"))

    (finer,) = rate_energy(halves, always(tariff(HOURLY)), KHABAROVSK, facts=by_hour)
    (coarser,) = rate_energy(
        hours(date(2026, 3, 2), [4_000]), always(average), KHABAROVSK, facts=by_half
    )

    assert finer.amount_minor == 16_00
    assert coarser.amount_minor == 18_00
    with pytest.raises(CannotRate, match="60 minutes is longer than those of its prices"):
        rate_energy(
            hours(date(2026, 3, 2), [4_000]), always(tariff(HOURLY)), KHABAROVSK, facts=by_half
        )


def test_a_revised_price_series_keeps_the_revision_that_was_used():
    series = hours(date(2026, 3, 2), [1_000] * 3)
    first = prices(series.start, [1, 2, 3])
    second = first.revised(series.start + timedelta(hours=1), np.array([5_000_000, 3_000_000]))

    cost = [
        total(
            rate_energy(
                series,
                always(tariff(HOURLY)),
                KHABAROVSK,
                facts=AccountFacts(price_series={"dam": one}),
            )
        )
        for one in (first, second, first)
    ]

    assert cost == [6_00, 9_00, 6_00]
    assert (first.revision, second.revision) == (1, 2)
    assert first.digest != second.digest
    with pytest.raises(ValueError, match="read-only"):
        first.prices_scaled[0] = 0


def test_the_days_of_23_and_25_hours_have_as_many_prices():
    for day, count in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        series = hours(day, [1_000] * count, BERLIN)
        facts = AccountFacts(price_series={"dam": prices(series.start, range(1, count + 1))})

        (line,) = rate_energy(series, always(tariff(HOURLY)), BERLIN, facts=facts)

        assert line.amount_minor == count * (count + 1) // 2 * 100


@pytest.mark.parametrize(
    ("text", "facts", "says"),
    [
        (HOURLY, None, "it charges more than energy"),
        (HOURLY, {}, "the price series dam is not known"),
        (HOURLY, {"price_series": {"dam": 2}}, "has no price at 2026-03-01 16:00 UTC"),
        ("prices: [{from: 2026-01-01, per_kwh: 5}]\nprices_until: 2026-03-01\n", None, "end with"),
        (
            (
                "prices: [{from: 2026-01-01, per_kwh: 5}]\n"
                "fixed: [{code: f, name: {ru: Ф}, per: m2,"
                " amounts: [{from: 2026-01-01, amount: 1}]}]\n"
            ),
            {},
            "the area is not known",
        ),
        (
            (
                "prices: [{from: 2026-01-01, per_kwh: [5, 6]}]\n"
                "ranges: {order: time, period: year, borders_kwh: [100]}\n"
            ),
            None,
            "counted since the year began is not known",
        ),
        (
            (
                "prices: [{from: 2026-01-01, per_kwh: [5, 6]}]\nranges: {order: time, norm: "
                "{kwh_by_persons: [50], each_more_kwh: 50, bands_percent: [100],"
                " common_area: left_out}"
                "}\n"
            ),
            None,
            "the number of registered persons is not known",
        ),
        (
            (
                "prices: [{from: 2026-01-01, per_kwh: 5}]\n"
                "export: {netting: none, per_kwh: [{from: 2026-01-01, amount: 1}]}\n"
            ),
            {},
            "the energy given to the network is not known",
        ),
        (
            (
                "prices: [{from: 2026-01-01, per_kwh: 5}]\nconcessions: [{code: c, name: {ru: Л},"
                " who: entitled, base: energy, percents: [{from: 2026-01-01, percent: 5}]}]\n"
            ),
            {},
            "who has a right to the concession c is not known",
        ),
    ],
)
def test_what_is_not_known_is_refused_rather_than_guessed(text, facts, says):
    series = hours(date(2026, 3, 2), [1_000] * 3)
    known = None
    if facts is not None:
        series_of = {
            code: prices(series.start, [1] * count)
            for code, count in facts.get("price_series", {}).items()
        }
        known = AccountFacts(**facts | {"price_series": series_of})

    with pytest.raises(CannotRate, match=says):
        rate_energy(series, always(tariff(text)), KHABAROVSK, facts=known)


def test_a_window_of_demand_that_cuts_an_interval_is_refused():
    version = tariff(
        "prices: [{from: 2026-01-01, per_kwh: 5}]\n"
        "capacity: [{code: c, name: {ru: М}, basis: highest, windows: [08:30-12:00],"
        " per_kw_month: [{from: 2026-01-01, amount: 100}]}]\n"
    )

    with pytest.raises(ZoneCutsInterval, match="60 minutes, at 2026-03-02 08:00"):
        rate_energy(
            hours(date(2026, 3, 2), [1_000] * 24), always(version), KHABAROVSK, facts=AccountFacts()
        )


def test_a_month_of_every_charge_is_what_a_clerk_would_write_down():
    version = tariff(
        "prices: [{from: 2026-01-01, per_kwh: 5}]\n"
        "fixed:\n"
        "  - {code: service, name: {ru: О}, per: month,"
        " amounts: [{from: 2026-01-01, amount: 150}]}\n"
        "  - {code: upkeep, name: {ru: С}, per: m2, amounts: [{from: 2026-01-01, amount: 0.65}]}\n"
        "  - {code: lift, name: {ru: Л}, per: person, amounts: [{from: 2026-01-01, amount: 40}]}\n"
        "  - {code: daily, name: {ru: Д}, per: day, amounts: [{from: 2026-01-01, amount: 1.1}]}\n"
        "capacity: [{code: power, name: {ru: М}, basis: highest, ratchet: {percent: 80, months: 2},"
        " per_kw_month: [{from: 2026-01-01, amount: 100}]}]\n"
        "allowance: {kwh_per_day: 2, unused: lapses, credit_per_kwh: [{from: 2026-01-01,"
        " amount: 5}]}\n"
        "minimum: [{from: 2026-01-01, amount: 5000}]\n"
        "export: {netting: none, per_kwh: [{from: 2026-01-01, amount: 2}]}\n"
        "concessions: [{code: veteran, name: {ru: В}, who: entitled, base: energy, limit_kwh: 100,"
        " percents: [{from: 2026-01-01, percent: 50}]}]\n"
        "taxes: [{code: vat, name: {ru: НДС}, mode: included, percents: [{from: 2026-01-01,"
        " percent: 22}]}]\n"
    )
    april = Month(2026, 4).period(KHABAROVSK)
    energy = np.full((2, 30 * 24), 250, dtype=np.int32)
    energy[:, 100] = 3_250
    facts = AccountFacts(
        area_dm2=np.array([3_100, 6_000]),
        persons=np.array([2, 1]),
        demand_before_w=np.array([[9_000, 2_000, 3_000], [1, 9_000, 2]]),
        export_wh=np.full((2, 30 * 24), 10),
        entitled={"veteran": np.array([True, False])},
    )

    columns = rate_population(always(version), energy, april.start, 60, KHABAROVSK, facts=facts)

    def shown(row):
        return {
            (str(n.spec.kind), n.spec.code): (n.quantity_wh, n.amount_minor)
            for n in lines_of(columns, row)
        }

    assert shown(0) == {
        ("energy", ""): (183_000, 915_00),
        ("allowance", ""): (-60_000, -300_00),
        ("fixed", "service"): (30, 150_00),
        ("fixed", "upkeep"): (3_100, 20_15),
        ("fixed", "lift"): (2, 80_00),
        ("fixed", "daily"): (30, 33_00),
        ("capacity", "power"): (3_250, 325_00),
        ("minimum", ""): (3776_85, 3776_85),
        ("export", ""): (-7_200, -14_40),
        ("concession", "veteran"): (-500_00, -250_00),
    }
    assert shown(1)["capacity", "power"] == (7_200, 720_00)
    assert ("concession", "veteran") not in shown(1)
    (vat,) = columns.included
    assert vat.amount_minor.tolist() == [
        round(sum(amount for _, amount in shown(row).values()) * 22 / 122) for row in range(2)
    ]


def test_registers_are_priced_by_ladders_of_their_own_and_by_standing_charges():
    version = tariff(
        "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n"
        "ranges: {basis: zone, order: time, borders_kwh: [100]}\n"
        "prices: [{from: 2026-01-01, per_kwh: [{day: 5, night: 2}, {day: 9, night: 4}]}]\n"
        "fixed: [{code: f, name: {ru: Ф}, per: person,"
        " amounts: [{from: 2026-01-01, amount: 10}]}]\n"
    )
    month = Month(2026, 4).period(KHABAROVSK)
    counted = {(month, Zone.DAY): 150_000, (month, Zone.NIGHT): 80_000}

    lines = rate_readings(
        always(version), counted, KHABAROVSK, facts=AccountFacts(persons=np.array([3]))
    )

    assert [(n.spec.key, n.amount_minor) for n in lines] == [
        ("day/1/2026-01-01", 500_00),
        ("night/1/2026-01-01", 160_00),
        ("day/2/2026-01-01", 450_00),
        ("fixed:f/-/2026-01-01", 30_00),
    ]
    with pytest.raises(CannotRate, match="more than energy"):
        rate_readings(always(version), counted, KHABAROVSK)
    with pytest.raises(CannotRate, match="an hourly price needs interval readings"):
        rate_readings(
            always(tariff(HOURLY)), {(month, Zone.ALL): 1_000}, KHABAROVSK, facts=AccountFacts()
        )


def test_a_year_climbs_one_ladder_over_its_months():
    version = tariff(
        "ranges: {order: proportional, period: year, borders_kwh: [100]}\n"
        "prices: [{from: 2026-01-01, per_kwh: [5, 9]}]\n"
    )
    months = [Month(2026, n).period(KHABAROVSK) for n in (1, 2, 3)]
    quarter = Period(months[0].start, months[-1].end)
    count = quarter.length // timedelta(hours=1)

    columns = rate_population(
        always(version),
        np.full((1, count), 100, dtype=np.int32),
        quarter.start,
        60,
        KHABAROVSK,
        billings=months,
    )

    assert [(n.spec.billing, n.spec.range_number, n.quantity_wh) for n in lines_of(columns, 0)] == [
        (0, 1, 74_400),
        (1, 1, 25_600),
        (1, 2, 41_600),
        (2, 2, 74_400),
    ]
    assert columns.energy_wh.sum() == count * 100


def test_a_line_shows_how_its_amount_came_about():
    version = replace(tariff("prices: [{from: 2026-01-01, per_kwh: 5.555}]\n"), id=7)

    (line,) = rate_energy(hours(date(2026, 3, 2), [1_001]), always(version), KHABAROVSK)

    working = line.working
    assert (working.quantity, working.zone, working.rate_scaled) == (1_001, Zone.ALL, 5_555_000)
    assert (working.numerator, working.divisor) == (1_001 * 5_555_000, 10**7)
    assert (working.version_id, working.rounding, working.amount_minor) == (7, "half_up", 556)


def test_a_day_without_prices_is_refused_and_never_costs_nothing():
    series = hours(date(2026, 3, 2), [1_000] * 72)
    whole = prices(series.start, [1] * 72)
    second_day = Period(series.start + timedelta(hours=24), series.start + timedelta(hours=48))
    holed = replace(whole, holes=(second_day,))
    facts = AccountFacts(price_series={"dam": holed})

    with pytest.raises(CannotRate, match="no price at 2026-03-02 14:00 UTC"):
        rate_energy(series, always(tariff(HOURLY)), KHABAROVSK, facts=facts)

    last_day = hours(date(2026, 3, 4), [1_000] * 24)
    (line,) = rate_energy(last_day, always(tariff(HOURLY)), KHABAROVSK, facts=facts)
    assert line.amount_minor == 24_00
    assert holed.digest != whole.digest
