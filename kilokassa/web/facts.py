"""Dated facts of an account on pages: the table of statements and the picture of what stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from billing.facts.facts import StatedFact, Subject
from billing.facts.wording import SUBJECTS, value_text
from kilokassa.core.text import Language, date_text, mark
from kilokassa.web.doers import Doers
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate

TIMELINE_DAYS: Final = 731
"""How far back the picture reaches: two years."""

WIDTH: Final = 1000
LETTER: Final = 8
"""About how wide a letter is, in the units of the picture."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of days over which one statement holds, in thousandths of the picture's width."""

    x: int
    width: int
    text: str
    """What it says, as far as there is room for it."""
    hint: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One subject of the picture with its bars."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """What held when, a strip a subject."""

    first: date
    last: date
    strips: tuple[Strip, ...]
    years: tuple[tuple[int, int], ...]
    """Each year that begins in it, with where."""
    today: int


def facts_table(
    items: Sequence[StatedFact],
    language: Language,
    names: Mapping[str, str],
    doers: Doers | None,
) -> Table[StatedFact]:
    """Return the statements as a table; who stated what is shown where `doers` are given."""
    who: tuple[Column[StatedFact], ...] = ()
    if doers is not None:
        who = (
            Column("by", mark("Stated by"), lambda one: doers.name(one.actor), minor=True),
            Column(
                "state",
                mark("State"),
                _state,
                Kind.MESSAGE,
                tone=lambda one: "good" if one.stands else "quiet",
            ),
            Column(
                "superseded",
                mark("Until then it stood"),
                lambda one: one.superseded_at,
                Kind.INSTANT,
                minor=True,
            ),
        )
    return Table(
        name="facts",
        caption=mark("Facts and terms"),
        columns=(
            Column("subject", mark("What"), lambda one: SUBJECTS[one.subject], Kind.MESSAGE),
            Column("value", mark("Value"), lambda one: value_text(one, language, names)),
            Column("since", mark("From"), lambda one: one.since, Kind.DATE),
            Column("until", mark("Until"), lambda one: one.until, Kind.DATE, minor=True),
            Column("document", mark("Document"), lambda one: one.document, minor=True),
            Column(
                "recorded", mark("Recorded"), lambda one: one.recorded_at, Kind.INSTANT, minor=True
            ),
            *who,
        ),
        items=items,
        filterable=True,
    )


def _state(one: StatedFact) -> str:
    return mark("stands") if one.stands else mark("replaced or taken back")


def timeline(
    items: Sequence[StatedFact],
    language: Language,
    names: Mapping[str, str],
    opened: date,
    today: date,
) -> Timeline:
    """Return the picture of what stands, over two years at most and what is to come."""
    standing = [one for one in items if one.stands]
    first = max(opened, today - timedelta(days=TIMELINE_DAYS))
    last = max([today + timedelta(days=31), *(one.until or one.since for one in standing)])
    last = min(last, today + timedelta(days=TIMELINE_DAYS))
    days = max(1, (last - first).days + 1)

    def place(day: date) -> int:
        return max(0, min(days, (day - first).days)) * WIDTH // days

    strips = []
    for subject in Subject:
        of_subject = sorted(
            (one for one in standing if one.subject is subject), key=lambda one: one.since
        )
        bars = []
        for number, one in enumerate(of_subject):
            end = last if one.until is None else one.until
            if one.until is None and number + 1 < len(of_subject):
                end = of_subject[number + 1].since - timedelta(days=1)
            if end < first or one.since > last:
                continue
            x = place(one.since)
            width = max(3, place(end + timedelta(days=1)) - x)
            text = value_text(one, language, names)
            ends = "" if one.until is None else f" – {date_text(one.until, language)}"
            hint = f"{text}: {date_text(one.since, language)}{ends}"
            room = (width - 12) // LETTER
            shown = text if len(text) <= room else f"{text[: room - 1]}…" if room > 4 else ""
            bars.append(Bar(x, width, shown, hint))
        if bars:
            strips.append(Strip(translate(SUBJECTS[subject]), tuple(bars)))
    years = tuple((year, place(date(year, 1, 1))) for year in range(first.year + 1, last.year + 1))
    return Timeline(first, last, tuple(strips), years, place(today))
