"""Reserve: money set aside for a term, and the bonus it earns by the day on what is kept.

A day earns on what stays set aside overnight: money put in on a day earns that day, money taken out
earns no more from that day on. What is earned is counted in whole parts of a kopeck, so days add up
to months and months to the term without loss; only what is paid is rounded, and the payments
telescope: each is the rounded sum so far less what was paid before.

The term belongs to the resident. No function here takes money out unless a person asks for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import mark
from wallet.lots import Draw, Lot, LotKind, draw_down, spendable_minor
from wallet.topups import MOST_MINOR

PPM: Final = 1_000_000
"""A rate of the year is in millionths: 70,000 is 7 % a year."""

PARTS_A_KOPECK: Final = PPM * 365 * 366
"""Into how many parts a kopeck is cut: a day of any year earns a whole number of them."""

TERM_MONTHS_MOST: Final = 60

NO_PERSON: Final = ("system", "job:")
"""How actors begin that are the program itself."""


class NotOffered(DomainError):
    """An offer that cannot be signed on this day."""

    code = "reserve_not_offered"
    template = "The reserve %(offer)s cannot be signed on %(on)s."


class ReserveAmount(DomainError):
    """A reserve that would hold too little or too much."""

    code = "reserve_amount"
    template = (
        "The reserve %(offer)s holds from %(least)s to %(most)s kopecks; it would hold %(kept)s."
    )


class NoAdditions(DomainError):
    """An addition to a reserve whose offer takes none."""

    code = "reserve_no_additions"
    template = "The reserve %(offer)s takes no additions."


class NotOwnMoney(DomainError):
    """More set aside than the wallet holds of the resident's own money."""

    code = "reserve_not_own_money"
    template = (
        "Only own money can be set aside, and no debt stay unpaid: %(free)s kopecks, not %(asked)s."
    )


class OutsideTerm(DomainError):
    """A movement before the latest one, or not within the term."""

    code = "reserve_outside_term"
    template = "The reserve %(offer)s can be changed from %(first)s until %(end)s, not on %(on)s."


class OnlyByAPerson(DomainError):
    """A reserve that the program itself would break."""

    code = "reserve_only_by_a_person"
    template = "A reserve is broken only by a person who asks for it, never by %(actor)s."


class DayCount(StrEnum):
    """Which year a day is a part of."""

    ALWAYS_365 = "always_365"
    """Every day is 1/365, so a leap year earns a day more."""
    REAL_YEAR = "real_year"
    """A day of a leap year is 1/366, so every whole year earns the rate."""


class RateHolds(StrEnum):
    """Whether a rate that changes later changes for those who have signed."""

    AS_SIGNED = "as_signed"
    AS_DATED = "as_dated"


class PaidWhen(StrEnum):
    """On which days the bonus is paid, as a lot."""

    MONTHLY = "monthly"
    """On the first day of each calendar month, and at the end."""
    AT_END = "at_end"


class BreakRule(StrEnum):
    """What of its bonus the part keeps that is taken out before the end."""

    ALL_LOST = "all_lost"
    LOWER_RATE = "lower_rate"
    """It has earned the offer's `broken_rate_ppm` from the day it came."""
    UNPAID_LOST = "unpaid_lost"
    """It keeps what was paid and loses what was earned since."""


