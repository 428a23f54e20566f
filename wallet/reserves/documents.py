"""Offers of reserves as documents: read from YAML, checked.

A document says everything about one version of an offer but its number, which publishing gives. The
format: `docs/reference/reserve-offers.md`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from kilokassa.core.digest import digest_text
from kilokassa.core.errors import Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark
from wallet.reserves.reserve import (
    BreakRule,
    DayCount,
    Offer,
    PaidWhen,
    Rate,
    RateHolds,
    Rates,
)
from wallet.rule_file import Fields, document
from wallet.topups import MOST_MINOR

T = TypeVar("T")

MOST_BYTES: Final = 20_000
"""Of one document; an offer of ours has a thirtieth of it."""

MOST_DAYS: Final = 3_660
"""A bonus lives for ten years at most; longer is a slip of the finger."""

PPM_A_PERCENT: Final = 10_000
_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

CONTRADICTIONS: Final = (
    mark("a term is 1 to 60 months"),
    mark("a rate is known on the first day of the offer"),
    mark("rates follow one another"),
    mark("breaking never earns more than keeping"),
    mark("a reserve holds something, from the least to the most"),
)
"""How `Offer` and `Rates` say that fields, each right alone, cannot stand together."""

EXAMPLE: Final = """\
offer: half_year
name: Полгода вперёд
name_en: Half a year ahead
from: 2026-01-01
term_months: 6
rates:
  - from: 2026-01-01
    percent: 12
paid: monthly
broken: lower_rate
broken_percent: 3
least: 1000.00
most: 100000.00
takes_additions: true
bonus_expires_after_days: 365
"""


@dataclass(frozen=True, slots=True)
class OfferDocument:
    """An offer as somebody wrote it, with the text that is published."""

    code: str
    name: str
    name_en: str
    terms: Offer
    """The offer as version 0: publishing gives its number."""
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return digest_text(self.text)

    def as_offer(self, version: int) -> Offer:
        """Return the offer under its number."""
        return replace(self.terms, version=version)


def read_offer(text: str, where: str) -> OfferDocument:
    """Read one offer; refuse with the field that is wrong, missing or not known.

    >>> read_offer(EXAMPLE, "half_year.yaml").terms.rates.rates
    (Rate(valid_from=datetime.date(2026, 1, 1), rate_ppm=120000),)
    """
    if len(text.encode()) > MOST_BYTES:
        problem = mark("an offer has at most %(most)s bytes")
        raise Invalid(where=where, problem=problem, most=MOST_BYTES)
    return document(text, where).all_by(lambda fields: _offer(fields, text))


def _offer(fields: Fields, text: str) -> OfferDocument:
    code = fields.parsed("offer", _code)
    name = fields.parsed("name", _name)
    name_en = _optional(fields, "name_en", _name) or ""
    offered_from = fields.day("from")
    offered_until = _optional(fields, "until", date.fromisoformat)
    if offered_until is not None and offered_until <= offered_from:
        raise Invalid(
            where=fields.where,
            problem=mark("the field %(field)s is the first day on which nobody signs any more"),
            field="until",
        )
    try:
        terms = Offer(
            name=name,
            version=0,
            offered_from=offered_from,
            offered_until=offered_until,
            term_months=fields.parsed("term_months", _whole_to(1_000)),
            rates=Rates(fields.each("rates", _rate)),
            rate_holds=_optional(fields, "rate_holds", RateHolds) or RateHolds.AS_SIGNED,
            paid_when=_optional(fields, "paid", PaidWhen) or PaidWhen.MONTHLY,
            day_count=_optional(fields, "day_count", DayCount) or DayCount.REAL_YEAR,
            break_rule=fields.one_of("broken", BreakRule),
            broken_rate_ppm=_optional(fields, "broken_percent", _percent) or 0,
            least_minor=fields.parsed("least", _amount),
            most_minor=fields.parsed("most", _amount),
            takes_additions=fields.flag("takes_additions"),
            bonus_expires_after_days=fields.parsed(
                "bonus_expires_after_days", _whole_to(MOST_DAYS)
            ),
        )
    except ValueError as fault:
        raise Invalid(where=fields.where, problem=str(fault).partition(":")[0]) from None
    return OfferDocument(code, name, name_en, terms, text)


def read_percent(text: str) -> int:
    """Return per cent a year in millionths, from what a person wrote: `18,5` or `18.5`."""
    try:
        return _percent(text.strip().replace(",", "."))
    except ValueError:
        problem = mark("%(text)s is not per cent a year such as 18.5")
        raise Invalid(where=mark("rate"), problem=problem, text=repr(text)[:60]) from None


def _optional(fields: Fields, name: str, read: Callable[[str], T]) -> T | None:
    return fields.parsed(name, read) if fields.has(name) else None


def _rate(fields: Fields) -> Rate:
    return Rate(fields.day("from"), fields.parsed("percent", _percent))


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise ValueError(text)
    return text


def _name(text: str) -> str:
    if not text.strip() or len(text) > 200 or not text.isprintable():
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


def _percent(text: str) -> int:
    """Return per cent a year in millionths; up to 100, with four decimals at most."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,4})?", text):
        raise ValueError(text)
    ppm = Decimal(text) * PPM_A_PERCENT
    if ppm > 100 * PPM_A_PERCENT:
        raise ValueError(text)
    return int(ppm)


def _whole_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return read
