from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.money import scaled_rate
from kilokassa.core.period import Period
from kilokassa.core.series import EnergySeries
from kilokassa.core.text import Language, sentence
from kilokassa.core.zones import WHOLE_DAY, DayZones, Zone, windows
from tariffs.exact_sums import zone_sums
from tariffs.ladders import shares_of
from tariffs.oracle import rate_slowly
from tariffs.plans import DatedRates, RangeOrder, TariffVersion
from tariffs.rating import (
    CannotRate,
    lines_of,
    rate_energy,
    rate_population,
    rate_quantities,
    rate_readings,
)
from tariffs.steps import range_volumes, split_in_proportion
from tariffs.zone_calendar import ZoneCutsInterval, zone_calendar

THREE = DayZones(
    (
        *windows(Zone.PEAK, time(7), time(10)),
        *windows(Zone.PEAK, time(17), time(21)),
        *windows(Zone.SEMI_PEAK, time(10), time(17)),
        *windows(Zone.SEMI_PEAK, time(21), time(23)),
        *windows(Zone.NIGHT, time(23), time(7)),
    )
)
TWO = DayZones((*windows(Zone.DAY, time(7), time(23)), *windows(Zone.NIGHT, time(23), time(7))))
KHABAROVSK = ZoneInfo("Asia/Vladivostok")
NEW_YORK = ZoneInfo("America/New_York")


def version(zones=THREE, rates=(("2022-07-01", [["6.11", "5.09", "1.67"]]),), **kwargs):
    return TariffVersion(
        plan_code="p",
        name="п",
        name_en="p",
        valid_from=date(2022, 7, 1),
        day_zones=zones,
        rates=tuple(
            DatedRates(
                date.fromisoformat(day),
                tuple(tuple(scaled_rate(Decimal(r)) for r in row) for row in table),
            )
            for day, table in rates
        ),
        **kwargs,
    )


def always(a_version):
    return [(Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)), a_version)]


def test_a_day_of_one_kilowatt_is_priced_by_zone():
    series = EnergySeries(
        local_midnight(date(2022, 11, 7), KHABAROVSK), 30, np.full(48, 500, np.int32)
    )

    lines = rate_energy(series, always(version()), KHABAROVSK)

    assert [(n.spec.zone, n.quantity_wh, n.amount_minor) for n in lines] == [
        (Zone.PEAK, 7_000, 42_77),
        (Zone.SEMI_PEAK, 9_000, 45_81),
        (Zone.NIGHT, 8_000, 13_36),
    ]


def test_a_change_of_price_cuts_the_lines_at_local_midnight():
    rates = (("2022-07-01", [["5.09"]]), ("2022-12-01", [["5.54"]]))
    start = local_midnight(date(2022, 11, 30), KHABAROVSK)
    series = EnergySeries(start, 60, np.full(48, 1000, np.int32))

    lines = rate_energy(series, always(version(WHOLE_DAY, rates)), KHABAROVSK)

    assert [(n.spec.key, n.amount_minor) for n in lines] == [
        ("all/-/2022-07-01", 122_16),
        ("all/-/2022-12-01", 132_96),
    ]


def test_forty_eight_kilowatt_hours_flat_over_a_day_cost_eight():
    series = EnergySeries(
        local_midnight(date(2022, 11, 7), KHABAROVSK), 60, np.full(24, 2000, np.int32)
    )

    lines = rate_energy(
        series, always(version(TWO, (("2022-07-01", [["0.20", "0.10"]]),))), KHABAROVSK
    )

    assert sum(n.amount_minor for n in lines) == 8_00


def test_hours_of_50_40_50_on_a_ladder_cost_21():
    ladder = version(
        WHOLE_DAY,
        (("2022-07-01", [["0.10"], ["0.20"], ["0.30"]]),),
        range_borders_wh=(100_000, 110_000),
        range_order=RangeOrder.TIME,
    )
    series = EnergySeries(
        local_midnight(date(2022, 11, 7), KHABAROVSK), 60, np.array([50_000, 40_000, 50_000])
    )

    lines = rate_energy(series, always(ladder), KHABAROVSK)

    assert [(n.spec.range_number, n.quantity_wh) for n in lines] == [
        (1, 100_000),
        (2, 10_000),
        (3, 30_000),
    ]
    assert sum(n.amount_minor for n in lines) == 21_00


