"""How long and how far a service fell short, by the rules of ПП 354, annex 1; no money is moved.

The rules are dated data (`rules/quality.yaml`), each with its source and how sure we are of it.
What this module counts is what a deduction is computed from: minutes beyond what is allowed, and
how many tenths of a degree they were beyond it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.period import Period
from metering.events.kinds import QualityEventKind
from metering.registry.places import Commodity

NIGHT: Final = (time(0), time(5))
"""Local hours in which a room or the water may be cooler: from 0:00 up to 5:00."""

PPM: Final = 1_000_000
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class OnceAllowed:
    """How long one break may last at so warm a room, or warmer; None: however cold."""

    from_tenths: int | None
    hours: int


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One item of annex 1; temperatures in tenths of a degree, shares in millionths an hour."""

    item: str
    valid_from: date
    commodity: Commodity
    kind: QualityEventKind
    share_ppm_an_hour: int
    """Millionths of the charge of the period for each hour beyond what is allowed."""
    source: str
    confidence: str
    month_allowed_h: int | None = None
    """Of breaks: hours a month in all; None where only each break has its limit."""
    once_allowed: tuple[OnceAllowed, ...] = ()
    """Of breaks: the warmest first."""
    required_tenths: int | None = None
    above_allowed_tenths: int = 0
    below_allowed_tenths: int = 0
    night_below_allowed_tenths: int = 0
    step_tenths: int | None = None
    """Of temperatures: the share is for each whole step of so many tenths."""
    unless_counted_by: str | None = None
    """The item that excludes this one while it holds: 14 and 15 exclude each other."""

    def once_h(self, measured_tenths: int | None) -> int:
        """Return how long one break may last; where nothing was measured, the longest time."""
        if measured_tenths is None:
            return self.once_allowed[0].hours
        return next(
            allowed.hours
            for allowed in self.once_allowed
            if allowed.from_tenths is None or measured_tenths >= allowed.from_tenths
        )


