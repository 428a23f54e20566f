"""Charge lines beside energy by zone, as columns: standing charges, capacity, taxes and the rest.

The order is that of a bill: energy, then hourly energy, allowance, standing charges, capacity,
the minimum bill, what is paid for export, concessions, and taxes on top of all of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.series import WattHours
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.charges import (
    PPM,
    Allowance,
    Base,
    CapacityBasis,
    CapacityCharge,
    Concession,
    DatedAmount,
    FixedCharge,
    FixedPer,
    MinimumBill,
    Tax,
    TaxMode,
    Unused,
    amount_on,
    share_on,
)
from tariffs.compiled import Compiled, Grid, Stretch
from tariffs.exact_sums import priced_sums
from tariffs.facts import AccountFacts, Whole
from tariffs.hourly import hourly_prices
from tariffs.ladders import per_billing
from tariffs.lines import (
    AMOUNT_DIVISOR,
    RATE_DIVISOR,
    CannotRate,
    ChargeKind,
    Columns,
    IncludedTax,
    LineSpec,
    Unit,
    first_day_key,
    half_up_columns,
)
from tariffs.plans import TariffVersion
from tariffs.zone_calendar import mask_of_windows

MINUTES_PER_HOUR: Final = 60
W_PER_KW: Final = 1000
DM2_PER_M2: Final = 100
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, eq=False)
class PricedByHour:
    """Energy and its exact cost by the hour in each stretch: (accounts, stretches)."""

    used_wh: Columns
    cost: npt.NDArray[Any]
    """Wh times millionths of a rouble per kWh, summed; objects where 64 bits do not hold it."""
    added: tuple[int, ...]
    """For each stretch how many prices are added up in the price of an interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """What the lines beside energy by zone are computed from."""

    compiled: Compiled
    facts: AccountFacts
    energy_minor: Columns
    """Kopecks of energy by zone in each stretch: (accounts, stretches)."""
    stretch_wh: Columns
    """Wh used in each stretch, after what netting takes off: (accounts, stretches)."""
    exported_wh: Columns | None
    """Wh paid for as export in each stretch, where the grid has any."""
    grid: Grid | None
    energy_wh: WattHours | None
    """By interval; None where registers were read."""
    hourly: PricedByHour | None


@dataclass(slots=True, eq=False)
class _Book:
    """Columns gathered one after another, with what stretches come to by then."""

    accounts: int
    stretches: int
    specs: list[LineSpec] = field(default_factory=list)
    energies: list[Columns] = field(default_factory=list)
    quantities: list[Columns] = field(default_factory=list)
    amounts: list[Columns] = field(default_factory=list)

    def add(
        self,
        spec: LineSpec,
        quantity: Columns,
        amount_minor: Columns | None = None,
        energy_wh: Columns | None = None,
    ) -> None:
        """Add a line; its amount follows from the spec unless it is given."""
        column = np.broadcast_to(quantity, (self.accounts,)).astype(np.int64)
        if amount_minor is None:
            factor = spec.rate_scaled * spec.factor
            amount_minor = half_up_columns(column[:, None], [factor], spec.divisor)[:, 0]
        self.specs.append(spec)
        self.quantities.append(column)
        self.amounts.append(np.broadcast_to(amount_minor, (self.accounts,)))
        self.energies.append(np.zeros_like(column) if energy_wh is None else energy_wh)

    def by_stretch(self, kinds: Iterable[ChargeKind] | None = None) -> Columns:
        """Return what the lines of some kinds, or of all, come to in each stretch, in kopecks."""
        wanted = None if kinds is None else set(kinds)
        sums = np.zeros((self.accounts, self.stretches), dtype=np.int64)
        for spec, amount in zip(self.specs, self.amounts, strict=True):
            if wanted is None or spec.kind in wanted:
                sums[:, spec.stretch] += amount
        return sums


Extras = tuple[tuple[LineSpec, ...], Columns, Columns, Columns, tuple[IncludedTax, ...]]


