"""What accounts owe for a month or for some days of it, from what is known; nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import (
    AccountCharge,
    MeterFact,
    NewLine,
    UsedEstimate,
    estimates_detail,
)
from billing.deductions.service import deduct
from billing.explanation.inputs import Inputs, RatedIntervals
from billing.house.service import house_lines
from billing.law import ESTIMATE_UNCERTAIN, VERIFICATION_EXPIRED
from billing.models import (
    LineUnit,
    Measurement,
    Service,
)
from billing.register_service import rate_registers
from billing.store import (
    areas_of_buildings,
    retailer,
)
from heating import store as heating_store
from heating.allocation import HeatedFlat, HouseMonth, share_building_month
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.digest import canonical_json, digest_text
from kilokassa.core.ids import AccountId, PremisesId, TariffPlanId
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering import store as metering_store
from metering.days import IntervalMatrix
from metering.estimation import store as estimate_store
from metering.estimation.gaps import spread_by_profile
from metering.registers import register_differences
from metering.registry.places import Commodity
from metering.store import PremisesChannel, PremisesMeter
from tariffs.lines import ChargeKind
from tariffs.rating import VersionInForce, rate_population
from tariffs.store import versions_in_force

NO_CHANNEL: Final = mark("The premises has no metering channel: electricity was not charged.")
INTERVALS_MISSING: Final = mark("Some intervals of the month have no value; they were not charged.")
HEAT_UNKNOWN: Final = mark("The house's heat of the month is not known: it was not charged yet.")


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What a month's charge was computed from, for the documents that show it."""

    charges: dict[AccountId, AccountCharge]
    meters: dict[AccountId, tuple[MeterFact, ...]]


def rate_month(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    *,
    until: date | None = None,
    known_at: datetime | None = None,
    inputs: Inputs | None = None,
) -> MonthFacts:
    """Compute what `accounts` owe for `month`, from what is known now; write nothing.

    With `until`, the month is rated up to that local day (exclusive): the same function serves the
    running month and the close, so their kopecks agree. Heat is shared for whole months only. With
    `known_at`, everything is read as it was known at that instant: so a line is replayed. Who
    explains a line gives `inputs`, and finds there what was read.
    """
    lines: dict[AccountId, list[NewLine]] = {account.id: [] for account in accounts}
    warnings: dict[AccountId, list[str]] = {account.id: [] for account in accounts}
    meters: dict[AccountId, list[MeterFact]] = {account.id: [] for account in accounts}
    gathered = _Gathered(lines, warnings, meters, inputs)
    _rate_intervals(session, accounts, month, until, known_at, gathered)
    if until is None:
        _rate_registers(session, accounts, month, known_at, gathered)
        _share_heat(session, accounts, month, known_at, gathered)
        _serve_houses(session, accounts, month, known_at, gathered)
        _deduct(session, accounts, month, known_at, gathered)
    return MonthFacts(
        charges={
            account.id: AccountCharge(
                account.id, tuple(lines[account.id]), tuple(dict.fromkeys(warnings[account.id]))
            )
            for account in accounts
        },
        meters={account_id: tuple(facts) for account_id, facts in meters.items()},
    )


def rate_days(
    session: Session, accounts: Sequence[BilledAccount], first: date, end: date
) -> dict[AccountId, tuple[int, int]]:
    """Return what the electricity from `first` up to `end` cost, and of how many days it is known.

    The same rating as that of the bill, over days that need not be a month: ranges of consumption
    are reached later than in a whole month, so it is an estimate for accounts with a ladder.
    """
    found: dict[AccountId, tuple[int, int]] = {}
    for zone, _, owners, matrix in _matrices(session, accounts, first, end):
        per_day = [
            intervals_in_day(first + timedelta(days=n), zone, matrix.interval_min)
            for n in range((end - first).days)
        ]
        starts = np.concatenate([[0], np.cumsum(per_day)[:-1]])
        whole_days = np.add.reduceat(
            (matrix.quality != Quality.MISSING).astype(np.int64), starts, axis=1
        )
        known_days = (whole_days > 0).sum(axis=1).tolist()
        period = Period(local_midnight(first, zone), local_midnight(end, zone))
        for versions, rows in _by_plan(session, owners, period, zone):
            columns = rate_population(
                versions, matrix.energy_wh[rows], matrix.start, matrix.interval_min, zone
            )
            costs_minor = columns.amount_minor.sum(axis=1).tolist()
            for row, cost_minor in zip(rows, costs_minor, strict=True):
                found[owners[row].id] = (cost_minor, known_days[row])
    return found


