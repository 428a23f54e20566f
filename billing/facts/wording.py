"""What statements about an account say, as people read and write it."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from billing.facts.facts import Stated, StatedFact, Subject
from kilokassa.core.errors import Invalid
from kilokassa.core.text import Language, gettext, mark, month_text, number_text

SUBJECTS: Final[Mapping[Subject, str]] = {
    Subject.PLAN: mark("Tariff plan"),
    Subject.PERSONS: mark("Persons registered"),
    Subject.CONTRACTED_POWER: mark("Contracted power"),
    Subject.AREA: mark("Area"),
    Subject.ABSENCE: mark("Temporary absence"),
    Subject.CONCESSION: mark("Concession"),
}

_PLACES: Final[Mapping[Subject, int]] = {Subject.AREA: 2, Subject.CONTRACTED_POWER: 3}
"""Decimals that are written of a value that is kept in whole units: m² and kW."""


def value_text(
    one: StatedFact,
    language: Language,
    names: Mapping[str, str],
) -> str:
    """Return what a statement says; `names` are those of plans and concessions by their code."""
    if one.subject in (Subject.PLAN, Subject.CONCESSION):
        return names.get(one.code, one.code)
    value = Decimal(one.value).scaleb(-_PLACES.get(one.subject, 0))
    if one.subject is Subject.CONTRACTED_POWER:
        value = value.normalize() + 0  # 15 kW, not 15.000
    number = number_text(value, language)
    template = {
        Subject.AREA: mark("%(number)s m²"),
        Subject.CONTRACTED_POWER: mark("%(number)s kW"),
        Subject.ABSENCE: mark("away: %(number)s"),
    }.get(one.subject)
    return number if template is None else gettext(template, language) % {"number": number}


def read_value(subject: Subject, text: str) -> int:
    """Read a value as people write it, in m², kW or persons, into the whole units that are kept.

    >>> read_value(Subject.AREA, "54,3"), read_value(Subject.CONTRACTED_POWER, "15")
    (5430, 15000)
    """
    places = _PLACES.get(subject, 0)
    plain = "".join(text.split()).replace(",", ".")
    pattern = r"[0-9]{1,9}" + (rf"(\.[0-9]{{1,{places}}})?" if places else "")
    if not re.fullmatch(pattern, plain):
        problem = mark("%(text)s is not a number such as %(example)s")
        example = {Subject.AREA: "54.3", Subject.CONTRACTED_POWER: "15"}.get(subject, "3")
        raise Invalid(
            where=SUBJECTS[subject], problem=problem, text=repr(text[:40]), example=example
        )
    return int(Decimal(plain).scaleb(places))


def outcome(stated: Stated, language: Language) -> tuple[str, dict[str, object]]:
    """Return what a statement changed as a message with its values."""
    if not stated.changed:
        return mark("That was recorded before."), {}
    months = stated.closed_months
    if not months:
        return mark("It was recorded."), {}
    first, last = month_text(months[0], language), month_text(months[-1], language)
    return (
        mark(
            "It was recorded. Months charged already are recalculated for it: "
            "%(first)s – %(last)s, at the next close or by a recalculation."
        )
        if len(months) > 1
        else mark(
            "It was recorded. A month charged already is recalculated for it: "
            "%(first)s, at the next close or by a recalculation."
        ),
        {"first": first, "last": last},
    )
