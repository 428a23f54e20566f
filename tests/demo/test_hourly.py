"""What the demo town chose beside the published plans, as its lines and documents show it."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.zones import Zone
from kilokassa.demo.hourly import choices, hourly_tariff, prices_of
from kilokassa.demo.microgeneration import household, micro_tariff
from kilokassa.demo.population import town
from kilokassa.demo.prices import demo_tariffs, offered_tariffs
from kilokassa.demo.town import ensure_demo
from tariffs.documents import parse_tariff

TODAY = date(2026, 11, 24)
CHANGE = Month(2026, 4)


def test_the_plans_of_a_household_say_whom_they_are_for():
    versions = [parse_tariff(one) for one in (*demo_tariffs(CHANGE), *offered_tariffs(CHANGE))]

    categories = Counter(version.category for version in versions)
    assert categories == {"urban_gas": 6, "reduced": 3}
    assert parse_tariff(hourly_tariff(date(2025, 11, 1))).category == "business"


def test_the_digital_plan_has_the_published_rates_of_three_zones_unchanged():
    published = next(
        version
        for version in map(parse_tariff, demo_tariffs(CHANGE))
        if version.plan_code == "three_zone"
    )
    digital = parse_tariff(offered_tariffs(CHANGE)[0])

    assert (digital.rates, digital.day_zones) == (published.rates, published.day_zones)
    assert digital.charges.guarantee is not None
    assert digital.charges.guarantee.plan_code == "single"
    assert published.zones == (Zone.PEAK, Zone.SEMI_PEAK, Zone.NIGHT)


def test_who_chose_is_decided_by_the_plan_of_the_town():
    chosen = choices(town(TODAY).accounts)

    assert Counter(choice.plan_code for choice in chosen) == {
        "digital": 3,
        "hourly": 1,
        "single_norm": 1,
        "single_veteran": 1,
    }
    assert len({choice.account.number for choice in chosen}) == len(chosen)


def test_who_has_panels_pays_the_published_rate_and_is_paid_for_what_is_given():
    published = demo_tariffs(CHANGE)
    reduced = next(text for text in published if text.startswith("plan: single_reduced"))

    version = parse_tariff(micro_tariff(published, date(2025, 11, 1)))

    assert version.rates == parse_tariff(reduced).rates
    assert version.category == "microgeneration"
    assert version.charges.export is not None
    assert household(town(TODAY)).number not in {
        c.account.number for c in choices(town(TODAY).accounts)
    }


def test_one_noon_of_a_month_costs_less_than_nothing():
    days = [day for day in Month(2026, 8).days if prices_of(day).min() < 0]

    assert days == [date(2026, 8, 9)]
    assert Decimal(int(prices_of(days[0]).min())).scaleb(-6) == Decimal("-0.25")


@pytest.mark.slow
def test_the_town_bills_its_new_plans_and_puts_a_revised_price_right(sqlite_database, tmp_path):
    clock = FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    ensure_demo(Application(settings, sqlite_database, clock))

    with sqlite_database.reading() as session:
        kinds = dict(
            session.execute(
                text(
                    "SELECT charge, count(*) FROM charge_line WHERE kind = 'original' "
                    "AND service = 'electricity' GROUP BY charge"
                )
            ).all()
        )
        reasons = session.scalars(
            text(
                "SELECT DISTINCT reason FROM charge_line "
                "WHERE line_key LIKE 'hourly:%' AND kind = 'correction'"
            )
        ).all()
        guaranteed = session.scalar(
            text("SELECT count(*) FROM document WHERE snapshot LIKE '%\"guaranteed\"%'")
        )
    assert {kind: kinds[kind] for kind in ("hourly", "fixed", "capacity", "tax", "export")} == {
        "export": 6,
        "hourly": 6,
        "fixed": 6,
        "capacity": 6,
        "tax": 6,
    }
    assert kinds["concession"] == 4 * 6
    assert kinds["guarantee"] > 0
    assert list(reasons) == ["prices"]
    assert guaranteed == 3 * 6