def test_the_days_of_23_and_25_hours_are_priced_whole():
    for day, hours in ((date(2022, 3, 13), 23), (date(2022, 11, 6), 25)):
        series = EnergySeries(local_midnight(day, NEW_YORK), 60, np.full(hours, 1000, np.int32))
        two = version(TWO, (("2022-01-01", [["2", "1"]]),))

        lines = rate_energy(series, always(two), NEW_YORK)

        assert [n.quantity_wh for n in lines] == [16_000, (hours - 16) * 1000]


def test_a_time_without_a_version_is_refused():
    month = Month(2022, 11).period(KHABAROVSK)
    series = EnergySeries(month.start, 60, np.zeros(48, np.int32))
    late = [(Period(month.start + timedelta(days=1), month.end), version())]

    with pytest.raises(CannotRate, match="no version holds"):
        rate_energy(series, late, KHABAROVSK)


def test_a_grid_that_a_zone_would_cut_is_refused():
    odd = DayZones(
        (*windows(Zone.DAY, time(7, 15), time(23)), *windows(Zone.NIGHT, time(23), time(7, 15)))
    )
    series = EnergySeries(local_midnight(date(2022, 11, 7), KHABAROVSK), 30, np.zeros(48, np.int32))

    with pytest.raises(ZoneCutsInterval, match="30 minutes, at 2022-11-07 07:00"):
        rate_energy(series, always(version(odd, (("2022-07-01", [["2", "1"]]),))), KHABAROVSK)


def test_a_zone_that_begins_and_ends_within_one_interval_is_refused():
    odd = DayZones(
        (
            *windows(Zone.PEAK, time(7, 15), time(7, 45)),
            *windows(Zone.NIGHT, time(7, 45), time(7, 15)),
        )
    )
    series = EnergySeries(local_midnight(date(2022, 11, 7), KHABAROVSK), 60, np.zeros(24, np.int32))

    with pytest.raises(ZoneCutsInterval, match="60 minutes, at 2022-11-07 07:00"):
        rate_energy(series, always(version(odd, (("2022-07-01", [["2", "1"]]),))), KHABAROVSK)


def test_a_price_that_changes_inside_an_interval_is_refused():
    rates = (("2022-07-01", [["5.09"]]), ("2022-12-01", [["5.54"]]))
    before = local_midnight(date(2022, 12, 1), KHABAROVSK) - timedelta(minutes=30)
    series = EnergySeries(before, 60, np.full(2, 1000, np.int32))

    with pytest.raises(CannotRate, match="changes inside an interval of 60 minutes"):
        rate_energy(series, always(version(WHOLE_DAY, rates)), KHABAROVSK)


def test_a_refusal_to_rate_speaks_the_language_of_its_reader():
    series = EnergySeries(local_midnight(date(2022, 11, 7), KHABAROVSK), 60, np.zeros(24, np.int32))

    with pytest.raises(CannotRate) as refusal:
        rate_energy(series, [], KHABAROVSK)

    assert sentence(refusal.value, Language.RUSSIAN) == (
        "По тарифу - это не посчитать: на 2022-11-07 00:00 нет действующей редакции."
    )


def test_two_plans_of_one_month_never_share_the_key_of_a_line():
    month = Month(2022, 11).period(KHABAROVSK)
    middle = local_midnight(date(2022, 11, 16), KHABAROVSK)
    former = version(WHOLE_DAY, (("2022-07-01", [["5.09"]]),))
    later = version(WHOLE_DAY, (("2022-07-01", [["4.27"]]),))
    in_force = [(Period(month.start, middle), former), (Period(middle, month.end), later)]
    series = EnergySeries(month.start, 60, np.full(30 * 24, 1000, np.int32))

    lines = rate_energy(series, in_force, KHABAROVSK)

    assert [(n.spec.key, n.quantity_wh, n.amount_minor) for n in lines] == [
        ("all/-/2022-07-01", 360_000, 1832_40),
        ("all/-/2022-11-16", 360_000, 1537_20),
    ]


