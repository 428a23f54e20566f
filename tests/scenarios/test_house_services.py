"""Months of a house with other services: common areas, water by meter and by norm."""

from datetime import UTC, date, datetime
from itertools import permutations

import pytest

from billing import store as billing_store
from billing.house.charging import BY_NORM
from billing.house.service import (
    AssignOrder,
    EndOrder,
    assign_service,
    common_area_wh,
    end_service,
    house_lines,
)
from billing.house.store import all_services_of, common_area_months, house_in_reach
from billing.models import CommonAreaMethod, LineUnit, Service
from kilokassa.app.common_areas import settle_common_areas
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.ids import CompanyId
from kilokassa.core.scope import Role, Scope
from metering.estimation.methods import Norm
from metering.estimation.store import write_norms
from metering.registry.places import (
    Commodity,
    CommonArea,
    CommonAreaKind,
    Meter,
    MeteringPoint,
    PlacesOrder,
)
from metering.registry.service import register_places
from tariffs.services.service import ServiceExists, ServiceOrder, publish_service
from tariffs.services.store import service_prices
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town

JANUARY, FEBRUARY, MARCH = Month(2026, 1), Month(2026, 2), Month(2026, 3)
START = FixedClock(datetime(2025, 12, 1, tzinfo=UTC))

SERVICE = """
service: {service}
code: {code}
name: {{ru: Услуга, en: Service}}
valid_from: 2022-07-01
currency: RUB
basis: {basis}
{more}
source: a test
confidence: high
"""
COMMON = SERVICE.format(
    service="common_electricity",
    code="common",
    basis="common_area",
    more="plan: single\nnorm_kwh_per_m2: [{from: 2022-07-01, amount: 0.5}]\nrecalculated_in: 3",
)
COLD = SERVICE.format(
    service="cold_water",
    code="cold",
    basis="meter",
    more="per_m3: [{from: 2022-07-01, amount: 50.12}]\nnorm: water",
)
HOT = SERVICE.format(
    service="hot_water",
    code="hot",
    basis="meter",
    more="per_m3: [{from: 2022-07-01, amount: 50.12}]\nnorm: water\n"
    "heating: {gcal_per_m3: 0.0526, per_gcal: [{from: 2022-07-01, amount: 2288.38}]}",
)
DRAIN = SERVICE.format(
    service="drainage",
    code="drain",
    basis="water",
    more="per_m3: [{from: 2022-07-01, amount: 38.40}]",
)
WASTE = SERVICE.format(
    service="housing",
    code="waste",
    basis="person",
    more="per_person: [{from: 2022-07-01, amount: 118.52}]",
)


