"""What meters measured of accounts, read for rating, with the estimates that stand in for it."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import UsedEstimate
from billing.models import Measurement
from billing.month.energy.grids import Asked, Energy, PlanEnergy, days_between, matrix_rows, summed
from kilokassa.core.calendar import local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from metering import store as metering_store
from metering.days import IntervalMatrix
from metering.estimation import store as estimate_store
from metering.estimation.gaps import spread_by_profile
from metering.registry.at_premises import PremisesChannel
from metering.registry.places import ACTIVE_GIVEN, Commodity


def energies(session: Session, accounts: Sequence[BilledAccount], asked: Asked) -> Iterator[Energy]:
    """Yield the energy of the accounts over the days asked for, one matrix a zone and interval.

    Where a resident follows another in the month, each has a row of the same channel.
    """
    if asked.end <= asked.first:
        return
    by_premises: dict[int, list[BilledAccount]] = {}
    for account in accounts:
        if account.measurement is Measurement.INTERVALS:
            by_premises.setdefault(account.premises_id, []).append(account)
    groups: dict[tuple[str, int], list[PremisesChannel]] = {}
    for channel in metering_store.channels_of_premises(session, by_premises):
        if channel.commodity is Commodity.ELECTRICITY:
            groups.setdefault((channel.zone, channel.interval_min), []).append(channel)
    days = days_between(asked.first, asked.end)
    for (zone_name, interval_min), group in sorted(groups.items()):
        zone = ZoneInfo(zone_name)
        matrix = metering_store.load_matrix(
            session,
            [channel.channel_id for channel in group],
            days,
            zone,
            interval_min,
            known_at=asked.known_at,
        )
        pairs = [
            (row, owner)
            for row, channel in enumerate(group)
            for owner in by_premises[channel.premises_id]
        ]
        if len(pairs) > len(group):
            matrix = matrix_rows(matrix, [row for row, _ in pairs])
        yield Energy(zone, [group[row] for row, _ in pairs], [o for _, o in pairs], matrix)


def set_aside(
    session: Session,
    matrix: IntervalMatrix,
    period: Period,
    zone: ZoneInfo,
    *,
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


def used_estimates(
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


def given_wh(
    session: Session, energy: Energy, of_plan: PlanEnergy, asked: Asked
) -> npt.NDArray[np.int64]:
    """Return what each account gave to the network; one without a channel for it gave nothing."""
    given = np.zeros(of_plan.energy_wh.shape, dtype=np.int64)
    rows_of: dict[int, list[int]] = {}
    for number, owner in enumerate(of_plan.owners):
        rows_of.setdefault(owner.premises_id, []).append(number)
    channels = [
        channel
        for channel in metering_store.channels_of_premises(
            session, rows_of, channel_code=ACTIVE_GIVEN
        )
        if channel.interval_min == of_plan.interval_min
    ]
    if channels:
        matrix = metering_store.load_matrix(
            session,
            [channel.channel_id for channel in channels],
            days_between(asked.first, asked.end),
            of_plan.zone,
            of_plan.interval_min,
            known_at=asked.known_at,
        )
        for row, channel in enumerate(channels):
            for number in rows_of[channel.premises_id]:
                given[number] += matrix.energy_wh[row, of_plan.columns]
    return given


def earlier_energy(
    session: Session,
    channel_ids: Sequence[Sequence[int]],
    of_plan: PlanEnergy,
    first: date,
    end: date,
    asked: Asked,
) -> npt.NDArray[np.int64]:
    """Return the energy of accounts over earlier days, from their opening on."""
    flat = [channel_id for of_one in channel_ids for channel_id in of_one]
    matrix = metering_store.load_matrix(
        session,
        flat,
        days_between(first, end),
        of_plan.zone,
        of_plan.interval_min,
        known_at=asked.known_at,
    )
    period = Period(matrix.start, local_midnight(end, of_plan.zone))
    set_aside(session, matrix, period, of_plan.zone, known_at=asked.known_at)
    step = timedelta(minutes=of_plan.interval_min)
    rows: list[list[int]] = []
    for of_one in channel_ids:
        place = sum(len(before) for before in rows)
        rows.append(list(range(place, place + len(of_one))))
    energy = summed(matrix.energy_wh, rows, slice(None)).astype(np.int64)
    for number, owner in enumerate(of_plan.owners):
        if owner.opened_on > first:
            opened = (local_midnight(owner.opened_on, of_plan.zone) - matrix.start) // step
            energy[number, :opened] = 0
    return energy
