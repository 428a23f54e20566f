"""What explains a charge line: its sum, the steps before it, the readings under it, and a replay.

Everything here is a value; it is gathered in `billing.explanation.service`. The digest covers what
the line was computed from as it was known then, and nothing that can change later: so it is the
same for ever, and two people who explain the line years apart can compare it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from billing.charges import NewLine, name_of
from billing.models import CorrectionReason, LineKind, LineUnit
from kilokassa.core.calendar import Month
from kilokassa.core.digest import digest_value
from kilokassa.core.errors import DomainError
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.quantity import KCAL_PER_GCAL, LITRES_PER_M3, WH_PER_KWH
from kilokassa.core.zones import Zone
from tariffs.explain import IntervalPart
from tariffs.lines import ChargeKind

MINOR_PER_UNIT: Final = 100
RATE_PER_MINOR: Final = RATE_SCALE // MINOR_PER_UNIT
"""Millionths of a rouble in a kopeck."""
W_PER_KW: Final = 1000
DM2_PER_M2: Final = 100
PPM: Final = 1_000_000

_UNITS: Final[Mapping[LineUnit, int]] = {
    LineUnit.WH: WH_PER_KWH,
    LineUnit.KCAL: KCAL_PER_GCAL,
    LineUnit.LITRE: LITRES_PER_M3,
    LineUnit.DAY: 1,
    LineUnit.DM2: DM2_PER_M2,
    LineUnit.PERSON: 1,
    LineUnit.W: W_PER_KW,
}
"""How much of each unit one unit of the rate holds: a rate is per kWh, Gcal, m3, day, m2 and so on.
"""


class StepKind(StrEnum):
    """What one step of a chain says; `billing.explanation.wording` has the sentences."""

    INTERVALS = "intervals"
    """What the intervals of the line's zone and price sum to."""
    HIGHEST = "highest"
    """The interval that a demand was measured in."""
    PEAK_HOURS = "peak_hours"
    """The regulated hours that a demand is the average of."""
    RATCHET = "ratchet"
    """The demand that months before leave, where it is more."""
    DAYS = "days"
    """Of a standing charge: the days that it is for."""
    EXPORTED = "exported"
    RANGE = "range"
    """How much of it a range of consumption took."""
    LINE = "line"
    """A line that a tax, a concession or a minimum bill is computed from."""
    AREA = "area"
    PERSONS = "persons"
    CONTRACTED = "contracted"
    COMMON_AREA = "common_area"
    OPENING = "opening"
    PRICE_REVISION = "price_revision"
    """Which revision of hourly prices was used."""
    EARLIER_READING = "earlier_reading"
    LATER_READING = "later_reading"
    COUNTED = "counted"
    """What a register counted between the two."""
    MULTIPLIED = "multiplied"
    LOST = "lost"
    """Losses between the meter and the delivery point, of all stretches of the register together.
    """
    BY_DAYS = "by_days"
    """The part of it that falls on the days of the line's price."""
    OF_STAY = "of_stay"
    """The part of it that falls on the days that the account had the plan."""
    ESTIMATED = "estimated"
    """How much of a line by intervals was not measured, and how it came about."""
    ESTIMATE = "estimate"
    HOUSE_HEAT = "house_heat"
    HOUSE_AMOUNT = "house_amount"
    HOUSE_AREA = "house_area"
    OWN_AREA = "own_area"
    VOLUME = "volume"
    """Water of a flat in the month, by a meter, an average or a norm."""
    WORKING = "working"
    """A figure that the line keeps in its detail, told by its name."""
    WORDS = "words"
    """What the line keeps in words."""
    ALTERNATIVE = "alternative"
    """What the same consumption would have cost on another plan."""
    REVERSED = "reversed"
    """The line that this one takes back."""


class StepUnit(StrEnum):
    """What the value of a step counts, in whole numbers."""

    WH = "wh"
    KCAL = "kcal"
    LITRE = "litre"
    DAY = "day"
    DM2 = "dm2"
    PERSON = "person"
    W = "w"
    MINOR = "minor"
    PPM = "ppm"
    MINUTE = "minute"
    WORD = "word"
    """No number: the step says it in words."""
    TIMES = "times"
    """A bare number."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is about, and a whole number in its unit."""

    kind: StepKind
    value: int
    unit: StepUnit
    about: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadingDay:
    """A local day of a channel as it was known: which revision, and what of it is in the line."""

    point_code: str
    day: date
    revision: int
    digest: str
    """Of the day's values and qualities, hexadecimal."""
    source: str
    recorded_at: datetime
    energy_wh: int
    """Of the intervals that the line is made of."""