def test_a_ladder_in_order_of_time_prices_a_month_over_a_change_of_price():
    ladder = version(
        WHOLE_DAY,
        (("2022-07-01", [["1"], ["10"]]), ("2022-12-01", [["2"], ["20"]])),
        range_borders_wh=(3_000,),
        range_order=RangeOrder.TIME,
    )
    start = local_midnight(date(2022, 11, 30), KHABAROVSK)
    series = EnergySeries(start, 24 * 60, np.array([2_000, 5_000], np.int32))

    lines = rate_energy(series, always(ladder), KHABAROVSK)

    assert [(n.spec.key, n.quantity_wh, n.amount_minor) for n in lines] == [
        ("all/1/2022-07-01", 2_000, 2_00),
        ("all/1/2022-12-01", 1_000, 2_00),
        ("all/2/2022-12-01", 4_000, 80_00),
    ]


def test_negative_energy_gives_value_back_but_not_through_ranges():
    start = local_midnight(date(2022, 11, 7), KHABAROVSK)
    series = EnergySeries(start, 60, np.array([-1_000], np.int32))
    flat = version(WHOLE_DAY, (("2022-07-01", [["5.09"]]),))
    ladder = version(WHOLE_DAY, (("2022-07-01", [["1"], ["2"]]),), range_borders_wh=(1_000,))

    (line,) = rate_energy(series, always(flat), KHABAROVSK)

    assert line.amount_minor == -5_09
    with pytest.raises(CannotRate, match="negative energy"):
        rate_energy(series, always(ladder), KHABAROVSK)


def test_a_product_beyond_64_bits_is_still_exact():
    dear = version(WHOLE_DAY, (("2022-07-01", [["999999.999999"]]),))
    start = local_midnight(date(2022, 11, 7), KHABAROVSK)
    series = EnergySeries(start, 60, np.array([2**31 - 1] * 24, np.int32))

    (line,) = rate_energy(series, always(dear), KHABAROVSK)

    exact = Decimal(24 * (2**31 - 1)) * Decimal("999999.999999") / 10
    assert line.amount_minor == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def test_a_register_reading_over_a_price_change_is_split_by_days():
    rates = (("2022-07-01", [["5.09"]]), ("2022-12-01", [["5.54"]]))
    period = Period(datetime(2022, 11, 24, 2, tzinfo=UTC), datetime(2022, 12, 24, 2, tzinfo=UTC))

    lines = rate_quantities(
        always(version(WHOLE_DAY, rates)), {Zone.ALL: 300_000}, period, KHABAROVSK
    )

    assert [(n.spec.key, n.quantity_wh) for n in lines] == [
        ("all/-/2022-07-01", 70_000),
        ("all/-/2022-12-01", 230_000),
    ]
    assert all(line.shared_by_days for line in lines)
    assert (lines[0].spec.period.start, lines[-1].spec.period.end) == (period.start, period.end)


def test_a_register_reading_under_one_price_is_nobodys_share():
    period = Month(2022, 11).period(KHABAROVSK)
    energy_wh = {Zone.DAY: 180_500, Zone.NIGHT: 61_250}
    two = version(TWO, (("2022-07-01", [["5.85", "1.67"]]),))

    lines = rate_quantities(always(two), energy_wh, period, KHABAROVSK)

    assert [(n.spec.zone, n.quantity_wh, n.amount_minor, n.shared_by_days) for n in lines] == [
        (Zone.DAY, 180_500, 1055_93, False),
        (Zone.NIGHT, 61_250, 102_29, False),
    ]


def test_a_plan_of_one_zone_takes_the_registers_together():
    period = Month(2022, 11).period(KHABAROVSK)
    flat = version(WHOLE_DAY, (("2022-07-01", [["5.09"]]),))

    lines = rate_quantities(
        always(flat), {Zone.DAY: 60_000, Zone.NIGHT: 40_000}, period, KHABAROVSK
    )

    assert [(n.spec.zone, n.quantity_wh, n.amount_minor) for n in lines] == [
        (Zone.ALL, 100_000, 509_00)
    ]


