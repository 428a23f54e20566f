"""Reading a bank's file of payments: bytes become rows that can be taken and rows that cannot.

Pure. A file is hostile until it is read: its size, the length of its lines and the number of its
rows are bounded, and what is no payment is said in one sentence a row, with the line. A file that
is none of its kind, or that differs from its control, is refused whole.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, time, timedelta
from enum import StrEnum
from typing import Final

from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.text import Language, filled, gettext, mark, told
from wallet.topups import MOST_MINOR

MOST_BYTES: Final = 32 * 1024 * 1024
MOST_ROWS: Final = 200_000
MOST_REFUSED: Final = 1_000
"""A file of which more rows cannot be read is one of another layout."""
LONGEST_LINE: Final = 4_000
FIRST_YEAR: Final = 2000
DAYS_AHEAD: Final = 366
"""A payment dated later is a slip of the pen."""
WHERE: Final = mark("payment file")


class FileFormat(StrEnum):
    """The layouts of files that banks send."""

    TULA = "tula"
    AGENT = "agent"
    DBF = "dbf"
    ONE_C = "one_c"
    CSV = "csv"


FORMAT_WORDS: Final = {
    FileFormat.TULA: mark("registry of 17 fields"),
    FileFormat.AGENT: mark("registry of an agent, 27 fields"),
    FileFormat.DBF: mark("registry in DBF"),
    FileFormat.ONE_C: mark("bank statement 1CClientBankExchange"),
    FileFormat.CSV: mark("CSV with a heading"),
}


class ControlDiffers(DomainError):
    """The count or total of a file is not what its control says."""

    code = "control_differs"
    template = mark(
        "The file has %(rows)s rows of %(total)s roubles, its control says %(wanted_rows)s of "
        "%(wanted_total)s: nothing was taken."
    )


@dataclass(frozen=True, slots=True)
class FoundReading:
    """A reading of a meter that came with a payment; it is shown, never posted."""

    line: int
    account_text: str
    meter: str
    value: str


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment as a row of a file tells it."""

    line: int
    account_text: str
    """The account as it was written, or found in the purpose; empty where none was."""
    amount_minor: int
    transaction_id: str
    paid_on: date
    paid_time: time | None = None
    payer: str = ""
    purpose: str = ""
    readings: tuple[FoundReading, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not taken, and why; its amount where that could be read."""

    line: int
    problem: str
    """As `filled` keeps it; `problem_text` shows it."""
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """What a bank says its file comes to."""

    rows: int
    total_minor: int
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as it was read; every row that it has is among its payments or refused."""

    format: FileFormat
    encoding: str
    payments: tuple[PaymentRow, ...]
    refused: tuple[RefusedRow, ...]
    control: Control | None = None

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return len(self.payments) + len(self.refused)

    @property
    def total_minor(self) -> int:
        """What all rows come to whose amount can be read."""
        return sum([row.amount_minor for row in self.payments]) + self.refused_minor

    @property
    def refused_minor(self) -> int:
        """What the refused rows come to, where their amounts can be read."""
        return sum([row.amount_minor or 0 for row in self.refused])

    @property
    def readings(self) -> tuple[FoundReading, ...]:
        """All readings of meters that came with the payments."""
        return tuple(reading for row in self.payments for reading in row.readings)


@dataclass(slots=True)
class Fields:
    """The fields of one row while they are read; problems are collected, not raised."""

    line: int
    problems: list[tuple[str, str]] = field(default_factory=list)
    amount_minor: int | None = None

    def wrong(self, name: str, text: str) -> None:
        """Note that a field is not what it must be."""
        self.problems.append((name, text[:40]))

    def match(self, name: str, pattern: re.Pattern[str], text: str) -> str:
        """Return the field if it fits its pattern."""
        if pattern.fullmatch(text) is None:
            self.wrong(name, text)
        return text

    def amount(self, name: str, text: str) -> int:
        """Return an amount in kopecks, more than nothing."""
        try:
            found = parse_minor(text)
        except Invalid:
            self.wrong(name, text)
            return 0
        if not 0 < found <= MOST_MINOR:
            self.wrong(name, text)
            return 0
        self.amount_minor = found
        return found

    def day(self, name: str, text: str, form: re.Pattern[str], today: date) -> date:
        """Return a day by a pattern with the groups `d`, `m` and `y`; neither too old nor ahead."""
        found = form.fullmatch(text)
        if found is not None:
            year = int(found["y"])
            try:
                day = date(
                    year + 2000 if len(found["y"]) == 2 else year, int(found["m"]), int(found["d"])
                )
            except ValueError:
                found = None
            else:
                if day.year >= FIRST_YEAR and day <= today + timedelta(days=DAYS_AHEAD):
                    return day
        self.wrong(name, text)
        return today

    def refused(self) -> RefusedRow | None:
        """Return all that is wrong with the row as one message; None where nothing is."""
        if not self.problems:
            return None
        message = filled(mark("wrong in this row: %(fields)s"), fields=self.problems)
        return RefusedRow(self.line, message, self.amount_minor)


def problem_text(kept: str, language: Language) -> str:
    """Return what is wrong with a row, the names of its fields in the reader's language too."""
    read = json.loads(kept) if kept.startswith("{") else {}
    fields = read.get("values", {}).get("fields")
    if not isinstance(fields, list):
        return told(kept, language)
    listed = "; ".join(f"{gettext(name, language)} «{text}»" for name, text in fields)
    return gettext(read["message"], language) % {"fields": listed}


def wrong_count(line: int, count: int, wanted: int) -> RefusedRow:
    """Return the refusal of a row that has another number of fields."""
    message = mark("there are %(count)s fields instead of %(wanted)s")
    return RefusedRow(line, filled(message, count=count, wanted=wanted))


DOTTED: Final = re.compile(r"(?P<d>\d{2})\.(?P<m>\d{2})\.(?P<y>\d{4})", re.ASCII)
COMPACT: Final = re.compile(r"(?P<d>\d{2})(?P<m>\d{2})(?P<y>\d{2})", re.ASCII)
ISO: Final = re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})", re.ASCII)
ACCOUNT: Final = re.compile(r"\d{1,20}", re.ASCII)
READING: Final = re.compile(r"\d{1,12}(?:[.,]\d{1,4})?", re.ASCII)
METER: Final = re.compile(r"[\w/.-]{1,40}")
NONE: Final = "НЕТ"