@dataclass(frozen=True, slots=True)
class UsedVersion:
    """The tariff version that priced the line."""

    plan_code: str
    valid_from: date
    revision: int
    digest: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Sum:
    """How the amount comes about: quantity x rate x share, exact, then rounded once."""

    quantity: int
    unit: LineUnit
    rate_scaled: int
    share: Fraction
    """What beside quantity and rate enters, such as 11 of 31 days; 1 where nothing does."""
    exact_minor: Fraction
    """Kopecks before they were rounded."""
    amount_minor: int

    @property
    def has_rate(self) -> bool:
        """Say whether quantity, rate and share multiply to the exact amount."""
        return self.rate_scaled != 0 and _product(self) == self.exact_minor

    @property
    def holds(self) -> bool:
        """Say whether the exact amount, rounded half up, is the amount of the line."""
        exact = self.exact_minor
        return half_up_ratio(exact.numerator, exact.denominator) == self.amount_minor

    def reversed(self) -> "Sum":
        """Return the sum of the line that takes this one back."""
        return replace(
            self,
            quantity=-self.quantity,
            exact_minor=-self.exact_minor,
            amount_minor=-self.amount_minor,
        )


def sum_of(line: NewLine, intervals: Sequence[IntervalPart] = ()) -> Sum:
    """Return the sum of a line; one of hourly prices is summed over its intervals.

    A line without one rate (a guarantee, a share of a whole house) is its own exact amount.
    """
    whole = Fraction(line.amount_minor)
    without_rate = Sum(line.quantity, line.unit, 0, Fraction(1), whole, line.amount_minor)
    if line.charge in {ChargeKind.GUARANTEE, ChargeKind.MINIMUM}:
        return without_rate
    per_unit = PPM if line.unit is LineUnit.MINOR else _UNITS[line.unit] * RATE_PER_MINOR
    product = line.quantity * line.rate_scaled
    if line.divisor and line.rate_scaled:
        share = Fraction(line.factor * per_unit, line.divisor)
        exact = Fraction(product * line.factor, line.divisor)
    else:
        share, exact = Fraction(1), Fraction(product, per_unit)
    if line.charge is ChargeKind.HOURLY and intervals:
        costs = sum(part.energy_wh * part.price_scaled for part in intervals)
        exact = Fraction(costs, per_unit)
    found = Sum(line.quantity, line.unit, line.rate_scaled, share, exact, line.amount_minor)
    return found if found.holds else without_rate


def _product(one: Sum) -> Fraction:
    per_unit = PPM if one.unit is LineUnit.MINOR else _UNITS[one.unit] * RATE_PER_MINOR
    return Fraction(one.quantity * one.rate_scaled, per_unit) * one.share


class Verdict(StrEnum):
    """What came of computing the line again from what was known then."""

    SAME = "same"
    """The same kopeck, from inputs with the same digest."""
    OTHER_INPUTS = "other_inputs"
    """The same quantity and amount, but the readings have another digest."""
    OTHER_AMOUNT = "other_amount"
    GONE = "gone"
    """The line does not come about again."""
    NOT_RECORDED = "not_recorded"
    """The line does not say when its inputs were gathered: it was written by an older release."""
    REFUSED = "refused"
    """The month cannot be rated again; `Replay.refusal` says why."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The line computed again, beside the one that rests."""

    verdict: Verdict
    quantity: int | None = None
    amount_minor: int | None = None
    input_digest: str = ""
    refusal: DomainError | None = None

    @property
    def problem(self) -> str:
        """Why the month cannot be rated again, in English; empty where it can."""
        return "" if self.refusal is None else str(self.refusal)


def replayed(line: NewLine, again: NewLine | None) -> Replay:
    """Compare a line with the one that came about again, None where none did."""
    if again is None:
        return Replay(Verdict.GONE)
    figures = again.quantity, again.amount_minor
    if figures != (line.quantity, line.amount_minor) or again.rate_scaled != line.rate_scaled:
        verdict = Verdict.OTHER_AMOUNT
    elif again.input_digest != line.input_digest:
        verdict = Verdict.OTHER_INPUTS
    else:
        verdict = Verdict.SAME
    return Replay(verdict, *figures, again.input_digest)


