"""The language of an answer, and the filters by which templates show numbers, money and dates."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from flask import Flask, request
from flask_babel import Babel

from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.quantity import gcal, kwh
from kilokassa.core.text import (
    Language,
    amount_text,
    date_text,
    gettext,
    instant_text,
    month_text,
    ngettext,
    number_text,
    sentence,
)
from kilokassa.web.visit import visit
from tariffs.picture_svg import rate_text

LANGUAGE_COOKIE: Final = "language"
THEME_COOKIE: Final = "theme"
THEMES: Final = ("auto", "light", "dark")

_FLASK_LOCALE: Final = {Language.RUSSIAN: "ru_RU", Language.ENGLISH: "en"}


def chosen_language(default: Language, of_user: str | None = None) -> Language:
    """Return the language: what was chosen here, else the user's, else what the browser asks."""
    for wish in (request.cookies.get(LANGUAGE_COOKIE), of_user):
        if wish in set(Language):
            return Language(wish)
    best = request.accept_languages.best_match([str(language) for language in Language])
    return Language(best) if best else default


def chosen_theme() -> str:
    """Return light or dark where one was chosen, else auto: what the machine is set to."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else "auto"


def translate(message: str) -> str:
    """Return a message in the language of the running request."""
    return gettext(message, visit().language)


def counted(one: str, many: str, count: int) -> str:
    """Return the form of a counted message for `count`, filled in."""
    return ngettext(one, many, count, visit().language) % {"count": count}


def install_language(app: Flask) -> None:
    """Give templates `_`, `ngettext` and the filters; tell Flask-Security the locale."""
    Babel(app, locale_selector=lambda: _FLASK_LOCALE[visit().language])
    app.jinja_env.globals.update(_=translate, ngettext=counted)
    app.jinja_env.filters.update(FILTERS)


def shown(value: Decimal) -> str:
    """Return a number as the reader's language writes it."""
    return number_text(value, visit().language)


def _money(amount_minor: int) -> str:
    return amount_text(amount_minor, visit().language)


def _number(value: Decimal | int, decimals: int | None = None) -> str:
    return number_text(value, visit().language, decimals=decimals)


def _kwh(energy_wh: int, decimals: int = 1) -> str:
    return number_text(kwh(energy_wh), visit().language, decimals=decimals)


def _percent(ppm: int, decimals: int = 1) -> str:
    language = visit().language
    gap = "\u00a0" if language is Language.RUSSIAN else ""
    return number_text(Decimal(ppm).scaleb(-4), language, decimals=decimals) + gap + "%"


def _gcal(heat_kcal: int) -> str:
    return number_text(gcal(heat_kcal), visit().language, decimals=4)


def _rate(rate_scaled: int) -> str:
    return rate_text(rate_scaled, visit().language)


def _date(day: date) -> str:
    return date_text(day, visit().language)


def _instant(instant: datetime) -> str:
    return instant_text(instant, visit().zone, visit().language)


def _month(month: Month | int) -> str:
    whole = month if isinstance(month, Month) else Month.from_ordinal(month)
    return month_text(whole, visit().language)


def _area(area_dm2: int) -> str:
    return number_text(Decimal(area_dm2).scaleb(-2), visit().language)


def _refusal(error: DomainError) -> str:
    return sentence(error, visit().language)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "money": _money,
    "number": _number,
    "kwh": _kwh,
    "percent": _percent,
    "gcal": _gcal,
    "rate": _rate,
    "date": _date,
    "instant": _instant,
    "month": _month,
    "area": _area,
    "refusal": _refusal,
}
