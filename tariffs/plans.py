"""Tariff plans and versions as frozen values."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from kilokassa.core.ids import TariffVersionId
from kilokassa.core.zones import DayZones, Zone

UNPUBLISHED: Final = TariffVersionId(0)


class RangeOrder(StrEnum):
    """How the border of a consumption range is split between the zones of a month.

    No act that was read settles it (`docs/algorithms/rating.md`), so a tariff must say which.
    """

    PROPORTIONAL = "proportional"
    """Every zone gets its share of each range, in proportion to its volume."""
    TIME = "time"
    """Energy fills the ranges as it was used, interval by interval."""


@dataclass(frozen=True, slots=True)
class DatedRates:
    """Rates from a local day on; `rates_scaled[range][zone]` in millionths of a rouble per kWh."""

    valid_from: date
    rates_scaled: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """One published version of a plan: zones of the day, dated rates, ranges of consumption."""

    plan_code: str
    name: str
    name_en: str
    valid_from: date
    day_zones: DayZones
    rates: tuple[DatedRates, ...]
    range_borders_wh: tuple[int, ...] = ()
    """Upper borders of all ranges but the last, Wh a month, ascending."""
    range_order: RangeOrder = RangeOrder.PROPORTIONAL
    source: str = ""
    confidence: str = ""
    digest: str = ""
    id: TariffVersionId = UNPUBLISHED

    def __post_init__(self) -> None:
        starts = [dated.valid_from for dated in self.rates]
        if not starts or starts != sorted(set(starts)):
            raise ValueError(f"dated rates ascend: {starts!r}")
        if starts[0] > self.valid_from:
            raise ValueError(f"no rate holds on {self.valid_from}")
        if list(self.range_borders_wh) != sorted(set(self.range_borders_wh)) or any(
            border <= 0 for border in self.range_borders_wh
        ):
            raise ValueError(f"range borders ascend from above zero: {self.range_borders_wh!r}")
        for dated in self.rates:
            if len(dated.rates_scaled) != self.range_count or any(
                len(row) != len(self.zones) for row in dated.rates_scaled
            ):
                raise ValueError(f"every range has a rate for every zone: {dated!r}")
            if min(rate for row in dated.rates_scaled for rate in row) < 0:
                raise ValueError(f"a rate is not negative: {dated!r}")

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones of the day, in the order of `Zone`."""
        return self.day_zones.zones

    @property
    def range_count(self) -> int:
        """How many ranges there are; one where the plan has no ladder."""
        return len(self.range_borders_wh) + 1

    def rates_on(self, day: date) -> DatedRates:
        """Return the rates that hold on `day`."""
        holding = [dated for dated in self.rates if dated.valid_from <= day]
        if not holding:
            raise ValueError(f"{self.plan_code}: no rate holds on {day}")
        return holding[-1]