class House:
    """A house of two flats of 50 m2, its own meter, 40 m2 of stairs; water in the first flat."""

    def __init__(self, database, folder, *services, method=CommonAreaMethod.ACTUAL):
        self.database = database
        self.town = Town(database, folder, flats=2, opening_kwh=0)
        with database.writing() as session:
            places = register_places(
                session,
                PlacesOrder(
                    common_areas=(
                        CommonArea("B1", "STAIRS", CommonAreaKind.STAIRS, area_dm2=4000),
                    ),
                    points=(
                        MeteringPoint("HOUSE", "B1"),
                        MeteringPoint("CW1", "B1", "1", Commodity.COLD_WATER),
                        MeteringPoint("HW1", "B1", "1", Commodity.HOT_WATER),
                    ),
                    meters=tuple(
                        Meter(point, f"S{point}", date(2025, 6, 1))
                        for point in ("HOUSE", "CW1", "HW1")
                    ),
                ),
                START,
            )
            for commodity, litres in ((Commodity.COLD_WATER, 4_745), (Commodity.HOT_WATER, 3_190)):
                norm = Norm("water", date(2020, 1, 1), 0, 0, litres, "a test")
                write_norms(session, commodity, [norm], START.at)
            for document in services:
                price = publish_service(session, ServiceOrder(SCOPE, document), START).price
                order = AssignOrder(
                    SCOPE,
                    "B1",
                    price.code,
                    date(2026, 1, 1),
                    method=method if price.code == "common" else None,
                )
                assign_service(session, order, START)
        self.town.meters |= {
            point: places.meter_ids[point, f"S{point}"] for point in ("HOUSE", "CW1", "HW1")
        }
        self.read("HOUSE", date(2026, 1, 1), 0)

    def read(self, point, day, value, *, came=None):
        self.town.read(point, day, value, came=came)

    def month(self, month, *, house, flats=(10, 10)):
        """Let a month be read at its end: what the house and each flat took in it, kWh."""
        day = month.plus(1).first_day
        self.totals = getattr(self, "totals", {"HOUSE": 0, "P1": 0, "P2": 0})
        for point, kwh in zip(("HOUSE", "P1", "P2"), (house, *flats), strict=True):
            self.totals[point] += kwh
            self.read(point, day, self.totals[point])

    def settle(self, month, *, day=3):
        at = local_midnight(month.plus(1).first_day.replace(day=day), ZONE)
        return settle_common_areas(self.town.application(at), month, scope=SCOPE)

    def settled(self, month):
        with self.database.reading() as session:
            house = house_in_reach(session, SCOPE, "B1")
            return common_area_months(session, [house.id], month, month)[house.id, month]

    def lines(self, month, point="P1", **known):
        with self.database.reading() as session:
            ids = [self.town.accounts[point]]
            accounts = billing_store.billed_accounts(session, ids, month)
            return house_lines(session, accounts, month, **known)[ids[0]]


