"""What accounts owe for a month or for some days of it, from what is known; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount, Stay
from billing.charges import AccountCharge, MeterFact
from billing.deductions.service import deduct
from billing.explanation.inputs import Inputs
from billing.heat.service import heat_lines
from billing.house.service import house_lines
from billing.models import Measurement
from billing.month.alternatives import PlanCost, together
from billing.month.charging import Gathered, charge_rows, tell_meters
from billing.month.energy.grids import Asked, by_zone_alone, guessed_in, mask_outside
from billing.month.energy.service import by_plan
from billing.month.energy.store import energies, set_aside, used_estimates
from billing.month.pricing import priced_alike
from billing.registers.service import rate_registers
from billing.store import retailer
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering import store as metering_store
from tariffs.lines import CannotRate
from tariffs.rating import rate_population

NO_CHANNEL: Final = mark("The premises has no metering channel: electricity was not charged.")


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What a month's charge was computed from, for the documents that show it."""

    charges: dict[AccountId, AccountCharge]
    meters: dict[AccountId, tuple[MeterFact, ...]]
    alternatives: dict[AccountId, tuple[PlanCost, ...]] = field(default_factory=dict)
    """What the same consumption would have cost, for accounts whose plan promises or gives."""
    refused: dict[AccountId, CannotRate] = field(default_factory=dict)
    """Accounts whose electricity could not be priced, and why; of it they have no lines."""


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
    running month and the close, so their kopecks agree. What is for whole months only (heat, other
    services of the house, minimum bill, demand, guarantee, deductions) waits for the close. With
    `known_at`, everything is read as it was known at that instant: so a line is replayed; `inputs`
    is filled with what was read.
    """
    gathered = Gathered.of(account.id for account in accounts)
    end = month.plus(1).first_day
    closing = until is None
    asked = Asked(month.first_day, min(until or end, end), closing, known_at, inputs)
    _rate_intervals(session, accounts, asked, gathered)
    if closing:
        _rate_registers(session, accounts, month, asked, gathered)
    gathered.leave_out_refused()
    if closing:
        gathered.add(heat_lines(session, accounts, month, known_at=known_at))
        of_houses = house_lines(session, accounts, month, known_at=known_at)
        gathered.add({i: (of_house.lines, of_house.warnings) for i, of_house in of_houses.items()})
        for account_id, of_house in of_houses.items():
            gathered.meters[account_id].extend(of_house.meters)
        gathered.add(deduct(session, accounts, month, gathered.lines, known_at=known_at))
    return MonthFacts(
        charges={
            account.id: AccountCharge(
                account.id,
                tuple(gathered.lines[account.id]),
                tuple(dict.fromkeys(gathered.warnings[account.id])),
            )
            for account in accounts
        },
        meters={account_id: tuple(facts) for account_id, facts in gathered.meters.items()},
        alternatives={
            account_id: together(costs, gathered.beside_minor.get(account_id, 0))
            for account_id, costs in gathered.alternatives.items()
            if costs
        },
        refused=gathered.refused,
    )


def rate_days(
    session: Session, accounts: Sequence[BilledAccount], first: date, end: date
) -> dict[AccountId, tuple[int, int]]:
    """Return what the electricity from `first` up to `end` cost, and of how many days it is known.

    The same rating as that of the bill, on the plan that an account has now and over days that need
    not be a month: ranges of consumption are reached later than in a whole month, so it is an
    estimate for accounts with a ladder.
    """
    found: dict[AccountId, tuple[int, int]] = {}
    asked = Asked(first, end, closing=False)
    on_one_plan = [replace(a, stays=(Stay(first, end, a.plan_id),)) for a in accounts]
    for energy in energies(session, on_one_plan, asked):
        per_day = [
            intervals_in_day(first + timedelta(days=n), energy.zone, energy.matrix.interval_min)
            for n in range((end - first).days)
        ]
        starts = np.concatenate([[0], np.cumsum(per_day)[:-1]])
        whole_days = np.add.reduceat(
            (energy.matrix.quality != Quality.MISSING).astype(np.int64), starts, axis=1
        )
        known_days = (whole_days > 0).sum(axis=1).tolist()
        for of_plan in by_plan(session, energy, asked):
            for alike, priced in priced_alike(of_plan):
                if isinstance(priced, CannotRate):
                    continue
                costs_minor = priced.own.amount_minor.sum(axis=1).tolist()
                for owner, rows, cost_minor in zip(
                    alike.owners, alike.rows, costs_minor, strict=True
                ):
                    found[owner.id] = cost_minor, max(known_days[row] for row in rows)
    return found


def energy_by_day(
    session: Session, account: BilledAccount, first: date, end: date
) -> tuple[tuple[date, dict[str, int]], ...]:
    """Return the Wh of each local day by the zones of the plan that the account then had."""
    shown: dict[date, dict[str, int]] = {}
    asked = Asked(first, end, closing=False)
    for energy in energies(session, [account], asked):
        for of_plan in by_plan(session, energy, asked, with_facts=False):
            by_zone = by_zone_alone(of_plan.versions)
            place = 0
            for number in range((of_plan.stay.end - of_plan.stay.first).days):
                day = of_plan.stay.first + timedelta(days=number)
                count = intervals_in_day(day, energy.zone, energy.matrix.interval_min)
                columns = rate_population(
                    by_zone,
                    of_plan.energy_wh[:1, place : place + count],
                    local_midnight(day, energy.zone),
                    energy.matrix.interval_min,
                    energy.zone,
                )
                zones = shown.setdefault(day, {})
                for spec, wh in zip(columns.specs, columns.energy_wh[0].tolist(), strict=True):
                    zones[str(spec.zone)] = zones.get(str(spec.zone), 0) + wh
                place += count
    return tuple(sorted(shown.items()))


def known_until(session: Session, accounts: Sequence[BilledAccount]) -> dict[AccountId, datetime]:
    """Return the end of the last local day of which each account's meter gave anything."""
    by_premises: dict[int, list[AccountId]] = {}
    for account in accounts:
        if account.measurement is Measurement.INTERVALS:
            by_premises.setdefault(account.premises_id, []).append(account.id)
    channels = metering_store.channels_of_premises(session, by_premises)
    last = metering_store.last_days(session, [channel.channel_id for channel in channels])
    return {
        account_id: local_midnight(last[c.channel_id] + timedelta(days=1), ZoneInfo(c.zone))
        for c in channels
        if c.channel_id in last
        for account_id in by_premises[c.premises_id]
    }


