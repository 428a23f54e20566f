"""Price series and peak hours as they are kept, on both databases."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.calendar import Month, intervals_in_day, local_day
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError, Forbidden, NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.db.session import Database
from tariffs.prices.prices import DayPrices
from tariffs.prices.service import (
    PeakHoursOrder,
    PricesOrder,
    SeriesOrder,
    begin_series,
    name_peak_hours,
    take_prices,
)
from tariffs.prices.store import (
    all_series,
    peak_hours,
    regulated_hours,
    revisions,
    series_by_code,
    series_for,
)

ZONE = ZoneInfo("Europe/Berlin")
SCOPE = system_scope("analyst")
OCTOBER = Month(2026, 10).period(ZONE)


def at(day: int) -> FixedClock:
    return FixedClock(datetime(2026, 11, day, 12, tzinfo=UTC))


def flat(day: date, price: int) -> DayPrices:
    count = intervals_in_day(day, ZONE, 60)
    return DayPrices(day, np.full(count, price, dtype=np.int64))


@pytest.fixture
def begun(database: Database) -> Database:
    with database.writing() as session:
        assert begin_series(session, SeriesOrder(SCOPE, "dam", "РСВ", ZONE), at(1))
    return database


def take(database: Database, days: list[DayPrices], clock: FixedClock):
    with database.writing() as session:
        return take_prices(session, PricesOrder(SCOPE, "dam", days, "test"), clock)


def test_the_days_of_a_month_are_one_series_whatever_the_clock(begun):
    days = [flat(day, number * 1000) for number, day in enumerate(Month(2026, 10).days)]
    assert len(take(begun, days, at(1)).new) == 31
    with begun.reading() as session:
        series = series_for(session, ["dam", "none"], OCTOBER)["dam"]
    assert (series.start, series.end) == (OCTOBER.start, OCTOBER.end)
    assert len(series.prices_scaled) == 31 * 24 + 1
    assert series.holes == ()
    last = local_day(date(2026, 10, 31), ZONE)
    assert series.prices_scaled[(last.start - series.start) // timedelta(hours=1)] == 30_000


def test_the_same_again_changes_nothing_and_others_are_the_next_revision(begun):
    day = date(2026, 10, 5)
    assert take(begun, [flat(day, 1)], at(1)).new == (day,)
    assert take(begun, [flat(day, 1)], at(2)).same == (day,)
    assert take(begun, [flat(day, 2)], at(3)).changed == (day,)
    assert take(begun, [flat(day, 1)], at(4)).changed == (day,)
    with begun.reading() as session:
        row = series_by_code(session, SCOPE, "dam")
        kept = revisions(session, row.id, day, day)
        assert [(one.revision, int(one.prices.prices_scaled[0])) for one in kept] == [
            (1, 1),
            (2, 2),
            (3, 1),
        ]
        assert (row.days, row.revised_days, row.first_day, row.last_day) == (1, 1, day, day)


def test_prices_are_read_as_they_were_known(begun):
    day = date(2026, 10, 5)
    take(begun, [flat(day, 1)], at(1))
    take(begun, [flat(day, 2)], at(3))
    with begun.reading() as session:
        before = series_for(session, ["dam"], local_day(day, ZONE), at(2).at)["dam"]
        now = series_for(session, ["dam"], local_day(day, ZONE))["dam"]
        assert series_for(session, ["dam"], local_day(day, ZONE), at(1).at - timedelta(1)) == {}
    assert (before.prices_scaled[0], before.revision) == (1, 1)
    assert (now.prices_scaled[0], now.revision) == (2, 2)
    assert before.digest != now.digest


def test_a_missing_day_is_a_hole_of_the_series(begun):
    days = [flat(day, 1) for day in Month(2026, 10).days if day.day not in (25, 31)]
    take(begun, days, at(1))
    with begun.reading() as session:
        series = series_for(session, ["dam"], OCTOBER)["dam"]
    assert series.holes == (local_day(date(2026, 10, 25), ZONE),)
    assert series.end == local_day(date(2026, 10, 31), ZONE).start


def test_a_part_of_a_day_asks_for_the_whole_day(begun):
    take(begun, [flat(day, 1) for day in Month(2026, 10).days], at(1))
    noon = datetime(2026, 10, 5, 10, tzinfo=UTC)
    with begun.reading() as session:
        series = series_for(session, ["dam"], Period(noon, noon + timedelta(hours=1)))["dam"]
    assert (series.start, series.end) == (
        local_day(date(2026, 10, 5), ZONE).start,
        local_day(date(2026, 10, 5), ZONE).end,
    )


def test_a_series_keeps_its_grid(begun):
    with begun.writing() as session:
        assert not begin_series(session, SeriesOrder(SCOPE, "dam", "РСВ", ZONE), at(2))
        with pytest.raises(DomainError, match="its grid never changes"):
            begin_series(session, SeriesOrder(SCOPE, "dam", "РСВ", ZONE, 30), at(2))
        for wrong in (
            SeriesOrder(SCOPE, "Dam!", "РСВ", ZONE),
            SeriesOrder(SCOPE, "other", " ", ZONE),
            SeriesOrder(SCOPE, "other", "РСВ", ZONE, 7),
        ):
            with pytest.raises(DomainError):
                begin_series(session, wrong, at(2))
        with pytest.raises(NotFound):
            take_prices(
                session, PricesOrder(SCOPE, "other", [flat(date(2026, 1, 1), 1)], ""), at(2)
            )


def test_peak_hours_of_a_month_are_stated_whole_and_the_former_ones_stay_known(database):
    hours = [datetime(2026, 10, day, 8, tzinfo=UTC) for day in (1, 2, 5)]
    september = datetime(2026, 9, 3, 8, tzinfo=UTC)

    def name(named, clock):
        with database.writing() as session:
            order = PeakHoursOrder(SCOPE, "ats", ZONE, named, "file")
            return name_peak_hours(session, order, clock)

    assert name([september, *hours], at(1)).named == 4
    assert name([september, *hours], at(2)).same == 4
    later = name([hours[0], hours[1] + timedelta(hours=1)], at(3))
    assert (later.named, later.withdrawn, later.same) == (1, 2, 1)
    with database.reading() as session:
        assert regulated_hours(session, ["ats", "none"], OCTOBER)["ats"] == (
            hours[0],
            hours[1] + timedelta(hours=1),
        )
        assert regulated_hours(session, ["ats"], OCTOBER, at(2).at)["ats"] == tuple(hours)
        first, *_ = peak_hours(session, SCOPE, "ats")
        assert first.starts_at == september


def test_only_who_publishes_tariffs_brings_prices(begun):
    operator = Scope(Role.OPERATOR, "operator", whole_retailer=True)
    resident = Scope(Role.RESIDENT, "resident")
    with begun.writing() as session:
        for refused in (
            lambda: begin_series(session, SeriesOrder(operator, "x", "X", ZONE), at(1)),
            lambda: take_prices(session, PricesOrder(operator, "dam", [], ""), at(1)),
            lambda: name_peak_hours(session, PeakHoursOrder(operator, "x", ZONE, [], ""), at(1)),
            lambda: all_series(session, resident),
            lambda: peak_hours(session, resident),
        ):
            with pytest.raises(Forbidden):
                refused()
        assert all_series(session, operator)[0].code == "dam"
