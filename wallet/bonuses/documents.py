"""Bonus rules and campaigns as documents: read from YAML, checked, and told in words.

A document says everything about one version of a rule but its number, which publishing gives. The
format: `docs/reference/bonus-rules.md`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from kilokassa.core.digest import digest_text
from kilokassa.core.errors import Invalid
from kilokassa.core.money import parse_minor, rate_from_scaled, scaled_rate
from kilokassa.core.text import Language, amount_text, mark, number_text
from wallet.bonuses.rules import (
    BASIS_POINTS,
    Campaign,
    EarlyPayment,
    MonthsWithoutDebt,
    MovedToNight,
    Rule,
    SizeOfTopUp,
    Terms,
)
from wallet.rule_file import Fields, document

T = TypeVar("T")

MOST_BYTES: Final = 20_000
"""Of one document; a rule of ours has a fifth of a thousand."""

MOST_DAYS: Final = 3_660
"""A bonus lives for ten years at most; longer is a slip of the finger."""

MOST_MINOR: Final = 10**13
MOST_MONTHS: Final = 120
WH_A_KWH: Final = 1_000
_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Kind(StrEnum):
    """What a rule grants a bonus for."""

    SIZE_OF_TOP_UP = "size_of_top_up"
    EARLY_PAYMENT = "early_payment"
    MONTHS_WITHOUT_DEBT = "months_without_debt"
    MOVED_TO_NIGHT = "moved_to_night"


KIND_OF: Final[Mapping[type[Terms], Kind]] = {
    SizeOfTopUp: Kind.SIZE_OF_TOP_UP,
    EarlyPayment: Kind.EARLY_PAYMENT,
    MonthsWithoutDebt: Kind.MONTHS_WITHOUT_DEBT,
    MovedToNight: Kind.MOVED_TO_NIGHT,
}


@dataclass(frozen=True, slots=True)
class RuleDocument:
    """A rule as somebody wrote it, with the text that is published."""

    code: str
    name: str
    name_en: str
    terms: Terms
    valid_from: date
    valid_until: date | None
    expires_after_days: int
    group: str
    most_minor: int | None
    most_a_month_minor: int | None
    campaign: str
    """Code of the campaign that pays for it; empty where the retailer does, without end."""
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return digest_text(self.text)

    @property
    def kind(self) -> Kind:
        """What it grants a bonus for."""
        return KIND_OF[type(self.terms)]

    def named(self, language: Language) -> str:
        """Return its name in a language, else in the one that it has."""
        return self.name_en or self.name if language is Language.ENGLISH else self.name

    def as_rule(self, version: int, campaign: Campaign | None) -> Rule:
        """Return the rule that occasions are judged by; it goes by its code."""
        return Rule(
            name=self.code,
            version=version,
            terms=self.terms,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            expires_after_days=self.expires_after_days,
            group=self.group,
            most_minor=self.most_minor,
            most_a_month_minor=self.most_a_month_minor,
            campaign=campaign,
        )


def read_rule(text: str, where: str) -> RuleDocument:
    """Read one rule; refuse with the field that is wrong, missing or not known.

    >>> rule = read_rule(EXAMPLE, "five.yaml")
    >>> rule.code, rule.terms
    ('five', SizeOfTopUp(threshold_minor=100000, basis_points=500))
    """
    if len(text.encode()) > MOST_BYTES:
        raise Invalid(
            where=where, problem=mark("a rule has at most %(most)s bytes"), most=MOST_BYTES
        )
    fields = document(text, where)
    return fields.all_by(lambda found: _rule(found, text))


EXAMPLE: Final = """\
rule: five
name: 5 % за пополнение от 1 000 ₽
name_en: 5 % for a top-up of 1,000 ₽ and more
kind: size_of_top_up
from: 2026-01-01
expires_after_days: 90
terms:
  threshold: 1000.00
  percent: 5
