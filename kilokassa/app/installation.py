"""A new installation: the schema and the one retailer, with requisites that documents may print."""

import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing.models import RetailerRow
from billing.service import RetailerOrder, establish_retailer
from kilokassa.app import schema
from kilokassa.app.wiring import Application
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.text import Language, mark

_WEIGHTS_10: Final = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_WEIGHTS_11: Final = (7, *_WEIGHTS_10)
_WEIGHTS_12: Final = (3, *_WEIGHTS_11)
"""Weights of the check digits of an ИНН, of 10 digits (organisations) or 12 (persons).

Published by the tax service (ФНС) with the forms that hold an ИНН; memory, not checked against an
act. A number that fails is a slip of the pen in every case seen.
"""


class InstalledAlready(DomainError):
    """The database holds an installation."""

    code = "installed_already"
    template = "This database holds the installation of %(name)s already."


def install(application: Application, order: RetailerOrder) -> None:
    """Make the schema and the retailer; no log-in exists until somebody adds a user."""
    check_retailer(order)
    schema.upgrade(application.database)
    with application.database.writing() as session:
        known = session.get(RetailerRow, 1)
        if known is not None:
            raise InstalledAlready(name=known.name)
        establish_retailer(session, order, application.clock)
    _ = application.secret_key


def check_retailer(order: RetailerOrder) -> None:
    """Refuse requisites that cannot be right, with one sentence that names the field."""
    if not order.name.strip():
        raise Invalid(where=mark("name of the retailer"), problem=mark("it is empty"))
    if not is_inn(order.inn):
        raise Invalid(
            where=mark("INN"),
            problem=mark("%(text)s has not 10 or 12 digits, or its check digit is wrong"),
            text=repr(order.inn),
        )
    for where, text, digits in (
        (mark("KPP"), order.kpp, 9),
        (mark("BIC"), order.bic, 9),
        (mark("bank account"), order.bank_account, 20),
        (mark("correspondent account"), order.correspondent_account, 20),
    ):
        optional = where == "KPP" and not text
        if not optional and re.fullmatch(rf"[0-9]{{{digits}}}", text) is None:
            raise Invalid(
                where=where,
                problem=mark("%(text)s has not %(digits)s digits"),
                text=repr(text),
                digits=digits,
            )
    if not order.bank_name.strip():
        raise Invalid(where=mark("name of the bank"), problem=mark("it is empty"))
    if order.page_url and not order.page_url.startswith(("https://", "http://")):
        raise Invalid(
            where=mark("address of the account page"),
            problem=mark("%(text)s does not begin with https://"),
            text=repr(order.page_url),
        )
    _check_zone(order.zone)
    known = {str(language) for language in Language}
    if not order.languages or set(order.languages) - known:
        raise Invalid(
            where=mark("languages"),
            problem=mark("%(text)s is not a list of ru and en"),
            text=repr(",".join(order.languages)),
        )


def is_inn(text: str) -> bool:
    """Say whether `text` is an ИНН whose check digits are right.

    >>> is_inn("7707083893"), is_inn("7707083894"), is_inn("500100732259")
    (True, False, True)
    """
    if re.fullmatch(r"[0-9]{10}|[0-9]{12}", text) is None:
        return False
    digits = [int(digit) for digit in text]
    if len(digits) == 10:
        return digits[9] == _check_digit(digits, _WEIGHTS_10)
    return digits[10] == _check_digit(digits, _WEIGHTS_11) and digits[11] == _check_digit(
        digits, _WEIGHTS_12
    )


def _check_digit(digits: list[int], weights: tuple[int, ...]) -> int:
    pairs = zip(digits, weights, strict=False)
    return sum(digit * weight for digit, weight in pairs) % 11 % 10


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            where=mark("time zone"),
            problem=mark("%(text)s is no zone such as Europe/Moscow"),
            text=repr(name),
        ) from None
