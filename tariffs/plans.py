"""Tariff plans and versions as frozen values.

What a version charges beyond energy by zone is in `tariffs.charges`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from kilokassa.core.ids import TariffVersionId
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.zones import DayZones, Zone
from tariffs.charges import NO_CHARGES, Charges, Netting
from tariffs.day_types import ONLY_THE_WEEK, DayType, HolidayCalendar

UNPUBLISHED: Final = TariffVersionId(0)
_PERCENT: Final = 100


class RangeOrder(StrEnum):
    """How a range is shared between what one ladder counts: zones and prices of a month.

    No act that was read settles it (`docs/algorithms/rating.md`), so a tariff must say which.
    """

    PROPORTIONAL = "proportional"
    """Every zone gets its share of each range, in proportion to its volume."""
    TIME = "time"
    """Energy fills the ranges as it was used, interval by interval."""


class RangeBasis(StrEnum):
    """What climbs a ladder: a tariff of several zones must say it, since the bills differ."""

    TOTAL = "total"
    """All zones together climb one ladder; documents before this field was asked for mean it."""
    ZONE = "zone"
    """Every zone climbs a ladder of its own."""


class RangePeriod(StrEnum):
    """After which time a ladder is climbed from its foot again."""

    DAY = "day"
    MONTH = "month"
    """A billing period, which is a calendar month unless the contract says otherwise."""
    YEAR = "year"
    """A local calendar year."""


@dataclass(frozen=True, slots=True)
class SocialNorm:
    """A ladder whose borders follow from the persons registered (социальная норма)."""

    by_persons_wh: tuple[int, ...]
    """Wh a month for one person, two, three and so on."""
    each_more_wh: int
    """Wh a month for every further person."""
    bands_percent: tuple[int, ...]
    """Upper borders of all bands but the last, percent of the norm, ascending."""
    with_common_area: bool = False
    """Says that the flat's share of the common-area energy climbs the ladder first.

    Красноярск adds it to the volume before the norm is applied (`regulation.md`, S2).
    """

    def __post_init__(self) -> None:
        if not self.by_persons_wh or min(self.by_persons_wh) <= 0 or self.each_more_wh < 0:
            raise ValueError(f"a norm is above zero: {self!r}")
        if not _ascend_above_zero(self.bands_percent) or not self.bands_percent:
            raise ValueError(f"bands of a norm ascend from above zero: {self.bands_percent!r}")

    def borders_wh(self, persons: int) -> tuple[int, ...]:
        """Return the borders for so many persons, Wh a month; refuse fewer than one.

        >>> SocialNorm((110_000, 150_000), 75_000, (100,)).borders_wh(3)
        (225000,)
        """
        if persons < 1:
            raise ValueError(f"a norm is for at least one person: {persons}")
        known = len(self.by_persons_wh)
        norm_wh = self.by_persons_wh[min(persons, known) - 1]
        norm_wh += max(0, persons - known) * self.each_more_wh
        return tuple(norm_wh * band // _PERCENT for band in self.bands_percent)


@dataclass(frozen=True, slots=True, order=True)
class SeasonStart:
    """The day of every year on which a season begins; it holds until the next one does."""

    month: int
    day: int
    season: str


@dataclass(frozen=True, slots=True)
class ZoneSchedule:
    """Zones of the day for some types of day in some seasons; an empty tuple means all."""

    day_zones: DayZones
    day_types: tuple[DayType, ...] = ()
    seasons: tuple[str, ...] = ()

    def holds(self, day_type: DayType, season: str) -> bool:
        """Say whether the schedule is that of such a day."""
        return (not self.day_types or day_type in self.day_types) and (
            not self.seasons or season in self.seasons
        )


@dataclass(frozen=True, slots=True)
class DatedRates:
    """Rates from a local day on; `rates_scaled[range][zone]` in millionths of a rouble per kWh."""

    valid_from: date
    rates_scaled: tuple[tuple[int, ...], ...]
    season: str = ""
    """The season they are for; empty where they hold all year."""


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """One published version of a plan: zones of the day, dated rates, ranges of consumption."""

    plan_code: str
    name: str
    name_en: str
    valid_from: date
    day_zones: DayZones
    """The zones of every day, or of the first schedule where days differ."""
    rates: tuple[DatedRates, ...]
    range_borders_wh: tuple[int, ...] = ()
    """Upper borders of all ranges but the last, Wh a `range_period`, ascending."""
    range_order: RangeOrder = RangeOrder.PROPORTIONAL
    source: str = ""
    confidence: str = ""
    digest: str = ""
    id: TariffVersionId = UNPUBLISHED
    range_basis: RangeBasis = RangeBasis.TOTAL
    range_period: RangePeriod = RangePeriod.MONTH
    norm: SocialNorm | None = None
    """Takes the place of `range_borders_wh` where the borders depend on the persons."""
    schedules: tuple[ZoneSchedule, ...] = ()
    """Zones by day type and season; empty where every day is like `day_zones`."""
    seasons: tuple[SeasonStart, ...] = ()
    calendar: HolidayCalendar = ONLY_THE_WEEK
    prices_until: date | None = None
    """The last local day the prices hold, where the document names one."""
    charges: Charges = NO_CHARGES
    """What is charged beside energy by zone."""
    category: str = ""
    """Whom the plan is for, such as city homes with gas stoves; plans of one category compete.

    A plan without one is compared with none but the plan that its guarantee names.
    """
    open: bool = True
    """Whether an account may still choose the plan; who has it keeps it."""

    def __post_init__(self) -> None:
        for season in sorted({dated.season for dated in self.rates}) or [""]:
            starts = [dated.valid_from for dated in self.rates if dated.season == season]
            if not starts or starts != sorted(set(starts)):
                raise ValueError(f"dated rates ascend: {starts!r}")
            if starts[0] > self.valid_from:
                raise ValueError(f"no rate holds on {self.valid_from}")
        if not _ascend_above_zero(self.range_borders_wh):
            raise ValueError(f"range borders ascend from above zero: {self.range_borders_wh!r}")
        if self.norm is not None and self.range_borders_wh:
            raise ValueError("a ladder has borders of its own or those of a norm")
        for dated in self.rates:
            if len(dated.rates_scaled) != self.range_count or any(
                len(row) != len(self.zones) for row in dated.rates_scaled
            ):
                raise ValueError(f"every range has a rate for every zone: {dated!r}")
            if min(rate for row in dated.rates_scaled for rate in row) < 0:
                raise ValueError(f"a rate is not negative: {dated!r}")
        if self.range_count > 1 and self.nets_over_periods and self._asks_each_interval:
            raise ValueError("netting over a period leaves no order of time for ranges")
        names = {start.season for start in self.seasons} or {""}
        if {dated.season for dated in self.rates} not in ({""}, names):
            raise ValueError("every season has rates of its own, or none has")
        for day_type in DayType if self.schedules else ():
            for season in names:
                if sum(one.holds(day_type, season) for one in self.schedules) != 1:
                    raise ValueError(f"one schedule holds on a {day_type} day, {season}")

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones of all days, in the order of `Zone`."""
        if not self.schedules:
            return self.day_zones.zones
        used = {zone for one in self.schedules for zone in one.day_zones.zones}
        return tuple(zone for zone in Zone if zone in used)

    @property
    def range_count(self) -> int:
        """How many ranges there are; one where the plan has no ladder."""
        return len(self.range_borders_wh if self.norm is None else self.norm.bands_percent) + 1

    @property
    def nets_over_periods(self) -> bool:
        """Say whether generation is set off against consumption over a whole billing period."""
        export = self.charges.export
        return export is not None and export.netting is Netting.PERIOD

    @property
    def _asks_each_interval(self) -> bool:
        """Say whether the ranges need to know when the energy was used."""
        return self.range_period is RangePeriod.DAY or (
            self.range_basis is RangeBasis.TOTAL and self.range_order is RangeOrder.TIME
        )

    def season_of(self, day: date) -> str:
        """Return the season of a local day; empty where the version knows none."""
        if not self.seasons:
            return ""
        begun = [s for s in self.seasons if (s.month, s.day) <= (day.month, day.day)]
        return (begun or self.seasons)[-1].season

    def zones_on(self, day: date) -> DayZones:
        """Return the zones of a local day, by its type and season."""
        if not self.schedules:
            return self.day_zones
        day_type, season = self.calendar.type_of(day), self.season_of(day)
        return next(one.day_zones for one in self.schedules if one.holds(day_type, season))

    def rates_on(self, day: date) -> DatedRates:
        """Return the rates that hold on `day`."""
        season = self.season_of(day)
        holding = [
            dated
            for dated in self.rates
            if dated.valid_from <= day and dated.season in {"", season}
        ]
        if not holding or (self.prices_until is not None and day > self.prices_until):
            raise ValueError(f"{self.plan_code}: no rate holds on {day}")
        return holding[-1]


def _ascend_above_zero(borders: Sequence[int]) -> bool:
    return list(borders) == sorted(set(borders)) and all(border > 0 for border in borders)


assert WH_PER_KWH % _PERCENT == 0, "a whole percent of whole kWh is whole Wh"