def lines_beside_energy(rated: Rated) -> Extras:
    """Return specs, energy, quantities, amounts and included taxes of the lines beside energy."""
    compiled = rated.compiled
    book = _Book(len(rated.energy_minor), len(compiled.stretches))
    _hourly(book, rated)
    for number, stretch in enumerate(compiled.stretches):
        if stretch.version.charges.allowance is not None:
            _allowance(book, rated, number, stretch.version.charges.allowance)
    for part in compiled.parts:
        version = compiled.stretches[part[0]].version
        for fixed in version.charges.fixed:
            _fixed(book, rated, part, fixed)
        for capacity in version.charges.capacity:
            _capacity(book, rated, part, version, capacity)
    before_minimum = rated.energy_minor + book.by_stretch()
    for part in compiled.parts:
        minimum = compiled.stretches[part[0]].version.charges.minimum
        if minimum is not None and _closes(rated, part):
            _minimum(book, rated, part, minimum, before_minimum)
    _export(book, rated)
    _concessions(book, rated)
    total = rated.energy_minor + book.by_stretch()
    included = _taxes(book, rated, total)
    width = (book.accounts, len(book.specs))
    energies, quantities, amounts = (
        np.stack(columns, axis=1) if columns else np.zeros(width, dtype=np.int64)
        for columns in (book.energies, book.quantities, book.amounts)
    )
    return tuple(book.specs), energies, quantities, amounts, included


def priced_by_hour(grid: Grid, energy_wh: WattHours, facts: AccountFacts) -> PricedByHour:
    """Price energy interval by interval, exactly; stretches without an hourly price cost 0."""
    prices, added = hourly_prices(grid, facts)
    used_wh, cost = priced_sums(energy_wh, prices, grid.edges)
    return PricedByHour(used_wh, cost, added)


def _spec(
    stretch: Stretch,
    number: int,
    kind: ChargeKind,
    code: str,
    *,
    unit: Unit,
    rate_scaled: int,
    divisor: int,
    factor: int = 1,
    period: Period | None = None,
    first_day: date | None = None,
) -> LineSpec:
    place = f"{kind}:{code}" if code else str(kind)
    return LineSpec(
        zone=Zone.ALL,
        range_number=0,
        rate_scaled=rate_scaled,
        period=period or stretch.period,
        version_id=stretch.version.id,
        key=first_day_key(place, 0, first_day or stretch.first_day),
        kind=kind,
        code=code,
        unit=unit,
        factor=factor,
        divisor=divisor,
        billing=stretch.billing,
        stretch=number,
    )


def _refuse(stretch: Stretch, problem: str, **values: object) -> CannotRate:
    return CannotRate(plan=stretch.version.plan_code, problem=problem, **values)


def _hourly(book: _Book, rated: Rated) -> None:
    stretches = rated.compiled.stretches
    priced = [n for n, s in enumerate(stretches) if s.version.charges.hourly is not None]
    if not priced:
        return
    if rated.hourly is None:
        raise _refuse(stretches[priced[0]], mark("an hourly price needs interval readings"))
    used_wh, costs, added = rated.hourly.used_wh, rated.hourly.cost, rated.hourly.added
    for number in priced:
        stretch = stretches[number]
        hourly = stretch.version.charges.hourly
        assert hourly is not None
        divisor = RATE_DIVISOR * added[number]
        spec = _spec(
            stretch,
            number,
            ChargeKind.HOURLY,
            hourly.series,
            unit=Unit.WH,
            rate_scaled=0,
            divisor=divisor,
        )
        column = costs[:, number]
        if column.dtype == object:
            exact = [half_up_ratio(int(cost), divisor) for cost in column.tolist()]
            amount = np.array(exact, dtype=np.int64)
        else:
            amount = half_up_columns(column[:, None], [1], divisor)[:, 0]
        own = None if stretch.version.charges.energy_by_zone else used_wh[:, number]
        book.add(spec, used_wh[:, number], amount, own)


