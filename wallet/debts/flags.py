"""Flags of an account: what protects it, and what its contract says."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from kilokassa.core.errors import Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark

YES: Final = "yes"
NO: Final = "no"
HOUSEHOLD: Final = "household_ru"
"""The guard set of whoever has no other by contract."""

MOST_CREDIT_MINOR: Final = 100_000_00
TEXT_MAX: Final = 200


class FlagKind(StrEnum):
    """What is stated about an account."""

    VULNERABLE = "vulnerable"
    """A person lives here whom no limitation may reach: yes or no."""
    NEVER_CUT = "never_cut"
    GUARD_SET = "guard_set"
    """The code of the guard set of its contract."""
    EMERGENCY_CREDIT = "emergency_credit"
    """How many kopecks the contract grants."""
    APARTMENT_HOUSE = "apartment_house"
    OPENING_SHARE = "opening_share"
    """The largest share of a top-up that old debt takes, in basis points."""


FLAG_WORDS: Final = {
    FlagKind.VULNERABLE: mark("A vulnerable person lives here"),
    FlagKind.NEVER_CUT: mark("On the list of those never cut"),
    FlagKind.GUARD_SET: mark("Guard set of the contract"),
    FlagKind.EMERGENCY_CREDIT: mark("Emergency credit"),
    FlagKind.APARTMENT_HOUSE: mark("Stands in an apartment house"),
    FlagKind.OPENING_SHARE: mark("Share of a top-up for old debt"),
}

YES_NO: Final = frozenset({FlagKind.VULNERABLE, FlagKind.NEVER_CUT, FlagKind.APARTMENT_HOUSE})


@dataclass(frozen=True, slots=True)
class FlagOrder:
    """A flag that a person states of an account from a day on."""

    account_id: AccountId
    kind: FlagKind
    valid_from: date
    value: str
    """As it is kept: yes, no, a code, kopecks or basis points."""
    document: str = ""


@dataclass(frozen=True, slots=True)
class StatedFlag:
    """A statement as it is kept, whether it still stands or not."""

    id: int
    kind: FlagKind
    valid_from: date
    value: str
    document: str
    actor: str
    recorded_at: datetime
    superseded_at: datetime | None

    @property
    def stands(self) -> bool:
        """Say whether nothing took its place and it was not taken back."""
        return self.superseded_at is None


@dataclass(frozen=True, slots=True)
class Flags:
    """What is stated of an account on a day; None was never asked."""

    vulnerable: bool | None = None
    never_cut: bool = False
    """Who is not on the list is known not to be."""
    guard_set: str = HOUSEHOLD
    credit_minor: int | None = None
    apartment_house: bool | None = None
    opening_share_bp: int | None = None

    @classmethod
    def of(cls, values: dict[FlagKind, str]) -> "Flags":
        """Return the flags that kept values stand for."""
        credit = values.get(FlagKind.EMERGENCY_CREDIT)
        share = values.get(FlagKind.OPENING_SHARE)
        return cls(
            vulnerable=_told(values.get(FlagKind.VULNERABLE)),
            never_cut=values.get(FlagKind.NEVER_CUT) == YES,
            guard_set=values.get(FlagKind.GUARD_SET, HOUSEHOLD),
            credit_minor=None if credit is None else int(credit),
            apartment_house=_told(values.get(FlagKind.APARTMENT_HOUSE)),
            opening_share_bp=None if share is None else int(share),
        )


def read_flag(kind: FlagKind, text: str, guard_sets: frozenset[str]) -> str:
    """Read a value as people write it into the form that is kept; refuse what the kind has not.

    >>> read_flag(FlagKind.EMERGENCY_CREDIT, "500", frozenset())
    '50000'
    >>> read_flag(FlagKind.OPENING_SHARE, "25", frozenset())
    '2500'
    """
    plain = " ".join(text.split())
    where = FLAG_WORDS[kind]
    if kind in YES_NO:
        if plain not in (YES, NO):
            raise Invalid(where=where, problem=mark("%(text)s is neither yes nor no"), text=plain)
        return plain
    if kind is FlagKind.GUARD_SET:
        if plain not in guard_sets:
            problem = mark("there is no guard set %(text)s; known are: %(known)s")
            known = ", ".join(sorted(guard_sets))
            raise Invalid(where=where, problem=problem, text=repr(plain[:40]), known=known)
        return plain
    if kind is FlagKind.OPENING_SHARE:
        if not re.fullmatch(r"[0-9]{1,3}", plain) or int(plain) > 100:
            problem = mark("%(text)s is not a whole per cent from 0 to 100")
            raise Invalid(where=where, problem=problem, text=repr(plain[:40]))
        return str(int(plain) * 100)
    amount_minor = parse_minor(plain, where=where)
    if not 0 <= amount_minor <= MOST_CREDIT_MINOR:
        problem = mark("%(text)s is less or more than a credit may be")
        raise Invalid(where=where, problem=problem, text=repr(plain[:40]))
    return str(amount_minor)


def _told(value: str | None) -> bool | None:
    return None if value is None else value == YES