def energy_by_day(
    session: Session, account: BilledAccount, first: date, end: date
) -> tuple[tuple[date, dict[str, int]], ...]:
    """Return the Wh of each local day by the zones of the account's plan."""
    shown: list[tuple[date, dict[str, int]]] = []
    for zone, _, owners, matrix in _matrices(session, [account], first, end):
        period = Period(local_midnight(first, zone), local_midnight(end, zone))
        versions = versions_in_force(session, [owners[0].plan_id], period, zone)
        known = versions.get(owners[0].plan_id, ())
        place = 0
        for number in range((end - first).days):
            day = first + timedelta(days=number)
            count = intervals_in_day(day, zone, matrix.interval_min)
            columns = rate_population(
                known,
                matrix.energy_wh[:1, place : place + count],
                local_midnight(day, zone),
                matrix.interval_min,
                zone,
            )
            zones: dict[str, int] = {}
            for spec, wh in zip(columns.specs, columns.energy_wh[0].tolist(), strict=True):
                zones[str(spec.zone)] = zones.get(str(spec.zone), 0) + wh
            shown.append((day, zones))
            place += count
    return tuple(shown)


def known_until(session: Session, accounts: Sequence[BilledAccount]) -> dict[AccountId, datetime]:
    """Return the end of the last local day of which each account's meter gave anything."""
    by_premises = {a.premises_id: a for a in accounts if a.measurement is Measurement.INTERVALS}
    channels = metering_store.channels_of_premises(session, by_premises)
    last = metering_store.last_days(session, [channel.channel_id for channel in channels])
    return {
        by_premises[PremisesId(c.premises_id)].id: local_midnight(
            last[c.channel_id] + timedelta(days=1), ZoneInfo(c.zone)
        )
        for c in channels
        if c.channel_id in last
    }


@dataclass(frozen=True, slots=True)
class _Gathered:
    lines: dict[AccountId, list[NewLine]]
    warnings: dict[AccountId, list[str]]
    meters: dict[AccountId, list[MeterFact]]
    inputs: Inputs | None = None


def _rate_intervals(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    until: date | None,
    known_at: datetime | None,
    gathered: _Gathered,
) -> None:
    """Rate the interval accounts: one matrix for a zone and interval, one product for a plan."""
    end = month.plus(1).first_day if until is None else min(until, month.plus(1).first_day)
    if end <= month.first_day:
        return
    interval_accounts = [a for a in accounts if a.measurement is Measurement.INTERVALS]
    serials = {
        meter.point_id: meter
        for meter in metering_store.meters_of_premises(
            session,
            [account.premises_id for account in interval_accounts],
            known_at=known_at,
        )
        if meter.removed_on is None
    }
    with_channel: set[AccountId] = set()
    for zone, group, owners, matrix in _matrices(session, accounts, month.first_day, end, known_at):
        with_channel.update(owner.id for owner in owners)
        _mask_before_opening(matrix, owners, month, zone)
        period = Period(matrix.start, local_midnight(end, zone))
        aside = _set_aside(session, matrix, period, zone, known_at)
        guessed = _guessed(matrix)
        used = _used_estimates(session, group, guessed, period, known_at)
        for versions, rows in _by_plan(session, owners, period, zone, known_at):
            _rate_rows(matrix, group, guessed, rows, owners, versions, zone, used, aside, gathered)
        _gather_meters(matrix, group, owners, serials, until is None, aside, gathered)
    for account in interval_accounts:
        if account.id not in with_channel:
            gathered.warnings[account.id].append(NO_CHANNEL)


