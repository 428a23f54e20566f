"""Which format a file of readings has, told by its first bytes; a name decides nothing."""

from enum import StrEnum
from typing import Final
from xml.parsers import expat

from kilokassa.core.text import mark
from metering.exchange.codes import OTHER_CLASSES
from metering.imports import INTERVALS, REGISTERS, UnreadableFile
from metering.parsers.csv_long import LongCsvReader
from metering.parsers.csv_wide import (
    TurnedCsvReader,
    WideCsvReader,
    detect_turned,
    detect_wide,
)
from metering.parsers.detect import HEADER_MAX_BYTES, detect_layout
from metering.parsers.green_button import GreenButtonReader
from metering.parsers.parquet import MAGIC, ParquetReader
from metering.parsers.safe_xml import BROKEN, ENCODING, new_parser
from metering.parsers.source import Reader
from metering.parsers.xml_80020 import Xml80020Reader

HEAD_BYTES: Final = HEADER_MAX_BYTES
"""How much of a file `detect` needs: more than a header line or what stands before a root."""

NOT_WIDE: Final = mark("the header does not name a point, a date and the times of a day")

_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Format(StrEnum):
    """A format that readings come in."""

    LONG = INTERVALS
    WIDE = "wide"
    TURNED = "turned"
    REGISTERS = REGISTERS
    EXCHANGE = "80020"
    GREEN_BUTTON = "greenbutton"
    PARQUET = "parquet"


def detect(head: bytes, name: str = "") -> Format:
    """Return the format of an unpacked file that begins with `head`, at least its first line.

    What is none of them is refused with a sentence that says what it looks like; `name` only helps
    to say so.
    """
    if head.startswith(MAGIC):
        return Format.PARQUET
    if head.startswith(b"PK\x03\x04"):
        raise UnreadableFile(
            line=1,
            problem=mark("this is a ZIP archive or a workbook; unpack it, or save it as CSV"),
        )
    if head.startswith((b"\xd0\xcf\x11\xe0", b"%PDF")):
        raise UnreadableFile(
            line=1, problem=mark("this is a document, not a file of readings; save it as CSV")
        )
    if _is_xml(head):
        return _xml(head)
    header = head.partition(b"\n")[0].rstrip(b"\r")
    if detect_wide(header) is not None:
        return Format.WIDE
    try:
        layout = detect_layout(header)
    except UnreadableFile:
        if detect_turned(header) is not None:
            return Format.TURNED
        if name.casefold().endswith(".json") or head.lstrip()[:1] in (b"{", b"["):
            raise UnreadableFile(
                line=1, problem=mark("JSON is taken as a request, not as a file")
            ) from None
        raise
    return Format.REGISTERS if layout.is_registers else Format.LONG


def make_reader(
    found: Format, head: bytes, *, unit: str = "kwh", point: str | None = None
) -> Reader:
    """Return a reader for a file of interval values that begins with `head`.

    `unit` is that of values where the format does not say one; `point` names the metering point of
    a Green Button file.
    """
    header = head.partition(b"\n")[0].rstrip(b"\r")
    match found:
        case Format.EXCHANGE:
            return Xml80020Reader()
        case Format.GREEN_BUTTON:
            return GreenButtonReader(point=point)
        case Format.PARQUET:
            return ParquetReader(unit=unit)
        case Format.WIDE:
            wide = detect_wide(header)
            if wide is None:
                raise UnreadableFile(line=1, problem=NOT_WIDE)
            return WideCsvReader(wide, unit=unit)
        case Format.TURNED:
            turned = detect_turned(header)
            if turned is None:
                raise UnreadableFile(line=1, problem=NOT_WIDE)
            return TurnedCsvReader(turned, unit=unit)
        case Format.LONG:
            return LongCsvReader(detect_layout(header), unit=unit)
        case Format.REGISTERS:
            raise ValueError("register readings are no interval values")


def _is_xml(head: bytes) -> bool:
    bare = head.replace(b"\0", b"")
    for bom in _MARKS:
        bare = bare.removeprefix(bom)
    return bare.lstrip()[:1] == b"<"


class _Root(Exception):
    """The first element was met."""


def _xml(head: bytes) -> Format:
    """Read as far as the root element; a document type before it is refused."""
    parser = new_parser(" ")

    def start(name: str, attributes: list[str]) -> None:
        pairs = zip(attributes[::2], attributes[1::2], strict=True)
        raise _Root(name.rpartition(" ")[2], dict(pairs))

    parser.StartElementHandler = start
    try:
        parser.Parse(head, False)
    except _Root as root:
        name, attributes = root.args
    except expat.ExpatError as error:
        raise UnreadableFile(line=error.lineno, problem=BROKEN) from None
    except (LookupError, ValueError):
        raise UnreadableFile(line=1, problem=ENCODING) from None
    else:
        name, attributes = "", {}
    if name == "message" or attributes.get("class") in OTHER_CLASSES:
        return Format.EXCHANGE
    if name in ("feed", "entry"):
        return Format.GREEN_BUTTON
    raise UnreadableFile(
        line=parser.CurrentLineNumber,
        problem=mark("the XML is neither 80020 nor Green Button: its root is %(name)s"),
        name=name[:40] or "«»",
    )
