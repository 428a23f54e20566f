"""Packing of days, whole watt-hours and the meeting of two states of a day."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kilokassa.core.series import Quality
from metering.days import (
    ENERGY_MAX_WH,
    UWH_PER_WH,
    IntervalMatrix,
    exact_days,
    merge,
    pack,
    unpack,
    whole_days,
)

DAY = date(2026, 10, 5)
EXACT = hnp.arrays(np.int64, (1, 48), elements=st.integers(0, ENERGY_MAX_WH * UWH_PER_WH))
WHOLE = hnp.arrays(np.int64, (1, 48), elements=st.integers(0, 5000).map(lambda wh: wh * UWH_PER_WH))
MASK = hnp.arrays(np.bool_, (48,))


def day(energy_uwh, known=None):
    quality = np.full(energy_uwh.shape, Quality.ACTUAL, np.uint8)
    if known is not None:
        quality[:, ~known] = Quality.MISSING
    return exact_days(30, [7], [DAY], energy_uwh, quality)


@given(energy_uwh=EXACT)
def test_the_whole_watt_hours_of_a_day_sum_to_its_exact_energy_rounded_down(energy_uwh):
    block = day(energy_uwh)

    exact = sum(energy_uwh[0].tolist())
    assert block.total_wh.tolist() == [exact // UWH_PER_WH]
    assert block.exact_uwh().tolist() == energy_uwh.tolist()


@given(energy_uwh=EXACT | WHOLE, known=MASK)
def test_a_day_comes_back_from_its_blobs_as_it_went(energy_uwh, known):
    block = day(energy_uwh, known)

    (blobs,) = pack(block)
    again = unpack(30, [7], [DAY], [(blobs.energy_wh, blobs.quality, blobs.fraction_uwh)])

    assert again.exact_uwh().tolist() == block.exact_uwh().tolist()
    assert again.quality.tolist() == block.quality.tolist()
    assert (blobs.fraction_uwh is None) == (not (block.exact_uwh() % UWH_PER_WH).any())
    assert pack(again) == [blobs]


@given(
    energy_uwh=EXACT | WHOLE,
    order=st.permutations(range(4)),
    pieces=hnp.arrays(int, 48, elements=st.integers(0, 3)),
)
def test_pieces_of_a_day_in_any_order_make_the_same_day(energy_uwh, order, pieces):
    standing = None
    for piece in order:
        arriving = day(energy_uwh, pieces == piece)
        standing = arriving if standing is None else merge(standing, arriving).block

    assert pack(standing) == pack(day(energy_uwh))


@given(energy_uwh=EXACT | WHOLE, known=MASK)
def test_a_day_that_arrives_again_changes_nothing(energy_uwh, known):
    block = day(energy_uwh, known)

    merged = merge(block, block)

    assert not merged.filled.any()
    assert not merged.changed.any()
    assert merged.repeated.sum() == known.sum()
    assert pack(merged.block) == pack(block)


def test_another_quality_of_the_same_value_is_a_change():
    standing = whole_days(30, [7], [DAY], np.full((1, 48), 5))
    estimated = np.full((1, 48), Quality.ESTIMATED, np.uint8)

    merged = merge(standing, whole_days(30, [7], [DAY], np.full((1, 48), 5), estimated))

    assert merged.changed.all()


def test_a_zero_that_was_measured_is_not_a_missing_value():
    standing = day(np.zeros((1, 48), np.int64), np.arange(48) < 24)

    merged = merge(standing, day(np.zeros((1, 48), np.int64)))

    assert merged.filled.sum() == 24
    assert merged.block.missing.tolist() == [0]


@pytest.mark.parametrize("value", [-1, ENERGY_MAX_WH + 1])
def test_a_value_that_no_interval_can_hold_makes_no_block(value):
    with pytest.raises(ValueError, match=r"interval holds|not negative"):
        whole_days(30, [7], [DAY], np.full((1, 48), value))


def test_a_block_holds_a_channel_and_day_once():
    with pytest.raises(ValueError, match="once"):
        whole_days(30, [7, 7], [DAY, DAY], np.zeros((2, 48), np.int32))


def test_a_matrix_knows_until_when_each_channel_is_known():
    quality = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], np.uint8)
    start = datetime(2026, 10, 1, tzinfo=UTC)

    matrix = IntervalMatrix((1, 2, 3), start, 60, np.zeros((3, 4), np.int32), quality, ("",) * 3)

    assert matrix.known_until == (
        datetime(2026, 10, 1, 2, tzinfo=UTC),
        datetime(2026, 10, 1, 3, tzinfo=UTC),
        None,
    )
    assert matrix.missing.tolist() == [2, 2, 4]
