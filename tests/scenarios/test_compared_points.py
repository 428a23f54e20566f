"""An account with two points is compared and rehearsed as it is billed: their use is one."""

from datetime import date

from billing.comparison.service import compare
from billing.comparison.store import joint_uses
from billing.store import billed_accounts
from kilokassa.core.calendar import Month
from tests.scenarios.by_hand_town import SCOPE, tariff
from tests.scenarios.plans_town import PlansTown

OCTOBER = date(2026, 10, 1), date(2026, 11, 1)
MONTH = Month(2026, 10)
UPKEEP = tariff("upkeep", [("2017-01-01", "[1, 10]")]) + (
    "ranges: {order: proportional, borders_kwh: [1000]}\n"
    "fixed: [{code: upkeep, name: {ru: Обслуживание}, per: month,"
    " amounts: [{from: 2017-01-01, amount: 100}]}]\n"
)


def two_points(database, tmp_path):
    town = PlansTown(database, tmp_path, UPKEEP)
    town.has_plan("upkeep", OCTOBER[0])
    town.has_another_point()
    town.uses(*OCTOBER, 1000)
    return town


def test_the_own_plan_costs_what_is_billed_for_both_points(database, tmp_path):
    town = two_points(database, tmp_path)
    town.uses(*OCTOBER, 500, channel="P9")

    with database.reading() as session:
        found = compare(session, SCOPE, town.account, MONTH, months=1)

    # 744 h x 1.5 kWh = 1116 kWh: 1000 x 1 + 116 x 10, and 100 a month once.
    assert found.own.cost_minor == town.total_minor(2026, 10) == 2_260_00


def test_an_interval_is_measured_where_every_point_was(database, tmp_path):
    town = two_points(database, tmp_path)
    town.uses(OCTOBER[0], date(2026, 10, 11), 500, channel="P9")

    with database.reading() as session:
        accounts = billed_accounts(session, [town.account], MONTH)
        (joint,) = joint_uses(session, accounts, MONTH, MONTH)

    assert [account.id for account in joint.accounts] == [town.account]
    assert joint.use.measured.tolist() == [10 * 24]
    assert joint.use.energy_wh.sum() == (744 + 120) * 1000


def test_who_follows_another_at_a_flat_has_the_use_of_their_own_days(database, tmp_path):
    town = PlansTown(database, tmp_path)
    town.uses(*OCTOBER, 1000)
    town.moves_out(date(2026, 10, 16))
    follower = town.moves_in(date(2026, 10, 16))

    with database.reading() as session:
        accounts = billed_accounts(session, [town.account, follower], MONTH)
        used = {
            account.id: int(joint.use.energy_wh[row].sum())
            for joint in joint_uses(session, accounts, MONTH, MONTH)
            for row, account in enumerate(joint.accounts)
        }

    assert used == {town.account: 15 * 24 * 1000, follower: 16 * 24 * 1000}