def _by_plan(
    session: Session,
    owners: Sequence[BilledAccount],
    period: Period,
    zone: ZoneInfo,
    known_at: datetime | None = None,
) -> Iterator[tuple[Sequence[VersionInForce], list[int]]]:
    """Yield for each plan the versions in force in `period`, and the rows of its accounts."""
    rows_of: dict[TariffPlanId, list[int]] = {}
    for row, owner in enumerate(owners):
        rows_of.setdefault(owner.plan_id, []).append(row)
    versions = versions_in_force(session, sorted(rows_of), period, zone, known_at=known_at)
    for plan_id, rows in rows_of.items():
        yield versions.get(plan_id, ()), rows


def _set_aside(
    session: Session,
    matrix: IntervalMatrix,
    period: Period,
    zone: ZoneInfo,
    known_at: datetime | None,
) -> dict[int, str]:
    """Put estimates where the meter's verification did not hold; return, by row, which.

    What was measured there stays stored, but does not count: the estimate's quantity is spread over
    the intervals by a standard profile, so that zones and ranges have something to go by.
    """
    found = estimate_store.setting_aside(session, matrix.channel_ids, period, known_at=known_at)
    step = timedelta(minutes=matrix.interval_min)
    intervals = matrix.energy_wh.shape[1]
    aside: dict[int, str] = {}
    for row, channel_id in enumerate(matrix.channel_ids):
        for one in found.get(channel_id, ()):
            values = spread_by_profile(one.quantity, one.period, matrix.interval_min, zone)
            first = (one.period.start - matrix.start) // step
            begin, end = max(first, 0), min(first + len(values), intervals)
            matrix.energy_wh[row, begin:end] = values[begin - first : end - first]
            matrix.quality[row, begin:end] = Quality.ESTIMATED
            aside[row] = f"{aside.get(row, '')}{one.id}:{one.quantity};"
    return aside


def _guessed(matrix: IntervalMatrix) -> npt.NDArray[np.bool_]:
    """Say of which intervals the value was not measured."""
    guessed: npt.NDArray[np.bool_] = np.asarray(
        (matrix.quality == Quality.ESTIMATED) | (matrix.quality == Quality.SUBSTITUTED)
    )
    return guessed


def _used_estimates(
    session: Session,
    group: Sequence[PremisesChannel],
    guessed: npt.NDArray[np.bool_],
    period: Period,
    known_at: datetime | None,
) -> dict[int, tuple[UsedEstimate, ...]]:
    """Return, by row, the methods by which a channel's values of `period` were estimated."""
    rows = np.flatnonzero(guessed.any(axis=1)).tolist()
    if not rows:
        return {}
    kept = estimate_store.kept_estimates(
        session, [group[row].point_id for row in rows], known_at=known_at
    )
    return {
        row: tuple(
            dict.fromkeys(
                UsedEstimate.of(one.method, one.basis)
                for one in kept.get(group[row].point_id, ())
                if one.channel_id == group[row].channel_id and one.period.intersect(period)
            )
        )
        for row in rows
    }


def _rate_rows(
    matrix: IntervalMatrix,
    group: Sequence[PremisesChannel],
    guessed: npt.NDArray[np.bool_],
    rows: Sequence[int],
    owners: Sequence[BilledAccount],
    versions: Sequence[VersionInForce],
    zone: ZoneInfo,
    used: Mapping[int, tuple[UsedEstimate, ...]],
    aside: Mapping[int, str],
    gathered: _Gathered,
) -> None:
    whole = len(rows) == len(matrix.energy_wh)
    energy = matrix.energy_wh if whole else matrix.energy_wh[list(rows)]
    columns = rate_population(versions, energy, matrix.start, matrix.interval_min, zone)
    estimated = None
    here = guessed if whole else guessed[list(rows)]
    if here.any():
        estimated = rate_population(
            versions, np.where(here, energy, 0), matrix.start, matrix.interval_min, zone
        ).energy_wh
    for place, row in enumerate(rows):
        digest = matrix.digests[row]
        if row in aside:
            digest = digest_text(f"{digest}|{aside[row]}")
        if gathered.inputs is not None:
            gathered.inputs.intervals.append(
                RatedIntervals(
                    account_id=owners[row].id,
                    channel=group[row],
                    versions=versions,
                    energy_wh=energy[place : place + 1],
                    start=matrix.start,
                    interval_min=matrix.interval_min,
                    zone=zone,
                    readings=digest,
                )
            )
        account_lines = gathered.lines[owners[row].id]
        energies = columns.energy_wh[place].tolist()
        amounts = columns.amount_minor[place].tolist()
        methods = used.get(row, ())
        detail = estimates_detail(methods) if methods else ""
        if any(not one.certain for one in methods):
            gathered.warnings[owners[row].id].append(ESTIMATE_UNCERTAIN)
        for column, spec in enumerate(columns.specs):
            if energies[column]:
                account_lines.append(
                    NewLine(
                        service=Service.ELECTRICITY,
                        key=spec.key,
                        quantity=energies[column],
                        rate_scaled=spec.rate_scaled,
                        amount_minor=amounts[column],
                        period_start=spec.period.start,
                        period_end=spec.period.end,
                        input_digest=digest,
                        tariff_version_id=spec.version_id,
                        estimated=0 if estimated is None else int(estimated[place, column]),
                        detail=detail if estimated is not None and estimated[place, column] else "",
                    )
                )