def test_a_register_is_never_lost_to_a_version_without_its_zone():
    month = Month(2022, 11).period(KHABAROVSK)
    middle = local_midnight(date(2022, 11, 16), KHABAROVSK)
    two = version(TWO, (("2022-07-01", [["5.85", "1.67"]]),))
    in_force = [(Period(month.start, middle), two), (Period(middle, month.end), version())]

    with pytest.raises(CannotRate, match="no zone day"):
        rate_quantities(in_force, {Zone.DAY: 60_000, Zone.NIGHT: 40_000}, month, KHABAROVSK)


def test_readings_within_a_month_are_one_bill_with_one_ladder():
    month = Month(2022, 11).period(KHABAROVSK)
    middle = local_midnight(date(2022, 11, 16), KHABAROVSK)
    ladder = version(
        WHOLE_DAY, (("2022-07-01", [["4.93"], ["8.27"]]),), range_borders_wh=(1_000_000,)
    )
    counted_wh = {
        (Period(month.start, middle), Zone.ALL): 700_001,
        (Period(middle, month.end), Zone.ALL): 800_002,
    }

    lines = rate_readings(always(ladder), counted_wh, KHABAROVSK)

    assert [(n.spec.key, n.quantity_wh, n.amount_minor, n.shared_by_days) for n in lines] == [
        ("all/1/2022-07-01", 1_000_000, 4930_00, False),
        ("all/2/2022-07-01", 500_003, 4135_02, False),
    ]


def test_only_lines_whose_reading_spans_a_change_of_price_are_shares():
    rates = (("2022-07-01", [["5"]]), ("2022-12-01", [["6"]]), ("2022-12-21", [["7"]]))
    first, second, third = (
        local_midnight(day, KHABAROVSK)
        for day in (date(2022, 11, 21), date(2022, 12, 21), date(2022, 12, 31))
    )
    counted_wh = {
        (Period(first, second), Zone.ALL): 30_000,
        (Period(second, third), Zone.ALL): 10_000,
    }

    lines = rate_readings(always(version(WHOLE_DAY, rates)), counted_wh, KHABAROVSK)

    assert [(n.spec.key, n.quantity_wh, n.shared_by_days) for n in lines] == [
        ("all/-/2022-07-01", 10_000, True),
        ("all/-/2022-12-01", 20_000, True),
        ("all/-/2022-12-21", 10_000, False),
    ]


def test_registers_read_twice_on_one_day_are_priced_and_at_one_instant_refused():
    noon = datetime(2022, 11, 7, 2, tzinfo=UTC)
    flat = always(version(WHOLE_DAY, (("2022-07-01", [["5.09"]]),)))

    lines = rate_quantities(
        flat, {Zone.ALL: 1_000}, Period(noon, noon + timedelta(hours=3)), KHABAROVSK
    )

    assert [n.amount_minor for n in lines] == [5_09]
    with pytest.raises(CannotRate, match="no time lies"):
        rate_quantities(flat, {Zone.ALL: 1_000}, Period(noon, noon), KHABAROVSK)


def test_a_register_of_a_zone_that_the_plan_lacks_is_refused():
    period = Month(2022, 11).period(KHABAROVSK)

    with pytest.raises(CannotRate, match="no zone all"):
        rate_quantities(always(version()), {Zone.ALL: 1}, period, KHABAROVSK)


RATES = st.integers(0, 20_000_000)


