"""Charge lines as values: what a column is for, a population's columns, one line as an object."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kilokassa.core.errors import DomainError
from kilokassa.core.ids import TariffVersionId
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.zones import Zone
from tariffs.plans import TariffVersion

MINOR_PER_UNIT: Final = 100
AMOUNT_DIVISOR: Final = RATE_SCALE // MINOR_PER_UNIT
"""Millionths of a rouble, divided by this, are kopecks."""
RATE_DIVISOR: Final = WH_PER_KWH * AMOUNT_DIVISOR
"""Wh times a scaled rate, divided by this, is kopecks."""
HALF_UP: Final = "half_up"
"""Name of the one rounding: to whole kopecks, halves away from zero."""

_INT64: Final = 2**63

Columns = npt.NDArray[np.int64]
VersionInForce = tuple[Period, TariffVersion]


class CannotRate(DomainError):
    """The tariff does not price what it is asked to price; `problem` is a template itself."""

    code = "cannot_rate"
    template = "The tariff %(plan)s cannot price this: %(problem)s."

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the problem in the reader's language too."""
        problem = translate(self.values["problem"]) % self.values
        return translate(self.template) % (self.values | {"problem": problem})


class ChargeKind(StrEnum):
    """What a charge line is for."""

    ENERGY = "energy"
    HOURLY = "hourly"
    ALLOWANCE = "allowance"
    EXPORT = "export"
    FIXED = "fixed"
    CAPACITY = "capacity"
    MINIMUM = "minimum"
    CONCESSION = "concession"
    TAX = "tax"
    GUARANTEE = "guarantee"
    SERVICE = "service"
    """A service of a house that is not electricity by a tariff: water, upkeep, common areas."""
    DEDUCTION = "deduction"
    """Taken off for an outage or a lack of quality (ПП 354, annex 1)."""


class Unit(StrEnum):
    """What the quantity of a line counts."""

    WH = "wh"
    DAY = "day"
    DM2 = "dm2"
    PERSON = "person"
    W = "w"
    MINOR = "minor"
    """Kopecks that a share is taken of."""


@dataclass(frozen=True, slots=True)
class LineSpec:
    """What a column of charge lines is for: a zone, a range and a stretch of one price."""

    zone: Zone
    range_number: int
    """From 1; 0 where the plan has no ladder."""
    rate_scaled: int
    """Millionths of a rouble per unit; of a tax or a concession parts per million."""
    period: Period
    version_id: TariffVersionId
    key: str
    """Zone, range and first local day of the price: the same for the same line at every rating.

    No two lines of one billing period of a rating share a key. A line that is not for energy by
    zone has its kind and code in the place of the zone.
    """
    kind: ChargeKind = ChargeKind.ENERGY
    code: str = ""
    """Code of the charge in the tariff document, where it has one."""
    unit: Unit = Unit.WH
    factor: int = 1
    divisor: int = RATE_DIVISOR
    """The amount is `quantity x rate_scaled x factor / divisor` kopecks, rounded once, half up."""
    billing: int = 0
    """Number of the billing period among those that were rated, from 0."""
    stretch: int = 0
    """Number of the stretch of one price that the line lies in, from 0."""


@dataclass(frozen=True, slots=True, eq=False)
class IncludedTax:
    """A tax that the amounts hold already, told apart: it adds nothing."""

    code: str
    ppm: int
    period: Period
    billing: int
    amount_minor: Columns
    """Shape (accounts,), kopecks."""


@dataclass(frozen=True, slots=True, eq=False)
class LineColumns:
    """A population's charge lines as columns: one row an account, one column a `LineSpec`."""

    specs: tuple[LineSpec, ...]
    energy_wh: Columns
    """Wh of each line; each Wh is counted once, so lines beside energy by zone have none."""
    amount_minor: Columns
    quantity: Columns | None = None
    """What each line counts, in the unit of its spec; None where that is the energy throughout."""
    included: tuple[IncludedTax, ...] = ()

    @property
    def quantities(self) -> Columns:
        """What each line counts, in the unit of its spec."""
        return self.energy_wh if self.quantity is None else self.quantity


