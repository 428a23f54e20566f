"""Estimated intervals: what stands in the gaps of a channel's month.

Pure: the values of one channel in, the values of its gaps out. A value that is known is never
touched; where two register readings enclose a gap, what is filled in comes to what they counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import Month, intervals_in_day, local_date
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from metering.estimation.methods import (
    EstimationMethod,
    MeasuredUse,
    Norm,
    OwnAverage,
    by_norm,
    like_days,
    own_average,
    share_by_weights,
    straight_line,
)
from metering.estimation.profiles import day_type, interval_starts, profile_weights
from metering.estimation.rules import EstimationRule

CONTEXT_DAYS: Final = 28
"""How many days before a month its like days are looked for in."""


@dataclass(frozen=True, slots=True)
class RegisterTotal:
    """What a meter's registers showed together at an instant, in Wh with the multiplier."""

    meter_id: int
    taken_at: datetime
    total_wh: int


@dataclass(frozen=True, slots=True, eq=False)
class ChannelMonth:
    """One channel around a month: its values from some weeks before it to a day after it."""

    month: Month
    zone: ZoneInfo
    interval_min: int
    first_day: date
    """The local day that the values begin with."""
    start: datetime
    energy_wh: npt.NDArray[np.integer[Any]]
    quality: npt.NDArray[np.uint8]
    fill: Period
    """The part of the month that is to be whole: an account may open or close in it."""
    registers: tuple[RegisterTotal, ...] = ()
    uses: tuple[MeasuredUse, ...] = ()
    """Whole months that were measured before."""
    norm: Norm | None = None
    persons: int = 0
    period_number: int = 1
    """Which billing period in a row it is that methods for whole periods stand in for."""

    def index(self, instant: datetime) -> int:
        """Return the place of the interval that starts at an instant, within the values."""
        place = (instant - self.start) // timedelta(minutes=self.interval_min)
        return min(max(place, 0), len(self.quality))

    def instant(self, place: int) -> datetime:
        """Return the instant at which the interval at a place starts."""
        return self.start + timedelta(minutes=self.interval_min) * place


@dataclass(frozen=True, slots=True)
class FilledGap:
    """A gap with the values that are to stand in it."""

    period: Period
    first: int
    values_wh: tuple[int, ...]
    method: EstimationMethod
    rule: str
    basis: Mapping[str, Any]

    @property
    def quantity_wh(self) -> int:
        """What the gap comes to."""
        return sum(self.values_wh)


def gaps_in(channel: ChannelMonth) -> tuple[tuple[int, int], ...]:
    """Return the places of the gaps to fill: first and last (exclusive) interval of each."""
    first, last = channel.index(channel.fill.start), channel.index(channel.fill.end)
    missing = channel.quality[first:last] == Quality.MISSING
    edges = np.flatnonzero(np.diff(missing.astype(np.int8), prepend=0, append=0))
    return tuple(
        (first + int(opens), first + int(closes))
        for opens, closes in zip(edges[::2], edges[1::2], strict=True)
    )


def fill_gaps(channel: ChannelMonth, rules: Sequence[EstimationRule]) -> tuple[FilledGap, ...]:
    """Return the gaps that a rule of the chain can fill, each by the first one that can."""
    filled = []
    for first, last in gaps_in(channel):
        total_wh = _enclosed_total(channel, first, last)
        for rule in rules:
            found = _fill(channel, first, last, rule, total_wh)
            if found is not None:
                filled.append(found)
                break
    return tuple(filled)


def _fill(
    channel: ChannelMonth, first: int, last: int, rule: EstimationRule, total_wh: int | None
) -> FilledGap | None:
    minutes = (last - first) * channel.interval_min
    if rule.hours_most and minutes > rule.hours_most * 60:
        return None
    if rule.days_most and minutes > rule.days_most * 24 * 60:
        return None
    method = _METHODS.get(rule.method)
    found = None if method is None else method(channel, first, last, rule, total_wh)
    if found is None:
        return None
    values, basis = found
    if total_wh is not None:
        values = share_by_weights(total_wh, values)
        basis = {**basis, "register_wh": total_wh}
    return FilledGap(
        period=Period(channel.instant(first), channel.instant(last)),
        first=first,
        values_wh=values,
        method=rule.method,
        rule=rule.code,
        basis={**basis, "article": rule.article, "certain": rule.certain},
    )


