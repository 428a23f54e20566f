"""What an account used, by zone, as charts: the days of a month and the months of a year."""

from collections.abc import Mapping, Sequence
from typing import Final

from babel.dates import get_month_names

from kilokassa.app.overview import usage_by_day, usage_by_month
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.text import Language, mark
from kilokassa.web.kit import ZONE_ORDER, Chart, Stack
from kilokassa.web.visit import Visit

MONTHS_SHOWN: Final = 12


def month_chart(here: Visit, account_id: AccountId, month: Month) -> Chart:
    """Return the days of a month by zone, from what was measured."""
    used = dict(usage_by_day(here.session, here.scope, account_id, month, here.now))
    days = month.days
    present = [zone for zone in ZONE_ORDER if any(zones.get(str(zone)) for zones in used.values())]
    return Chart(
        name="days",
        title=mark("Consumption by day and zone"),
        categories=tuple(str(day.day) for day in days),
        category_title=mark("Day"),
        stacks=tuple(
            Stack(zone, tuple(used.get(day, {}).get(str(zone), 0) for day in days))
            for zone in present
        ),
        empty=mark("There are no interval readings of this month."),
    )


def year_chart(here: Visit, account_id: AccountId, last: Month) -> Chart:
    """Return the last twelve months by zone: charged months, and the running one as measured."""
    by_month = dict(usage_by_month(here.session, here.scope, account_id, here.now, MONTHS_SHOWN))
    if last not in by_month:
        running: dict[str, int] = {}
        for _, zones in usage_by_day(here.session, here.scope, account_id, last, here.now):
            for zone, energy_wh in zones.items():
                running[zone] = running.get(zone, 0) + energy_wh
        by_month[last] = running
    months = [last.plus(n + 1 - MONTHS_SHOWN) for n in range(MONTHS_SHOWN)]
    return months_chart(months, by_month, here.language)


def months_chart(
    months: Sequence[Month], by_month: Mapping[Month, Mapping[str, int]], language: Language
) -> Chart:
    """Return months by zone as a chart."""
    present = [
        zone for zone in ZONE_ORDER if any(by_month.get(m, {}).get(str(zone)) for m in months)
    ]
    names = get_month_names("abbreviated", "stand-alone", locale=str(language))
    return Chart(
        name="months",
        title=mark("Consumption by month and zone"),
        categories=tuple(f"{names[m.number].rstrip('.')} {m.year % 100:02d}" for m in months),
        category_title=mark("Month"),
        stacks=tuple(
            Stack(zone, tuple(by_month.get(m, {}).get(str(zone), 0) for m in months))
            for zone in present
        ),
        empty=mark("Nothing was charged in these months."),
    )