@dataclass(frozen=True, slots=True)
class QualityPeriod:
    """A period in which a service fell short, as a record gives it; half-open, in UTC."""

    commodity: Commodity
    kind: QualityEventKind
    period: Period
    measured_tenths: int | None = None
    """Tenths of a degree, or of a volt; of a break of heat: how warm the room still was."""
    required_tenths: int | None = None
    """What had to be, where the act says so; None: what the rule says for most premises."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """What one item of annex 1 counts in a local month."""

    rule: QualityRule
    lasted_min: int
    """Minutes of the month in which it was so, each counted once."""
    counted_min: int
    """Minutes of those beyond what is allowed."""
    tenth_degree_minutes: int = 0
    """Of temperatures: tenths of a degree beyond what is allowed, times the minutes, summed."""
    step_minutes: int = 0
    """Of temperatures: the same in whole steps, which the share is reckoned by."""

    @property
    def share_ppm(self) -> int:
        """Millionths of the charge of the period that the item would take off, at most all of it.

        Rounded down: what is short of a millionth is nobody's.
        """
        minutes = self.counted_min if self.rule.step_tenths is None else self.step_minutes
        return min(PPM, minutes * self.rule.share_ppm_an_hour // 60)


@cache
def quality_rules() -> tuple[QualityRule, ...]:
    """Return the packaged rules."""
    text = (files("metering") / "rules" / "quality.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    return tuple(_rule(fields, document["valid_from"]) for fields in document["rules"])


def _rule(fields: dict[str, Any], valid_from: date) -> QualityRule:
    once = tuple(OnceAllowed(**allowed) for allowed in fields.pop("once_allowed", ()))
    return QualityRule(
        commodity=Commodity(fields.pop("commodity")),
        kind=QualityEventKind(fields.pop("kind")),
        valid_from=fields.pop("valid_from", valid_from),
        once_allowed=once,
        **fields,
    )


def deviation(
    periods: Iterable[QualityPeriod],
    month: Month,
    zone: ZoneInfo,
    rules: Sequence[QualityRule] | None = None,
) -> tuple[Deviation, ...]:
    """Return what each item of annex 1 counts in the local month, for one house or premises.

    Periods that overlap are counted once, by the one that is further from what is required. A
    break may use up its own allowance and, with the others of its month, that of the month; what
    neither covers is counted. While a break of heat lasts, the room's temperature counts nothing.
    """
    of_month = month.period(zone)
    known = list(periods)
    chosen = [
        rule
        for rule in (quality_rules() if rules is None else rules)
        if rule.valid_from <= month.first_day
    ]
    found = []
    for rule in chosen:
        own = [p for p in known if (p.commodity, p.kind) == (rule.commodity, rule.kind)]
        if not any(p.period.intersect(of_month) for p in own):
            continue
        if rule.once_allowed:
            found.append(_breaks(rule, own, of_month))
            continue
        excluding = [r for r in chosen if r.item == rule.unless_counted_by]
        without = [
            p.period
            for r in excluding
            for p in known
            if (p.commodity, p.kind) == (r.commodity, r.kind)
        ]
        if rule.step_tenths is None:
            lasted = sum(_minutes(part) for part in _joined([p.period for p in own], of_month))
            found.append(Deviation(rule, lasted, lasted))
        else:
            found.append(_temperature(rule, own, without, of_month, zone))
    return tuple(found)


def _breaks(rule: QualityRule, own: Sequence[QualityPeriod], of_month: Period) -> Deviation:
    """Count breaks in order of time: each first uses what it may once, then what the month has."""
    month_left = None if rule.month_allowed_h is None else rule.month_allowed_h * 60
    lasted = counted = 0
    for whole, measured in _joined_breaks(own):
        part = whole.intersect(of_month)
        if part is None:
            continue
        minutes = _minutes(part)
        before = _minutes(Period(whole.start, part.start))
        allowed = max(0, min(minutes, rule.once_h(measured) * 60 - before))
        if month_left is not None:
            allowed = min(allowed, month_left)
            month_left -= allowed
        lasted += minutes
        counted += minutes - allowed
    return Deviation(rule, lasted, counted)


def _joined_breaks(own: Sequence[QualityPeriod]) -> list[tuple[Period, int | None]]:
    """Return breaks without their overlaps, each with the coldest that was measured in it."""
    joined: list[tuple[Period, int | None]] = []
    for one in sorted(own, key=lambda one: one.period):
        if joined and one.period.start <= joined[-1][0].end:
            last, measured = joined[-1]
            known = [t for t in (measured, one.measured_tenths) if t is not None]
            whole = Period(last.start, max(last.end, one.period.end))
            joined[-1] = (whole, min(known, default=None))
        else:
            joined.append((one.period, one.measured_tenths))
    return joined


def _temperature(
    rule: QualityRule,
    own: Sequence[QualityPeriod],
    without: Sequence[Period],
    of_month: Period,
    zone: ZoneInfo,
) -> Deviation:
    """Cut the month at every edge and count each piece by the period that is furthest off in it."""
    assert rule.step_tenths is not None
    parts = _joined([p.period for p in own], of_month)
    edges = {edge for p in own for edge in (p.period.start, p.period.end)}
    edges |= {edge for p in without for edge in (p.start, p.end)} | _nights(of_month, zone)
    lasted = counted = tenth_minutes = step_minutes = 0
    for part in parts:
        for piece in part.split(edges):
            minutes = _minutes(piece)
            lasted += minutes
            if any(piece.start in other for other in without):
                continue
            night = piece.start.astimezone(zone).time() < NIGHT[1]
            beyond = max(
                (_beyond(rule, p, night=night) for p in own if piece.start in p.period), default=0
            )
            if beyond > 0:
                counted += minutes
                tenth_minutes += beyond * minutes
                step_minutes += beyond // rule.step_tenths * minutes
    return Deviation(rule, lasted, counted, tenth_minutes, step_minutes)


def _beyond(rule: QualityRule, one: QualityPeriod, *, night: bool) -> int:
    """Return by how many tenths a measured temperature is beyond what is allowed; 0 if within."""
    if one.measured_tenths is None:
        return 0
    required = one.required_tenths if one.required_tenths is not None else rule.required_tenths
    assert required is not None, rule
    below = rule.night_below_allowed_tenths if night else rule.below_allowed_tenths
    return max(
        0,
        required - below - one.measured_tenths,
        one.measured_tenths - required - rule.above_allowed_tenths,
    )


def _nights(of_month: Period, zone: ZoneInfo) -> set[datetime]:
    """Return the instants at which a local night begins or ends."""
    edges = set()
    day = local_date(of_month.start, zone)
    while local_midnight(day, zone) < of_month.end:
        edges.add(local_midnight(day, zone))
        morning = datetime.combine(day, NIGHT[1], tzinfo=zone)
        edges.add(morning.astimezone(of_month.start.tzinfo))
        day += timedelta(days=1)
    return edges


def _joined(periods: Iterable[Period], within: Period) -> list[Period]:
    """Return what the periods cover of `within`, in order and without overlaps."""
    joined: list[Period] = []
    for one in sorted(filter(None, (p.intersect(within) for p in periods))):
        if joined and one.start <= joined[-1].end:
            joined[-1] = Period(joined[-1].start, max(joined[-1].end, one.end))
        else:
            joined.append(one)
    assert all(a.end < b.start for a, b in pairwise(joined))
    return joined


def _minutes(period: Period) -> int:
    return period.length // _MINUTE


def overlapping(one: QualityPeriod, others: Iterable[tuple[int, QualityPeriod]]) -> tuple[int, ...]:
    """Return the ids of the periods of the same service and kind that share an instant with one."""
    return tuple(
        other_id
        for other_id, other in others
        if (other.commodity, other.kind) == (one.commodity, one.kind)
        and other.period.intersect(one.period)
    )
