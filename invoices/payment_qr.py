"""The payment string of ГОСТ Р 56042-2014 and its QR code, which every bank's app reads.

Layout (S20, S21): `ST` `0001` encoding digit, separator, then `KEY=VALUE` pairs between separators;
the five mandatory fields come first and in their order. Windows-1251 makes a code of fewer modules
than UTF-8 does, so UTF-8 is written only where a character demands it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import segno

from invoices.payment_document import Requisites
from kilokassa.core.calendar import Month
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark

ENCODINGS: Final = {"1": "windows-1251", "2": "utf-8", "3": "koi8-r"}
SEPARATORS: Final = "|~^#;$!*@`"
"""Tried in order: the usual one, then characters that names and addresses hardly hold."""

RECOMMENDED_BYTES: Final = 300
"""Upper size of a payload that phones read well from paper; recalled, not read in the standard."""

NAME_CHARACTERS: Final = 160
BANK_NAME_CHARACTERS: Final = 45
PURPOSE_CHARACTERS: Final = 210
PURPOSE_LEAST: Final = 30
"""Purpose is not cut below this: a payer would have to type one."""

MASK: Final = 2
"""A fixed mask is as readable and takes a quarter of the time that choosing the best one does."""

QUIET_MODULES: Final = 4
"""The empty border that ISO/IEC 18004 asks for."""

PIXELS_A_MODULE: Final = 4
"""At one pixel a module some viewers blur the edges."""

_EXACT_DIGITS: Final = {"PersonalAcc": 20, "BIC": 9}
_FIELD_NAMES: Final = (
    "Name",
    "PersonalAcc",
    "BankName",
    "BIC",
    "CorrespAcc",
    "Sum",
    "Purpose",
    "PayeeINN",
    "KPP",
    "PayerAddress",
    "PersAcc",
    "PaymPeriod",
    "LastName",
    "FirstName",
    "MiddleName",
)
_CANONICAL: Final = {name.casefold(): name for name in _FIELD_NAMES}


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that a code asks for; without a sum the payer enters one."""

    payee: Requisites
    account_number: str
    purpose: str
    sum_minor: int | None = None
    month: Month | None = None
    payer_address: str = ""


class NotAPaymentString(ValueError):
    """The bytes are not a payment string of the standard."""


def payment_payload(payment: Payment) -> bytes:
    """Return the payment string in bytes, shortened to the size that reads well where it can be.

    Purpose and payer's address give way, in this order; requisites, the sum and the account number
    never do, even where they alone are longer than what is recommended.
    """
    if payment.sum_minor is not None and payment.sum_minor <= 0:
        raise ValueError(f"a code asks for a positive sum: {payment.sum_minor}")
    fields = _fields(payment)
    digit = "1" if all(_fits_1251(value) for value in fields.values()) else "2"
    encoding = ENCODINGS[digit]
    excess = len(_join(fields, digit, "|").encode(encoding)) - RECOMMENDED_BYTES
    for name, least in (("Purpose", PURPOSE_LEAST), ("PayerAddress", 0)):
        if excess > 0 and name in fields:
            excess -= _shorten(fields, name, excess, least, encoding)
    return _join(fields, digit, _separator(fields)).encode(encoding)


def read_payment(payload: bytes) -> dict[str, str]:
    """Read a payment string as forgiving readers do.

    Keys may be in any case, a separator may trail, and the encoding digit may lie: bytes that are
    well-formed UTF-8 beyond ASCII are taken as such whatever the digit says.

    >>> read_payment(b"ST00012|Name=A|PERSACC=42|")["PersAcc"]
    '42'
    """
    head = re.match(rb"ST0001([123])(.)", payload, re.DOTALL)
    if head is None:
        raise NotAPaymentString(f"it begins with {payload[:8]!r}")
    text = _decode(payload[head.end() :], ENCODINGS[head[1].decode()])
    fields: dict[str, str] = {}
    for pair in text.split(head[2].decode("latin-1")):
        if not pair:
            continue
        name, equals, value = pair.partition("=")
        if not equals:
            raise NotAPaymentString(f"{pair!r} has no value")
        fields[_CANONICAL.get(name.casefold(), name)] = value
    return fields


def qr_png(payload: bytes) -> bytes:
    """Return the code as a PNG: drawn faster than any path, and sharp at every enlargement."""
    code = segno.make(payload, error="m", mask=MASK, mode="byte", boost_error=False, micro=False)
    image = BytesIO()
    code.save(image, kind="png", scale=PIXELS_A_MODULE, border=QUIET_MODULES)
    return image.getvalue()


def _fields(payment: Payment) -> dict[str, str]:
    payee = payment.payee
    fields = {
        "Name": _tidy(payee.name)[:NAME_CHARACTERS].rstrip(),
        "PersonalAcc": payee.bank_account,
        "BankName": _tidy(payee.bank_name)[:BANK_NAME_CHARACTERS].rstrip(),
        "BIC": payee.bic,
        "CorrespAcc": payee.correspondent_account,
    }
    for name, value in fields.items():
        if not value:
            raise Invalid(where=name, problem=mark("a payment code cannot do without it"))
    for name, digits in _EXACT_DIGITS.items():
        if not re.fullmatch(rf"\d{{{digits}}}", fields[name]):
            raise Invalid(
                where=name,
                problem=mark("%(text)s is not a number of %(digits)s digits"),
                text=repr(fields[name]),
                digits=digits,
            )
    if payment.sum_minor is not None:
        fields["Sum"] = str(payment.sum_minor)
    if payment.purpose:
        fields["Purpose"] = _tidy(payment.purpose)[:PURPOSE_CHARACTERS].rstrip()
    if payee.inn:
        fields["PayeeINN"] = payee.inn
    if payee.kpp:
        fields["KPP"] = payee.kpp
    if payment.payer_address:
        fields["PayerAddress"] = _tidy(payment.payer_address)
    fields["PersAcc"] = payment.account_number
    if payment.month is not None:
        fields["PaymPeriod"] = f"{payment.month.number:02d}{payment.month.year}"
    return fields


def _tidy(text: str) -> str:
    """Return `text` on one line with single, ordinary spaces."""
    return " ".join(text.split())


def _fits_1251(text: str) -> bool:
    try:
        text.encode("windows-1251")
    except UnicodeEncodeError:
        return False
    return True


def _separator(fields: Mapping[str, str]) -> str:
    """Return the first separator that no value holds."""
    text = "".join(fields.values())
    free = [separator for separator in SEPARATORS if separator not in text]
    if not free:
        raise Invalid(where=fields["PersAcc"], problem=mark("every separator occurs in a value"))
    return free[0]


def _join(fields: Mapping[str, str], digit: str, separator: str) -> str:
    pairs = [f"{name}={value}" for name, value in fields.items()]
    return separator.join([f"ST0001{digit}", *pairs])


def _shorten(fields: dict[str, str], name: str, excess: int, least: int, encoding: str) -> int:
    """Cut a field by up to `excess` bytes, drop it where nothing is left; return bytes won."""
    old = fields[name]
    new = old
    while len(new) > least and len(old.encode(encoding)) - len(new.encode(encoding)) < excess:
        new = new[:-1]
    new = new.rstrip(" ,.;")
    won = len(old.encode(encoding)) - len(new.encode(encoding))
    if new:
        fields[name] = new
        return won
    del fields[name]
    return won + len(f"|{name}=")


def _decode(data: bytes, declared: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    encoding = "windows-1251" if declared == "utf-8" else declared
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotAPaymentString(f"neither UTF-8 nor {encoding}") from error
