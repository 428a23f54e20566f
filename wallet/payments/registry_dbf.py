"""A registry in DBF (dBase III): a header that names the fields, then records of fixed length.

Read here, in a few bounded lines: the libraries for it open files by name, trust the lengths that
the header states, and have had no release for years (decision 0071).
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from wallet.payments.reading import (
    ACCOUNT,
    ISO,
    LONGEST_LINE,
    MOST_BYTES,
    MOST_ROWS,
    WHERE,
    Fields,
    FileFormat,
    FoundReading,
    PaymentRow,
    ReadFile,
    RefusedRow,
    decoded,
    keep,
    readings_of,
)

_HEADER: Final = 32
_END_OF_FIELDS: Final = 0x0D
_PAGES: Final[Mapping[int, str]] = {0x26: "cp866", 0x65: "cp866", 0xC9: "windows-1251"}
"""Language drivers of the header by which the text is read; any other is recognized."""
_NUMBERED: Final = re.compile(r"[\w]+_[\w]+_[\w]+_[\w]+_[Dd]\d{8}")
_METERS: Final = re.compile(r"(?:XV|GV)_\d{1,2}|ELEC_[DN]")
REQUIRED: Final = ("L_SH", "DATE_PAY", "SUM")


def is_dbf(data: bytes) -> bool:
    """Say whether the bytes begin as a DBF file does."""
    dated = len(data) > _HEADER and 1 <= data[2] <= 12 and 1 <= data[3] <= 31
    return dated and data[0] in (0x03, 0x30, 0x83, 0x8B, 0xF5)


def read_dbf(data: bytes, today: date, name: str, digest: str) -> ReadFile:
    """Return the records of a registry in DBF.

    It has no number of a transaction: a record is known by the name of its registry and its place
    in it. A name that is not that of a registry gives way to the digest of the content.
    """
    if len(data) > MOST_BYTES:
        raise Invalid(
            where=WHERE,
            problem=mark("it is larger than %(limit)s MiB"),
            limit=MOST_BYTES // 1024 // 1024,
        )
    count = int.from_bytes(data[4:8], "little")
    header = int.from_bytes(data[8:10], "little")
    length = int.from_bytes(data[10:12], "little")
    columns = _columns(data, header, length)
    if count > MOST_ROWS:
        raise Invalid(where=WHERE, problem=mark("it has more than %(most)s rows"), most=MOST_ROWS)
    if not 1 < length <= LONGEST_LINE or len(data) < header + count * length:
        raise Invalid(where=WHERE, problem=mark("it is cut short"))
    body = data[header : header + count * length]
    encoding = _PAGES.get(data[29]) or decoded(body.replace(b"\0", b" "))[1]
    stem = name.rsplit(".", 1)[0]
    registry = stem if _NUMBERED.fullmatch(stem) else digest[:16]
    payments: list[PaymentRow] = []
    refused: list[RefusedRow] = []
    for place in range(count):
        record = body[place * length : (place + 1) * length]
        if record[:1] == b"*":
            continue  # deleted by whoever wrote the file
        texts = {
            column: record[start:end].decode(encoding, "replace").replace("\0", " ").strip()
            for column, (start, end) in columns.items()
        }
        keep(_row(place + 1, texts, registry, today), payments, refused)
    return ReadFile(FileFormat.DBF, encoding, tuple(payments), tuple(refused))


def _columns(data: bytes, header: int, length: int) -> dict[str, tuple[int, int]]:
    """Return where in a record each field lies; a header that lies about it is refused."""
    found: dict[str, tuple[int, int]] = {}
    start, at = 1, _HEADER
    while at + _HEADER <= min(header, len(data)) and data[at] != _END_OF_FIELDS:
        name = data[at : at + 11].split(b"\0")[0].decode("ascii", "replace").upper()
        end = start + data[at + 16]
        # A field of no width costs nothing in the file and a step for every record.
        if not start < end <= length or name in found:
            raise Invalid(where=WHERE, problem=mark("the header of the DBF file is damaged"))
        found[name] = (start, end)
        start, at = end, at + _HEADER
    if any(name not in found for name in REQUIRED):
        raise Invalid(
            where=WHERE,
            problem=mark("it lacks one of the fields %(fields)s"),
            fields=", ".join(REQUIRED),
        )
    return found


def _row(
    place: int, texts: Mapping[str, str], registry: str, today: date
) -> PaymentRow | RefusedRow:
    fields = Fields(place)
    account = fields.match(mark("account"), ACCOUNT, texts["L_SH"])
    amount_minor = fields.amount(mark("sum"), texts["SUM"])
    compact = texts["DATE_PAY"]
    written = f"{compact[:4]}-{compact[4:6]}-{compact[6:]}" if len(compact) == 8 else compact
    paid_on = fields.day(mark("day of payment"), written, ISO, today)
    readings: list[FoundReading] = []
    for name, text in texts.items():
        if _METERS.fullmatch(name) and text and text.strip("0."):
            readings += readings_of(fields, account, [name, text])
    return fields.refused() or PaymentRow(
        place,
        account,
        amount_minor,
        f"{registry}/{place}",
        paid_on,
        purpose=" ".join(filter(None, (texts.get("ADRESS", ""), texts.get("BAR_CODE", ""))))[:500],
        readings=tuple(readings),
    )