def test_a_remainder_below_zero_is_charged_as_nothing_and_carried_over(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    house.month(JANUARY, house=12)
    house.settle(JANUARY)
    house.month(FEBRUARY, house=40)
    house.settle(FEBRUARY)

    january, february = house.settled(JANUARY), house.settled(FEBRUARY)
    assert (january.actual_wh, january.charged_wh, january.carried_out_wh) == (-8000, 0, -8000)
    assert (february.actual_wh, february.carried_in_wh, february.charged_wh) == (
        20000,
        -8000,
        12000,
    )
    assert house.lines(JANUARY).lines == []
    (line,) = house.lines(FEBRUARY).lines
    assert (line.service, line.quantity, line.amount_minor) == (
        Service.COMMON_ELECTRICITY,
        6_000,
        30_00,
    )
    assert house.lines(FEBRUARY).warnings == []


def test_the_close_of_a_month_settles_it_and_charges_both_flats(database, tmp_path):
    house = House(database, tmp_path, COMMON, WASTE)
    house.month(JANUARY, house=25)
    house.town.close(2026, 1)

    with database.reading() as session:
        found = [
            (line.service, line.code, line.amount_minor)
            for account_id in house.town.accounts.values()
            for line in billing_store.standing_lines(session, [account_id], JANUARY)[account_id]
        ]
    of_a_flat = [
        (Service.ELECTRICITY, "", 50_00),
        (Service.COMMON_ELECTRICITY, "common", 12_50),
        (Service.HOUSING, "waste", 237_04),
    ]
    assert sorted(found) == sorted(of_a_flat * 2)


def test_settling_again_changes_nothing(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    house.month(JANUARY, house=25)

    first = house.settle(JANUARY)
    again = house.settle(JANUARY, day=4)

    assert [one.new for one in first.months] == [True]
    assert [one.new for one in again.months] == [False]


def test_a_later_reading_settles_the_month_again_and_the_one_after_it(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    house.month(JANUARY, house=12)
    house.settle(JANUARY)
    house.month(FEBRUARY, house=40)
    house.settle(FEBRUARY)
    before = house.settled(FEBRUARY)

    house.read("P1", date(2026, 2, 1), 4, came=date(2026, 3, 5))
    house.settle(FEBRUARY, day=20)

    assert house.settled(JANUARY).actual_wh == -2000
    assert house.settled(FEBRUARY).carried_in_wh == -2000
    then = local_midnight(date(2026, 3, 4), ZONE)
    (as_known,) = house.lines(FEBRUARY, known_at=then).lines
    assert as_known.quantity * 2 == before.charged_wh


def test_where_the_house_was_not_read_the_norm_is_charged_and_it_says_so(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    for point in ("P1", "P2"):
        house.read(point, date(2026, 2, 1), 10)
    house.settle(JANUARY)

    charge = house.lines(JANUARY)

    assert house.settled(JANUARY).house_wh is None
    assert [(line.quantity, line.amount_minor, line.estimated) for line in charge.lines] == [
        (10_000, 50_00, 10_000)
    ]
    assert charge.warnings == [BY_NORM]


def test_a_house_read_every_other_month_gives_back_what_was_charged_without_it(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    for point in ("P1", "P2"):
        house.read(point, date(2026, 2, 1), 10)
    house.settle(JANUARY)
    for point in ("P1", "P2"):
        house.read(point, date(2026, 3, 1), 20)
    house.read("HOUSE", date(2026, 3, 1), 75)
    house.settle(FEBRUARY)

    january, february = house.settled(JANUARY), house.settled(FEBRUARY)

    assert (january.charged_wh, february.charged_wh) == (20_000, 15_000)
    assert january.charged_wh + february.charged_wh == 75_000 - 40_000


def test_a_reading_of_the_25th_belongs_to_its_month_and_changes_none_before(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    for number, month in enumerate((JANUARY, FEBRUARY), start=1):
        day = month.first_day.replace(day=25)
        for point, kwh in (("HOUSE", 30), ("P1", 10), ("P2", 11)):
            house.read(point, day, kwh * number)
        house.settle(month)

    assert house.settled(JANUARY).charged_wh == house.settled(FEBRUARY).charged_wh == 9_000


def test_a_year_by_the_norm_is_put_right_in_the_march_after_it(database, tmp_path):
    house = House(database, tmp_path, COMMON, method=CommonAreaMethod.NORM)
    for number in range(1, 13):
        # The norm is 20 kWh a month; the house leaves 26 in every month but one below zero.
        house.month(Month(2026, number), house=15 if number == 6 else 46)
        house.settle(Month(2026, number))
    for number in (1, 2, 3):
        house.month(Month(2027, number), house=46)
        house.settle(Month(2027, number))

    march = house.settled(Month(2027, 3))
    own, yearly = house.lines(Month(2027, 3)).lines

    assert march.own_wh == 20_000
    assert march.yearly_wh == 11 * 6_000 - 25_000
    assert (own.quantity, yearly.quantity, yearly.amount_minor) == (10_000, 20_500, 102_50)
    assert yearly.key == "service:common:yearly-2026/-/2026-01-01"
    assert house.settled(Month(2027, 2)).yearly == ()


@pytest.mark.parametrize("order", list(permutations(("HOUSE", "P1", "P2")))[:3])
def test_any_order_of_readings_ends_in_the_same_rows(sqlite_database, tmp_path, order):
    house = House(sqlite_database, tmp_path, COMMON)
    readings = {"HOUSE": 47, "P1": 11, "P2": 13}
    for number, point in enumerate(order, start=1):
        house.read(point, date(2026, 2, 1), readings[point], came=date(2026, 2, 1 + number))
        house.settle(JANUARY, day=1 + number)

    settled = house.settled(JANUARY)

    assert (settled.actual_wh, settled.charged_wh) == (23_000, 23_000)


def test_water_is_charged_by_meter_or_norm_and_drained_together(database, tmp_path):
    house = House(database, tmp_path, COLD, HOT, DRAIN)
    for point, m3 in (("CW1", (100, 105)), ("HW1", (50, 53))):
        house.read(point, date(2025, 12, 25), m3[0])
        house.read(point, date(2026, 1, 25), m3[1])

    metered, by_norm = house.lines(JANUARY, "P1"), house.lines(JANUARY, "P2")

    assert [(line.code, line.unit, line.quantity) for line in metered.lines] == [
        ("cold", LineUnit.LITRE, 5_000),
        ("drain", LineUnit.LITRE, 8_000),
        ("hot", LineUnit.LITRE, 3_000),
        ("hot", LineUnit.KCAL, 157_800),
    ]
    assert [(m.serial, m.previous, m.current, m.measured) for m in metered.meters] == [
        ("SCW1", 100_000, 105_000, 5_000),
        ("SHW1", 50_000, 53_000, 3_000),
    ]
    assert [(line.code, line.quantity, line.estimated) for line in by_norm.lines] == [
        ("cold", 9_490, 9_490),
        ("drain", 15_870, 15_870),
        ("hot", 6_380, 6_380),
        ("hot", 335_588, 335_588),
    ]


def test_months_without_a_reading_of_water_are_set_off_by_the_next_one(database, tmp_path):
    house = House(database, tmp_path, COLD)
    house.read("CW1", date(2025, 6, 25), 0)
    house.read("CW1", date(2025, 12, 25), 18)
    volumes = [sum(line.quantity for line in house.lines(one).lines) for one in (JANUARY, FEBRUARY)]
    house.read("CW1", date(2026, 3, 25), 30)

    (march,) = house.lines(MARCH).lines

    assert volumes == [3_049, 2_754]
    assert march.quantity == 12_000 - sum(volumes)


def test_a_service_ends_and_another_takes_its_place_with_the_former_kept(database, tmp_path):
    house = House(database, tmp_path, WASTE)
    with database.writing() as session:
        end_service(session, EndOrder(SCOPE, "B1", "waste", date(2026, 1, 10)), START)

    (line,) = house.lines(JANUARY).lines
    with database.reading() as session:
        found = all_services_of(session, house_in_reach(session, SCOPE, "B1").id)

    assert (line.amount_minor, line.factor, line.divisor) == (76_46, 10, 310_000)
    assert [(one.valid_from, one.valid_until) for one in found] == [
        (date(2026, 1, 1), date(2026, 1, 10))
    ]


def test_the_owners_may_decide_otherwise_from_a_month_on(database, tmp_path):
    House(database, tmp_path, COMMON)
    order = AssignOrder(
        SCOPE, "B1", "common", date(2026, 2, 1), method=CommonAreaMethod.NORM, document="№ 3"
    )
    with database.writing() as session:
        assert assign_service(session, order, START)
        assert not assign_service(session, order, START)
        found = all_services_of(session, house_in_reach(session, SCOPE, "B1").id)

    assert [(one.valid_from, one.valid_until, one.method) for one in found] == [
        (date(2026, 1, 1), date(2026, 1, 31), CommonAreaMethod.ACTUAL),
        (date(2026, 2, 1), None, CommonAreaMethod.NORM),
    ]


def test_a_decision_told_of_late_settles_closed_months_again(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    house.month(JANUARY, house=25)
    house.town.close(2026, 1)
    late = FixedClock(local_midnight(date(2026, 2, 20), ZONE))
    order = AssignOrder(SCOPE, "B1", "common", date(2026, 1, 1), method=CommonAreaMethod.NORM)
    with database.writing() as session:
        assign_service(session, order, late)
    house.month(FEBRUARY, house=25)
    house.town.close(2026, 2)

    with database.reading() as session:
        account_id = house.town.accounts["P1"]
        (line,) = (
            line
            for line in billing_store.standing_lines(session, [account_id], JANUARY)[account_id]
            if line.service is Service.COMMON_ELECTRICITY
        )

    assert house.settled(JANUARY).method is CommonAreaMethod.NORM
    assert (line.quantity, line.amount_minor) == (10_000, 50_00)


def test_one_water_takes_the_place_of_another_for_its_days_only(sqlite_database, tmp_path):
    House(sqlite_database, tmp_path, COLD)
    other = COLD.replace("code: cold", "code: summer")
    with sqlite_database.writing() as session:
        publish_service(session, ServiceOrder(SCOPE, other), START)
        order = AssignOrder(SCOPE, "B1", "summer", date(2026, 6, 1), valid_until=date(2026, 8, 31))
        assign_service(session, order, START)
        found = all_services_of(session, house_in_reach(session, SCOPE, "B1").id)

    assert [(one.code, one.valid_from, one.valid_until) for one in found] == [
        ("cold", date(2026, 1, 1), date(2026, 5, 31)),
        ("cold", date(2026, 9, 1), None),
        ("summer", date(2026, 6, 1), date(2026, 8, 31)),
    ]


def test_the_last_day_there_is_can_be_named(sqlite_database, tmp_path):
    House(sqlite_database, tmp_path, WASTE)
    with sqlite_database.writing() as session:
        order = AssignOrder(SCOPE, "B1", "waste", date(2026, 2, 1), valid_until=date.max)
        assert assign_service(session, order, START)
        assert not end_service(session, EndOrder(SCOPE, "B1", "waste", date.max), START)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"service_code": "gas"}, "no prices of a service gas are published"),
        ({"valid_from": date(2026, 2, 2)}, "changes with a month, and 2026-02-02 is within one"),
        ({"valid_from": date(2020, 1, 1)}, "common has its first price on 2022-07-01 only"),
        ({"valid_until": date(2026, 1, 1)}, "the last day is before the first one"),
        ({"service_code": "waste"}, "only common-area electricity has a method of the owners"),
    ],
)
def test_an_assignment_is_refused_in_one_sentence(sqlite_database, tmp_path, changed, says):
    House(sqlite_database, tmp_path, COMMON, WASTE)
    order = {
        "service_code": "common",
        "valid_from": date(2026, 2, 1),
        "method": CommonAreaMethod.NORM,
    } | changed

    with sqlite_database.writing() as session, pytest.raises(Invalid, match=says):
        assign_service(session, AssignOrder(SCOPE, "B1", **order), START)


def test_only_staff_of_the_retailer_assign_and_strangers_see_no_house(sqlite_database, tmp_path):
    House(sqlite_database, tmp_path, WASTE)
    company = Scope(Role.COMPANY, "user:7", company_ids=frozenset({CompanyId(99)}))
    order = AssignOrder(company, "B1", "waste", date(2026, 2, 1))

    with sqlite_database.writing() as session:
        with pytest.raises(Forbidden):
            assign_service(session, order, START)
        with pytest.raises(Forbidden):
            publish_service(session, ServiceOrder(company, WASTE), START)
        with pytest.raises(NotFound):
            house_in_reach(session, company, "B1")


def test_prices_are_published_for_ever_and_replaced_by_a_revision(database, tmp_path):
    House(database, tmp_path, WASTE)
    dearer = WASTE.replace("118.52", "120.00")
    later = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))

    with database.writing() as session:
        assert not publish_service(session, ServiceOrder(SCOPE, WASTE), later).new
        with pytest.raises(ServiceExists):
            publish_service(session, ServiceOrder(SCOPE, dearer), later)
        with pytest.raises(Invalid, match="the code waste is that of another service"):
            publish_service(
                session, ServiceOrder(SCOPE, COLD.replace("code: cold", "code: waste")), later
            )
        assert publish_service(session, ServiceOrder(SCOPE, dearer, replaces=True), later).new

    with database.reading() as session:
        now = service_prices(session)["waste"][0]
        then = service_prices(session, known_at=datetime(2026, 2, 1, tzinfo=UTC))["waste"][0]
    assert (now.amounts[0].amount_scaled, then.amounts[0].amount_scaled) == (
        120_000_000,
        118_520_000,
    )


def test_the_flats_share_can_be_asked_for_by_others(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    house.month(JANUARY, house=25)
    house.settle(JANUARY)

    with database.reading() as session:
        accounts = billing_store.billed_accounts(
            session, list(house.town.accounts.values()), JANUARY
        )
        found = common_area_wh(session, accounts, JANUARY)

    assert sorted(found.values()) == [2_500, 2_500]