_Found = tuple[tuple[int, ...], dict[str, Any]]


def _interpolated(
    channel: ChannelMonth, first: int, last: int, rule: EstimationRule, total_wh: int | None
) -> _Found | None:
    del rule, total_wh
    if first == 0 or last >= len(channel.quality):
        return None
    if Quality.MISSING in (channel.quality[first - 1], channel.quality[last]):
        return None
    before, after = int(channel.energy_wh[first - 1]), int(channel.energy_wh[last])
    values = straight_line(before, after, last - first)
    return values, {"before_wh": before, "after_wh": after}


def _as_like_days(
    channel: ChannelMonth, first: int, last: int, rule: EstimationRule, total_wh: int | None
) -> _Found | None:
    del total_wh
    values: list[int] = []
    days: dict[str, list[str]] = {}
    place = first
    while place < last:
        day = local_date(channel.instant(place), channel.zone)
        day_first, day_last = _places_of(channel, day)
        until = min(last, day_last)
        part = slice(place - day_first, until - day_first)
        chosen = _like_days_of(channel, day, rule, day_last - day_first)
        mean = None
        for candidates in chosen:
            energy = np.array(
                [channel.energy_wh[at : at + day_last - day_first][part] for at, _ in candidates]
            )
            quality = np.array(
                [channel.quality[at : at + day_last - day_first][part] for at, _ in candidates]
            )
            known = (quality != Quality.MISSING) & (quality != Quality.ESTIMATED)
            if len(candidates):
                mean = like_days(energy, known, least=rule.days_least)
            if mean is not None:
                days[day.isoformat()] = [each.isoformat() for _, each in candidates]
                break
        if mean is None:
            return None
        values += mean
        place = until
    return tuple(values), {"like": days}


def _like_days_of(
    channel: ChannelMonth, day: date, rule: EstimationRule, intervals: int
) -> tuple[list[tuple[int, date]], list[tuple[int, date]]]:
    """Return the same weekdays of the weeks before, and all days that people live alike."""
    same_weekday: list[tuple[int, date]] = []
    same_type: list[tuple[int, date]] = []
    for back in range(1, 7 * rule.weeks + 1):
        earlier = day - timedelta(days=back)
        if earlier < channel.first_day or day_type(earlier) is not day_type(day):
            continue
        first, last = _places_of(channel, earlier)
        if last - first != intervals:
            continue  # a day of 23 or 25 hours has no like among the others
        same_type.append((first, earlier))
        if earlier.weekday() == day.weekday():
            same_weekday.append((first, earlier))
    return same_weekday, same_type


def _places_of(channel: ChannelMonth, day: date) -> tuple[int, int]:
    first = sum(
        intervals_in_day(channel.first_day + timedelta(days=n), channel.zone, channel.interval_min)
        for n in range((day - channel.first_day).days)
    )
    return first, first + intervals_in_day(day, channel.zone, channel.interval_min)


def _by_profile(
    channel: ChannelMonth, first: int, last: int, rule: EstimationRule, total_wh: int | None
) -> _Found | None:
    del rule
    if total_wh is None:
        return None  # a profile is a shape: without a measured total there is nothing to spread
    return _spread(channel, first, last, total_wh), {"profile": "h25"}


def _by_own_average(
    channel: ChannelMonth, first: int, last: int, rule: EstimationRule, total_wh: int | None
) -> _Found | None:
    del total_wh
    average = own_average(channel.uses, months=rule.months, least=rule.months_least)
    if average is None:
        return None
    whole = sum(_intervals_of(channel, Month.from_ordinal(month)) for month in average.months)
    quantity = half_up_ratio(average.measured * (last - first), whole)
    basis = average_basis(average) | {"period_number": channel.period_number}
    return _spread(channel, first, last, quantity), basis


