"""A slow and plain judge of the kernel: every interval by the clock on the wall, in fractions.

Shares no code with `tariffs.rating` beyond the values it is given, so that a mistake would have to
be made twice: no numpy, no compiled calendar, no cells; each interval and each day is asked what
holds then. Used by tests and by the benchmark's sample, never to bill.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from kilokassa.core.period import Period
from kilokassa.core.zones import Zone
from tariffs.charges import (
    Base,
    CapacityBasis,
    CapacityCharge,
    Coarse,
    Concession,
    DatedAmount,
    DatedShare,
    FixedPer,
    HourlyPrice,
    Limits,
    Netting,
    TaxMode,
    Unused,
)
from tariffs.facts import AccountFacts, PriceSeries
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod, TariffVersion

Cell = tuple[str, int, str]
"""Zone, range from 1 (0 without a ladder), first local day of the price."""


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One line as the oracle sees it."""

    billing: int
    kind: str
    what: str
    """Zone of energy, else the code of the charge."""
    range_number: int
    starts_on: date
    """First local day of the stretch that the line is for."""
    rates_from: date
    """First day of the rates by zone that hold then."""
    quantity: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """All lines with a quantity or an amount, and the taxes that amounts include."""

    lines: tuple[JudgedLine, ...]
    included: dict[tuple[int, str, date], int]
    """Kopecks by billing period, code and first day of the stretch."""


def rate_slowly(
    versions: Sequence[tuple[Period, TariffVersion]],
    energy_wh: Sequence[int],
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
) -> dict[Cell, tuple[int, int]]:
    """Return (Wh, kopecks) of each cell of energy by zone that saw any."""
    judged = judge(versions, energy_wh, start, interval_min, zone)
    return {
        (line.what, line.range_number, line.rates_from.isoformat()): (
            line.quantity,
            line.amount_minor,
        )
        for line in judged.lines
        if line.kind == "energy"
    }


def judge(
    versions: Sequence[tuple[Period, TariffVersion]],
    energy_wh: Sequence[int],
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
    *,
    billings: Sequence[Period] | None = None,
    facts: AccountFacts | None = None,
    row: int = 0,
) -> Judgement:
    """Return the whole bill of the account in one row of `facts`."""
    step = timedelta(minutes=interval_min)
    end = start + step * len(energy_wh)
    known = billings or [Period(start, end)]
    return _Judge(versions, known, facts or AccountFacts(), row, zone, start, end, step).bill(
        energy_wh
    )


@dataclass(slots=True)
class _Used:
    """What was used in one interval, or net in one zone of one price."""

    stretch: int
    zone: str
    day: date
    wh: int
    instant: datetime


@dataclass(slots=True)
class _Stretch:
    billing: int
    version: TariffVersion
    starts_on: date
    rates_from: date
    signature: tuple[Any, ...]


