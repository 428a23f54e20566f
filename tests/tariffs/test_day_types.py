from datetime import date, timedelta

import pytest

from tariffs.day_types import DayType, HolidayCalendar

RUSSIA = HolidayCalendar("russia")


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2026-11-04", "holiday"),  # a Wednesday
        ("2026-11-02", "working"),  # a Monday
        ("2025-11-01", "working"),  # a Saturday, worked for Monday the 3rd
        ("2025-11-03", "holiday"),
        ("2024-04-27", "working"),
        ("2024-12-28", "working"),
        ("2026-01-09", "holiday"),  # moved from Saturday 3 January
        ("2026-01-10", "weekend"),
        ("2026-03-09", "holiday"),  # the Monday after a Sunday holiday
        ("2026-12-31", "holiday"),
        ("2022-03-05", "working"),
        ("2022-11-04", "holiday"),
        ("2022-12-31", "weekend"),
    ],
)
def test_a_day_has_the_type_that_the_decree_gives_it(day, kind):
    assert RUSSIA.type_of(date.fromisoformat(day)) == kind


@pytest.mark.parametrize(
    ("year", "working_days"), [(2022, 247), (2023, 247), (2024, 248), (2025, 247), (2026, 247)]
)
def test_a_year_has_the_working_days_of_the_production_calendar(year, working_days):
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]

    working = [d for d in days if d.year == year and RUSSIA.type_of(d) is DayType.WORKING]

    assert len(working) == working_days


def test_a_document_overrules_the_calendar_in_both_directions():
    overruled = HolidayCalendar(
        "russia",
        (
            (date(2026, 11, 4), DayType.WORKING),
            (date(2026, 11, 2), DayType.HOLIDAY),
        ),
    )

    assert overruled.type_of(date(2026, 11, 4)) is DayType.WORKING
    assert overruled.type_of(date(2026, 11, 2)) is DayType.HOLIDAY
    assert overruled.type_of(date(2026, 11, 3)) is RUSSIA.type_of(date(2026, 11, 3))


def test_without_a_named_calendar_only_the_week_counts():
    assert HolidayCalendar().type_of(date(2026, 11, 4)) is DayType.WORKING
    assert HolidayCalendar().type_of(date(2026, 11, 7)) is DayType.WEEKEND
    with pytest.raises(ValueError, match="no calendar"):
        HolidayCalendar("atlantis")
