"""Readings by hand: when they are taken in, what a typed number means, and how likely it is.

Pure calculation: the windows of a month, the text of a reading, the judgement of a value against
what the register showed before, what is usual, and what its connection lets through.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.findings.finding import Finding, FindingKind
from metering.registers import (
    ESTIMATES,
    UNIT_OF,
    RegisterReading,
    counted,
    counted_between,
    modulus,
)
from metering.registry.places import Commodity

HISTORY: Final = timedelta(days=400)
"""How far back use is looked at to say what is usual: a year and the month before."""

HISTORY_LEAST: Final = timedelta(days=14)
"""A shorter history says nothing about what is usual."""

USUAL_TIMES: Final = 3
"""So many times the usual use is far above it. Our own choice, stated in the reference."""

EXCESS_LEAST: Final[Mapping[Commodity, int]] = {
    Commodity.ELECTRICITY: 50_000,
    Commodity.HEAT: 500_000,
    Commodity.HOT_WATER: 3_000,
    Commodity.COLD_WATER: 3_000,
}
"""A smaller excess, in Wh, kcal or litres, is never far above the usual: guests came to stay."""

UNITS: Final[Mapping[Commodity, str]] = {
    Commodity.ELECTRICITY: mark("kWh"),
    Commodity.HEAT: mark("Gcal"),
    Commodity.HOT_WATER: mark("m³"),
    Commodity.COLD_WATER: mark("m³"),
}
"""The unit that the dial of a meter counts in."""

REMIND_DAYS_MAX: Final = 20
NOTE_LONGEST: Final = 500


# --- the window ---


@dataclass(frozen=True, slots=True)
class WindowRule:
    """On which days of a month residents submit readings, from the month of `valid_from` on.

    `building_id` is None for every house without a rule of its own.
    """

    valid_from: date
    first_day: int
    last_day: int
    remind_days_before: int = 2
    building_id: int | None = None
    source: str = ""
    confidence: str = "setting"
    """`setting` where the operator set it; else how surely the packaged rule is known."""

    def __post_init__(self) -> None:
        if not 1 <= self.first_day <= self.last_day <= 31:
            raise Invalid(
                where=mark("reading window"),
                problem=mark("the days run from 1 to 31, the first not after the last"),
            )
        if not 0 <= self.remind_days_before <= REMIND_DAYS_MAX:
            raise Invalid(
                where=mark("reading window"),
                problem=mark("a reminder goes out 0 to 20 days before the last day"),
            )

    def in_month(self, month: Month) -> "ReadingWindow":
        """Return the window of a month; days that it does not have end with its last one."""
        last = month.days[-1].day
        closes_on = month.first_day.replace(day=min(self.last_day, last))
        opens_on = month.first_day.replace(day=min(self.first_day, last))
        return ReadingWindow(
            month, opens_on, closes_on, closes_on - timedelta(days=self.remind_days_before), self
        )


@dataclass(frozen=True, slots=True)
class ReadingWindow:
    """The window of one month: local days, the first and the last included."""

    month: Month
    opens_on: date
    closes_on: date
    remind_on: date
    rule: WindowRule

    def __contains__(self, day: date) -> bool:
        return self.opens_on <= day <= self.closes_on

    def period(self, zone: ZoneInfo) -> Period:
        """Return the window as instants."""
        return Period(
            local_midnight(self.opens_on, zone),
            local_midnight(self.closes_on + timedelta(days=1), zone),
        )


@dataclass(frozen=True, slots=True)
class WindowState:
    """How the window stands on a day: the one that is open, or the one that opens next."""

    day: date
    window: ReadingWindow

    @property
    def is_open(self) -> bool:
        """Say whether readings of this month are being taken in."""
        return self.day in self.window

    @property
    def days_left(self) -> int:
        """Return how many days the open window still has, today included."""
        return (self.window.closes_on - self.day).days + 1 if self.is_open else 0


@cache
def packaged_rules() -> tuple[WindowRule, ...]:
    """Return the rules shipped with the product, for an installation that set none of its own."""
    text = (files("metering") / "rules" / "reading_window.yaml").read_text(encoding="utf-8")
    return tuple(
        WindowRule(
            valid_from=one["valid_from"],
            first_day=one["first_day"],
            last_day=one["last_day"],
            remind_days_before=one["remind_days_before"],
            source=one["source"],
            confidence=one["confidence"],
        )
        for one in yaml.safe_load(text)["rules"]
    )


def rule_of(rules: Iterable[WindowRule], building_id: int | None, month: Month) -> WindowRule:
    """Return the rule of a house in a month: its own, else the one of all, else the packaged one.

    Of several that hold the one of the latest date counts; of the same date, the later in order.
    """
    given = [rule for rule in rules if Month.of(rule.valid_from).ordinal <= month.ordinal]
    for wanted in (building_id, None):
        own = [rule for rule in given if rule.building_id == wanted]
        if own:
            return max(enumerate(own), key=lambda pair: (pair[1].valid_from, pair[0]))[1]
    return max(packaged_rules(), key=lambda rule: rule.valid_from)


def window_state(rules: Sequence[WindowRule], building_id: int | None, day: date) -> WindowState:
    """Return the window that is open on `day`, or the next to open."""
    month = Month.of(day)
    window = rule_of(rules, building_id, month).in_month(month)
    if day > window.closes_on:
        following = month.plus(1)
        window = rule_of(rules, building_id, following).in_month(following)
    return WindowState(day, window)


# --- what a person types ---

_TYPED = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{0,6}))?")


def parse_reading(text: str, commodity: Commodity, *, where: str = mark("reading")) -> int:
    """Read what a dial shows, such as `12345` or `12345,6`, as whole Wh, kcal or litres.

    Digits finer than the unit at rest are refused, never rounded; spaces are passed over.

    >>> parse_reading("12 345,6", Commodity.ELECTRICITY), parse_reading("87.5", Commodity.HOT_WATER)
    (12345600, 87500)
    """
    found = _TYPED.fullmatch("".join(text.split()))
    if found is None:
        raise Invalid(
            where=where,
            problem=mark("%(text)s is not what a meter shows: digits, and a decimal mark at most"),
            text=repr(text[:40]),
        )
    whole, fraction = found[1], found[2] or ""
    value = Decimal(f"{whole}.{fraction or '0'}") * UNIT_OF[commodity]
    if value != value.to_integral_value():
        raise Invalid(
            where=where,
            problem=mark("%(text)s has more decimals than are kept"),
            text=repr(text[:40]),
        )
    return int(value)


def shown(value: int, commodity: Commodity) -> Decimal:
    """Return a total as the dial shows it, in kWh, Gcal or cubic metres, exactly."""
    return (Decimal(value) / UNIT_OF[commodity]).normalize() + Decimal(0)


# --- how likely a reading is ---


class Verdict(StrEnum):
    """What becomes of a reading that a person gives."""

    OK = "ok"
    WARN = "warn"
    """Implausible: taken when whoever gives it confirms it."""
    REFUSED = "refused"


class RemarkKind(StrEnum):
    """What is noticed about a reading; the order is that in which they are told."""

    TOO_LARGE = "too_large"
    LESS_THAN_BEFORE = "less_than_before"
    MORE_THAN_AFTER = "more_than_after"
    ROLLED_OVER = "rolled_over"
    OVER_CAPACITY = "over_capacity"
    FAR_ABOVE_USUAL = "far_above_usual"
    UNCHANGED = "unchanged"


VERDICTS: Final[Mapping[RemarkKind, Verdict]] = {
    RemarkKind.TOO_LARGE: Verdict.REFUSED,
    RemarkKind.LESS_THAN_BEFORE: Verdict.REFUSED,
    RemarkKind.MORE_THAN_AFTER: Verdict.REFUSED,
    RemarkKind.ROLLED_OVER: Verdict.WARN,
    RemarkKind.OVER_CAPACITY: Verdict.WARN,
    RemarkKind.FAR_ABOVE_USUAL: Verdict.WARN,
    RemarkKind.UNCHANGED: Verdict.OK,
}

REMARKS: Final[Mapping[RemarkKind, str]] = {
    RemarkKind.TOO_LARGE: mark(
        "The meter shows at most %(digits)s digits before the decimal mark. Leave out the last "
        "ones, which are often framed in red."
    ),
    RemarkKind.LESS_THAN_BEFORE: mark(
        "This is less than %(before)s, read on %(day)s. Check the digits."
    ),
    RemarkKind.MORE_THAN_AFTER: mark(
        "This is more than %(after)s, read later, on %(day)s. Check the digits and the day."
    ),
    RemarkKind.ROLLED_OVER: mark(
        "This is less than %(before)s: did the dial pass through its nines and start from zero?"
    ),
    RemarkKind.OVER_CAPACITY: mark(
        "%(used)s %(unit)s since %(day)s is more than a connection of %(capacity)s kW lets through."
    ),
    RemarkKind.FAR_ABOVE_USUAL: mark(
        "%(used)s %(unit)s since %(day)s, where about %(usual)s %(unit)s is usual. "
        "Check the digits."
    ),
    RemarkKind.UNCHANGED: mark("The same as on %(day)s: nothing was used."),
}

FINDINGS_OF: Final[Mapping[RemarkKind, FindingKind]] = {
    RemarkKind.ROLLED_OVER: FindingKind.REGISTER_ROLLOVER,
    RemarkKind.OVER_CAPACITY: FindingKind.OVER_CAPACITY,
    RemarkKind.FAR_ABOVE_USUAL: FindingKind.SPIKE,
}
"""What is kept, open, of a reading that was confirmed in spite of a remark."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing noticed about a reading; `values` fills its template."""

    kind: RemarkKind
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Return what the remark means for the reading."""
        return VERDICTS[self.kind]

    def sentence(
        self, translate: Callable[[str], str] = str, text: Callable[[Any], str] = str
    ) -> str:
        """Return the remark in the reader's language; `text` shows a number, a date or a unit."""
        return translate(REMARKS[self.kind]) % {
            name: translate(value) if isinstance(value, str) else text(value)
            for name, value in self.values.items()
        }


