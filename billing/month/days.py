"""Shares of days: what belongs to a stay of what was counted over more days than it has."""

from datetime import date

from kilokassa.core.money import half_up_ratio


def part_of_days(total: int, whole: tuple[date, date], first: date, end: date) -> int:
    """Return what the days from `first` up to `end` have of a total counted over `whole`.

    What has run up to a day is rounded, half up, and a part is the difference of two such sums: so
    the parts of neighbours add up to the total, into however many the days are cut.

    >>> october = date(2026, 10, 1), date(2026, 11, 1)
    >>> part_of_days(100, october, date(2026, 10, 1), date(2026, 10, 11))
    32
    >>> part_of_days(100, october, date(2026, 10, 11), date(2026, 11, 1))
    68
    """
    begins, ends = whole
    days = (ends - begins).days
    if days == 0:
        return total if first <= begins < end else 0
    before, after = ((min(max(day, begins), ends) - begins).days for day in (first, end))
    return half_up_ratio(total * after, days) - half_up_ratio(total * before, days)
