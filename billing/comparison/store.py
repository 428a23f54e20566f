"""What accounts used over months, read for comparing: by intervals and by registers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import zone_of
from billing.models import Measurement
from billing.month.alternatives import as_columns
from billing.month.energy.grids import matrix_rows
from billing.month.energy.store import set_aside
from billing.month.facts import row_of
from billing.month.needs import Needs, needs_of
from billing.month.store import stated_facts
from billing.store import consumption_by_month
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from kilokassa.core.series import WattHours
from kilokassa.core.zones import Zone
from metering import store as metering_store
from metering.bulk.store import load_stretch
from metering.days import IntervalMatrix
from metering.registry.places import ACTIVE_GIVEN, Commodity
from tariffs.compare import Costs, Use, measured_in, promised_by
from tariffs.facts import AccountFacts, Whole
from tariffs.guarantee import alternatives_of, cost_by_billing, with_guarantee
from tariffs.lines import LineColumns, VersionInForce
from tariffs.plans import TariffVersion
from tariffs.rating import rate_readings


@dataclass(frozen=True, slots=True, eq=False)
class JointUse:
    """Accounts measured by intervals that were open for the same days, with their use.

    The points of an account are one use, as in a close.
    """

    accounts: tuple[BilledAccount, ...]
    months: tuple[Month, ...]
    """One a billing period of the use."""
    use: Use


def joint_uses(
    session: Session,
    accounts: Sequence[BilledAccount],
    first: Month,
    last: Month,
    versions: Sequence[TariffVersion] = (),
) -> Iterator[JointUse]:
    """Yield the use of interval accounts from `first` to `last`, each for the days it was open.

    What `versions` ask for beside energy is gathered with it. Who follows another at the same
    premises has the use of their own days.
    """
    owners: dict[int, list[BilledAccount]] = {}
    for account in accounts:
        if account.measurement is Measurement.INTERVALS:
            owners.setdefault(account.premises_id, []).append(account)
    groups: dict[tuple[str, int, date, date], list[tuple[int, BilledAccount]]] = {}
    for channel in metering_store.channels_of_premises(session, owners):
        if channel.commodity is not Commodity.ELECTRICITY:
            continue
        for owner in owners[channel.premises_id]:
            start, end = _open_days(owner, first, last)
            if start < end:
                key = (channel.zone, channel.interval_min, start, end)
                groups.setdefault(key, []).append((channel.channel_id, owner))
    for (zone_name, interval_min, start, end), members in sorted(
        groups.items(), key=lambda item: item[0]
    ):
        zone = ZoneInfo(zone_name)
        ids = list(dict.fromkeys(channel_id for channel_id, _ in members))
        matrix = load_stretch(session, ids, start, end, zone, interval_min)
        if len(ids) < len(members):
            place_of = {channel_id: place for place, channel_id in enumerate(ids)}
            matrix = matrix_rows(matrix, [place_of[channel_id] for channel_id, _ in members])
        whole = Period(matrix.start, local_midnight(end, zone))
        set_aside(session, matrix, whole, zone, known_at=None)
        months = _months(start, end)
        owners_here, energy_wh, quality = _by_account([owner for _, owner in members], matrix)
        use = Use(
            energy_wh=energy_wh,
            start=matrix.start,
            interval_min=interval_min,
            zone=zone,
            billings=tuple(_cut(month.period(zone), whole) for month in months),
            quality=quality,
        )
        joint = JointUse(owners_here, months, use)
        facts = _facts_of(session, joint, versions)
        yield joint if facts is None else replace(joint, use=replace(use, facts=facts))


def _by_account(
    owners: Sequence[BilledAccount], matrix: IntervalMatrix
) -> tuple[tuple[BilledAccount, ...], WattHours, npt.NDArray[np.uint8]]:
    """Return each account once, with what its points used together.

    An interval is measured where it was at every point.
    """
    rows_of: dict[AccountId, list[int]] = {}
    for row, owner in enumerate(owners):
        rows_of.setdefault(owner.id, []).append(row)
    if len(rows_of) == len(owners):
        return tuple(owners), matrix.energy_wh, matrix.quality
    firsts = [rows[0] for rows in rows_of.values()]
    energy_wh = matrix.energy_wh[firsts].astype(np.int64)
    quality = matrix.quality[firsts]
    for place, (_, *others) in enumerate(rows_of.values()):
        for row in others:
            energy_wh[place] += matrix.energy_wh[row]
            unsure = ~measured_in(matrix.quality[row])
            quality[place, unsure] = matrix.quality[row, unsure]
    return tuple(owners[row] for row in firsts), energy_wh, quality


def _facts_of(
    session: Session, joint: JointUse, versions: Sequence[TariffVersion]
) -> AccountFacts | None:
    """Gather what the versions ask for beside energy; None where they ask for nothing."""
    needs = needs_of(versions)
    if needs is None:
        return None
    use = joint.use
    whole = Period(use.billings[0].start, use.billings[-1].end)
    last_days = [month.plus(1).first_day - timedelta(days=1) for month in joint.months]

    def stated(of: Needs, day: date) -> AccountFacts:
        return stated_facts(session, joint.accounts, of, whole, day, closing=True, known_at=None)

    market = stated(needs, last_days[-1])
    monthly = replace(needs, series=frozenset(), hour_lists=frozenset(), entitlements=frozenset())
    by_month = [stated(monthly, day) for day in last_days]
    opening = None
    if needs.counted_this_year and joint.months[0].number == 1:
        opening = np.zeros(len(joint.accounts), np.int64)
    return replace(
        market,
        area_dm2=_by_month([facts.area_dm2 for facts in by_month]),
        persons=_by_month([facts.persons for facts in by_month]),
        common_area_wh=_by_month([facts.common_area_wh for facts in by_month]),
        opening_wh=opening,
        export_wh=_export(session, joint, whole) if needs.export else None,
    )


def _by_month(columns: Sequence[Whole | None]) -> Whole | None:
    known = [column for column in columns if column is not None]
    return np.stack(known, axis=1) if len(known) == len(columns) else None


def _export(session: Session, joint: JointUse, whole: Period) -> npt.NDArray[np.int32]:
    """Return what was given to the network, on the grid of the use; 0 where there is no channel."""
    use = joint.use
    export = np.zeros(use.energy_wh.shape, np.int32)
    given = [
        channel
        for channel in metering_store.channels_of_premises(
            session, {a.premises_id for a in joint.accounts}, channel_code=ACTIVE_GIVEN
        )
        if channel.interval_min == use.interval_min
    ]
    if given:
        days = local_date(whole.start, use.zone), local_date(whole.end, use.zone)
        ids = [channel.channel_id for channel in given]
        matrix = load_stretch(session, ids, *days, use.zone, use.interval_min)
        for row, account in enumerate(joint.accounts):
            for place, channel in enumerate(given):
                if channel.premises_id == account.premises_id:
                    export[row] += matrix.energy_wh[place]
    return export


def _open_days(account: BilledAccount, first: Month, last: Month) -> tuple[date, date]:
    end = last.plus(1).first_day
    return (
        max(first.first_day, account.opened_on),
        end if account.closed_on is None else min(end, account.closed_on),
    )


def _months(start: date, end: date) -> tuple[Month, ...]:
    first = Month.of(start)
    count = Month.of(date.fromordinal(end.toordinal() - 1)).ordinal - first.ordinal + 1
    return tuple(first.plus(number) for number in range(count))


def _cut(month: Period, whole: Period) -> Period:
    shared = month.intersect(whole)
    assert shared is not None, "the months are those of the use"
    return shared


RegisterUse = Mapping[Month, Mapping[Zone, int]]
"""Wh that registers counted in each month, by their zones."""


def register_uses(
    session: Session, account_ids: Sequence[AccountId], first: Month, last: Month
) -> dict[AccountId, RegisterUse]:
    """Return what was charged for accounts read by registers, by month and zone."""
    found: dict[AccountId, RegisterUse] = {}
    for account_id, months in consumption_by_month(session, account_ids, first, last).items():
        by_month: dict[Month, dict[Zone, int]] = {}
        for month, lines in months.items():
            zones: dict[Zone, int] = {}
            for key, quantity in lines.items():
                if name := zone_of(key):
                    zones[Zone(name)] = zones.get(Zone(name), 0) + quantity
            if any(zones.values()):
                by_month[month] = zones
        if by_month:
            found[account_id] = by_month
    return found


def register_facts(
    session: Session,
    accounts: Sequence[BilledAccount],
    months: Sequence[Month],
    versions: Sequence[TariffVersion],
) -> dict[AccountId, tuple[AccountFacts | None, ...]]:
    """Return, month by month, what the versions ask for beside what the registers counted."""
    needs = needs_of(versions)
    if needs is None or not accounts:
        return {account.id: (None,) * len(months) for account in accounts}
    by_month = [
        stated_facts(
            session,
            accounts,
            needs,
            month.period(accounts[0].zone),
            month.plus(1).first_day - timedelta(days=1),
            closing=True,
            known_at=None,
        )
        for month in months
    ]
    return {
        account.id: tuple(row_of(facts, place) for facts in by_month)
        for place, account in enumerate(accounts)
    }


def register_costs(
    versions: Sequence[VersionInForce],
    use: RegisterUse,
    months: Sequence[Month],
    zone: ZoneInfo,
    facts: Sequence[AccountFacts | None],
    named: Mapping[str, Sequence[VersionInForce]],
) -> Costs:
    """Return what one account read by registers would have paid in each of `months`.

    A zone that the plan does not have makes it refused: nobody knows when the energy was used.
    """
    paid = np.zeros((1, len(months)), dtype=np.int64)
    by_rates = np.zeros_like(paid)
    for number, month in enumerate(months):
        if month not in use:
            continue
        period = month.period(zone)
        counted = {(period, name): wh for name, wh in use[month].items()}

        def rated(
            held: Sequence[VersionInForce],
            counted: Mapping[tuple[Period, Zone], int] = counted,
            known: AccountFacts | None = facts[number],
        ) -> LineColumns:
            return as_columns(rate_readings(held, counted, zone, facts=known))

        columns = rated(versions)
        by_rates[:, number] = cost_by_billing(columns, versions, 1)[:, 0]
        promised = promised_by(versions)
        if promised:
            others = {code: (rated(held), held) for code, held in named.items() if code in promised}
            known = alternatives_of(columns, versions, others, 1)
            columns = with_guarantee(columns, versions, known, (period,))
        paid[:, number] = columns.amount_minor.sum(axis=1)
    return Costs(paid, by_rates)