"""


def _rule(fields: Fields, text: str) -> RuleDocument:
    code = fields.parsed("rule", code_of)
    name = fields.parsed("name", _name)
    name_en = _optional(fields, "name_en", _name) or ""
    kind = fields.one_of("kind", Kind)
    valid_from = fields.day("from")
    valid_until = _optional(fields, "until", date.fromisoformat)
    if valid_until is not None and valid_until <= valid_from:
        raise Invalid(
            where=fields.where,
            problem=mark("the field %(field)s is the first day on which the rule has ended"),
            field="until",
        )
    return RuleDocument(
        code=code,
        name=name,
        name_en=name_en,
        terms=fields.within("terms", _TERMS[kind]),
        valid_from=valid_from,
        valid_until=valid_until,
        expires_after_days=fields.parsed("expires_after_days", _whole_to(MOST_DAYS)),
        group=_optional(fields, "group", code_of) or "",
        most_minor=_optional(fields, "most", _amount),
        most_a_month_minor=_optional(fields, "most_a_month", _amount),
        campaign=_optional(fields, "campaign", code_of) or "",
        text=text,
    )


def _optional(fields: Fields, name: str, read: Callable[[str], T]) -> T | None:
    return fields.parsed(name, read) if fields.has(name) else None


def _size_of_top_up(fields: Fields) -> Terms:
    return SizeOfTopUp(fields.parsed("threshold", _amount), fields.parsed("percent", _percent))


def _early_payment(fields: Fields) -> Terms:
    return EarlyPayment(
        fields.parsed("days_before", _whole_to(60)), fields.parsed("percent", _percent)
    )


def _months_without_debt(fields: Fields) -> Terms:
    return MonthsWithoutDebt(
        fields.parsed("months", _whole_to(MOST_MONTHS)), fields.parsed("amount", _amount)
    )


def _moved_to_night(fields: Fields) -> Terms:
    rate = fields.parsed("rate", lambda text: scaled_rate(_decimal(text, most=10_000)))
    if not fields.has("former_least_kwh"):
        return MovedToNight(rate)
    return MovedToNight(rate, fields.parsed("former_least_kwh", _whole_to(10**6)) * WH_A_KWH)


_TERMS: Final[Mapping[Kind, Callable[[Fields], Terms]]] = {
    Kind.SIZE_OF_TOP_UP: _size_of_top_up,
    Kind.EARLY_PAYMENT: _early_payment,
    Kind.MONTHS_WITHOUT_DEBT: _months_without_debt,
    Kind.MOVED_TO_NIGHT: _moved_to_night,
}


def code_of(text: str) -> str:
    """Return a code: small letters, digits, `_` and `-`, forty of them at most."""
    if not _CODE.fullmatch(text):
        raise ValueError(text)
    return text


def _name(text: str) -> str:
    if not text.strip() or len(text) > 200:
        raise ValueError(text)
    return text.strip()


def _amount(text: str) -> int:
    try:
        minor = parse_minor(text)
    except Invalid:
        raise ValueError(text) from None
    if not 0 < minor <= MOST_MINOR:
        raise ValueError(text)
    return minor


def _decimal(text: str, *, most: int) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or not 0 < Decimal(text) <= most:
        raise ValueError(text)
    return Decimal(text)


def _percent(text: str) -> int:
    points = _decimal(text, most=100) * 100
    if points != points.to_integral_value():
        raise ValueError(text)
    return int(points)


def _whole_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return read


def promise(terms: Terms, language: Language) -> tuple[str, dict[str, str]]:
    """Return what a rule promises, as a message of the catalogue and its values."""
    match terms:
        case SizeOfTopUp():
            return mark("%(percent)s %% of a top-up of %(amount)s or more"), {
                "percent": _percent_text(terms.basis_points, language),
                "amount": amount_text(terms.threshold_minor, language),
            }
        case EarlyPayment():
            return mark(
                "%(percent)s %% of a bill paid %(days)s days before it is due or earlier"
            ), {
                "percent": _percent_text(terms.basis_points, language),
                "days": str(terms.days_before),
            }
        case MonthsWithoutDebt():
            return mark("%(amount)s for every %(months)s months in a row without debt"), {
                "amount": amount_text(terms.amount_minor, language),
                "months": str(terms.months),
            }
        case MovedToNight():
            rate = rate_from_scaled(terms.rate)
            return mark("%(rate)s ₽ for each kWh moved to the night"), {
                "rate": number_text(rate, language, decimals=-int(rate.as_tuple().exponent))
            }


def _percent_text(basis_points: int, language: Language) -> str:
    whole, rest = divmod(basis_points, BASIS_POINTS // 100)
    if not rest:
        return str(whole)
    return number_text(Decimal(basis_points).scaleb(-2), language, decimals=2)
