"""Rows find their channel, day and interval, on days of 23, 24 and 25 hours."""

import zlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.series import Quality
from metering.arrivals import PointChannel, pack_rows, place, refused_lines, unpack_rows
from metering.days import pack
from metering.findings.finding import DayGrid, FindingKind
from metering.imports import NUMBER_OF, RefusalReason
from metering.parsers.source import ARRIVAL, VALUE_MAX_UWH, SeriesKey

NEW_YORK = "America/New_York"
VLADIVOSTOK = "Asia/Vladivostok"
P2 = SeriesKey("P2")


def channel(code="P1", channel_id=7, *, interval_min=30, multiplier=1, zone=VLADIVOSTOK, **more):
    return PointChannel(code, channel_id, interval_min, multiplier, zone, **more)


def wall(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def arrivals(*rows):
    """Rows of (point, time, Wh): local where the time has no offset."""
    made = np.zeros(len(rows), ARRIVAL)
    for number, (point, time, value_wh) in enumerate(rows):
        instant = datetime.fromisoformat(time)
        made[number] = (
            wall(time) if instant.tzinfo is None else int(instant.timestamp()),
            value_wh * 10**6,
            number + 2,
            point,
            0,
            Quality.ACTUAL,
            NUMBER_OF[RefusalReason.NEGATIVE] if value_wh < 0 else 0,
            instant.tzinfo is None,
        )
    return made


def placed(*rows, channels=None, bare=frozenset(), points=("P1", "P2")):
    return place(
        arrivals(*rows),
        [SeriesKey(point) for point in points],
        {SeriesKey(point): one for point, one in (channels or {"P1": channel()}).items()},
        frozenset(map(SeriesKey, bare)),
    )


def reasons(placement):
    return {
        (part.key.point_code, part.reason): part.rows["line"].tolist() for part in placement.refused
    }


def test_rows_in_any_order_land_on_their_local_day():
    placement = placed(
        (0, "2026-10-02T00:30", 4),
        (0, "2026-10-01T23:30", 2),
        (0, "2026-10-01T14:00+00:00", 3),
        (0, "2026-10-01T00:00", 1),
    )

    (block,) = placement.blocks
    assert block.days.tolist() == [date(2026, 10, 1), date(2026, 10, 2)]
    assert block.energy_wh[0, [0, 47]].tolist() == [1, 2]
    assert block.energy_wh[1, :2].tolist() == [3, 4]
    assert block.missing.tolist() == [46, 46]
    assert placement.energy_uwh == 10 * 10**6
    assert [(c.first, c.last) for c in placement.coverage] == [
        (date(2026, 10, 1), date(2026, 10, 2))
    ]


@pytest.mark.parametrize(("day", "intervals"), [("2026-03-08", 46), ("2026-11-01", 50)])
def test_local_times_of_a_day_on_which_the_clock_changes_fill_it_wholly(day, intervals):
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC)
    walls = [
        (start + timedelta(minutes=30 * n)).astimezone(ZoneInfo(NEW_YORK)).replace(tzinfo=None)
        for n in range(intervals)
    ]
    rows = [(0, clock.isoformat(), n + 1) for n, clock in enumerate(walls)]

    placement = placed(*rows, channels={"P1": channel(zone=NEW_YORK)})

    (block,) = placement.blocks
    assert block.energy_wh.tolist() == [list(range(1, intervals + 1))]
    assert placement.refused == ()
    assert placement.findings == ()


def test_a_repeated_hour_is_resolved_by_order_for_each_point_by_itself():
    rows = [
        (point, f"2026-11-01T01:{minute}", value + 100 * point)
        for value, minute in ((1, "00"), (2, "30"), (3, "00"), (4, "30"))
        for point in (0, 1)
    ]
    channels = {"P1": channel(zone=NEW_YORK), "P2": channel("P2", 8, zone=NEW_YORK)}

    (block,) = placed(*rows, channels=channels).blocks

    assert block.energy_wh[:, 2:6].tolist() == [[1, 2, 3, 4], [101, 102, 103, 104]]


def test_a_local_time_that_the_clock_skipped_is_refused():
    placement = placed(
        (0, "2026-03-08T02:30", 1),
        (0, "2026-03-08T03:00", 2),
        channels={"P1": channel(zone=NEW_YORK)},
    )

    assert reasons(placement) == {("P1", RefusalReason.NONEXISTENT_TIME): [2]}
    (block,) = placement.blocks
    assert block.energy_wh[0, 4] == 2


def test_days_of_different_length_make_blocks_of_their_own():
    rows = [(0, f"2026-{day}T12:00:00+00:00", 1) for day in ("03-07", "03-08", "11-01", "11-02")]

    blocks = placed(*rows, channels={"P1": channel(zone=NEW_YORK)}).blocks

    assert [block.energy_wh.shape for block in blocks] == [(1, 46), (2, 48), (1, 50)]