def average_basis(average: OwnAverage) -> dict[str, Any]:
    """Return what an estimate by an own average was computed from."""
    return {
        "measured": average.measured,
        "months": len(average.months),
        "from": str(Month.from_ordinal(average.months[0])),
        "to": str(Month.from_ordinal(average.months[-1])),
    }


def _by_norm(
    channel: ChannelMonth, first: int, last: int, rule: EstimationRule, total_wh: int | None
) -> _Found | None:
    del total_wh
    norm = channel.norm
    if norm is None:
        return None
    quantity = by_norm(
        norm,
        channel.persons,
        multiplier_ppm=rule.multiplier_ppm,
        part=(last - first, _intervals_of(channel, channel.month)),
    )
    basis = norm_basis(norm, channel.persons, rule)
    return _spread(channel, first, last, quantity), basis | {"period_number": channel.period_number}


def norm_basis(norm: Norm, persons: int, rule: EstimationRule) -> dict[str, Any]:
    """Return what an estimate by norm was computed from."""
    return {
        "norm": norm.code,
        "norm_from": norm.valid_from.isoformat(),
        "norm_quantity": norm.quantity,
        "rooms": norm.rooms,
        "persons": max(1, persons),
        "multiplier_ppm": rule.multiplier_ppm,
    }


_METHODS: Final = {
    EstimationMethod.INTERPOLATION: _interpolated,
    EstimationMethod.LIKE_DAY: _as_like_days,
    EstimationMethod.STANDARD_PROFILE: _by_profile,
    EstimationMethod.OWN_AVERAGE: _by_own_average,
    EstimationMethod.NORM: _by_norm,
}


def spread_by_profile(
    quantity_wh: int, period: Period, interval_min: int, zone: ZoneInfo
) -> tuple[int, ...]:
    """Return a quantity spread over the intervals of a period by a standard profile."""
    count = period.length // timedelta(minutes=interval_min)
    starts = interval_starts(period.start, count, interval_min)
    return share_by_weights(quantity_wh, profile_weights(starts, zone))


def _spread(channel: ChannelMonth, first: int, last: int, quantity_wh: int) -> tuple[int, ...]:
    starts = interval_starts(channel.instant(first), last - first, channel.interval_min)
    return share_by_weights(quantity_wh, profile_weights(starts, channel.zone))


def _intervals_of(channel: ChannelMonth, month: Month) -> int:
    return month.period(channel.zone).length // timedelta(minutes=channel.interval_min)


def _enclosed_total(channel: ChannelMonth, first: int, last: int) -> int | None:
    """Return what a gap must come to by the register readings around it, if they tell."""
    opens, closes = channel.instant(first), channel.instant(last)
    before = max(
        (r for r in channel.registers if channel.start <= r.taken_at <= opens),
        key=lambda r: r.taken_at,
        default=None,
    )
    if before is None:
        return None
    after = min(
        (r for r in channel.registers if r.meter_id == before.meter_id and r.taken_at >= closes),
        key=lambda r: r.taken_at,
        default=None,
    )
    if after is None:
        return None
    reach = channel.index(before.taken_at), channel.index(after.taken_at)
    if (channel.instant(reach[0]), channel.instant(reach[1])) != (before.taken_at, after.taken_at):
        return None  # read within an interval: nobody knows how much of it was before
    missing = channel.quality[reach[0] : reach[1]] == Quality.MISSING
    if int(missing.sum()) != last - first:
        return None
    known_wh = int(channel.energy_wh[reach[0] : reach[1]][~missing].sum(dtype=np.int64))
    total_wh = after.total_wh - before.total_wh - known_wh
    return total_wh if total_wh >= 0 else None
