"""The figures of a rehearsal: by hand, and as laws over random portfolios."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tariffs.documents import parse_tariff
from tariffs.rehearsal import (
    Outcome,
    band_of,
    figures_of,
    held_still,
    histogram,
    most,
    nothing,
    reaching_back,
    together,
)

PLAIN = """
plan: single
name: {ru: Одна}
valid_from: 2026-01-01
currency: RUB
vat: included
prices:
  - {from: 2026-01-01, per_kwh: 5}
  - {from: 2026-07-01, per_kwh: 6}
source: t
confidence: memory
"""


def outcome(old, new, *, first_id=1, energy_wh=200_000):
    """Return accounts that pay `old` now and `new` then, kopecks in one month."""
    size = len(old)
    column = np.array(old, np.int64)
    other = np.array(new, np.int64)
    return Outcome(
        account_ids=np.arange(first_id, first_id + size),
        segments=np.ones((size, 3), np.int64),
        energy_wh=np.full(size, energy_wh, np.int64),
        months=np.ones(size, np.int64),
        measured_ppm=np.full(size, 1_000_000, np.int64),
        old_minor=column[:, None],
        new_minor=other[:, None],
        old_by_rates_minor=column,
        new_by_rates_minor=other,
    )


def test_a_version_reaches_back_at_its_first_prices():
    version = reaching_back(parse_tariff(PLAIN), date(2025, 3, 1))

    assert version.valid_from == date(2025, 3, 1)
    assert version.rates_on(date(2025, 3, 1)).rates_scaled == ((5_000_000,),)
    assert version.rates_on(date(2026, 7, 1)).rates_scaled == ((6_000_000,),)


def test_a_version_held_still_has_the_prices_of_one_day_throughout():
    version = held_still(parse_tariff(PLAIN), date(2025, 3, 1), date(2026, 8, 1))

    assert version.rates_on(date(2025, 3, 1)).rates_scaled == ((6_000_000,),)
    assert len(version.rates) == 1


def test_a_version_that_holds_already_is_left_as_it_is():
    version = parse_tariff(PLAIN)

    assert reaching_back(version, date(2026, 2, 1)) is version


def test_winners_and_losers_are_told_apart():
    figures = figures_of(outcome([100_00, 100_00, 100_00], [90_00, 100_00, 125_00]))

    assert (figures.winners, figures.won_minor) == (1, 10_00)
    assert (figures.losers, figures.lost_minor) == (1, 25_00)
    assert (figures.difference_minor, figures.difference_ppm) == (15_00, 50_000)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (100_00, 79_99, 0),
        (100_00, 80_00, 1),
        (100_00, 98_00, 4),
        (100_00, 97_99, 3),
        (100_00, 99_99, 4),
        (100_00, 100_00, 5),
        (100_00, 100_01, 6),
        (100_00, 102_00, 6),
        (100_00, 102_01, 7),
        (100_00, 120_00, 9),
        (100_00, 120_01, 10),
        (0, 0, 5),
        (0, 1, 10),
    ],
)
def test_a_change_falls_into_the_bin_nearer_to_none(old, new, place):
    counts = histogram(outcome([old], [new]))

    assert counts[place] == sum(counts) == 1


def test_a_band_of_consumption_counts_its_upper_border():
    bands = [int(band_of(outcome([1], [1], energy_wh=wh))[0]) for wh in (100_000, 100_001, 900_000)]

    assert bands == [0, 1, 4]


def test_those_who_win_most_come_first_and_nobody_else():
    found = outcome([100, 100, 100, 100], [50, 90, 100, 120])

    assert most(found, 20, winners=True) == [0, 1]
    assert most(found, 20, winners=False) == [3]


@given(
    rows=st.lists(st.tuples(st.integers(0, 10**9), st.integers(-(10**6), 10**9)), max_size=40),
    cut=st.integers(0, 40),
)
def test_parts_packed_and_put_together_are_the_whole(rows, cut):
    old, new = [row[0] for row in rows], [row[1] for row in rows]
    whole = outcome(old, new)

    parts = [
        outcome(old[:cut], new[:cut]),
        outcome(old[cut:], new[cut:], first_id=min(cut, len(rows)) + 1),
    ]
    joined = together([Outcome.unpacked(part.packed()) for part in reversed(parts)], 1)

    assert joined.packed() == whole.packed()
    assert figures_of(joined) == figures_of(whole)
    assert sum(histogram(joined)) == len(rows)
    assert figures_of(whole).won_minor - figures_of(whole).lost_minor == sum(old) - sum(new)


def test_nothing_is_the_outcome_of_nobody():
    assert figures_of(nothing(12)).accounts == 0
    assert sum(histogram(nothing(12))) == 0
