"""A bank statement as 1C exchanges it: `1CClientBankExchange`, version 1.03.

Lines `KEY=VALUE`; a document lies between `СекцияДокумент=…` and `КонецДокумента`. The account is
found in `Код`, else in the free text of `НазначениеПлатежа`. A document that pays out is passed
over: only what came in to the account of the statement is a payment.
"""

import re
from datetime import date
from typing import Final

from kilokassa.core.errors import Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark
from wallet.payments.reading import (
    DOTTED,
    WHERE,
    Fields,
    FileFormat,
    PaymentRow,
    ReadFile,
    RefusedRow,
    decoded,
    keep,
    lines_of,
    roubles,
)

SIGNATURE: Final = "1CClientBankExchange"
_ACCOUNT: Final = re.compile(r"\d{5,20}", re.ASCII)
_IN_PURPOSE: Final = (
    re.compile(
        r"(?:\bл\s*[/.]?\s*с(?:ч(?:[её]т)?)?|\bлиц(?:евой|евого|\.)?\s*сч(?:[её]та?|\.)?|\bls)"
        r"\s*[:№#.=-]*\s*(\d{5,20})\b",
        re.IGNORECASE,
    ),
)
_BARE: Final = re.compile(r"(?<![\d.,/-])(\d{8,15})(?![\d.,/-]\d|\d)", re.ASCII)
_BANK_ACCOUNT: Final = re.compile(r"\d{20}", re.ASCII)


def is_one_c(data: bytes) -> bool:
    """Say whether the bytes begin as an exchange file does."""
    return data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(SIGNATURE.encode())


def read_one_c(data: bytes, today: date) -> ReadFile:
    """Return the documents of a statement that brought money."""
    text, encoding = decoded(data)
    payments: list[PaymentRow] = []
    refused: list[RefusedRow] = []
    own = ""
    document: dict[str, str] | None = None
    began = 0
    came_minor: int | None = None
    ended = False
    for line, row in lines_of(text):
        key, _, value = row.partition("=")
        key, value = key.strip(), value.strip()
        if key == "СекцияДокумент":
            if document is not None:
                raise _damaged(line)
            document, began = {}, line
        elif key == "КонецДокумента":
            if document is None:
                raise _damaged(line)
            found = _row(began, document, own, today)
            if found is not None:
                keep(found, payments, refused)
            document = None
        elif key == "КонецФайла":
            ended = True
        elif document is not None:
            document.setdefault(key, value)
        elif key == "РасчСчет" and not own:
            own = value
        elif key == "ВсегоПоступило" and value:
            came_minor = (came_minor or 0) + parse_minor(value, where=WHERE)
    if document is not None or not ended:
        raise Invalid(where=WHERE, problem=mark("it is cut short"))
    file = ReadFile(FileFormat.ONE_C, encoding, tuple(payments), tuple(refused))
    if came_minor is not None and came_minor != file.total_minor:
        raise Invalid(
            where=WHERE,
            problem=mark("its documents come to %(found)s roubles, the statement says %(wanted)s"),
            found=roubles(file.total_minor),
            wanted=roubles(came_minor),
        )
    return file


def account_in(code: str, purpose: str) -> str:
    """Return the account that a document is for: by its code, by its purpose, or empty.

    Named in the purpose it counts; else one bare number does, and of several none.

    >>> account_in("", "ЛС: 50133547364"), account_in("", "Оплата за свет л/с №2799000004 за май")
    ('50133547364', '2799000004')
    >>> account_in("", "договор 2799000004 от 01.02.2026"), account_in("", "27990000 и 27990001")
    ('2799000004', '')
    """
    if _ACCOUNT.fullmatch(code) and code.strip("0"):
        return code
    for pattern in _IN_PURPOSE:
        named = {found.group(1) for found in pattern.finditer(purpose)}
        if named:
            return named.pop() if len(named) == 1 else ""
    bare = set(_BARE.findall(purpose))
    return bare.pop() if len(bare) == 1 else ""


def _row(
    line: int, document: dict[str, str], own: str, today: date
) -> PaymentRow | RefusedRow | None:
    payee = document.get("ПолучательСчет") or document.get("ПолучательРасчСчет", "")
    payer = document.get("ПлательщикСчет") or document.get("ПлательщикРасчСчет", "")
    if own and payee != own:
        return None
    fields = Fields(line)
    amount_minor = fields.amount(mark("sum"), document.get("Сумма", ""))
    number = fields.match(mark("number"), re.compile(r"[\w/-]{1,20}"), document.get("Номер", ""))
    dated = document.get("Дата", "")
    fields.day(mark("day of the order"), dated, DOTTED, today)
    came = document.get("ДатаПоступило") or dated
    paid_on = fields.day(mark("day of payment"), came, DOTTED, today)
    if payer:
        fields.match(mark("account of the payer"), _BANK_ACCOUNT, payer)
    purpose = document.get("НазначениеПлатежа", "")
    return fields.refused() or PaymentRow(
        line,
        account_in(document.get("Код", ""), purpose),
        amount_minor,
        f"{number}/{dated}/{payer or '-'}",
        paid_on,
        payer=(document.get("Плательщик1") or document.get("Плательщик", ""))[:200],
        purpose=purpose[:500],
    )


def _damaged(line: int) -> Invalid:
    return Invalid(where=WHERE, problem=mark("its sections do not close, line %(line)s"), line=line)
