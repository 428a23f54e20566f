"""Slips of the finger in the number of an account, and whose money in suspense may be; pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from kilokassa.core.text import mark

ONE_DIGIT: Final = mark("the number differs by one digit")
TRANSPOSED: Final = mark("two neighbouring digits change places")
MISSING: Final = mark("a digit is missing or too many")


def slips(text: str) -> Iterator[tuple[str, str]]:
    """Yield numbers that a slip of the finger turns into `text`, each with the slip."""
    if not (text.isascii() and text.isdigit() and 4 <= len(text) <= 20):
        return
    for place in range(len(text) + 1):
        head, tail = text[:place], text[place:]
        for digit in "0123456789":
            yield head + digit + tail, MISSING
            if tail:
                yield head + digit + tail[1:], ONE_DIGIT
        if tail:
            yield head + tail[1:], MISSING
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:], TRANSPOSED


def family(name: str) -> str:
    """Return the first word of a name in small letters; empty where it is hardly one.

    >>> family("ИВАНОВ И.И."), family("И. И.")
    ('иванов', '')
    """
    first = name.split()[0].strip(".,").casefold() if name.split() else ""
    return first if len(first) > 2 else ""


def digit_words(text: str) -> Iterator[str]:
    """Yield the words of a text that may be the number of an account."""
    for word in text.split()[:40]:
        plain = word.strip(".,;:()№#\"'")
        if plain.isascii() and plain.isdigit() and 4 <= len(plain) <= 20:
            yield plain


def may_be_of(
    money: Iterable[tuple[str, str, str, int]], accounts: Mapping[str, tuple[str, int]]
) -> dict[str, int]:
    """Return what of money without an account may be of each, in kopecks, by its number.

    Money is (account as written, purpose, payer, kopecks); an account has a name and what it owes.
    A number alike, the same family name or the very sum is enough: one sum may be of many.
    """
    waiting = list(money)
    if not waiting:
        return {}
    by_number: dict[str, set[str]] = {}
    by_family: dict[str, set[str]] = {}
    by_debt: dict[int, set[str]] = {}
    for number, (name, owed_minor) in accounts.items():
        for written in (number, *(near for near, _ in slips(number))):
            by_number.setdefault(written, set()).add(number)
        by_family.setdefault(family(name), set()).add(number)
        by_debt.setdefault(owed_minor, set()).add(number)
    found: dict[str, int] = {}
    for written, purpose, payer, amount_minor in waiting:
        alike = set(by_debt.get(amount_minor, ()))
        for text in (written, *digit_words(purpose)):
            alike |= by_number.get(text, set())
        if family(payer):
            alike |= by_family.get(family(payer), set())
        for number in alike:
            found[number] = found.get(number, 0) + amount_minor
    return found