ENCODINGS: Final = ("windows-1251", "koi8-r", "cp866")
_SAMPLE: Final = 64 * 1024
_FREQUENT: Final = {
    letter: 8 - place // 4 for place, letter in enumerate("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё")
}
"""Letters of Russian by how common they are."""
_KNOWN: Final = re.compile(r"\bНЕТ\b|СекцияДокумент|НазначениеПлатежа|\b(?:ул|кв|г|д)\.")
_WORD: Final = re.compile(r"[А-Яа-яЁё]+")
_INNER: Final = re.compile(r"[а-яё][А-ЯЁ]")
_ODD: Final = re.compile(r"[^\x00-\x7fА-Яа-яЁё№«»–—\u00a0]")


def decoded(data: bytes) -> tuple[str, str]:
    """Return the text of a file and the encoding it is in; nearly every byte is text in each.

    UTF-8 is certain. Of the others, the one wins in which the text looks most like Russian: common
    letters, no capitals inside words, few signs that no name has.
    """
    if len(data) > MOST_BYTES:
        raise Invalid(
            where=WHERE,
            problem=mark("it is larger than %(limit)s MiB"),
            limit=MOST_BYTES // 1024 // 1024,
        )
    if b"\0" in data:
        raise Invalid(where=WHERE, problem=mark("it is not text"))
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    best, found = None, ""
    for encoding in ENCODINGS:
        try:
            sample = data[:_SAMPLE].decode(encoding)
        except UnicodeDecodeError:
            continue
        score = _looks_russian(sample)
        if best is None or score > best:
            best, found = score, encoding
    try:
        return data.decode(found), found
    except (UnicodeDecodeError, LookupError):
        raise Invalid(where=WHERE, problem=mark("its encoding is not known")) from None


def _looks_russian(text: str) -> int:
    words = _WORD.findall(text)
    common = sum(_FREQUENT.get(letter, 0) for word in words for letter in word.lower())
    inner = sum(len(_INNER.findall(word)) for word in words)
    return common - 20 * inner - 20 * len(_ODD.findall(text)) + 40 * len(_KNOWN.findall(text))


