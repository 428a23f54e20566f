"""A reserve as it is kept: what was signed, what is posted, and what is due and not posted yet."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.text import Language, mark
from wallet.reserves.reserve import Offer, Reserve, StepKind, project

KEPT = frozenset({StepKind.ADDED, StepKind.TAKEN_OUT, StepKind.RETURNED})
"""What moves the money set aside; the other steps move the bonus."""


class ReserveState(StrEnum):
    """How a reserve stands."""

    KEPT = "kept"
    BROKEN = "broken"
    """All of it was taken out before the end."""
    RETURNED = "returned"
    """The term is over and the money is back."""


STATE_WORDS = {
    ReserveState.KEPT: mark("set aside"),
    ReserveState.BROKEN: mark("broken early"),
    ReserveState.RETURNED: mark("kept to the end"),
}


@dataclass(frozen=True, slots=True)
class PublishedOffer:
    """One version of an offer as it was published."""

    id: int
    code: str
    name: str
    name_en: str
    offer: Offer
    document: str
    digest: str
    published_by: str
    recorded_at: datetime

    @property
    def version(self) -> int:
        """Its number among the versions of the offer, from 1."""
        return self.offer.version

    def named(self, language: Language) -> str:
        """Return its name in a language, else in the one that it has."""
        return self.name_en or self.name if language == Language.ENGLISH else self.name


@dataclass(frozen=True, slots=True)
class Posted:
    """One movement of a reserve as it rests."""

    number: int
    kind: StepKind
    on: date
    amount_minor: int
    entry_id: JournalEntryId | None
    actor: str
    detail: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A step that the days have brought and nobody has posted yet."""

    on: date
    kind: StepKind
    amount_minor: int


@dataclass(frozen=True, slots=True)
class SignedReserve:
    """A reserve with all that was posted of it."""

    id: int
    account_id: AccountId
    offer: PublishedOffer
    reserve: Reserve
    posted: tuple[Posted, ...]

    @property
    def signed_on(self) -> date:
        """The local day on which it was signed."""
        return self.reserve.signed_on

    @property
    def ends_on(self) -> date:
        """The day on which the money comes back."""
        return self.reserve.ends_on

    @property
    def kept_minor(self) -> int:
        """What is set aside, as posted."""
        return sum([one.amount_minor for one in self.posted if one.kind in KEPT])

    @property
    def bonus_minor(self) -> int:
        """The bonus that was paid, less what was taken back, as posted."""
        return sum([one.amount_minor for one in self.posted if one.kind not in KEPT])

    @property
    def last_on(self) -> date:
        """The day of the latest movement; days of payment up to it are posted."""
        return self.posted[-1].on

    @property
    def state(self) -> ReserveState:
        """How it stands, as posted."""
        if self.posted[-1].kind is StepKind.RETURNED:
            return ReserveState.RETURNED
        return ReserveState.KEPT if self.kept_minor else ReserveState.BROKEN

    @property
    def rule(self) -> str:
        """What the lots of its bonus name as their rule."""
        return rule_of(self.id)

    def next_pay_day(self, today: date) -> date | None:
        """Return the next day of payment after today; None where nothing is kept any more."""
        if not self.kept_minor:
            return None
        return next((day for day in self.reserve.pay_days if day > today), None)


def rule_of(reserve_id: int) -> str:
    """Return what the lots of a reserve's bonus name as their rule."""
    return f"reserve:{reserve_id}"


def due(signed: SignedReserve, through: date) -> tuple[Due, ...]:
    """Return what the days up to `through` have brought and is not posted, in order.

    It is the projection less what is posted: whoever asks late, or twice, comes to the same kopeck.
    A day on which something is posted is settled: its bonus is paid before anything else moves.
    """
    steps: list[Due] = []
    kept_minor, bonus_minor = signed.kept_minor, signed.bonus_minor
    if not kept_minor:
        return ()
    for day in signed.reserve.pay_days:
        if not signed.last_on < day <= through:
            continue
        paid_minor = project(signed.reserve, day).bonus_minor - bonus_minor
        assert paid_minor >= 0, (signed, day)
        bonus_minor += paid_minor
        if paid_minor:
            steps.append(Due(day, StepKind.PAID, paid_minor))
        if day == signed.ends_on:
            steps.append(Due(day, StepKind.RETURNED, -kept_minor))
    return tuple(steps)
