"""Reading rules of the wallet from YAML: one clear refusal that names the place and the field."""

from collections.abc import Callable
from datetime import date, time
from enum import StrEnum
from typing import TypeVar

import yaml

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Fields:
    """The fields of one mapping of a rule file; each is asked for by its kind, none is left over.

    >>> Fields({"days": "20"}, "household").whole("days")
    20
    """

    def __init__(self, entry: object, where: str) -> None:
        if not isinstance(entry, dict):
            raise Invalid(where=where, problem="it holds no fields")
        self._left = dict(entry)
        self.where = where

    def has(self, name: str) -> bool:
        """Say whether an optional field is there and was not read yet."""
        return name in self._left

    def within(self, name: str, read: "Callable[[Fields], T]") -> T:
        """Return what `read` makes of the mapping under a name."""
        return Fields(self._take(name, dict), f"{self.where} {name}").all_by(read)

    def text(self, name: str) -> str:
        """Return a text that is not empty."""
        return self._read(name, _filled_in)

    def whole(self, name: str) -> int:
        """Return a whole number, zero or more."""
        return self._read(name, _whole)

    def flag(self, name: str) -> bool:
        """Return `true` or `false`."""
        return self._read(name, lambda text: {"true": True, "false": False}[text])

    def day(self, name: str) -> date:
        """Return a date such as 2026-12-31."""
        return self._read(name, date.fromisoformat)

    def clock(self, name: str) -> time | None:
        """Return a time of day such as 10:00, or None for `null`."""
        return self._read(name, lambda text: None if text == "null" else time.fromisoformat(text))

    def one_of(self, name: str, kind: type[E]) -> E:
        """Return a member of `kind` by its value."""
        return self._read(name, kind)

    def parsed(self, name: str, read: Callable[[str], T]) -> T:
        """Return what `read` makes of the text; it refuses by a `ValueError`."""
        return self._read(name, read)

    def texts(self, name: str) -> frozenset[str]:
        """Return a list of texts, each once."""
        found = self._take(name, list)
        if not all(isinstance(each, str) for each in found):
            raise self._wrong(name, found)
        return frozenset(found)

    def each(self, name: str, read: "Callable[[Fields], T]") -> tuple[T, ...]:
        """Return what `read` makes of each mapping of a list."""
        found = self._take(name, list)
        return tuple(
            Fields(entry, f"{self.where} {name} {number}").all_by(read)
            for number, entry in enumerate(found, start=1)
        )

    def mapping(self, name: str) -> dict[str, str]:
        """Return texts by keys."""
        found = self._take(name, dict)
        if not all(isinstance(value, str) for value in found.values()):
            raise self._wrong(name, found)
        return found

    def all_by(self, read: "Callable[[Fields], T]") -> T:
        """Return what `read` makes of all fields; one that it does not ask for is refused."""
        try:
            made = read(self)
        except ValueError as fault:
            raise Invalid(
                where=self.where, problem="it has a wrong value: %(fault)s", fault=str(fault)
            ) from None
        for name in self._left:
            raise Invalid(where=self.where, problem="there is no field %(field)s", field=name)
        return made

    def _read(self, name: str, read: Callable[[str], T]) -> T:
        text = self._take(name, str)
        try:
            return read(text)
        except (ValueError, KeyError, ArithmeticError):
            raise self._wrong(name, text) from None

    def _take(self, name: str, kind: type[T]) -> T:
        if name not in self._left:
            raise Invalid(where=self.where, problem="the field %(field)s is missing", field=name)
        found = self._left.pop(name)
        if not isinstance(found, kind):
            raise self._wrong(name, found)
        return found

    def _wrong(self, name: str, found: object) -> Invalid:
        return Invalid(
            where=self.where,
            problem="the field %(field)s cannot be %(text)s",
            field=name,
            text=repr(found)[:80],
        )


def document(text: str, where: str) -> Fields:
    """Return the fields of a rule file; scalars stay text, so that 16.5 per cent is no float."""
    try:
        found = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - scalars stay text
    except yaml.YAMLError:
        raise Invalid(where=where, problem=mark("it is not YAML")) from None
    return Fields(found, where)


def _filled_in(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)