def lines_of(text: str) -> Iterable[tuple[int, str]]:
    """Yield (number, line) of the lines that hold anything; too long or too many are refused."""
    count = 0
    start, number, size = 0, 0, len(text)
    while start < size:
        number += 1
        end = text.find("\n", start)
        end = size if end < 0 else end
        if end - start > LONGEST_LINE:
            raise Invalid(
                where=WHERE,
                problem=mark("line %(line)s is longer than %(most)s characters"),
                line=number,
                most=LONGEST_LINE,
            )
        line = text[start:end].strip("\r\x1a")
        start = end + 1
        if line.strip():
            count += 1
            yield number, line


def gathered(
    lines: Iterable[tuple[int, str]], read_row: Callable[[int, str], PaymentRow | RefusedRow]
) -> tuple[tuple[PaymentRow, ...], tuple[RefusedRow, ...]]:
    """Read the rows one by one; refuse the file where there are too many, or too many are wrong."""
    payments: list[PaymentRow] = []
    refused: list[RefusedRow] = []
    for number, line in lines:
        keep(read_row(number, line), payments, refused)
    return tuple(payments), tuple(refused)


def keep(
    row: PaymentRow | RefusedRow, payments: list[PaymentRow], refused: list[RefusedRow]
) -> None:
    """Put a row where it belongs, within the bounds of a file."""
    if isinstance(row, PaymentRow):
        payments.append(row)
    else:
        refused.append(row)
    if len(payments) + len(refused) > MOST_ROWS:
        raise Invalid(where=WHERE, problem=mark("it has more than %(most)s rows"), most=MOST_ROWS)
    if len(refused) > MOST_REFUSED:
        raise Invalid(
            where=WHERE,
            problem=mark("more than %(most)s of its rows cannot be read, line %(line)s among them"),
            most=MOST_REFUSED,
            line=refused[0].line,
        )


def readings_of(row: Fields, account_text: str, pairs: Sequence[str]) -> tuple[FoundReading, ...]:
    """Return the readings in pairs of meter code and value; `НЕТ` and nothing stand for none."""
    found = []
    for place in range(0, len(pairs) - 1, 2):
        meter, value = pairs[place].strip(), pairs[place + 1].strip()
        if meter in ("", NONE) and value in ("", NONE, "0.00", "0"):
            continue
        if meter != NONE:
            row.match(mark("meter"), METER, meter)
        if value in ("", NONE):
            continue
        row.match(mark("reading"), READING, value)
        found.append(FoundReading(row.line, account_text, meter, value))
    return tuple(found)


def checked(file: ReadFile, control: Control | None, name: str) -> ReadFile:
    """Return the file with its control; refuse the whole file where the two differ."""
    if control is None:
        return file
    if control.file_name and name and control.file_name.casefold() != name.casefold():
        raise Invalid(
            where=mark("control of the payment file"),
            problem=mark("it is for the file %(wanted)s, not for %(name)s"),
            wanted=control.file_name[:100],
            name=name[:100],
        )
    if (file.rows, file.total_minor) != (control.rows, control.total_minor):
        raise ControlDiffers(
            rows=file.rows,
            total=roubles(file.total_minor),
            wanted_rows=control.rows,
            wanted_total=roubles(control.total_minor),
        )
    return replace(file, control=control)


def read_control(data: bytes) -> Control:
    """Read a control: one line with the name of the registry, its number of rows and its total."""
    where = mark("control of the payment file")
    text, _ = decoded(data)
    lines = [line for _, line in lines_of(text)]
    cells = [cell.strip() for cell in lines[0].split(";")] if len(lines) == 1 else []
    if len(cells) == 4 and not cells[3]:
        cells.pop()
    if len(cells) != 3 or not cells[1].isascii() or not cells[1].isdigit() or len(cells[1]) > 9:
        raise Invalid(where=where, problem=mark("it is one line: file name; rows; total"))
    return Control(int(cells[1]), parse_minor(cells[2], where=where), cells[0])


def roubles(minor: int) -> str:
    """Return kopecks as roubles, as files write them."""
    return f"{minor // 100}.{minor % 100:02d}"
