from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices.notice import NoticeKind
from notices.rules import (
    LONGEST_RETRY,
    MAX_ATTEMPTS,
    Alarm,
    Standing,
    Thresholds,
    allowed_at,
    judge,
    retry_after,
)

KHABAROVSK = ZoneInfo("Asia/Vladivostok")
RULES = Thresholds(low_minor=300_00, days=5, rearm_percent=120)
MONEY_LOW, DAYS_LEFT = NoticeKind.MONEY_LOW, NoticeKind.DAYS_LEFT


def told(standings, thresholds=RULES):
    alarms, kinds = {}, []
    for available_minor, days_left in standings:
        judgement = judge(Standing(1, available_minor, days_left), alarms, thresholds)
        alarms = judgement.alarms
        kinds.append(judgement.tell)
    return kinds


@pytest.mark.parametrize(
    ("standings", "kinds"),
    [
        ([(300_00, 30)], [None]),
        ([(299_99, 30)], [MONEY_LOW]),
        ([(299_99, 30), (100_00, 30), (-5_00, 30)], [MONEY_LOW, None, None]),
        ([(299_99, 30), (360_00, 30), (299_99, 30)], [MONEY_LOW, None, None]),
        ([(299_99, 30), (360_01, 30), (299_99, 30)], [MONEY_LOW, None, MONEY_LOW]),
        ([(900_00, 6), (800_00, 5), (700_00, 4)], [None, DAYS_LEFT, None]),
        ([(900_00, 5), (950_00, 6), (900_00, 5)], [DAYS_LEFT, None, None]),
        ([(900_00, 5), (990_00, 7), (900_00, 5)], [DAYS_LEFT, None, DAYS_LEFT]),
        ([(100_00, 1)], [MONEY_LOW]),
        ([(100_00, 1), (400_00, 3), (290_00, 2)], [MONEY_LOW, None, MONEY_LOW]),
        ([(900_00, None), (900_00, 4)], [None, DAYS_LEFT]),
        ([(900_00, 4), (900_00, None), (900_00, 4)], [DAYS_LEFT, None, None]),
    ],
    ids=[
        "at the threshold",
        "below it",
        "told once however far it falls",
        "wavering within a fifth above is silent",
        "armed again once well above",
        "days run down",
        "a day more is wavering",
        "days come back, then run down again",
        "both at once are one notice",
        "days stay told while money falls anew",
        "nothing used, nothing foretold",
        "an unknown runway changes nothing",
    ],
)
def test_a_fact_is_told_once_until_it_has_passed(standings, kinds):
    assert told(standings) == kinds


@given(st.lists(st.integers(-1000_00, 1000_00)), st.integers(0, 500_00))
def test_between_two_notices_the_money_has_been_well_above_the_threshold(balances, low_minor):
    rules = Thresholds(low_minor=low_minor, days=0)

    kinds = told([(minor, None) for minor in balances], rules)

    places = [n for n, kind in enumerate(kinds) if kind is MONEY_LOW]
    for earlier, later in pairwise(places):
        assert max(balances[earlier:later]) * 100 > low_minor * 120
    assert all(balances[place] < low_minor for place in places)
    assert bool(places) == any(minor < low_minor for minor in balances)


def test_an_episode_is_counted_each_time_the_alarm_is_raised():
    again = judge(Standing(1, 0, None), {MONEY_LOW: Alarm(raised=False, episode=7)}, RULES)

    assert again.alarms[MONEY_LOW] == Alarm(raised=True, episode=8)


@pytest.mark.parametrize(
    ("local", "allowed"),
    [
        ("2026-11-24 08:00", "2026-11-24 08:00"),
        ("2026-11-24 21:59", "2026-11-24 21:59"),
        ("2026-11-24 22:00", "2026-11-25 08:00"),
        ("2026-11-24 23:59", "2026-11-25 08:00"),
        ("2026-11-25 00:00", "2026-11-25 08:00"),
        ("2026-11-25 07:59", "2026-11-25 08:00"),
        ("2026-12-31 22:30", "2027-01-01 08:00"),
    ],
)
def test_the_night_is_quiet(local, allowed):
    at = datetime.fromisoformat(local).replace(tzinfo=KHABAROVSK).astimezone(UTC)

    waits = allowed_at(MONEY_LOW, at, KHABAROVSK)

    assert waits == datetime.fromisoformat(allowed).replace(tzinfo=KHABAROVSK)
    assert waits.tzinfo is UTC


def test_a_received_top_up_is_told_at_night():
    at = datetime(2026, 11, 24, 23, 30, tzinfo=KHABAROVSK).astimezone(UTC)

    assert allowed_at(NoticeKind.TOP_UP_RECEIVED, at, KHABAROVSK) == at


def test_the_morning_after_a_clock_change_is_at_eight_too():
    berlin = ZoneInfo("Europe/Berlin")
    saturday_night = datetime(2026, 10, 24, 23, tzinfo=berlin).astimezone(UTC)

    morning = allowed_at(MONEY_LOW, saturday_night, berlin)

    assert morning == datetime(2026, 10, 25, 7, tzinfo=UTC)
    assert morning - saturday_night == timedelta(hours=10)


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(list(NoticeKind)))
def test_a_notice_never_moves_back_and_waits_ten_hours_at_most(at, kind):

    waits = allowed_at(kind, at, KHABAROVSK)

    assert timedelta() <= waits - at <= timedelta(hours=10)
    assert allowed_at(kind, waits, KHABAROVSK) == waits


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_limit_and_never_vanish(attempts, jitter):
    pause = retry_after(attempts, jitter=jitter)

    assert timedelta(seconds=30) <= pause <= LONGEST_RETRY
    assert pause <= retry_after(attempts + 1, jitter=jitter)


def test_all_attempts_together_take_about_two_days():
    least = sum((retry_after(n, jitter=0) for n in range(1, MAX_ATTEMPTS)), timedelta())

    assert timedelta(days=1) < least < timedelta(days=2)
    assert timedelta(days=2) < 2 * least < timedelta(days=3)