def _rate_intervals(
    session: Session, accounts: Sequence[BilledAccount], asked: Asked, gathered: Gathered
) -> None:
    """Rate the interval accounts: one matrix for a zone and interval, one product for a plan."""
    if asked.end <= asked.first:
        return
    interval_accounts = [a for a in accounts if a.measurement is Measurement.INTERVALS]
    serials = {
        meter.point_id: meter
        for meter in metering_store.meters_of_premises(
            session,
            [account.premises_id for account in interval_accounts],
            known_at=asked.known_at,
        )
        if meter.removed_on is None
    }
    with_channel: set[AccountId] = set()
    for energy in energies(session, interval_accounts, asked):
        with_channel.update(owner.id for owner in energy.owners)
        matrix = energy.matrix
        mask_outside(energy)
        period = Period(matrix.start, local_midnight(asked.end, energy.zone))
        aside = set_aside(session, matrix, period, energy.zone, known_at=asked.known_at)
        if aside:
            mask_outside(energy)
        guessed = guessed_in(matrix)
        used = used_estimates(session, energy.channels, guessed, period, asked.known_at)
        for of_plan in by_plan(session, energy, asked):
            for alike, priced in priced_alike(of_plan):
                if isinstance(priced, CannotRate):
                    for owner in alike.owners:
                        gathered.refuse(owner.id, priced)
                else:
                    charge_rows(energy, alike, priced, guessed, used, aside, asked, gathered)
        tell_meters(energy, serials, asked, aside, gathered)
    for account in interval_accounts:
        if account.id not in with_channel:
            gathered.warnings[account.id].append(NO_CHANNEL)


def _rate_registers(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    asked: Asked,
    gathered: Gathered,
) -> None:
    by_hand = [a for a in accounts if a.measurement is Measurement.REGISTERS]
    if not by_hand:
        return
    split = retailer(session).price_split
    for account_id, charge in rate_registers(
        session, by_hand, month, split, known_at=asked.known_at, inputs=asked.inputs
    ).items():
        gathered.lines[account_id].extend(charge.lines)
        gathered.meters[account_id].extend(charge.meters)
        gathered.warnings[account_id].extend(charge.warnings)
        if charge.refused is not None:
            gathered.refuse(account_id, charge.refused)
        if charge.alternatives:
            gathered.alternatives[account_id].append(charge.alternatives)