BREAK_WORDS: Final = {
    BreakRule.ALL_LOST: mark("What is taken out early loses its whole bonus."),
    BreakRule.LOWER_RATE: mark("What is taken out early earns the lower rate from its first day."),
    BreakRule.UNPAID_LOST: mark("What is taken out early keeps the bonus that was paid already."),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of the year from a day on, in millionths."""

    valid_from: date
    rate_ppm: int

    def __post_init__(self) -> None:
        if not 0 <= self.rate_ppm <= PPM:
            raise ValueError(f"a rate is from nothing to 100 % a year: {self!r}")


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates one after another, each until the next; nothing before the first."""

    rates: tuple[Rate, ...]

    def __post_init__(self) -> None:
        days = [rate.valid_from for rate in self.rates]
        if not days or any(first >= second for first, second in pairwise(days)):
            raise ValueError(f"rates follow one another: {self.rates!r}")

    def at(self, on: date) -> int | None:
        """Return the rate of a day in millionths, None before the first."""
        return next((r.rate_ppm for r in reversed(self.rates) if r.valid_from <= on), None)

    def between(self, start: date, end: date) -> Iterator[tuple[int, date, date]]:
        """Yield each rate with its days from `start` up to, but not including, `end`."""
        ends = [rate.valid_from for rate in self.rates[1:]] + [date.max]
        for rate, until in zip(self.rates, ends, strict=True):
            first, last = max(start, rate.valid_from), min(end, until)
            if first < last:
                yield rate.rate_ppm, first, last


@dataclass(frozen=True, slots=True)
class Offer:
    """What the retailer offers for money set aside, as data; a signed reserve keeps its version."""

    name: str
    version: int
    offered_from: date
    term_months: int
    rates: Rates
    offered_until: date | None = None
    rate_holds: RateHolds = RateHolds.AS_SIGNED
    paid_when: PaidWhen = PaidWhen.MONTHLY
    day_count: DayCount = DayCount.REAL_YEAR
    break_rule: BreakRule = BreakRule.ALL_LOST
    broken_rate_ppm: int = 0
    least_minor: int = 1
    most_minor: int = MOST_MINOR
    takes_additions: bool = True
    bonus_expires_after_days: int = 365

    def __post_init__(self) -> None:
        if not 1 <= self.term_months <= TERM_MONTHS_MOST:
            raise ValueError(f"a term is 1 to {TERM_MONTHS_MOST} months: {self!r}")
        if self.rates.at(self.offered_from) is None:
            raise ValueError(f"a rate is known on the first day of the offer: {self!r}")
        lowest_ppm = min(rate.rate_ppm for rate in self.rates.rates)
        lower = self.break_rule is BreakRule.LOWER_RATE
        if not 0 <= self.broken_rate_ppm <= (lowest_ppm if lower else 0):
            raise ValueError(f"breaking never earns more than keeping: {self!r}")
        if not 1 <= self.least_minor <= self.most_minor <= MOST_MINOR:
            raise ValueError(f"a reserve holds something, from the least to the most: {self!r}")
        if self.bonus_expires_after_days < 1:
            raise ValueError(f"a bonus lives for a day at least: {self!r}")


@dataclass(frozen=True, slots=True)
class Movement:
    """Money put into a reserve, or with a minus taken out, on a local day."""

    on: date
    amount_minor: int
    asked_by: str

    def __post_init__(self) -> None:
        if not self.amount_minor:
            raise ValueError(f"a movement moves something: {self!r}")
        if self.amount_minor < 0 and self.asked_by.startswith(NO_PERSON):
            raise OnlyByAPerson(actor=self.asked_by)


@dataclass(frozen=True, slots=True)
class Layer:
    """Money of a reserve that came on one day and, if it was taken out, left on one."""

    amount_minor: int
    came_on: date
    left_on: date | None = None


@dataclass(frozen=True, slots=True)
class Reserve:
    """A signed reserve: its offer and all that moved, in the order in which it did."""

    offer: Offer
    signed_on: date
    movements: tuple[Movement, ...]
    ends_on: date = field(init=False)
    """The day on which the money comes back; it earns nothing for that day."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends_on", months_after(self.signed_on, self.offer.term_months))
        days = [movement.on for movement in self.movements]
        if (
            not days
            or days[0] != self.signed_on
            or days != sorted(days)
            or days[-1] >= self.ends_on
        ):
            raise ValueError(f"movements begin with the signing and lie in the term: {self!r}")
        kept_minor = 0
        for movement in self.movements:
            kept_minor += movement.amount_minor
            if kept_minor < 0:
                raise ValueError(f"more than is kept cannot be taken out: {self!r}")

    @property
    def rates(self) -> Rates:
        """The rates that hold for this reserve."""
        if self.offer.rate_holds is RateHolds.AS_DATED:
            return self.offer.rates
        rate_ppm = self.offer.rates.at(self.signed_on)
        assert rate_ppm is not None, self
        return Rates((Rate(self.signed_on, rate_ppm),))

    @property
    def pay_days(self) -> tuple[date, ...]:
        """The days on which the bonus is paid, the last of them the end of the term."""
        if self.offer.paid_when is PaidWhen.AT_END:
            return (self.ends_on,)
        first = Month.of(self.signed_on)
        months = Month.of(self.ends_on).ordinal - first.ordinal
        days = [first.plus(n).first_day for n in range(1, months + 1)]
        return (*(day for day in days if day < self.ends_on), self.ends_on)

    def kept_minor(self, on: date) -> int:
        """Return what is set aside at the end of the day."""
        if on >= self.ends_on:
            return 0
        return sum(m.amount_minor for m in self.movements if m.on <= on)

    def layers(self, before: date = date.max) -> tuple[Layer, ...]:
        """Return what is kept and what left, as of the movements before a day.

        What came last leaves first: the money that has earned least is the one that is broken.
        """
        kept: list[Layer] = []
        left: list[Layer] = []
        for movement in self.movements:
            if movement.on >= before:
                break
            if movement.amount_minor > 0:
                kept.append(Layer(movement.amount_minor, movement.on))
                continue
            leaving_minor = -movement.amount_minor
            while leaving_minor:
                last = kept.pop()
                taken_minor = min(last.amount_minor, leaving_minor)
                left.append(Layer(taken_minor, last.came_on, movement.on))
                leaving_minor -= taken_minor
                if last.amount_minor > taken_minor:
                    kept.append(Layer(last.amount_minor - taken_minor, last.came_on))
        return (*left, *kept)


class StepKind(StrEnum):
    """What happens in the life of a reserve."""

    ADDED = "added"
    PAID = "paid"
    TAKEN_OUT = "taken_out"
    CLAWED_BACK = "clawed_back"
    RETURNED = "returned"


STEP_WORDS: Final = {
    StepKind.ADDED: mark("Set aside"),
    StepKind.PAID: mark("Bonus paid"),
    StepKind.TAKEN_OUT: mark("Taken out early"),
    StepKind.CLAWED_BACK: mark("Unearned bonus taken back"),
    StepKind.RETURNED: mark("Returned to the balance"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a reserve with what is set aside after it and the bonus paid by then."""

    on: date
    kind: StepKind
    amount_minor: int
    kept_minor: int
    bonus_minor: int


@dataclass(frozen=True, slots=True)
class Projection:
    """The life of a reserve up to a day: what happened, or what will if nobody moves anything."""

    steps: tuple[Step, ...]
    until: date
    kept_minor: int
    bonus_minor: int
    """Paid less taken back."""
    unpaid_parts: int
    """Earned and not yet paid, in parts of a kopeck; below zero by less than was rounded up."""


@dataclass(frozen=True, slots=True)
class Working:
    """A row of the table behind a bonus: an amount at one rate for days of one kind of year."""

    amount_minor: int
    start: date
    end: date
    rate_ppm: int
    year_days: int
    """365 or 366."""

    @property
    def days(self) -> int:
        """How many nights the amount was kept."""
        return (self.end - self.start).days

    @property
    def parts(self) -> int:
        """What the row earned: amount x rate x days / year, in parts of a kopeck."""
        return self.amount_minor * self.rate_ppm * self.days * (365 * 366 // self.year_days)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What taking money out costs: shown before it is asked for, booked when it is."""

    reserve: Reserve
    """The reserve as it stands afterwards."""
    amount_minor: int
    paid_minor: int
    clawed_back_minor: int
    """Of the two, one is zero at least."""


@dataclass(frozen=True, slots=True)
class ClawBack:
    """Where an unearned bonus is taken from."""

    from_bonus_minor: int
    """From what is left of the lots that the reserve paid."""
    from_reserve_minor: int
    """Withheld from the money that comes back."""
    waived_minor: int
    """What neither holds: the resident never owes a bonus."""
    expired_minor: int = 0
    """What of the bonus had expired by itself: it went back then, and is not asked for again."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What reserves cost in a period, and what the same money would have cost on credit."""

    days: int
    kopeck_days: int
    earned_parts: int
    credit_parts: int

    @property
    def average_minor(self) -> int:
        """What was set aside on an average day, rounded half up."""
        return half_up_ratio(self.kopeck_days, self.days)

    @property
    def bonus_minor(self) -> int:
        """What the reserves earned in the period, less what was broken."""
        return half_up_ratio(self.earned_parts, PARTS_A_KOPECK)

    @property
    def credit_minor(self) -> int:
        """What a credit of the same amount for the same days would have cost."""
        return half_up_ratio(self.credit_parts, PARTS_A_KOPECK)

    @property
    def saved_minor(self) -> int:
        """What the retailer saved; below zero if a credit would have been cheaper."""
        return self.credit_minor - self.bonus_minor


def sign(offer: Offer, on: date, amount_minor: int, asked_by: str) -> Reserve:
    """Return a new reserve of an offer that may be signed on the day."""
    if on < offer.offered_from or (offer.offered_until is not None and on >= offer.offered_until):
        raise NotOffered(offer=offer.name, on=on)
    _refuse_amount(offer, amount_minor)
    return Reserve(offer, on, (Movement(on, amount_minor, asked_by),))


def add(reserve: Reserve, on: date, amount_minor: int, asked_by: str) -> Reserve:
    """Return the reserve with more set aside."""
    assert amount_minor > 0, amount_minor
    if not reserve.offer.takes_additions:
        raise NoAdditions(offer=reserve.offer.name)
    _refuse_day(reserve, on)
    _refuse_amount(reserve.offer, reserve.kept_minor(on) + amount_minor)
    movement = Movement(on, amount_minor, asked_by)
    return replace(reserve, movements=(*reserve.movements, movement))


def set_aside(
    lots: Iterable[Lot],
    amount_minor: int,
    *,
    uncovered_minor: int,
    at: datetime,
    held_minor: int = 0,
) -> tuple[Draw, ...]:
    """Return the lots that money to set aside comes from: own money alone, the oldest first.

    A bonus would earn a bonus and outlive its expiry, and value that was given back would return
    as own money, which can be paid out. While something that was used is unpaid, nothing is free;
    nor is what is held to be paid out, which value that was given back may pay as well.
    """
    assert amount_minor > 0, amount_minor
    lots = tuple(lots)
    own = [lot for lot in lots if lot.kind is LotKind.OWN]
    paid_out = [lot for lot in lots if lot.kind in {LotKind.OWN, LotKind.RETURNED}]
    unheld_minor = max(0, spendable_minor(paid_out, at) - held_minor)
    free_minor = 0 if uncovered_minor else min(spendable_minor(own, at), unheld_minor)
    if amount_minor > free_minor:
        raise NotOwnMoney(free=free_minor, asked=amount_minor)
    return draw_down(own, amount_minor, at=at).draws


def take_out(reserve: Reserve, on: date, amount_minor: int, asked_by: str) -> Withdrawal:
    """Return what breaking a part, or the whole, of the reserve on a day does.

    What stays is nothing, or at least what the offer asks for.
    """
    assert amount_minor > 0, amount_minor
    _refuse_day(reserve, on)
    left_minor = reserve.kept_minor(on) - amount_minor
    if left_minor:
        _refuse_amount(reserve.offer, left_minor)
    before_minor = project(reserve, on).bonus_minor
    movement = Movement(on, -amount_minor, asked_by)
    after = replace(reserve, movements=(*reserve.movements, movement))
    settled_minor = project(after, on).bonus_minor - before_minor
    return Withdrawal(after, amount_minor, max(0, settled_minor), max(0, -settled_minor))


def claw_back(
    amount_minor: int, *, bonus_left_minor: int, returning_minor: int, expired_minor: int = 0
) -> ClawBack:
    """Share out an unearned bonus: unspent bonus first, then the money that comes back.

    `expired_minor` is what of the bonus expired unspent and no claw-back has counted before: the
    resident had no good of it, so it is not withheld from own money.
    """
    from_bonus_minor = min(amount_minor, bonus_left_minor)
    left_minor = amount_minor - from_bonus_minor
    lapsed_minor = min(left_minor, expired_minor)
    from_reserve_minor = min(left_minor - lapsed_minor, returning_minor)
    waived_minor = left_minor - lapsed_minor - from_reserve_minor
    return ClawBack(from_bonus_minor, from_reserve_minor, waived_minor, lapsed_minor)


def earned_parts(reserve: Reserve, until: date) -> int:
    """Return what the days before `until` earned, as their movements left it.

    Exact, in parts of a kopeck. Differences of it are what a period cost: a reserve that is broken
    lowers the period in which that happens.
    """
    return _settled_parts(reserve, reserve.layers(until), min(until, reserve.ends_on))


def project(reserve: Reserve, until: date) -> Projection:
    """Return the life of the reserve through the day `until`: the calculator before signing.

    On a day of payment the bonus is paid before anything else moves.
    """
    steps: list[Step] = []
    kept_minor = bonus_minor = 0

    def note(on: date, kind: StepKind, amount_minor: int) -> None:
        nonlocal kept_minor, bonus_minor
        if kind in {StepKind.ADDED, StepKind.TAKEN_OUT, StepKind.RETURNED}:
            kept_minor += amount_minor
        else:
            bonus_minor += amount_minor
        if amount_minor:
            steps.append(Step(on, kind, amount_minor, kept_minor, bonus_minor))

    def settle(on: date, layers: tuple[Layer, ...], through: date) -> None:
        settled_minor = half_up_ratio(_settled_parts(reserve, layers, through), PARTS_A_KOPECK)
        due_minor = settled_minor - bonus_minor
        note(on, StepKind.PAID if due_minor > 0 else StepKind.CLAWED_BACK, due_minor)

    moved_on = {movement.on for movement in reserve.movements}
    for on in sorted(moved_on | set(reserve.pay_days)):
        if on > until:
            break
        if on in reserve.pay_days:
            settle(on, reserve.layers(on), on)
        moved = [movement for movement in reserve.movements if movement.on == on]
        for movement in moved:
            kind = StepKind.ADDED if movement.amount_minor > 0 else StepKind.TAKEN_OUT
            note(on, kind, movement.amount_minor)
        if any(movement.amount_minor < 0 for movement in moved):
            settle(on, reserve.layers(on + timedelta(days=1)), _last_paid(reserve, on))
    if until >= reserve.ends_on:
        note(reserve.ends_on, StepKind.RETURNED, -kept_minor)
    through = min(until, reserve.ends_on)
    settled = _settled_parts(reserve, reserve.layers(through + timedelta(days=1)), through)
    assert kept_minor == reserve.kept_minor(until), (reserve, until)
    unpaid_parts = settled - bonus_minor * PARTS_A_KOPECK
    return Projection(tuple(steps), until, kept_minor, bonus_minor, unpaid_parts)


def cost(reserves: Iterable[Reserve], start: date, end: date, credit: Rates) -> Cost:
    """Return what reserves cost in the days from `start` up to `end`, and the credit they replace.

    `credit` is what the retailer's bank asks, dated; its days are counted as the offer's are.
    """
    assert start < end, (start, end)
    kopeck_days = earned = credit_parts = 0
    for reserve in reserves:
        earned += earned_parts(reserve, end) - earned_parts(reserve, start)
        for layer in reserve.layers(end):
            first = max(start, layer.came_on)
            last = min(end, layer.left_on or reserve.ends_on)
            if first < last:
                kopeck_days += layer.amount_minor * (last - first).days
                parts = rate_parts(credit, first, last, reserve.offer.day_count)
                credit_parts += layer.amount_minor * parts
    return Cost((end - start).days, kopeck_days, earned, credit_parts)


def workings(reserve: Reserve, until: date) -> tuple[Working, ...]:
    """Return the table behind `earned_parts`: its rows add up to it, and to nothing else."""
    return _workings(reserve, reserve.layers(until), min(until, reserve.ends_on))


def rate_parts(rates: Rates, start: date, end: date, day_count: DayCount) -> int:
    """Return what a kopeck earns in the days from `start` up to `end`, in parts of a kopeck."""
    return sum(row.parts for row in _rows(1, rates, start, end, day_count))


def months_after(day: date, months: int) -> date:
    """Return the same day so many months later, or the last of a shorter month.

    >>> months_after(date(2026, 8, 31), 6)
    datetime.date(2027, 2, 28)
    """
    days = Month.of(day).plus(months).days
    return days[min(day.day, len(days)) - 1]


def _settled_parts(reserve: Reserve, layers: tuple[Layer, ...], through: date) -> int:
    return sum(row.parts for row in _workings(reserve, layers, through))


def _workings(reserve: Reserve, layers: tuple[Layer, ...], through: date) -> tuple[Working, ...]:
    """Return what layers have earned: those kept through a day, those that left by the rule."""
    offer = reserve.offer
    found: list[Working] = []
    for layer in layers:
        rates, last = reserve.rates, through
        if layer.left_on is not None:
            if offer.break_rule is BreakRule.ALL_LOST:
                continue
            last = layer.left_on
            if offer.break_rule is BreakRule.LOWER_RATE:
                rates = Rates((Rate(layer.came_on, offer.broken_rate_ppm),))
            else:
                last = _last_paid(reserve, layer.left_on)
        found += _rows(layer.amount_minor, rates, layer.came_on, last, offer.day_count)
    return tuple(found)


def _rows(
    amount_minor: int, rates: Rates, start: date, end: date, day_count: DayCount
) -> Iterator[Working]:
    for rate_ppm, first, last in rates.between(start, end):
        for year_first, year_last, year_days in _by_year(first, last, day_count):
            yield Working(amount_minor, year_first, year_last, rate_ppm, year_days)


def _last_paid(reserve: Reserve, on: date) -> date:
    """Return the last day of payment up to a day; before any of them, the signing."""
    return max([day for day in reserve.pay_days if day <= on], default=reserve.signed_on)


def _by_year(start: date, end: date, day_count: DayCount) -> Iterator[tuple[date, date, int]]:
    """Yield the days from `start` up to `end` by the year whose part they are, with its length."""
    if day_count is DayCount.ALWAYS_365:
        yield start, end, 365
        return
    while start < end:
        year_ends = date(start.year + 1, 1, 1)
        last = min(end, year_ends)
        yield start, last, (year_ends - date(start.year, 1, 1)).days
        start = last


def _refuse_day(reserve: Reserve, on: date) -> None:
    first = reserve.movements[-1].on
    if not first <= on < reserve.ends_on:
        raise OutsideTerm(offer=reserve.offer.name, first=first, end=reserve.ends_on, on=on)


def _refuse_amount(offer: Offer, kept_minor: int) -> None:
    if not offer.least_minor <= kept_minor <= offer.most_minor:
        raise ReserveAmount(
            offer=offer.name, least=offer.least_minor, most=offer.most_minor, kept=kept_minor
        )
