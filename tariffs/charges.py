"""What a tariff charges beside energy by zone, as frozen values that check themselves.

Amounts are dated and kept as whole millionths of a rouble for one unit of what they are for;
shares are whole millionths (parts per million). How each is computed is in `docs/algorithms/
rating.md`.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from tariffs.day_types import DayType

PPM: Final = 1_000_000
"""Parts per million in a whole."""


@dataclass(frozen=True, slots=True, order=True)
class DatedAmount:
    """An amount from a local day on, millionths of a rouble for one unit."""

    valid_from: date
    amount_scaled: int


@dataclass(frozen=True, slots=True, order=True)
class DatedShare:
    """A share from a local day on, parts per million."""

    valid_from: date
    ppm: int


class FixedPer(StrEnum):
    """What a standing charge is counted by."""

    MONTH = "month"
    DAY = "day"
    M2 = "m2"
    """A square metre of the premises, a month."""
    PERSON = "person"
    """A registered person, a month."""


@dataclass(frozen=True, slots=True)
class FixedCharge:
    """A standing charge (постоянная плата); a part of a month pays its share of days."""

    code: str
    name: str
    name_en: str
    per: FixedPer
    amounts: tuple[DatedAmount, ...]


class CapacityBasis(StrEnum):
    """Which demand a capacity charge is for."""

    HIGHEST = "highest"
    """The highest interval, inside the windows where there are any."""
    REGULATED_PEAKS = "regulated_peaks"
    """The average over the hours that the market's operator named, one a working day."""
    CONTRACTED = "contracted"
    """What the contract allows, whatever was used."""


@dataclass(frozen=True, slots=True)
class CapacityCharge:
    """A charge for demand, per kW a month; a part of a month pays its share of days."""

    code: str
    name: str
    name_en: str
    basis: CapacityBasis
    amounts: tuple[DatedAmount, ...]
    windows: tuple[tuple[int, int], ...] = ()
    """Local minutes of the day, half-open; empty means all day."""
    day_types: tuple[DayType, ...] = ()
    ratchet_ppm: int = 0
    ratchet_months: int = 0
    """At least this share of the highest demand of so many months before is billed."""
    hours: str = ""
    """Name of the list of regulated peak hours."""


@dataclass(frozen=True, slots=True)
class MinimumBill:
    """What a month costs at least: energy, standing and capacity charges together."""

    amounts: tuple[DatedAmount, ...]


class Unused(StrEnum):
    """What becomes of an allowance of one day that was not used up on it."""

    LAPSES = "lapses"
    CARRIES = "carries"
    """Other days of the billing period may use it."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Energy of a day that is paid back at a rate (per kWh), in a line of its own."""

    wh_per_day: int
    unused: Unused
    amounts: tuple[DatedAmount, ...]


class Netting(StrEnum):
    """Over what a household's own generation is set off against its consumption."""

    NONE = "none"
    INTERVAL = "interval"
    PERIOD = "period"
    """The billing period, zone by zone and price by price."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is paid for energy given to the network, per kWh (микрогенерация)."""

    netting: Netting
    amounts: tuple[DatedAmount, ...]


class TaxMode(StrEnum):
    """Whether amounts hold a tax or get it on top."""

    INCLUDED = "included"
    ON_TOP = "on_top"


@dataclass(frozen=True, slots=True)
class Tax:
    """A dated tax; on top it is a line, included it is told apart and adds nothing."""

    code: str
    name: str
    name_en: str
    mode: TaxMode
    shares: tuple[DatedShare, ...]


class Base(StrEnum):
    """What a concession takes its percents of."""

    ENERGY = "energy"
    CHARGES = "charges"
    """Energy, standing and capacity charges, allowance and minimum bill together."""


@dataclass(frozen=True, slots=True)
class Concession:
    """A relief (льгота) or the retailer's own discount, as a line of its own."""

    code: str
    name: str
    name_en: str
    base: Base
    shares: tuple[DatedShare, ...]
    everyone: bool = False
    """Says that nobody has to be entitled: a discount of the plan."""
    limit_wh: int = 0
    """Energy of a month that the relief is limited to; 0 means all."""
    limit_each_person: bool = False
    """Says that the limit is one registered person's."""


class Coarse(StrEnum):
    """What an hourly plan does with intervals longer than those of its prices."""

    REFUSE = "refuse"
    AVERAGE = "average"
    """Prices every interval at the plain average of the prices in it."""


class Limits(StrEnum):
    """What the floor and the cap of an hourly plan hold within bounds."""

    SERIES = "series"
    TOTAL = "total"
    """The price of the series and all components together."""


@dataclass(frozen=True, slots=True)
class PriceComponent:
    """A part of an hourly price that is not of the market, per kWh."""

    code: str
    amounts: tuple[DatedAmount, ...]


@dataclass(frozen=True, slots=True)
class HourlyPrice:
    """Energy priced by a series of prices that arrives from outside (почасовые цены)."""

    series: str
    coarse: Coarse
    components: tuple[PriceComponent, ...] = ()
    floor_scaled: int | None = None
    cap_scaled: int | None = None
    limits: Limits = Limits.SERIES


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The promise never to cost more than another plan the resident had the right to."""

    plan_code: str


@dataclass(frozen=True, slots=True)
class Charges:
    """All that a version charges beside energy by zone."""

    energy_by_zone: bool = True
    """False where energy is priced by the hour alone and the version has no rates of its own."""
    fixed: tuple[FixedCharge, ...] = ()
    capacity: tuple[CapacityCharge, ...] = ()
    minimum: MinimumBill | None = None
    allowance: Allowance | None = None
    export: Export | None = None
    taxes: tuple[Tax, ...] = ()
    concessions: tuple[Concession, ...] = ()
    hourly: HourlyPrice | None = None
    guarantee: Guarantee | None = None

    @property
    def beyond_energy(self) -> bool:
        """Say whether a bill has lines that energy and time alone do not decide."""
        return bool(
            self.fixed
            or self.capacity
            or self.minimum
            or self.allowance
            or self.export
            or self.hourly
            or any(tax.mode is TaxMode.ON_TOP for tax in self.taxes)
            or self.concessions
        )

    def dates(self) -> tuple[date, ...]:
        """Return every local day on which an amount or a share changes, ascending."""
        dated: list[tuple[DatedAmount, ...] | tuple[DatedShare, ...]] = [
            *(one.amounts for one in self.fixed),
            *(one.amounts for one in self.capacity),
            *(one.shares for one in self.taxes),
            *(one.shares for one in self.concessions),
        ]
        singles = (self.minimum, self.allowance, self.export)
        dated.extend(single.amounts for single in singles if single is not None)
        if self.hourly is not None:
            dated.extend(one.amounts for one in self.hourly.components)
        return tuple(sorted({item.valid_from for items in dated for item in items}))


NO_CHARGES: Final = Charges()


def amount_on(amounts: tuple[DatedAmount, ...], day: date) -> int:
    """Return the amount that holds on a local day; 0 before the first one."""
    return next((a.amount_scaled for a in reversed(amounts) if a.valid_from <= day), 0)


def share_on(shares: tuple[DatedShare, ...], day: date) -> int:
    """Return the share that holds on a local day, in parts per million; 0 before the first one."""
    return next((s.ppm for s in reversed(shares) if s.valid_from <= day), 0)
