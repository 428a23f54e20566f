"""The two languages of the product: catalogues, numbers, money and dates as people read them."""

import json
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from io import BytesIO
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, get_month_names
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from kilokassa.core.calendar import Month
from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import DomainError


class Language(StrEnum):
    """A language of pages, documents and notices."""

    RUSSIAN = "ru"
    ENGLISH = "en"


def gettext(message: str, language: Language) -> str:
    """Return `message`, an English sentence of the code, in `language`."""
    if language is Language.ENGLISH:
        return message
    found = _catalogue(language).get(message)
    return found[0] if found else message


def ngettext(one: str, many: str, count: int, language: Language) -> str:
    """Return the form of a counted message for `count`; it may hold `%(count)s`."""
    if language is Language.ENGLISH:
        return one if count == 1 else many
    found = _catalogue(language).get(one)
    if found is None or len(found) < 3:
        return one if count == 1 else many
    return found[_russian_form(count)]


def mark(message: str) -> str:
    """Mark a message for the catalogues and return it as it is: it is translated where shown."""
    return message


def filled(message: str, **values: object) -> str:
    """Return a marked message with what fills it in, as one text to keep until `told` shows it.

    A value `problem` is a message itself, over the same values.
    """
    return canonical_json({"message": message, "values": values})


def told(kept: str, language: Language) -> str:
    """Return a kept message in `language`: a marked one as it is, or one that `filled` made.

    >>> told(
    ...     filled("The tariff %(plan)s cannot: %(problem)s.", plan="a", problem="no %(n)s", n=1),
    ...     Language.ENGLISH,
    ... )
    'The tariff a cannot: no 1.'
    """
    if not kept.startswith("{"):
        return gettext(kept, language)
    read = json.loads(kept)
    values = read["values"]
    if "problem" in values:
        values = values | {"problem": gettext(values["problem"], language) % values}
    return str(gettext(read["message"], language) % values)


def sentence(error: DomainError, language: Language) -> str:
    """Return the sentence of a refusal in `language`."""
    return error.sentence(lambda message: gettext(message, language))


def amount_text(amount_minor: int, language: Language, *, unit: bool = True) -> str:
    """Return minor units as people read money: `1 234,56 ₽` or `₽1,234.56`; a true minus sign.

    >>> amount_text(-245787, Language.ENGLISH)
    '−₽2,457.87'
    """
    sign = "−" if amount_minor < 0 else ""
    digits = format_decimal(Decimal(abs(amount_minor)).scaleb(-2), "#,##0.00", locale=str(language))
    if not unit:
        return f"{sign}{digits}"
    if language is Language.RUSSIAN:
        return f"{sign}{digits}\u00a0₽"
    return f"{sign}₽{digits}"


def number_text(value: Decimal | int, language: Language, *, decimals: int | None = None) -> str:
    """Return an exact number with the language's marks; `decimals` fixes how many are shown."""
    pattern = (
        "#,##0.#########" if decimals is None else "#,##0" + ("." + "0" * decimals) * (decimals > 0)
    )
    sign = "−" if value < 0 else ""
    return sign + format_decimal(value if value >= 0 else -value, pattern, locale=str(language))


def date_text(day: date, language: Language) -> str:
    """Return a date in the short form of the language: `05.10.2026` or `5 Oct 2026`."""
    pattern = "dd.MM.yyyy" if language is Language.RUSSIAN else "d MMM yyyy"
    return format_date(day, pattern, locale=str(language))


def instant_text(instant: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return an instant as date and minute in `zone`."""
    pattern = "dd.MM.yyyy HH:mm" if language is Language.RUSSIAN else "d MMM yyyy, HH:mm"
    return format_datetime(instant.astimezone(zone), pattern, locale=str(language))


def month_text(month: Month, language: Language) -> str:
    """Return a month with its year: `октябрь 2026` or `October 2026`."""
    name = get_month_names("wide", "stand-alone", locale=str(language))[month.number]
    return f"{name} {month.year}"


@cache
def _catalogue(language: Language) -> dict[str, tuple[str, ...]]:
    """Read every `.po` file of the language, shipped in `kilokassa/locale`; the first word wins.

    Read at first use, some tens of milliseconds: so there is no compiled file that could be stale.
    """
    messages: dict[str, tuple[str, ...]] = {}
    folder = files("kilokassa") / "locale" / str(language)
    for entry in sorted(folder.iterdir(), key=lambda file: file.name):
        if not entry.name.endswith(".po"):
            continue
        for message in read_po(BytesIO(entry.read_bytes()), locale=str(language)):
            one = message.id if isinstance(message.id, str) else message.id[0]
            text = message.string or ""
            forms = (text,) if isinstance(text, str) else tuple(text)
            if one and all(forms):
                messages.setdefault(one, forms)
    return messages


def _russian_form(count: int) -> int:
    """Return the plural form: 1 день, 2 дня, 5 дней (Unicode CLDR plural rules, ru)."""
    last, last_two = abs(count) % 10, abs(count) % 100
    if last == 1 and last_two != 11:
        return 0
    return 1 if 2 <= last <= 4 and not 12 <= last_two <= 14 else 2
