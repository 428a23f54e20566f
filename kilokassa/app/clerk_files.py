"""CSV files that clerks keep in a spreadsheet: text, rows and columns, and what a line lacks.

What is wrong with single lines is collected, so that a clerk corrects a file once and not line by
line; a file that is none of its kind is refused by raising, `where` naming the kind.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.text import mark

EMAIL: Final = re.compile(r"[^\s@;,<>]+@[^\s@;,<>]+\.[^\s@;,<>]+")
RUSSIAN_DATE: Final = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})")

_MAX_BYTES: Final = 256 * 1024 * 1024


class RefusedLine(DomainError):
    """One field of one line that cannot be accepted, and why."""

    code = "refused_line"
    template = "Line %(line)s, field %(field)s: %(problem)s."

    def __init__(self, *, line: int, field: str, problem: str, **values: object) -> None:
        super().__init__(line=line, field=field, problem=problem, **values)

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the problem in the reader's language too."""
        problem = translate(self.values["problem"]) % self.values
        return translate(self.template) % (self.values | {"problem": problem})


class BadField(Exception):
    """A field that cannot be read; becomes a `RefusedLine` with its line."""

    def __init__(self, field: str, problem: str, **values: object) -> None:
        super().__init__(problem)
        self.field, self.problem, self.values = field, problem, values

    def in_line(self, line: int) -> RefusedLine:
        """Return the refusal of the field in its line."""
        return RefusedLine(line=line, field=self.field, problem=self.problem, **self.values)


def decode_text(data: bytes, where: str) -> str:
    """Return the text of a file in UTF-8 or windows-1251; refuse any other encoding.

    Nearly all bytes are some text in windows-1251, so its result is looked at: Russian in KOI8-R or
    CP866, read as windows-1251, has capitals inside words or many signs that no name has.
    """
    if len(data) > _MAX_BYTES:
        raise Invalid(
            where=where,
            problem="it is larger than %(limit)s MiB",
            limit=_MAX_BYTES // 1024 // 1024,
        )
    if b"\0" not in data:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        try:
            text = data.decode("windows-1251")
        except UnicodeDecodeError:
            text = ""
        if text and _reads_as_russian(text):
            return text
    raise Invalid(where=where, problem="it is neither in UTF-8 nor in windows-1251")


_ODD_SIGNS: Final = re.compile(r"[^\x00-\x7fА-Яа-яЁё№«»–—…“”„°’\u00a0]")
_INNER_CAPITAL: Final = re.compile(r"[а-яё][А-ЯЁ]")
_RUSSIAN_WORD: Final = re.compile(r"[А-Яа-яЁё]{2,}")


def _reads_as_russian(text: str) -> bool:
    beyond_ascii = sum(1 for sign in text if sign > "\x7f")
    words = _RUSSIAN_WORD.findall(text)
    inner = sum(1 for word in words if _INNER_CAPITAL.search(word))
    return len(_ODD_SIGNS.findall(text)) * 20 <= beyond_ascii and inner * 5 <= len(words)


def csv_rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of the rows that hold anything, the heading first."""
    heading = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(";,\t", key=heading.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as problem:
        raise Invalid(
            where=where,
            problem="line %(line)s cannot be read: %(reason)s",
            line=reader.line_num,
            reason=str(problem),
        ) from problem


def columns_of(
    heading: Sequence[str],
    titles: Mapping[str, str],
    required: Sequence[str],
    *,
    where: str,
    unknown: str,
) -> tuple[str, ...]:
    """Return what each column holds; `titles` are the Russian headings by name.

    `unknown` is what is said of a column that the kind of file does not have.
    """
    names = {title: name for name, title in titles.items()} | {name: name for name in titles}
    found: list[str] = []
    for cell in heading:
        name = names.get(cell.strip().lower())
        if name is None:
            raise Invalid(where=where, problem=unknown, column=repr(cell.strip()))
        if name in found:
            raise Invalid(where=where, problem="the column %(column)s comes twice", column=name)
        found.append(name)
    missing = [name for name in required if name not in found]
    if missing:
        raise Invalid(
            where=where, problem="it lacks the columns %(columns)s", columns=", ".join(missing)
        )
    return tuple(found)


def fields_of(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row by the names of their columns, without the blanks around them."""
    if len(cells) != len(columns):
        raise BadField(
            "#",
            mark("there are %(count)s fields instead of %(wanted)s"),
            count=len(cells),
            wanted=len(columns),
        )
    return {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