def test_what_cannot_be_placed_is_refused_by_its_line_and_the_rest_is_placed():
    placement = placed(
        (0, "2026-10-01T00:00", 1),
        (1, "2026-10-01T00:00", 1),
        (2, "2026-10-01T00:00", 1),
        (0, "2026-10-01T00:10", 1),
        (0, "2026-10-01T00:30", -1),
        points=("P1", "P2", "P3"),
        bare=frozenset({"P3"}),
    )

    assert reasons(placement) == {
        ("P1", RefusalReason.NEGATIVE): [6],
        ("P1", RefusalReason.OFF_GRID): [5],
        ("P2", RefusalReason.UNKNOWN_POINT): [3],
        ("P3", RefusalReason.NO_CHANNEL): [4],
    }
    assert [f.kind for f in placement.findings] == [FindingKind.NEGATIVE, FindingKind.OFF_GRID]
    (block,) = placement.blocks
    assert block.total_wh.tolist() == [1]


def test_of_two_rows_for_an_interval_the_first_is_kept():
    placement = placed(
        (0, "2026-10-01T00:00", 5),
        (0, "2026-10-01T00:00", 5),
        (0, "2026-10-01T00:00", 6),
        (0, "2026-10-01T00:30", 7),
    )

    (block,) = placement.blocks
    assert block.energy_wh[0, :2].tolist() == [5, 7]
    assert placement.duplicates == 1
    assert reasons(placement) == {("P1", RefusalReason.DUPLICATE_DIFFERENT): [4]}
    same, different = placement.findings
    assert same.kind is FindingKind.DUPLICATE_SAME
    assert same.detail == {"count": 1, "line": 3}
    assert different.detail == {
        "count": 1, "line": 4, "kept": "0.005", "kept_line": 2, "other": "0.006",
    }  # fmt: skip
    assert different.sentence() == (
        "Point P1: values given again otherwise: 1; the first is kept: "
        "0.005 kWh in line 2, not 0.006 kWh in line 4."
    )


def test_the_multiplier_is_applied_before_the_day_is_made():
    placement = placed((0, "2026-10-01T00:00", 5), channels={"P1": channel(multiplier=40)})

    (block,) = placement.blocks
    assert block.total_wh.tolist() == [200]
    assert placement.energy_uwh == 5 * 10**6


def test_values_that_have_the_multiplier_in_them_get_the_losses_alone():
    one = channel(multiplier=40, loss_ppm=100_000)
    rows = arrivals((0, "2026-10-01T00:00", 2**30), (1, "2026-10-01T00:00", 5))

    placement = place(rows, [SeriesKey("P1"), P2], {SeriesKey("P1"): one}, multiplied=True)

    assert placement.blocks[0].exact_uwh()[0, 0] == 2**30 * 1_100_000
    _, multiplied = unpack_rows(pack_rows(placement.refused[0]))
    assert multiplied


def test_a_value_too_large_after_its_multiplier_is_refused():
    placement = placed((0, "2026-10-01T00:00", 2**30), channels={"P1": channel(multiplier=3)})

    assert reasons(placement) == {("P1", RefusalReason.TOO_LARGE): [2]}
    assert placement.blocks == ()


@pytest.mark.parametrize(
    ("value_wh", "multiplier", "loss_ppm", "stored_uwh"),
    [
        (1000, 1, 25_000, 1_025_000_000),
        (7, 40, 1_234, 280_345_520),
        (1, 1, 1, 1_000_001),
        (53_687_091, 40, 0, 2_147_483_640_000_000),
        (2_147_400_000, 1, 38, 2_147_481_601_200_000),
    ],
)
def test_losses_are_added_exactly(value_wh, multiplier, loss_ppm, stored_uwh):
    one = channel(multiplier=multiplier, loss_ppm=loss_ppm)

    (block,) = placed((0, "2026-10-01T00:00", value_wh), channels={"P1": one}).blocks

    assert block.exact_uwh()[0, 0] == stored_uwh


@given(
    value_uwh=st.integers(0, 2**31 * 10**6),
    multiplier=st.integers(1, 2000),
    loss_ppm=st.integers(0, 999_999),
)
def test_losses_are_a_floored_share_of_any_value_that_fits(value_uwh, multiplier, loss_ppm):
    row = arrivals((0, "2026-10-01T00:00", 0))
    row["value_uwh"] = value_uwh
    one = channel(multiplier=multiplier, loss_ppm=loss_ppm)

    placement = place(row, [SeriesKey("P1")], {SeriesKey("P1"): one})

    expected = value_uwh * multiplier * (10**6 + loss_ppm) // 10**6
    if placement.refused:
        assert reasons(placement) == {("P1", RefusalReason.TOO_LARGE): [2]}
        assert value_uwh * multiplier * (10**6 + loss_ppm) > VALUE_MAX_UWH * 10**6
    else:
        assert placement.blocks[0].exact_uwh()[0, 0] == expected


