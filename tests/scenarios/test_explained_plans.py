"""Each kind of line of a plan explains itself by the figures it was computed from."""

from datetime import date
from fractions import Fraction

from sqlalchemy import select

from billing.explanation.explanation import StepKind, Verdict
from billing.explanation.service import explain_charge_line
from billing.models import AccountFactRow, ChargeLineRow, FactKind
from kilokassa.core.calendar import local_midnight
from tariffs.lines import ChargeKind
from tests.scenarios.by_hand_town import SCOPE, ZONE, tariff
from tests.scenarios.plans_town import LEARNED, TWO_ZONES, PlansTown
from tests.scenarios.test_changing_months import EVERYTHING_STATED, GUARANTEED, OCTOBER, plan

LATER = local_midnight(date(2026, 12, 5), ZONE)


def explained(town, **of):
    """Return the explanations of all charge lines, in the order they were written."""
    with town.database.reading() as session:
        ids = session.scalars(select(ChargeLineRow.id).order_by(ChargeLineRow.id)).all()
        found = [explain_charge_line(session, SCOPE, line_id) for line_id in ids]
    return [one for one in found if all(getattr(one.line, k) == v for k, v in of.items())]


def told(one):
    return [(step.kind, step.value) for step in one.steps]


def test_a_guarantee_names_both_costs_whose_difference_it_gives_back(database, tmp_path):
    town = PlansTown(database, tmp_path, GUARANTEED, TWO_ZONES)
    town.has_plan("digital", date(2026, 10, 1))
    town.uses(*OCTOBER, lambda _day, hour: 1000 if 7 <= hour < 23 else 0)
    town.close(2026, 10)

    (guarantee,) = explained(town, charge=ChargeKind.GUARANTEE)
    (discount,) = explained(town, charge=ChargeKind.CONCESSION)

    kwh = 31 * 16
    assert told(guarantee) == [
        (StepKind.ALTERNATIVE, kwh * 6_00),
        (StepKind.ALTERNATIVE, kwh * 5_00),
    ]
    assert guarantee.line.amount_minor == -kwh * 1_00
    assert told(discount) == [(StepKind.LINE, kwh * 6_00)]
    assert {one.replay.verdict for one in explained(town)} == {Verdict.SAME}


def test_each_stay_of_a_month_is_made_of_its_own_days(database, tmp_path):
    town = PlansTown(database, tmp_path, TWO_ZONES)
    town.has_plan("two_zone", date(2026, 10, 15))
    town.uses(*OCTOBER, 1000)
    town.close(2026, 10)

    single, day, night = explained(town)

    assert [len(one.intervals) for one in (single, day, night)] == [14 * 24, 17 * 16, 17 * 8]
    assert single.days[-1].day == date(2026, 10, 14)
    assert {one.days[0].day for one in (day, night)} == {date(2026, 10, 15)}
    assert {one.replay.verdict for one in (single, day, night)} == {Verdict.SAME}


def test_two_points_of_an_account_are_explained_together(database, tmp_path):
    town = PlansTown(database, tmp_path)
    town.has_another_point()
    town.uses(*OCTOBER, 1000)
    town.uses(*OCTOBER, 500, channel="P9")
    town.close(2026, 10)

    (one,) = explained(town)

    assert {day.point_code for day in one.days} == {"P1", "P9"}
    assert len(one.days) == 62
    assert sum(part.energy_wh for part in one.intervals) == one.line.quantity == 744 * 1500
    assert sum(day.energy_wh for day in one.days) == one.line.quantity
    assert one.replay.verdict is Verdict.SAME


def test_ranges_tell_how_much_each_of_them_took(database, tmp_path):
    ladder = tariff("ladder", [("2017-01-01", "[1, 10]")]) + (
        "ranges: {order: proportional, borders_kwh: [100]}\n"
    )
    town = PlansTown(database, tmp_path, ladder)
    town.has_plan("ladder", date(2026, 10, 1))
    town.uses(*OCTOBER, 1000)
    town.close(2026, 10)

    first, second = explained(town)

    ranges = [(StepKind.RANGE, 100_000), (StepKind.RANGE, 644_000)]
    assert told(first) == told(second) == [(StepKind.INTERVALS, 744_000), *ranges]
    assert [one.sum.exact_minor for one in (first, second)] == [100_00, 644 * 10_00]


def test_facts_that_changed_later_leave_the_old_lines_as_they_were(database, tmp_path):
    town = PlansTown(database, tmp_path, EVERYTHING_STATED, persons=2)
    town.has_plan("stated", date(2026, 10, 1))
    town.uses(*OCTOBER, 100)
    contracted = {
        "account_id": town.account,
        "kind": FactKind.CONTRACTED_W,
        "valid_from": date(2026, 1, 1),
        "actor": "test",
    }
    with database.writing() as session:
        session.add(AccountFactRow(value=5500, recorded_at=LEARNED, **contracted))
    town.close(2026, 10)
    before = explained(town)

    with database.writing() as session:
        session.scalars(select(AccountFactRow)).one().superseded_at = LATER
        session.flush()
        session.add(AccountFactRow(value=9900, recorded_at=LATER, **contracted))
    after = explained(town)

    (capacity,) = (one for one in after if one.line.charge is ChargeKind.CAPACITY)
    assert told(capacity) == [(StepKind.CONTRACTED, 5500), (StepKind.DAYS, 31)]
    assert [one.digest for one in before] == [one.digest for one in after]
    assert {one.replay.verdict for one in after} == {Verdict.SAME}
    assert all(one.steps and one.sum.holds for one in after)


def test_demand_leads_to_its_interval_and_to_what_months_before_leave(database, tmp_path):
    capacity = """
capacity:
  - code: kw
    name: {ru: Мощность}
    basis: highest
    ratchet: {percent: 80, months: 2}
    per_kw_month: [{from: 2017-01-01, amount: 10}]
"""
    town = PlansTown(database, tmp_path, plan("demand", capacity))
    town.has_plan("demand", date(2026, 9, 1))
    town.uses(date(2026, 8, 1), date(2026, 9, 1), 5000)
    town.uses(*OCTOBER, lambda day, hour: 3000 if (day.day, hour) == (7, 19) else 1000)
    town.close(2026, 10)

    (one,) = explained(town, charge=ChargeKind.CAPACITY)

    assert told(one) == [
        (StepKind.HIGHEST, 3000),
        (StepKind.DAYS, 31),
        (StepKind.RATCHET, 4000),
    ]
    at = one.intervals[0].start.astimezone(ZONE)
    assert (at.day, at.hour) == (7, 19)
    assert one.sum.exact_minor == 40_00


def test_what_was_given_to_the_network_is_told(database, tmp_path):
    export = "export: {netting: none, per_kwh: [{from: 2017-01-01, amount: 2}]}\n"
    town = PlansTown(database, tmp_path, plan("sun", export))
    town.has_plan("sun", date(2026, 10, 1))
    town.gives_back()
    town.uses(*OCTOBER, 1000)
    town.uses(*OCTOBER, lambda _day, hour: 500 if hour == 12 else 0, channel="A-")
    town.close(2026, 10)

    (one,) = explained(town, charge=ChargeKind.EXPORT)

    assert told(one) == [(StepKind.EXPORTED, 15_500)]
    assert one.sum.exact_minor == Fraction(-31_00)
    assert one.replay.verdict is Verdict.SAME
