"""The balance of a house: it adds up, tells what is missing, and never reads it as zero."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.balance.house import (
    HouseFlows,
    Losses,
    RegisterEnergy,
    RegisterPoint,
    Role,
    Totals,
    balance_by_interval,
    balance_of_month,
    coarser,
    losses_of,
    register_energy,
)
from metering.registers import RegisterDifference

START = datetime(2026, 10, 1, tzinfo=UTC)


def flows(taken, flats, common=(), given=None, unknown=(), interval_min=30):
    """Build flows from rows of Wh; `unknown` names (role, row, interval)."""
    width = len(taken[0])
    rows = {
        "taken": np.array(taken, np.int64).reshape(-1, width),
        "flats": np.array(flats, np.int64).reshape(-1, width),
        "common": np.array(common, np.int64).reshape(-1, width),
    }
    known = {role: np.ones(values.shape, bool) for role, values in rows.items()}
    for role, row, interval in unknown:
        known[role][row, interval] = False
        rows[role][row, interval] = 0
    return HouseFlows(
        start=START,
        interval_min=interval_min,
        taken_wh=rows["taken"],
        given_wh=np.zeros_like(rows["taken"]) if given is None else np.array(given, np.int64),
        input_known=known["taken"],
        flats_wh=rows["flats"],
        flats_known=known["flats"],
        common_wh=rows["common"],
        common_known=known["common"],
    )


def difference(energy_wh, starts, ends, zone=Zone.ALL, meter_id=1):
    period = Period(START + timedelta(days=starts), START + timedelta(days=ends))
    return RegisterDifference(meter_id, zone, period, energy_wh, False, Quality.ACTUAL)


def test_what_no_flat_and_no_loss_explains_is_the_remainder():
    house = flows([[1000, 2000]], [[300, 700], [400, 500]], common=[[50, 100]])

    balance = balance_by_interval(house, Losses(ppm=20_000, watts=10))

    assert balance.losses_wh.tolist() == [25, 45]
    assert balance.remainder_wh.tolist() == [225, 655]
    assert balance.totals() == Totals(3000, 1900, 150, 70, 880)


def test_an_interval_without_every_value_is_counted_and_has_no_balance():
    house = flows(
        [[1000, 1000, 1000]], [[600, 600, 600], [300, 300, 300]], unknown=[("flats", 1, 1)]
    )

    balance = balance_by_interval(house, Losses())

    assert balance.complete.tolist() == [True, False, True]
    assert balance.remainder_wh.tolist() == [100, 0, 100]
    assert balance.totals() == Totals(2000, 1800, 0, 0, 200)
    assert (balance.incomplete(), balance.incomplete(slice(0, 1))) == (1, 0)


def test_what_the_house_gives_back_lessens_its_input_but_not_its_losses():
    house = flows([[1000]], [[300]], given=[[400]])

    balance = balance_by_interval(house, Losses(ppm=10_000))

    assert balance.totals() == Totals(600, 300, 0, 10, 290)


def test_a_house_without_a_meter_of_its_own_has_no_balance():
    none = np.zeros((0, 2), np.int64)
    house = HouseFlows(
        START,
        30,
        none,
        none,
        none > 0,
        np.ones((1, 2), np.int64),
        np.ones((1, 2), bool),
        none,
        none > 0,
    )

    balance = balance_by_interval(house, Losses())

    assert not balance.complete.any()


def test_a_balance_that_does_not_add_up_cannot_be_built():
    with pytest.raises(ValueError, match="add up"):
        Totals(100, 50, 10, 5, 34)


ENERGIES = st.integers(0, 3_000_000)


@given(
    data=st.data(),
    width=st.integers(1, 12),
    ppm=st.integers(0, 1_000_000),
    watts=st.integers(0, 50_000),
    interval_min=st.sampled_from([15, 30, 60]),
)
def test_the_identity_holds_to_the_watt_hour_by_interval_and_by_stretch(
    data, width, ppm, watts, interval_min
):
    rows = st.lists(st.lists(ENERGIES, min_size=width, max_size=width), min_size=1, max_size=4)
    taken, flats = data.draw(rows), data.draw(rows)
    unknown = data.draw(
        st.lists(
            st.tuples(st.just("flats"), st.integers(0, len(flats) - 1), st.integers(0, width - 1)),
            max_size=3,
        )
    )
    losses = Losses(ppm, watts)
    cut = data.draw(st.integers(0, width))

    balance = balance_by_interval(
        flows(taken, flats, unknown=unknown, interval_min=interval_min), losses
    )

    explained = balance.flats_wh + balance.common_wh + balance.losses_wh + balance.remainder_wh
    assert (balance.input_wh == explained).all()
    whole, first, last = (
        balance.totals(),
        balance.totals(slice(0, cut)),
        balance.totals(slice(cut, width)),
    )
    assert whole.remainder_wh == first.remainder_wh + last.remainder_wh
    assert whole.losses_wh == first.losses_wh + last.losses_wh
    minutes = int(balance.complete.sum()) * interval_min
    assert whole.losses_wh == losses_of(whole.input_wh, minutes, losses)
    assert int(balance.complete.sum()) == width - len({interval for _, _, interval in unknown})


def test_finer_intervals_are_summed_and_known_only_together():
    values = np.array([[1, 2, 3, 4, 5, 6]])
    known = np.array([[True, True, True, False, True, True]])

    sums, together = coarser(values, known, 2)

    assert sums.tolist() == [[3, 0, 11]]
    assert together.tolist() == [[True, False, True]]


OCTOBER = Period(START, START + timedelta(days=31))


@pytest.mark.parametrize(
    ("name", "differences", "energy_wh", "extended"),
    [
        ("two readings on the edges", [(310_000, 0, 31)], 310_000, False),
        ("more on both sides", [(100_000, -5, 5), (300_000, 5, 35)], 310_000, False),
        ("carried on from the 25th", [(100_000, -5, 5), (200_000, 5, 25)], 310_000, True),
    ],
)
def test_registers_share_their_difference_by_time(name, differences, energy_wh, extended):
    found = register_energy([difference(*one) for one in differences], OCTOBER)

    assert found == RegisterEnergy(energy_wh, extended), name


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("nobody read it", []),
        ("the first reading came later", [(100_000, 3, 31)]),
        ("the last reading is too old", [(100_000, -5, 20)]),
    ],
)
def test_registers_that_do_not_reach_over_the_month_tell_nothing(name, differences):
    assert register_energy([difference(*one) for one in differences], OCTOBER) is None, name


def test_both_zones_and_a_replaced_meter_count():
    differences = [
        difference(93_000, -31, 31, Zone.DAY),
        difference(31_000, 0, 10, Zone.NIGHT),
        difference(42_000, 10, 31, Zone.NIGHT, meter_id=2),
    ]

    assert register_energy(differences, OCTOBER) == RegisterEnergy(46_500 + 73_000, False)


@given(energy=st.integers(0, 10**9), cut=st.integers(1, 59))
def test_months_between_two_readings_sum_to_their_difference(energy, cut):
    one = difference(energy, 0, 60)
    edges = [START, START + timedelta(days=cut), START + timedelta(days=60)]

    first = register_energy([one], Period(edges[0], edges[1]))
    last = register_energy([one], Period(edges[1], edges[2]))

    assert first.energy_wh + last.energy_wh == energy


def test_a_point_read_by_registers_takes_part_in_the_month():
    by_interval = balance_by_interval(flows([[1000, 1000]], [[400, 500]]), Losses(ppm=10_000))
    register = RegisterPoint("R", Role.FLAT, RegisterEnergy(600, extended=True))

    month = balance_of_month(by_interval, [register], Losses(ppm=10_000))

    assert month.totals == Totals(2000, 1500, 0, 20, 480)
    assert (month.by_registers, month.extended, month.incomplete, month.unread) == (1, 1, 0, ())


def test_a_register_counts_only_for_the_part_of_the_month_that_has_a_balance():
    by_interval = balance_by_interval(
        flows([[1000, 1000, 1000, 1000]], [[400] * 4], unknown=[("taken", 0, 3)]), Losses()
    )

    month = balance_of_month(
        by_interval, [RegisterPoint("R", Role.FLAT, RegisterEnergy(801, False))], Losses()
    )

    assert month.totals == Totals(3000, 1200 + 600, 0, 0, 1200)
    assert (month.incomplete, month.covered_ppm) == (1, 750_000)


def test_who_gave_nothing_is_told_and_stands_in_the_remainder():
    by_interval = balance_by_interval(flows([[1000]], [[400]]), Losses())

    month = balance_of_month(
        by_interval, [RegisterPoint("R2", Role.FLAT, None)], Losses(), silent=["R1"]
    )

    assert month.unread == ("R1", "R2")
    assert month.totals == Totals(1000, 400, 0, 0, 600)


@pytest.mark.parametrize(("unknown", "stands"), [([], True), ([("flats", 0, 1)], False)])
def test_a_house_read_by_registers_is_balanced_over_whole_months_only(unknown, stands):
    house = flows([[0, 0]], [[400, 500]], unknown=unknown)
    by_interval = balance_by_interval(house, Losses())
    register = RegisterPoint("H", Role.INPUT, RegisterEnergy(1000, False))

    month = balance_of_month(by_interval, [register], Losses(ppm=20_000))

    assert month.totals == (Totals(1000, 900, 0, 20, 80) if stands else None)


def test_the_worked_table_of_the_documentation_is_right():
    page = Path(__file__).parents[2] / "docs" / "algorithms" / "house-balance.md"
    text = page.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("| Interval | Input |")[2].splitlines()[2:6]
    ]
    cells = [[int(cell) if cell.isdigit() else 0 for cell in row] for row in rows[:3]]
    taken, first, second, lift = ([row[column] for row in cells] for column in (1, 2, 3, 4))
    unknown = [("flats", 1, n) for n, row in enumerate(rows[:3]) if row[3] == "missing"]

    balance = balance_by_interval(
        flows([taken], [first, second], common=[lift], unknown=unknown), Losses(20_000, 10)
    )

    assert unknown == [("flats", 1, 2)]
    assert balance.losses_wh.tolist()[:2] == [row[5] for row in cells[:2]]
    assert balance.remainder_wh.tolist()[:2] == [row[6] for row in cells[:2]]
    stated = [int(cell) for cell in rows[3][1:]]
    totals = balance.totals()
    assert [totals.input_wh, totals.common_wh, totals.losses_wh, totals.remainder_wh] == [
        stated[0],
        *stated[3:],
    ]
    assert totals.flats_wh == stated[1] + stated[2]
