"""What the 80020 exchange format means: its codes as data, its file names, its time zones.

The format is known from public exporters and importers; what nobody published is marked *memory* in
`docs/reference/80020.md` and stands here as a table, so that another meaning is a line of data.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from kilokassa.core.errors import DomainError
from kilokassa.core.series import Quality
from kilokassa.core.text import mark

MESSAGE_CLASS: Final = "80020"
OTHER_CLASSES: Final[Mapping[str, str]] = {
    "80040": mark("the message is of class 80040, a part of a day; only 80020 is taken"),
    "51070": mark(
        "the message is of class 51070, delivery points instead of metering points; "
        "only 80020 is taken"
    ),
}
"""Classes of the same family that are not taken (memory): what is said of them."""

CHANNELS: Final[Mapping[str, str]] = {"01": "A+", "02": "A-", "03": "R+", "04": "R-"}
"""Channel codes of the format and ours; 02 was seen, the others are from memory."""

CHANNEL_TEXTS: Final[Mapping[str, str]] = {
    "A+": "активная, приём",
    "A-": "активная, отдача",
    "R+": "реактивная, приём",
    "R-": "реактивная, отдача",
}
"""What stands in `desc`: words of the format, whose files are Russian."""

STATUSES: Final[Mapping[str, Quality]] = {
    "": Quality.ACTUAL,
    "0": Quality.ACTUAL,
    "1": Quality.ESTIMATED,
}
"""What `status` says of a value (memory): 1 is not trustworthy, so it never counts as measured."""

TIME_ZONES: Final[Mapping[str, str]] = {"1": "Europe/Moscow"}
"""IANA names of the numbers in `area timezone` (memory); Moscow keeps UTC+3 since 2014.

An area without a number keeps the local time of each point's building.
"""

INN_PATTERN: Final = re.compile(r"\d{10}|\d{12}")


@dataclass(frozen=True, slots=True)
class ExchangeArea:
    """An area of a file and the time zone it stated, empty where it stated none."""

    sender_inn: str
    area_inn: str
    timezone: str


class TimeZoneChanged(DomainError):
    """An area came with another time zone than in the files before."""

    code = "time_zone_changed"
    template = mark(
        "Sender %(sender)s, area %(area)s: the time zone was %(before)s in the files before and is "
        "%(now)s in this one; every reading would move. Nothing was loaded. If the sender "
        "confirms the change, import the file with the new time zone accepted."
    )

    def __init__(self, area: ExchangeArea, before: str) -> None:
        super().__init__(
            sender=area.sender_inn,
            area=area.area_inn,
            before=before or "«»",
            now=area.timezone or "«»",
        )


def check_time_zones(
    areas: Iterable[ExchangeArea], known: Mapping[tuple[str, str], str], *, accept: bool = False
) -> tuple[ExchangeArea, ...]:
    """Return the areas to be remembered: those not met before, or changed and accepted.

    `known` has the time zone by sender and area. A changed one is refused unless `accept`.
    """
    fresh = []
    for area in areas:
        before = known.get((area.sender_inn, area.area_inn))
        if before == area.timezone:
            continue
        if before is not None and not accept:
            raise TimeZoneChanged(area, before)
        fresh.append(area)
    return tuple(fresh)


def file_name(sender_inn: str, day: date, number: int, area_inn: str) -> str:
    """Return what the file of a day is called.

    >>> file_name("7700000000", date(2026, 10, 1), 1056, "7700000001")
    '80020_7700000000_20261001_1056_7700000001.xml'
    """
    return f"{MESSAGE_CLASS}_{sender_inn}_{day:%Y%m%d}_{number}_{area_inn}.xml"
