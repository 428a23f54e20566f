"""Months in which something changes: prices, plan, resident; and plans with more than energy."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from billing import store
from billing.facts.store import persons_on
from billing.models import AccountFactRow, EntitlementRow, FactKind, LineUnit, Measurement
from billing.month.charging import INTERVALS_MISSING
from billing.month.service import energy_by_day, rate_days, rate_month
from invoices.payment_document import PaymentDocument
from invoices.store import documents_of
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.zones import Zone
from tariffs.lines import ChargeKind
from tests.scenarios.by_hand_town import SCOPE, ZONE, tariff
from tests.scenarios.plans_town import LEARNED, TWO_ZONES, ZONES, PlansTown

OCTOBER = date(2026, 10, 1), date(2026, 11, 1)


def kopecks(*roubles):
    """Return a sum of roubles in kopecks, each rounded once, half up."""
    return sum(int((Decimal(one) * 100).quantize(Decimal(1), ROUND_HALF_UP)) for one in roubles)


def plan(code, extra, zones="", prices=((("2017-01-01"), 5),)):
    return tariff(code, prices, zones) + extra


def test_a_change_of_plan_inside_a_month_makes_two_stays_each_at_its_own_prices(database, tmp_path):
    town = PlansTown(database, tmp_path, TWO_ZONES)
    town.has_plan("two_zone", date(2026, 10, 15))
    town.uses(*OCTOBER, 1000)

    amounts = town.amounts(2026, 10)

    assert amounts == {
        "all/-/2017-01-01": kopecks(14 * 24 * Decimal(5)),
        "day/-/2017-01-01/stay:2026-10-15": kopecks(17 * 16 * Decimal(6)),
        "night/-/2017-01-01/stay:2026-10-15": kopecks(17 * 8 * Decimal(2)),
    }


def test_a_change_of_plan_shares_standing_charges_by_days_and_rounds_each_once(database, tmp_path):
    upkeep = "fixed: [{code: upkeep, name: {ru: Обслуживание}, per: month, amounts: "
    upkeep += "[{from: 2017-01-01, amount: 100}]}]\n"
    town = PlansTown(database, tmp_path, plan("upkeep", upkeep))
    town.has_plan("upkeep", date(2026, 10, 15))
    town.uses(*OCTOBER, 0)

    lines = town.month(2026, 10).charges[town.account].lines

    assert [(n.charge, n.quantity, n.unit, n.amount_minor) for n in lines] == [
        (ChargeKind.FIXED, 17, LineUnit.DAY, kopecks(Decimal(100) * 17 / 31))
    ]
    assert lines[0].energy_wh == 0


def test_each_of_two_plans_climbs_a_ladder_of_its_own(database, tmp_path):
    ladder = tariff("ladder", [("2017-01-01", "[1, 10]")]) + (
        "ranges: {order: proportional, borders_kwh: [100]}\n"
    )
    town = PlansTown(database, tmp_path, ladder)
    town.has_plan("ladder", date(2026, 10, 1))
    town.has_plan("single", date(2026, 10, 11))
    town.has_plan("ladder", date(2026, 10, 21))
    town.uses(*OCTOBER, 1000)

    amounts = town.amounts(2026, 10)

    assert amounts == {
        "all/1/2017-01-01": 100_00,
        "all/2/2017-01-01": 140 * 10_00,
        "all/-/2017-01-01/stay:2026-10-11": 240 * 5_00,
        "all/1/2017-01-01/stay:2026-10-21": 100_00,
        "all/2/2017-01-01/stay:2026-10-21": (264 - 100) * 10_00,
    }


def test_who_moves_out_and_who_moves_in_pay_for_their_own_days(database, tmp_path):
    upkeep = "fixed: [{code: upkeep, name: {ru: Обслуживание}, per: month, amounts: "
    upkeep += "[{from: 2017-01-01, amount: 100}]}]\n"
    town = PlansTown(database, tmp_path, plan("upkeep", upkeep))
    town.has_plan("upkeep", date(2026, 10, 1))
    town.moves_out(date(2026, 10, 15))
    newcomer = town.moves_in(date(2026, 10, 15), "upkeep")
    town.uses(*OCTOBER, 1000)

    left = town.amounts(2026, 10)
    came = town.amounts(2026, 10, account=newcomer)

    assert sum(left.values()) == kopecks(14 * 24 * Decimal(5), Decimal(100) * 14 / 31)
    assert sum(came.values()) == kopecks(17 * 24 * Decimal(5), Decimal(100) * 17 / 31)
    month = Month(2026, 10)
    with database.reading() as session:
        both = store.billed_accounts(session, [town.account, newcomer], month)
        rated = rate_month(session, both, month)
    assert [sum(n.energy_wh for n in rated.charges[a].lines) for a in (town.account, newcomer)] == [
        14 * 24_000,
        17 * 24_000,
    ]


def test_registers_are_shared_by_days_where_the_plan_changed_without_a_reading(database, tmp_path):
    cheap = tariff("cheap", [("2017-01-01", 2)])
    town = PlansTown(database, tmp_path, cheap, measurement=Measurement.REGISTERS)
    town.has_plan("cheap", date(2026, 10, 11))
    town.read("P1", date(2026, 10, 1), 2000)
    town.read("P1", date(2026, 10, 31), 2100)

    amounts = town.amounts(2026, 10)

    # The stretch from September's reading on belongs to the plan of then; 33,333 and 66,667 Wh.
    october = {key: minor for key, minor in amounts.items() if "stay" in key}
    assert october == {"all/-/2017-01-01/stay:2026-10-11": kopecks(Decimal("66.667") * 2)}


def test_a_reading_on_the_day_of_the_change_decides_it(database, tmp_path):
    cheap = tariff("cheap", [("2017-01-01", 2)])
    town = PlansTown(database, tmp_path, cheap, measurement=Measurement.REGISTERS)
    town.has_plan("cheap", date(2026, 10, 11))
    for day, kwh in ((date(2026, 9, 30), 1000), (date(2026, 10, 11), 1080)):
        town.read("P1", day, kwh)
    town.read("P1", date(2026, 10, 31), 1100)

    assert town.amounts(2026, 10) == {
        "all/-/2017-01-01": 80 * 5_00,
        "all/-/2017-01-01/stay:2026-10-11": 20 * 2_00,
    }


def test_what_registers_counted_across_a_move_adds_up(database, tmp_path):
    town = PlansTown(database, tmp_path, measurement=Measurement.REGISTERS)
    town.read("P1", date(2026, 9, 30), 1000)
    town.read("P1", date(2026, 10, 31), 1100)
    town.moves_out(date(2026, 10, 12))
    newcomer = town.moves_in(date(2026, 10, 12))

    both = [
        [line.quantity for line in town.month(2026, 10, account=a).charges[a].lines]
        for a in (town.account, newcomer)
    ]

    assert both == [[38_710], [61_290]]


GUARANTEED = plan(
    "digital",
    """
