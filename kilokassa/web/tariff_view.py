"""A tariff document as a page shows it: its faults at their lines, its picture, what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import unified_diff
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from markupsafe import Markup

from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.series import EnergySeries, Quality
from kilokassa.core.text import Language, date_text, gettext, mark, number_text, sentence
from metering.estimation.gaps import spread_by_profile
from tariffs.charges import DatedAmount, DatedShare, FixedPer, TaxMode, amount_on, share_on
from tariffs.day_types import DayType
from tariffs.difference import Difference, PriceChange, differences, price_changes
from tariffs.documents import faults_in, parse_tariff
from tariffs.facts import AccountFacts
from tariffs.picture import YearDay, day_pictures, ladder, shown_from, year_picture
from tariffs.picture_svg import (
    day_svg,
    day_title,
    ladder_svg,
    rate_text,
    seasons_of,
    year_svg,
    zones_of_year_svg,
)
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod, TariffVersion
from tariffs.rating import rate_energy
from tariffs.rehearsal import share_ppm

EXAMPLE_WH: Final = 250_000
"""A month of the worked example: about what a flat of two uses."""
EXAMPLE_AREA_DM2: Final = 54_00
EXAMPLE_PERSONS: Final = 2
EXAMPLE_MINUTES: Final = 30
MOST_LINES_COMPARED: Final = 8_000
DAYS_SHOWN: Final = 8
"""Kinds of day that have a picture of their own; more are told by their number."""

PlanNames = Mapping[str, str]
"""Names of plans by their codes; a code without one is shown itself."""
NAMELESS: Final[PlanNames] = {}

_PER_WORDS: Final = {
    FixedPer.MONTH: mark("a month"),
    FixedPer.DAY: mark("a day"),
    FixedPer.M2: mark("for a square metre and month"),
    FixedPer.PERSON: mark("for a person and month"),
}

_BASIS_WORDS: Final = {
    RangeBasis.ZONE: mark("every zone has a ladder of its own"),
    RangeBasis.TOTAL: mark("all zones together climb one ladder"),
}

_ORDER_WORDS: Final = {
    RangeOrder.PROPORTIONAL: mark("a range is shared in proportion to what each zone used"),
    RangeOrder.TIME: mark("ranges fill in order of time"),
}

_PERIOD_WORDS: Final = {
    RangePeriod.DAY: mark("anew each day"),
    RangePeriod.MONTH: mark("anew each month"),
    RangePeriod.YEAR: mark("anew each year"),
}


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """What is wrong with a document, and at which line."""

    line: int | None
    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class TariffPicture:
    """The pictures of a version and what they do not show, in words."""

    days: tuple[tuple[str, Markup], ...]
    days_left_out: int
    zones_of_year: Markup
    year: Markup
    seasons: tuple[tuple[str, str], ...]
    holidays: tuple[tuple[str, str], ...]
    """Days that the calendar names, with their names."""
    has_holidays: bool
    """Whether any day of the year is of the type."""
    new_prices: tuple[str, ...]
    ladder: Markup | None
    ladder_words: str
    charges: tuple[tuple[str, str], ...]
    """What is charged beside energy by zone: a name, and how, in words."""


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that was read: what it says, or what is wrong with it."""

    version: TariffVersion | None
    faults: tuple[DocumentFault, ...]
    picture: TariffPicture | None


def check_document(
    document: str, language: Language, today: date, names: PlanNames = NAMELESS
) -> CheckedDocument:
    """Read a document; give its picture, or its faults by line."""
    bad = faults_in(document)
    if bad:
        faults = tuple(
            DocumentFault(one.values["line"], one.values["field"], sentence(one, language))
            for one in bad
        )
        return CheckedDocument(None, faults, None)
    version = parse_tariff(document)
    return CheckedDocument(version, (), picture_of(version, language, today, names))


