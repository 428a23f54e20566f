"""What an account used, by zone, as charts: the days of a month and the months of a year."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from babel.dates import get_month_names
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.models import Measurement
from kilokassa.core.calendar import Month, intervals_in_day
from kilokassa.core.ids import AccountId
from kilokassa.core.text import Language, mark
from kilokassa.core.zones import Zone
from kilokassa.web.kit import ZONE_ORDER, Chart, Stack
from metering import store as metering_store
from metering.days import IntervalMatrix
from metering.places import Commodity
from tariffs.rating import VersionInForce
from tariffs.store import versions_in_force
from tariffs.zone_calendar import zone_calendar

MONTHS_SHOWN: Final = 12
DayZonesWh = dict[Zone, tuple[int, ...]]


def month_chart(session: Session, account_id: AccountId, month: Month, language: Language) -> Chart:
    """Return the days of a month by zone, from what was measured; the account is in reach."""
    zones = days_by_zone(session, account_id, month)
    days = month.days
    return Chart(
        name="days",
        title=mark("Consumption by day and zone"),
        categories=tuple(str(day.day) for day in days),
        category_title=mark("Day"),
        stacks=_stacks(zones),
        empty=mark("There are no interval readings of this month."),
    )


def year_chart(
    session: Session,
    account_id: AccountId,
    last: Month,
    language: Language,
) -> Chart:
    """Return the last twelve months by zone: charged months, and the running one as measured."""
    first = last.plus(1 - MONTHS_SHOWN)
    months = [first.plus(n) for n in range(MONTHS_SHOWN)]
    charged = billing_store.consumption_by_month(session, [account_id], first, last)
    by_month: dict[Month, dict[str, int]] = {
        month: _by_zone(keys) for month, keys in charged.get(account_id, {}).items()
    }
    if last not in by_month:
        by_month[last] = {
            str(zone): sum(values)
            for zone, values in days_by_zone(session, account_id, last).items()
        }
    return months_chart(months, by_month, language)


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


def days_by_zone(session: Session, account_id: AccountId, month: Month) -> DayZonesWh:
    """Return the Wh of each local day of the month by the zones of the account's plan."""
    accounts = billing_store.billed_accounts(session, [account_id], month)
    if not accounts or accounts[0].measurement is not Measurement.INTERVALS:
        return {}
    return _days_of(session, accounts[0], month)


def _days_of(session: Session, account: BilledAccount, month: Month) -> DayZonesWh:
    sums: dict[Zone, npt.NDArray[np.int64]] = {}
    period = month.period(account.zone)
    versions = versions_in_force(session, [account.plan_id], period, account.zone)
    in_force = versions.get(account.plan_id, ())
    channels = metering_store.channels_of_premises(session, [account.premises_id])
    for channel in channels:
        if channel.commodity is not Commodity.ELECTRICITY:
            continue
        zone = ZoneInfo(channel.zone)
        matrix = metering_store.load_matrix(
            session, [channel.channel_id], month.days, zone, channel.interval_min
        )
        for tariff_zone, values in _matrix_days(matrix, in_force, month, zone).items():
            sums[tariff_zone] = sums.get(tariff_zone, np.zeros(len(values), np.int64)) + values
    return {zone: tuple(values.tolist()) for zone, values in sums.items() if values.any()}


def _matrix_days(
    matrix: IntervalMatrix, versions: Sequence[VersionInForce], month: Month, zone: ZoneInfo
) -> dict[Zone, npt.NDArray[Any]]:
    lengths = [intervals_in_day(day, zone, matrix.interval_min) for day in month.days]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    energy = matrix.energy_wh[0].astype(np.int64)
    step_s = matrix.interval_min * 60
    # Without a version in force, and outside of it, energy has no zone but still was used.
    zone_of = np.full(len(energy), list(Zone).index(Zone.ALL), np.int8)
    for period, version in versions:
        first = int((period.start - matrix.start).total_seconds()) // step_s
        count = int(period.length.total_seconds()) // step_s
        calendar = zone_calendar(version.day_zones, zone, period.start, count, matrix.interval_min)
        order = np.array([list(Zone).index(one) for one in version.zones], np.int8)
        zone_of[first : first + count] = order[calendar.zone_index]
    return {
        one: np.add.reduceat(np.where(zone_of == place, energy, 0), offsets)
        for place, one in enumerate(Zone)
    }


def _stacks(zones: DayZonesWh) -> tuple[Stack, ...]:
    return tuple(Stack(zone, zones[zone]) for zone in ZONE_ORDER if zone in zones)


def _by_zone(keys: Mapping[str, int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for key, quantity in keys.items():
        zone = key.split("/", 1)[0]
        sums[zone] = sums.get(zone, 0) + quantity
    return sums
