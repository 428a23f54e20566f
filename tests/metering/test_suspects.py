"""Suspects: a meter that shows too little is found by what it leaves in the remainder."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bench.suspects import FAULT_DAY, FIRST_DAY, KINDS, grid, make_house, rank, rank_by_drop
from metering.balance.house import balance_by_interval
from metering.balance.suspects import (
    DAYS_MIN,
    TAMPER_POINTS,
    VERIFICATION_POINTS,
    FlatFacts,
    PartKind,
    find_suspects,
    grid_of,
)

ZONE = ZoneInfo("Asia/Vladivostok")


def suspects_of(house, facts=()):
    balance = balance_by_interval(house.flows, house.losses)
    return find_suspects(
        balance.remainder_wh, balance.complete, house.flows.flats_wh, grid(), facts
    )


def part_of(suspect, kind):
    return next((part for part in suspect.parts if part.kind is kind), None)


def test_a_thief_is_first_with_the_share_and_the_day():
    house = make_house(1, ("thief_40",))

    found = suspects_of(house).suspects[0]

    assert found.flat == house.faults["thief_40"]
    assert abs(found.since - (FIRST_DAY + timedelta(days=FAULT_DAY))) <= timedelta(days=3)
    assert 0.3 < found.hidden_ppm / 1e6 < 0.5
    measured_wh = int(house.flows.flats_wh[found.flat, FAULT_DAY * 48 :].sum())
    assert 0.4 < found.suspected_wh_month / measured_wh < 1.0  # two thirds where 40 % is hidden
    assert part_of(found, PartKind.SHAPE).points > 20


def test_three_faults_stand_first_where_the_largest_drop_finds_one():
    houses = [make_house(number, KINDS) for number in (1, 3, 5)]

    ranked = [set(rank(house)[:3]) for house in houses]
    dropped = [set(rank_by_drop(house)[:3]) for house in houses]

    planted = [set(house.faults.values()) for house in houses]
    assert ranked == planted
    assert sum(len(a & b) for a, b in zip(dropped, planted, strict=True)) < 6


def test_a_house_without_faults_accuses_nobody_strongly():
    strongest = [
        max(suspect.points for suspect in suspects_of(make_house(number, ())).suspects)
        for number in range(4)
    ]

    assert max(strongest) < 40, strongest


def quiet_house(flats=12, days=40, seed=1):
    """A small house whose remainder is 0.8 kWh an hour but for what a test adds."""
    rng = np.random.default_rng(seed)
    window = grid_of([date(2026, 3, 2) + timedelta(days=n) for n in range(days)], ZONE, 30)
    energy = rng.gamma(2.0, 100.0, (flats, len(window.day))).astype(np.int64)
    remainder = 400 + rng.normal(0, 40, len(window.day)).astype(np.int64)
    return window, energy, remainder


def test_a_family_that_went_away_is_no_thief():
    window, energy, remainder = quiet_house()
    energy[4, window.day >= 20] //= 50
    complete = np.ones(len(window.day), bool)

    found = find_suspects(remainder, complete, energy, window).suspects

    away = next(suspect for suspect in found if suspect.flat == 4)
    assert part_of(away, PartKind.SILENCE).points < 0
    assert away.points < 0
    assert "does not follow" in part_of(away, PartKind.SHAPE).sentence()


def test_a_meter_that_is_bypassed_whole_is_found_by_its_silence():
    window, energy, remainder = quiet_house()
    since = window.day >= 20
    remainder = remainder + np.where(since, energy[4] - energy[4] // 50, 0)
    energy[4, since] //= 50
    complete = np.ones(len(window.day), bool)

    found = find_suspects(remainder, complete, energy, window).suspects[0]

    assert found.flat == 4
    assert found.since == window.days[20]
    assert part_of(found, PartKind.SILENCE).points == 10
    lost_wh = int(found.suspected_wh_month)
    assert 0.9 * 200 * 48 * 30 < lost_wh < 1.1 * 200 * 48 * 30


def test_a_meter_that_was_always_slow_is_found_without_a_day():
    window, energy, remainder = quiet_house()
    remainder = remainder + energy[7] * 3 // 10
    complete = np.ones(len(window.day), bool)

    found = find_suspects(remainder, complete, energy, window).suspects[0]

    assert (found.flat, found.since) == (7, None)
    assert 250_000 < found.coefficient_ppm < 350_000
    sentence = part_of(found, PartKind.SHAPE).sentence()
    assert sentence.startswith("Over the whole window the remainder follows")


def test_what_the_meter_told_adds_its_points():
    window, energy, remainder = quiet_house()
    facts = [FlatFacts()] * 12
    facts[2] = FlatFacts(2, date(2026, 3, 20), verification_expired_on=date(2026, 1, 1))
    complete = np.ones(len(window.day), bool)

    plain = find_suspects(remainder, complete, energy, window).suspects
    told = find_suspects(remainder, complete, energy, window, facts).suspects

    def points(found):
        return next(suspect.points for suspect in found if suspect.flat == 2)

    assert points(told) - points(plain) == TAMPER_POINTS + VERIFICATION_POINTS
    sentence = part_of(next(s for s in told if s.flat == 2), PartKind.TAMPER).sentence()
    assert sentence == "Tampering that the meter told of: 2, last on 2026-03-20."


def test_too_few_days_compare_nothing_but_keep_what_is_known_otherwise():
    window, energy, remainder = quiet_house(days=DAYS_MIN - 1)
    facts = [FlatFacts()] * 11 + [FlatFacts(verification_expired_on=date(2026, 1, 1))]

    found = find_suspects(remainder, np.ones(len(window.day), bool), energy, window, facts)

    assert not found.enough
    assert (found.suspects[0].flat, found.suspects[0].points) == (11, VERIFICATION_POINTS)


def test_what_is_not_complete_is_not_looked_at():
    window, energy, remainder = quiet_house()
    remainder = remainder + energy[7] * 3 // 10
    complete = window.day % 9 != 4
    spoilt = np.where(complete, remainder, 10**7)

    clean = find_suspects(remainder, complete, energy, window)
    found = find_suspects(spoilt, complete, energy, window)

    assert found.suspects == clean.suspects
    assert found.days_compared == 36


@pytest.mark.parametrize(
    ("day", "slots"),
    [(date(2026, 3, 29), 46), (date(2026, 10, 25), 50), (date(2026, 5, 1), 48)],
)
def test_a_day_of_another_length_keeps_its_hours_by_the_clock_on_the_wall(day, slots):
    window = grid_of([day], ZoneInfo("Europe/Berlin"), 30)

    assert len(window.slot) == slots
    assert window.slot[-1] == 47
    assert window.slot[0] == 0