def picture_of(
    version: TariffVersion, language: Language, today: date, names: PlanNames = NAMELESS
) -> TariffPicture:
    """Return the pictures of a version as it holds from today on."""
    day = shown_from(version, max(today, version.valid_from))
    kinds = day_pictures(version, day) if version.charges.energy_by_zone else ()
    highest = max((kind.highest_scaled for kind in kinds), default=0)
    year = year_picture(version, day.year)
    rungs = ladder(version, day)
    return TariffPicture(
        days=tuple(
            (
                day_title(kind, language),
                _drawn(day_svg(kind, language, highest_scaled=highest)),
            )
            for kind in kinds[:DAYS_SHOWN]
        ),
        days_left_out=max(0, len(kinds) - DAYS_SHOWN),
        zones_of_year=_drawn(zones_of_year_svg(year, language)),
        year=_drawn(year_svg(year, language)),
        seasons=tuple(
            (name, f"{date_text(first, language)} – {date_text(last, language)}")
            for name, first, last in seasons_of(year)
        ),
        holidays=_holidays(version, year, language),
        has_holidays=any(one.day_type is DayType.HOLIDAY for month in year for one in month),
        new_prices=tuple(
            date_text(one.day, language) for month in year for one in month if one.new_prices
        ),
        ladder=_drawn(ladder_svg(rungs, language)) if rungs else None,
        ladder_words="; ".join(
            gettext(words, language)
            for words in (
                _BASIS_WORDS[version.range_basis],
                _ORDER_WORDS[version.range_order],
                _PERIOD_WORDS[version.range_period],
            )
        )
        if rungs
        else "",
        charges=charge_words(version, day, language, names),
    )


def _holidays(
    version: TariffVersion, year: Sequence[Sequence[YearDay]], language: Language
) -> tuple[tuple[str, str], ...]:
    russian = language is Language.RUSSIAN
    named = [
        (one.day, version.calendar.name_of(one.day, russian=russian))
        for month in year
        for one in month
    ]
    return tuple((date_text(day, language), name) for day, name in named if name)


def _drawn(svg: str) -> Markup:
    """Let a picture stand in a page: every text in it was escaped where it was drawn."""
    return Markup(svg)  # noqa: S704 - see above


def charge_words(
    version: TariffVersion, day: date, language: Language, names: PlanNames = NAMELESS
) -> tuple[tuple[str, str], ...]:
    """Return what a version charges beside energy by zone, as it holds on a day."""
    charges = version.charges

    def said(words: str, **values: object) -> str:
        return gettext(words, language) % values

    def named(one: object) -> str:
        russian, english = getattr(one, "name", ""), getattr(one, "name_en", "")
        return (english or russian) if language is Language.ENGLISH else russian

    def money(amounts: tuple[DatedAmount, ...]) -> str:
        return f"{rate_text(amount_on(amounts, day), language)} ₽"

    def percent(shares: tuple[DatedShare, ...]) -> str:
        value = (Decimal(share_on(shares, day)) / 10_000).normalize() + 0
        return f"{number_text(value, language)} %"

    found: list[tuple[str, str]] = []
    for fixed in charges.fixed:
        per = gettext(_PER_WORDS[fixed.per], language)
        found.append((named(fixed), f"{money(fixed.amounts)} {per}"))
    found += [
        (named(one), said(mark("%(rate)s for a kW a month"), rate=money(one.amounts)))
        for one in charges.capacity
    ]
    if charges.minimum is not None:
        words = said(mark("a month costs at least %(rate)s"), rate=money(charges.minimum.amounts))
        found.append((gettext(mark("Minimum bill"), language), words))
    if charges.allowance is not None:
        words = said(
            mark("%(energy)s kWh a day are given back at %(rate)s for a kWh"),
            energy=number_text(Decimal(charges.allowance.wh_per_day) / 1000, language),
            rate=money(charges.allowance.amounts),
        )
        found.append((gettext(mark("Allowance"), language), words))
    if charges.export is not None:
        words = said(mark("%(rate)s for a kWh is paid"), rate=money(charges.export.amounts))
        found.append((gettext(mark("Energy given to the network"), language), words))
    if charges.hourly is not None:
        words = said(mark("by the hourly prices of %(series)s"), series=charges.hourly.series)
        found.append((gettext(mark("Energy"), language), words))
    for concession in charges.concessions:
        who = mark("for everyone") if concession.everyone else mark("for who has a right to it")
        found.append((named(concession), f"−{percent(concession.shares)} {gettext(who, language)}"))
    for tax in charges.taxes:
        mode = mark("on top") if tax.mode is TaxMode.ON_TOP else mark("included in the prices")
        found.append((named(tax), f"{percent(tax.shares)}, {gettext(mode, language)}"))
    if charges.guarantee is not None:
        words = said(
            mark("a month never costs more than on the plan %(plan)s"),
            plan=names.get(charges.guarantee.plan_code, charges.guarantee.plan_code),
        )
        found.append((gettext(mark("Guarantee"), language), words))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a text diff: `+`, `-`, a blank, or `@` where lines are left out."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What a document says differently from the one in force."""

    prices: tuple[PriceChange, ...]
    fields: tuple[Difference, ...]
    lines: tuple[DiffLine, ...]
    example_minor: tuple[int | None, int | None]
    """What the worked example's month costs before and after; None where it cannot be said."""
    example_month: Month

    @property
    def example_ppm(self) -> int | None:
        """By how much the worked example changes, millionths; None where it cannot be said."""
        before, after = self.example_minor
        return None if before is None or after is None else share_ppm(after - before, before)


