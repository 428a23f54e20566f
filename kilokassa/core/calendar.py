"""Local days and months as periods; the two doors between local time and UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kilokassa.core.errors import Invalid
from kilokassa.core.period import Period


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month, such as 2026-10; a billing period is one of them in a zone."""

    year: int
    number: int

    def __post_init__(self) -> None:
        if not (1900 <= self.year <= 9998 and 1 <= self.number <= 12):
            raise ValueError(f"not a month: {self.year}-{self.number}")

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read `2026-10`.

        >>> str(Month.parse("2026-10").plus(3))
        '2027-01'
        """
        if not re.fullmatch(r"(19|2\d)\d{2}-(0[1-9]|1[0-2])", text):
            raise Invalid(
                where="month", problem="%(text)s is not a month such as 2026-10", text=repr(text)
            )
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def of(cls, day: date) -> "Month":
        """Return the month that `day` lies in."""
        return cls(day.year, day.month)

    @classmethod
    def from_ordinal(cls, ordinal: int) -> "Month":
        """Return the month with this `ordinal`."""
        year, number = divmod(ordinal, 12)
        return cls(year, number + 1)

    @property
    def ordinal(self) -> int:
        """Months since the year 0: how a month is kept in the database (`…_month`)."""
        return self.year * 12 + self.number - 1

    @property
    def first_day(self) -> date:
        """The first local day of the month."""
        return date(self.year, self.number, 1)

    @property
    def days(self) -> tuple[date, ...]:
        """Every local day of the month, in order."""
        count = (self.plus(1).first_day - self.first_day).days
        return tuple(self.first_day + timedelta(days=n) for n in range(count))

    def plus(self, months: int) -> "Month":
        """Return the month so many later, or earlier."""
        return Month.from_ordinal(self.ordinal + months)

    def period(self, zone: ZoneInfo) -> Period:
        """Return the month as people in `zone` live it."""
        return Period(
            local_midnight(self.first_day, zone), local_midnight(self.plus(1).first_day, zone)
        )


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which `day` begins in `zone`."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def local_day(day: date, zone: ZoneInfo) -> Period:
    """Return `day` as people in `zone` live it: 23, 24 or 25 hours, rarely another length."""
    return Period(local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone))


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the date that a calendar on the wall in `zone` shows at `instant`."""
    return instant.astimezone(zone).date()


def intervals_in_day(day: date, zone: ZoneInfo, interval_min: int) -> int:
    """Return how many intervals of `interval_min` minutes the local day holds."""
    minutes, rest = divmod(local_day(day, zone).length, timedelta(minutes=interval_min))
    if rest:
        raise ValueError(
            f"{day} in {zone.key} is no whole number of {interval_min}-minute intervals"
        )
    return minutes