@st.composite
def versions(draw):
    zones = draw(st.sampled_from([WHOLE_DAY, TWO, THREE]))
    borders = tuple(sorted(draw(st.sets(st.integers(1, 40_000), max_size=2))))
    dates = sorted(
        {
            date(2022, 1, 1),
            *draw(st.sets(st.dates(date(2022, 2, 25), date(2022, 12, 5)), max_size=2)),
        }
    )
    rates = tuple(
        DatedRates(
            day,
            tuple(tuple(draw(RATES) for _ in zones.zones) for _ in range(len(borders) + 1)),
        )
        for day in dates
    )
    return TariffVersion(
        plan_code="random",
        name="",
        name_en="",
        valid_from=date(2022, 1, 1),
        day_zones=zones,
        rates=rates,
        range_borders_wh=borders,
        range_order=draw(st.sampled_from(RangeOrder)),
    )


@settings(max_examples=60, deadline=None)
@given(
    a_version=versions(),
    zone=st.sampled_from([KHABAROVSK, NEW_YORK]),
    month=st.sampled_from([Month(2022, 3), Month(2022, 11)]),
    seed=st.integers(0, 1000),
    top=st.sampled_from([3, 900, 70_000]),
)
def test_the_kernel_equals_the_oracle(a_version, zone, month, seed, top):
    period = month.period(zone)
    intervals = period.length // timedelta(minutes=30)
    energy = np.random.default_rng(seed).integers(0, top, (2, intervals), dtype=np.int32)

    columns = rate_population(always(a_version), energy, period.start, 30, zone)

    for row in range(2):
        found = {
            (str(n.spec.zone), n.spec.range_number, n.spec.key.rsplit("/", 1)[1]): (
                n.quantity_wh,
                n.amount_minor,
            )
            for n in lines_of(columns, row)
        }
        judged = rate_slowly(always(a_version), energy[row].tolist(), period.start, 30, zone)
        assert found == judged


@settings(max_examples=40, deadline=None)
@given(
    a_version=versions(),
    counted=st.lists(st.integers(0, 90_000), min_size=1, max_size=4),
    hours=st.integers(1, 400),
)
def test_what_registers_counted_is_priced_without_rest(a_version, counted, hours):
    start = datetime(2022, 2, 20, 3, tzinfo=UTC)
    step = timedelta(hours=hours)
    register = a_version.zones[0]
    counted_wh = {
        (Period(start + n * step, start + (n + 1) * step), register): wh
        for n, wh in enumerate(counted)
    }

    lines = rate_readings(always(a_version), counted_wh, KHABAROVSK)

    assert sum(line.quantity_wh for line in lines) == sum(counted)
    assert {line.spec.zone for line in lines} <= {register}


@settings(max_examples=25, deadline=None)
@given(a_version=versions(), seed=st.integers(0, 1000))
def test_a_month_posted_day_by_day_ends_in_the_lines_of_the_month(a_version, seed):
    period = Month(2022, 11).period(NEW_YORK)
    hours = period.length // timedelta(hours=1)
    energy = np.random.default_rng(seed).integers(0, 900, (1, hours), dtype=np.int32)
    posted: Counter[str] = Counter()

    for known in [*range(24, hours, 24), hours]:
        columns = rate_population(always(a_version), energy[:, :known], period.start, 60, NEW_YORK)
        for line in lines_of(columns, 0):
            posted[line.spec.key] += line.amount_minor - posted[line.spec.key]

    whole = rate_population(always(a_version), energy, period.start, 60, NEW_YORK)
    assert len({spec.key for spec in whole.specs}) == len(whole.specs)
    assert posted == Counter({n.spec.key: n.amount_minor for n in lines_of(whole, 0)})


