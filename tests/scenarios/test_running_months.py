"""What is taken day by day ends in the kopeck of the close, whatever else a plan charges."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import store as billing_store
from billing.models import Settlement
from billing.month.service import rate_month
from kilokassa.app.closing import close_month
from kilokassa.app.running import rate_running_months
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.db.session import Database
from tests.scenarios.by_hand_town import SCOPE, ZONE
from tests.scenarios.plans_town import TWO_ZONES, PlansTown
from tests.scenarios.test_changing_months import ZONES, kopecks, plan
from wallet import store as wallet_store

OCTOBER = Month(2026, 10)

DIGITAL = plan(
    "digital",
    """
fixed:
  - {code: link, name: {ru: Связь}, per: day, amounts: [{from: 2017-01-01, amount: 1.333333}]}
  - {code: upkeep, name: {ru: Услуги}, per: month, amounts: [{from: 2017-01-01, amount: 100}]}
minimum: [{from: 2017-01-01, amount: 600}]
allowance:
  kwh_per_day: 2
  unused: carries
  credit_per_kwh: [{from: 2017-01-01, amount: 1.11}]
concessions:
  - code: digital
    name: {ru: Скидка}
    who: everyone
    base: energy
    percents: [{from: 2017-01-01, percent: 3}]
guarantee: {never_dearer_than: two_zone}
""",
    ZONES,
    (("2017-01-01", "{day: 6.11, night: 2.07}"),),
)

LOADS = st.lists(st.integers(0, 2500), min_size=31, max_size=31)


@pytest.fixture
def sqlite_towns(tmp_path, sqlite_template):
    """Return a maker of fresh towns, one an example."""
    numbers = count()

    def make():
        folder = tmp_path / f"town-{next(numbers)}"
        folder.mkdir()
        file = folder / "kilokassa.sqlite"
        file.write_bytes(sqlite_template.read_bytes())
        return prepaid_town(Database(f"sqlite:///{file}"), folder)

    return make


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(loads=LOADS, paused=st.sets(st.integers(1, 30), max_size=25))
def test_days_taken_one_by_one_come_to_the_close(sqlite_towns, loads, paused):
    town = sqlite_towns()
    for number, wh in enumerate(loads):
        day = OCTOBER.days[number]
        town.uses(day, day + timedelta(days=1), wh, at=local_midnight(day, ZONE))
    for number in range(2, 32):
        if number not in paused:
            at = local_midnight(date(2026, 10, number), ZONE) + timedelta(hours=6)
            rate_running_months(town.application(at))

    close_month(town.application(closing_at()), OCTOBER, scope=SCOPE, tell=False)

    with town.database.reading() as session:
        accounts = billing_store.billed_accounts(session, [town.account], OCTOBER)
        right = rate_month(session, accounts, OCTOBER).charges[town.account].lines
    assert taken_minor(town) == sum(line.amount_minor for line in right)
    assert sum(line.amount_minor for line in right) >= 0


def test_a_day_that_costs_less_than_nothing_gives_value_back(database, tmp_path):
    town = prepaid_town(database, tmp_path)
    town.uses(date(2026, 10, 1), date(2026, 10, 2), 5000)
    rate_running_months(town.application(local_midnight(date(2026, 10, 2), ZONE)))
    before = taken_minor(town)
    town.uses(date(2026, 10, 2), date(2026, 10, 12), 0)

    rate_running_months(town.application(local_midnight(date(2026, 10, 12), ZONE)))

    # Ten more days' allowance, 20 kWh at 1.11, stands against what ten days cost without any use.
    def standing(days):
        return kopecks(
            days * Decimal("1.333333"), Decimal(100) * days / 31, -days * Decimal("2.22")
        )

    assert taken_minor(town) - before == standing(11) - standing(1)


def closing_at():
    return local_midnight(date(2026, 11, 3), ZONE)


def prepaid_town(database, folder):
    town = PlansTown(database, folder, TWO_ZONES, DIGITAL)
    town.has_plan("digital", date(2026, 10, 1), settlement=Settlement.PREPAID)
    return town


def taken_minor(town):
    """Return what has left the wallet, by its posted balance."""
    with town.database.reading() as session:
        balances = wallet_store.balances(session, [town.account], closing_at())
    return -balances[town.account].posted_minor