def _allowance(book: _Book, rated: Rated, number: int, allowance: Allowance) -> None:
    """Pay back, at a rate of its own, what a day used up to its allowance."""
    stretch = rated.compiled.stretches[number]
    days = len(_days_begun(stretch.period, rated.compiled.zone))
    if allowance.unused is Unused.CARRIES:
        used = np.clip(rated.stretch_wh[:, number], 0, days * allowance.wh_per_day)
    else:
        used = _used_by_day(rated, number, allowance.wh_per_day)
    spec = _spec(
        stretch,
        number,
        ChargeKind.ALLOWANCE,
        "",
        unit=Unit.WH,
        rate_scaled=amount_on(allowance.amounts, stretch.starts_on),
        divisor=RATE_DIVISOR,
    )
    book.add(spec, -used)


def _used_by_day(rated: Rated, number: int, limit_wh: int) -> Columns:
    """Return the Wh of a stretch, each local day at most up to a limit."""
    if rated.grid is None or rated.energy_wh is None:
        stretch = rated.compiled.stretches[number]
        raise _refuse(stretch, mark("an allowance that lapses each day needs interval readings"))
    first, last = rated.grid.edges[number], rated.grid.edges[number + 1]
    edges = rated.grid.day_edges
    starts = np.unique(np.append(edges[(edges >= first) & (edges < last)], first)) - first
    by_day = np.add.reduceat(rated.energy_wh[:, first:last], starts, axis=1, dtype=np.int64)
    used: Columns = np.clip(by_day, 0, limit_wh).sum(axis=1)
    return used


def _pieces(
    rated: Rated, part: Sequence[int], amounts: Sequence[DatedAmount], *, by_month: bool
) -> list[tuple[int, Period, date]]:
    """Cut the stretches of a part where an amount changes and, where asked, a month begins.

    Returns for each piece its stretch, its period and the first day that names it.
    """
    zone = rated.compiled.zone
    found = []
    for number in part:
        stretch = rated.compiled.stretches[number]
        days = [amount.valid_from for amount in amounts]
        if by_month:
            month = Month.of(local_date(stretch.period.start, zone)).plus(1)
            while local_midnight(month.first_day, zone) < stretch.period.end:
                days.append(month.first_day)
                month = month.plus(1)
        for piece in stretch.period.split([local_midnight(day, zone) for day in days]):
            whole = piece.start == stretch.period.start
            first_day = stretch.first_day if whole else local_date(piece.start, zone)
            found.append((number, piece, first_day))
    return found


def _days_begun(period: Period, zone: ZoneInfo) -> tuple[date, ...]:
    """Return the local days that begin in a period: a day counts where its midnight lies."""
    day = local_date(period.start, zone)
    if local_midnight(day, zone) < period.start:
        day += timedelta(days=1)
    found = []
    while local_midnight(day, zone) < period.end:
        found.append(day)
        day += timedelta(days=1)
    return tuple(found)


def _month_of_days(days: Sequence[date]) -> int:
    """Return how many days the calendar month of some days has."""
    return len(Month.of(days[0]).days)


def _fixed(book: _Book, rated: Rated, part: Sequence[int], fixed: FixedCharge) -> None:
    by_month = fixed.per is not FixedPer.DAY
    for number, piece, first_day in _pieces(rated, part, fixed.amounts, by_month=by_month):
        stretch = rated.compiled.stretches[number]
        days = _days_begun(piece, rated.compiled.zone)
        if not days:
            continue
        month = _month_of_days(days)
        starts_on = local_date(piece.start, rated.compiled.zone)
        quantity: Columns = np.full(book.accounts, len(days), dtype=np.int64)
        unit, factor, divisor = Unit.DAY, 1, AMOUNT_DIVISOR
        if fixed.per is FixedPer.MONTH:
            divisor *= month
        elif fixed.per is FixedPer.M2:
            quantity = _known(rated, stretch, rated.facts.area_dm2, mark("the area is not known"))
            unit, factor, divisor = Unit.DM2, len(days), AMOUNT_DIVISOR * DM2_PER_M2 * month
        elif fixed.per is FixedPer.PERSON:
            problem = mark("the number of registered persons is not known")
            quantity = _known(rated, stretch, rated.facts.persons, problem)
            unit, factor, divisor = Unit.PERSON, len(days), AMOUNT_DIVISOR * month
        spec = _spec(
            stretch,
            number,
            ChargeKind.FIXED,
            fixed.code,
            unit=unit,
            rate_scaled=amount_on(fixed.amounts, starts_on),
            factor=factor,
            divisor=divisor,
            period=piece,
            first_day=first_day,
        )
        book.add(spec, quantity)


