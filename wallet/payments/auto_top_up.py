"""Auto top-up: whether a rule of the resident's asks for money now, how much, and why or why not.

A function of facts: the same facts give the same decision and the same key, so two that decide at
once ask the bank once. Days are local dates of the account.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from kilokassa.core.calendar import Month
from kilokassa.core.text import mark
from wallet.topups import MOST_MINOR


@dataclass(frozen=True, slots=True)
class BelowThreshold:
    """Whenever less is available."""

    threshold_minor: int


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """On a day of each month; on the last day of a month that is shorter."""

    day: int

    def __post_init__(self) -> None:
        if not 1 <= self.day <= 31:
            raise ValueError(f"not a day of a month: {self!r}")

    def latest(self, on: date) -> date:
        """Return the latest such day up to `on`."""
        this = self._in_month(Month.of(on))
        return this if this <= on else self._in_month(Month.of(on).plus(-1))

    def _in_month(self, month: Month) -> date:
        return month.days[min(self.day, len(month.days)) - 1]


@dataclass(frozen=True, slots=True)
class FixedAmount:
    """The same amount each time."""

    amount_minor: int


@dataclass(frozen=True, slots=True)
class UpToTarget:
    """What is missing to a balance."""

    target_minor: int


@dataclass(frozen=True, slots=True)
class AutoTopUpRule:
    """What a resident has agreed to: when, how much, and how often at most."""

    trigger: BelowThreshold | DayOfMonth
    size: FixedAmount | UpToTarget
    valid_from: date
    most_minor: int
    """Of one top-up; the resident names it with the consent."""
    window_days: int = 1
    """From one top-up to the next at least."""
    valid_until: date | None = None
    least_minor: int = 1
    """Less is not worth a payment; a smaller lack is rounded up to it."""
    pause_days: int = 3
    """After a refusal."""
    refusals_most: int = 3
    """In a row; then the rule stands still until the resident confirms it."""

    def __post_init__(self) -> None:
        if not 1 <= self.least_minor <= self.most_minor <= MOST_MINOR:
            raise ValueError(f"a top-up is something, from the least to the most: {self!r}")
        if self.window_days < 1 or self.pause_days < 1 or self.refusals_most < 1:
            raise ValueError(f"a window, a pause and a stop are one at least: {self!r}")
        trigger, size = self.trigger, self.size
        if isinstance(size, FixedAmount):
            if not self.least_minor <= size.amount_minor <= self.most_minor:
                raise ValueError(f"the amount lies within its bounds: {self!r}")
        elif isinstance(trigger, BelowThreshold) and size.target_minor < trigger.threshold_minor:
            raise ValueError(f"a target is not below the threshold: {self!r}")


class Outcome(StrEnum):
    """What became of an attempt."""

    PENDING = "pending"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known of the attempts of a rule."""

    count: int = 0
    """All there were."""
    latest: Outcome | None = None
    latest_on: date | None = None
    last_taken_on: date | None = None
    enough_on: date | None = None
    """The latest day on which there was enough: a day of the month that came so is done with."""
    refusals: int = 0
    """In a row, the latest among them, since the resident last confirmed the rule."""

    def __post_init__(self) -> None:
        if (self.count > 0) != (self.latest is not None and self.latest_on is not None):
            raise ValueError(f"an attempt has an outcome and a day: {self!r}")


class Why(StrEnum):
    """Why money is asked for, or not."""

    BELOW_THRESHOLD = "below_threshold"
    DAY_CAME = "day_came"
    NOT_IN_FORCE = "not_in_force"
    UNDER_WAY = "under_way"
    STOPPED = "stopped"
    PAUSED = "paused"
    WITHIN_WINDOW = "within_window"
    ENOUGH = "enough"
    DAY_NOT_COME = "day_not_come"