def _mask_before_opening(
    matrix: IntervalMatrix, owners: Sequence[BilledAccount], month: Month, zone: ZoneInfo
) -> None:
    """Leave out what was used before an account opened or from the day it closed."""
    step = timedelta(minutes=matrix.interval_min)
    for row, owner in enumerate(owners):
        if owner.opened_on > month.first_day:
            first = (local_midnight(owner.opened_on, zone) - matrix.start) // step
            matrix.energy_wh[row, :first] = 0
        if owner.closed_on is not None:
            last = max(0, (local_midnight(owner.closed_on, zone) - matrix.start) // step)
            matrix.energy_wh[row, last:] = 0


def _gather_meters(
    matrix: IntervalMatrix,
    group: Sequence[PremisesChannel],
    owners: Sequence[BilledAccount],
    serials: dict[int, PremisesMeter],
    whole_month: bool,
    aside: Mapping[int, str],
    gathered: _Gathered,
) -> None:
    totals = matrix.energy_wh.sum(axis=1, dtype=np.int64).tolist()
    guessed = _guessed(matrix)
    estimated = (
        np.where(guessed, matrix.energy_wh, 0).sum(axis=1, dtype=np.int64).tolist()
        if guessed.any()
        else [0] * len(totals)
    )
    missing = (matrix.quality == Quality.MISSING).any(axis=1).tolist()
    for row, channel in enumerate(group):
        account = owners[row]
        meter = serials.get(channel.point_id)
        gathered.meters[account.id].append(
            MeterFact(
                serial=meter.serial if meter else "",
                point_code=channel.point_code,
                service=Service.ELECTRICITY,
                measured=totals[row] - estimated[row],
                estimated=estimated[row],
                verified_until=None if meter is None else meter.verified_until,
            )
        )
        if whole_month and missing[row] and account.opened_on <= matrix.start.date():
            gathered.warnings[account.id].append(INTERVALS_MISSING)
        if whole_month and row not in aside and _expired(meter, matrix.start):
            gathered.warnings[account.id].append(VERIFICATION_EXPIRED)


def _expired(meter: PremisesMeter | None, month_start: datetime) -> bool:
    """Say whether a meter's verification had run out before the month began."""
    if meter is None or meter.verified_until is None:
        return False
    return meter.verified_until < month_start.date()


def _rate_registers(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    known_at: datetime | None,
    gathered: _Gathered,
) -> None:
    by_hand = [a for a in accounts if a.measurement is Measurement.REGISTERS]
    if not by_hand:
        return
    split = retailer(session).price_split
    for account_id, charge in rate_registers(
        session, by_hand, month, split, known_at=known_at, inputs=gathered.inputs
    ).items():
        gathered.lines[account_id].extend(charge.lines)
        gathered.meters[account_id].extend(charge.meters)
        gathered.warnings[account_id].extend(charge.warnings)


def _serve_houses(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    known_at: datetime | None,
    gathered: _Gathered,
) -> None:
    for account_id, charge in house_lines(session, accounts, month, known_at=known_at).items():
        gathered.lines[account_id].extend(charge.lines)
        gathered.meters[account_id].extend(charge.meters)
        gathered.warnings[account_id].extend(charge.warnings)


def _share_heat(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    known_at: datetime | None,
    gathered: _Gathered,
) -> None:
    """Share the heat of each house that has a house meter, by area, over all of its premises."""
    building_ids = {account.building_id for account in accounts}
    houses = heating_store.heated_houses(session, building_ids, month.first_day)
    if not houses:
        return
    meters = [
        meter
        for meter in metering_store.meters_of_buildings(session, houses)
        if meter.commodity is Commodity.HEAT
    ]
    areas = areas_of_buildings(session, houses)
    for meter in meters:
        house = houses[meter.building_id]
        mine = [a for a in accounts if a.building_id == meter.building_id]
        zone = mine[0].zone
        period = month.period(zone)
        readings = metering_store.load_registers(
            session, [meter.meter_id], last=period.end, known_at=known_at
        )
        used = [
            difference
            for difference in register_differences(
                readings, digits=meter.digits, commodity=Commodity.HEAT
            )
            if period.start < difference.period.end <= period.end
        ]
        rate_scaled = heating_store.heat_rate(
            session, house.plan_code, month.first_day, known_at=known_at
        )
        if not used or rate_scaled is None:
            for account in mine:
                gathered.warnings[account.id].append(HEAT_UNKNOWN)
            continue
        heat_kcal = sum(difference.energy for difference in used)
        flats = tuple(
            HeatedFlat(premises_id, area) for premises_id, area in areas[meter.building_id]
        )
        shares = share_building_month(
            HouseMonth(heat_kcal, rate_scaled, flats, house.common_area_dm2)
        )
        by_premises = {share.premises_id: share for share in shares.shares}
        whole_dm2 = sum(flat.area_dm2 for flat in flats)
        for account in mine:
            share = by_premises[account.premises_id]
            if not share.heat_kcal and not share.amount_minor:
                continue
            gathered.lines[account.id].append(
                NewLine(
                    service=Service.HEAT,
                    key=f"heat/{house.plan_code}",
                    quantity=share.heat_kcal,
                    rate_scaled=rate_scaled,
                    amount_minor=share.amount_minor,
                    period_start=period.start,
                    period_end=period.end,
                    input_digest=shares.input_digest,
                    charge=ChargeKind.SERVICE,
                    unit=LineUnit.KCAL,
                    detail=canonical_json(
                        {
                            "house_kcal": heat_kcal,
                            "house_minor": shares.amount_minor,
                            "house_area_dm2": whole_dm2,
                            "area_dm2": account.area_dm2,
                        }
                    ),
                )
            )


def _deduct(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    known_at: datetime | None,
    gathered: _Gathered,
) -> None:
    """Take off what outages and lacks of quality lessen; last, since it is a share of the rest."""
    taken = deduct(session, accounts, month, gathered.lines, known_at=known_at)
    for account_id, (lines, unsure) in taken.items():
        gathered.lines[account_id].extend(lines)
        gathered.warnings[account_id].extend(unsure)


def _matrices(
    session: Session,
    accounts: Sequence[BilledAccount],
    first: date,
    end: date,
    known_at: datetime | None = None,
) -> Iterator[tuple[ZoneInfo, list[PremisesChannel], list[BilledAccount], IntervalMatrix]]:
    """Yield the energy of the accounts from `first` up to `end`, one matrix a zone and interval."""
    by_premises = {a.premises_id: a for a in accounts if a.measurement is Measurement.INTERVALS}
    groups: dict[tuple[str, int], list[PremisesChannel]] = {}
    for channel in metering_store.channels_of_premises(session, by_premises):
        if channel.commodity is Commodity.ELECTRICITY:
            groups.setdefault((channel.zone, channel.interval_min), []).append(channel)
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    for (zone_name, interval_min), group in sorted(groups.items()):
        zone = ZoneInfo(zone_name)
        if days:
            ids = [channel.channel_id for channel in group]
            matrix = metering_store.load_matrix(
                session, ids, days, zone, interval_min, known_at=known_at
            )
            owners = [by_premises[PremisesId(channel.premises_id)] for channel in group]
            yield zone, group, owners, matrix