def compare_documents(
    old: str, new: str, versions: tuple[TariffVersion, TariffVersion], zone: ZoneInfo
) -> Compared:
    """Compare a document with the one in force: by fields, by lines, by a worked example."""
    before, after = versions
    month = Month.of(after.valid_from)
    return Compared(
        price_changes(before, after),
        differences(old, new),
        tuple(diff_lines(old, new)),
        (example_minor(before, month, zone), example_minor(after, month, zone)),
        month,
    )


def diff_lines(old: str, new: str) -> list[DiffLine]:
    """Return what differs line by line, with two lines around it; nothing of very long texts."""
    if old.count("\n") + new.count("\n") > MOST_LINES_COMPARED:
        return []  # the comparison's time grows with the product of both
    lines = list(unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2))[2:]
    return [DiffLine(line[:1], "…" if line.startswith("@@") else line[1:]) for line in lines]


def example_minor(version: TariffVersion, month: Month, zone: ZoneInfo) -> int | None:
    """Return what a usual flat's month would cost; None where the version cannot price it."""
    period = month.period(zone)
    energy = np.asarray(
        spread_by_profile(EXAMPLE_WH, period, EXAMPLE_MINUTES, zone), dtype=np.int32
    )
    quality = np.full(len(energy), Quality.ACTUAL, dtype=np.uint8)
    series = EnergySeries(period.start, EXAMPLE_MINUTES, energy, quality)
    facts = AccountFacts(
        area_dm2=np.array([EXAMPLE_AREA_DM2]),
        persons=np.array([EXAMPLE_PERSONS]),
        common_area_wh=np.array([0]),
        opening_wh=np.array([0]),
        entitled={one.code: np.array([False]) for one in version.charges.concessions},
    )
    try:
        lines = rate_energy(series, [(period, version)], zone, facts=facts)
    except (DomainError, ValueError):
        return None
    return sum(line.amount_minor for line in lines)


def numbered(document: str, faults: Sequence[DocumentFault]) -> Sequence[tuple[str, bool]]:
    """Return the lines of a document, each with whether something is wrong in it."""
    wrong = {fault.line for fault in faults}
    return [(line, number in wrong) for number, line in enumerate(document.split("\n"), start=1)]