WHY_WORDS: Final[Mapping[Why, str]] = {
    Why.BELOW_THRESHOLD: mark("Less is available than the threshold."),
    Why.DAY_CAME: mark("The day of the month has come."),
    Why.NOT_IN_FORCE: mark("The auto top-up is not in force on this day."),
    Why.UNDER_WAY: mark("A payment is under way."),
    Why.STOPPED: mark("The bank refused too often: confirm the auto top-up or change the card."),
    Why.PAUSED: mark("The bank refused a payment: it is tried again later."),
    Why.WITHIN_WINDOW: mark("There was an auto top-up a short time ago."),
    Why.ENOUGH: mark("Enough is available."),
    Why.DAY_NOT_COME: mark("The day of the month has not come yet."),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What is asked for now, and why; nothing where the amount is zero."""

    amount_minor: int
    why: Why
    attempt: int = 0
    """The number of the attempt to make: part of its idempotency key."""
    not_before: date | None = None
    """Where only waiting helps, the first day on which it is worth asking again."""


def decide(rule: AutoTopUpRule, on: date, available_minor: int, attempts: Attempts) -> Decision:
    """Return what the rule asks for on a day.

    A day of the month that was missed is caught up on the next day, once; a refused one is tried
    again after the pause.
    """
    waiting = _waiting(rule, on, attempts)
    if waiting is not None:
        return waiting
    trigger = rule.trigger
    if isinstance(trigger, BelowThreshold):
        if available_minor >= trigger.threshold_minor:
            return Decision(0, Why.ENOUGH)
        why = Why.BELOW_THRESHOLD
    else:
        day = trigger.latest(on)
        answered = (attempts.last_taken_on, attempts.enough_on)
        if day < rule.valid_from or any(each is not None and each >= day for each in answered):
            return Decision(0, Why.DAY_NOT_COME)
        why = Why.DAY_CAME
    size = rule.size
    if isinstance(size, FixedAmount):
        asked_minor = size.amount_minor
    elif available_minor >= size.target_minor:
        return Decision(0, Why.ENOUGH)
    else:
        asked_minor = max(rule.least_minor, size.target_minor - available_minor)
    return Decision(min(asked_minor, rule.most_minor), why, attempts.count + 1)


def noted(attempts: Attempts, decision: Decision, on: date) -> Attempts:
    """Return what is known once a decision was acted upon; an attempt is under way until `told`."""
    if decision.why is Why.ENOUGH:
        return replace(attempts, enough_on=on)
    if not decision.amount_minor:
        return attempts
    assert decision.attempt == attempts.count + 1, (attempts, decision)
    return replace(attempts, count=decision.attempt, latest=Outcome.PENDING, latest_on=on)


def told(attempts: Attempts, outcome: Outcome) -> Attempts:
    """Return what is known once the bank has said what became of the attempt under way."""
    assert attempts.latest is Outcome.PENDING, attempts
    if outcome is Outcome.TAKEN:
        return replace(attempts, latest=outcome, last_taken_on=attempts.latest_on, refusals=0)
    return replace(
        attempts, latest=outcome, refusals=attempts.refusals + (outcome is Outcome.REFUSED)
    )


def confirmed(attempts: Attempts) -> Attempts:
    """Return what counts after the resident confirmed the rule: no refusal does any more."""
    return replace(attempts, refusals=0)


def _waiting(rule: AutoTopUpRule, on: date, attempts: Attempts) -> Decision | None:
    """Return the decision not to ask now, whatever is available, if there is a reason."""
    if on < rule.valid_from or (rule.valid_until is not None and on >= rule.valid_until):
        return Decision(0, Why.NOT_IN_FORCE)
    if attempts.latest is Outcome.PENDING:
        return Decision(0, Why.UNDER_WAY)
    if attempts.refusals >= rule.refusals_most:
        return Decision(0, Why.STOPPED)
    if attempts.latest is Outcome.REFUSED and attempts.refusals and attempts.latest_on is not None:
        again_on = attempts.latest_on + timedelta(days=rule.pause_days)
        if on < again_on:
            return Decision(0, Why.PAUSED, not_before=again_on)
    if attempts.last_taken_on is not None:
        again_on = attempts.last_taken_on + timedelta(days=rule.window_days)
        if on < again_on:
            return Decision(0, Why.WITHIN_WINDOW, not_before=again_on)
    return None