concessions:
  - code: digital
    name: {ru: Скидка цифрового тарифа, en: Digital discount}
    who: everyone
    base: energy
    percents: [{from: 2017-01-01, percent: 3}]
guarantee: {never_dearer_than: single}
category: homes
""",
    ZONES,
    (("2017-01-01", "{day: 6, night: 2}"),),
)


def test_a_guarantee_gives_back_what_the_plan_cost_more_and_the_alternatives_are_named(
    database, tmp_path
):
    town = PlansTown(
        database,
        tmp_path,
        GUARANTEED,
        TWO_ZONES + "category: homes\n",
        tariff("closed", [("2017-01-01", 1)]) + "category: homes\nopen: no\n",
        tariff("rural", [("2017-01-01", 1)]) + "category: rural\n",
    )
    town.has_plan("digital", date(2026, 10, 1))
    town.uses(*OCTOBER, lambda _day, hour: 1000 if 7 <= hour < 23 else 0)

    rated = town.month(2026, 10)
    lines = {line.charge: line for line in rated.charges[town.account].lines}

    day_kwh = 31 * 16
    assert lines[ChargeKind.ENERGY].amount_minor == day_kwh * 6_00
    assert lines[ChargeKind.CONCESSION].amount_minor == -kopecks(Decimal(day_kwh * 6) * 3 / 100)
    assert lines[ChargeKind.GUARANTEE].amount_minor == -day_kwh * 1_00
    assert lines[ChargeKind.GUARANTEE].code == "single"
    costs = [(c.code, c.cost_minor, c.own, c.guaranteed) for c in rated.alternatives[town.account]]
    assert costs == [
        ("digital", day_kwh * 6_00, True, False),
        ("single", day_kwh * 5_00, False, True),
        ("two_zone", day_kwh * 6_00, False, False),
    ]


def test_a_plain_plan_compares_with_nothing(database, tmp_path):
    town = PlansTown(database, tmp_path, GUARANTEED)
    town.uses(*OCTOBER, 1000)

    assert town.month(2026, 10).alternatives == {}


def test_a_running_month_has_no_guarantee_yet(database, tmp_path):
    town = PlansTown(database, tmp_path, GUARANTEED)
    town.has_plan("digital", date(2026, 10, 1))
    town.uses(*OCTOBER, lambda _day, hour: 1000 if 7 <= hour < 23 else 0)

    running = town.month(2026, 10, until=date(2026, 11, 1))

    assert {line.charge for line in running.charges[town.account].lines} == {
        ChargeKind.ENERGY,
        ChargeKind.CONCESSION,
    }
    assert running.alternatives == {}


EVERYTHING_STATED = plan(
    "stated",
    """
