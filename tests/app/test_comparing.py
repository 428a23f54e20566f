"""Comparing the plans open to an account, choosing another, taking it back, returning."""

from dataclasses import replace as with_values
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from sqlalchemy import select

from billing.comparison.service import CannotSwitch, choice_of, choose_plan, compare
from billing.facts.facts import FactOrder, Subject
from billing.facts.service import state
from billing.models import AccountTermRow, ChargeLineRow
from billing.store import account_by_number
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from tariffs.lines import CannotRate
from tariffs.rehearsal import Confidence
from tariffs.service import PublishOrder, publish_version
from tests.web import seed

LAST = Month(2022, 12)
JANUARY, FEBRUARY, MARCH = (date(2023, month, 1) for month in (1, 2, 3))
DIGITAL = """
plan: digital
name: {ru: Цифровой, en: Digital}
valid_from: 2022-12-01
currency: RUB
vat: included
category: urban_gas
zones: {day: [07:00-23:00], night: [23:00-07:00]}
prices:
  - {from: 2022-12-01, per_kwh: {day: 7.42, night: 2.07}}
concessions:
  - code: thanks
    name: {ru: Скидка}
    who: everyone
    base: energy
    percents: [{from: 2022-12-01, percent: 10}]
guarantee: {never_dearer_than: single}
source: test
confidence: memory
"""
CLOSED = DIGITAL.replace("plan: digital", "plan: closed").replace(
    "category: urban_gas", "category: urban_gas\nopen: no"
)


def publish_plans(town):
    """Let a digital plan and a closed one stand beside the plans of the town."""
    with town.database.writing() as session:
        for document in (DIGITAL, CLOSED):
            publish_version(session, PublishOrder(seed.SCOPE, document), town.clock)
    return town


@pytest.fixture
def town(database, tmp_path):
    return publish_plans(seed.build(tmp_path, database=database))


@pytest.fixture(scope="module")
def one_town(tmp_path_factory):
    """A town that its tests do not change."""
    made = publish_plans(seed.build(tmp_path_factory.mktemp("town")))
    yield made
    made.database.dispose()


def id_of(town, number):
    with town.database.reading() as session:
        return AccountId(account_by_number(session, seed.SCOPE, number).id)


def compared(town, number, **values):
    with town.database.reading() as session:
        return compare(session, seed.SCOPE, id_of(town, number), LAST, **values)


def charge_lines(town, number):
    with town.database.reading() as session:
        query = select(ChargeLineRow).where(
            ChargeLineRow.account_id == id_of(town, number),
            ChargeLineRow.service == "electricity",
            ChargeLineRow.charge_month <= LAST.ordinal,
        )
        return session.scalars(query).all()


def half_up(kopecks):
    return int(kopecks.quantize(Decimal(1), ROUND_HALF_UP))


def test_the_own_plan_costs_the_sum_of_the_bills(town):
    for number in (seed.PREPAID, seed.POSTPAID, seed.THREE_ZONES, seed.BY_HAND):
        found = compared(town, number)

        lines = charge_lines(town, number)
        assert found.own.cost_minor == sum(line.amount_minor for line in lines), number
        assert found.energy_wh == sum(line.quantity for line in lines)


def test_other_plans_cost_what_a_clerk_computes(one_town):
    found = compared(one_town, seed.PREPAID)

    costs = {cost.plan.code: cost for cost in found.costs}
    by_month = {}
    for line in charge_lines(one_town, seed.PREPAID):
        zones = by_month.setdefault(line.charge_month, {})
        zone = line.line_key.split("/")[0]
        zones[zone] = zones.get(zone, 0) + line.quantity
    november, december = (by_month[month] for month in sorted(by_month))
    single = half_up(Decimal(sum(november.values())) * Decimal("0.509")) + half_up(
        Decimal(sum(december.values())) * Decimal("0.554")
    )
    assert costs["single"].cost_minor == single
    assert set(costs) == {"single", "two_zone", "three_zone", "digital"}
    assert found.best is found.costs[0]
    assert found.saving_minor == costs["two_zone"].cost_minor - found.costs[0].cost_minor


def test_a_guarantee_gives_back_what_a_month_cost_more(one_town):
    """The digital plan began in December; its first prices are taken for November."""
    found = compared(one_town, seed.PREPAID)

    digital = next(cost for cost in found.costs if cost.plan.code == "digital")
    assert digital.first_prices_taken
    assert digital.guarantee == "single"
    assert digital.cost_minor < digital.by_rates_minor
    assert found.discounts_differ


def test_moving_the_evening_pays_by_zones_and_not_by_one_rate(one_town):
    few = {
        cost.plan.code: cost for cost in compared(one_town, seed.PREPAID, shift_percent=10).costs
    }
    many = {
        cost.plan.code: cost for cost in compared(one_town, seed.PREPAID, shift_percent=50).costs
    }

    assert few["single"].shift_gain_minor == many["single"].shift_gain_minor == 0
    assert 0 < few["three_zone"].shift_gain_minor < many["three_zone"].shift_gain_minor


def test_registers_are_compared_by_what_they_tell_apart(one_town):
    found = compared(one_town, seed.BY_HAND)

    assert {cost.plan.code for cost in found.costs} == {"single", "two_zone", "digital"}
    assert [(plan.code, str(why)) for plan, why in found.refused] == [
        ("three_zone", "The tariff three_zone cannot price this: it has no zone day.")
    ]
    assert all(cost.shift_gain_minor is None for cost in found.costs)


def test_too_little_that_was_measured_is_no_ground_for_advice(one_town):
    found = with_values(compared(one_town, seed.PREPAID), measured_ppm=599_999)

    assert found.confidence is Confidence.NONE
    assert not found.advises