@dataclass(frozen=True, slots=True)
class RegisterState:
    """What is known of a register before a reading is given: all that judging one needs."""

    commodity: Commodity
    digits: int
    zone: ZoneInfo
    """In which a day is a day."""
    known: tuple[RegisterReading, ...] = ()
    """The latest revision of each of its readings, in order of time."""
    usual_per_day: int | None = None
    """Wh, kcal or litres a day; None where too little is known."""
    capacity_w: int | None = None

    def before(self, at: datetime) -> RegisterReading | None:
        """Return the last reading before `at` that somebody took; an estimate is none."""
        earlier = [r for r in self.known if r.taken_at < at and r.quality not in ESTIMATES]
        return earlier[-1] if earlier else None

    def after(self, at: datetime) -> RegisterReading | None:
        """Return the first reading after `at` that somebody took."""
        later = [r for r in self.known if r.taken_at > at and r.quality not in ESTIMATES]
        return later[0] if later else None

    @property
    def latest(self) -> RegisterReading | None:
        """Return the last reading that somebody took."""
        taken = [r for r in self.known if r.quality not in ESTIMATES]
        return taken[-1] if taken else None

    def at(self, instant: datetime) -> RegisterReading | None:
        """Return the reading of that very instant, which another one would correct."""
        return next((r for r in self.known if r.taken_at == instant), None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of a reading, and what it says was used since the one before it."""

    remarks: tuple[Remark, ...] = ()
    used: int | None = None
    since: datetime | None = None

    @property
    def verdict(self) -> Verdict:
        """Return the heaviest verdict of its remarks."""
        found = {remark.verdict for remark in self.remarks}
        return next((v for v in (Verdict.REFUSED, Verdict.WARN) if v in found), Verdict.OK)


def judge(register: RegisterState, value: int, at: datetime) -> Judgement:
    """Judge a total, in Wh, kcal or litres, that a register is said to show at `at`.

    Refused is what the register cannot show; what is merely unlikely is for the giver to confirm.
    """
    commodity = register.commodity
    if value >= modulus(register.digits, commodity):
        return Judgement((Remark(RemarkKind.TOO_LARGE, {"digits": register.digits}),))
    before, after = register.before(at), register.after(at)
    found = counted_between(
        None if before is None else before.value,
        value,
        None if after is None else after.value,
        modulus(register.digits, commodity),
    )
    if found is None:
        return Judgement((_backwards(register, before, value, after),))
    if before is None:
        return Judgement()
    used, rolled_over = found
    day = local_date(before.taken_at, register.zone)
    told: dict[str, Any] = {
        "used": shown(used, commodity),
        "unit": UNITS[commodity],
        "day": day,
    }
    remarks = []
    if rolled_over:
        values = {"before": shown(before.value, commodity)}
        remarks.append(Remark(RemarkKind.ROLLED_OVER, values))
    length = at - before.taken_at
    if _over_capacity(register, used, length):
        assert register.capacity_w is not None
        capacity = Decimal(register.capacity_w).scaleb(-3).normalize() + 0
        remarks.append(Remark(RemarkKind.OVER_CAPACITY, told | {"capacity": capacity}))
    usual = usual_use(register.usual_per_day, length)
    if usual is not None and used > USUAL_TIMES * usual and used - usual > EXCESS_LEAST[commodity]:
        about = shown(_rounded(usual, UNIT_OF[commodity]), commodity)
        remarks.append(Remark(RemarkKind.FAR_ABOVE_USUAL, told | {"usual": about}))
    if used == 0 and usual:
        remarks.append(Remark(RemarkKind.UNCHANGED, {"day": day}))
    return Judgement(tuple(remarks), used, before.taken_at)


def usual_use(usual_per_day: int | None, length: timedelta) -> int | None:
    """Return what is usually used in so much time, None where that is not known."""
    if usual_per_day is None:
        return None
    return half_up_ratio(usual_per_day * int(length.total_seconds()), 86_400)


def usual_per_day(
    registers: Iterable[tuple[Sequence[RegisterReading], int]], *, before: datetime
) -> int | None:
    """Return what a point's register usually counts a day: its use over `HISTORY`, by its length.

    `registers` are the readings of the successive meters of the point, each in order of time, with
    the modulus of the meter. Estimates are no history; where there is too little of late, all that
    is known counts.
    """
    known = [
        ([r for r in readings if r.taken_at < before and r.quality not in ESTIMATES], top)
        for readings, top in registers
    ]
    recent = [([r for r in taken if before - HISTORY <= r.taken_at], top) for taken, top in known]
    for history in (recent, known):
        used, seconds = _counted_in_all(history)
        if seconds >= HISTORY_LEAST.total_seconds():
            return half_up_ratio(used * 86_400, seconds)
    return None


def _counted_in_all(registers: Iterable[tuple[Sequence[RegisterReading], int]]) -> tuple[int, int]:
    """Return what was counted between successive readings, and in how many seconds."""
    used, seconds = 0, 0
    for taken, top in registers:
        for earlier, later in pairwise(taken):
            found = counted(earlier.value, later.value, top)
            if found is not None:
                used += found[0]
                seconds += int((later.taken_at - earlier.taken_at).total_seconds())
    return used, seconds


def findings_of(
    judgement: Judgement,
    register: RegisterState,
    *,
    point_code: str,
    serial: str,
    zone: Zone,
    at: datetime,
) -> tuple[Finding, ...]:
    """Return what is kept, open, of a reading that was confirmed in spite of what was remarked."""
    found = []
    for remark in judgement.remarks:
        kind = FINDINGS_OF.get(remark.kind)
        if kind is None:
            continue
        detail: dict[str, int | str] = {
            "meter": serial,
            "zone": str(zone),
            "unit": UNITS[register.commodity],
        }
        for name, key in (("used", "value"), ("usual", "usual"), ("capacity", "capacity")):
            if name in remark.values:
                detail[key] = format(remark.values[name], "f")
        period = Period(judgement.since or at, at)
        found.append(Finding(kind, point_code, None, period, detail))
    return tuple(found)


def instant_at_point(
    read_at: datetime, installed_on: date, known: Sequence[RegisterReading], zone: ZoneInfo
) -> datetime:
    """Return the instant of a reading that a walk-round took of a meter at `read_at`.

    Whoever reads a meter on the day it was put in stands before the new one: the reading comes
    after the one it was put in with, whatever the hour on the list.
    """
    if not known or local_date(read_at, zone) != installed_on or known[0].taken_at < read_at:
        return read_at
    first = known[0].taken_at
    return first + timedelta(minutes=1) if local_date(first, zone) == installed_on else read_at


def flat_order(number: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which flats stand as they do in the house: 2 before 10, 10 before 10а.

    >>> sorted(["10а", "2", "10", "1"], key=flat_order)
    ['1', '2', '10', '10а']
    """
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
        for part in re.findall(r"\d+|\D+", number)
    )