fixed:
  - {code: area, name: {ru: По площади}, per: m2, amounts: [{from: 2017-01-01, amount: 2}]}
  - {code: heads, name: {ru: По людям}, per: person, amounts: [{from: 2017-01-01, amount: 31}]}
capacity:
  - code: kw
    name: {ru: Мощность}
    basis: contracted
    per_kw_month: [{from: 2017-01-01, amount: 10}]
concessions:
  - code: veteran
    name: {ru: Ветеран}
    who: entitled
    base: energy
    percents: [{from: 2017-01-01, percent: 50}]
""",
)


def test_facts_are_those_of_the_last_day_and_as_they_were_known(database, tmp_path):
    town = PlansTown(database, tmp_path, EVERYTHING_STATED, persons=2)
    town.has_plan("stated", date(2026, 10, 1))
    town.uses(*OCTOBER, 100)
    later = local_midnight(date(2026, 12, 1), ZONE)
    with database.writing() as session:
        for kind, value, at in (
            (FactKind.CONTRACTED_W, 5500, LEARNED),
            (FactKind.PERSONS, 3, later),
        ):
            session.add(
                AccountFactRow(
                    account_id=town.account,
                    kind=kind,
                    valid_from=date(2026, 10, 20),
                    value=value,
                    actor="test",
                    recorded_at=at,
                )
            )
        session.add(
            EntitlementRow(
                account_id=town.account,
                code="veteran",
                valid_from=date(2026, 10, 31),
                document="a paper",
                actor="test",
                recorded_at=LEARNED,
            )
        )
    with database.reading() as session:
        assert persons_on(session, [town.account], date(2026, 10, 31)) == {town.account: 3}

    now = town.amounts(2026, 10)
    then = town.amounts(2026, 10, known_at=local_midnight(date(2026, 11, 5), ZONE))

    energy_minor = 744 * 50
    assert now == {
        "all/-/2017-01-01": energy_minor,
        "fixed:area/-/2017-01-01": 50 * 2_00,
        "fixed:heads/-/2017-01-01": 3 * 31_00,
        "capacity:kw/-/2017-01-01": kopecks(Decimal("5.5") * 10),
        "concession:veteran/-/2017-01-01": -energy_minor // 2,
    }
    assert then == now | {"fixed:heads/-/2017-01-01": 2 * 31_00}


def test_a_years_ladder_goes_on_from_what_was_used_since_january(database, tmp_path):
    ladder = tariff("year", [("2017-01-01", "[1, 10]")]) + (
        "ranges: {order: proportional, period: year, borders_kwh: [1000]}\n"
    )
    town = PlansTown(database, tmp_path, ladder)
    town.has_plan("year", date(2026, 2, 1))
    town.uses(date(2026, 1, 1), date(2026, 3, 1), 1000)

    # January took 744 kWh on another plan; 256 are left of the first range.
    assert town.amounts(2026, 2) == {
        "all/1/2017-01-01": 256 * 1_00,
        "all/2/2017-01-01": (672 - 256) * 10_00,
    }


def test_registers_climb_a_years_ladder_too(database, tmp_path):
    ladder = tariff("year", [("2017-01-01", "[1, 10]")]) + (
        "ranges: {order: proportional, period: year, borders_kwh: [300]}\n"
    )
    town = PlansTown(database, tmp_path, ladder, measurement=Measurement.REGISTERS)
    town.has_plan("year", date(2026, 1, 1))
    town.read("P1", date(2025, 12, 31), 1000)
    town.read("P1", date(2026, 1, 31), 1250)
    town.read("P1", date(2026, 2, 28), 1350)

    assert town.amounts(2026, 2) == {
        "all/1/2017-01-01": 50 * 1_00,
        "all/2/2017-01-01": 50 * 10_00,
    }


def test_the_highest_demand_of_months_before_holds_through_a_ratchet(database, tmp_path):
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
    town.uses(date(2026, 9, 1), date(2026, 11, 1), 1000)

    assert town.amounts(2026, 10)["capacity:kw/-/2017-01-01"] == 4 * 10_00


def test_what_is_given_to_the_network_is_paid_for(database, tmp_path):
    export = "export: {netting: none, per_kwh: [{from: 2017-01-01, amount: 2}]}\n"
    town = PlansTown(database, tmp_path, plan("sun", export))
    town.has_plan("sun", date(2026, 10, 1))
    town.gives_back()
    town.uses(*OCTOBER, 1000)
    town.uses(*OCTOBER, lambda _day, hour: 500 if hour == 12 else 0, channel="A-")

    amounts = town.amounts(2026, 10)

    assert amounts == {
        "all/-/2017-01-01": 744 * 5_00,
        "export/-/2017-01-01": -kopecks(Decimal("15.5") * 2),
    }


def test_what_was_known_before_a_plan_changed_backwards_is_rated_as_then(database, tmp_path):
    town = PlansTown(database, tmp_path, TWO_ZONES)
    town.uses(*OCTOBER, 1000)
    changed_at = local_midnight(date(2026, 12, 1), ZONE)
    town.has_plan("two_zone", date(2026, 10, 1), at=changed_at)

    before = town.amounts(2026, 10, known_at=local_midnight(date(2026, 11, 5), ZONE))
    now = town.amounts(2026, 10)

    assert list(before) == ["all/-/2017-01-01"]
    assert sorted(now) == ["day/-/2017-01-01", "night/-/2017-01-01"]


def test_the_document_names_what_the_same_consumption_would_have_cost(database, tmp_path):
    town = PlansTown(database, tmp_path, GUARANTEED, TWO_ZONES + "category: homes\n")
    town.has_plan("digital", date(2026, 10, 1))
    town.uses(*OCTOBER, lambda _day, hour: 1000 if 7 <= hour < 23 else 0)

    report = town.close(2026, 10)

    with database.reading() as session:
        (stored,) = documents_of(session, SCOPE, town.account)
    document = PaymentDocument.from_snapshot(stored.snapshot, stored.number)
    kwh = 31 * 16
    assert report.warnings == ()
    assert [(one.plan_name, one.cost_minor) for one in document.alternatives] == [
        ("Тест", kwh * 6_00),
        ("Тест", kwh * 5_00),
        ("Тест", kwh * 6_00),
    ]
    assert [one.guaranteed for one in document.alternatives] == [False, True, False]
    guarantee = document.lines[-1]
    assert (guarantee.charge, guarantee.label_ru) == (ChargeKind.GUARANTEE, "Тест")
    assert document.total_minor == kwh * 5_00 - kopecks(Decimal(kwh * 6) * 3 / 100)


def test_a_month_that_is_closed_with_every_kind_of_line_stands_as_it_was_rated(database, tmp_path):
    town = PlansTown(database, tmp_path, EVERYTHING_STATED, persons=2)
    town.has_plan("stated", date(2026, 10, 1))
    town.uses(*OCTOBER, 100)
    with database.writing() as session:
        session.add(
            AccountFactRow(
                account_id=town.account,
                kind=FactKind.CONTRACTED_W,
                valid_from=date(2026, 1, 1),
                value=5500,
                actor="test",
                recorded_at=LEARNED,
            )
        )

    town.close(2026, 10)
    again = town.close(2026, 10)

    rated = town.month(2026, 10).charges[town.account].lines
    with database.reading() as session:
        standing = store.standing_lines(session, [town.account], Month(2026, 10))
        used = store.consumption_by_month(session, [town.account], Month(2026, 10), Month(2026, 10))
    assert standing[town.account] == rated
    assert used[town.account][Month(2026, 10)] == {"all/-/2017-01-01": 74_400}
    assert (again.lines, again.documents) == (0, 0)


def test_who_moved_in_is_warned_of_their_own_gaps_only(database, tmp_path):
    town = PlansTown(database, tmp_path)
    town.moves_out(date(2026, 10, 15))
    newcomer = town.moves_in(date(2026, 10, 15))
    town.uses(date(2026, 10, 1), date(2026, 10, 10), 1000)
    town.uses(date(2026, 10, 15), date(2026, 11, 1), 1000)

    warnings = [
        town.month(2026, 10, account=account).charges[account].warnings
        for account in (town.account, newcomer)
    ]

    assert warnings == [(INTERVALS_MISSING,), ()]


def test_an_account_with_two_points_pays_its_standing_charge_once(database, tmp_path):
    upkeep = "fixed: [{code: upkeep, name: {ru: Обслуживание}, per: month, amounts: "
    upkeep += "[{from: 2017-01-01, amount: 100}]}]\n"
    town = PlansTown(database, tmp_path, plan("upkeep", upkeep))
    town.has_plan("upkeep", date(2026, 10, 1))
    town.has_another_point()
    town.uses(*OCTOBER, 1000)
    town.uses(*OCTOBER, 500, channel="P9")

    assert town.amounts(2026, 10) == {
        "all/-/2017-01-01": kopecks(744 * Decimal("1.5") * 5),
        "fixed:upkeep/-/2017-01-01": 100_00,
    }


def test_a_guarantee_is_kept_for_registers_too(database, tmp_path):
    town = PlansTown(
        database,
        tmp_path,
        GUARANTEED,
        measurement=Measurement.REGISTERS,
        registers=(Zone.DAY, Zone.NIGHT),
    )
    town.has_plan("digital", date(2026, 10, 1))
    town.read("P1", date(2026, 9, 30), {Zone.DAY: 1000, Zone.NIGHT: 1000})
    town.read("P1", date(2026, 10, 31), {Zone.DAY: 1200, Zone.NIGHT: 1010})

    rated = town.month(2026, 10)
    by_kind = {line.charge: line.amount_minor for line in rated.charges[town.account].lines}
    costs = [(c.code, c.cost_minor) for c in rated.alternatives[town.account]]

    # 200 x 6 + 10 x 2 = 1220.00, and on the promised plan 210 x 5 = 1050.00.
    assert costs == [("digital", 1220_00), ("single", 1050_00)]
    assert by_kind[ChargeKind.GUARANTEE] == -170_00
    assert by_kind[ChargeKind.CONCESSION] == -kopecks(Decimal(1220) * 3 / 100)


def test_the_days_of_a_month_are_shown_by_the_zones_of_the_plan_they_had(database, tmp_path):
    ladder = tariff("ladder", [("2017-01-01", "[1, 10]")]) + (
        "ranges: {order: proportional, borders_kwh: [100]}\n"
    )
    town = PlansTown(database, tmp_path, TWO_ZONES, ladder)
    town.has_plan("ladder", date(2026, 10, 1))
    town.has_plan("two_zone", date(2026, 10, 2))
    town.uses(*OCTOBER, 1000)

    with database.reading() as session:
        (account,) = store.billed_accounts(session, [town.account], Month(2026, 10))
        shown = energy_by_day(session, account, date(2026, 10, 1), date(2026, 10, 4))

    assert [zones for _, zones in shown] == [
        {"all": 24_000},
        {"day": 16_000, "night": 8_000},
        {"day": 16_000, "night": 8_000},
    ]


def test_the_last_days_of_any_plan_have_a_cost(database, tmp_path):
    town = PlansTown(database, tmp_path, GUARANTEED, EVERYTHING_STATED)
    town.has_plan("stated", date(2026, 9, 20))
    town.uses(date(2026, 9, 15), date(2026, 10, 13), 100)

    with database.reading() as session:
        accounts = store.billed_accounts(session, [town.account], Month(2026, 10))
        costs = rate_days(session, accounts, date(2026, 9, 15), date(2026, 10, 13))

    # 28 days of energy; by area 100.00 and by heads 62.00 a month, in September and in October.
    months = [Decimal(16) / 30, Decimal(12) / 31]
    standing = kopecks(*(100 * part for part in months), *(62 * part for part in months))
    assert costs == {town.account: (kopecks(Decimal("67.2") * 5) + standing, 28)}


def test_the_alternatives_of_a_month_hold_what_its_other_plan_came_to(database, tmp_path):
    town = PlansTown(database, tmp_path, GUARANTEED)
    town.has_plan("digital", date(2026, 10, 15))
    town.uses(*OCTOBER, lambda _day, hour: 1000 if 7 <= hour < 23 else 0)

    costs = {one.code: one.cost_minor for one in town.month(2026, 10).alternatives[town.account]}

    before, after = 14 * 16, 17 * 16
    assert costs == {
        "digital": before * 5_00 + after * 6_00,
        "single": before * 5_00 + after * 5_00,
    }
