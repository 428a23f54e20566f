"""Long lists of keys, cut to what one query can take."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

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