class _AboutReading(DomainError):
    """A refusal that tells what was remarked about one reading."""

    def __init__(self, *, meter: str, zone: str, remark: "Remark") -> None:
        super().__init__(meter=meter, zone=zone, remark=remark)

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the remark in the reader's language."""
        problem = self.values["remark"].sentence(translate)
        return translate(self.template) % (self.values | {"problem": problem})


class ReadingsRefused(_AboutReading):
    """A reading that its register cannot show; none of those given with it was stored."""

    code = "readings_refused"
    template = mark("Meter %(meter)s, zone %(zone)s: %(problem)s")


class ConfirmationNeeded(_AboutReading):
    """A reading that is implausible; the same again, confirmed, is taken."""

    code = "confirmation_needed"
    retryable = True
    template = mark(
        "Meter %(meter)s, zone %(zone)s: %(problem)s Send it again, confirmed, if it is so."
    )


def zone_order(zone: Zone) -> int:
    """Return the place of a zone among the fields of a meter."""
    return list(Zone).index(zone)


def _backwards(
    register: RegisterState,
    before: RegisterReading | None,
    value: int,
    after: RegisterReading | None,
) -> Remark:
    top = modulus(register.digits, register.commodity)
    if before is not None and counted(before.value, value, top) is None:
        return Remark(
            RemarkKind.LESS_THAN_BEFORE,
            {
                "before": shown(before.value, register.commodity),
                "day": local_date(before.taken_at, register.zone),
            },
        )
    assert after is not None, "one of its neighbours stands in the way"
    return Remark(
        RemarkKind.MORE_THAN_AFTER,
        {
            "after": shown(after.value, register.commodity),
            "day": local_date(after.taken_at, register.zone),
        },
    )


def _over_capacity(register: RegisterState, used: int, length: timedelta) -> bool:
    """Say whether so much energy cannot have come through the connection in so much time."""
    if register.capacity_w is None or register.commodity is not Commodity.ELECTRICITY:
        return False
    return used * 3600 > register.capacity_w * int(length.total_seconds())


def _rounded(value: int, unit: int) -> int:
    """Round to a tenth of the unit: what is usual is not known any finer."""
    step = max(1, unit // 10)
    return half_up_ratio(value, step) * step