@dataclass(frozen=True, slots=True)
class LineLink:
    """Another line of the same account that this one has to do with."""

    line_id: int
    kind: LineKind
    document_month: Month
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between the inputs of a line that was reversed and of the right one."""

    what: str
    """Name of a column of the line or of a figure, kind of a step, or a day of readings."""
    before: str
    after: str
    step: Step | None = field(default=None, compare=False)
    """The step whose value differs: it has the words and the unit that people read."""


@dataclass(frozen=True, slots=True)
class LineExplanation:
    """A charge line with everything it was computed from."""

    line_id: int
    account_number: str
    zone: str
    """IANA name, by which days and hours are told."""
    charge_month: Month
    document_month: Month
    line: NewLine
    """As it rests, negative where it takes back another."""
    known_at: datetime | None
    recorded_at: datetime
    version: UsedVersion | None
    sum: Sum
    steps: tuple[Step, ...]
    days: tuple[ReadingDay, ...]
    intervals: tuple[IntervalPart, ...]
    replay: Replay
    before: LineLink | None = None
    """Of a reversing line the one it takes back; of a right line the one it stands in place of."""
    after: LineLink | None = None
    """The line that took this one back later."""
    changes: tuple[Change, ...] = ()

    @property
    def reason(self) -> CorrectionReason | None:
        """Why the line was put right, where it was."""
        return self.line.reason

    def name(self, language: str) -> str:
        """Return the name that the charge has in its tariff; empty where it has none."""
        return name_of(self.line.detail, language)

    @property
    def register_zone(self) -> Zone | None:
        """The zone of a line of energy."""
        place = self.line.key.split("/", 1)[0]
        return Zone(place) if place in set(Zone) else None

    @property
    def digest(self) -> str:
        """What identifies the line with all it was computed from; the same at every replay."""
        line = self.line
        return digest_value(
            {
                "line": [
                    str(line.service),
                    str(line.kind),
                    str(line.charge),
                    line.key,
                    line.quantity,
                    str(line.unit),
                    line.rate_scaled,
                    line.factor,
                    line.divisor,
                    line.amount_minor,
                    line.estimated,
                    line.period_start.isoformat(),
                    line.period_end.isoformat(),
                    line.input_digest,
                    line.detail,
                ],
                "month": str(self.charge_month),
                "account": self.account_number,
                "known_at": None if self.known_at is None else self.known_at.isoformat(),
                "version": None if self.version is None else self.version.digest,
                "exact": [
                    str(self.sum.exact_minor.numerator),
                    str(self.sum.exact_minor.denominator),
                ],
                "steps": [_plain(step) for step in self.steps],
                "days": [
                    [d.point_code, d.day.isoformat(), d.revision, d.digest] for d in self.days
                ],
                "intervals": [
                    [part.start.isoformat(), part.energy_wh, part.price_scaled]
                    for part in self.intervals
                ],
            }
        )


def _plain(step: Step) -> list[Any]:
    return [str(step.kind), step.value, str(step.unit), dict(step.about)]


def changes(before: LineExplanation, after: LineExplanation) -> tuple[Change, ...]:
    """Return what differs between what was charged and what is right, the inputs included."""
    found = []
    for name in ("quantity", "rate_scaled", "amount_minor"):
        old, new = getattr(before.line, name), getattr(after.line, name)
        if old != new:
            found.append(Change(name, str(old), str(new)))
    was_version, now_version = (
        one.version.digest[:12] if one.version else "" for one in (before, after)
    )
    if was_version != now_version:
        found.append(Change("version", was_version, now_version))
    steps = [
        {(str(step.kind), *_subject(step)): step for step in one.steps} for one in (before, after)
    ]
    for key in dict.fromkeys((*steps[0], *steps[1])):
        was, now = (each.get(key) for each in steps)
        old, new = ("" if step is None else str(step.value) for step in (was, now))
        if old != new:
            what = key[1] if key[0] == StepKind.WORKING else key[0]
            found.append(Change(what, old, new, now or was))
    days = [
        {(d.point_code, d.day): f"{d.revision} · {d.digest[:12]}" for d in one.days}
        for one in (before, after)
    ]
    for place in sorted(days[0].keys() | days[1].keys()):
        old, new = days[0].get(place, ""), days[1].get(place, "")
        if old != new:
            found.append(Change(place[1].isoformat(), old, new))
    return tuple(found)


def _subject(step: Step) -> tuple[str, ...]:
    """Return what tells a step from others of its kind."""
    names = ("register", "range", "line", "plan", "name", "fact", "at")
    return tuple(str(step.about[name]) for name in names if name in step.about)
