"""Which register readings count: those taken while the meter's verification (поверка) held."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from metering.registers import RegisterReading

_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification of a meter: from the day it was done on, through `valid_until`."""

    done_on: date
    valid_until: date


def trusted_spans(
    verified_until: date | None, verifications: Iterable[Verification], zone: ZoneInfo
) -> tuple[Period, ...]:
    """Return the spans, in order, in which what a meter shows is taken for what was used.

    `verified_until` is the last day that is known to be covered; None where nobody told, and then
    the meter is believed. Before its first known verification a meter is believed: it was installed
    as a verified one. A verification done too late opens a span of its own, and what the meter
    counted in between is not charged by it.
    """
    if verified_until is None:
        return (Period(*_EVER),)
    spans: list[tuple[datetime, datetime]] = []
    for one in sorted(verifications, key=lambda one: one.done_on):
        ends = local_midnight(one.valid_until + timedelta(days=1), zone)
        begins = local_midnight(one.done_on, zone) if spans else _EVER[0]
        if spans and begins <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(ends, spans[-1][1]))
        else:
            spans.append((begins, ends))
    last = local_midnight(verified_until + timedelta(days=1), zone)
    if not spans:
        return (Period(_EVER[0], last),)
    spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
    return tuple(Period(*span) for span in spans)


def untrusted(spans: Sequence[Period], period: Period) -> tuple[tuple[Period, datetime], ...]:
    """Return the parts of a period in which no verification held, each with when it ran out."""
    found = []
    for number, span in enumerate(spans):
        following = spans[number + 1].start if number + 1 < len(spans) else _EVER[1]
        if span.end >= following:
            continue
        part = Period(span.end, following).intersect(period)
        if part is not None:
            found.append((part, span.end))
    return tuple(found)


def trusted_series(
    readings: Sequence[RegisterReading], spans: Sequence[Period]
) -> tuple[tuple[RegisterReading, ...], ...]:
    """Return the readings that count, one series a span.

    What was read counts within its span alone, its last midnight included; an estimate belongs to
    the span that was the last to begin before it.
    """
    series: list[list[RegisterReading]] = [[] for _ in spans]
    for reading in readings:
        if reading.quality is Quality.ESTIMATED:
            series[span_of_estimate(spans, reading.taken_at)].append(reading)
            continue
        begun = [number for number, span in enumerate(spans) if span.start <= reading.taken_at]
        if begun and reading.taken_at <= spans[begun[-1]].end:
            series[begun[-1]].append(reading)
    return tuple(tuple(part) for part in series)


def span_of_estimate(spans: Sequence[Period], ends_at: datetime) -> int:
    """Return the number of the span that an estimate up to an instant belongs to."""
    return max((number for number, span in enumerate(spans) if span.start < ends_at), default=0)
