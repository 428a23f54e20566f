"""Energy and heat of the demo town: what its meters show on any day, from the seed alone.

The value of a day depends on the seed, the account and the day, so days may be asked for in any
pieces. Floats shape the load here and end as whole watt-hours; money never meets them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from kilokassa.demo.faults import counted_percent
from kilokassa.demo.households import draws
from kilokassa.demo.population import AccountPlan, BuildingPlan, TownPlan
from kilokassa.demo.profiles import HALF_HOURS, DayType, ProfileKind, load_profile
from kilokassa.demo.real import RealSeries, real_series

__all__ = [
    "EnergyDays",
    "RealSeries",
    "RegisterReadingPlan",
    "account_days",
    "day_matrix",
    "heat_of_day_kcal",
    "heat_readings",
    "readings_csv",
    "real_series",
    "register_readings",
    "used_in_house",
]

EnergyDays = npt.NDArray[np.int32]
"""Whole Wh by (account, day, half hour), or by (day, half hour) for one account."""

_ALWAYS_ON: Final = 0.12
"""Share of the average load that runs whether or not anyone is at home."""

_HOLIDAYS: Final = frozenset(
    {(1, day) for day in range(1, 9)} | {(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)}
)
"""Month and day of Russian public holidays (ТК РФ, article 112): they live like Sundays."""

_DAY_FROM, _DAY_TO = 14, 46
"""Half hours of the day zone, 7:00 to 23:00; the rest is night."""


def day_matrix(
    plan: TownPlan, first: date, last_exclusive: date
) -> tuple[tuple[AccountPlan, ...], EnergyDays]:
    """Return the accounts measured by half hours and their energy from `first` on.

    The array is whole Wh of shape (accounts, days, 48); its rows follow the accounts.
    """
    accounts = plan.matrix_accounts
    return accounts, _energy(plan, accounts, first, last_exclusive)


def account_days(
    plan: TownPlan, account: AccountPlan, first: date, last_exclusive: date
) -> EnergyDays:
    """Return what one account uses, of shape (days, 48), however its meter is read."""
    days: EnergyDays = _energy(plan, [account], first, last_exclusive)[0]
    return days


def used_in_house(
    plan: TownPlan, building_code: str, first: date, last_exclusive: date
) -> EnergyDays:
    """Return what all flats of a building truly use, whatever their meters show.

    Whole Wh of shape (days, 48).
    """
    accounts = [account for account in plan.accounts if account.building_code == building_code]
    energy = _energy(plan, accounts, first, last_exclusive, as_counted=False)
    total: EnergyDays = energy.sum(axis=0, dtype=np.int64).astype(np.int32)
    return total


@dataclass(frozen=True, slots=True)
class RegisterReadingPlan:
    """What the registers of one meter show at an instant, as a person reads them."""

    point_code: str
    meter_serial: str
    taken_at: datetime
    values: tuple[tuple[Zone, int], ...]
    """Whole Wh, or whole kcal for a heat meter, by zone."""
    quality: Quality


def register_readings(plan: TownPlan, account: AccountPlan) -> tuple[RegisterReadingPlan, ...]:
    """Return the readings of a hand-read two-zone meter, the opening one first.

    The resident reads it at noon on one of the days 23 to 25 of a month; where prices change, there
    is also a fixing reading at that midnight. A meter shows whole kWh: the rest is dropped.
    """
    energy = account_days(plan, account, plan.first_day, plan.today)
    day_wh = energy[:, _DAY_FROM:_DAY_TO]
    night_wh = np.concatenate([energy[:, :_DAY_FROM], energy[:, _DAY_TO:]], axis=1)
    opening_night = account.opening_register_wh * 2 // 5
    opening_day = account.opening_register_wh - opening_night
    readings = [
        _reading(plan, account, plan.first_day, 0, opening_day, opening_night, Quality.ACTUAL)
    ]
    for day in _reading_days(plan, account):
        at_half_hour = 0 if day.day == 1 else 24
        whole = (day - plan.first_day).days
        day_total = opening_day + int(day_wh[:whole].sum(dtype=np.int64))
        night_total = opening_night + int(night_wh[:whole].sum(dtype=np.int64))
        if at_half_hour:
            day_total += int(energy[whole, _DAY_FROM:at_half_hour].sum(dtype=np.int64))
            night_total += int(energy[whole, :_DAY_FROM].sum(dtype=np.int64))
        readings.append(
            _reading(
                plan,
                account,
                day,
                at_half_hour,
                day_total,
                night_total,
                Quality.ACTUAL if day.day == 1 else Quality.CUSTOMER_READ,
            )
        )
    return tuple(readings)


def heat_readings(plan: TownPlan, building: BuildingPlan) -> tuple[RegisterReadingPlan, ...]:
    """Return what the house heat meter shows at the first midnight of each month, in kcal."""
    if building.heat_meter is None:
        return ()
    total_kcal = 1_480_000_000
    readings = []
    for month in (plan.first_month, *(m.plus(1) for m in plan.closed_months)):
        readings.append(
            RegisterReadingPlan(
                point_code=building.heat_meter.point_code,
                meter_serial=building.heat_meter.serial,
                taken_at=local_midnight(month.first_day, plan.zone),
                values=((Zone.ALL, total_kcal - total_kcal % 1000),),
                quality=Quality.ACTUAL,
            )
        )
        total_kcal += sum(heat_of_day_kcal(plan, building, day) for day in month.days)
    return tuple(readings)


_MEAN_TEMPERATURE_C: Final = (-20, -16, -6, 4, 12, 18, 21, 19, 13, 5, -8, -18)
"""Rounded monthly means of a city on the Amur; illustrative, no norm and no measurement."""

_HEATING_BELOW_C: Final = 18
_KCAL_PER_M2_AND_DEGREE_DAY: Final = 31
_SEASON_FIRST: Final = (10, 8)
_SEASON_LAST: Final = (4, 30)


def heat_of_day_kcal(plan: TownPlan, building: BuildingPlan, day: date) -> int:
    """Return the heat a building takes on one day: by degrees below 18, in the season only."""
    if _SEASON_LAST < (day.month, day.day) < _SEASON_FIRST:
        return 0
    area_dm2 = sum(a.area_dm2 for a in plan.accounts if a.building_code == building.code)
    whim_c = int(draws(20, day.toordinal()).integers(-6, 7))
    degrees = max(1, _HEATING_BELOW_C - _mean_temperature_c(day) - whim_c)
    return degrees * _KCAL_PER_M2_AND_DEGREE_DAY * (area_dm2 + building.common_area_dm2) // 100


def readings_csv(plan: TownPlan, account: AccountPlan, first: date, last_exclusive: date) -> str:
    """Return an account's half hours as a readings file with the faults of a poor head-end.

    Long form: point, start of the interval, kWh. In each week a stretch of hours is missing, a row
    is sent twice and one is sent again with another value; once a month a whole day is missing.
    """
    lines = ["point;time;value"]
    energy = account_days(plan, account, first, last_exclusive)
    for row, day in enumerate(_days(first, last_exclusive)):
        lines += _faulty_day(plan, account, day, energy[row])
    return "\n".join(lines) + "\n"


def _faulty_day(
    plan: TownPlan, account: AccountPlan, day: date, energy_wh: EnergyDays
) -> list[str]:
    rng = draws(30, account.index, day.toordinal())
    if day.day == 9:
        return []
    start = local_midnight(day, plan.zone)
    lines = [
        _csv_line(account.point_code, start + timedelta(minutes=30 * i), int(wh), plan)
        for i, wh in enumerate(energy_wh)
    ]
    place = int(rng.integers(0, HALF_HOURS - 8))
    if day.weekday() == 2:
        del lines[place : place + 2 + int(rng.integers(0, 6))]
    elif day.weekday() == 4:
        lines.insert(place, lines[place])
    elif day.weekday() == 6:
        other_wh = int(energy_wh[place]) + 40
        lines.append(
            _csv_line(account.point_code, start + timedelta(minutes=30 * place), other_wh, plan)
        )
    return lines


def _csv_line(point: str, start: datetime, wh: int, plan: TownPlan) -> str:
    return f"{point};{start.astimezone(plan.zone).isoformat()};{wh // 1000}.{wh % 1000:03d}"


def _energy(
    plan: TownPlan,
    accounts: Sequence[AccountPlan],
    first: date,
    last_exclusive: date,
    *,
    as_counted: bool = True,
) -> EnergyDays:
    days = _days(first, last_exclusive)
    result = np.zeros((len(accounts), len(days), HALF_HOURS), np.int32)
    if not accounts or not days:
        return result
    rows = np.array([account.index for account in accounts])
    shapes = np.stack([_shape(account) for account in accounts])
    always_on = shapes.mean(axis=(1, 2, 3)) * _ALWAYS_ON
    drawn = max(len(plan.accounts), int(rows.max()) + 1)
    for place, day in enumerate(days):
        # One row of numbers for every account of the town: which of them are asked for, and in
        # what order, changes nothing.
        chances = draws(10, day.toordinal()).random((drawn, HALF_HOURS + 4))[rows]
        usual = shapes[:, day.month - 1, _day_type(day)]
        busy = -np.log1p(-chances[:, 4:])
        busy = 0.45 + 0.55 * (0.6 * busy + 0.4 * np.roll(busy, 1, axis=1))
        level = 0.55 + 0.9 * chances[:, :4].mean(axis=1)
        present = np.array([_presence(account, day) for account in accounts])
        active = usual * (1 - _ALWAYS_ON) * busy * (level * present)[:, None]
        result[:, place] = np.rint(active + always_on[:, None]).astype(np.int32)
        if as_counted:
            percent = np.array([counted_percent(plan, account, day) for account in accounts])
            result[:, place] = result[:, place] * percent[:, None] // 100
    return result


def _shape(account: AccountPlan) -> npt.NDArray[np.float64]:
    """Return the expected Wh of an account by (month, day type, half hour)."""
    habits = account.habits
    relative = _relative_profile(habits.kind)
    factor = np.ones(HALF_HOURS)
    factor[34:46] *= habits.evening_percent / 100
    factor[:14] *= habits.night_percent / 100
    factor[46:] *= habits.night_percent / 100
    shaped = np.roll(relative, habits.later_half_hours, axis=2) * factor
    average_wh = habits.month_kwh * 1000 * 12 / (365 * HALF_HOURS)
    expected_wh: npt.NDArray[np.float64] = shaped / shaped.mean() * average_wh
    return expected_wh


@cache
def _relative_profile(kind: ProfileKind) -> npt.NDArray[np.float64]:
    """Return the profile with a mean of 1 and, for homes, the long winter of the Far East."""
    profile = load_profile(kind).astype(np.float64)
    if kind is ProfileKind.HOUSEHOLD:
        months = np.arange(12)
        profile *= (1 + 0.14 * np.cos(2 * np.pi * months / 12))[:, None, None]
    relative: npt.NDArray[np.float64] = profile / profile.mean()
    return relative


def _presence(account: AccountPlan, day: date) -> float:
    """Return how much of the household is at home: 0 away, 1 as usual."""
    habits = account.habits
    day_of_year = day.timetuple().tm_yday
    if habits.holiday_starts and 0 <= day_of_year - habits.holiday_starts < 14:
        return 0.03
    if habits.empty_weekends and 5 <= day.month <= 9 and day.weekday() >= 5:
        return 0.05
    return 1.0


def _day_type(day: date) -> DayType:
    if day.weekday() == 6 or (day.month, day.day) in _HOLIDAYS:
        return DayType.HOLIDAY
    return DayType.SATURDAY if day.weekday() == 5 else DayType.WORKING_DAY


def _reading_days(plan: TownPlan, account: AccountPlan) -> tuple[date, ...]:
    """Return the days of a hand-read meter's readings that lie behind the plan's today."""
    months = (*plan.closed_months, Month.of(plan.today))
    by_hand = {
        date(m.year, m.number, 23 + int(draws(31, account.index, m.ordinal).integers(3)))
        for m in months
    }
    fixing = {plan.change_month.first_day}
    return tuple(sorted(day for day in by_hand | fixing if day < plan.today))


def _reading(
    plan: TownPlan,
    account: AccountPlan,
    day: date,
    at_half_hour: int,
    day_wh: int,
    night_wh: int,
    quality: Quality,
) -> RegisterReadingPlan:
    clock = time(at_half_hour // 2, 30 * (at_half_hour % 2))
    return RegisterReadingPlan(
        point_code=account.point_code,
        meter_serial=account.meter_serial,
        taken_at=datetime.combine(day, clock, tzinfo=plan.zone).astimezone(UTC),
        values=((Zone.DAY, day_wh - day_wh % 1000), (Zone.NIGHT, night_wh - night_wh % 1000)),
        quality=quality,
    )


def _mean_temperature_c(day: date) -> int:
    """Return the usual temperature, drawn straight from the middle of a month to the next."""
    step = 1 if day.day >= 15 else -1
    here = _MEAN_TEMPERATURE_C[day.month - 1]
    there = _MEAN_TEMPERATURE_C[(day.month - 1 + step) % 12]
    return here + (there - here) * abs(day.day - 15) // 30


def _days(first: date, last_exclusive: date) -> tuple[date, ...]:
    return tuple(first + timedelta(days=n) for n in range(max(0, (last_exclusive - first).days)))