class Working(NamedTuple):
    """How the amount of a line came about, so that a reader can do the sum again.

    The exact amount in kopecks is `numerator / divisor`; it is rounded once, by `rounding`.
    """

    quantity: int
    unit: Unit
    zone: Zone
    range_number: int
    rate_scaled: int
    period: Period
    version_id: TariffVersionId
    numerator: int
    divisor: int
    rounding: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One charge line: quantity x rate = amount, rounded once."""

    spec: LineSpec
    quantity_wh: int
    """In the unit of the spec, which is Wh for energy."""
    amount_minor: int
    shared_by_days: bool = False
    """Says that the quantity is a share: a price changed between two readings of a register."""

    @property
    def working(self) -> Working:
        """How the amount came about."""
        return working_of(self.spec, self.quantity_wh, self.amount_minor)


def working_of(spec: LineSpec, quantity: int, amount_minor: int) -> Working:
    """Return how a line of `spec` comes to its amount.

    An hourly price, a guarantee and a concession with a limit have no one rate; `tariffs.explain`
    has the chain of those, and here their exact amount is the amount itself.
    """
    if spec.rate_scaled and spec.factor:
        numerator, divisor = quantity * spec.rate_scaled * spec.factor, spec.divisor
    else:
        numerator, divisor = amount_minor, 1
    return Working(
        quantity,
        spec.unit,
        spec.zone,
        spec.range_number,
        spec.rate_scaled,
        spec.period,
        spec.version_id,
        numerator,
        divisor,
        HALF_UP,
        amount_minor,
    )


def lines_of(columns: LineColumns, row: int) -> tuple[ChargeLine, ...]:
    """Return the lines of one row as objects, those without quantity and amount left out."""
    return tuple(
        ChargeLine(spec, quantity, amount_minor)
        for spec, quantity, amount_minor in zip(
            columns.specs,
            columns.quantities[row].tolist(),
            columns.amount_minor[row].tolist(),
            strict=True,
        )
        if quantity or amount_minor
    )


def amount_of(energy_wh: int, rate_scaled: int) -> int:
    """Return kopecks for Wh at a rate, rounded once, halves away from zero."""
    return half_up_ratio(energy_wh * rate_scaled, RATE_DIVISOR)


def half_up_columns(quantity: Columns, factors: Sequence[int], divisor: int) -> Columns:
    """Return `quantity x factor / divisor` for each column, rounded once, halves away from zero.

    In int64 where the largest product is proven to fit, else column by column, and there in
    Python's own whole numbers where it does not fit either. The divisor is even.
    """
    if quantity.size == 0:
        return np.zeros_like(quantity)
    lowest = int(quantity.min())
    largest = max(int(quantity.max()), -lowest)
    if largest * max(map(abs, factors)) + divisor < _INT64:
        product = quantity * np.array(factors, dtype=np.int64)
        if lowest >= 0 and min(factors) >= 0:
            product += divisor // 2
            product //= divisor
            return product
        magnitude = (np.abs(product) + divisor // 2) // divisor
        return np.where(product < 0, -magnitude, magnitude)
    if quantity.shape[1] > 1:
        columns = [
            half_up_columns(quantity[:, [number]], [factor], divisor)
            for number, factor in enumerate(factors)
        ]
        return np.concatenate(columns, axis=1)
    exact = [half_up_ratio(value * factors[0], divisor) for value in quantity[:, 0].tolist()]
    return np.array(exact, dtype=np.int64)[:, None]


def first_day_key(place: str, range_number: int, first_day: date) -> str:
    """Return the key of a line: its zone or charge, its range and the first day of its price."""
    return f"{place}/{range_number or '-'}/{first_day}"