def resident(account_id, actor="user:7"):
    return Scope(Role.RESIDENT, actor, account_ids=frozenset({account_id}))


def choose(town, plan, *, at=seed.NOW, number=seed.PREPAID):
    account_id = id_of(town, number)
    with town.database.writing() as session:
        return choose_plan(session, resident(account_id), account_id, plan, FixedClock(at))


def chosen(town, at, number=seed.PREPAID):
    account_id = id_of(town, number)
    with town.database.reading() as session:
        return choice_of(session, resident(account_id), account_id, at)


def test_a_resident_chooses_takes_it_back_chooses_again_and_returns(town):
    choice = choose(town, "digital")
    assert (choice.current.code, choice.pending.code) == ("two_zone", "digital")
    assert choice.pending_from == FEBRUARY
    assert choice.guarantees["digital"].code == "single"

    assert choose(town, "two_zone").pending is None
    assert choose(town, "digital") == choose(town, "digital")

    february = datetime(2023, 2, 10, tzinfo=UTC)
    later = chosen(town, february)
    assert (later.current.code, later.since, later.pending) == ("digital", FEBRUARY, None)
    assert later.former.code == "two_zone"

    back = choose(town, "two_zone", at=february)
    assert (back.pending.code, back.pending_from) == ("two_zone", MARCH)
    with town.database.reading() as session:
        rows = session.scalars(
            select(AccountTermRow).where(AccountTermRow.account_id == id_of(town, seed.PREPAID))
        ).all()
    standing = [row.valid_from for row in rows if row.superseded_at is None]
    assert sorted(standing)[-2:] == [FEBRUARY, MARCH]
    assert [row for row in rows if row.superseded_at is not None], "former statements are kept"
    assert {row.actor for row in rows if row.valid_from >= FEBRUARY} == {"user:7"}


def test_a_former_plan_may_be_returned_to_though_it_is_closed_to_others(town):
    with town.database.writing() as session:
        publish_version(
            session,
            PublishOrder(
                seed.SCOPE,
                DIGITAL.replace("plan: digital", "plan: two_zone")
                .replace("guarantee: {never_dearer_than: single}", "open: no")
                .replace("2022-12-01", "2023-02-01"),
            ),
            town.clock,
        )
    choose(town, "digital")

    choice = choose(town, "two_zone", at=datetime(2023, 2, 10, tzinfo=UTC))

    assert choice.pending.code == "two_zone"
    with pytest.raises(CannotSwitch):
        choose(town, "two_zone", at=datetime(2023, 2, 10, tzinfo=UTC), number=seed.THREE_ZONES)


@pytest.mark.parametrize("plan", ["closed", "three_zone_reduced", "nothing", "", "a" * 5000])
def test_a_plan_that_is_not_open_is_refused_in_words(one_town, plan):
    with pytest.raises(CannotSwitch, match="not open to this account"):
        choose(one_town, plan)


def test_a_plan_for_others_is_not_returned_to(town):
    """Who lost the electric stove, and its rates, does not take them back by a click."""
    account_id = id_of(town, seed.PREPAID)
    stove = DIGITAL.replace("plan: digital", "plan: stove").replace("urban_gas", "urban_stove")
    with town.database.writing() as session:
        publish_version(session, PublishOrder(seed.SCOPE, stove), town.clock)
        for day, plan in ((date(2022, 12, 1), "stove"), (date(2023, 1, 5), "two_zone")):
            fact = FactOrder(account_id, Subject.PLAN, day, code=plan)
            state(session, seed.SCOPE, fact, town.clock)

    with pytest.raises(CannotSwitch, match="stove"):
        choose(town, "stove")

    assert "stove" not in {plan.code for plan in chosen(town, seed.NOW).offered}


def test_a_plan_whose_months_could_not_be_charged_is_refused(town):
    account_id = id_of(town, seed.PREPAID)
    needy = DIGITAL.replace("plan: digital", "plan: needy") + (
        "capacity:\n  - code: power\n    name: {ru: Мощность}\n    basis: contracted\n"
        "    per_kw_month: [{from: 2022-12-01, amount: 100}]\n"
    )
    with town.database.writing() as session:
        publish_version(session, PublishOrder(seed.SCOPE, needy), town.clock)

    with pytest.raises(CannotSwitch, match="contracted capacity"):
        choose(town, "needy")

    with town.database.writing() as session:
        power = FactOrder(account_id, Subject.CONTRACTED_POWER, date(2023, 2, 1), 5_000)
        state(session, seed.SCOPE, power, town.clock)
    assert choose(town, "needy").pending.code == "needy"


def test_registers_have_to_be_set_first_and_nothing_false_is_offered(one_town):
    assert chosen(one_town, seed.NOW, seed.BY_HAND).by_registers
    with pytest.raises(CannotSwitch, match="read by registers"):
        choose(one_town, "single", number=seed.BY_HAND)


def test_a_neighbour_finds_nothing_and_an_auditor_changes_nothing(one_town):
    account_id = id_of(one_town, seed.PREPAID)
    other = resident(id_of(one_town, seed.POSTPAID))

    with one_town.database.writing() as session:
        with pytest.raises(NotFound):
            choose_plan(session, other, account_id, "single", one_town.clock)
        with pytest.raises(NotFound):
            compare(session, other, account_id, LAST)
        auditor = Scope(Role.AUDITOR, "auditor", whole_retailer=True)
        with pytest.raises(Forbidden):
            choose_plan(session, auditor, account_id, "single", one_town.clock)


def test_an_account_that_has_not_lived_a_month_yet_has_nothing_to_compare(one_town):
    with (
        one_town.database.reading() as session,
        pytest.raises(CannotRate, match="nothing is known"),
    ):
        compare(session, seed.SCOPE, id_of(one_town, seed.PREPAID), Month(2022, 9))
