"""When meters say that a whole house was without power."""

from datetime import UTC, datetime, timedelta

import pytest

from metering.events.kinds import DeviceEvent, DeviceEventKind, PowerCut, power_cuts

EVENING = datetime(2026, 11, 3, 8, tzinfo=UTC)


def off(point: int, minutes: int, lasts: int | None = 60) -> DeviceEvent:
    starts = EVENING + timedelta(minutes=minutes)
    ends = None if lasts is None else starts + timedelta(minutes=lasts)
    return DeviceEvent(point, DeviceEventKind.POWER_OFF, starts, ends)


def at(minutes: int) -> datetime:
    return EVENING + timedelta(minutes=minutes)


def test_a_cut_lasts_while_a_third_of_the_points_are_off_at_once():
    told = [off(1, 0, 60), off(2, 1, 60), off(3, 2, 60), off(4, 2, 90)]

    # Of ten points, four make a third: the last of them goes off at 2, the first comes back at 60.
    assert power_cuts(told, points=10) == (PowerCut(at(2), at(60), 4),)


def test_two_flats_without_power_are_no_cut_of_the_house():
    assert power_cuts([off(1, 0), off(2, 0)], points=4) == ()


def test_points_that_are_off_one_after_the_other_are_no_cut():
    assert power_cuts([off(n, n * 100) for n in range(10)], points=10) == ()


def test_a_cut_without_an_end_still_lasts():
    assert power_cuts([off(n, 0, None) for n in range(5)], points=9) == (PowerCut(at(0), None, 5),)


def test_a_point_that_tells_twice_counts_once():
    told = [off(1, 0), off(1, 5), off(1, 9), off(2, 0)]

    assert power_cuts(told, points=6) == ()


def test_other_events_are_no_cut():
    magnets = [DeviceEvent(n, DeviceEventKind.MAGNET, EVENING) for n in range(9)]

    assert power_cuts(magnets, points=9) == ()


def test_an_event_that_ends_before_it_starts_cannot_be_made():
    with pytest.raises(ValueError, match="ends after it starts"):
        off(1, 0, -5)