def _known(rated: Rated, stretch: Stretch, fact: Whole | None, problem: str) -> Columns:
    """Return a fact of the billing period of a stretch; refuse where it is not known."""
    if fact is None or int(fact.min(initial=0)) < 0:
        raise _refuse(stretch, problem)
    accounts, billings = len(rated.energy_minor), len(rated.compiled.billings)
    return per_billing(fact, accounts, billings)[:, stretch.billing]


def _closes(rated: Rated, part: Sequence[int]) -> bool:
    """Say whether the billing period of a part is over."""
    billing = rated.compiled.stretches[part[0]].billing
    return billing < len(rated.compiled.billings) - 1 or rated.facts.closing


def _capacity(
    book: _Book,
    rated: Rated,
    part: Sequence[int],
    version: TariffVersion,
    capacity: CapacityCharge,
) -> None:
    if not _closes(rated, part):
        return
    demand_w = _demand(rated, part, version, capacity)
    for number, piece, first_day in _pieces(rated, part, capacity.amounts, by_month=True):
        stretch = rated.compiled.stretches[number]
        days = _days_begun(piece, rated.compiled.zone)
        if not days:
            continue
        spec = _spec(
            stretch,
            number,
            ChargeKind.CAPACITY,
            capacity.code,
            unit=Unit.W,
            rate_scaled=amount_on(capacity.amounts, local_date(piece.start, rated.compiled.zone)),
            factor=len(days),
            divisor=AMOUNT_DIVISOR * W_PER_KW * _month_of_days(days),
            period=piece,
            first_day=first_day,
        )
        book.add(spec, demand_w)


def _demand(
    rated: Rated, part: Sequence[int], version: TariffVersion, capacity: CapacityCharge
) -> Columns:
    """Return the demand that a part is billed for, whole watts, halves up."""
    stretch = rated.compiled.stretches[part[0]]
    if capacity.basis is CapacityBasis.CONTRACTED:
        problem = mark("the contracted capacity is not known")
        return _known(rated, stretch, rated.facts.contracted_w, problem)
    if rated.grid is None or rated.energy_wh is None:
        raise _refuse(stretch, mark("measured demand needs interval readings"))
    if MINUTES_PER_HOUR % rated.grid.interval_min:
        raise _refuse(
            stretch,
            mark("demand is not measured by intervals of %(minutes)s minutes"),
            minutes=rated.grid.interval_min,
        )
    if capacity.basis is CapacityBasis.REGULATED_PEAKS:
        return _demand_in_hours(rated, part, capacity)
    highest = _highest_w(rated, part, version, capacity)
    if not capacity.ratchet_months:
        return highest
    before = _before_w(rated, part, version, capacity)
    held = half_up_columns(before[:, None], [capacity.ratchet_ppm], PPM)[:, 0]
    return np.maximum(highest, held)