def test_a_stated_length_other_than_the_channels_is_refused():
    made = arrivals(
        *((0, f"2026-10-01T{n:02d}:00", n) for n in range(3)), (0, "2026-10-01T03:00", 3)
    )
    made["interval_min"] = [60, 60, 60, 30]

    placement = place(made, [SeriesKey("P1")], {SeriesKey("P1"): channel()})

    assert reasons(placement) == {("P1", RefusalReason.WRONG_INTERVAL): [2, 3, 4]}
    (finding,) = placement.findings
    assert (finding.kind, finding.detail["found"], finding.detail["expected"]) == (
        FindingKind.WRONG_INTERVAL, 60, 30,
    )  # fmt: skip
    assert placement.blocks[0].total_wh.tolist() == [3]


def test_two_names_of_a_channel_lead_to_one_day():
    one = channel()
    keys = [SeriesKey("P1"), SeriesKey("EXCHANGE-1")]

    placement = place(
        arrivals((0, "2026-10-01T00:00", 1), (1, "2026-10-01T00:30", 2)),
        keys,
        dict.fromkeys(keys, one),
    )

    (block,) = placement.blocks
    assert block.energy_wh[0, :2].tolist() == [1, 2]


def test_times_that_go_back_in_a_file_make_one_finding_a_series():
    rows_of_file = [
        (1, "2026-10-01T05:00", 1),
        (0, "2026-10-01T03:00", 1),
        (0, "2026-10-01T02:00", 1),
        (1, "2026-10-01T06:00", 1),
        (0, "2026-10-01T02:30", 1),
        (0, "2026-10-01T01:00", 1),
        (0, "2026-10-01T01:00", 1),
    ]

    placement = placed(*rows_of_file, channels={"P1": channel(), "P2": channel("P2", 8)})

    same, back = placement.findings
    assert same.kind is FindingKind.DUPLICATE_SAME
    assert (back.kind, back.point_code) == (FindingKind.OUT_OF_ORDER, "P1")
    assert back.detail == {"count": 2, "line": 4}
    assert placement.blocks[0].total_wh.tolist() == [4, 2]


def test_no_rows_make_no_blocks():
    placement = place(np.zeros(0, ARRIVAL), [], {})

    assert (placement.blocks, placement.refused, placement.energy_uwh) == ((), (), 0)


@given(order=st.permutations(range(20)))
def test_the_order_of_rows_does_not_change_the_day(order):
    rows = [(0, f"2026-10-01T{n:02d}:00", n * n) for n in range(20)]

    placement = placed(*(rows[n] for n in order))

    assert pack(placement.blocks[0]) == pack(placed(*rows).blocks[0])


def test_refused_rows_come_back_ready_for_a_second_try():
    (refused,) = placed((1, "2026-10-01T00:00", 9)).refused

    rows, multiplied = unpack_rows(pack_rows(refused))
    again = place(rows, [P2], {P2: channel("P2", 8)}, multiplied=multiplied)

    assert not multiplied
    assert again.refused == ()
    assert again.blocks[0].total_wh.tolist() == [9]


def test_rows_kept_by_the_first_version_are_still_understood():
    older = np.zeros(
        1,
        np.dtype(
            [
                ("time_s", "<i8"), ("value_uwh", "<i8"), ("line", "<u4"), ("point", "<i4"),
                ("quality", "u1"), ("fault", "u1"), ("local", "?"),
            ],
            align=True,
        ),
    )  # fmt: skip
    older[0] = (wall("2026-10-01T00:00"), 9 * 10**6, 5, 77, Quality.ACTUAL, 5, True)
    packed = zlib.compress(older.tobytes(), 1)

    rows, multiplied = unpack_rows(packed)
    again = place(rows, [P2], {P2: channel("P2", 8)}, multiplied=multiplied)

    assert refused_lines(packed) == (5,)
    assert again.blocks[0].total_wh.tolist() == [9]


def test_a_gap_lies_between_known_intervals_across_days_of_any_length():
    grid = DayGrid(ZoneInfo(NEW_YORK), 30, date(2026, 10, 31), date(2026, 11, 2))
    first = bytes([0] * 20 + [1] * 28)
    third = bytes([1] * 10 + [0] * 38)

    gaps = grid.gaps([(date(2026, 10, 31), first), (date(2026, 11, 2), third)])

    ((period, count),) = gaps
    assert count == 50
    assert period.start == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 2, 5, tzinfo=UTC)