@settings(max_examples=25, deadline=None)
@given(a_version=versions(), cut=st.integers(0, 720), seed=st.integers(0, 1000))
def test_rating_in_pieces_and_at_once_agree_on_the_energy(a_version, cut, seed):
    flat = replace(
        a_version,
        range_borders_wh=(),
        rates=tuple(replace(d, rates_scaled=d.rates_scaled[:1]) for d in a_version.rates),
    )
    start = Month(2022, 11).period(KHABAROVSK).start
    energy = np.random.default_rng(seed).integers(-100, 900, (3, 720), dtype=np.int32)

    whole = rate_population(always(flat), energy, start, 60, KHABAROVSK)
    pieces = [
        rate_population(always(flat), energy[:, :cut], start, 60, KHABAROVSK),
        rate_population(
            always(flat), energy[:, cut:], start + timedelta(hours=cut), 60, KHABAROVSK
        ),
    ]

    assert (whole.energy_wh.sum(axis=1) == energy.sum(axis=1)).all()
    for row in range(3):
        by_key: Counter[str] = Counter()
        for piece in pieces:
            for spec, wh in zip(piece.specs, piece.energy_wh[row], strict=True):
                by_key[spec.key] += int(wh)
        assert by_key == Counter(
            {spec.key: int(wh) for spec, wh in zip(whole.specs, whole.energy_wh[row], strict=True)}
        )


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["Australia/Lord_Howe", "Europe/London", "Asia/Kathmandu"]).map(ZoneInfo),
    hours=st.integers(0, 8_000),
    interval_min=st.sampled_from([5, 15, 30]),
)
def test_the_calendar_of_zones_is_what_a_clock_on_the_wall_shows(zone, hours, interval_min):
    start = datetime(2022, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    edge = TWO if zone.key != "Asia/Kathmandu" or interval_min < 30 else WHOLE_DAY

    calendar = zone_calendar(edge, zone, start, 3_000, interval_min)

    assert [edge.zones[index] for index in calendar.zone_index] == [
        edge.at(clock.hour * 60 + clock.minute)
        for n in range(3_000)
        for clock in [(start + timedelta(minutes=interval_min * n)).astimezone(zone)]
    ]


@settings(deadline=None)
@given(
    day=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    days=st.integers(0, 6),
    odd=st.lists(st.integers(0, 2), max_size=9),
    rows=st.integers(0, 600),
    top=st.sampled_from([1, 2**30, 2**31 - 1, 2**52, 2**56]),
    seed=st.integers(0, 1000),
)
def test_sums_by_zone_are_exact_whatever_the_days_and_the_size(day, days, odd, rows, top, seed):
    zone_index = np.array([*day * days, *odd, *day * days], dtype=np.int8)
    kind = np.int32 if top < 2**31 else np.int64
    random = np.random.default_rng(seed)
    energy = random.integers(-top, top, (rows, len(zone_index)), dtype=kind, endpoint=top < 2**31)

    sums = zone_sums(energy, zone_index, 3, 4)

    whole = energy.astype(np.int64)
    for zone in range(3):
        assert (sums[:, zone] == whole[:, zone_index == zone].sum(axis=1)).all()


def test_a_sum_that_64_bits_cannot_hold_is_refused():
    energy = np.full((1, 4), 2**61, dtype=np.int64)

    with pytest.raises(ValueError, match="64 bits"):
        zone_sums(energy, np.zeros(4, dtype=np.int8), 1, 4)


@given(st.integers(0, 20_000), st.sets(st.integers(1, 9_000), max_size=3))
def test_ranges_share_a_volume_without_rest(total, borders):
    assert sum(range_volumes(total, sorted(borders))) == total


@given(
    st.lists(st.integers(0, 9_000), min_size=1, max_size=6),
    st.sets(st.integers(1, 9_000), max_size=3),
)
def test_a_split_in_proportion_keeps_every_cell_and_every_range(cells, borders):
    split = split_in_proportion(cells, sorted(borders))

    assert [sum(part) for part in zip(*split, strict=True)] == cells
    assert [sum(part) for part in split] == list(range_volumes(sum(cells), sorted(borders)))
    assert min(min(part) for part in split) >= 0


@given(
    st.lists(st.lists(st.integers(0, 9_000), min_size=3, max_size=3), min_size=1, max_size=5),
    st.integers(1, 1_000),
    st.sampled_from([1, 2**40]),
)
def test_columns_share_a_volume_as_one_account_does(rows, part, size):
    weights = np.array(rows, dtype=np.int64) * size
    volume = weights.sum(axis=1) * part // 1_000

    shared = shares_of(volume, weights)

    assert shared.tolist() == [
        list(apportion(total, row)) if sum(row) else [0, 0, 0]
        for total, row in zip(volume.tolist(), weights.tolist(), strict=True)
    ]
