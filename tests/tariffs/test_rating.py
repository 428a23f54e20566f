from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.money import scaled_rate
from kilokassa.core.period import Period
from kilokassa.core.series import EnergySeries
from kilokassa.core.zones import WHOLE_DAY, DayZones, Zone, windows
from tariffs.oracle import rate_slowly
from tariffs.plans import DatedRates, RangeOrder, TariffVersion
from tariffs.rating import CannotRate, lines_of, rate_energy, rate_population, rate_quantities
from tariffs.steps import range_volumes, split_in_proportion

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

    with pytest.raises(ValueError, match="inside an interval"):
        rate_energy(series, always(version(odd, (("2022-07-01", [["2", "1"]]),))), KHABAROVSK)


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


@settings(max_examples=30, deadline=None)
@given(a_version=versions(), seed=st.integers(0, 1000))
def test_a_month_rated_day_by_day_ends_in_the_kopeck_of_the_month(a_version, seed):
    period = Month(2022, 11).period(KHABAROVSK)
    energy = np.random.default_rng(seed).integers(0, 900, (1, 30 * 24), dtype=np.int32)
    posted: dict[str, int] = {}

    for day in range(1, 31):
        columns = rate_population(
            always(a_version), energy[:, : day * 24], period.start, 60, KHABAROVSK
        )
        for column, spec in enumerate(columns.specs):
            name = f"{spec.key}/{spec.range_number}"
            posted[name] = posted.get(name, 0) + int(
                columns.amount_minor[0, column] - posted.get(name, 0)
            )

    whole = rate_population(always(a_version), energy, period.start, 60, KHABAROVSK)
    assert sum(posted.values()) == int(whole.amount_minor.sum())


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
