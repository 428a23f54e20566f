"""Differences of registers and what lines of register readings are."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.findings.finding import FindingKind
from metering.imports import RefusalReason, UnreadableFile
from metering.parsers.csv_registers import RegisterLine, parse_registers
from metering.parsers.detect import detect_layout
from metering.register_arrivals import KnownMeter, MeterDirectory, check_registers
from metering.registers import (
    RegisterBackwards,
    RegisterReading,
    counted,
    counted_between,
    modulus,
    register_differences,
)
from metering.registry.places import Commodity

ZONE = "Asia/Vladivostok"
METER = KnownMeter(1, "P1", "S1", Commodity.ELECTRICITY, 5, date(2020, 1, 1), None, ZONE)


def at(day, hour=0):
    return datetime(2026, 10, day, hour, tzinfo=UTC)


def reading(day, kwh, *, zone=Zone.ALL, quality=Quality.ACTUAL):
    return RegisterReading(1, zone, at(day), kwh * 1000, quality)


def line(number, day, kwh, **changes):
    value = None if kwh is None else Decimal(kwh)
    values = {"point_code": "P1", "serial": "", "zone": Zone.ALL} | changes
    return RegisterLine(
        line=number, taken=date(2026, 10, day), value=value, quality=Quality.CUSTOMER_READ, **values
    )


def placed(*lines):
    found, refused = MeterDirectory([METER]).place(lines, 1000)
    assert refused == []
    return found


@pytest.mark.parametrize(
    ("earlier_kwh", "later_kwh", "used_kwh", "rolled_over"),
    [
        (100, 250, 150, False),
        (100, 100, 0, False),
        (99_990, 40, 50, True),
        (99_999, 0, 1, True),
    ],
)
def test_a_five_digit_register_counts_on_past_its_end(
    earlier_kwh, later_kwh, used_kwh, rolled_over
):
    (difference,) = register_differences(
        [reading(1, earlier_kwh), reading(25, later_kwh)], digits=5
    )

    assert difference.energy == used_kwh * 1000
    assert difference.rolled_over is rolled_over
    assert (difference.period.start, difference.period.end) == (at(1), at(25))


def test_a_register_that_went_back_is_refused_with_its_name():
    with pytest.raises(RegisterBackwards, match="Meter 1, zone night"):
        register_differences(
            [reading(1, 500, zone=Zone.NIGHT), reading(2, 400, zone=Zone.NIGHT)], digits=5
        )


def test_zones_are_told_apart_and_the_less_certain_quality_counts():
    readings = [
        reading(1, 10, zone=Zone.DAY),
        reading(25, 30, zone=Zone.DAY, quality=Quality.ESTIMATED),
        reading(1, 5, zone=Zone.NIGHT),
        reading(25, 6, zone=Zone.NIGHT),
    ]

    day, night = register_differences(readings, digits=5)

    assert (day.zone, day.energy, day.quality) == (Zone.DAY, 20_000, Quality.ESTIMATED)
    assert (night.zone, night.energy, night.quality) == (Zone.NIGHT, 1_000, Quality.ACTUAL)


@given(
    start=st.integers(0, 10**8 - 1),
    steps=st.lists(st.integers(0, 10**7 - 1), min_size=1, max_size=20),
)
def test_differences_sum_to_what_was_used_however_often_the_register_rolled_over(start, steps):
    total = start
    values = [start]
    for step in steps:
        total += step
        values.append(total % modulus(5))

    told = [counted(a, b, modulus(5))[0] for a, b in pairwise(values)]

    assert sum(told) == total - start


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kwh": None}, RefusalReason.NO_VALUE),
        ({"kwh": "-1"}, RefusalReason.NEGATIVE),
        ({"kwh": "100000"}, RefusalReason.TOO_LARGE),
        ({"kwh": "1", "point_code": "P9"}, RefusalReason.UNKNOWN_METER),
        ({"kwh": "1", "serial": "S9"}, RefusalReason.UNKNOWN_METER),
        ({"kwh": "1", "point_code": "", "serial": ""}, RefusalReason.UNKNOWN_METER),
    ],
)
def test_a_line_that_is_no_reading_of_a_known_meter_is_refused(changes, reason):
    found, (refused,) = MeterDirectory([METER]).place([line(2, 5, **changes)], 1000)

    assert found == []
    assert refused.reason is reason


def test_a_date_alone_is_the_start_of_the_local_day():
    (one,) = placed(line(2, 5, "12.3456"))

    assert one.reading.taken_at == datetime(2026, 10, 4, 14, tzinfo=UTC)
    assert one.reading.value == 12_345


def test_on_the_day_of_a_replacement_the_new_meter_is_meant_unless_the_serial_says_otherwise():
    old = KnownMeter(
        1, "P1", "S1", Commodity.ELECTRICITY, 5, date(2020, 1, 1), date(2026, 10, 5), ZONE
    )
    new = KnownMeter(2, "P1", "S2", Commodity.ELECTRICITY, 5, date(2026, 10, 5), None, ZONE)
    directory = MeterDirectory([old, new])

    found, _ = directory.place([line(2, 5, "1"), line(3, 5, "900", serial="S1")], 1000)

    assert [one.meter.serial for one in found] == ["S2", "S1"]


def test_a_reading_less_than_the_one_before_or_more_than_a_later_one_is_refused():
    lines = placed(line(2, 10, "500"), line(3, 20, "400"), line(4, 5, "501"), line(5, 30, "600"))

    checked = check_registers(lines, [])

    assert [one.line.line for one in checked.accepted] == [4, 5]
    assert [one.line.line for one in checked.refused] == [2, 3]
    assert {one.reason for one in checked.refused} == {RefusalReason.BACKWARDS}
    assert {f.kind for f in checked.findings} == {FindingKind.REGISTER_BACKWARDS}


def test_a_register_that_rolled_over_is_accepted_and_noted():
    checked = check_registers(placed(line(2, 10, "40")), [reading(1, 99_990)])

    assert checked.counted == (50_000,)
    assert [f.kind for f in checked.findings] == [FindingKind.REGISTER_ROLLOVER]


def test_a_correction_of_the_same_instant_is_not_in_its_own_way():
    one = placed(line(2, 10, "90"))
    standing = [RegisterReading(1, Zone.ALL, one[0].reading.taken_at, 900_000)]

    checked = check_registers(one, standing)

    assert len(checked.accepted) == 1


@pytest.mark.parametrize(
    ("before", "value", "after", "found"),
    [
        (None, 50, None, (0, False)),
        (40, 50, None, (10, False)),
        (40, 50, 60, (10, False)),
        (40, 50, 45, None),
        (40, 30, None, None),
        (99_990, 10, 20, (20, True)),
        (None, 50, 40, None),
    ],
)
def test_a_reading_lies_between_its_neighbours_in_time(before, value, after, found):
    assert counted_between(before, value, after, 100_000) == found


def test_an_estimate_that_was_too_high_is_passed_over():
    readings = [
        reading(1, 100),
        reading(10, 400, quality=Quality.ESTIMATED),
        reading(20, 250),
        reading(25, 300),
    ]

    differences = register_differences(readings, digits=5)

    assert [(d.period.end.day, d.energy) for d in differences] == [(20, 150_000), (25, 50_000)]


def test_an_estimate_that_holds_stays_a_reading_between_others():
    readings = [reading(1, 100), reading(10, 180, quality=Quality.ESTIMATED), reading(20, 250)]

    differences = register_differences(readings, digits=5)

    assert [d.energy for d in differences] == [80_000, 70_000]
    assert {d.quality for d in differences} == {Quality.ESTIMATED}


def test_a_file_may_give_less_than_an_estimate():
    known = [reading(1, 100), reading(10, 400, quality=Quality.ESTIMATED)]

    checked = check_registers(placed(line(1, 20, "250")), known)

    assert [one.reading.value for one in checked.accepted] == [250_000]
    assert checked.counted == (150_000,)


def test_water_is_read_in_cubic_metres_and_kept_in_litres():
    water = KnownMeter(1, "P1", "S1", Commodity.COLD_WATER, 5, date(2020, 1, 1), None, ZONE)

    found, refused = MeterDirectory([water]).place([line(1, 20, "87.654")], 1000)
    _, too_large = MeterDirectory([water]).place([line(2, 20, "100000")], 1000)

    assert refused == []
    assert found[0].reading.value == 87_654
    assert [one.reason for one in too_large] == [RefusalReason.TOO_LARGE]


def test_a_number_beyond_any_register_is_too_large_and_not_even_multiplied():
    _, (refused,) = MeterDirectory([METER]).place([line(2, 5, "1e999999999999999999")], 1000)

    assert refused.reason is RefusalReason.TOO_LARGE


def test_a_reading_of_the_future_is_refused_since_true_ones_could_not_follow_it():
    known = MeterDirectory([METER])

    (kept,), (refused,) = known.place([line(2, 5, 1), line(3, 7, 1)], 1000, latest=at(6))

    assert kept.line.line == 2
    assert refused.reason is RefusalReason.IN_THE_FUTURE


def test_a_file_of_readings_with_a_nul_is_no_text():
    layout = detect_layout(b"meter,zone,time,value")

    with pytest.raises(UnreadableFile, match="Line 3: the file is not a text"):
        parse_registers(b"S1,all,2026-10-05,1\nS\0,all,2026-10-05,1\n", layout)