class _Judge:
    def __init__(
        self,
        versions: Sequence[tuple[Period, TariffVersion]],
        billings: Sequence[Period],
        facts: AccountFacts,
        row: int,
        zone: ZoneInfo,
        start: datetime,
        end: datetime,
        step: timedelta,
    ) -> None:
        self.versions = versions
        self.billings = [b for b in billings if b.end > start and b.start < end]
        self.facts = facts
        self.row = row
        self.zone = zone
        self.start = start
        self.end = end
        self.step = step
        self.stretches: list[_Stretch] = []
        self.lines: list[JudgedLine] = []
        self.known: dict[tuple[int, int, date], int] = {}
        """Stretches by version, billing period and day, so that each day is asked once."""

    def bill(self, energy_wh: Sequence[int]) -> Judgement:
        """Compute the lines in the order of a bill."""
        self._days_into_stretches()
        used, exported = self._used(energy_wh)
        raw = used
        if self._netting() is Netting.PERIOD:
            used, exported = self._net_by_period(used, exported)
        self._energy(used, raw)
        self._hourly(used)
        self._allowance(used)
        self._fixed()
        self._capacity(raw)
        self._minimum()
        for number, stretch in enumerate(self.stretches):
            if stretch.version.charges.export is not None:
                amounts = stretch.version.charges.export.amounts
                wh = sum(one.wh for one in exported if one.stretch == number)
                self._add(
                    number,
                    "export",
                    "",
                    -wh,
                    Fraction(-wh * _amount(amounts, stretch.starts_on), 10**7),
                )
        self._concessions(used)
        included = self._taxes()
        lines = tuple(line for line in self.lines if line.quantity or line.amount_minor)
        return Judgement(lines, included)

    def _add(
        self,
        stretch: int,
        kind: str,
        what: str,
        quantity: int,
        exact_minor: Fraction,
        *,
        range_number: int = 0,
        starts_on: date | None = None,
    ) -> None:
        own = self.stretches[stretch]
        self.lines.append(
            JudgedLine(
                own.billing,
                kind,
                what,
                range_number,
                starts_on or own.starts_on,
                own.rates_from,
                quantity,
                _half_up(exact_minor),
            )
        )

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def _version_at(self, instant: datetime) -> TariffVersion:
        return next(v for p, v in self.versions if p.start <= instant < p.end)

    def _billing_at(self, instant: datetime) -> int:
        return next(n for n, p in enumerate(self.billings) if p.start <= instant < p.end)

    def _days_into_stretches(self) -> None:
        """Note every stretch, in order of time: the days on which all that is dated is the same."""
        for number in range((self.end - self.start) // self.step):
            self._stretch_at(self.start + self.step * number)

    def _stretch_at(self, instant: datetime) -> int:
        version, billing = self._version_at(instant), self._billing_at(instant)
        day = self._local(instant).date()
        key = (id(version), billing, day)
        if key not in self.known:
            self.known[key] = self._stretch_of_day(version, billing, day)
        return self.known[key]

    def _stretch_of_day(self, version: TariffVersion, billing: int, day: date) -> int:
        signature = (id(version), *_signature(version, day))
        for number, known in enumerate(self.stretches):
            if (known.billing, known.signature) == (billing, signature):
                return number
        self.stretches.append(_Stretch(billing, version, day, _rates(version, day)[0], signature))
        return len(self.stretches) - 1

    def _netting(self) -> Netting | None:
        export = self.versions[0][1].charges.export
        return None if export is None else export.netting

    def _used(self, energy_wh: Sequence[int]) -> tuple[list[_Used], list[_Used]]:
        used, exported = [], []
        given = self.facts.export_wh
        for number, wh in enumerate(energy_wh):
            instant = self.start + self.step * number
            local = self._local(instant)
            version = self._version_at(instant)
            zones = version.day_zones
            for one in version.schedules:
                day_type = version.calendar.type_of(local.date())
                if one.holds(day_type, _season(version, local.date())[0]):
                    zones = one.day_zones
            name = str(zones.at(local.hour * 60 + local.minute))
            out = 0 if given is None else int(given[self.row, number])
            if self._netting() is Netting.INTERVAL:
                wh, out = max(wh - out, 0), max(out - wh, 0)
            stretch = self._stretch_at(instant)
            used.append(_Used(stretch, name, local.date(), wh, instant))
            exported.append(_Used(stretch, name, local.date(), out, instant))
        return used, exported

    def _net_by_period(
        self, used: list[_Used], exported: list[_Used]
    ) -> tuple[list[_Used], list[_Used]]:
        net_used, net_exported = [], []
        for number, stretch in enumerate(self.stretches):
            for name in map(str, stretch.version.zones):
                net = sum(u.wh for u in used if (u.stretch, u.zone) == (number, name))
                net -= sum(u.wh for u in exported if (u.stretch, u.zone) == (number, name))
                day = stretch.starts_on
                net_used.append(_Used(number, name, day, max(net, 0), self.start))
                net_exported.append(_Used(number, name, day, max(-net, 0), self.start))
        return net_used, net_exported

    def _energy(self, used: list[_Used], raw: list[_Used]) -> None:
        for billing in range(len(self.billings)):
            own = [u for u in used if self.stretches[u.stretch].billing == billing]
            if not own:
                continue
            version = self.stretches[own[0].stretch].version
            borders = self._borders(version, billing)
            if not borders:
                parts = {(u.stretch, u.zone, 0): 0 for u in own}
                for u in own:
                    parts[u.stretch, u.zone, 0] += u.wh
            elif version.range_order is RangeOrder.TIME:
                parts = self._in_time(version, own, billing, borders, used)
            else:
                parts = self._in_proportion(version, own, billing, borders, used)
            for (number, name, rung), wh in sorted(parts.items()):
                stretch = self.stretches[number]
                if not stretch.version.charges.energy_by_zone:
                    continue
                table = _rates(stretch.version, stretch.starts_on)[1]
                place = [str(z) for z in stretch.version.zones].index(name)
                rate = table[max(rung - 1, 0)][place]
                if wh:
                    self._add(
                        number, "energy", name, wh, Fraction(wh * rate, 10**7), range_number=rung
                    )

    def _borders(self, version: TariffVersion, billing: int) -> list[int]:
        if version.norm is None:
            return list(version.range_borders_wh)
        persons = self._fact(self.facts.persons, billing)
        norm = version.norm
        people = list(norm.by_persons_wh)
        while len(people) < persons:
            people.append(people[-1] + norm.each_more_wh)
        return [people[persons - 1] * band // 100 for band in norm.bands_percent]

    def _fact(self, values: Any, billing: int) -> int:  # noqa: ANN401 - a column of numpy
        own = values[self.row]
        return int(own) if values.ndim == 1 else int(own[billing])

    def _climber(self, version: TariffVersion, one: _Used) -> tuple[Any, ...]:
        """Return what names the ladder that an interval climbs."""
        name = one.zone if version.range_basis is RangeBasis.ZONE else ""
        return (one.day, name) if version.range_period is RangePeriod.DAY else (name,)

    def _counted_before(
        self, version: TariffVersion, billing: int, name: str, used: list[_Used]
    ) -> int:
        """Return what a ladder has counted before a billing period."""
        if version.norm is not None and version.norm.with_common_area:
            return self._fact(self.facts.common_area_wh, billing)
        if version.range_period is not RangePeriod.YEAR:
            return 0
        first = [max(p.start, self.start) for p in self.billings]
        years = [self._local(instant).date().year for instant in first]
        same = [n for n in range(billing) if years[n] == years[billing]]
        counted = sum(
            u.wh
            for u in used
            if self.stretches[u.stretch].billing in same and (not name or u.zone == name)
        )
        begun = self._local(first[same[0] if same else billing]).date()
        if (begun.month, begun.day) != (1, 1):
            opening = self.facts.opening_wh
            assert opening is not None
            names = [str(z) for z in version.zones]
            own = opening[self.row]
            counted += int(own) if opening.ndim == 1 else int(own[names.index(name)])
        return counted

    def _in_time(
        self,
        version: TariffVersion,
        own: list[_Used],
        billing: int,
        borders: list[int],
        used: list[_Used],
    ) -> dict[tuple[int, str, int], int]:
        counted: dict[tuple[Any, ...], int] = {}
        parts: dict[tuple[int, str, int], int] = {}
        for one in own:
            climber = self._climber(version, one)
            if climber not in counted:
                counted[climber] = self._counted_before(version, billing, climber[-1], used)
            left = one.wh
            while left > 0:
                rung = sum(counted[climber] >= border for border in borders)
                room = borders[rung] - counted[climber] if rung < len(borders) else left
                taken = min(left, room)
                key = (one.stretch, one.zone, rung + 1)
                parts[key] = parts.get(key, 0) + taken
                counted[climber] += taken
                left -= taken
        return parts

    def _in_proportion(
        self,
        version: TariffVersion,
        own: list[_Used],
        billing: int,
        borders: list[int],
        used: list[_Used],
    ) -> dict[tuple[int, str, int], int]:
        volumes: dict[tuple[Any, ...], dict[tuple[int, str], int]] = {}
        order = list(Zone)
        for one in sorted(own, key=lambda u: (u.stretch, order.index(Zone(u.zone)))):
            cells = volumes.setdefault(self._climber(version, one), {})
            cells[one.stretch, one.zone] = cells.get((one.stretch, one.zone), 0) + one.wh
        parts: dict[tuple[int, str, int], int] = {}
        for climber, cells in volumes.items():
            before = self._counted_before(version, billing, climber[-1], used)
            reached = before + sum(cells.values())
            left = dict(cells)
            for rung, (low, high) in enumerate(_rungs(borders), start=1):
                volume = max(0, min(reached, high) - max(before, low))
                for cell, wh in _largest_remainder(volume, left).items():
                    parts[*cell, rung] = parts.get((*cell, rung), 0) + wh
                    left[cell] -= wh
        return parts

    def _hourly(self, used: list[_Used]) -> None:
        for number, stretch in enumerate(self.stretches):
            hourly = stretch.version.charges.hourly
            if hourly is None:
                continue
            series = self.facts.price_series[hourly.series]
            own = [u for u in used if u.stretch == number]
            exact = sum(
                (
                    u.wh * _hourly_price(hourly, series, u.instant, self.step, stretch.starts_on)
                    for u in own
                ),
                Fraction(0),
            )
            quantity = sum(u.wh for u in own)
            self._add(number, "hourly", hourly.series, quantity, exact * Fraction(1, 10**7))

    def _days(self) -> list[tuple[date, int]]:
        """Return the local days that begin on the grid, each with its stretch."""
        day = self._local(self.start).date()
        found = []
        while (midnight := datetime.combine(day, time(), self.zone).astimezone(UTC)) < self.end:
            if midnight >= self.start:
                found.append((day, self._stretch_at(midnight)))
            day += timedelta(days=1)
        return found

    def _allowance(self, used: list[_Used]) -> None:
        for number, stretch in enumerate(self.stretches):
            allowance = stretch.version.charges.allowance
            if allowance is None:
                continue
            own = [u for u in used if u.stretch == number]
            if allowance.unused is Unused.CARRIES:
                days = sum(n == number for _, n in self._days())
                wh = max(0, min(sum(u.wh for u in own), days * allowance.wh_per_day))
            else:
                wh = sum(
                    max(0, min(sum(u.wh for u in own if u.day == day), allowance.wh_per_day))
                    for day in {u.day for u in own}
                )
            rate = _amount(allowance.amounts, stretch.starts_on)
            self._add(number, "allowance", "", -wh, Fraction(-wh * rate, 10**7))

    def _pieces(
        self, chosen: Callable[[TariffVersion], tuple[DatedAmount, ...] | None], *, by_month: bool
    ) -> list[tuple[int, date, int, int]]:
        """Return (stretch, first day, days, rate) of the days on which an amount is the same."""
        pieces: dict[tuple[Any, ...], list[date]] = {}
        for day, number in self._days():
            amounts = chosen(self.stretches[number].version)
            if amounts is None:
                continue
            dated = [a for a in amounts if a.valid_from <= day]
            month = (day.year, day.month) if by_month else ()
            pieces.setdefault((number, dated[-1] if dated else None, month), []).append(day)
        return [
            (number, days[0], len(days), dated.amount_scaled if dated else 0)
            for (number, dated, _), days in pieces.items()
        ]

    def _fixed(self) -> None:
        codes = {f.code for s in self.stretches for f in s.version.charges.fixed}
        for code in sorted(codes):

            def of(version: TariffVersion, code: str = code) -> Any:  # noqa: ANN401
                return next((f for f in version.charges.fixed if f.code == code), None)

            for by_month in (False, True):

                def amounts(
                    version: TariffVersion,
                    by_month: bool = by_month,
                    of: Any = of,  # noqa: ANN401
                ) -> tuple[DatedAmount, ...] | None:
                    fixed = of(version)
                    if fixed is None or (fixed.per is not FixedPer.DAY) != by_month:
                        return None
                    return tuple(fixed.amounts)

                for number, day, days, rate in self._pieces(amounts, by_month=by_month):
                    stretch = self.stretches[number]
                    per = of(stretch.version).per
                    share = Fraction(days, _days_of_month(day))
                    quantity, exact = days, Fraction(days)
                    if per is FixedPer.MONTH:
                        exact = share
                    elif per is FixedPer.M2:
                        quantity = self._fact(self.facts.area_dm2, stretch.billing)
                        exact = Fraction(quantity, 100) * share
                    elif per is FixedPer.PERSON:
                        quantity = self._fact(self.facts.persons, stretch.billing)
                        exact = quantity * share
                    self._add(
                        number,
                        "fixed",
                        code,
                        quantity,
                        exact * Fraction(rate, 10**4),
                        starts_on=day,
                    )

    def _part(self, stretch: int) -> tuple[int, int]:
        own = self.stretches[stretch]
        return (own.billing, id(own.version))

    def _closes(self, billing: int) -> bool:
        return billing < len(self.billings) - 1 or self.facts.closing

    def _capacity(self, used: list[_Used]) -> None:
        codes = {c.code for s in self.stretches for c in s.version.charges.capacity}
        for code in sorted(codes):

            def of(version: TariffVersion, code: str = code) -> CapacityCharge | None:
                return next((c for c in version.charges.capacity if c.code == code), None)

            def amounts(
                version: TariffVersion,
                of: Any = of,  # noqa: ANN401
            ) -> tuple[DatedAmount, ...] | None:
                charge = of(version)
                return None if charge is None else tuple(charge.amounts)

            for number, day, days, rate in self._pieces(amounts, by_month=True):
                stretch = self.stretches[number]
                charge = of(stretch.version)
                assert charge is not None
                if not self._closes(stretch.billing):
                    continue
                watts = self._billed_w(charge, self._part(number), used)
                exact = Fraction(watts * rate * days, 1000 * 10**4 * _days_of_month(day))
                self._add(number, "capacity", code, watts, exact, starts_on=day)

    def _billed_w(self, charge: CapacityCharge, part: tuple[int, int], used: list[_Used]) -> int:
        if charge.basis is CapacityBasis.CONTRACTED:
            return self._fact(self.facts.contracted_w, part[0])
        own = [u for u in used if self._part(u.stretch) == part]
        if charge.basis is CapacityBasis.REGULATED_PEAKS:
            begins, ends = own[0].instant, own[-1].instant + self.step
            hours = {
                h
                for h in self.facts.regulated_hours[charge.hours]
                if h >= begins and h + timedelta(hours=1) <= ends
            }
            total = sum(u.wh for u in own for h in hours if h <= u.instant < h + timedelta(hours=1))
            return max(0, _half_up(Fraction(total, len(hours))))
        highest = self._highest_w(charge, own)
        if not charge.ratchet_months:
            return highest
        known = self.facts.demand_before_w
        assert known is not None
        months = [int(w) for w in known[self.row]]
        earlier: list[tuple[int, int]] = []
        for number, stretch in enumerate(self.stretches):
            named = any(c.code == charge.code for c in stretch.version.charges.capacity)
            if stretch.billing < part[0] and named and self._part(number) not in earlier:
                earlier.append(self._part(number))
        for before in earlier:
            others = [u for u in used if self._part(u.stretch) == before]
            version = self.stretches[others[0].stretch].version
            same = next(c for c in version.charges.capacity if c.code == charge.code)
            months.append(self._highest_w(same, others))
        held = max(months[-charge.ratchet_months :], default=0)
        return max(highest, _half_up(Fraction(held * charge.ratchet_ppm, 10**6)))

    def _highest_w(self, charge: CapacityCharge, own: list[_Used]) -> int:
        highest = 0
        for u in own:
            local = self._local(u.instant)
            minute = local.hour * 60 + local.minute
            inside = not charge.windows or any(a <= minute < z for a, z in charge.windows)
            calendar = self.stretches[u.stretch].version.calendar
            counted = not charge.day_types or calendar.type_of(local.date()) in charge.day_types
            if inside and counted:
                highest = max(highest, u.wh)
        return highest * (timedelta(hours=1) // self.step)

    def _minimum(self) -> None:
        def amounts(version: TariffVersion) -> tuple[DatedAmount, ...] | None:
            minimum = version.charges.minimum
            return None if minimum is None else minimum.amounts

        least: dict[tuple[int, int], Fraction] = {}
        for number, day, days, rate in self._pieces(amounts, by_month=True):
            share = Fraction(rate * days, _days_of_month(day) * 10**4)
            least[self._part(number)] = least.get(self._part(number), Fraction(0)) + share
        charged = list(self.lines)
        for part, exact in least.items():
            members = [n for n in range(len(self.stretches)) if self._part(n) == part]
            starts = {self.stretches[n].starts_on for n in members}
            if not self._closes(part[0]):
                continue
            sum_minor = sum(
                line.amount_minor
                for line in charged
                if line.billing == part[0] and self._stretch_of(line) in members
            )
            lacking = max(0, _half_up(exact) - sum_minor)
            self._add(
                members[-1],
                "minimum",
                "",
                lacking,
                Fraction(lacking),
                starts_on=min(starts),
            )

    def _stretch_of(self, line: JudgedLine) -> int:
        """Return the last stretch of the billing period that began by the start of a line."""
        return max(
            n
            for n, s in enumerate(self.stretches)
            if s.billing == line.billing and s.starts_on <= line.starts_on
        )

    def _concessions(self, used: list[_Used]) -> None:
        before = list(self.lines)
        for number, stretch in enumerate(self.stretches):
            for concession in stretch.version.charges.concessions:
                ppm = _share(concession.shares, stretch.starts_on)
                kinds = {"energy", "hourly"}
                if concession.base is Base.CHARGES:
                    kinds |= {"allowance", "fixed", "capacity", "minimum"}
                base = sum(
                    line.amount_minor
                    for line in before
                    if line.kind in kinds
                    and line.billing == stretch.billing
                    and self._owner(line) == number
                )
                if not ppm or not (
                    concession.everyone or self.facts.entitled[concession.code][self.row]
                ):
                    continue
                eligible = self._within_limit(concession, number, max(base, 0), used)
                exact = Fraction(-eligible * ppm, 10**6)
                self._add(number, "concession", concession.code, -eligible, exact)

    def _owner(self, line: JudgedLine) -> int:
        """Return the stretch a line belongs to; the minimum is one of the end of its part."""
        number = self._stretch_of(line)
        if line.kind != "minimum":
            return number
        return max(n for n in range(len(self.stretches)) if self._part(n) == self._part(number))

    def _within_limit(
        self, concession: Concession, number: int, base: int, used: list[_Used]
    ) -> int:
        if not concession.limit_wh:
            return base
        limit = concession.limit_wh
        if concession.limit_each_person:
            limit *= self._fact(self.facts.persons, self.stretches[number].billing)
        wh = {
            n: max(0, sum(u.wh for u in used if u.stretch == n))
            for n in range(len(self.stretches))
            if self._part(n) == self._part(number)
        }
        begun = sum(w for n, w in wh.items() if n < number)
        within = max(0, min(wh[number], limit - begun))
        if within == wh[number]:
            return base
        return _half_up(Fraction(base * within, wh[number]))

    def _taxes(self) -> dict[tuple[int, str, date], int]:
        before = list(self.lines)
        included = {}
        for number, stretch in enumerate(self.stretches):
            base = sum(
                line.amount_minor
                for line in before
                if line.billing == stretch.billing and self._owner(line) == number
            )
            for tax in stretch.version.charges.taxes:
                ppm = _share(tax.shares, stretch.starts_on)
                if tax.mode is TaxMode.ON_TOP:
                    self._add(number, "tax", tax.code, base, Fraction(base * ppm, 10**6))
                else:
                    exact = Fraction(base * ppm, 10**6 + ppm)
                    included[stretch.billing, tax.code, stretch.starts_on] = _half_up(exact)
        return included


def _signature(version: TariffVersion, day: date) -> tuple[Any, ...]:
    """Return the first days of all that is dated and cuts the energy of a day."""
    charges = version.charges
    dated: list[tuple[DatedAmount, ...] | tuple[DatedShare, ...]] = []
    dated.extend(t.shares for t in charges.taxes)
    dated.extend(c.shares for c in charges.concessions)
    if charges.allowance is not None:
        dated.append(charges.allowance.amounts)
    if charges.export is not None:
        dated.append(charges.export.amounts)
    if charges.hourly is not None:
        dated.extend(c.amounts for c in charges.hourly.components)
    firsts = [
        max((d.valid_from for d in all_ if d.valid_from <= day), default=None) for all_ in dated
    ]
    # Dates of other seasons' rates cut as well.
    rates = max(d.valid_from for d in version.rates if d.valid_from <= day)
    return (rates, *_season(version, day), *firsts)


def _season(version: TariffVersion, day: date) -> tuple[str, date | None]:
    """Return the season of a day and the day on which it began."""
    if not version.seasons:
        return "", None
    begun = [
        (date(year, s.month, s.day), s.season)
        for year in (day.year - 1, day.year)
        for s in version.seasons
        if date(year, s.month, s.day) <= day
    ]
    first, name = max(begun)
    return name, first


def _rates(version: TariffVersion, day: date) -> tuple[date, tuple[tuple[int, ...], ...]]:
    season = _season(version, day)[0]
    known = [
        (d.valid_from, d.rates_scaled)
        for d in version.rates
        if d.valid_from <= day and d.season in ("", season)
    ]
    return max(known, key=lambda pair: pair[0])


def _hourly_price(
    hourly: HourlyPrice, series: PriceSeries, instant: datetime, step: timedelta, day: date
) -> Fraction:
    length = timedelta(minutes=series.interval_min)
    parts = sum(_amount(c.amounts, day) for c in hourly.components)
    prices = []
    at = instant
    while at < instant + step:
        price = int(series.prices_scaled[(at - series.start) // length])
        if hourly.limits is Limits.TOTAL:
            price += parts
        if hourly.floor_scaled is not None:
            price = max(price, hourly.floor_scaled)
        if hourly.cap_scaled is not None:
            price = min(price, hourly.cap_scaled)
        prices.append(price if hourly.limits is Limits.TOTAL else price + parts)
        at += length
    assert len(prices) == 1 or hourly.coarse is Coarse.AVERAGE
    return Fraction(sum(prices), len(prices))


def _amount(amounts: Sequence[DatedAmount], day: date) -> int:
    known = [a for a in amounts if a.valid_from <= day]
    return max(known, key=lambda a: a.valid_from).amount_scaled if known else 0


def _share(shares: Sequence[DatedShare], day: date) -> int:
    known = [s for s in shares if s.valid_from <= day]
    return max(known, key=lambda s: s.valid_from).ppm if known else 0


def _days_of_month(day: date) -> int:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (following - day.replace(day=1)).days


def _rungs(borders: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip([0, *borders], [*borders, 10**18], strict=True))


def _half_up(exact: Fraction) -> int:
    magnitude = int(abs(exact) + Fraction(1, 2))
    return -magnitude if exact < 0 else magnitude


def _largest_remainder(
    volume: int, cells: dict[tuple[int, str], int]
) -> dict[tuple[int, str], int]:
    whole = sum(cells.values())
    if not volume or not whole:
        return dict.fromkeys(cells, 0)
    exact = {key: Fraction(volume * wh, whole) for key, wh in cells.items()}
    floor = {key: value.numerator // value.denominator for key, value in exact.items()}
    spare = volume - sum(floor.values())
    by_rest = sorted(cells, key=lambda key: floor[key] - exact[key])
    return {key: floor[key] + (key in by_rest[:spare]) for key in cells}
