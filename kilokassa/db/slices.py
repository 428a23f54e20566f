"""Long lists of keys, cut to what one query can take."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Integer, String, bindparam, select

Item = TypeVar("Item")

IDS_A_QUERY: Final = 5_000
"""Ids in one `IN` list: both databases take more, but plan it slowly."""


def in_slices(items: Iterable[Item], size: int = IDS_A_QUERY) -> Iterator[list[Item]]:
    """Yield `items` in lists short enough for one query.

    >>> list(in_slices("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def among(column: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that `column`, a foreign key, is one of `ids`: in order and each once.

    What was registered together has successive ids: a range of the table they are of asks for them
    without naming each, which takes longer than finding them (measured: 2 µs an id). To the planner
    it is a list all the same, so that a key of two columns is sought by both.
    """
    if ids and ids[-1] - ids[0] + 1 == len(ids) and column.foreign_keys:
        target = next(iter(column.foreign_keys)).column
        return column.in_(select(target).where(target.between(ids[0], ids[-1])))
    return column.in_(bindparam(None, list(ids), type_=Integer(), expanding=True))


def texts(values: Sequence[str]) -> BindParameter[str]:
    """Return a list of texts for `IN`, as one parameter: one a text takes twice as long to make."""
    return bindparam(None, list(values), type_=String(), expanding=True)