def _highest_w(
    rated: Rated, part: Sequence[int], version: TariffVersion, capacity: CapacityCharge
) -> Columns:
    """Return the highest interval of a part as watts; 0 where none counts or all are negative."""
    grid, energy = rated.grid, rated.energy_wh
    assert grid is not None
    assert energy is not None
    first, last = grid.edges[part[0]], grid.edges[part[-1] + 1]
    mask = mask_of_windows(
        capacity.windows,
        _counts(capacity, version),
        rated.compiled.zone,
        rated.compiled.stretches[part[0]].period.start,
        last - first,
        grid.interval_min,
    )
    chosen = energy[:, first:last][:, mask]
    highest: Columns = chosen.max(axis=1, initial=0).astype(np.int64)
    return highest * (MINUTES_PER_HOUR // grid.interval_min)


def _counts(capacity: CapacityCharge, version: TariffVersion) -> Callable[[date], bool]:
    if not capacity.day_types:
        return lambda day: True
    return lambda day: version.calendar.type_of(day) in capacity.day_types


def _before_w(
    rated: Rated, part: Sequence[int], version: TariffVersion, capacity: CapacityCharge
) -> Columns:
    """Return the highest demand of the months that the ratchet looks back over."""
    known = rated.facts.demand_before_w
    billing = rated.compiled.stretches[part[0]].billing
    stretch = rated.compiled.stretches[part[0]]
    if known is None:
        raise _refuse(stretch, mark("the demand of the months before is not known"))
    months: list[Columns] = list(known.astype(np.int64).T)
    for earlier in rated.compiled.parts:
        own = rated.compiled.stretches[earlier[0]]
        if own.billing < billing and any(
            one.code == capacity.code for one in own.version.charges.capacity
        ):
            charge = next(o for o in own.version.charges.capacity if o.code == capacity.code)
            months.append(_highest_w(rated, earlier, own.version, charge))
    looked_at = months[-capacity.ratchet_months :]
    if not looked_at:
        return np.zeros(len(rated.energy_minor), dtype=np.int64)
    highest: Columns = np.max(np.stack(looked_at), axis=0)
    return highest


def _demand_in_hours(rated: Rated, part: Sequence[int], capacity: CapacityCharge) -> Columns:
    """Return the average demand over the hours that the market's operator named, as watts."""
    grid, energy = rated.grid, rated.energy_wh
    assert grid is not None
    assert energy is not None
    begins = rated.compiled.stretches[part[0]].period.start
    ends = rated.compiled.stretches[part[-1]].period.end
    known = rated.facts.regulated_hours.get(capacity.hours, ())
    hours = sorted({hour for hour in known if begins <= hour and hour + HOUR <= ends})
    stretch = rated.compiled.stretches[part[0]]
    if not hours:
        raise _refuse(
            stretch, mark("no hours of the list %(hours)s are known"), hours=capacity.hours
        )
    step = timedelta(minutes=grid.interval_min)
    count = MINUTES_PER_HOUR // grid.interval_min
    total = np.zeros(len(energy), dtype=np.int64)
    for hour in hours:
        place, rest = divmod(hour - grid.start, step)
        if rest:
            raise _refuse(
                stretch,
                mark("its price changes inside an interval of %(minutes)s minutes"),
                minutes=grid.interval_min,
            )
        total += energy[:, place : place + count].sum(axis=1, dtype=np.int64)
    average = half_up_columns(total[:, None] * 2, [1], 2 * len(hours))[:, 0]
    return np.maximum(average, 0)


def _minimum(
    book: _Book, rated: Rated, part: Sequence[int], minimum: MinimumBill, charged: Columns
) -> None:
    """Add what is lacking to the minimum of a part: its share of days of each month."""
    # Over one divisor for all months, so that the sum is exact and rounded once.
    common = 28 * 29 * 30 * 31
    exact = 0
    begins = rated.compiled.stretches[part[0]].period.start
    for _, piece, _ in _pieces(rated, part, minimum.amounts, by_month=True):
        days = _days_begun(piece, rated.compiled.zone)
        if not days:
            continue
        amount = amount_on(minimum.amounts, local_date(piece.start, rated.compiled.zone))
        exact += amount * len(days) * (common // _month_of_days(days))
    least_minor = half_up_ratio(exact, common * AMOUNT_DIVISOR)
    lacking = np.maximum(0, least_minor - charged[:, list(part)].sum(axis=1))
    last = part[-1]
    stretch = rated.compiled.stretches[last]
    spec = _spec(
        stretch,
        last,
        ChargeKind.MINIMUM,
        "",
        unit=Unit.MINOR,
        rate_scaled=1,
        divisor=1,
        period=Period(begins, stretch.period.end),
    )
    book.add(spec, lacking, lacking)


def _export(book: _Book, rated: Rated) -> None:
    for number, stretch in enumerate(rated.compiled.stretches):
        export = stretch.version.charges.export
        if export is None:
            continue
        assert rated.exported_wh is not None
        spec = _spec(
            stretch,
            number,
            ChargeKind.EXPORT,
            "",
            unit=Unit.WH,
            rate_scaled=amount_on(export.amounts, stretch.starts_on),
            divisor=RATE_DIVISOR,
        )
        book.add(spec, -rated.exported_wh[:, number])


_CHARGED: Final = (
    ChargeKind.HOURLY,
    ChargeKind.ALLOWANCE,
    ChargeKind.FIXED,
    ChargeKind.CAPACITY,
    ChargeKind.MINIMUM,
)
"""Kinds that a concession of all charges is taken of, beside energy by zone."""


def _concessions(book: _Book, rated: Rated) -> None:
    energy = rated.energy_minor + book.by_stretch([ChargeKind.HOURLY])
    charges = rated.energy_minor + book.by_stretch(_CHARGED)
    for part in rated.compiled.parts:
        version = rated.compiled.stretches[part[0]].version
        for concession in version.charges.concessions:
            base = energy if concession.base is Base.ENERGY else charges
            _concession(book, rated, part, concession, base)


def _concession(
    book: _Book, rated: Rated, part: Sequence[int], concession: Concession, base: Columns
) -> None:
    """Take percents off what a stretch comes to, of the part of its energy within the limit."""
    begun = np.zeros(book.accounts, dtype=np.int64)
    for number in part:
        stretch = rated.compiled.stretches[number]
        ppm = share_on(concession.shares, stretch.starts_on)
        used = np.maximum(rated.stretch_wh[:, number], 0)
        before, begun = begun, begun + used
        if not ppm:
            continue
        whole = np.where(_entitled(rated, stretch, concession), np.maximum(base[:, number], 0), 0)
        limit = _limit(rated, stretch, concession)
        if limit is None:
            eligible = whole
        else:
            within = np.clip(limit - before, 0, used)
            eligible = _portions(whole, within, used)
        spec = _spec(
            stretch,
            number,
            ChargeKind.CONCESSION,
            concession.code,
            unit=Unit.MINOR,
            rate_scaled=ppm,
            divisor=PPM,
        )
        book.add(spec, -eligible)


def _entitled(rated: Rated, stretch: Stretch, concession: Concession) -> Columns | bool:
    if concession.everyone:
        return True
    known = rated.facts.entitled.get(concession.code)
    if known is None:
        raise _refuse(
            stretch,
            mark("who has a right to the concession %(code)s is not known"),
            code=concession.code,
        )
    return known.astype(np.int64)


def _limit(rated: Rated, stretch: Stretch, concession: Concession) -> Columns | None:
    if not concession.limit_wh:
        return None
    if not concession.limit_each_person:
        return np.full(len(rated.energy_minor), concession.limit_wh, dtype=np.int64)
    problem = mark("the number of registered persons is not known")
    return concession.limit_wh * _known(rated, stretch, rated.facts.persons, problem)


def _portions(whole_minor: Columns, within_wh: Columns, used_wh: Columns) -> Columns:
    """Return kopecks of the part of the energy that is within a limit, rounded to whole ones."""
    rows = zip(whole_minor.tolist(), within_wh.tolist(), used_wh.tolist(), strict=True)
    return np.array(
        [
            minor if within == used else half_up_ratio(minor * within, used)
            for minor, within, used in rows
        ],
        dtype=np.int64,
    )


def _taxes(book: _Book, rated: Rated, total: Columns) -> tuple[IncludedTax, ...]:
    included = []
    for number, stretch in enumerate(rated.compiled.stretches):
        for tax in stretch.version.charges.taxes:
            ppm = share_on(tax.shares, stretch.starts_on)
            if tax.mode is TaxMode.ON_TOP:
                _tax_on_top(book, stretch, number, tax, ppm, total)
                continue
            exact = half_up_columns(total[:, [number]], [2 * ppm], 2 * (PPM + ppm))
            included.append(
                IncludedTax(tax.code, ppm, stretch.period, stretch.billing, exact[:, 0])
            )
    return tuple(included)


def _tax_on_top(
    book: _Book, stretch: Stretch, number: int, tax: Tax, ppm: int, total: Columns
) -> None:
    spec = _spec(
        stretch,
        number,
        ChargeKind.TAX,
        tax.code,
        unit=Unit.MINOR,
        rate_scaled=ppm,
        divisor=PPM,
    )
    book.add(spec, total[:, number])
